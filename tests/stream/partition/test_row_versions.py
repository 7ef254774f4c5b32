"""A job that a newer release goes on with: rows of two versions, side by side in one changelog."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models import rows
from models.catalogue import FEATURES
from models.columns import COL, COLUMNS, POSITION, CustomerTable
from models.features import of_rows
from schemas.change import SegmentChanged
from schemas.topics import CHANGELOG, SEGMENT_CHANGES
from stream.partition.partition import Partition, Served
from stream.redis_view.view import connect
from stream.settings import Settings
from tests.models.test_judge import model
from tests.stream.partition.kit import START_MS, Event, Message, Raw, owning, read, views, work
from tests.stream.partition.test_takeover import (
    by_customer,
    expect_gapless,
    expect_view_equals_state,
    served_model,
    state,
)

OLDER = rows.ROW_VERSION - 1
DOWNGRADED = ("c1", "c3")
CUSTOMERS = ("c1", "c2", "c3", "c4")
RELEASED = Path(__file__).parents[2] / "models" / "released" / f"rows_{OLDER}.json"
UNSAID = {"first_order_at", "night_weekend"}
"""Columns that rows of the version before do not have: `models.rows` puts in what cannot be far wrong."""
UNSAID_FEATURES = {"first_order_at", "night_share", "weekend_share"}
AT_MS = START_MS + 2 * 86_400_000
NAMES = tuple(FEATURES)


def downgraded(row: bytes) -> bytes:
    """Return a row as the release before wrote it."""
    end = 2 + 8 * len(COLUMNS)
    dense = np.frombuffer(row[2:end])[[POSITION[name] for name in rows.LAYOUTS[OLDER]]]
    return bytes([OLDER, row[1]]) + dense.tobytes() + row[end:]


def orders(first_offset: int, customer: str, minute: int) -> Event:
    """A batch of one purchase."""
    said = {
        "event_id": f"o{first_offset}",
        "event_type": "purchase",
        "customer_id": customer,
        "event_time": START_MS + minute * 60_000,
        "order_id": f"order {first_offset}",
        "value": 12.5,
    }
    return Event(Message("purchases"), [Raw(first_offset, json.dumps(said).encode(), customer.encode())])


async def before(partition: Partition) -> None:
    """Work up to the new release: everybody looked around, some hold a cart, some ordered; a model; a flush."""
    await work(partition, views(0, CUSTOMERS), views(4, CUSTOMERS[:2], minute=2, kind="add_to_cart"))
    await work(partition, orders(0, "c3", 3), orders(1, "c4", 4))
    await partition.judge_all(Served(model(), {4: "near", 9: "far"}))
    await partition.flush()


async def after(partition: Partition) -> None:
    """Go on with one customer of either version, one event of each again; then with the others, and flush."""
    await work(partition, views(4, CUSTOMERS[:2], minute=2, kind="add_to_cart"), orders(1, "c4", 4))
    repeats = views(0, CUSTOMERS[:2])
    repeats.value = [Raw(6 + number, raw.value, raw.key) for number, raw in enumerate(repeats.value)]
    await work(partition, repeats, views(8, CUSTOMERS[:2], minute=6))
    await partition.flush()


def expect_same(found: Partition, expected: Partition) -> None:
    """Columns are those of an undisturbed run, but for what the older rows did not say, and features with them."""
    ours, theirs = by_customer(found), by_customer(expected)
    assert ours.keys() == theirs.keys()
    for customer, row in ours.items():
        differing = {COLUMNS[at] for at in range(COL.segment) if row[at] != theirs[customer][at]}
        features_of = of_rows(np.stack([row, theirs[customer]]), AT_MS, NAMES)
        loose = {NAMES[at] for at in np.flatnonzero(features_of[0] != features_of[1])}
        older = customer in DOWNGRADED
        assert differing <= (UNSAID if older else set()), (customer, differing)
        assert loose <= (UNSAID_FEATURES if older else set()), (customer, loose)


def test_a_row_is_downgraded_to_the_bytes_that_the_release_before_wrote() -> None:
    released = json.loads(RELEASED.read_text("utf-8"))["rows"]
    pairs = [(base64.b64decode(each["key"]), base64.b64decode(each["row"])) for each in released]
    table = CustomerTable()
    rows.RowReader().load(table, [key for key, _ in pairs], [row for _, row in pairs])
    assert [(key, downgraded(row)) for key, row in rows.encode(table, np.arange(len(table)))] == pairs


@pytest.mark.broker
async def test_rows_of_two_versions_are_taken_over_go_on_without_loss_and_are_written_anew_in_the_newer_one(
    start_job: Callable[[int], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    served_model(monkeypatch)
    settings = start_job(2)
    client = await connect(settings.redis_url)
    async with owning(settings, client) as first:
        await before(first)
        kept = state(first)
        await first.writer.write([(name.encode(), downgraded(kept[name])) for name in DOWNGRADED])
    assert await versions(settings) == {"c1": OLDER, "c2": rows.ROW_VERSION, "c3": OLDER, "c4": rows.ROW_VERSION}
    # Partition 1 is what partition 0 would be, had one owner of this release done it all.
    async with owning(settings, client, 1) as undisturbed:
        await before(undisturbed)
        async with owning(settings, client) as second:
            expect_same(second, undisturbed)
            await expect_view_equals_state(client, second)
        await after(undisturbed)
        async with owning(settings, client) as third:
            await after(third)
            expect_same(third, undisturbed)
            assert third.shared.metrics.counters["replayed"] == 3
            left = state(third)
        # Whoever did nothing is still to be read as the release before wrote it.
        assert await versions(settings) == {**dict.fromkeys(CUSTOMERS, rows.ROW_VERSION), "c3": OLDER}
        await work(undisturbed, views(10, CUSTOMERS[2:], minute=7))
        async with owning(settings, client) as fourth:
            assert state(fourth) == left
            await work(fourth, views(10, CUSTOMERS[2:], minute=7))
            await fourth.flush()
        async with owning(settings, client) as fifth:
            expect_same(fifth, undisturbed)
            assert fifth.table.column("duplicates").tolist() == undisturbed.table.column("duplicates").tolist()
            await expect_view_equals_state(client, fifth)
    assert await versions(settings) == dict.fromkeys(CUSTOMERS, rows.ROW_VERSION)
    changes = await read(settings, SEGMENT_CHANGES)
    expect_gapless([SegmentChanged.model_validate_json(record.value) for record in changes])
    await client.aclose()


async def versions(settings: Settings) -> dict[str, int]:
    """Version of every customer's last row."""
    records = await read(settings, CHANGELOG)
    return {record.key.decode(): record.value[0] for record in records if record.value and record.key[:1] != b"\0"}
