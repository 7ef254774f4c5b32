from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer
from redis import Redis

from stream.embedded.redis import url
from stream.embedded.server import Server, installed
from stream.errors import EmbeddedFailed


@pytest.mark.broker
def test_the_broker_keeps_and_gives_back_records(broker: str) -> None:
    producer = KafkaProducer(bootstrap_servers=broker)
    producer.send("a-test-of-the-broker", key=b"c1", value=b"hello").get(timeout=30)
    producer.close()
    consumer = KafkaConsumer(
        "a-test-of-the-broker", bootstrap_servers=broker, auto_offset_reset="earliest", consumer_timeout_ms=30_000
    )
    record = next(iter(consumer))
    consumer.close()
    assert (record.key, record.value) == (b"c1", b"hello")


@pytest.mark.broker
def test_redis_listens_on_loopback_and_saves_nothing_to_disk(start_redis: Callable[[], Server], tmp_path: Path) -> None:
    server = start_redis()
    client = Redis.from_url(url(server))
    client.set("a", "b")
    assert client.config_get("save") == {"save": ""}
    assert client.config_get("appendonly") == {"appendonly": "no"}
    assert client.config_get("bind") == {"bind": "127.0.0.1"}
    client.close()
    server.stop()
    assert {path.name for path in (tmp_path / "redis-0").iterdir()} == {"redis.log"}


@pytest.mark.broker
def test_a_killed_server_comes_back_on_its_port_empty(start_redis: Callable[[], Server]) -> None:
    server = start_redis()
    with Redis.from_url(url(server)) as client:
        client.set("a", "b")
    address = server.address
    assert server.restart().address == address
    with Redis.from_url(url(server)) as client:
        assert client.get("a") is None


def test_a_server_that_does_not_start_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    broken = Server("broken", lambda _: ["/bin/sh", "-c", "echo out of luck; exit 3"], b"", 1, tmp_path)
    with pytest.raises(EmbeddedFailed, match=r"(?s)broken did not start \(exit code 3\).*out of luck"):
        broken.start()


def test_a_server_that_is_not_installed_is_reported_with_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedFailed, match=r"not installed.*make install"):
        installed("no_such_package_at_all", "bin/x", tmp_path)


def test_a_binary_that_lost_its_executable_bit_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "with_a_binary"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tool").write_text("#!/bin/sh\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert installed("with_a_binary", "tool", tmp_path / "bin") == tmp_path / "bin" / "tool"
