"""A table of vectors, evaluated: what is learnt, what is left out, and what the report says of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from stream.errors import NotFound, WrongUsage
from stream.evaluate import vectors
from stream.evaluate.beds import FEATURES, bed
from stream.evaluate.vectors import Asked, Columns, Given, first_of_visit
from stream.settings import load

ASKED = Asked(("bed.csv",), 1)


def silent(_done: float, _rows: int) -> None:
    pass


def evaluated(given: Given, features: tuple[str, ...] = FEATURES, asked: Asked = ASKED):
    return vectors.run(given, features, load(clusters=6), asked, silent)


@pytest.fixture(scope="module")
def given() -> Given:
    made = bed(5_000, 1.0, 3)
    return Given([f"c{one}" for one in range(5_000)], made.vectors, made.kind)


def test_kinds_that_are_there_are_found_about_as_well_as_by_batch_k_means(given: Given) -> None:
    outcome = evaluated(given)
    assert outcome.truth_agreement >= 0.9 * outcome.batch_truth_agreement
    assert outcome.checks[-1].comparison.inertia_ratio < 1.02
    assert outcome.checks[-1].comparison.silhouette_ratio > 0.98
    assert sum(card["size"] for card in outcome.cards()) == 5_000
    assert [len(outcome.customers), len(outcome.segments), len(outcome.scaled)] == [5_000] * 3


def test_other_numbers_of_segments_are_tried_at_the_end(given: Given) -> None:
    around = evaluated(given).snapshot.around
    assert [one.k for one in around] == [4, 5, 6, 7, 8]
    assert all(0.0 < one.stability <= 1.0 for one in around)


def test_the_same_seed_gives_the_same_segments(given: Given) -> None:
    few = Given(given.customers[:2_000], given.raw[:2_000], None)
    assert np.array_equal(evaluated(few).segments, evaluated(few).segments)


def test_a_customer_is_where_its_last_vector_puts_it(given: Given) -> None:
    twice = Given(
        given.customers[:2_000] + given.customers[:2_000],
        np.concatenate((given.raw[2_000:4_000], given.raw[:2_000])),
        None,
    )
    outcome = evaluated(twice)
    assert len(outcome.customers) == 2_000
    alone = ((np.log1p(given.raw[:2_000]) - outcome.snapshot.mean) / outcome.snapshot.scale).clip(-4, 4)
    assert np.allclose(outcome.scaled, alone, atol=1e-4)


def test_rows_that_are_not_finite_are_counted_and_not_learnt(given: Given) -> None:
    raw = given.raw[:3_000].copy()
    raw[5:3_000:10, 2] = np.nan
    outcome = evaluated(Given(given.customers[:3_000], raw, None))
    assert outcome.refused == {"not_finite": 300}
    assert outcome.snapshot.learnt == 2_700


def test_several_vectors_of_one_visit_are_learnt_once() -> None:
    customers = ["a"] * 5 + ["b"] * 3 + [f"c{one}" for one in range(800)] + ["a"]
    first = first_of_visit(customers)
    assert np.flatnonzero(~first).tolist() == [1, 2, 3, 4, 6, 7]


def test_what_is_typical_of_a_segment_is_told_in_the_tables_own_numbers(given: Given) -> None:
    outcome = evaluated(given)
    for card in outcome.cards():
        for contrast in card["contrasts"]:
            assert (contrast["typical"] > contrast["usual"]) == (contrast["z"] > 0)
            column = given.raw[:, FEATURES.index(contrast["feature"])]
            assert column.min() - 1e-6 <= contrast["typical"] <= column.max() + 1e-6


def test_a_skewed_column_is_taken_as_its_logarithm_and_others_as_they_are() -> None:
    rng = np.random.default_rng(1)
    raw = np.column_stack((rng.lognormal(3, 1, 2_000), rng.normal(-5, 2, 2_000), rng.uniform(0, 1, 2_000)))
    columns = Columns(("a", "b", "c"), raw)
    assert columns.logged.tolist() == [True, False, False]
    seen = np.log1p(columns.given(raw))
    assert np.corrcoef(seen[:, 1], raw[:, 1])[0, 1] == pytest.approx(1.0)
    assert np.allclose(seen[:, 0], np.log1p(raw[:, 0]))


def test_a_column_of_the_catalogue_is_taken_as_the_catalogue_says() -> None:
    raw = np.random.default_rng(1).uniform(0, 300, (500, 1))
    assert Columns(("days_since_seen",), raw).logged.tolist() == [True]


def test_a_trait_needs_to_be_asked_for_and_the_report_says_so(given: Given) -> None:
    features = ("age", *FEATURES[1:])
    few = Given(given.customers[:1_500], given.raw[:1_500], None)
    with pytest.raises(WrongUsage, match="age says who somebody is"):
        evaluated(few, features)
    outcome = evaluated(few, features, Asked(("bed.csv",), 1, traits=("age",)))
    assert outcome.snapshot.traits == ["age"]


def test_too_few_vectors_are_refused_with_how_many_are_missing(given: Given) -> None:
    with pytest.raises(WrongUsage, match="900 more"):
        evaluated(Given(given.customers[:100], given.raw[:100], None))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_is_read_from_any_file_with_its_columns_in_the_order_asked_for(tmp_path: Path, suffix: str) -> None:
    table = pa.table({"b": [1, 2], "customer_id": [7, 8], "a": [0.5, None], "kind": ["x", "y"]})
    path = tmp_path / f"t.{suffix}"
    (pa.csv.write_csv if suffix == "csv" else pa.parquet.write_table)(table, path)
    found = vectors.read([path], ("a", "b"), "kind")
    assert found.customers == ["7", "8"]
    assert np.array_equal(found.raw, [[0.5, 1.0], [np.nan, 2.0]], equal_nan=True)
    assert found.truth.tolist() == ["x", "y"]


def test_a_missing_column_and_one_of_words_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("customer_id,a\n1,red\n2,blue\n")
    with pytest.raises(WrongUsage, match="no column b"):
        vectors.read([path], ("a", "b"), None)
    with pytest.raises(WrongUsage, match="column a holds"):
        vectors.read([path], ("a",), None)
    with pytest.raises(NotFound):
        vectors.read([tmp_path / "none.csv"], ("a",), None)
