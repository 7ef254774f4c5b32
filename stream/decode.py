"""Raw Kafka records to one EventBatch and the dead letters of whatever is none.

Every record ends as exactly one event or one letter, whatever it holds; nothing here raises for what a record says.
The usual chunk costs one JSON parse per record, one validation and a few C loops. One pass takes the records of any
number of partitions: live groups are small, and each would pay for itself what a pass costs at least. A record that the
fast validation turns down is folded (other names and shapes), tried again, and judged by the pydantic models last: they
decide every refusal.

Chunks of 500 keep the parsed objects in the processor's cache; longer ones measured slower.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import ValidationError

from models.batch import SOURCES, EventBatch
from schemas.dead_letter import DETAIL_CHARS_MAX, UNDECODABLE, Reason, Refusal
from schemas.events import EVENT, FAST_EVENTS
from schemas.folding import fold
from stream.extract import Extractor
from stream.extract_sparse import Fields
from stream.local_time import local_clock

CHUNK_RECORDS = 500
RECORD_BYTES_MAX = 262_144
"""An event larger than this is a dead letter unread; GA4 sends at most 130 kB."""
CUSTOM_NAMES_MAX = 100
OTHER_NAMES = "(other)"
"""Where custom events are counted whose name came after the first hundred."""

_validate = FAST_EVENTS.validator.validate_python
_judge = EVENT.validator.validate_python
_loads = orjson.loads
_PLACE = itemgetter(0)
T = TypeVar("T")


class Record(Protocol):
    """What decoding reads of a Kafka record."""

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


class Portion(NamedTuple):
    """Records of one partition of one source topic, in the log's order (offsets rising)."""

    partition: int
    source: int
    records: Sequence[Record]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the records of one partition hold: records read = len(batch) + len(letters)."""

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
        self,
        *,
        currency: str,
        currency_digits: int,
        unknown_events: str = "activity",
        future_tolerance_s: int = 300,
        time_zone: str = "UTC",
    ) -> None:
        self._currency = currency
        self._digits = currency_digits
        self._unknown_is_activity = unknown_events == "activity"
        self._tolerance_ms = future_tolerance_s * 1000
        self._clock = local_clock(time_zone)
        self._names: set[str] = set()

    def decode(self, portions: Sequence[Portion], now_ms: int) -> dict[int, Decoded]:
        """Decode the records of one or more partitions in one pass; never raises for what they hold.

        The portions of one partition stand together. Its batch holds their events in the order of `portions`.
        """
        extractor = Extractor(
            currency=self._currency,
            digits=self._digits,
            time_max_ms=now_ms + self._tolerance_ms,
            clock=self._clock,
        )
        run = _Run(portions, extractor, self._unknown_is_activity)
        for start in range(0, len(run.records), CHUNK_RECORDS):
            run.chunk(start)
        decoded = {}
        for partition, start, end, batch in run.by_partition():
            letters, names = run.letters(start, end), _between(extractor.custom, start, end)
            decoded[partition] = Decoded(
                batch=batch,
                letters=letters,
                custom=self._first_names(Counter(names)) if names else Counter(),
                without_id=len(_between(run.without_id, start, end)),
                undecodable=sum(letter.reason in UNDECODABLE for letter in letters),
            )
        return decoded

    def _first_names(self, custom: Counter[str]) -> Counter[str]:
        """Count names after the first hundred together: names are input, and input is bounded."""
        counted: Counter[str] = Counter()
        for name, count in custom.items():
            if name not in self._names and len(self._names) < CUSTOM_NAMES_MAX:
                self._names.add(name)
            counted[name if name in self._names else OTHER_NAMES] += count
        return counted


class _Run:
    """The state of one `decode`. A record goes by its place: its position among the records of all portions."""

    def __init__(self, portions: Sequence[Portion], extractor: Extractor, unknown_is_activity: bool) -> None:
        self.records: list[Record] = []
        self.without_id: list[tuple[int, None]] = []
        self._portions = portions
        self._starts: list[int] = []
        for portion in portions:
            self._starts.append(len(self.records))
            self.records += portion.records
        self._extractor = extractor
        self._unknown_is_activity = unknown_is_activity
        self._refused: list[tuple[int, Refusal]] = []

    def chunk(self, start: int) -> None:
        """Parse, validate and extract up to CHUNK_RECORDS records."""
        documents = _parse(self.records[start : start + CHUNK_RECORDS])
        events: list[Fields | None] = _validate(documents)
        if all(events):
            places, kept = np.arange(start, start + len(events)), events
        else:
            places, kept = self._repair(start, documents, events)
        while kept:
            refused = self._extractor.append(kept, places)  # type: ignore[arg-type] # neither way leaves a None
            if not refused:
                return
            self._refused += [(int(places[at]), refusal) for at, refusal in refused.items()]
            places = np.delete(places, list(refused))
            kept = [event for at, event in enumerate(kept) if at not in refused]

    def by_partition(self) -> Iterator[tuple[int, int, int, EventBatch]]:
        """Yield each partition, the places where its records start and end, and its events."""
        bounds = [*self._starts, len(self.records)]
        places, records, cuts = self._extractor.places(), self.records, bounds
        offset = _joined([_offsets(portion.records) for portion in self._portions if portion.records])
        if len(places) < len(records):
            cuts = np.searchsorted(places, bounds).tolist()
            offset, records = offset[places], [records[place] for place in places.tolist()]
        source = np.empty(len(places), np.int8)
        for portion, (start, end) in zip(self._portions, pairwise(cuts), strict=True):
            source[start:end] = portion.source
        batch = self._extractor.batch(source=source, offset=offset, keys=[record.key for record in records])
        at = 0
        for partition, portions in groupby(self._portions, key=_PLACE):
            end = at + len(list(portions))
            yield partition, bounds[at], bounds[end], batch.cut(cuts[at], cuts[end])
            at = end

    def letters(self, start: int, end: int) -> list[Letter]:
        """Return the letters of the records between two places."""
        if not self._refused:
            return []
        self._refused.sort(key=_PLACE)
        letters = []
        for place, refusal in self._refused[_range(self._refused, start, end)]:
            record, source = self.records[place], self._portion(place).source
            letters.append(Letter(source, record.offset, refusal.reason, refusal.detail, record.key, record.value))
        return letters

    def _portion(self, place: int) -> Portion:
        return self._portions[bisect_right(self._starts, place) - 1]

    def _repair(
        self, start: int, documents: list[Any], events: list[Fields | None]
    ) -> tuple[NDArray[np.int64], list[Fields | None]]:
        """Fold and judge what the fast validation turned down; the chunk's events, and their places."""
        folded: dict[int, Fields] = {}
        for at, event in enumerate(events):
            if event is not None:
                continue
            found = self._fold(documents[at])
            if isinstance(found, Refusal):
                self._refused.append((start + at, found))
            else:
                folded[at] = found
        without_id = [at for at, event in folded.items() if "event_id" not in event]
        for at in without_id:
            partition, source, _ = self._portion(start + at)
            folded[at]["event_id"] = f"{SOURCES[source]}/{partition}/{self.records[start + at].offset}"
        for (at, event), again in zip(folded.items(), _validate(list(folded.values())), strict=True):
            found = again or judge(event)
            if isinstance(found, Refusal):
                self._refused.append((start + at, found))
            else:
                events[at] = found
        self.without_id += [(start + at, None) for at in without_id if events[at] is not None]
        there = [at for at, event in enumerate(events) if event is not None]
        return np.array(there, np.int64) + start, [events[at] for at in there]

    def _fold(self, document: Any) -> Fields | Refusal:
        if isinstance(document, Refusal):
            return document
        if type(document) is not dict:
            return Refusal("not_an_object", "the JSON is not an object")
        return fold(document, unknown_is_activity=self._unknown_is_activity)


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


def _between(found: Sequence[tuple[int, T]], start: int, end: int) -> list[T]:
    """Return what was found from place `start` to before `end`."""
    return [what for _, what in found[_range(found, start, end)]] if found else []


def _range(found: Sequence[tuple[int, Any]], start: int, end: int) -> slice:
    return slice(bisect_left(found, start, key=_PLACE), bisect_left(found, end, key=_PLACE))


def _joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
