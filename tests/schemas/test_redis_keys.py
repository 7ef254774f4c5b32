"""A customer id, whatever characters it has, is one key of its own: no pattern, no hash tag, no other family."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.redis_keys import KEYS, partition_key, segment_key

ODD = st.sampled_from([*"*?[]{}:\n\r\0\\ '\"%é日\u202e", "livesegment", "segment", "partition", "complete", "boot"])
IDS = st.lists(ODD | st.text(max_size=5), max_size=12).map("".join) | st.text(max_size=128)
PREFIX = "segment:"


@given(IDS)
def test_the_id_is_all_of_the_key_behind_its_prefix(customer: str) -> None:
    assert segment_key(customer) == PREFIX + customer


@given(IDS, IDS)
def test_two_customers_never_share_a_key(one: str, other: str) -> None:
    assert (segment_key(one) == segment_key(other)) == (one == other)


@given(IDS, st.integers(0, 999))
def test_no_customer_reaches_a_partitions_key(customer: str, number: int) -> None:
    assert segment_key(customer) != partition_key(number)


@given(IDS)
def test_a_key_is_of_one_documented_family(customer: str) -> None:
    heads = [info.pattern.partition("{")[0] for info in KEYS]
    assert [head for head in heads if segment_key(customer).startswith(head)] == [PREFIX]
