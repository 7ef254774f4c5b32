from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.catalogue import MODEL_FEATURES
from models.learner.naming import BACKED, NAME_LENGTH_MAX, Named, Portrait, contrasts, name_all, read_back
from models.learner.phrases import ADJECTIVES, NOUNS, PLAIN_NAME, spelled_out

FEATURES = MODEL_FEATURES
RAW = {"days_since_order": 60.0, "orders_hl180d": 3.0}


def name(*segments: dict[str, float], raw: dict[str, float] = RAW, old: list[str | None] | None = None) -> list[Named]:
    table = np.array([[segment.get(feature, 0.0) for feature in FEATURES] for segment in segments])
    raws = np.array([[raw.get(feature, 1.0) for feature in FEATURES]] * len(segments))
    return name_all(FEATURES, table, raws, old or [None] * len(segments), {})


def only_name(*, old: str | None = None, raw: dict[str, float] = RAW, **contrast: float) -> str:
    return name(contrast, raw=raw, old=[old])[0].name


def test_people_recognise_their_segments() -> None:
    assert only_name(spend_hl180d=1.6, orders_hl180d=1.7) == "frequent high spenders"
    assert only_name(views_hl30d=1.1, orders_hl180d=-0.8) == "window shoppers"
    assert only_name(days_since_seen=1.5) == "lapsed shoppers"
    assert only_name(cart_value=1.9, cart_to_order=-0.8) == "cart abandoners"
    once = {"orders_hl180d": 0.5, "days_since_order": 180.0}
    assert only_name(days_since_seen=1.7, average_order_value=1.0, orders_hl30d=-0.6, raw=once) == (
        "lapsed one-time buyers"
    )


def test_a_segment_without_a_contrast_is_plainly_average() -> None:
    assert only_name() == PLAIN_NAME
    assert only_name(spend_hl180d=BACKED - 0.01, days_since_seen=0.01 - BACKED) == PLAIN_NAME
    assert only_name(spend_hl180d=BACKED + 0.01) != PLAIN_NAME


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("feature", FEATURES)
def test_whatever_stands_out_alone_makes_a_name(feature: str, sign: int) -> None:
    found = name({feature: sign * BACKED})[0]
    assert not found.name.startswith(PLAIN_NAME)
    assert found.words == (f"{feature}: {sign * BACKED:+.1f} sd",)


def test_two_average_segments_are_still_told_apart() -> None:
    assert [named.name for named in name({}, {}, {})] == [PLAIN_NAME, f"{PLAIN_NAME} 2", f"{PLAIN_NAME} 3"]


def test_twins_get_different_true_names() -> None:
    twin = {"spend_hl180d": 1.6, "orders_hl180d": 1.7, "average_order_value": 0.9}
    names = [named.name for named in name(twin, twin, twin)]
    assert len(set(names)) == 3
    assert not any(name[-1].isdigit() for name in names)


def test_one_order_is_claimed_only_of_those_who_ordered_once() -> None:
    twice = {"orders_hl180d": 1.2, "days_since_order": 180.0}
    found = only_name(days_since_seen=1.7, average_order_value=1.0, orders_hl30d=-0.6, raw=twice)
    assert "one-time" not in found


def test_the_segment_that_spends_most_says_so_whatever_else_stands_out() -> None:
    most = {"spend_hl180d": 1.3, "orders_hl180d": 2.1, "orders_hl30d": 2.2, "days_since_seen": -1.5}
    next_to = {"spend_hl180d": 0.9, "orders_hl180d": 1.1}
    names = [named.name for named in name(next_to, most, old=[None, "recent repeat buyers"])]
    assert "high spenders" in names[1]
    assert "high spenders" in only_name(spend_hl180d=BACKED, views_hl30d=3.0, orders_hl30d=2.0)


def test_who_spends_most_keeps_a_name_that_says_so() -> None:
    most = {"spend_hl180d": 0.9, "days_since_seen": -2.5, "orders_hl180d": 0.6}
    assert only_name(**most) != "frequent high spenders"
    assert only_name(**most, old="frequent high spenders") == "frequent high spenders"


def test_nobody_is_named_after_carts_in_a_shop_that_records_none() -> None:
    without = {**RAW, "cart_adds_hl7d": 0.0}
    found = name({"cart_to_order": 2.3, "orders_hl30d": 0.9, "view_to_cart": 3.0}, raw=without)[0]
    assert "cart" not in found.name
    assert [feature for feature, _ in found.contrasts] == ["orders_hl30d"]
    assert only_name(cart_to_order=2.3, orders_hl30d=0.9) == "cart-completing shoppers"


CONTRASTS = st.lists(
    st.sampled_from([0.0, 0.0, 0.3, 0.01 - BACKED, BACKED, -BACKED, 0.9, -1.1, 2.0, -2.2, 4.0]),
    min_size=len(FEATURES),
    max_size=len(FEATURES),
)


@given(st.lists(CONTRASTS, min_size=2, max_size=8), st.floats(0, 20), st.floats(0, 365))
def test_names_are_distinct_short_and_every_word_is_backed(rows: list[list[float]], orders: float, days: float) -> None:
    table = np.array(rows)
    raw = np.ones_like(table)
    raw[:, FEATURES.index("orders_hl180d")], raw[:, FEATURES.index("days_since_order")] = orders, days
    found = name_all(FEATURES, table, raw, [None] * len(rows), {})
    assert len({named.name for named in found}) == len(found)
    for named, contrast, typical in zip(found, table, raw, strict=True):
        assert len(named.name) <= NAME_LENGTH_MAX + 3
        values = dict(zip(FEATURES, contrast.tolist(), strict=True))
        portrait = Portrait(
            values, dict(zip(FEATURES, typical.tolist(), strict=True)), (*NOUNS, *spelled_out(FEATURES))
        )
        phrases = read_back(named.name, portrait)
        assert phrases is not None
        claims = [need for phrase in phrases for need in phrase.needs]
        assert all(abs(values[feature]) >= BACKED and values[feature] * sign >= 0 for feature, sign in claims)
        assert bool(claims) == (max(map(abs, values.values())) >= BACKED)
        listed = [word.split(":")[0] for word in named.words]
        assert {feature for feature, _ in claims} <= set(listed)


def test_a_name_stays_while_its_words_are_backed_though_a_better_one_exists() -> None:
    now = {"spend_hl180d": 0.6, "orders_hl180d": 0.6, "days_since_seen": 2.5, "cart_value": 2.0}
    assert only_name(**now) != "frequent high spenders"
    assert only_name(**now, old="frequent high spenders") == "frequent high spenders"
    assert only_name(**now, old="frequent high spenders 2") == "frequent high spenders 2"


def test_a_name_goes_when_one_of_its_words_is_no_longer_backed() -> None:
    assert only_name(spend_hl180d=1.5, orders_hl180d=0.4, old="frequent high spenders") == "high spenders"
    assert only_name(spend_hl180d=1.5, old=PLAIN_NAME) == "high spenders"
    assert only_name(spend_hl180d=1.5, old="the segment formerly known as good") == "high spenders"
    assert only_name(spend_hl180d=1.5, old="shoppers") == "high spenders"


def test_an_old_name_is_not_given_to_another_segment_while_its_owner_keeps_it() -> None:
    rich = {"spend_hl180d": 2.5, "orders_hl180d": 2.5}
    less = {"spend_hl180d": 0.7, "orders_hl180d": 0.7}
    names = [named.name for named in name(rich, less, old=[None, "frequent high spenders"])]
    assert names[1] == "frequent high spenders"
    assert names[0] != names[1]


def test_a_feature_that_has_no_word_of_its_own_is_spelled_out() -> None:
    found = name_all(
        ("returns",), np.array([[1.5], [-1.5]]), np.ones((2, 1)), [None, None], {"returns": "parcels back"}
    )
    assert [named.name for named in found] == ["shoppers high in returns", "shoppers low in returns"]
    assert found[0].words == ("parcels back: +1.5 sd",)


def test_contrasts_are_in_deviations_and_a_feature_without_spread_has_none() -> None:
    found = contrasts(np.array([[3.0, 5.0]]), np.array([1.0, 4.0]), np.array([2.0, 0.0]))
    assert found.tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("phrase", [*ADJECTIVES, *NOUNS], ids=lambda phrase: phrase.text)
def test_every_phrase_claims_a_contrast_the_model_can_see(phrase) -> None:
    assert phrase.needs
    assert {feature for feature, _ in phrase.needs} <= set(FEATURES)


def test_adjectives_are_single_words_and_no_noun_ends_in_another() -> None:
    assert not [phrase.text for phrase in ADJECTIVES if " " in phrase.text]
    texts = {noun.text for noun in NOUNS}
    assert not [(a, b) for a in texts for b in texts if a != b and a.endswith(f" {b}")]
