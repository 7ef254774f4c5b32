"""The field types that the pydantic models and the fast TypedDicts of events share, with every limit in one place."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

CUSTOMER_CHARS_MAX = 128
ID_CHARS_MAX = 256
NAME_CHARS_MAX = 100
CURRENCY_CHARS_MAX = 8
ITEMS_MAX = 500
QUANTITY_MAX = 1_000_000
MONEY_MAX = 1e11
"""Largest price or amount of one event, in major units."""
EVENT_TIME_MIN_MS = 631_152_000_000
"""1990-01-01T00:00:00Z."""
EVENT_TIME_MAX_MS = 253_402_300_799_999
"""The end of the year 9999; the clock's tolerance refuses far less."""

_IntegerText = Annotated[int, Field(strict=True, ge=-(2**63), le=2**64 - 1), AfterValidator(str)]


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("contains NUL")
    return text


FastCustomerId = Annotated[
    Annotated[str, Field(strict=True, min_length=1, max_length=CUSTOMER_CHARS_MAX)] | _IntegerText,
    Field(union_mode="left_to_right"),
]
"""A customer id, integers made text. NUL is looked for once per chunk on the fast path, see `stream.extract`."""

CustomerId = Annotated[FastCustomerId, AfterValidator(_without_nul)]
"""A customer id: 1-128 characters, never trimmed or lower-cased; JSON integers become text; no NUL, because changelog
keys that start with one are not customers."""

Id = Annotated[
    Annotated[str, Field(strict=True, min_length=1, max_length=ID_CHARS_MAX)] | _IntegerText,
    Field(union_mode="left_to_right"),
]
"""The id of an event, product or order: 1-256 characters; JSON integers become text."""

EventTime = Annotated[int, Field(strict=True, ge=EVENT_TIME_MIN_MS, le=EVENT_TIME_MAX_MS)]
"""Event time in milliseconds since 1970: an integer, never a float, text or seconds."""

Money = Annotated[float, Field(strict=True, ge=0, le=MONEY_MAX, allow_inf_nan=False)]
"""A price or amount in major units of the shop's currency."""

SignedMoney = Annotated[float, Field(strict=True, ge=-MONEY_MAX, le=MONEY_MAX, allow_inf_nan=False)]
"""A refund's amount: files write it negative, GA4 and Segment positive; its absolute value counts."""

Quantity = Annotated[int, Field(strict=True, ge=0, le=QUANTITY_MAX)]
"""Units of a product; 1 where absent."""

Currency = Annotated[str, Field(strict=True, min_length=1, max_length=CURRENCY_CHARS_MAX)]
"""ISO 4217 code; the shop's where absent."""

EventName = Annotated[str, Field(strict=True, min_length=1, max_length=NAME_CHARS_MAX)]
"""The name of a custom event, as its sender wrote it."""


Hint = Any
"""What is used where it can be, and refuses no event: a category that is not text, a discount that is no amount."""

CATEGORY_CHARS_MAX = 100


class NoneOnError:
    """Annotation for a list's items: one that does not validate becomes None, so that the others keep their positions.

    Sparing the rest of a chunk costs two thirds of judging a spoilt chunk record by record.
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_default_schema(handler(source), default=None, on_error="default")
