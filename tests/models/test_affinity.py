"""Categories in buckets: what they sum to, whose name a bucket has, and what merges."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models import affinity
from models.affinity import BUCKETS, code, effective, labelled, shares, united

HASHES = st.integers(0, 2**64 - 1)


def labels_of(categories: list[int]) -> np.uint64:
    labels = np.uint64(0)
    for category in map(np.uint64, categories):
        labels = np.uint64(labelled(labels, affinity.bucket(category), np.uint64(affinity.signature(category))))
    return labels


@given(HASHES)
def test_a_category_has_one_bucket_and_a_signature_that_is_not_nothing(category: int) -> None:
    place, sign = divmod(code(category), 1 << affinity.SIGNATURE_BITS)
    assert 0 <= place < BUCKETS
    assert 1 <= sign < 1 << affinity.SIGNATURE_BITS


@given(st.lists(HASHES, max_size=20), st.randoms(), st.integers(0, 20))
def test_labels_are_the_same_in_any_order_and_merge(categories, random, cut: int) -> None:
    expected = labels_of(categories)
    shuffled = categories[:]
    random.shuffle(shuffled)
    assert labels_of(shuffled) == expected
    assert np.uint64(united(labels_of(shuffled[:cut]), labels_of(shuffled[cut:]))) == expected


def test_buckets_share_the_categories_of_a_shop_evenly() -> None:
    hashes = np.random.default_rng(1).integers(0, 2**64, 6_000, dtype=np.uint64)
    sizes = np.bincount([affinity.bucket(each) for each in hashes], minlength=BUCKETS)
    assert sizes.min() > 900
    assert len({code(int(each)) for each in hashes[:100]}) >= 98


@given(st.lists(st.floats(0, 1e300), min_size=BUCKETS, max_size=BUCKETS))
def test_the_effective_number_lies_between_one_and_the_buckets(weights: list[float]) -> None:
    found = effective(np.array(weights))
    assert found == 0 if sum(weights) == 0 or np.isinf(sum(weights)) else 0.99 < found <= BUCKETS + 1e-9


def test_shares_name_each_bucket_by_its_label_the_largest_first() -> None:
    shoes, hats = 5, 2**64 - 9
    weights = np.zeros(BUCKETS)
    weights[affinity.bucket(np.uint64(shoes))], weights[affinity.bucket(np.uint64(hats))] = 1.0, 3.0
    assert shares(weights, int(labels_of([shoes, hats]))) == {code(hats): 0.75, code(shoes): 0.25}
    assert shares(np.zeros(BUCKETS), 0) == {}
