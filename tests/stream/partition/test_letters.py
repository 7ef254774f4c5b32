"""Dead letters keep the original bytes, and fit the broker whatever they were."""

from __future__ import annotations

from schemas.topics import DEAD_LETTERS
from stream.decode import Letter
from stream.partition.inbox import Arrived
from stream.partition.letters import buried
from tests.stream.partition.kit import START_MS, Event, Message, Raw


def bury(letter: Letter, group: list[Arrived]) -> tuple[bytes | None, bytes | None, dict[str, bytes]]:
    topic, ((key, value, headers),) = buried([letter], group, 3, now_ms=START_MS, limit_bytes=1024)
    assert topic == DEAD_LETTERS
    return key, value, dict(headers)


def test_a_letter_carries_its_bytes_and_where_they_came_from() -> None:
    key, value, headers = bury(Letter(0, 7, "bad_json", "not JSON", b"c1", b"{oops"), [])
    assert (key, value) == (b"c1", b"{oops")
    assert headers["id"] == b"clickstream/3/7"
    assert headers["reason"] == b"bad_json"


def test_a_record_refused_after_decoding_is_looked_up_by_topic_and_offset() -> None:
    records = {source: [Raw(offset, b"%d/%d" % (source, offset)) for offset in (6, 7)] for source in (0, 1)}
    group = [Arrived(source, list(raw), Event(Message("clickstream"), raw)) for source, raw in records.items()]
    _, value, _ = bury(Letter(1, 7, "key_mismatch", "", b"c1", None), group)
    assert value == b"1/7"


def test_a_key_and_a_value_near_the_brokers_limit_are_cut() -> None:
    key, value, headers = bury(Letter(0, 7, "too_large", "", b"k" * 900_000, b"v" * 900_000), [])
    assert key is not None
    assert value is not None
    assert (len(key), len(value)) == (1024, 1024)
    assert headers["size"] == b"900000"


def test_no_key_and_an_empty_key_stay_what_they_are() -> None:
    assert bury(Letter(0, 7, "bad_json", "", None, b"x"), [])[0] is None
    assert bury(Letter(0, 7, "bad_json", "", b"", b"x"), [])[0] == b""
