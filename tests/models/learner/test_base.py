"""What customers are measured by: exact where the base is seen whole, the base of before where too few were seen."""

from __future__ import annotations

import numpy as np

from models.learner.base import BUYERS_MIN, SIGHTINGS_MAX, SIGHTINGS_MIN, BaseWatch
from schemas.standing import CustomerBase

RANKS = (0.2, 0.4, 0.6, 0.8)


def people(count: int, seed: int = 1) -> np.ndarray:
    """(count, 5) profiles: first order, latest order, orders, money, latest event; every fifth never ordered."""
    rng = np.random.default_rng(seed)
    orders = rng.geometric(0.5, count) * (np.arange(count) % 5 > 0)
    first = rng.uniform(1e12, 1.1e12, count)
    last = first + (orders - 1).clip(0) * rng.exponential(1e9, count)
    bought = orders > 0
    money = rng.lognormal(8, 1, count).round()
    return np.stack([first * bought, last * bought, orders, money * bought, last], axis=1)


def watch(profiles: np.ndarray, population: int | None = None) -> BaseWatch:
    made = BaseWatch()
    for start in range(0, len(profiles), 300):
        made.add(profiles[start : start + 300], len(profiles) if population is None else population)
    return made


def test_a_base_that_is_seen_whole_has_exact_quintiles() -> None:
    shop = people(3_000)
    base = watch(shop).read()
    buyers = shop[shop[:, 1] > 0]
    assert base is not None
    assert base.buyers == len(buyers)
    assert np.allclose(base.last_order_at, np.quantile(buyers[:, 1], RANKS), rtol=0, atol=0)
    assert np.allclose(base.money_minor, np.quantile(buyers[:, 3], RANKS), rtol=0, atol=0)
    assert base.orders == np.quantile(buyers[:, 2], RANKS).tolist()


def test_the_gap_is_the_mean_over_all_times_between_two_orders() -> None:
    shop = np.tile([[1_000.0, 1_000, 1, 5, 9e3], [1_000, 4_000, 4, 5, 9e3], [1_000, 6_000, 2, 5, 9e3]], (20, 1))
    base = watch(shop).read()
    assert base is not None
    assert base.gap_ms == (3_000 + 5_000) / (3 + 1)


def test_the_newest_sighting_of_a_round_counts_and_the_round_before_is_forgotten() -> None:
    shop = people(2_000)
    made = watch(shop)
    later = shop.copy()
    later[:, 3] *= 10
    made.add(later, len(later))
    base = made.read()
    assert base is not None
    assert np.allclose(base.money_minor, np.quantile(later[later[:, 1] > 0, 3], RANKS))


def test_of_a_large_base_the_edges_are_within_the_bound_of_the_sample() -> None:
    shop = people(3 * SIGHTINGS_MAX)
    base = watch(shop).read()
    assert base is not None
    money = np.sort(shop[shop[:, 1] > 0, 3])
    ranks = np.searchsorted(money, base.money_minor) / len(money)
    assert np.abs(ranks - RANKS).max() <= np.sqrt(np.log(2 / 0.004) / (2 * base.buyers))


def test_until_enough_were_seen_after_a_restart_the_base_of_before_stands() -> None:
    before = CustomerBase(buyers=9, last_order_at=[1.0] * 4, orders=[1.0] * 4, money_minor=[1.0] * 4, gap_ms=1.0)
    made = BaseWatch.of(before)
    assert made.read() == before
    made.add(people(SIGHTINGS_MIN - 1), 10 * SIGHTINGS_MIN)
    assert made.read() == before
    made.add(people(1), 10 * SIGHTINGS_MIN)
    assert made.read() != before


def test_too_few_buyers_are_no_base_and_broken_numbers_are_left_out() -> None:
    shop = people(BUYERS_MIN)
    assert watch(shop).read() is None
    shop = people(400)
    shop[3, 3] = np.nan
    base = watch(shop, population=399).read()
    assert base is not None
    assert np.isfinite(base.money_minor).all()
