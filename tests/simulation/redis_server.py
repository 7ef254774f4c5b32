"""A Redis of hashes that runs the project's own Lua scripts in a real Lua 5.1, and the client that asks it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import ormsgpack
from lupa.lua51 import LuaRuntime
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.simulation.wire import Reset, Wire

Hash = dict[bytes, bytes]
TIMEOUT_S = 10.0


class RedisServer:
    """The hashes; a wipe loses them all."""

    def __init__(self) -> None:
        self.hashes: dict[bytes, Hash] = {}
        self.on_write: Callable[[bytes, Hash], None] = lambda _key, _hash: None

    def wipe(self) -> None:
        """Lose everything, as FLUSHALL or a restart without persistence does."""
        self.hashes.clear()

    def run(self, source: str, keys: Sequence[bytes], args: Sequence[bytes]) -> Any:
        """Run a script as EVAL does: nothing comes between its commands."""
        return _lua().run(self, source, keys, args)

    def command(self, name: bytes, key: bytes, *args: Any) -> Any:
        """Do one command; None is Redis's nil."""
        given = [_bytes(arg) for arg in args]
        match name.upper():
            case b"HGET":
                return self.hashes.get(key, {}).get(given[0])
            case b"HMGET":
                stored = self.hashes.get(key, {})
                return [stored.get(name) for name in given]
            case b"HSETNX":
                if given[0] in self.hashes.get(key, {}):
                    return 0
                return self._set(key, given)
            case b"HSET":
                return self._set(key, given)
            case b"DEL":
                return int(self.hashes.pop(key, None) is not None)
        raise NotImplementedError(f"the simulated Redis does not know {name!r}")

    def _set(self, key: bytes, given: list[bytes]) -> int:
        stored = self.hashes.setdefault(key, {})
        before = len(stored)
        stored.update(zip(given[::2], given[1::2], strict=True))
        self.on_write(key, stored)
        return len(stored) - before


class RedisClient:
    """What `stream.redis_view` uses of redis.asyncio.Redis; knows which process it belongs to by who is running."""

    def __init__(self, server: RedisServer, wire: Wire) -> None:
        self._server = server
        self._wire = wire

    async def hsetnx(self, key: str, field: str, value: Any) -> int:
        return int(await self._ask(b"HSETNX", key, field, value))

    async def hget(self, key: str, field: str) -> bytes | None:
        found: bytes | None = await self._ask(b"HGET", key, field)
        return found

    async def hmget(self, key: str, fields: Sequence[str]) -> list[bytes | None]:
        found: list[bytes | None] = await self._ask(b"HMGET", key, *fields)
        return found

    def register_script(self, source: str) -> Callable[..., Any]:
        # The first word after "--" says what a script does.
        what = source.removeprefix("-- ").partition(" ")[0].lower()

        async def call(*, keys: Sequence[Any], args: Sequence[Any]) -> Any:
            return await self._request(
                lambda: self._server.run(source, [_bytes(key) for key in keys], [_bytes(arg) for arg in args]), what
            )

        return call

    async def _ask(self, name: bytes, key: str, *args: Any) -> Any:
        return await self._request(lambda: self._server.command(name, key.encode(), *args))

    async def _request(self, effect: Callable[[], Any], what: str = "") -> Any:
        try:
            return await self._wire.ask("redis", effect, TIMEOUT_S, what)
        except Reset as error:
            raise RedisConnectionError(str(error)) from None
        except TimeoutError as error:
            raise RedisTimeoutError(str(error)) from None


class _Lua:
    """Redis's own Lua: `redis.call` and `cmsgpack.unpack`, nil as false, whole numbers as answers."""

    def __init__(self) -> None:
        self._runtime = LuaRuntime(encoding=None, unpack_returned_tuples=False, register_eval=False)
        self._scripts: dict[str, Any] = {}
        self._server: RedisServer | None = None
        table = self._runtime.table_from
        self._globals = {
            b"redis": table({b"call": self._call}),
            b"cmsgpack": table({b"unpack": lambda blob: self._to_lua(ormsgpack.unpackb(blob))}),
        }
        for name, value in self._globals.items():
            self._runtime.globals()[name] = value

    def run(self, server: RedisServer, source: str, keys: Sequence[bytes], args: Sequence[bytes]) -> Any:
        script = self._scripts.get(source)
        if script is None:
            script = self._runtime.eval(b"function(KEYS, ARGV) " + source.encode() + b"\nend")
            self._scripts[source] = script
        self._server = server
        found = script(self._runtime.table_from(keys), self._runtime.table_from(args))
        return int(found) if isinstance(found, float) else found

    def _call(self, name: bytes, key: bytes, *args: Any) -> Any:
        assert self._server is not None
        found = self._server.command(name, key, *args)
        return self._to_lua(found)

    def _to_lua(self, value: Any) -> Any:
        if value is None:
            return False
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, list):
            return self._runtime.table_from([self._to_lua(each) for each in value])
        return value


@functools.cache
def _lua() -> _Lua:
    return _Lua()


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, float):
        value = int(value) if value.is_integer() else value
    return str(value).encode()
