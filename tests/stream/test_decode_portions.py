"""Portions of several partitions and topics are decoded in one pass, and each event keeps its place."""

from __future__ import annotations

import orjson

from stream.decode import Decoder, Portion
from tests.stream.decode_kit import ITEMS, NOW_MS, Raw, canonical, decode, event, raw


def test_two_sources_are_one_batch_whose_sparse_columns_point_into_it() -> None:
    clicks = [canonical(), b"{", event({"event_type": "add_to_cart", "product_id": "p"})]
    orders = [event({"event_type": "purchase", "value": 1, "items": ITEMS}), b"["]
    decoder = Decoder(currency="USD", currency_digits=2)
    decoded = decoder.decode([Portion(1, 0, raw(clicks)), Portion(1, 1, raw(orders))], NOW_MS)[1]
    assert decoded.batch.source.tolist() == [0, 0, 1]
    assert decoded.batch.offset.tolist() == [100, 102, 100]
    assert sorted(decoded.batch.item_event.tolist()) == [0, 1, 2, 2]
    assert (decoded.batch.cart_event.tolist(), decoded.batch.order_event.tolist()) == ([1], [2])
    assert [(letter.source, letter.offset) for letter in decoded.letters] == [(0, 101), (1, 101)]
    assert decoded.undecodable == 2


def test_nothing_read_is_an_empty_batch() -> None:
    decoded = decode()
    assert (len(decoded.batch), decoded.letters) == (0, [])


def test_offsets_with_gaps_are_kept() -> None:
    value = orjson.dumps(canonical())
    decoder = Decoder(currency="USD", currency_digits=2)
    batch = decoder.decode([Portion(0, 0, [Raw(value, offset) for offset in (1, 2, 9, 10)])], NOW_MS)[0].batch
    assert batch.offset.tolist() == [1, 2, 9, 10]
