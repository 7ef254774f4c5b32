from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.fields import MONEY_MAX, QUANTITY_MAX
from schemas.money import exact_minor_units, minor_units
from stream.extract_sparse import minor_array

PRICES = st.one_of(
    st.floats(0, MONEY_MAX),
    st.integers(0, 10**9).map(lambda mills: mills / 1000),
    st.integers(0, 10**6).map(lambda half: float(Decimal(half) / 100 + Decimal("0.005"))),
)
TERMS = st.lists(st.tuples(PRICES, st.integers(0, QUANTITY_MAX)), min_size=1, max_size=5)


def by_fractions(terms, digits: int) -> int:
    """Round half to even with rationals: Python's round of a Fraction is exact."""
    return round(sum(Fraction(Decimal(repr(price))) * quantity for price, quantity in terms) * 10**digits)


@given(TERMS, st.integers(0, 4))
def test_rounding_equals_rational_arithmetic(terms, digits) -> None:
    assert minor_units(terms, digits) == exact_minor_units(terms, digits) == by_fractions(terms, digits)


@given(st.lists(PRICES, max_size=20), st.integers(0, 4))
def test_a_column_of_amounts_rounds_like_each_amount(amounts, digits) -> None:
    assert minor_array(amounts, digits).tolist() == [by_fractions([(amount, 1)], digits) for amount in amounts]


@pytest.mark.parametrize(
    ("amount", "minor"),
    [(0.125, 12), (0.135, 14), (1.005, 100), (2.675, 268), (8.665, 866), (1.015, 102), (1e11, 10**13), (5e-324, 0)],
)
def test_ties_are_decided_by_the_decimal_text_to_the_even_side(amount, minor) -> None:
    assert minor_units([(amount, 1)], 2) == minor
    assert minor_array([amount, -amount], 2).tolist() == [minor, minor]


def test_a_sum_is_rounded_once() -> None:
    assert minor_units([(0.335, 1), (0.335, 1), (0.335, 1)], 2) == 100
    assert minor_units([(0.335, 3)], 2) == 100


def test_an_addend_far_below_a_cent_breaks_a_tie() -> None:
    assert minor_units([(0.125, 1), (1e-300, 1)], 2) == 13
