"""The message of the batch transport and the schema that hands it to agents undecoded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from faust.serializers.schemas import Schema
from faust.types.tuples import TP, ConsumerMessage

from stream.records import Record


class BatchMessage(ConsumerMessage):
    """All records of one partition in one fetch; `value` is the list of records, `offset` the last one's offset.

    Everything downstream in Faust (tracking, ack, generation check, wait_empty) works a message at a time, so the
    batch is acknowledged as a whole: by its last offset.
    """

    __slots__ = ()

    @classmethod
    def of(cls, tp: TP, records: Sequence[Record], generation_id: int) -> BatchMessage:
        """Wrap the non-empty `records` of `tp`, in offset order."""
        last = records[-1]
        return cls(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            0,
            (),
            None,
            records,
            None,
            0,
            0,
            tp,
            generation_id=generation_id,
        )


class BatchSchema(Schema):
    """Hands the list of records on as it is: decoding, and what becomes of bad records, is the agent's."""

    def compile(self, app: Any, **_: Any) -> Callable[..., Awaitable[Any]]:
        """Return the decode function of a topic; it never fails."""
        create_event = app.create_event

        async def decode(message: BatchMessage, *, propagate: bool = False) -> Any:
            del propagate
            return create_event(None, message.value, message.headers, message)

        return decode
