"""One partition's part of Redis: boot id, claim, fenced writes.

The boot id is random and lives in Redis only: a wiped Redis has none, so a writer that stood before the wipe is
refused after it. It is read *before* the marker proves ownership (docs/exactness: holes H5 to H7 of the protocol).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from enum import IntEnum
from importlib import resources
from typing import Any, TypeAlias

import ormsgpack
import redis.asyncio
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from schemas.redis_keys import partition_key
from stream.errors import RedisClaimed, RedisUnreachable

Record: TypeAlias = Sequence[str | int]
"""Redis key, rev, then field, value, field, value..."""

RETRYABLE = (RedisConnectionError, RedisTimeoutError, OSError)
TEMPORARY = (
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "NOREPLICAS",
    "NOSCRIPT",
    "OOM",
    "READONLY",
    "TRYAGAIN",
)
"""Refusals that pass: an operator mends memory, disk or a failover meanwhile; scripts flushed twice are sent again."""


class Claim(IntEnum):
    """What a claim or a write found."""

    WIPED = -1
    INCOMPLETE = 0
    COMPLETE = 1


class NotNow(RedisConnectionError):  # noqa: N818 (says what Redis said)
    """Redis answered that it cannot at the moment: retried like one that does not answer."""


class Wiped(Exception):  # noqa: N818 (not an error: the view says that it must be rebuilt)
    """Redis is not the one that this owner filled: rebuild the partition's records."""


def _source(name: str) -> str:
    return resources.files("stream.redis_view").joinpath(name).read_text(encoding="utf-8")


class RedisView:
    """The records of one partition in Redis, written by the owner whose boot id and epoch are the stored ones."""

    def __init__(self, client: redis.asyncio.Redis, number: int) -> None:
        self.number = number
        self.boot = ""
        self.epoch = -1
        self.writes = 0
        """Commands that wrote records and were answered."""
        self._client = client
        self._key = partition_key(number)
        # register_script sends the digest and falls back to the source where Redis has forgotten it.
        self._write = client.register_script(_source("write.lua"))
        self._claim = client.register_script(_source("claim.lua"))
        self._forget = client.register_script(_source("forget.lua"))
        self._finish = client.register_script(_source("finish.lua"))

    async def read_boot(self) -> str:
        """Return the partition's boot id, created where Redis has none. To be read before the marker is written."""
        await _ask(self._client.hsetnx(self._key, "boot", secrets.token_hex(8)))
        return _text(await _ask(self._client.hget(self._key, "boot")))

    async def claim(self, boot: str, epoch: int) -> Claim:
        """Claim the partition under `boot` and `epoch`. Raises Fenced where a newer owner claimed it."""
        found = int(await _ask(self._claim(keys=[self._key], args=[boot, epoch])))
        self._refuse_newer(found, epoch)
        if found != Claim.WIPED:
            self.boot, self.epoch = boot, epoch
        return Claim(found)

    async def write(self, records: Sequence[Record]) -> int:
        """Write `records` where their rev is higher, in one command; return how many. Raises Wiped and Fenced."""
        if not records:
            return 0
        blob = ormsgpack.packb([self.boot, self.epoch, records])
        found = int(await _ask(self._write(keys=[self._key], args=[blob])))
        self._refuse_newer(found, self.epoch)
        if found == Claim.WIPED:
            raise Wiped
        self.writes += 1
        return found

    async def forget(self, keys: Sequence[str]) -> int:
        """Remove records; return how many were there. Raises Wiped and Fenced."""
        blob = ormsgpack.packb([self.boot, self.epoch, list(keys)])
        found = int(await _ask(self._forget(keys=[self._key], args=[blob])))
        self._refuse_newer(found, self.epoch)
        if found == Claim.WIPED:
            raise Wiped
        return found

    async def finish(self) -> None:
        """Say that every record is written. Raises Wiped where Redis lost them meanwhile."""
        if not int(await _ask(self._finish(keys=[self._key], args=[self.boot, self.epoch]))):
            raise Wiped

    async def intact(self) -> bool:
        """Whether boot id, epoch and completeness are as this owner left them. Raises Fenced."""
        found = await _ask(self._client.hmget(self._key, ["boot", "epoch", "complete"]))
        boot, epoch, complete = (_text(value) for value in found)
        if boot == self.boot and epoch and int(epoch) > self.epoch:
            self._refuse_newer(-2, self.epoch)
        return boot == self.boot and epoch == str(self.epoch) and bool(complete)

    def _refuse_newer(self, found: int, epoch: int) -> None:
        if found == -2:
            raise RedisClaimed(
                f"partition {self.number}: a newer owner claimed it in Redis (this one has epoch {epoch})"
            )


async def _ask(reply: Any) -> Any:
    """Await a reply (redis-py types it as maybe awaitable); NotNow where Redis refused for the time being."""
    try:
        return await reply
    except ResponseError as error:
        # redis-py takes the code off the message where it has a class for it.
        code = getattr(error, "status_code", None) or str(error).partition(" ")[0]
        if code in TEMPORARY:
            raise NotNow(f"{code}: {error}") from error
        raise


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")


async def connect(url: str, security: Mapping[str, Any] | None = None) -> redis.asyncio.Redis:
    """Connect to the one Redis (or Valkey) server at `url`. Raises RedisUnreachable; refuses a cluster.

    `security`: options of `stream.security.redis_options`.
    """
    options = dict(security or {})
    client = redis.asyncio.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=3, protocol=2, **options)
    try:
        info = await client.info("cluster")
    except (*RETRYABLE, ResponseError) as error:
        await client.aclose()
        raise RedisUnreachable(f"Redis at {where(url)} does not answer: {error}") from error
    if info.get("cluster_enabled"):
        await client.aclose()
        raise RedisUnreachable(
            f"Redis at {where(url)} is a cluster",
            action="use a single Redis or Valkey server, with replicas if you like: one script writes many keys",
        )
    return client


def where(url: str) -> str:
    """Return the host and port of a Redis URL, without credentials.

    >>> where("redis://:secret@localhost:6379/0")
    'localhost:6379'
    """
    return url.rpartition("@")[2].removeprefix("redis://").removeprefix("rediss://").partition("/")[0]
