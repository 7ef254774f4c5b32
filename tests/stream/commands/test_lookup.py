from __future__ import annotations

import pytest
from redis import Redis

from schemas.record import SegmentRecord
from schemas.redis_keys import partition_key, segment_key
from stream.embedded.redis import url

pytestmark = pytest.mark.broker

RECORD = SegmentRecord(
    segment=3, name="frequent high spenders", since=1, cart="open", confidence=0.87, as_of=2, model=4, ver=5, rev=6
)


@pytest.fixture
def redis(start_redis):
    """An empty Redis: its URL and a client."""
    address = url(start_redis())
    with Redis.from_url(address) as client:
        yield address, client


def complete(client: Redis, *numbers: int) -> None:
    for number in numbers:
        client.hset(partition_key(number), mapping={"boot": "b", "epoch": 1, "complete": 1})


def test_a_known_customer_is_found_with_the_record(livesegment, redis) -> None:
    address, client = redis
    client.hset(segment_key("café 1"), mapping=RECORD.to_hash())
    done = livesegment("lookup", "café 1", "--redis-url", address, "--json")
    assert done.code == 0
    assert done.json == {"customer_id": "café 1", "found": True, **RECORD.model_dump(mode="json")}
    words = livesegment("lookup", "café 1", LIVESEGMENT_REDIS_URL=address).out
    assert "frequent high spenders" in words


def test_an_unknown_customer_is_not_found_once_redis_is_complete(livesegment, redis) -> None:
    address, client = redis
    complete(client, 0, 1, 2, 3)
    done = livesegment("lookup", "c1", "--redis-url", address, "--json")
    assert (done.code, done.json["found"], done.json["rebuilding"]) == (3, False, False)
    assert "No event of customer 'c1'" in livesegment("lookup", "c1", "--redis-url", address).err


def test_while_redis_is_filled_anew_an_absent_customer_is_not_called_unknown(livesegment, redis) -> None:
    address, client = redis
    wiped = livesegment("lookup", "c1", "--redis-url", address, "--json")
    assert (wiped.code, wiped.json["found"], wiped.json["rebuilding"]) == (4, False, True)

    complete(client, 1, 2, 3)
    assert livesegment("lookup", "c1", "--redis-url", address).code == 4
    client.hset(partition_key(0), mapping={"boot": "b", "epoch": 1})
    assert livesegment("lookup", "c1", "--redis-url", address).code == 4
    complete(client, 0)
    assert livesegment("lookup", "c1", "--redis-url", address).code == 3
