"""`livesegment export`: one row a customer, read from the changelog alone."""

from __future__ import annotations

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from kafka import KafkaProducer

from models import features, rows
from models.catalogue import FEATURES
from models.columns import COL, CustomerTable
from schemas.topics import CHANGELOG
from stream import topics
from stream.clients import kafka_admin
from stream.partition.meta import META_KEY, OWNER_KEY, Meta
from stream.settings import load

pytestmark = pytest.mark.broker

NOW_MS = 1_700_000_000_000
CUSTOMERS = 60
COLUMNS = ("customer_id", "segment", "ver", "epoch", "events", "orders", "spend_minor", "refunds_minor")
COLUMNS += ("first_seen", "last_seen", "last_order_at")


def partition_state(number):
    """(table, meta) of one partition: customers with counts that say who they are, a third of them warming up."""
    meta = Meta(clock={"mode": "event", "now_ms": NOW_MS, "ahead": {}})
    loyal, lapsed = meta.name_index("loyal"), meta.name_index("lapsed")
    table = CustomerTable()
    for i in range(number, CUSTOMERS, 4):
        slot = table.add_all([f"c{i}"])
        row = table.gather(slot)
        row[0, COL.events], row[0, COL.orders], row[0, COL.spend_minor] = i + 1, i % 5, 100 * i
        row[0, COL.first_seen], row[0, COL.last_seen] = NOW_MS - 10_000_000 - i, NOW_MS - i
        row[0, COL.views_hl7d], row[0, COL.ver], row[0, COL.epoch] = i / 7, i, 3
        row[0, COL.segment] = (-1, 4, 9)[i % 3]
        row[0, COL.names] = (0, loyal, lapsed)[i % 3]
        table.scatter(slot, row)
    return table, meta


@pytest.fixture(scope="module")
def kafka(broker):
    """A broker whose changelog holds four partitions' customers, some rows in an older version as well."""
    settings = load(kafka=broker)
    with kafka_admin(settings) as admin:
        topics.create(admin, settings)
    producer = KafkaProducer(bootstrap_servers=broker, enable_idempotence=False)
    for number in range(4):
        table, meta = partition_state(number)
        producer.send(CHANGELOG, b"", OWNER_KEY, partition=number)
        empty = CustomerTable()
        empty.add_all([table.ids[0]])
        for key, value in rows.encode(empty, np.array([0])) + rows.encode(table, np.arange(len(table))):
            producer.send(CHANGELOG, value, key, partition=number)
        producer.send(CHANGELOG, meta.encode(), META_KEY, partition=number)
    producer.flush()
    producer.close()
    return broker


def test_a_parquet_file_has_one_row_a_customer_with_every_feature(kafka, livesegment, tmp_path) -> None:
    done = livesegment("export", tmp_path / "out.parquet", "--kafka", kafka, "--json")
    assert done.code == 0, done.err
    assert done.json["rows"] == CUSTOMERS
    table = pq.read_table(tmp_path / "out.parquet")
    assert set(table.column_names) == {*COLUMNS, "name", *FEATURES}
    found = {row["customer_id"]: row for row in table.to_pylist()}
    assert set(found) == {f"c{i}" for i in range(CUSTOMERS)}
    for i in range(CUSTOMERS):
        row = found[f"c{i}"]
        assert [row[name] for name in COLUMNS[1:]] == [
            *((None, 4, 9)[i % 3], i, 3, i + 1, i % 5, 100 * i, 0),
            *(NOW_MS - 10_000_000 - i, NOW_MS - i, 0),
        ]
        assert row["name"] == ("warming_up", "loyal", "lapsed")[i % 3]


def test_the_features_are_those_of_the_partitions_own_clock(kafka, livesegment, tmp_path) -> None:
    livesegment("export", tmp_path / "out.parquet", "--kafka", kafka)
    found = {row["customer_id"]: row for row in pq.read_table(tmp_path / "out.parquet").to_pylist()}
    for number in range(4):
        table, _ = partition_state(number)
        for slot, customer in enumerate(table.ids):
            expected = features.describe(table, slot, NOW_MS)
            assert {name: found[customer][name] for name in expected} == pytest.approx(expected)


def test_csv_and_json_lines_say_the_same_as_parquet(kafka, livesegment, tmp_path) -> None:
    for name in ("out.parquet", "out.csv", "out.jsonl"):
        assert livesegment("export", tmp_path / name, "--kafka", kafka).code == 0
    expected = sorted(pq.read_table(tmp_path / "out.parquet").to_pylist(), key=lambda row: row["customer_id"])
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert sorted(lines, key=lambda row: row["customer_id"]) == expected
    with (tmp_path / "out.csv").open() as file:
        table = sorted(csv.DictReader(file), key=lambda row: row["customer_id"])
    for row, parquet in zip(table, expected, strict=True):
        assert row["customer_id"] == parquet["customer_id"]
        assert row["segment"] == ("" if parquet["segment"] is None else str(parquet["segment"]))
        assert int(row["last_seen"]) == parquet["last_seen"]
        assert float(row["views_hl7d"]) == parquet["views_hl7d"]


@pytest.mark.parametrize(("segment", "remainder"), [("4", 1), ("loyal", 1), ("Lapsed", 2), ("warming_up", 0)])
def test_one_segment_can_be_chosen_by_id_or_name(kafka, livesegment, tmp_path, segment, remainder) -> None:
    done = livesegment("export", tmp_path / "out.jsonl", "--kafka", kafka, "--segment", segment, "--json")
    assert done.json["rows"] == CUSTOMERS / 3
    ids = [json.loads(line)["customer_id"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert all(int(customer[1:]) % 3 == remainder for customer in ids)


def test_an_unknown_segment_is_not_found_and_leaves_no_file(kafka, livesegment, tmp_path) -> None:
    done = livesegment("export", tmp_path / "out.csv", "--kafka", kafka, "--segment", "kings")
    assert done.code == 3
    assert "lapsed, loyal, warming_up" in done.err
    assert not list(tmp_path.glob("*out.csv*"))


@pytest.mark.parametrize(("out", "code"), [("out.xlsx", 2), ("no/such/folder/out.csv", 1)])
def test_a_file_that_cannot_be_written_is_one_clear_line(kafka, livesegment, tmp_path, out, code) -> None:
    done = livesegment("export", tmp_path / out, "--kafka", kafka)
    assert done.code == code
    assert done.err.count("\n") == 1
