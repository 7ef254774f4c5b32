"""Only behaviour feeds the model: features that say who somebody is need to be asked for by name.

Segments decide what people are shown. Age, sex, origin or address in them would treat people by what they are; so a
feature that sounds like one of those is refused unless it is named as a trait, and the snapshot says that it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

BEHAVIOUR = frozenset({"cart_age_s"})
"""Names that only sound like a trait."""

_TRAIT = (
    r"address|age|birth|birthdate|birthday|born|city|citizenship|country|county|disability|district|dob|education|"
    r"ethnic|ethnicity|faith|female|gender|health|income|language|latitude|location|longitude|male|marital|married|"
    r"nationality|neighbourhood|origin|orientation|politics|post_?code|postal|pregnant|race|region|religion|salary|sex|"
    r"sexual|state|street|union|zip|zipcode"
)
_SAID = re.compile(rf"(?<![A-Za-z])({_TRAIT})(?![A-Za-z])", re.IGNORECASE)
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
"""Where a word begins in camelCase and PascalCase."""


def traits_among(names: Iterable[str]) -> list[str]:
    """Names that sound like traits, in their order.

    >>> traits_among(["views_hl7d", "customer_age", "cart_age_s", "ZIPCode", "customerAge", "averageOrderValue"])
    ['customer_age', 'ZIPCode', 'customerAge']
    """
    return [name for name in names if name not in BEHAVIOUR and _SAID.search(f"{name} {_CAPITAL.sub('_', name)}")]
