"""The oracle: what events mean, one customer and one event at a time, written to be read.

Every customer keeps all events that counted; features are computed from that list by their definitions. It shares
nothing with `models` but the kinds of events and what the fields of an `EventBatch` mean, and it is slow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from schemas.kinds import Kind

MINUTE, HALF_HOUR, HOUR, DAY = 60_000, 1_800_000, 3_600_000, 86_400_000
LATE = 24 * HOUR
CART_KEPT = 50
YEAR_1990 = 631_152_000_000

COUNTED = {
    "views": Kind.VIEW_ITEM,
    "cart_adds": Kind.ADD_TO_CART,
    "cart_removes": Kind.REMOVE_FROM_CART,
    "checkouts": Kind.BEGIN_CHECKOUT,
    "searches": Kind.SEARCH,
    "wishlist_adds": Kind.ADD_TO_WISHLIST,
}
ORDER_KINDS = (Kind.PURCHASE, Kind.ORDER_LINE)
MONEY_KINDS = (Kind.PURCHASE, Kind.ORDER_LINE, Kind.REFUND)


def bucket_of(category: int) -> int:
    """Which of six buckets a category's hash is in."""
    return (category >> 32) * 6 >> 32


@dataclass(frozen=True)
class Operation:
    """One change of a cart; product 0 with quantity 0 clears it."""

    product: int
    quantity: int
    price: int


@dataclass(frozen=True)
class Event:
    """One event as a person would write it down."""

    customer: str
    time: int
    kind: Kind
    id: int
    source: int = 0
    offset: int = 0
    key: bytes | None = None
    products: tuple[int, ...] = ()
    operations: tuple[Operation, ...] = ()
    order: int = 0
    amount: int = 0
    discount: int = 0
    categories: tuple[int, ...] = ()
    night: bool = False
    weekend: bool = False
    opens_order: bool = False


class RecentIds:
    """The newest 16 ids; newer is a later minute, then a higher hash."""

    def __init__(self, window_days: int) -> None:
        self.window = window_days * 24 * 60
        self.kept: list[tuple[int, int]] = []

    def knows(self, time: int, identity: int) -> bool:
        minute, low = _packed(time, identity)
        return any(low == known and abs(minute - then) <= self.window for then, known in self.kept)

    def repeats(self, time: int, identity: int) -> bool:
        """Whether it is known; if not, it is from now on."""
        if self.knows(time, identity):
            return True
        self.kept = sorted([*self.kept, _packed(time, identity)])[-16:]
        return False


def _packed(time: int, identity: int) -> tuple[int, int]:
    return (time - YEAR_1990) // MINUTE, identity % 2**39


@dataclass
class Cart:
    value: int = 0
    items: int = 0
    oldest_add: int = 0
    truncated: bool = False


@dataclass
class Customer:
    """Everything that counted for one customer."""

    events: list[Event] = field(default_factory=list)
    """What counted."""
    arrived: list[tuple[Event, bool, str]] = field(default_factory=list)
    """(event, whether it was late, what became of it) of everything that came, in order."""
    duplicates: int = 0
    late: int = 0
    next_offset: list[int] = field(default_factory=lambda: [0, 0])
    event_ids: RecentIds = field(default_factory=lambda: RecentIds(1))
    order_ids: RecentIds = field(default_factory=lambda: RecentIds(30))

    def take(self, event: Event, *, late: bool) -> str:
        """Let one event happen; what became of it: applied, replayed, event_repeat or order_repeat."""
        outcome = self._outcome(event, late=late)
        self.arrived.append((event, late, outcome))
        return outcome

    def _outcome(self, event: Event, *, late: bool) -> str:
        if event.offset < self.next_offset[event.source]:
            return "replayed"
        self.next_offset[event.source] = event.offset + 1
        if not late and self.event_ids.repeats(event.time, event.id):
            self.duplicates += 1
            return "event_repeat"
        if event.kind in ORDER_KINDS:
            known = False
            if not late or event.kind is Kind.ORDER_LINE:
                known = self.order_ids.repeats(event.time, event.order)
            if known and event.kind is Kind.PURCHASE:
                self.duplicates += 1
                return "order_repeat"
            event = replace(event, opens_order=not known)
        self.events.append(event)
        self.late += late
        return "applied"

    def decayed(self, half_life_days: int, now: int, amounts: list[tuple[int, float]]) -> float:
        return math.fsum(amount * 0.5 ** ((now - time) / (half_life_days * DAY)) for time, amount in amounts)

    def interests(self, now: int) -> dict[int, float]:
        """Bucket of categories -> what it got, each counting half after 30 days."""
        buckets = {bucket_of(category) for e in self.events for category in e.categories}
        return {
            bucket: self.decayed(
                30, now, [(e.time, 1.0) for e in self.events for c in e.categories if bucket_of(c) == bucket]
            )
            for bucket in buckets
        }

    def effective_categories(self) -> float:
        # As of the latest event: time moves all of them alike.
        weights = list(self.interests(self.last_seen).values())
        total = sum(weights)
        return 1 / sum((weight / total) ** 2 for weight in weights) if total else 0.0

    def cart_floor(self) -> tuple[int, int]:
        """(time of the latest clear, time that a cart operation must be later than to count)."""
        cleared = max(
            (e.time for e in self.events for o in e.operations if not o.product and not o.quantity), default=0
        )
        bought = [e.time for e in self.events if e.kind in ORDER_KINDS]
        return cleared, max([cleared, *bought, self.last_seen - 30 * DAY])

    def cart_operations(self) -> list[tuple[int, int, int, int, int]]:
        """(time, event id, product, quantity, price) of everything that counts, in order."""
        _, floor = self.cart_floor()
        return sorted(
            (e.time, e.id, o.product, o.quantity, o.price)
            for e in self.events
            if e.operations and e.time > floor
            for o in e.operations
            if (o.product, o.quantity) != (0, 0)
        )

    def cart(self) -> Cart:
        operations = self.cart_operations()
        kept = operations[-CART_KEPT:]
        cart = Cart(truncated=len(operations) > CART_KEPT)
        for product in {operation[2] for operation in kept}:
            items = sum(quantity for _, _, p, quantity, _ in kept if p == product)
            value = sum(quantity * price for _, _, p, quantity, price in kept if p == product)
            if items > 0:
                cart.items += items
                cart.value += max(0, value)
        cart.oldest_add = min((time for time, _, _, quantity, _ in kept if quantity > 0), default=0)
        return cart

    def sessions(self, now: int) -> int:
        newest = max(now, self.last_seen) // HALF_HOUR
        slots = {e.time // HALF_HOUR for e in self.events if e.kind not in MONEY_KINDS}
        seen = {slot for slot in slots if newest - slot < 336}
        return sum(1 for slot in seen if slot + 1 not in seen)

    @property
    def first_seen(self) -> int:
        return min(e.time for e in self.events)

    @property
    def last_seen(self) -> int:
        return max(e.time for e in self.events)

    @property
    def last_order_at(self) -> int:
        return max((e.time for e in self.events if e.kind in ORDER_KINDS), default=0)

    @property
    def first_order_at(self) -> int:
        return min((e.time for e in self.events if e.kind in ORDER_KINDS), default=0)

    def features(self, now: int) -> dict[str, float]:
        """Every feature at a moment, by its name."""
        now = max(now, self.last_seen)
        orders = [(e.time, 1.0) for e in self.events if e.opens_order]
        spent = [(e.time, float(e.amount)) for e in self.events if e.kind in ORDER_KINDS]
        refunded = [(e.time, float(e.amount)) for e in self.events if e.kind is Kind.REFUND]
        money = spent + [(time, -amount) for time, amount in refunded]
        cart = self.cart()
        bits = {product >> 58 for e in self.events for product in e.products}
        never = self.last_order_at == 0
        found = {
            "days_since_seen": min((now - self.last_seen) / DAY, 365),
            "days_since_order": 365 if never else min((now - self.last_order_at) / DAY, 365),
            "first_seen": self.first_seen,
            "last_seen": self.last_seen,
            "first_order_at": self.first_order_at,
            "last_order_at": self.last_order_at,
            "events": len(self.events),
            "duplicates": self.duplicates,
            "late": self.late,
            "custom": sum(e.kind is Kind.ACTIVITY for e in self.events),
            "orders": len(orders),
            "spend_minor": sum(amount for _, amount in spent),
            "refunds_minor": sum(amount for _, amount in refunded),
            "average_order_value": sum(amount for _, amount in spent) / max(1, len(orders)),
            "sessions_7d": self.sessions(now),
            "distinct_products": -64 * math.log(max(64 - len(bits), 0.5) / 64),
            "cart_value": cart.value,
            "cart_items": cart.items,
            "cart_age_s": (now - cart.oldest_add) / 1000 if cart.oldest_add else 0,
            "cart_truncated": cart.truncated,
        }
        for name, kind in COUNTED.items():
            times = [(e.time, 1.0) for e in self.events if e.kind is kind]
            for days in (1, 7, 30):
                found[f"{name}_hl{days}d"] = self.decayed(days, now, times)
        for days in (7, 30, 180):
            found[f"orders_hl{days}d"] = self.decayed(days, now, orders)
            found[f"spend_hl{days}d"] = max(0.0, self.decayed(days, now, money))
        found["categories_hl30d"] = self.effective_categories()
        discount = sum(e.discount for e in self.events if e.kind in ORDER_KINDS)
        found["discount_share"] = discount / max(1, discount + found["spend_minor"])
        found["night_share"] = (sum(e.night for e in self.events) + 2 * 8 / 24) / (len(self.events) + 2)
        found["weekend_share"] = (sum(e.weekend for e in self.events) + 2 * 2 / 7) / (len(self.events) + 2)
        found["view_to_cart"] = (found["cart_adds_hl30d"] + 2 * 0.1) / (found["views_hl30d"] + 2)
        adds = found["cart_adds_hl30d"]
        found["cart_to_order"] = (min(found["orders_hl30d"], adds) + 2 * 0.3) / (adds + 2)
        return found

    def sizes(self, now: int) -> dict[str, float]:
        """For features whose terms may cancel, the sum of absolute terms: what rounding is measured by."""
        now = max(now, self.last_seen)
        money = [(e.time, float(e.amount)) for e in self.events if e.kind in MONEY_KINDS]
        return {f"spend_hl{days}d": self.decayed(days, now, money) for days in (7, 30, 180)}


@dataclass
class Counts:
    """What became of the events."""

    applied: int = 0
    event_repeat: int = 0
    order_repeat: int = 0
    replayed: int = 0
    refused: int = 0
    late: int = 0
    custom: int = 0


def own_key(customer: str, key: bytes | None) -> bool:
    """Whether a Kafka key is the customer's; events that say none are not looked at."""
    return key is None or key == customer.encode()


class Shop:
    """All customers of one partition, one event after the other.

    `right_key(customer, key)` is asked about the first event of each customer.
    """

    def __init__(self, right_key: Callable[[str, bytes | None], bool] = own_key) -> None:
        self.right_key = right_key
        self.customers: dict[str, Customer] = {}
        self.watermark = [0, 0]
        self.counts = Counts()

    def take(self, event: Event) -> bool:
        """Let one event happen, in the order in which the log has it; False where its key is not its customer's."""
        self.watermark[event.source] = max(self.watermark[event.source], event.time)
        if event.customer not in self.customers:
            if not self.right_key(event.customer, event.key):
                self.counts.refused += 1
                return False
            self.customers[event.customer] = Customer()
        late = event.time < self.watermark[event.source] - LATE
        outcome = self.customers[event.customer].take(event, late=late)
        setattr(self.counts, outcome, getattr(self.counts, outcome) + 1)
        if outcome == "applied":
            self.counts.late += late
            self.counts.custom += event.kind is Kind.ACTIVITY
        return True
