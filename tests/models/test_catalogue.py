from __future__ import annotations

from models.catalogue import FEATURES, MODEL_FEATURES
from models.columns import CATEGORIES, COLUMNS


def test_what_a_model_learns_from_is_marked_in_the_catalogue():
    assert sorted(MODEL_FEATURES) == sorted(name for name, feature in FEATURES.items() if feature.in_model)
    assert len(set(MODEL_FEATURES)) == len(MODEL_FEATURES)


def test_every_feature_has_words_and_every_modelled_one_a_phrase_for_much_of_it():
    for name, feature in FEATURES.items():
        assert (feature.name, bool(feature.words), bool(feature.unit)) == (name, True, True)
        assert not feature.in_model or (feature.high and feature.low)


def test_every_decayed_column_is_in_the_catalogue_and_its_words_tell_the_half_life():
    decayed = [column for column in COLUMNS if "_hl" in column and column not in COLUMNS[CATEGORIES]]
    assert len(decayed) == 24
    for column in decayed:
        days = column.rpartition("_hl")[2].rstrip("d")
        assert f"half after {days} day" in FEATURES[column].words
