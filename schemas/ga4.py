"""Google Analytics 4: which of its event names are which kind.

Names that are canonical already (`view_item`, `purchase`, ...) need no line here. Source: the GA4 recommended events;
`view_search_results` and `select_item` accompany another event of the same step and stay plain activity.
"""

from __future__ import annotations

GA4_NAMES: dict[str, str] = {
    "add_shipping_info": "checkout_step",
    "add_payment_info": "checkout_step",
}
