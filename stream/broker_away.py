"""What aiokafka says of a broker that is away, as the error that an operator and a supervisor understand."""

from __future__ import annotations

from aiokafka.errors import KafkaError, KafkaTimeoutError

from stream.errors import KafkaUnreachable


def in_our_words(error: Exception) -> Exception:
    """Return KafkaUnreachable for a connection that failed or a request without answer; any other error as it is.

    A bare KafkaError is what aiokafka makes of a connection that closes in the middle of a group request.

    >>> in_our_words(KafkaTimeoutError()).exit_code, in_our_words(ValueError("x"))
    (5, ValueError('x'))
    """
    if isinstance(error, KafkaError) and (
        type(error) is KafkaError or error.retriable or isinstance(error, KafkaTimeoutError)
    ):
        return KafkaUnreachable(f"Kafka went away: {str(error) or type(error).__name__}")
    return error
