"""Only behaviour feeds the model."""

from __future__ import annotations

import pytest

from models.catalogue import FEATURES, MODEL_FEATURES
from models.learner.config import LearnerConfig
from models.learner.traits import BEHAVIOUR, traits_among


def test_no_feature_of_the_catalogue_is_a_trait() -> None:
    assert traits_among(FEATURES) == []
    assert set(FEATURES) >= BEHAVIOUR


@pytest.mark.parametrize("name", ["age", "customer_age", "Gender", "home-country", "postcode_2", "is_female"])
def test_what_says_who_somebody_is_is_refused_unless_it_is_asked_for(name: str) -> None:
    features = (*MODEL_FEATURES, name)
    with pytest.raises(ValueError, match=name):
        LearnerConfig(features, k=4)
    assert LearnerConfig(features, k=4, traits=(name,)).traits == (name,)


@pytest.mark.parametrize("name", ["average_order_value", "stage", "packages", "sessions", "page_views", "statements"])
def test_words_that_only_contain_one_are_behaviour(name: str) -> None:
    assert traits_among([name]) == []


@pytest.mark.parametrize(
    "name",
    [
        "customerAge",
        "ageGroup",
        "maritalStatus",
        "ZIPCode",
        "CustomerAge",
        "homeZIP",
        "shipPostCode",
        "isFemale2",
        "AGE",
    ],
)
def test_a_trait_is_recognised_however_its_words_are_joined(name: str) -> None:
    assert traits_among([name]) == [name]


@pytest.mark.parametrize("name", ["averageOrderValue", "pageViews", "PackagesSent", "sessionsPerWeek", "PAGEViews"])
def test_joined_words_that_only_contain_one_are_behaviour(name: str) -> None:
    assert traits_among([name]) == []
