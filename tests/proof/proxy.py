"""A TCP proxy that breaks the network between two real processes, while the test runs and as the test says.

    worker ──► Proxy.address ──► the server's own port
                 up ──────►
                 ◄────── down

Each direction has a `Flow`, changed at any time and valid for connections that are open already: delay, bandwidth,
slices (many small segments instead of few large ones), silence. Three more faults are of whole connections: `reset`
(RST to both ends), `half_open` (the server's end is gone, the client's stays open and silent) and `refuse`.

TCP promises that bytes arrive in order or not at all. Whoever lost bytes to silence is therefore reset when it heals:
a network that loses packets for good ends in exactly that. The counters say what was done, so that a test can tell a
fault from one that met no traffic.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

T = TypeVar("T")

HOST = "127.0.0.1"
CHUNK_BYTES = 64 * 1024
WAITING_CHUNKS = 256
"""Chunks of one direction that wait for their time to come; a faster sender is held back by TCP itself."""
LINGER_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing sends RST instead of FIN."""
ANSWER_S = 10.0


@dataclass(frozen=True, slots=True)
class Flow:
    """What happens to the bytes of one direction."""

    delay_s: float = 0.0
    """Added to every chunk; the order is kept."""
    bytes_per_s: float = 0.0
    """Bandwidth of each connection; 0 is unlimited."""
    slice_bytes: int = 0
    """Longest piece written at once; 0 writes what came."""
    silent: bool = False
    """Bytes are taken and never passed on; nobody is told."""


@dataclass(slots=True)
class Counters:
    """What passed and what was done to it, since the start."""

    connections: int = 0
    refused: int = 0
    resets: int = 0
    up_bytes: int = 0
    down_bytes: int = 0
    lost_bytes: int = 0


@dataclass(eq=False, slots=True)
class Link:
    """One connection through the proxy: the client's end, the server's end, and whether bytes are missing."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    holed: bool = False
    half: bool = False
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Proxy:
    """A proxy on a free loopback port, in a thread of its own. A context manager; any thread may call its methods."""

    def __init__(self) -> None:
        self.port = 0
        self.upstream = 0
        """Port of the real server; to be set before the first connection."""
        self.count = Counters()
        self._up = Flow()
        self._down = Flow()
        self._refusing = False
        self._links: set[Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._listener: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """host:port that clients are told."""
        return f"{HOST}:{self.port}"

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._links)

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(ANSWER_S)
        self._loop.close()

    def flow(self, *, up: Flow | None = None, down: Flow | None = None) -> None:
        """Set what happens to a direction from now on; a direction not given stays as it is."""
        self._run(self._set(up, down))

    def refuse(self) -> None:
        """Reset every connection, open and to come, until `heal`."""
        self._refusing = True
        self.reset()

    def reset(self) -> None:
        """Send RST to both ends of every open connection."""
        self._run(self._reset(list(self._links)))

    def half_open(self) -> None:
        """Let the server see a reset while the client keeps its connection, which stays silent until `heal`."""
        self._run(self._halve())

    def heal(self) -> None:
        """Pass everything on again, at once; connections that lost bytes or an end are reset."""
        self._refusing = False
        self._run(self._set(Flow(), Flow()))
        self._run(self._reset([link for link in self._links if link.holed or link.half]))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ANSWER_S)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._accept, HOST, 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        await self._reset(list(self._links))
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        # What was aborted just now is closed in the loop's next turn.
        await asyncio.sleep(0)

    async def _set(self, up: Flow | None, down: Flow | None) -> None:
        self._up, self._down = up or self._up, down or self._down

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.count.connections += 1
        if self._refusing:
            self.count.refused += 1
            _abort(writer)
            return
        link = Link(writer)
        self._links.add(link)
        try:
            from_server, link.server = await asyncio.open_connection(HOST, self.upstream)
        except OSError:
            self.count.refused += 1
            self._links.discard(link)
            _abort(writer)
            return
        if link not in self._links:
            # Reset while the server's end was being opened.
            _abort(link.server)
            return
        link.tasks = [
            asyncio.create_task(self._pump(link, reader, link.server, lambda: self._up)),
            asyncio.create_task(self._pump(link, from_server, writer, lambda: self._down)),
        ]
        ends = (link.client, link.server)
        try:
            await asyncio.wait(link.tasks)
            if link in self._links:
                self._links.discard(link)
                for end in ends:
                    end.close()
                await asyncio.gather(*(end.wait_closed() for end in ends), return_exceptions=True)
        except asyncio.CancelledError:
            for end in ends:
                _abort(end)
            raise

    async def _pump(
        self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flow: Callable[[], Flow]
    ) -> None:
        """Pass one direction on until its sender ends; then tell the other end so."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(WAITING_CHUNKS)
        writing = asyncio.create_task(self._write(link, waiting, writer, flow))
        try:
            while data := await reader.read(CHUNK_BYTES):
                if flow().silent or link.half:
                    link.holed = True
                    self.count.lost_bytes += len(data)
                    continue
                await waiting.put((time.monotonic() + flow().delay_s, data))
            await waiting.put((0.0, b""))
            await writing
            # What was swallowed before the end cannot be followed by the end.
            if not (link.holed or link.half) and writer.can_write_eof():
                writer.write_eof()
        except (ConnectionError, OSError, RuntimeError):
            if not link.half:
                await self._reset([link])
        finally:
            writing.cancel()

    async def _write(
        self,
        link: Link,
        waiting: asyncio.Queue[tuple[float, bytes]],
        writer: asyncio.StreamWriter,
        flow: Callable[[], Flow],
    ) -> None:
        with contextlib.suppress(ConnectionError, OSError, RuntimeError):
            while True:
                due, data = await waiting.get()
                if not data:
                    return
                # A heal takes the delay away from what waits already.
                while flow().delay_s and (left := due - time.monotonic()) > 0:  # noqa: ASYNC110 (a heal cannot wake it)
                    await asyncio.sleep(min(left, 0.05))
                await self._pass(link, data, writer, flow)

    async def _pass(self, link: Link, data: bytes, writer: asyncio.StreamWriter, flow: Callable[[], Flow]) -> None:
        at = 0
        while at < len(data):
            now = flow()
            if now.silent or link.half:
                link.holed = True
                self.count.lost_bytes += len(data) - at
                return
            size = now.slice_bytes or len(data)
            if now.bytes_per_s:
                size = min(size, max(1, int(now.bytes_per_s / 20)))
            piece = data[at : at + size]
            at += len(piece)
            writer.write(piece)
            await writer.drain()
            if writer is link.server:
                self.count.up_bytes += len(piece)
            else:
                self.count.down_bytes += len(piece)
            if now.bytes_per_s:
                await asyncio.sleep(len(piece) / now.bytes_per_s)
            elif now.slice_bytes:
                await asyncio.sleep(0)

    async def _halve(self) -> None:
        for link in list(self._links):
            if link.server is not None and not link.half:
                link.half = True
                self.count.resets += 1
                _abort(link.server)

    async def _reset(self, links: list[Link]) -> None:
        for link in links:
            if link not in self._links:
                continue
            self._links.discard(link)
            self.count.resets += 1
            for end in (link.client, link.server):
                if end is not None:
                    _abort(end)


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close with RST, whatever is still to be sent."""
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    writer.transport.abort()
