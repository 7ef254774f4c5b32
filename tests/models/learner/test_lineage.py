from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from models import cards
from models.catalogue import MODEL_FEATURES
from models.learner.config import LearnerConfig
from models.learner.heads import DAY_MS, QUESTIONS
from models.learner.identity import Fate, Succession, first
from models.learner.learner import Learner
from models.learner.lineage import NAMES_MAX, Lineage
from models.learner.panel import Sightings
from models.learner.regression import MEMBERS
from schemas.sample import PROFILE
from schemas.snapshot import CLUSTERS_MAX, HISTORY_MAX, ModelSnapshot, OtherK

SNAPSHOT_BYTES = 65_536
START_MS = 1_700_000_000_000
MONTH_MS = 31 * DAY_MS
"""Longer than the horizons of the predictions."""


def test_births_and_ends_are_told_with_the_version_that_first_shows_them() -> None:
    lineage = Lineage()
    lineage.note(first(2))
    lineage.publish(1, 10, {0: "a", 1: "b"})
    lineage.publish(2, 20, {0: "a", 1: "b"})
    lineage.note(Succession((0, 2), (0,), (2,), (1,), 3, (Fate("split", 2, 0, 0.4), Fate("merged", 1, 0, 0.9))))
    lineage.publish(3, 30, {0: "a", 2: "c"})
    told = [(event.version, event.at, event.kind, event.segment, event.other) for event in lineage.history]
    assert told == [
        (1, 10, "born", 0, None),
        (1, 10, "born", 1, None),
        (3, 30, "split", 2, 0),
        (3, 30, "merged", 1, 0),
    ]
    assert lineage.names == {0: "a", 1: "b", 2: "c"}


def test_a_segment_that_began_and_ended_between_two_versions_was_never_there() -> None:
    lineage = Lineage()
    lineage.note(first(2))
    lineage.publish(1, 0, {0: "a", 1: "b"})
    lineage.note(Succession((0, 2), (0,), (2,), (1,), 3, (Fate("born", 2, None, 0.0), Fate("died", 1, None, 0.0))))
    lineage.note(Succession((0, 3), (0,), (3,), (2,), 4, (Fate("born", 3, None, 0.0), Fate("died", 2, None, 0.0))))
    lineage.publish(2, 1, {0: "a", 3: "d"})
    assert [(event.kind, event.segment) for event in lineage.history][2:] == [("died", 1), ("born", 3)]
    assert lineage.next_id == 4


def test_a_snapshot_of_the_version_before_is_read_and_its_lineage_goes_on(taught: Learner) -> None:
    old = taught.snapshot(5).model_dump(exclude={"clusterer", "traits", "history", "around"}) | {"format_version": 1}
    read = ModelSnapshot.model_validate(old)
    again = Learner.restore(taught.config, read).snapshot(6)
    assert again.format_version == 2
    assert again.version == read.version + 1
    assert [segment.id for segment in again.centroids] == [segment.id for segment in read.centroids]


def meet_until_sure(learner: Learner, shop: Callable, months: int = 4, customers: int = 600) -> None:
    """Let a learner see customers, of whom some order and some stay away, until all of its predictions are judged."""
    rng = np.random.default_rng(3)
    keys = rng.integers(0, 2**53, customers).astype(np.uint64)
    profiles = np.zeros((customers, len(PROFILE)))
    for month in range(months):
        now_ms = START_MS + month * MONTH_MS
        # Some came 20 days after the look before; of those some ordered, three days after it.
        for share, name, day in ((0.7, "last_seen", 20), (0.4, "last_order_at", 3)):
            came = rng.random(customers) < share
            profiles[came, PROFILE.index(name)] = now_ms - MONTH_MS + day * DAY_MS
        profiles[:, PROFILE.index("orders")] += came
        profiles[:, PROFILE.index("money_minor")] += came * rng.gamma(2.0, 3_333.3, customers)
        first = profiles[:, PROFILE.index("first_order_at")]
        first[came & (first == 0)] = now_ms - MONTH_MS + 3 * DAY_MS
        learner.meet(Sightings(keys, shop(customers, month).vectors, profiles.copy()), now_ms, customers)


@pytest.mark.parametrize("k", [6, CLUSTERS_MAX])
def test_a_snapshot_with_all_it_can_hold_stays_below_64_kb(shop: Callable, config: LearnerConfig, k: int) -> None:
    words = {name: cards.short(name) for name in MODEL_FEATURES}
    learner = Learner(replace(config, k=k, plain_words=words))
    learner.add(shop(2_000, 1).vectors, START_MS)
    learner.settle(learner.due().run())
    meet_until_sure(learner, shop)
    learner.around = tuple(OtherK(k=k, silhouette=1 / 3, smallest_share=1 / 7, stability=-1 / 9) for _ in range(5))
    for number in range(NAMES_MAX):
        learner.lineage.names[1000 + number] = "frequent often-visiting shoppers high in spend"
    learner.lineage.next_id = 1000 + NAMES_MAX
    fates = tuple(Fate("split", 1000 + number, 1, 1 / 3) for number in range(HISTORY_MAX))
    learner.lineage.note(Succession((), (), (), (), learner.lineage.next_id, fates))
    learner.lineage.publish(1, START_MS, {1000 + number: "n" for number in range(HISTORY_MAX)})
    snapshot = learner.snapshot(START_MS)
    assert len(snapshot.model_dump_json()) <= SNAPSHOT_BYTES
    assert (len(snapshot.features), len(snapshot.around)) == (len(MODEL_FEATURES), 5)
    assert len(snapshot.lineage) == NAMES_MAX
    assert len(snapshot.history) == HISTORY_MAX
    assert snapshot.base is not None
    assert [(len(head.members), len(head.trust.bins)) for head in snapshot.heads] == [(MEMBERS, 10)] * len(QUESTIONS)


def test_customers_keep_their_ids_over_a_reseed_that_finds_the_same_kinds(shop: Callable, taught: Learner) -> None:
    before = taught.snapshot(0)
    reborn = Learner.restore(replace(taught.config, k=7), before)
    reborn.add(shop(4_000, 6).vectors, 1)
    reborn.settle(reborn.due().run())
    after = reborn.snapshot(2)
    assert {segment.id for segment in before.centroids} <= {segment.id for segment in after.centroids}
    new = [event for event in after.history if event.version == after.version]
    assert [event.kind for event in new] in (["split"], ["born"])
    assert np.isclose(sum(segment.share for segment in after.centroids), 1.0)
