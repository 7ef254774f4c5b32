"""Everything that `livesegment up` keeps running: broker, Redis, topics, workers, shoppers; and how it ends.

Single-threaded on purpose: `start`, `tend` and `stop` are called from the main thread, which the children are tied to.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from stream import topics, worker_state
from stream.clients import kafka_admin
from stream.embedded.broker import broker
from stream.embedded.redis import redis, url
from stream.embedded.supervisor import Child, stop
from stream.errors import AlreadyRunning, EmbeddedFailed
from stream.settings import ENDPOINTS, Settings

WORKERS_STOP_S = 9.0
SERVERS_STOP_S = 2.0
SHOPPERS_STOP_S = 2.0
"""Together 13 s: `up` promises 15."""
READY_S = 120.0
MOST_EARLY_DEATHS = 4
"""A worker that dies so often before it was ever ready will not get better: then `up` gives up."""
SESSION_TIMEOUT_S = 6.0
"""The embedded broker lets a joining worker wait half of it."""

OPEN = {
    "kafka_security_protocol": "PLAINTEXT",
    "kafka_password": None,
    "kafka_key_password": None,
    "redis_password": None,
}
"""The embedded servers listen on loopback only and know neither TLS nor passwords."""

COMMAND = (sys.executable, "-P", "-m", "stream.commands")
"""This program; -P: the directory it is run in must not be searched for modules."""


class House:
    """The processes of one `up`. `note` is called with remarks for standard error."""

    def __init__(
        self, settings: Settings, *, workers: int, shoppers: list[str] | None, note: Callable[[str], None]
    ) -> None:
        """`shoppers`: words after `livesegment simulate`, or None for nobody."""
        self._given = settings
        self._folder = settings.data_dir
        self._note = note
        self._lock: IO[str] | None = None
        self._due: dict[str, float] = {}
        logs = self._folder / "logs"
        self._broker = broker(logs)
        self._redis = redis(logs)
        self._workers = [self._command(f"worker-{n + 1}", ["worker"]) for n in range(workers)]
        self._shoppers = None if shoppers is None else self._command("shoppers", ["simulate", *shoppers])

    @property
    def settings(self) -> Settings:
        """The settings of everything in the house: the given ones with its own endpoints. After `start_servers`."""
        here = {"kafka": self._broker.address, "redis_url": url(self._redis)}
        return self._given.model_copy(update={**here, **OPEN})

    def start_servers(self) -> None:
        """Take the data directory, start broker and Redis, create the topics.

        Raises AlreadyRunning, EmbeddedFailed.
        """
        self._take_lock()
        self._broker.start()
        self._redis.start()
        with kafka_admin(self.settings) as admin:
            topics.create(admin, self.settings)

    def start_workers(self, give_up: Callable[[], bool]) -> None:
        """Start the workers and return once each has its partitions, or `give_up()` says so.

        Raises EmbeddedFailed if one dies again and again or takes too long.
        """
        for worker in self._workers:
            self._start(worker)
        deadline = time.monotonic() + READY_S
        while not give_up() and not all(self._ready_file(worker).exists() for worker in self._workers):
            self.tend()
            late = time.monotonic() > deadline
            for worker in self._workers:
                if worker.deaths > MOST_EARLY_DEATHS or (late and not self._ready_file(worker).exists()):
                    raise EmbeddedFailed(
                        f"{worker.name} does not get ready ({worker.why()}); its log says:{worker.tail()}"
                    )
            time.sleep(0.05)

    def start_shoppers(self) -> None:
        """Start the simulated shoppers, if there are any."""
        if self._shoppers:
            self._start(self._shoppers)
            self.write_endpoints()

    def tend(self) -> None:
        """Start dead workers again, each after its backoff. EmbeddedFailed if the broker died: it held everything."""
        if self._broker.child.exit_code is not None:
            raise EmbeddedFailed(
                f"The embedded broker ended ({self._broker.child.why()}), and with it all events and state, which it "
                f"keeps in memory; its log says:{self._broker.child.tail()}",
                action="start `livesegment up` again; for data that must last, use Apache Kafka",
            )
        if self._redis.child.exit_code is not None:
            self._note(f"redis ended ({self._redis.child.why()}); starting it again, the workers fill it anew")
            self._redis.restart()
            self.write_endpoints()
        for child in filter(None, [*self._workers, self._shoppers]):
            self._revive(child)

    def write_endpoints(self) -> None:
        """Write endpoints.json, whole or not at all: where everything is and its process ids."""
        settings = self.settings
        children = [self._broker.child, self._redis.child, *self._workers, *filter(None, [self._shoppers])]
        pids = {"up": os.getpid(), **{child.name: child.pid for child in children if child.pid}}
        workers = [worker.pid for worker in self._workers if worker.pid]
        value = {"kafka": settings.kafka, "redis": settings.redis_url, "workers": workers, "pids": pids}
        path = self._folder / ENDPOINTS
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(value) + "\n", encoding="utf-8")
        fresh.replace(path)

    def stop(self) -> None:
        """End everything in order: shoppers, workers (they commit), servers. Nothing is left, whatever had happened."""
        works = self._broker.child.exit_code is None  # without it there is nothing to commit to
        for children, patience_s in (
            ([self._shoppers] if self._shoppers else [], SHOPPERS_STOP_S),
            (self._workers, WORKERS_STOP_S if works else 0.0),
            ([self._redis.child, self._broker.child], SERVERS_STOP_S),
        ):
            for name in stop(children, patience_s):
                if works:
                    self._note(f"{name} did not end within {patience_s:g} s and was killed")
        if self._lock:
            (self._folder / ENDPOINTS).unlink(missing_ok=True)
            for worker in self._workers:
                self._ready_file(worker).unlink(missing_ok=True)
            worker_state.clear(self._folder)
            self._lock.close()
            self._lock = None

    def hurry(self) -> None:
        """End every process at once; `stop` has nothing to wait for then. Safe in a signal handler."""
        for child in filter(None, [self._shoppers, *self._workers, self._redis.child, self._broker.child]):
            child.hurry()

    def _take_lock(self) -> None:
        """Take the data directory for this process; the kernel gives it back however the process ends."""
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = (self._folder / "up.lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            lock.close()
            raise AlreadyRunning(f"Another `livesegment up` (pid {owner}) runs on {self._folder}") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock
        worker_state.clear(self._folder)

    def _start(self, child: Child) -> None:
        ready = self._ready_file(child)
        ready.unlink(missing_ok=True)
        child.env = {**os.environ, **self._environment(), "LIVESEGMENT_READY_FILE": str(ready)}
        child.start()

    def _revive(self, child: Child) -> None:
        """Start a dead child once its backoff is over; the shoppers may also simply have finished."""
        if child.exit_code is None or (child is self._shoppers and child.exit_code == 0):
            return
        due = self._due.get(child.name)
        if due is None:
            child.kill()  # what it may have left in its group
            wait_s = child.backoff_s()
            self._due[child.name] = time.monotonic() + wait_s
            self._note(f"{child.name} ended: {child.why()}; starting it again in {wait_s:g} s{child.tail()}")
            self.write_endpoints()
        elif time.monotonic() >= due:
            del self._due[child.name]
            self._start(child)
            self.write_endpoints()

    def _environment(self) -> dict[str, str]:
        """Return the settings as the environment of a child: the same for all, whatever they default to."""
        values = {**self.settings.model_dump(), "session_timeout_s": SESSION_TIMEOUT_S}
        # An empty variable counts as none: what the servers outside would need is not passed on.
        return {f"LIVESEGMENT_{name.upper()}": "" if value is None else str(value) for name, value in values.items()}

    def _command(self, name: str, words: list[str]) -> Child:
        return Child(name, [*COMMAND, *words], self._folder / "logs" / f"{name}.log")

    def _ready_file(self, child: Child) -> Path:
        return (self._folder / f"{child.name}.ready").absolute()
