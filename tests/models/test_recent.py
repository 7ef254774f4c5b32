from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import recent
from models.recent import EVENT_WINDOW_MINUTES, KEPT, LATE_MS, RecentIds
from tests.oracle.histories import START, spread
from tests.oracle.shop import DAY, HOUR, MINUTE
from tests.oracle.shop import RecentIds as Definition

IDS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(0, 40)), min_size=1, max_size=80)
"""(customer, hour, id) in order of arrival."""


@pytest.fixture
def ids() -> RecentIds:
    fresh = RecentIds(EVENT_WINDOW_MINUTES)
    fresh.grow(64)
    return fresh


def _admit(ids: RecentIds, slot: list[int], time: list[int], hashes: list[int]) -> list[bool]:
    slots, row = np.unique(np.array(slot), return_inverse=True)
    kept = ids.take(slots)
    known = [
        recent.admit(kept[at], each, np.uint64(low), EVENT_WINDOW_MINUTES)
        for at, each, low in zip(row.tolist(), time, hashes, strict=True)
    ]
    ids.put(slots, kept)
    return known


@settings(max_examples=300)
@given(IDS, st.sets(st.integers(1, 79)))
def test_ids_admitted_in_any_cut_repeat_as_the_definition_says(arrivals, cuts):
    ids = RecentIds(EVENT_WINDOW_MINUTES)
    ids.grow(64)
    definitions = [Definition(1) for _ in range(3)]
    found, expected = [], []
    bounds = [0, *sorted(cut for cut in cuts if cut < len(arrivals)), len(arrivals)]
    for start, end in pairwise(bounds):
        part = arrivals[start:end]
        times = [START + hour * HOUR for _, hour, _ in part]
        found += _admit(ids, [slot for slot, _, _ in part], times, [spread(number) for _, _, number in part])
        expected += [
            definitions[slot].repeats(time, spread(number)) for (slot, _, number), time in zip(part, times, strict=True)
        ]
    assert found == expected
    kept = [[(minute << 39) | low for minute, low in reversed(definition.kept)] for definition in definitions]
    assert [ids.get(slot) for slot in range(3)] == kept


def test_only_the_newest_16_are_kept_whatever_the_order(ids):
    times = [START + number * HOUR for number in range(40)]
    assert not any(_admit(ids, [0] * 40, times[::-1], [spread(n) for n in range(40)][::-1]))
    assert _admit(ids, [0] * 2, [times[24], times[23]], [spread(24), spread(23)]) == [True, False]


def test_ids_agree_when_39_bits_of_their_hashes_do(ids):
    assert _admit(ids, [0, 0, 0], [START] * 3, [5, 5 + 2**39, 6]) == [False, True, False]


def test_the_same_id_outside_the_window_is_another_event(ids):
    times = [START, START + DAY, START + 3 * DAY]
    assert _admit(ids, [0, 0, 0], times, [5, 5, 5]) == [False, True, False]
    assert [_admit(ids, [1], [time], [5]) for time in times] == [[False], [True], [False]]


def test_pruning_frees_rows_that_are_used_again(ids):
    _admit(ids, [0, 1], [START, START + 9 * DAY], [1, 2])
    last_seen = np.array([START, START + 9 * DAY], dtype=np.float64)
    horizon = START + LATE_MS + (EVENT_WINDOW_MINUTES + 1) * MINUTE
    assert (ids.prune(last_seen, horizon), ids.prune(last_seen, horizon + 1), len(ids)) == (0, 1, 1)
    _admit(ids, [2], [START], [3])
    assert (ids.get(0), len(ids.get(2)), len(ids), ids._used) == ([], 1, 2, 3)


def test_gathered_ids_load_into_another_pool_except_those_too_old(ids):
    _admit(ids, [0, 1, 1], [START, START + 9 * DAY, START + 9 * DAY], [1, 2, 3])
    slots, last_seen = np.array([0, 1]), np.array([START, START + 9.0 * DAY])
    other = RecentIds(EVENT_WINDOW_MINUTES)
    other.grow(64)
    other.load(slots, ids.gather(slots), last_seen, START + 9 * DAY)
    assert (other.get(0), other.get(1)) == ([], ids.get(1))
    other.load(slots, np.zeros((2, KEPT), dtype=np.uint64), last_seen, 0)
    assert (other.get(1), len(other)) == ([], 0)


def test_pools_of_many_blocks_hold_the_same_as_one(monkeypatch):
    rng = np.random.default_rng(3)
    pools = []
    for bits in (19, 2):
        monkeypatch.setattr(recent, "_BLOCK_BITS", bits)
        monkeypatch.setattr(recent, "_BLOCK", 1 << bits)
        pool = RecentIds(EVENT_WINDOW_MINUTES)
        pool.grow(64)
        rng = np.random.default_rng(3)
        known = [
            _admit(pool, rng.integers(0, 50, 30).tolist(), [START] * 30, rng.integers(0, 60, 30).tolist())
            for _ in range(20)
        ]
        pools.append((known, [pool.get(slot) for slot in range(50)]))
    assert pools[0] == pools[1]


@given(st.lists(st.integers(1, 60), max_size=16, unique=True), st.lists(st.integers(1, 60), max_size=16, unique=True))
def test_merged_sets_are_the_newest_16_of_both(left, right):
    sets = [np.array([values + [0] * (KEPT - len(values))], dtype=np.uint64) for values in (left, right)]
    newest = sorted({*left, *right}, reverse=True)[:KEPT]
    assert recent.merge(*sets)[0].tolist() == newest + [0] * (KEPT - len(newest))
