"""How else a customer's two topics may have met: what decides which repeats beyond the documented horizon count.

An id is forgotten once 16 newer ones have come (semantics.md), and the events of a topic that is ahead come early. So
how the topics met matters to repeats alone: the more of the other topic came before one, the likelier that it counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from schemas.kinds import Kind
from tests.oracle.shop import Customer, Event

KEPT_IDS = 16
AHEAD_MAX = 2 * KEPT_IDS
"""Events of the other topic that are let in before a repeat: enough to forget what came days earlier, too."""
PLANS_MAX = 6_000
"""Sets of repeats that are tried for each way of beginning: four of fourteen that may count."""

Arrived = tuple[Event, bool]
"""An event, and whether it was late."""


def meetings(customer: Customer, duplicates: int) -> Iterator[Customer]:
    """The same customer with its topics met so that so many repeats do not count, each topic in its own order.

    Begins with the topics as they are, and with each wholly before the other. Then so much of the other topic is let in
    before a repeat that it counts, before one repeat after another, until no more are to count than were held.
    """
    arrived = [(event, late) for event, late, _ in customer.arrived]
    topics = [[each for each in arrived if each[0].source == source] for source in (0, 1)]
    if not all(topics):
        return
    for base in (arrived, topics[0] + topics[1], topics[1] + topics[0]):
        repeats = _again(base)
        plans: list[tuple[int, ...]] = [()]
        for _ in range(PLANS_MAX):
            if not plans:
                break
            plan = plans.pop()
            other = met(base, {repeats[at] for at in plan})
            if other.duplicates == duplicates:
                yield other
            elif other.duplicates > duplicates and (not plan or _counts(other, repeats[plan[-1]])):
                plans += [(*plan, at) for at in range(plan[-1] + 1 if plan else 0, len(repeats))]


def met(arrived: list[Arrived], counting: Collection[Event]) -> Customer:
    """Let a customer's events arrive anew, with others of the other topic before those that are to count."""
    customer = Customer()
    waiting = dict.fromkeys(range(len(arrived)))
    for at, (event, late) in enumerate(arrived):
        if at not in waiting:
            continue
        if event in counting:
            others = [later for later in waiting if later > at and arrived[later][0].source != event.source]
            for later in others[:AHEAD_MAX]:
                if not _is_known(customer, event):
                    break
                customer.take(arrived[later][0], late=arrived[later][1])
                del waiting[later]
        customer.take(event, late=late)
        del waiting[at]
    return customer


def _again(arrived: list[Arrived]) -> list[Event]:
    """The events, none of them late, whose id has come before."""
    known: set[int] = set()
    repeats = []
    for event, late in arrived:
        if event.id in known and not late:
            repeats.append(event)
        known.add(event.id)
    return repeats


def _is_known(customer: Customer, event: Event) -> bool:
    ordered = event.kind is Kind.PURCHASE and customer.order_ids.knows(event.time, event.order)
    return ordered or customer.event_ids.knows(event.time, event.id)


def _counts(customer: Customer, event: Event) -> bool:
    return any(known is event and what == "applied" for known, _, what in customer.arrived)
