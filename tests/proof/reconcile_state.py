"""One partition's durable state against the oracle: every column of every customer, and the partition's own counts."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiokafka
import numpy as np
from numpy.typing import NDArray

from models import rows
from models.batch import SOURCES
from models.columns import BIT_COLUMNS, COL, COLUMNS, POSITION
from schemas.record import WARMING_UP, SegmentRecord
from schemas.standing import LIFECYCLES
from stream.changelog_reader import PartitionState
from stream.partition.meta import META_KEY, OWNER_KEY
from tests.oracle.columns import columns, forgotten_minute, recent
from tests.oracle.compare import close
from tests.oracle.shop import CART_KEPT, Customer
from tests.proof.reconcile_meetings import meetings
from tests.proof.reconcile_topics import Changes, Ledger

DECIDED = COLUMNS[: COLUMNS.index("segment")]
"""Columns that events alone decide."""
RISING = ("next_clickstream", "next_purchases", "events", "rev", "ver")
CARTS = ("none", "open", "abandoned")
LOOKED_AT = 100
"""Differing customers for whom they are tried: with more of them, the topics' meeting is not the reason."""
_CART_HEAD = 16
_CART_WORDS = struct.Struct("<qQQqq")

Finding = tuple[str, str, str]
"""(kind, customer or "", in words)"""


@dataclass(slots=True)
class Compared:
    """What came of comparing one partition's state."""

    findings: list[Finding] = field(default_factory=list)
    lost: int = 0
    doubled: int = 0
    other_meetings: int = 0
    """Customers whose repeats depend on how the two topics met, and who are explained by another way than the oracle's
    first: beyond the documented horizon of repeats."""


def compare_customers(state: PartitionState, ledger: Ledger) -> Compared:
    """Every customer of the state against the oracle's, column by column."""
    done = Compared()
    table, shop = state.table, ledger.shop
    matrix = table.gather(np.arange(len(table)))
    slots = {name: slot for slot, name in enumerate(table.ids)}
    horizon = min((mark for mark in shop.watermark if mark), default=0)
    for name, customer in shop.customers.items():
        slot = slots.pop(name, None)
        if slot is None:
            done.lost += len(customer.events)
            done.findings.append(("lost", name, f"is not in the state; {len(customer.events)} events were sent"))
            continue
        found = Held.of(state, slot, matrix[slot])
        differing = differences(found, customer, horizon)
        if not differing:
            continue
        if done.other_meetings + len(done.findings) < LOOKED_AT and _met_otherwise(found, customer, horizon):
            done.other_meetings += 1
            continue
        events = int(found.row[COL.events])
        done.lost += max(0, len(customer.events) - events)
        done.doubled += max(0, events - len(customer.events))
        done.findings += [("state", name, words) for words in differing]
    for name in slots:
        done.doubled += int(matrix[slots[name]][COL.events])
        done.findings.append(("doubled", name, "is in the state and in no topic"))
    return done


@dataclass(frozen=True, slots=True)
class Held:
    """What the state holds of one customer."""

    row: NDArray[np.float64]
    recent_events: list[int]
    recent_orders: list[int]
    cart: bytes | None

    @classmethod
    def of(cls, state: PartitionState, slot: int, row: NDArray[np.float64]) -> Held:
        table = state.table
        return cls(row, table.recent_events.get(slot), table.recent_orders.get(slot), table.carts.blobs.get(slot))


def differences(found: Held, customer: Customer, oldest_watermark_ms: int) -> list[str]:
    """In words, everything of one customer that is not as its events say."""
    words = []
    expected = columns(customer)
    bits = found.row.view(np.uint64)
    for name in DECIDED:
        value, size = expected[name]
        place = POSITION[name]
        held = int(bits[place]) if name in BIT_COLUMNS else float(found.row[place])
        if not (close(held, value, size) if size else held == value):
            words.append(f"{name}: {held:.17g} is not {value:.17g}")
    for name, held_ids, kept, days in (
        ("recent events", found.recent_events, customer.event_ids.kept, 1),
        ("recent orders", found.recent_orders, customer.order_ids.kept, 30),
    ):
        minute = forgotten_minute(oldest_watermark_ms, days)
        if [packed for packed in held_ids if packed >> 39 >= minute] != recent(kept, minute):
            words.append(f"{name}: {held_ids} is not {recent(kept)}")
    if _operations(found.cart) != customer.cart_operations()[-CART_KEPT:]:
        words.append(f"cart: {_operations(found.cart)} is not {customer.cart_operations()[-CART_KEPT:]}")
    if (found.row[COL.cart_state] > 0) != (expected["cart_items"][0] > 0):
        words.append(f"cart_state: {found.row[COL.cart_state]:g} with {expected['cart_items'][0]} items")
    return words


def _operations(cart: bytes | None) -> list[tuple[int, ...]]:
    return list(_CART_WORDS.iter_unpack(cart[_CART_HEAD:])) if cart else []


def _met_otherwise(found: Held, customer: Customer, oldest_watermark_ms: int) -> bool:
    """Whether another meeting of the two topics explains what is held; without any repeat none would."""
    if not (customer.duplicates or found.row[COL.duplicates]):
        return False
    held = int(found.row[COL.duplicates])
    return any(not differences(found, other, oldest_watermark_ms) for other in meetings(customer, held))


def compare_counts(state: PartitionState, ledger: Ledger) -> list[Finding]:
    """The partition's own counts: every record once as applied, duplicate or dead letter, by reason."""
    reasons: Counter[str] = Counter(letter.reason for letter in ledger.letters.values())
    by_topic: Counter[str] = Counter(identity.partition("/")[0] for identity in ledger.letters)
    findings = []
    if dict(reasons) != {reason: count for reason, count in state.meta.reasons.items() if count}:
        findings.append(f"dead letters {state.meta.reasons} are not {dict(reasons)}")
    for source, topic in enumerate(SOURCES):
        found = state.meta.topics.get(topic)
        held = (found.next, found.read, found.watermark_ms, found.letters) if found else (0, 0, 0, 0)
        expected = (ledger.ends[topic], ledger.records[topic], ledger.shop.watermark[source], by_topic[topic])
        if held != expected:
            findings.append(f"{topic}: (next, read, watermark, letters) {held} are not {expected}")
    numbered = state.table.column("record_seq").max(initial=0)
    if numbered > state.meta.sent:
        findings.append(f"a record is numbered {numbered:g} and only {state.meta.sent} are known to be sent")
    return [("counts", "", words) for words in findings]


def compare_changes(state: PartitionState, changes: Changes) -> list[Finding]:
    """The last change of every customer is its state, and nobody else has changes."""
    findings: list[Finding] = [("change", customer, words) for customer, words in changes.faults]
    table = state.table
    matrix = table.gather(np.arange(len(table)))
    others = set(changes.last)
    for slot, name in enumerate(table.ids):
        row, last = matrix[slot], changes.last.get(name)
        others.discard(name)
        held = tuple(int(row[place]) for place in (COL.ver, COL.segment, COL.previous))
        said = (0, -1, -1) if last is None else (last.ver, last.current, _number(last.previous))
        if held != said:
            findings.append(("change", name, f"state (ver, segment, previous) {held} is not the last change {said}"))
        elif last is not None and not _same_change(row, last.epoch, last.model, last.event_time):
            findings.append(("change", name, f"the row's change is not {last}"))
    return findings + [("change", name, "has changes and no state") for name in others]


def _number(segment: int | None) -> int:
    return -1 if segment is None else segment


def _same_change(row: NDArray[np.float64], epoch: int, model: int, since: int) -> bool:
    return (int(row[COL.change_epoch]), int(row[COL.change_model]), int(row[COL.since])) == (epoch, model, since)


def compare_redis(state: PartitionState, stored: Mapping[str, Mapping[str, str]]) -> list[Finding]:
    """Every customer's record, field by field; `stored` is what Redis has by customer."""
    table = state.table
    matrix = table.gather(np.arange(len(table)))
    findings: list[Finding] = []
    for slot, name in enumerate(table.ids):
        expected, found = record_of(matrix[slot], state.meta.names), dict(stored.get(name, {}))
        if found != expected:
            fields = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
            words = ", ".join(f"{key} {found.get(key)!r} is not {expected.get(key)!r}" for key in sorted(fields))
            findings.append(("redis", name, words))
    return findings


def record_of(row: NDArray[np.float64], names: list[str]) -> dict[str, str]:
    """The Redis record that a row says, as `schemas.record` spells it."""
    segment = int(row[COL.segment])
    known = names[int(row[COL.names]) & 0xFFFF] if names else ""
    chances, standing = divmod(int(row[COL.standing]), 10_000)
    stage, rfm = divmod(standing, 1_000)
    purchase, churn = divmod(chances, 1_002)
    return SegmentRecord(
        segment=None if segment < 0 else segment,
        name=WARMING_UP if segment < 0 else known or f"segment {segment}",
        since=int(row[COL.since]),
        cart=CARTS[int(row[COL.cart_state])],  # type: ignore[arg-type] # the words of the schema, in its order
        confidence=float(row[COL.confidence]),
        as_of=int(row[COL.as_of]),
        model=int(row[COL.change_model]),
        ver=int(row[COL.ver]),
        rev=int(row[COL.rev]),
        lifecycle=LIFECYCLES[stage - 1] if stage else None,
        rfm=str(rfm) if rfm else None,
        purchase_7d=(purchase - 1) / 1_000 if purchase else None,
        churn_30d=(churn - 1) / 1_000 if churn else None,
    ).to_hash()


def linear(records: list[aiokafka.ConsumerRecord]) -> list[Finding]:
    """Whether a changelog partition is one history: no row says less than an earlier one of its customer."""
    last: dict[bytes, tuple[NDArray[np.float64], int]] = {}
    findings: list[Finding] = []
    customers = [record for record in records if record.key not in (META_KEY, OWNER_KEY)]
    said = rows.peek([record.value for record in customers], RISING)
    for record, now in zip(customers, said, strict=True):
        before = last.get(record.key)
        if before is not None and (now < before[0]).any():
            words = f"the row at {record.offset} {now.tolist()} says less than that at {before[1]} {before[0].tolist()}"
            findings.append(("changelog", record.key.decode(), words))
        last[record.key] = (now, record.offset)
    return findings


def history_of(customer: str, ledger: Ledger, records: list[aiokafka.ConsumerRecord]) -> str:
    """Both histories of a customer: what its topics say, and what its changelog rows said one after another."""
    known = ledger.shop.customers.get(customer)
    lines = [f"{customer} in the topics:"]
    for event, late, outcome in known.arrived if known else ():
        money = f" {event.amount}" if event.amount else ""
        words = f"{SOURCES[event.source]}/{event.offset} {event.time} {event.kind.name.lower()}{money}"
        lines.append(f"  {words} {outcome}{' late' if late else ''}")
    lines.append(f"{customer} in the changelog ({', '.join(RISING)}):")
    mine = [record for record in records if record.key == customer.encode()]
    for record, values in zip(mine, rows.peek([record.value for record in mine], RISING).tolist(), strict=True):
        lines.append(f"  offset {record.offset}: {', '.join(f'{value:g}' for value in values)}")
    return "\n".join(lines)
