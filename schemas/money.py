"""Rounding of money: once per event, half to even, from the decimal text of the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal

MINOR_MAX = 10**15
"""Largest amount of one event in minor units: nine of them still add up exactly in a float64."""

_EXACT = Context(prec=400, rounding=ROUND_HALF_EVEN)
CLEAR_MINOR = 1e9
CLEAR_FRACTION = 0.499
"""Below both, the error of binary arithmetic cannot reach a tie."""


def minor_units(terms: Sequence[tuple[float, int]], digits: int) -> int:
    """Sum of price x quantity over `terms`, rounded half-even to minor units of `digits` decimals.

    Prices are read as the shortest decimal text that gives the float, which is what stood in the JSON. Binary
    arithmetic decides where the result is clearly on one side (its error is below 1e-3 of a unit up to 1e9), decimals
    near a tie.

    >>> minor_units([(8.665, 1)], 2), minor_units([(1.005, 1)], 2), minor_units([(0.335, 3)], 2)
    (866, 100, 100)
    """
    scale = 10.0**digits
    near = 0.0
    for price, quantity in terms:
        near += price * quantity
    near *= scale
    if near < CLEAR_MINOR:
        rounded = round(near)
        if abs(near - rounded) < CLEAR_FRACTION:
            return rounded
    return exact_minor_units(terms, digits)


def exact_minor_units(terms: Sequence[tuple[float, int]], digits: int) -> int:
    """`minor_units` in decimal arithmetic throughout."""
    total = Decimal(0)
    for price, quantity in terms:
        total = _EXACT.add(total, _EXACT.multiply(Decimal(repr(price)), Decimal(quantity)))
    return int(_EXACT.quantize(_EXACT.scaleb(total, digits), Decimal(1)))
