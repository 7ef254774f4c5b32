"""Files come out whole, in order, whatever their format."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream.errors import LivesegmentError, NotFound, WrongUsage
from stream.replay import parts, span

ROWS = [
    {
        "event_id": f"e{i}",
        "event_time": 1_700_000_000_000 + i,
        "event_type": "view_item",
        "customer_id": f"{i % 7:05d}",
        "price": i / 4,
    }
    for i in range(25_000)
]


def records(path, **overrides):
    return [record for part in parts(path, overrides) for record in part.records]


def test_a_parquet_file_comes_out_whole_and_in_order(tmp_path):
    table = pa.Table.from_pylist(ROWS)
    times = table["event_time"].cast(pa.timestamp("ms", "UTC"))
    pq.write_table(table.set_column(1, "event_time", times), tmp_path / "shop.parquet")
    found = records(tmp_path / "shop.parquet")
    assert [orjson.loads(record.value) for record in found] == ROWS
    assert [record.time_ms for record in found] == [row["event_time"] for row in ROWS]
    done = [part.done for part in parts(tmp_path / "shop.parquet", {})]
    assert done == sorted(done)
    assert done[-1] == 1.0


@pytest.mark.parametrize("times", ["points in time", "numbers", "text"])
def test_the_span_of_a_file_is_that_of_its_records(tmp_path, times):
    table = pa.Table.from_pylist([*ROWS[10:20], {**ROWS[5], "event_time": None}])
    moments = table["event_time"].cast(pa.timestamp("ms", "UTC"))
    if times != "numbers":
        column = (
            moments
            if times == "points in time"
            else pa.array([each and each.isoformat() for each in moments.to_pylist()])
        )
        table = table.set_column(1, "event_time", column)
    pq.write_table(table, tmp_path / "shop.parquet")
    said = [record.time_ms for record in records(tmp_path / "shop.parquet") if record.time_ms is not None]
    assert span(tmp_path / "shop.parquet", {}) == (min(said), max(said)) == (1_700_000_000_010, 1_700_000_000_019)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_a_file_without_a_time_has_no_span(tmp_path, suffix):
    path = tmp_path / f"shop{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([{**ROWS[0], "event_time": None}]), path)
    else:
        path.write_text({".csv": "event_time,event_type,customer_id\n,view_item,1\n", ".jsonl": "{}\n"}[suffix])
    assert span(path, {}) is None


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_times_of_any_unit_become_milliseconds(tmp_path, unit):
    table = pa.table(
        {
            "event_time": pa.array([1_700_000_000], pa.int64())
            .cast(pa.timestamp("s", "UTC"))
            .cast(pa.timestamp(unit, "UTC")),
            "event_type": ["view_item"],
            "customer_id": ["1"],
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    (record,) = records(tmp_path / "t.parquet")
    assert record.time_ms == 1_700_000_000_000


@pytest.mark.parametrize(("suffix", "separator"), [(".csv", ","), (".tsv", "\t")])
def test_a_csv_file_gives_the_same_events_and_never_turns_ids_into_numbers(tmp_path, suffix, separator):
    path = tmp_path / f"shop{suffix}"
    lines = [separator.join(ROWS[0])] + [separator.join(str(value) for value in row.values()) for row in ROWS]
    path.write_text("\ufeff" + "\n".join(lines) + "\n")
    assert [orjson.loads(record.value) for record in records(path)] == ROWS


def test_a_csv_cell_may_hold_commas_line_ends_and_nothing(tmp_path):
    path = tmp_path / "shop.csv"
    path.write_text('event_type,customer_id,event_time,category,price\nview_item,"a,b",5,"two\nlines",\nhome\n')
    first, second = [orjson.loads(record.value) for record in records(path)]
    assert first == {"event_type": "view_item", "customer_id": "a,b", "event_time": 5, "category": "two\nlines"}
    assert second == {"event_type": "home"}


def test_json_lines_in_column_form_are_mapped_and_all_others_kept(tmp_path):
    path = tmp_path / "shop.jsonl"
    order = b'{"event_type":"purchase","customer_id":"1","event_time":5,"items":[{"product_id":"p","price":1.0}]}'
    lines = [
        b'{"event_type":"purchase","customer_id":"1","event_time":5,"order_id":"o","price":2.5,"quantity":2}',
        order,
        b'{"event_name":"purchase","user_id":"2","timestamp_micros":5000,"params":{"value":3}}',
        b"{broken",
        b"",
        b'"text"',
    ]
    path.write_bytes(b"\n".join(lines))
    found = records(path)
    assert orjson.loads(found[0].value)["event_type"] == "order_line"
    assert [record.value for record in found[1:]] == [order, lines[2], b"{broken", b'"text"']
    assert [record.topic for record in found] == ["purchases"] * 3 + ["clickstream"] * 2


def test_a_missing_broken_or_unknown_file_is_one_clear_error(tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "who.csv").write_text("a,b\n1,2\n")
    for name, error in (
        ("absent.csv", NotFound),
        ("broken.parquet", LivesegmentError),
        ("shop.xlsx", WrongUsage),
        ("who.csv", WrongUsage),
    ):
        with pytest.raises(error, match=re.escape(name)):
            records(tmp_path / name)


def minor(amount):
    return int(Decimal(repr(amount)).scaleb(2).quantize(Decimal(1), ROUND_HALF_EVEN))


@pytest.mark.data
@pytest.mark.acceptance
def test_online_retail_is_mapped_to_its_published_totals(data_dir):
    path = data_dir / "uci_online_retail_purchases.parquet"
    found = [(record, orjson.loads(record.value)) for record in records(path)]
    assert len(found) == 541_909
    assert sum(record.key is None and "customer_id" not in event for record, event in found) == 135_080
    known = [event for record, event in found if record.key is not None]
    assert len({event["customer_id"] for event in known}) == 4_372
    lines = [event for event in known if event["event_type"] == "order_line"]
    refunds = [event for event in known if event["event_type"] == "refund"]
    assert len(lines) == 397_884
    assert len({event["order_id"] for event in lines}) == 18_532
    assert sum(minor(event["amount"]) for event in lines) == 891_140_790
    assert (
        sum(
            int((Decimal(repr(e["price"])) * e["quantity"]).scaleb(2).quantize(Decimal(1), ROUND_HALF_EVEN))
            for e in lines
        )
        == 891_140_790
    )
    assert sum(minor(event["amount"]) for event in refunds) == 61_134_209
    assert {record.topic for record, event in found if event["event_type"] == "adjustment"} == {"clickstream"}
    assert all("currency" not in event for event in known)


@pytest.mark.data
def test_cdnow_is_mapped_to_its_published_totals(data_dir):
    found = [(record, orjson.loads(record.value)) for record in records(data_dir / "cdnow_purchases.parquet")]
    assert len(found) == 69_659 == len({event["order_id"] for _, event in found})
    assert {event["event_type"] for _, event in found} == {"purchase"}
    assert len({record.key for record, _ in found}) == 23_570
    assert sum(minor(event["value"]) for _, event in found) == 250_031_563


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "rows", "customers", "purchases"),
    [
        ("taobao2017_clickstream", 96_168, 58_732, 2_144),
        ("rees46_2019oct01_clickstream", 17_434, 4_504, 214),
        ("synthetic_retentioneering_ecom", 31_106, 600, 470),
    ],
)
def test_the_clickstreams_come_out_whole(data_dir, name, rows, customers, purchases):
    found = records(data_dir / f"{name}.parquet")
    assert len(found) == rows
    assert len({record.key for record in found}) == customers
    assert sum(record.topic == "purchases" for record in found) == purchases
    times = [record.time_ms for record in found]
    assert times == sorted(times)
