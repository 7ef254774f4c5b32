"""Figures of RFM scores, lifecycles and predictions on real customers, against a batch job and the future."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.catalogue import MODEL_FEATURES
from models.chances import probabilities
from models.learner.base import BaseWatch
from models.learner.heads import QUESTIONS, LearnedHead
from models.learner.trust import measure
from models.standing import profiles, spelled
from schemas.standing import LIFECYCLES
from stream.evaluate.events import Shop
from stream.evaluate.lab import CDNOW, DATA, RETAIL
from stream.replay import parts
from stream.sampling import Sweep
from stream.settings import load

DAY_MS = 86_400_000
RANKS = (0.2, 0.4, 0.6, 0.8)
FIRST_LOOK_DAYS, LOOK_DAYS, AHEAD_DAYS = 120, 30, 30


def rfm() -> Iterator[dict[str, Any]]:
    """Scores after the last event against quintiles that are computed from the file alone."""
    for name, least in ((RETAIL, 0.99), (CDNOW, 0.9)):
        path = DATA / name
        if not path.is_file():
            yield {"stage": "rfm", "file": name, "skipped": "no such file: set LIVESEGMENT_DATA"}
            continue
        shop, watch = Shop(load(clock="event")), BaseWatch()
        for part in parts(path, {}):
            shop.apply(part.records)
        rows = shop.table.gather(np.random.default_rng(1).permutation(shop.everybody))
        watch.add(profiles(rows), len(rows))
        batch = _batch(path)
        said = _scores(shop, watch)
        equal = float(np.mean([said.get(customer) == scores for customer, scores in batch.items()]))
        yield {
            "stage": "rfm",
            "file": name,
            "buyers": len(batch),
            "buyers_measured_on": (base.buyers if (base := watch.read()) else 0),
            "equal": round(equal, 5),
            "held": equal >= least,
        }


def _scores(shop: Shop, watch: BaseWatch) -> dict[str, str]:
    """RFM by customer, of those who have one."""
    found = shop.standings(watch.read(), shop.now_ms)
    assert found is not None
    said = {customer: spelled(one)[1] for customer, one in zip(shop.table.ids, found.tolist(), strict=True)}
    return {customer: scores for customer, scores in said.items() if scores is not None}


def _batch(path: Path) -> dict[str, str]:
    """RFM by customer from the file: no code of ours."""
    table = pq.read_table(path, columns=["event_time", "event_type", "customer_id", "amount", "order_id"])
    table = table.filter(table["customer_id"].is_valid())
    kind = np.array(table["event_type"].to_pylist())
    names, customer = np.unique(np.array(table["customer_id"].to_pylist()), return_inverse=True)
    minor = np.rint(np.array(table["amount"].to_pylist(), np.float64) * 100)
    time_ms = table["event_time"].to_numpy().astype("datetime64[ms]").astype(np.float64)
    bought, refunded = kind == "purchase", kind == "refund"
    last = np.zeros(len(names))
    np.maximum.at(last, customer[bought], time_ms[bought])
    orders = np.array(table["order_id"].to_pylist(), dtype=object)[bought].astype(str)
    pairs = np.unique(np.stack([customer[bought].astype(str), orders]), axis=1)[0].astype(np.int64)
    count = np.bincount(pairs, minlength=len(names)).astype(np.float64)
    money = np.bincount(customer[bought], minor[bought], len(names))
    money -= np.bincount(customer[refunded], np.abs(minor[refunded]), len(names))
    buyers = np.flatnonzero(last)
    digits = [
        1 + (value[:, None] > np.quantile(value, RANKS)[None, :]).sum(axis=1)
        for value in (last[buyers], count[buyers], np.maximum(money[buyers], 0))
    ]
    return {str(names[at]): f"{r}{f}{m}" for at, r, f, m in zip(buyers.tolist(), *digits, strict=True)}


def lifecycle() -> Iterator[dict[str, Any]]:
    """CDNOW once a month: of the customers in each stage, how many order within 30 days."""
    path = DATA / CDNOW
    if not path.is_file():
        yield {"stage": "lifecycle", "file": path.name, "skipped": "no such file: set LIVESEGMENT_DATA"}
        return
    records = [record for part in parts(path, {}) for record in part.records if record.time_ms is not None]
    times = np.array([record.time_ms for record in records])
    called, bought = np.zeros(len(LIFECYCLES) + 1, np.int64), np.zeros(len(LIFECYCLES) + 1, np.int64)
    shop, done = Shop(load(clock="event")), 0
    for day in range(FIRST_LOOK_DAYS, 545 - AHEAD_DAYS + 1, LOOK_DAYS):
        now_ms = int(times[0]) + day * DAY_MS
        upto = int(np.searchsorted(times, now_ms, side="right"))
        shop.apply(records[done:upto])
        done = upto
        buyers = {
            (record.key or b"").decode()
            for record in records[upto : np.searchsorted(times, now_ms + AHEAD_DAYS * DAY_MS)]
        }
        stage, buys = _look(shop, buyers, now_ms)
        called += np.bincount(stage, minlength=len(called))
        bought += np.bincount(stage[buys], minlength=len(called))
        lapsed = stage == LIFECYCLES.index("lapsed") + 1
        share = float(buys[lapsed].mean()) if lapsed.any() else 0.0
        line = {"stage": "lifecycle", "day": day, "lapsed": int(lapsed.sum()), "of_them_buy": round(share, 4)}
        yield {**line, "all_buy": round(float(buys.mean()), 4), "held": share < 0.05}
    for at, name in enumerate(LIFECYCLES, 1):
        share = float(bought[at] / max(1, called[at]))
        yield {"stage": "lifecycle_all", "lifecycle": name, "customer_months": int(called[at]), "buy": round(share, 4)}


def _look(shop: Shop, buyers: set[str], now_ms: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(N,) the stage of every customer, and whether it is among those who will buy."""
    rows = shop.table.gather(shop.everybody)
    watch = BaseWatch()
    watch.add(profiles(rows), len(rows))
    found = shop.standings(watch.read(), now_ms)
    assert found is not None
    return found // 1_000, np.array([customer in buyers for customer in shop.table.ids])


def prediction() -> Iterator[dict[str, Any]]:
    """CDNOW week by week: orders in the next 7 days, foretold online from late labels, against batch regression.

    The batch is fitted to the very outcomes of the second half that it is scored on: nobody who learns beforehand can
    be expected to do better.
    """
    path = DATA / CDNOW
    if not path.is_file():
        yield {"stage": "prediction", "file": path.name, "skipped": "no such file: set LIVESEGMENT_DATA"}
        return
    shop, head = Shop(load(clock="event")), LearnedHead(QUESTIONS[0], MODEL_FEATURES, seed=7)
    records = [record for part in parts(path, {}) for record in part.records if record.time_ms is not None]
    times = np.array([record.time_ms for record in records])
    kept: list[tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]] = []
    done = 0
    for day in range(7, 545 - 7 + 1, 7):
        now_ms = int(times[0]) + day * DAY_MS
        upto = int(np.searchsorted(times, now_ms, side="right"))
        shop.apply(records[done:upto])
        done = upto
        # In the scattered order of a sweep, as workers send them.
        slots = Sweep().next(len(shop.table), len(shop.table))
        seen = shop.sightings(slots, now_ms)
        logs = np.log1p(np.maximum(seen.vectors, 0.0))
        predicted = probabilities(head.weights(), logs) if head.ready else np.full(len(slots), np.nan)
        head.see(seen, now_ms, len(slots))
        buyers = {record.key for record in records[upto : np.searchsorted(times, now_ms + 7 * DAY_MS)]}
        kept.append((logs, np.array([shop.table.ids[slot].encode() in buyers for slot in slots.tolist()]), predicted))
    half = kept[len(kept) // 2 :]
    logs, came, predicted = (np.concatenate([part[at] for part in half]) for at in range(3))
    ours, batch = measure(predicted, came), measure(_fitted(logs, came), came)
    assert ours is not None
    assert batch is not None
    yield {
        "stage": "prediction",
        "rows": len(came),
        "rate": round(float(came.mean()), 4),
        "labels": head.labels,
        "auc": round(ours.auc, 4),
        "auc_batch": round(batch.auc, 4),
        "log_loss": round(ours.log_loss, 5),
        "log_loss_batch": round(batch.log_loss, 5),
        "calibration_error": round(ours.calibration_error, 5),
        "held": ours.auc >= batch.auc - 0.005 and ours.calibration_error <= 0.01,
    }


def _fitted(logs: NDArray[np.float64], came: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N,) probabilities by logistic regression on all of it: Newton's method, a ridge of 1 on scaled features."""
    deviation = logs.std(axis=0)
    told = deviation > 1e-9
    points = np.c_[np.ones(len(logs)), (logs[:, told] - logs[:, told].mean(axis=0)) / deviation[told]]
    weights, ridge = np.zeros(points.shape[1]), np.eye(points.shape[1])
    ridge[0, 0] = 0.0
    for _ in range(25):
        chance = 1.0 / (1.0 + np.exp(-points @ weights))
        slope = points.T @ (chance - came) + ridge @ weights
        weights -= np.linalg.solve((points.T * (chance * (1 - chance))) @ points + ridge, slope)
    chances: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-points @ weights))
    return chances


STAGES = {"rfm": rfm, "lifecycle": lifecycle, "prediction": prediction}
