"""TLS, passwords and least privileges on real listeners; secrets that never show; nothing that listens to the world."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from stream import shoppers
from stream.embedded.redis import url
from stream.embedded.server import Server
from stream.settings import load
from tests.kit.job import Job, customers, totals
from tests.kit.secured import USER, Secured, redis_acl, secured_kafka, secured_redis
from tests.kit.tls import Certificates, certificates

SHOP = shoppers.Config(customers=300, events=3_000, disorder_s=60)
COMMAND = [sys.executable, "-P", "-m", "stream.commands"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def canary() -> str:
    return f"canary{secrets.token_hex(8)}"


@pytest.fixture(scope="module")
def kafka(
    _kafka_fetched: None, made: Certificates, canary: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secured]:
    with secured_kafka(tmp_path_factory.mktemp("kafka"), made, canary) as started:
        yield started


@pytest.fixture
def redis(made: Certificates, canary: str, tmp_path: Path) -> Iterator[Secured]:
    with secured_redis(tmp_path / "redis", made, canary) as started:
        yield started


def environment(kafka: Secured, redis: Secured, made: Certificates, password: str, mechanism: str) -> dict[str, str]:
    return {
        "LIVESEGMENT_KAFKA": kafka.address,
        "LIVESEGMENT_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "LIVESEGMENT_KAFKA_SASL_MECHANISM": mechanism,
        "LIVESEGMENT_KAFKA_USER": USER,
        "LIVESEGMENT_KAFKA_PASSWORD": password,
        "LIVESEGMENT_KAFKA_CA_FILE": str(made.authority),
        "LIVESEGMENT_REDIS_URL": f"rediss://{USER}@{redis.address}/0",
        "LIVESEGMENT_REDIS_PASSWORD": password,
        "LIVESEGMENT_REDIS_CA_FILE": str(made.authority),
        "LIVESEGMENT_LOG_LEVEL": "debug",
    }


def run(*words: str | Path, **given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, words)], capture_output=True, text=True, check=False, env={**os.environ, **given}
    )


@pytest.mark.kafka
@pytest.mark.timeout(280)
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", pytest.param("PLAIN", marks=pytest.mark.acceptance)])
def test_a_job_runs_over_tls_with_passwords_and_the_least_privileges_and_shows_no_secret(
    *, kafka: Secured, redis: Secured, made: Certificates, canary: str, tmp_path: Path, mechanism: str
) -> None:
    given = environment(kafka, redis, made, canary, mechanism)
    with Job(kafka.open, f"redis://{redis.open}/0", tmp_path, **given) as job:
        worker = job.start_worker()
        job.shop(SHOP)
        job.wait()
        said = job.log()
        assert "not_fenced" not in said
        seen = next(iter(customers(job.state())))
        status = run("status", "--data-dir", tmp_path, **given)
        lookup = run("lookup", seen, "--data-dir", tmp_path, **given)
        listen = run("listen", "--for", "1", "--data-dir", tmp_path, **given)
        assert status.returncode == 0, status.stderr[-500:]
        assert lookup.returncode == 0, lookup.stderr[-500:]
        assert listen.returncode == 0, listen.stderr[-500:]
        assert job.stop(worker) == 0
        assert totals(job.state())["read"] > 0
        shown = [job.log(), *(text for done in (status, lookup, listen) for text in (done.stdout, done.stderr))]
        kept = [path.read_text() for path in tmp_path.glob("*.json")]
    assert [text for text in [*shown, *kept] if canary in text] == []


@pytest.mark.kafka
@pytest.mark.timeout(280)
@pytest.mark.parametrize(
    ("command", "wrong", "code", "says"),
    [
        ("topics check", {"KAFKA_PASSWORD": "wrong-{canary}"}, 5, "Kafka at"),
        ("status", {"KAFKA_PASSWORD": "wrong-{canary}"}, 5, "Kafka at"),
        ("topics check", {"KAFKA_CA_FILE": ""}, 5, "Kafka at"),
        ("topics check", {"KAFKA_CA_FILE": "/nowhere"}, 2, "kafka_ca_file"),
        ("topics check", {"KAFKA_USER": ""}, 2, "needs kafka_user and kafka_password"),
        ("lookup c1", {"REDIS_PASSWORD": "wrong-{canary}"}, 5, "Redis at"),
        ("lookup c1", {"REDIS_CA_FILE": ""}, 5, "Redis at"),
        ("lookup c1", {"REDIS_CA_FILE": "/nowhere"}, 2, "ca_certs of Redis"),
        ("lookup c1", {"REDIS_URL": "redis://{user}:{canary}@127.0.0.1:1/0"}, 5, "Redis at redis://127.0.0.1:1/0"),
        ("lookup c1", {"REDIS_URL": "http://{user}:{canary}@127.0.0.1:1/0"}, 2, "redis_url"),
    ],
)
def test_what_is_refused_is_said_without_the_secret(
    *,
    kafka: Secured,
    redis: Secured,
    made: Certificates,
    canary: str,
    tmp_path: Path,
    command: str,
    wrong: dict[str, str],
    code: int,
    says: str,
) -> None:
    given = environment(kafka, redis, made, canary, "SCRAM-SHA-512")
    for name, value in wrong.items():
        given[f"LIVESEGMENT_{name}"] = value.format(canary=canary, user=USER)
    done = run(*command.split(), "--data-dir", tmp_path, **given)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert canary not in done.stdout + done.stderr


@pytest.mark.kafka
@pytest.mark.timeout(280)
def test_a_worker_with_a_wrong_password_says_so_without_the_password(
    kafka: Secured, redis: Secured, made: Certificates, canary: str, tmp_path: Path
) -> None:
    given = environment(kafka, redis, made, f"wrong-{canary}", "SCRAM-SHA-512")
    for redis_password in (f"wrong-{canary}", canary):
        done = run("worker", "--data-dir", tmp_path, **{**given, "LIVESEGMENT_REDIS_PASSWORD": redis_password})
        assert done.returncode == 5, done.stderr
        assert canary not in done.stdout + done.stderr
        assert canary not in (tmp_path / "worker-1.json").read_text()


@pytest.mark.broker
def test_the_pages_redis_users_can_do_their_work_and_nothing_else(start_redis: Callable[[], Server]) -> None:
    address = url(start_redis())
    with Redis.from_url(address) as admin:
        for words in redis_acl("secret"):
            admin.execute_command(*words)
    writer, reader = (Redis.from_url(address, username=name, password="secret") for name in (USER, "website"))
    with writer, reader:
        assert writer.hset("segment:c1", mapping={"segment": "3"}) == 1
        assert reader.hgetall("segment:c1") == {b"segment": b"3"}
        assert writer.delete("segment:c1") == 1
        forbidden = [
            (writer.flushall, ()),
            (writer.config_get, ("*",)),
            (writer.keys, ("*",)),
            (writer.hset, ("other:c1", "a", "b")),
            (writer.eval, ("return redis.call('HSET', 'other:c1', 'a', 'b')", 0)),
            (reader.hset, ("segment:c1", "segment", "4")),
            (reader.hgetall, ("other:c1",)),
            (reader.eval, ("return 1", 0)),
        ]
        for ask, words in forbidden:
            with pytest.raises(ResponseError, match=r"(?i)permission|NOPERM|can't access"):
                ask(*words)


def test_secrets_are_in_no_representation_of_the_settings() -> None:
    settings = load(
        redis_url="redis://shop:canary1@cache:6379/1",
        redis_password="canary2",
        kafka_security_protocol="SASL_SSL",
        kafka_user="shop",
        kafka_password="canary3",
        kafka_key_password="canary4",
    )
    for shown in (repr(settings), str(settings), f"{settings}"):
        assert "canary" not in shown
    assert settings.redis_shown == "redis://cache:6379/1"


@pytest.mark.broker
def test_nothing_that_up_starts_listens_beyond_loopback(tmp_path: Path) -> None:
    up = subprocess.Popen(
        [*COMMAND, "up", "--data-dir", str(tmp_path), "--workers", "2", "--for", "2"], stdout=subprocess.PIPE, text=True
    )
    assert up.stdout is not None
    for line in up.stdout:
        if line.strip() == "ready":
            break
    found = listening(descendants(up.pid))
    up.communicate()
    assert len(found) >= 2, "the broker and Redis at least"
    assert [address for address in found if not is_loopback(address)] == []


def descendants(root: int) -> set[int]:
    """Ids of the process and everything it started."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def listening(pids: set[int]) -> list[str]:
    """Addresses, in the kernel's hexadecimal, on which any of these processes listens for TCP."""
    sockets = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                sockets |= set(re.findall(r"socket:\[(\d+)\]", str(link.readlink())))
            except FileNotFoundError:
                continue
    rows = [row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return [row[1].rpartition(":")[0] for row in rows if row[3] == "0A" and row[9] in sockets]


def is_loopback(address: str) -> bool:
    """Whether it is in 127.0.0.0/8, also mapped into IPv6, or ::1, as /proc/net spells them."""
    return address.endswith("7F") or address == "0" * 24 + "01000000"
