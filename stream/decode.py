"""Raw Kafka records to one EventBatch and the dead letters of whatever is none.

Every record ends as exactly one event or one letter, whatever it holds; nothing here raises for what a record says.
The usual chunk costs one JSON parse per record, one validation and a few C loops. A record that the fast validation
turns down is folded (other names and shapes), tried again, and judged by the pydantic models last: they decide every
refusal.

Chunks of 500 keep the parsed objects in the processor's cache; longer ones measured slower.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import orjson
from pydantic import ValidationError

from models.batch import EventBatch
from schemas.dead_letter import DETAIL_CHARS_MAX, UNDECODABLE, Reason, Refusal
from schemas.events import EVENT, FAST_EVENTS
from schemas.folding import fold
from stream.extract import Extractor
from stream.extract_sparse import Fields

CHUNK_RECORDS = 500
RECORD_BYTES_MAX = 262_144
"""An event larger than this is a dead letter unread; GA4 sends at most 130 kB."""
CUSTOM_NAMES_MAX = 100
OTHER_NAMES = "(other)"
"""Where custom events are counted whose name came after the first hundred."""

_validate = FAST_EVENTS.validator.validate_python
_judge = EVENT.validator.validate_python
_loads = orjson.loads


class Record(Protocol):
    """What decoding reads of an aiokafka ConsumerRecord."""

    @property
    def key(self) -> bytes | None:
        """The Kafka key."""

    @property
    def value(self) -> bytes | None:
        """The Kafka value; None is a tombstone."""

    @property
    def offset(self) -> int:
        """The position in its partition."""


class Letter(NamedTuple):
    """A refused record, still to be sent. `detail` never holds any of the payload; never log key or value."""

    source: int
    offset: int
    reason: Reason
    detail: str
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a fetch of one partition holds: records read = len(batch) + len(letters)."""

    batch: EventBatch
    letters: list[Letter]
    custom: Counter[str] = field(default_factory=Counter)
    """Events whose name is none of the known ones, by name."""
    without_id: int = 0
    """Events that had no id of their own."""
    undecodable: int = 0
    """Letters that suggest that the topic holds something else altogether."""


class Decoder:
    """Decodes the records of one shop. Keeps nothing between calls but which custom names came first."""

    def __init__(
        self, *, currency: str, currency_digits: int, unknown_events: str = "activity", future_tolerance_s: int = 300
    ) -> None:
        self._currency = currency
        self._digits = currency_digits
        self._unknown_is_activity = unknown_events == "activity"
        self._tolerance_ms = future_tolerance_s * 1000
        self._names: set[str] = set()

    def decode(self, source: int, topic: str, partition: int, records: Sequence[Record], now_ms: int) -> Decoded:
        """Decode records of one source topic in the log's order (offsets rising); never raises for what they hold."""
        extractor = Extractor(currency=self._currency, digits=self._digits, time_max_ms=now_ms + self._tolerance_ms)
        run = _Run(source, f"{topic}/{partition}/", extractor, self._unknown_is_activity)
        for start in range(0, len(records), CHUNK_RECORDS):
            run.chunk(records[start : start + CHUNK_RECORDS])
        run.letters.sort(key=lambda letter: letter.offset)
        return Decoded(
            batch=extractor.batch(source),
            letters=run.letters,
            custom=self._first_names(extractor.custom),
            without_id=run.without_id,
            undecodable=sum(letter.reason in UNDECODABLE for letter in run.letters),
        )

    def _first_names(self, custom: Counter[str]) -> Counter[str]:
        """Count names after the first hundred together: names are input, and input is bounded."""
        counted: Counter[str] = Counter()
        for name, count in custom.items():
            if name not in self._names and len(self._names) < CUSTOM_NAMES_MAX:
                self._names.add(name)
            counted[name if name in self._names else OTHER_NAMES] += count
        return counted


class _Run:
    """The state of one `decode`."""

    def __init__(self, source: int, place: str, extractor: Extractor, unknown_is_activity: bool) -> None:
        self._source = source
        self._place = place
        self._extractor = extractor
        self._unknown_is_activity = unknown_is_activity
        self.letters: list[Letter] = []
        self.without_id = 0

    def chunk(self, records: Sequence[Record]) -> None:
        """Parse, validate and extract up to CHUNK_RECORDS records."""
        documents = _parse(records)
        events: list[Fields | None] = _validate(documents)
        if not all(events):
            records, kept = self._repair(records, documents, events)
        else:
            kept = events  # type: ignore[assignment] # all() has just shown that no element is None
        while kept:
            refused = self._extractor.append(kept, _offsets(records), [record.key for record in records])
            if not refused:
                return
            for at, refusal in refused.items():
                self._refuse(records[at], refusal)
            records = [record for at, record in enumerate(records) if at not in refused]
            kept = [event for at, event in enumerate(kept) if at not in refused]

    def _repair(
        self, records: Sequence[Record], documents: list[Any], events: list[Fields | None]
    ) -> tuple[list[Record], list[Fields]]:
        """Fold and judge what the fast validation turned down; returns the events of the chunk and their records."""
        folded: dict[int, Fields] = {}
        for at, event in enumerate(events):
            if event is not None:
                continue
            found = self._fold(documents[at])
            if isinstance(found, Refusal):
                self._refuse(records[at], found)
            else:
                folded[at] = found
        without_id = [at for at, event in folded.items() if "event_id" not in event]
        for at in without_id:
            folded[at]["event_id"] = f"{self._place}{records[at].offset}"
        for (at, event), again in zip(folded.items(), _validate(list(folded.values())), strict=True):
            found = again or judge(event)
            if isinstance(found, Refusal):
                self._refuse(records[at], found)
            else:
                events[at] = found
        self.without_id += sum(events[at] is not None for at in without_id)
        pairs = [(record, event) for record, event in zip(records, events, strict=True) if event is not None]
        return [record for record, _ in pairs], [event for _, event in pairs]

    def _fold(self, document: Any) -> Fields | Refusal:
        if isinstance(document, Refusal):
            return document
        if type(document) is not dict:
            return Refusal("not_an_object", "the JSON is not an object")
        return fold(document, unknown_is_activity=self._unknown_is_activity)

    def _refuse(self, record: Record, refusal: Refusal) -> None:
        self.letters.append(
            Letter(self._source, record.offset, refusal.reason, refusal.detail, record.key, record.value)
        )


def judge(event: Fields) -> Fields | Refusal:
    """Return what the pydantic models say of a folded event: its validated fields, or the reason against it."""
    try:
        fields: Fields = _judge(event).model_dump()
    except ValidationError as error:
        return _reason(error)
    return fields


def _reason(error: ValidationError) -> Refusal:
    """Name the first broken rule by field and rule; a customer's comes before a time's before any other."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    by_field = {str(fault["loc"][1]) if len(fault["loc"]) > 1 else "": fault for fault in reversed(faults)}
    fault = by_field.get("customer_id") or by_field.get("event_time") or faults[0]
    path = ".".join(str(part) for part in fault["loc"][1:]) or "event_type"
    detail = f"{path}: {fault['type']}"[:DETAIL_CHARS_MAX]
    if path.startswith("customer_id"):
        return Refusal("invalid_customer", detail)
    if path != "event_time":
        return Refusal("invalid", detail)
    reasons: dict[str, Reason] = {"missing": "missing_time", "greater_than_equal": "past", "less_than_equal": "future"}
    return Refusal(reasons.get(fault["type"], "invalid_time"), detail)


def _parse(records: Sequence[Record]) -> list[Any]:
    """One parsed JSON value per record, a Refusal in place of those that hold none."""
    values = [record.value for record in records]
    try:
        if max(map(len, values)) <= RECORD_BYTES_MAX:  # type: ignore[arg-type] # None raises TypeError, caught below
            return list(map(_loads, values))  # type: ignore[arg-type] # the same
    except (ValueError, TypeError):
        pass
    return [_parse_one(value) for value in values]


def _parse_one(value: bytes | None) -> Any:
    if value is None:
        return Refusal("null_value", "the record has no value")
    if len(value) > RECORD_BYTES_MAX:
        return Refusal("too_large", f"{len(value)} bytes")
    try:
        return _loads(value)
    except orjson.JSONDecodeError as error:
        try:
            value.decode()
        except UnicodeDecodeError as broken:
            return Refusal("bad_utf8", f"at byte {broken.start}")
        return Refusal("bad_json", f"at character {error.pos}")


def _offsets(records: Sequence[Record]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the records' offsets; without gaps two of them say all."""
    size = len(records)
    first, last = records[0].offset, records[-1].offset
    if last - first == size - 1:
        return np.arange(first, last + 1, dtype=np.int64)
    return np.fromiter((record.offset for record in records), np.int64, size)


def merge(parts: Sequence[Decoded]) -> Decoded:
    """One Decoded of several (one or more), in their order; positions of the sparse columns move along."""
    batches = [part.batch for part in parts]
    starts = np.cumsum([0, *(len(batch) for batch in batches[:-1])])
    shifted = ("item_event", "cart_event", "order_event")
    columns: dict[str, Any] = {"customer": [], "key": []}
    for batch in batches:
        columns["customer"] += batch.customer
        columns["key"] += batch.key
    for name in EventBatch.__slots__:
        if name not in columns:
            arrays = [getattr(batch, name) for batch in batches]
            if name in shifted:
                arrays = [array + start for array, start in zip(arrays, starts, strict=True)]
            columns[name] = np.concatenate(arrays)
    custom: Counter[str] = Counter()
    for part in parts:
        custom.update(part.custom)
    return Decoded(
        batch=EventBatch(**columns),
        letters=[letter for part in parts for letter in part.letters],
        custom=custom,
        without_id=sum(part.without_id for part in parts),
        undecodable=sum(part.undecodable for part in parts),
    )
