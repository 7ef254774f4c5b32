"""The partition's own row: what it says is what it said."""

from __future__ import annotations

import orjson
import pytest

from stream.partition import meta as module
from stream.partition.meta import Meta, TopicPosition, UnknownMetaVersion


def full() -> Meta:
    return Meta(
        sent=41,
        topics={"clickstream": TopicPosition(7, 6, 1_700_000_000_000, 2), "purchases": TopicPosition()},
        reasons={"bad_json": 2},
        clock={"mode": "event", "now_ms": 5, "ahead": {"c1": 9}},
        names=["", "occasional browsers"],
        partitions=4,
        judged=3,
        epoch=12,
    )


def test_a_row_reads_back_as_it_was_written() -> None:
    assert Meta.decode(full().encode()) == full()


def test_a_row_of_another_version_is_refused_by_its_number() -> None:
    said = orjson.loads(full().encode()) | {"version": 9}
    with pytest.raises(UnknownMetaVersion, match="version 9; this program knows 1"):
        Meta.decode(orjson.dumps(said))


def test_a_row_from_before_partitions_were_noted_does_not_know_them() -> None:
    said = orjson.loads(full().encode())
    del said["partitions"], said["judged"], said["epoch"]
    read = Meta.decode(orjson.dumps(said))
    assert (read.partitions, read.judged, read.epoch) == (0, 0, 0)


def test_a_name_keeps_its_index_and_the_empty_one_is_index_0() -> None:
    meta = Meta()
    assert [meta.name_index(name) for name in ("a", "b", "a", "")] == [1, 2, 1, 0]
    assert Meta.decode(meta.encode()).name_index("b") == 2


def test_names_beyond_the_limit_share_the_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NAMES_MAX", 3)
    meta = Meta()
    assert [meta.name_index(name) for name in ("a", "b", "c", "d", "a")] == [1, 2, 0, 0, 1]
    assert len(meta.names) == 3


def test_a_row_of_an_older_epoch_is_behind_whatever_it_counted() -> None:
    mine, zombies = Meta(sent=3, names=["", "a"], epoch=9), Meta(sent=8, names=["", "b", "c"], epoch=4)
    assert zombies.behind(mine)
    assert not mine.behind(Meta(sent=3, names=["", "a"], epoch=9))
    # Written late, after the newer owner read its state and before it first wrote.
    assert not Meta(sent=1, names=[""], epoch=9).behind(zombies)
