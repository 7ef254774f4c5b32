from __future__ import annotations

import io

from rich.console import Console

from stream.commands.console import line, view
from stream.commands.feed import CUSTOMERS, LAG, LATENCY_P99, SEGMENT_SIZE, STALE_S, Figures, Picture, Share
from stream.settings import load


def metric(name: str, value: float, /, **labels: object) -> dict:
    return {"name": name, "value": value, "labels": labels}


def test_figures_of_partitions_are_added_and_the_worst_latency_counts() -> None:
    figures = Figures()
    for partition in (0, 1):
        figures.take(metric(LAG, 5, partition=partition), 0.0)
        figures.take(metric(LATENCY_P99, 10 + partition, partition=partition), 0.0)
    figures.take(metric(LAG, 1, partition=1), 1.0)
    assert figures.total(LAG) == 6
    assert figures.worst(LATENCY_P99) == 11
    assert figures.total(CUSTOMERS) is None


def test_a_figure_that_nobody_renews_is_dropped() -> None:
    figures = Figures()
    figures.take(metric(LAG, 5, partition=0), 0.0)
    figures.take(metric(LAG, 7, partition=1), STALE_S)
    figures.drop_stale(STALE_S + 1)
    assert figures.total(LAG) == 7


def test_segments_are_summed_over_partitions_and_the_largest_comes_first() -> None:
    figures = Figures()
    for partition, one, two in ((0, 10, 40), (1, 20, 30)):
        figures.take(metric(SEGMENT_SIZE, one, partition=partition, segment=1, name="new"), 0.0)
        figures.take(metric(SEGMENT_SIZE, two, partition=partition, segment=2, name="loyal"), 0.0)
    assert figures.segments() == [Share(2, "loyal", 70, 0.7), Share(1, "new", 30, 0.3)]


def rendered(picture: Picture) -> str:
    out = io.StringIO()
    Console(file=out, width=110).print(view(picture, 65.0, load(kafka="k:1", redis_url="redis://u:hunter2@r:1/0")))
    return out.getvalue()


def test_the_view_shows_segments_with_size_share_and_bar_and_the_latest_changes() -> None:
    change = {"customer_id": "c1", "previous_name": "new", "current_name": "[bold]loyal", "reason": "behaviour"}
    text = rendered(
        Picture(
            events_per_s=1234.4,
            lag=0,
            latency_p50_ms=5.25,
            latency_p99_ms=21,
            customers=100,
            changes=1,
            segments=[Share(2, "loyal", 70, 0.7), Share(1, "new", 30, 0.3)],
            latest=[change],
        )
    )
    for words in ("1,234 events/s", "lag 0", "p50 5.2 ms", "p99 21 ms", "70.0%", "30.0%", "█", "new → [bold]loyal"):
        assert words in text
    assert "hunter2" not in text


def test_before_the_first_figure_nothing_is_invented() -> None:
    assert "- events/s" in rendered(Picture())
    assert "No segments yet" in rendered(Picture())
    assert "- events/s | lag -" in line(Picture(), 0.0)
