"""One job on parts that can be broken: what every fault and every proof of this folder is given.

The proof that nothing is lost and nothing counts twice is a product of its own, for whoever must believe it. Nothing in
it is a mock: broker, Redis and workers are real processes, and events come over the network. In reading order:

- `house`    this: Kafka, Redis, proxies in front of both, and (`workers`) workers under a supervisor;
- `proxy`    makes the network slow, torn, silent or one-way while the job runs;
- `faults`   every kind of fault as a small class: what it breaks, and how it heals;
- `test_failpoints`  SIGKILL at every step of the protocol; the columns equal an undisturbed run afterwards;
- `test_faults`      each kind once: what heals must end exact, what must be refused must be refused.

    with House(folder, workers=2) as house:
        house.job.shop(shoppers.Config(customers=3_000, events=40_000))
        house.workers.kill(0)
        house.settle()

    shoppers, oracle ────────────────────────► Kafka, own port      (faults of the network never touch them)
    workers ──► kafka_proxy ──► listener VIA ─┘
    workers ──► redis_proxy ──► Redis ◄─────── tests

`settle` is quiescence: every worker that is wanted is ready, every event in the topics is applied and committed, and
every partition of Redis is complete. Only then may state be compared.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

import redis
from kafka import KafkaConsumer, TopicPartition

from models.batch import SOURCES
from schemas.redis_keys import partition_key
from stream.embedded.broker import broker as embedded_broker
from stream.embedded.kafka import Via, kafka
from stream.embedded.redis import redis as embedded_redis
from stream.embedded.redis import url
from stream.embedded.server import HOST, Server, free_port
from stream.errors import LivesegmentError
from stream.replay.applied import wait_until_applied
from stream.settings import Settings
from tests.kit.job import Job
from tests.proof.proxy import Proxy
from tests.proof.workers import Workers

SESSION_S = 6.0
"""Session timeout of the workers; the least that Kafka allows by default."""
DISK = "192m"
"""Size of the disk that can be filled; Kafka's empty logs of all topics fit several times."""
KAFKA_START_S = 60.0
KAFKA_STOP_S = 20.0


class House:
    """Kafka, Redis, proxies, workers and the job on them. A context manager; nothing outlives it."""

    def __init__(
        self,
        folder: Path,
        *,
        kafka: Literal["kafka", "embedded"] = "kafka",
        redis: Literal["valkey", "debian"] = "valkey",
        workers: int = 1,
        proxies: bool = True,
        disk: bool = False,
        **environment: str,
    ) -> None:
        """`disk` puts Kafka's data on a small disk of its own, for which one has to be root.

        `environment` is given to the workers beside the addresses: LIVESEGMENT_... settings, failpoints.
        """
        self.folder = folder
        self.has = frozenset(
            name
            for name, is_there in (("kafka", kafka == "kafka"), ("proxy", proxies), ("disk", disk), ("root", is_root()))
            if is_there
        )
        """What faults may ask for in `needs`."""
        self.kafka_proxy = Proxy() if proxies and kafka == "kafka" else None
        self.redis_proxy = Proxy() if proxies else None
        self._disk = folder / "disk" if disk else None
        self._kinds = kafka, redis
        self._count = workers
        self._environment = environment
        self._stack = contextlib.ExitStack()

    kafka: Server
    redis_server: Server
    job: Job
    workers: Workers

    @property
    def settings(self) -> Settings:
        """Addresses past the proxies: for whoever watches and judges."""
        return self.job.settings

    @property
    def redis(self) -> redis.Redis:
        """A client of Redis, past the proxy."""
        return self.job.redis

    @property
    def disk(self) -> Path:
        """The folder on the small disk that Kafka writes to."""
        assert self._disk is not None, "this house has no disk of its own"
        return self._disk

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.folder.mkdir(parents=True, exist_ok=True)
            for proxy in (self.kafka_proxy, self.redis_proxy):
                if proxy is not None:
                    stack.enter_context(proxy)
            self.kafka = self._start_kafka(stack)
            self.redis_server = stack.enter_context(start_redis(self._kinds[1], self.folder / "redis"))
            told_redis = url(self.redis_server)
            if self.redis_proxy is not None:
                self.redis_proxy.upstream = self.redis_server.port
                told_redis = f"redis://{self.redis_proxy.address}/0"
            told_kafka = self.kafka_proxy.address if self.kafka_proxy else self.kafka.address
            (self.folder / "job").mkdir(exist_ok=True)
            self.job = stack.enter_context(Job(self.kafka.address, url(self.redis_server), self.folder / "job"))
            environment = {
                **{name: value for name, value in os.environ.items() if not name.startswith("LIVESEGMENT_")},
                "LIVESEGMENT_KAFKA": told_kafka,
                "LIVESEGMENT_REDIS_URL": told_redis,
                "LIVESEGMENT_DATA_DIR": str(self.folder / "job"),
                "LIVESEGMENT_SESSION_TIMEOUT_S": f"{SESSION_S:g}",
                "LIVESEGMENT_COMMIT_INTERVAL_S": "0.5",
                "LIVESEGMENT_METRICS_INTERVAL_S": "1",
                "LIVESEGMENT_REDIS_CHECK_S": "0.5",
                **self._environment,
            }
            self.workers = stack.enter_context(Workers(self.folder / "workers", environment, "--clock", "event"))
            self.workers.resize(self._count)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def kafka_down(self, *, kill: bool = False) -> None:
        """End Kafka: in order, or by SIGKILL."""
        if kill:
            self.kafka.child.kill()
        else:
            self.kafka.stop(KAFKA_STOP_S)

    def kafka_up(self) -> None:
        """Start Kafka again where it was, with what it had on its disk."""
        self.kafka.restart(KAFKA_START_S)

    def redis_down(self) -> None:
        """Kill Redis."""
        self.redis_server.child.kill()

    def redis_up(self) -> None:
        """Start Redis again where it was, empty: it keeps nothing on disk."""
        self.redis_server.restart()

    def ends(self, *topics: str) -> dict[tuple[str, int], int]:
        """Ends of the partitions of `topics`, by default the sources; the embedded broker says only what `job` sent."""
        if self._kinds[0] != "kafka":
            return dict(self.job.ends)
        consumer = KafkaConsumer(bootstrap_servers=self.settings.kafka, enable_auto_commit=False)
        try:
            places = [
                TopicPartition(topic, number)
                for topic in topics or SOURCES
                for number in range(self.settings.partitions)
            ]
            return {(at.topic, at.partition): end for at, end in consumer.end_offsets(places).items()}
        finally:
            consumer.close()

    def committed(self) -> dict[tuple[str, int], int]:
        """Committed offset of every source partition; 0 where there is none."""
        consumer = KafkaConsumer(bootstrap_servers=self.settings.kafka, group_id=self.settings.app_id)
        try:
            places = [(topic, number) for topic in SOURCES for number in range(self.settings.partitions)]
            return {place: consumer.committed(TopicPartition(*place)) or 0 for place in places}
        finally:
            consumer.close(autocommit=False)

    def settle(self, timeout_s: float = 120.0) -> None:
        """Return once nothing is left to do; AssertionError with the workers' last lines where that takes too long."""
        deadline = time.monotonic() + timeout_s
        self.workers.until_ready(timeout_s)

        def look(left: int) -> None:
            if time.monotonic() > deadline:
                raise Unsettled(f"{left} records are still to be applied after {timeout_s:g} s; {self.workers.ends()}")

        wait_until_applied(self.settings, self.ends(), look)
        keys = [partition_key(number) for number in range(self.settings.partitions)]
        self.until(
            lambda: all(self.redis.hget(key, "complete") for key in keys),
            deadline - time.monotonic(),
            "a complete Redis",
        )

    def until(self, condition: Callable[[], Any], timeout_s: float, what: str) -> None:
        """Wait for a condition; AssertionError that says what was waited for."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise Unsettled(f"waited {timeout_s:.0f} s for {what}; {self.workers.ends()}")
            time.sleep(0.05)

    def _start_kafka(self, stack: contextlib.ExitStack) -> Server:
        if self._kinds[0] != "kafka":
            return stack.enter_context(embedded_broker(self.folder / "broker"))
        if self._disk is not None:
            stack.enter_context(small_disk(self._disk))
        via = None
        if self.kafka_proxy is not None:
            via = Via(free_port(), self.kafka_proxy.port)
            self.kafka_proxy.upstream = via.port
        data = self._disk / "kafka-data" if self._disk else None
        server = kafka(self.folder / "kafka", data=data, via=via, brief=True)
        stack.callback(server.stop)
        return server.start(KAFKA_START_S)


class Unsettled(AssertionError):  # noqa: N818 (says what the job is)
    """The job did not come to rest in time."""


def is_root() -> bool:
    """Whether this process may mount a small disk."""
    return os.geteuid() == 0


@contextlib.contextmanager
def small_disk(folder: Path) -> Any:
    """A tmpfs of `DISK` at `folder`, gone at the end. CalledProcessError where it may not be mounted."""
    folder.mkdir(parents=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], check=True, capture_output=True
    )
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def debian_redis() -> str | None:
    """Path of Debian's redis-server, None where it is not installed."""
    return shutil.which("redis-server")


def start_redis(kind: Literal["valkey", "debian"], folder: Path) -> Server:
    """Return a Redis, not started, that writes nothing to disk."""
    if kind == "valkey":
        return embedded_redis(folder)
    binary = debian_redis()
    if binary is None:
        raise LivesegmentError("redis-server is not installed", action="apt-get install redis-server")

    def command(port: int) -> list[str]:
        options = f"--bind {HOST} --port {port} --appendonly no --daemonize no --dir".split()
        return [binary, *options, str(folder.resolve()), "--save", ""]

    folder.mkdir(parents=True, exist_ok=True)
    return Server("redis", command, b"PING\r\n", 5, folder)


def signal_server(server: Server, number: signal.Signals) -> None:
    """Send a signal to a server's process."""
    if server.child.pid:
        os.killpg(server.child.pid, number)
