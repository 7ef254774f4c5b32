"""The report as one HTML page that needs nothing else: no scripts, no fonts, no network."""

from __future__ import annotations

from html import escape

from stream.evaluate.outcome import Outcome
from stream.evaluate.pictures import colour_of, lines, scatter
from stream.evaluate.report import QUESTIONS, as_text, behaviour

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: 1rem; }
.card { border: 1px solid #ddd; border-left: 6px solid; border-radius: 4px; padding: .6rem 1rem; }
.card b { display: block; } .card small { color: #666; } .card ul { margin: .4rem 0 0; padding-left: 1.1rem; }
svg { width: 100%; background: #fafafa; border: 1px solid #eee; } svg text { font-size: 11px; fill: #555; }
.mark { stroke: #999; stroke-dasharray: 4 4; } pre { overflow-x: auto; background: #fafafa; padding: 1rem; }
.key span { display: inline-block; margin-right: 1rem; } .key i { display: inline-block; width: .8em; height: .8em; }
"""


def page(outcome: Outcome) -> str:
    """Return the whole page."""
    places = {card["id"]: place for place, card in enumerate(outcome.cards())}
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Livesegment: evaluation</title>",
        f"<style>{STYLE}</style><h1>Segments of {escape(', '.join(outcome.files))}</h1>",
        f"<p>{len(outcome.customers):,} customers, {outcome.rows:,} rows. {escape(behaviour(outcome))}</p>",
        "<h2>Segments</h2>",
        _cards(outcome),
        "<h2>Customers, on the two directions in which they differ most</h2>",
        scatter(outcome.scaled, outcome.segments, places),
        _against_batch(outcome),
        _shares(outcome),
        _reliability(outcome),
        "<h2>Everything</h2>",
        f"<pre>{escape(as_text(outcome))}</pre></html>",
    ]
    return "\n".join(parts)


def _cards(outcome: Outcome) -> str:
    cards = [
        f'<div class=card style="border-left-color: {colour_of(place)}"><b>{escape(card["name"])}</b>'
        f"<small>{card['share']:.1%}, {card['size']:,} customers, id {card['id']}</small>"
        f"<p>{escape(card['sentence'])}</p></div>"
        for place, card in enumerate(outcome.cards())
    ]
    return f"<div class=cards>{''.join(cards)}</div>"


def _against_batch(outcome: Outcome) -> str:
    at = [check.at for check in outcome.checks]
    found = [check.comparison for check in outcome.checks]
    inertia = {"inertia, times batch": [one.inertia_ratio for one in found]}
    silhouette = {
        "silhouette": [one.ours.silhouette for one in found],
        "silhouette of batch": [one.batch.silhouette for one in found],
    }
    return (
        f"<h2>Squared error against batch k-means (1 is as good)</h2>{lines(inertia, at, (1.0,))}"
        f"<h2>Silhouette</h2>{lines(silhouette, at)}{_key(list(silhouette))}"
    )


def _shares(outcome: Outcome) -> str:
    at = [check.at for check in outcome.checks]
    ids = sorted({segment for check in outcome.checks for segment in check.shares})
    names = {int(segment): name for segment, name in outcome.snapshot.lineage.items()}
    series = {
        f"{names.get(segment, segment)} ({segment})": [check.shares.get(segment, 0.0) for check in outcome.checks]
        for segment in ids
    }
    return f"<h2>Shares of the segments</h2>{lines(series, at)}{_key(list(series))}"


def _reliability(outcome: Outcome) -> str:
    """Draw what was predicted and what came true, from the tenth with the least chance to that with the most."""
    found = []
    for head in outcome.snapshot.heads:
        if head.trust is not None:
            bins = head.trust.bins
            at = [f"{place}. tenth" for place in range(1, len(bins) + 1)]
            curves = {"predicted": [one.predicted for one in bins], "came true": [one.observed for one in bins]}
            title = f"Chance of {QUESTIONS[head.name]}: predicted, and what came true"
            found.append(f"<h2>{escape(title)}</h2>{lines(curves, at)}{_key(list(curves))}")
    return "".join(found)


def _key(names: list[str]) -> str:
    spans = [
        f'<span><i style="background: {colour_of(place)}"></i> {escape(name)}</span>'
        for place, name in enumerate(names)
    ]
    return f"<p class=key>{''.join(spans)}</p>"
