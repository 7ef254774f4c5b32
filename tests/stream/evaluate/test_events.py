"""Files of events through the same code as a worker's, and the report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stream.commands import run as livesegment
from stream.errors import WrongUsage
from stream.evaluate import events
from stream.evaluate.page import page
from stream.evaluate.report import as_json, as_text
from stream.evaluate.vectors import Asked
from stream.settings import load

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hundred days of 300 buyers of three kinds, some rows of which are none."""
    rng = np.random.default_rng(1)
    rows = []
    for customer in range(300):
        often, money = ((40, 20.0), (4, 300.0), (1, 15.0))[customer % 3]
        days = np.sort(rng.uniform(0, 200 if customer % 3 < 2 else 30, often))
        rows += [(day, customer, round(money * rng.lognormal(0, 0.3), 2)) for day in days.tolist()]
    path = tmp_path_factory.mktemp("shop") / "orders.jsonl"
    with path.open("w") as file:
        for number, (day, customer, value) in enumerate(sorted(rows)):
            said = {
                "event_id": f"e{number}",
                "event_type": "purchase",
                "customer_id": f"c{customer}" if number % 100 else None,
                "event_time": 1_700_000_000_000 + int(day * DAY_MS),
                "order_id": f"o{number}",
                "value": value,
            }
            file.write(json.dumps(said) + "\n")
    return path


def evaluated(path: Path):
    settings = load(clusters=3, warm_up_vectors=300, clock="event")
    return events.run([path], {}, settings, Asked((path.name,), 1), lambda _done, _rows: None)


def test_buyers_of_three_kinds_become_three_segments(shop: Path) -> None:
    outcome = evaluated(shop)
    kind = [int(customer[1:]) % 3 for customer in outcome.customers]
    sizes = np.zeros((3, 3), int)
    rows = np.searchsorted(sorted(set(outcome.segments.tolist())), outcome.segments)
    np.add.at(sizes, (kind, rows), 1)
    assert sizes.max(axis=1).sum() / sizes.sum() > 0.85
    assert outcome.refused == {"missing_customer": -(-outcome.rows // 100)}
    assert outcome.rows == len(shop.read_text().splitlines())


def test_it_is_compared_with_batch_at_moments_spread_over_the_time(shop: Path) -> None:
    outcome = evaluated(shop)
    days = [check.at[:10] for check in outcome.checks]
    assert len(days) >= 8
    assert days == sorted(days)
    assert all(check.comparison.inertia_ratio >= 0.99 for check in outcome.checks)
    assert outcome.flips_per_customer_month is not None


def test_the_page_needs_nothing_else_and_names_every_segment(shop: Path) -> None:
    outcome = evaluated(shop)
    text = page(outcome)
    assert "http" not in text
    assert "<script" not in text
    assert "Only behaviour feeds this model." in text
    assert all(card["name"] in text for card in outcome.cards())
    told = [head for head in outcome.snapshot.heads if head.trust is not None]
    assert text.count("<svg") == 4 + len(told)
    assert text.count("predicted, and what came true") == len(told) > 0


def test_predictions_are_told_with_what_came_of_them_and_one_without_outcomes_is_not(shop: Path) -> None:
    outcome = evaluated(shop)
    heads = {head["name"]: head["trust"] for head in as_json(outcome)["predictions"]}
    assert heads["purchase_7d"]["outcomes"] > 100
    assert sum(each["count"] for each in heads["purchase_7d"]["bins"]) == heads["purchase_7d"]["outcomes"]
    assert "an order within 7 days: AUC 0." in as_text(outcome)
    young = replace(outcome, snapshot=outcome.snapshot.model_copy(update={"heads": []}))
    assert as_json(young)["predictions"] == []
    assert "none: too few outcomes are known" in as_text(young)


def test_buyers_have_the_scores_that_the_file_alone_gives_them(shop: Path) -> None:
    orders: dict[str, list[tuple[int, int]]] = {}
    for line in shop.read_text().splitlines():
        row = json.loads(line)
        if row["customer_id"] is not None:
            orders.setdefault(row["customer_id"], []).append((row["event_time"], round(row["value"] * 100)))
    values = np.array([(max(one)[0], len(one), sum(money for _, money in one)) for one in orders.values()])
    scores = 1 + (values[None] > np.quantile(values, [0.2, 0.4, 0.6, 0.8], axis=0)[:, None]).sum(axis=0)
    expected = dict(zip(orders, ["".join(map(str, three)) for three in scores.tolist()], strict=True))

    outcome = evaluated(shop)
    assert dict(zip(outcome.customers, [rfm for _, rfm in outcome.spelled()], strict=True)) == expected
    said, text = as_json(outcome)["buyers"], as_text(outcome)
    assert said["rfm"]["Champions"] == sum(rfm[0] == "5" and rfm[1] in "45" for rfm in expected.values()) > 0
    assert sum(said["lifecycle"].values()) == 300
    # Two thirds were there for the last time months ago, with one order or a few.
    assert said["lifecycle"]["lapsed"] > 100
    assert f"Champions {said['rfm']['Champions']}" in text


def test_the_command_prints_one_object_and_writes_labels_and_a_page(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVESEGMENT_WARM_UP_VECTORS", "300")
    labels, report = tmp_path / "l.jsonl", tmp_path / "r.html"
    words = [
        "evaluate",
        str(shop),
        "--k",
        "3",
        "--seed",
        "1",
        "--json",
        "--labels",
        str(labels),
        "--report",
        str(report),
    ]
    assert livesegment(words) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"id", "name", "size", "share"} <= said["segments"][0].keys()
    assert sum(segment["size"] for segment in said["segments"]) == said["customers"] == 300
    rows = [json.loads(line) for line in labels.read_text().splitlines()]
    assert len(rows) == 300
    assert {row["segment"] for row in rows} == {segment["id"] for segment in said["segments"]}
    assert all(len(row["vector"]) == len(said["features"]) for row in rows)
    assert sum(row["lifecycle"] == "loyal" for row in rows) == said["buyers"]["lifecycle"]["loyal"]
    assert all(len(row["rfm"]) == 3 for row in rows)
    assert report.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--vectors"], "--features A,B,C"),
        (["--truth", "kind"], "belong to --vectors"),
        (["--map", "x"], "FIELD=COLUMN"),
    ],
)
def test_options_that_do_not_fit_are_wrong_usage(
    shop: Path, words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert livesegment(["evaluate", str(shop), *words]) == 2
    assert why in capsys.readouterr().err


def test_a_file_without_any_time_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"event_type": "purchase", "customer_id": "c"}\n')
    with pytest.raises(WrongUsage, match="no row has an event time"):
        evaluated(path)
