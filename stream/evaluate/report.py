"""The report of an evaluation as text and as JSON."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from schemas.head import Head
from schemas.standing import LIFECYCLES, rfm_group
from stream.evaluate.outcome import Check, Outcome

BEHAVIOUR_ONLY = "Only behaviour feeds this model."
EVENTS_SHOWN = 20


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return everything as one JSON object; shares are 0 to 1."""
    snapshot = outcome.snapshot
    flips = outcome.flips_per_customer_month
    return {
        "files": list(outcome.files),
        "rows": outcome.rows,
        "refused": outcome.refused,
        "seconds": round(outcome.seconds, 2),
        "customers": len(outcome.customers),
        "k": snapshot.k,
        "features": snapshot.features,
        "traits": snapshot.traits,
        "learnt": snapshot.learnt,
        "segments": outcome.cards(),
        "checks": [_check(check) for check in outcome.checks],
        "flips_per_customer_month": None if flips is None else round(flips, 4),
        "truth": _truth(outcome),
        "drift": [{"learnt": one.learnt, "at": one.at_ms} for one in outcome.moments if one.what == "alarm"],
        "buyers": _buyers(outcome),
        "predictions": [_prediction(head) for head in snapshot.heads if head.trust is not None],
        "challenges": dict(Counter(one.what for one in outcome.moments if one.what != "alarm")),
        "lineage": [event.model_dump() for event in snapshot.history],
        "around": [one.model_dump() for one in snapshot.around],
    }


def as_text(outcome: Outcome) -> str:
    """Return the report for a terminal."""
    return "\n".join(
        [
            *_head(outcome),
            "",
            *_segments(outcome),
            "",
            *_checks(outcome),
            "",
            *_standings(outcome),
            *_predictions(outcome),
            "",
            *_changes(outcome),
        ]
    )


def write_labels(outcome: Outcome, path: Path) -> None:
    """Write one JSON object a customer: customer_id, segment, and the vector as the model sees it.

    Of files of events also `lifecycle` and `rfm`, null where there is none.
    """
    said = [{"lifecycle": lifecycle, "rfm": rfm} for lifecycle, rfm in outcome.spelled()]
    standings = said or [{}] * len(outcome.customers)
    rows = zip(outcome.customers, outcome.segments.tolist(), standings, outcome.scaled.tolist(), strict=True)
    with path.open("wb") as file:
        for customer, segment, standing, vector in rows:
            line = {"customer_id": customer, "segment": segment, **standing, "vector": vector}
            file.write(orjson.dumps(line) + b"\n")


def behaviour(outcome: Outcome) -> str:
    """Return the sentence that says what the model was learnt from."""
    traits = outcome.snapshot.traits
    return BEHAVIOUR_ONLY if not traits else f"Not only behaviour feeds this model: {', '.join(traits)}."


def _head(outcome: Outcome) -> list[str]:
    refused = sum(outcome.refused.values())
    rows = f"{outcome.rows:,} rows of {', '.join(outcome.files)}: {len(outcome.customers):,} customers"
    lines = [f"{rows}, {outcome.snapshot.learnt:,} vectors learnt, {outcome.seconds:.1f} s", behaviour(outcome)]
    if refused:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(outcome.refused.items()))
        lines.append(f"{refused:,} rows could not be used: {reasons}")
    return lines


def _segments(outcome: Outcome) -> list[str]:
    lines = ["SEGMENTS"]
    for card in outcome.cards():
        lines.append(f"{card['share']:6.1%}  {card['size']:>8,}  {card['name']} ({card['id']})")
        lines += [f"                  {each['z']:+.1f} sd  {each['words']}" for each in card["contrasts"]]
    return lines


def _checks(outcome: Outcome) -> list[str]:
    lines = [
        "AGAINST BATCH K-MEANS (k-means++, best of 10, fitted to everybody at that moment)",
        "at                   customers  inertia  silhouette  batch     DB  batch   ARI  largest   held",
    ]
    for check in outcome.checks:
        found = check.comparison
        lines.append(
            f"{check.at:<20} {check.customers:>9,}{found.inertia_ratio:>9.3f}{found.ours.silhouette:>12.3f}"
            f"{found.batch.silhouette:>7.3f}{found.ours.davies_bouldin:>7.2f}{found.batch.davies_bouldin:>7.2f}"
            f"{found.agreement:>6.2f}{found.ours.largest_share:>9.1%}{check.held_elsewhere:>7.1%}"
        )
    truth = _truth(outcome)
    if truth:
        lines.append(f"agreement with the truth (ARI): {truth['agreement']:.3f}; batch k-means {truth['batch']:.3f}")
    flips = outcome.flips_per_customer_month
    if flips is not None and sum(check.customer_months for check in outcome.checks) > len(outcome.customers):
        lines.append(f"moves from segment to segment: {flips:.3f} a customer and month")
    return lines


def _buyers(outcome: Outcome) -> dict[str, dict[str, int]]:
    """Count customers by lifecycle, in its order, and buyers by the group of their RFM scores, the largest first."""
    said = outcome.spelled()
    stages = Counter(lifecycle for lifecycle, _ in said)
    groups = Counter(rfm_group(rfm) for _, rfm in said if rfm is not None)
    return {
        "lifecycle": {stage: stages[stage] for stage in LIFECYCLES if stages[stage]},
        "rfm": dict(groups.most_common()),
    }


def _standings(outcome: Outcome) -> list[str]:
    found = _buyers(outcome)
    titles = {"lifecycle": "lifecycle, by each one's own rhythm", "rfm": "buyers by recency and frequency"}
    lines = []
    for name, counts in found.items():
        if counts:
            told = ", ".join(f"{group.replace('_', ' ')} {count:,}" for group, count in counts.items())
            lines.append(f"{titles[name]}: {told}")
    return ["BUYERS", *lines, ""] if lines else []


QUESTIONS = {"purchase_7d": "an order within 7 days", "churn_30d": "no event at all for 30 days"}


def _predictions(outcome: Outcome) -> list[str]:
    lines = ["PREDICTIONS (each made before its outcome was known; AUC 0.5 is chance)"]
    for head in outcome.snapshot.heads:
        if head.trust is not None:
            found = head.trust
            lines.append(
                f"{QUESTIONS[head.name]}: AUC {found.auc:.3f}, log loss {found.log_loss:.4f} "
                f"(the mean rate for everybody: {found.log_loss_of_rate:.4f}), "
                f"off by {found.calibration_error:.1%} on average; last {found.outcomes:,} outcomes"
            )
    return lines if len(lines) > 1 else [*lines, "none: too few outcomes are known, they take 7 and 30 days"]


def _prediction(head: Head) -> dict[str, Any]:
    return {
        "name": head.name,
        "labels": head.labels,
        "positives": head.positives,
        "trust": head.trust.model_dump() if head.trust else None,
    }


def _changes(outcome: Outcome) -> list[str]:
    alarms = [one for one in outcome.moments if one.what == "alarm"]
    ended = Counter(one.what for one in outcome.moments if one.what != "alarm")
    told = ", ".join(f"{what} {count}" for what, count in ended.items())
    lines = [
        "CHANGES",
        f"drift alarms: {', '.join(f'after {one.learnt:,} vectors' for one in alarms[:EVENTS_SHOWN]) or 'none'}",
        f"how challenges ended: {told}",
    ]
    for event in list(outcome.snapshot.history)[-EVENTS_SHOWN:]:
        other = {"split": f" out of {event.other}", "merged": f" into {event.other}"}.get(event.kind, "")
        lines.append(f"model {event.version}: segment {event.segment} {event.kind}{other}")
    for one in outcome.snapshot.around:
        few = "  <- a segment under 2 %" if one.smallest_share < 0.02 else ""
        lines.append(
            f"k {one.k}: silhouette {one.silhouette:.3f}, smallest {one.smallest_share:.1%}, "
            f"stability {one.stability:.2f}{few}"
        )
    return lines


def _check(check: Check) -> dict[str, Any]:
    found = check.comparison
    return {
        "at": check.at,
        "customers": check.customers,
        "inertia": found.ours.inertia,
        "inertia_batch": found.batch.inertia,
        "inertia_ratio": found.inertia_ratio,
        "silhouette": found.ours.silhouette,
        "silhouette_batch": found.batch.silhouette,
        "davies_bouldin": found.ours.davies_bouldin,
        "davies_bouldin_batch": found.batch.davies_bouldin,
        "agreement": found.agreement,
        "largest_share": found.ours.largest_share,
        "held_elsewhere": check.held_elsewhere,
        "flips": check.flips,
        "customer_months": check.customer_months,
        "shares": {str(segment): share for segment, share in check.shares.items()},
    }


def _truth(outcome: Outcome) -> dict[str, float] | None:
    if outcome.truth_agreement is None or outcome.batch_truth_agreement is None:
        return None
    return {"agreement": outcome.truth_agreement, "batch": outcome.batch_truth_agreement}
