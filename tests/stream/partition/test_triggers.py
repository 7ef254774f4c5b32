"""What is said of a cart, and that it is part of the row until it is sent."""

from __future__ import annotations

import numpy as np
import orjson

from models import rows
from models.columns import COL, CustomerTable
from models.judge import NO_SEGMENT
from models.reminders import ABANDONED_TOLD, RECOVERED, WITHDRAWN, Told
from schemas.cart_trigger import CartTrigger
from schemas.kinds import Kind
from stream.partition import triggers
from tests.oracle.compare import Run
from tests.oracle.histories import START, numbered, spread
from tests.oracle.shop import Event, Operation

NAMES = ["", "frequent high spenders"]


def table_with_a_cart(products: int = 3) -> CustomerTable:
    """Customer `b` holds products, the first one being the cheapest; `a` nothing."""
    operations = tuple(Operation(spread(number), 1, 100 * number) for number in range(1, products + 1))
    run = Run()
    events = [Event("a", START, Kind.VIEW_ITEM, 1), Event("b", START, Kind.ADD_TO_CART, 2, operations=operations)]
    run.apply(numbered(events))
    run.table.products.update({spread(number): f"sku-{number}" for number in range(1, products + 1)})
    return run.table


def noted(table: CustomerTable, *told: Told) -> list[CartTrigger]:
    """What the row of customer `b` says afterwards."""
    slots = np.array([1])
    said = table.gather(slots)
    said[:, COL.segment], said[:, COL.names], said[:, COL.record_seq] = 3, 1, 42
    triggers.note(table, told, slots, said, names=NAMES, currency="EUR")
    assert said[0, COL.trigger_seq] == 42
    table.scatter(slots, said)
    return [CartTrigger.model_validate_json(line) for line in table.triggers[1].split(b"\n")]


def test_a_reminder_says_what_lies_in_the_cart_the_most_valuable_first() -> None:
    (said,) = noted(table_with_a_cart(), Told(0, ABANDONED_TOLD, START, 1, START + 1_800_000, 0.0))
    assert (said.id, said.kind) == (f"b:{START}:1:{START + 1_800_000}:abandoned", "abandoned")
    assert (said.units, said.value_minor, said.currency, said.touched) == (3, 600, "EUR", START)
    assert [item.product_id for item in said.items] == ["sku-3", "sku-2", "sku-1"]
    assert (said.segment, said.segment_name) == (3, "frequent high spenders")


def test_items_are_bounded_and_the_sums_are_not() -> None:
    (said,) = noted(table_with_a_cart(30), Told(0, ABANDONED_TOLD, START, 1, START, 0.0))
    assert (len(said.items), said.units, said.value_minor) == (20, 30, 100 * sum(range(1, 31)))
    assert min(item.value_minor for item in said.items) == 1_100


def test_what_follows_a_reminder_says_nothing_of_what_lies_in_a_cart_now() -> None:
    recovered, withdrawn = noted(
        table_with_a_cart(), Told(0, RECOVERED, START, 1, START, 4_200.0), Told(0, WITHDRAWN, START, 2, START, 0.0)
    )
    assert (recovered.kind, recovered.value_minor, recovered.items) == ("recovered", 4_200, [])
    assert (withdrawn.kind, withdrawn.value_minor, withdrawn.touched) == ("withdrawn", 0, 0)


def test_a_customer_without_a_segment_is_warming_up() -> None:
    table = table_with_a_cart()
    slots = np.array([1])
    said = table.gather(slots)
    said[:, COL.segment] = NO_SEGMENT
    triggers.note(table, [Told(0, ABANDONED_TOLD, START, 1, START, 0.0)], slots, said, names=NAMES, currency="EUR")
    value = orjson.loads(table.triggers[1])
    assert (value["segment"], value["segment_name"]) == (None, "warming_up")


def test_triggers_are_sent_in_order_of_due_time_as_the_rows_have_them_until_they_are_forgotten() -> None:
    table = table_with_a_cart()
    for slot, due in ((0, START + 5), (1, START + 3)):
        slots = np.array([slot])
        told = [Told(0, ABANDONED_TOLD, START, 1, due, 0.0), Told(0, WITHDRAWN, START, 1, due, 0.0)]
        triggers.note(table, told, slots, table.gather(slots), names=NAMES, currency="EUR")
    sent = triggers.of(table, [0, 1])
    assert [(key, orjson.loads(value)["kind"]) for key, value in sent] == [
        (b"b", "abandoned"),
        (b"b", "withdrawn"),
        (b"a", "abandoned"),
        (b"a", "withdrawn"),
    ]
    read = CustomerTable()
    rows.RowReader().load(read, *zip(*rows.encode(table, np.arange(2)), strict=True))
    assert triggers.of(read, [0, 1]) == sent
    triggers.forget(table, [1])
    assert [key for key, _ in triggers.of(table, [0, 1])] == [b"a", b"a"]
