"""A broker that is away is told from what nobody foresaw."""

from __future__ import annotations

import subprocess
import sys

import pytest
from aiokafka import errors

from stream.broker_away import in_our_words
from stream.errors import KafkaUnreachable


@pytest.mark.parametrize(
    "error", [errors.KafkaError("closed"), errors.KafkaConnectionError(), errors.KafkaTimeoutError()]
)
def test_a_connection_that_fails_says_what_to_do(error: errors.KafkaError) -> None:
    said = in_our_words(error)
    assert isinstance(said, KafkaUnreachable)
    assert "start Kafka" in str(said)


@pytest.mark.parametrize("error", [errors.TopicAuthorizationFailedError(), ValueError("x")])
def test_what_waiting_does_not_mend_stays_what_it_is(error: Exception) -> None:
    assert in_our_words(error) is error


def test_a_worker_that_meets_one_ends_with_the_code_of_kafka_away() -> None:
    program = (
        "from aiokafka.errors import KafkaConnectionError\n"
        "from stream.partition.shared import fail_stop\n"
        "fail_stop(KafkaConnectionError('gone'))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == KafkaUnreachable.exit_code
    assert "Kafka went away" in ended.stdout + ended.stderr
