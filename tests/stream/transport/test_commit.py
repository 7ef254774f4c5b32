"""An offset is committed when everything delivered before it is acknowledged, never earlier."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.transport.commit import DeliveryOrder


def test_a_batch_in_flight_at_the_head_holds_back_those_after_it() -> None:
    order = DeliveryOrder()
    for last in (4, 9, 14):
        order.delivered(last)
    assert order.committable({9, 14}) is None
    assert len(order) == 3


def test_the_acknowledged_head_is_committed_and_offered_again_until_another_follows() -> None:
    order = DeliveryOrder()
    for last in (4, 9, 14):
        order.delivered(last)
    assert order.committable({4, 9}) == 10
    assert len(order) == 1
    assert order.committable(set()) == 10
    assert order.committable({14}) == 15


def test_nothing_delivered_is_nothing_to_commit() -> None:
    assert DeliveryOrder().committable({1, 2, 3}) is None


@given(st.data())
def test_no_order_of_acknowledgements_commits_past_a_batch_that_is_not_acknowledged(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 50), min_size=1, max_size=20))
    ends = [sum(sizes[: number + 1]) - 1 for number in range(len(sizes))]
    order = DeliveryOrder()
    acked: set[int] = set()
    undelivered = list(ends)
    committed = 0
    while undelivered or len(acked) < len(ends):
        delivered = [end for end in ends if end not in undelivered]
        pending = [end for end in delivered if end not in acked]
        if undelivered and (not pending or data.draw(st.booleans())):
            order.delivered(undelivered.pop(0))
        else:
            acked.add(data.draw(st.sampled_from(pending)))
        if data.draw(st.booleans()):
            offset = order.committable(acked)
            committed = committed if offset is None else offset
            unacked = [end for end in ends if end not in acked]
            first_open = ends[ends.index(unacked[0]) - 1] + 1 if unacked and unacked[0] != ends[0] else 0
            assert committed <= (first_open if unacked else ends[-1] + 1)
    order.committable(acked)
    assert len(order) == 0
