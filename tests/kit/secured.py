"""Apache Kafka and Redis that ask for TLS, a password and the least privileges, as docs/security.md describes them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from redis import Redis

from stream.clients import kafka_admin
from stream.embedded.kafka import Via, kafka
from stream.embedded.redis import redis, url
from stream.embedded.server import HOST, free_port
from stream.settings import load
from tests.kit.tls import Certificates

USER = "livesegment"
PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
SASL = """\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
listener.name.via.sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN
listener.name.via.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.via.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
user_{user}="{password}";
listener.name.via.ssl.keystore.type=PEM
listener.name.via.ssl.keystore.location={both}
"""
KINDS = {
    "topics": (ResourceType.TOPIC, ACLResourcePatternType.LITERAL),
    "group": (ResourceType.GROUP, ACLResourcePatternType.LITERAL),
    "transactional": (ResourceType.TRANSACTIONAL_ID, ACLResourcePatternType.PREFIXED),
}


@dataclass(frozen=True)
class Secured:
    """Where it is; `open` is an address without TLS and passwords, for the test's own hands."""

    address: str
    open: str


@contextmanager
def secured_kafka(folder: Path, made: Certificates, password: str) -> Iterator[Secured]:
    """Yield a Kafka whose second listener is SASL_SSL, with USER and the privileges that the page gives a worker."""
    port = free_port()
    properties = SASL.format(user=USER, password=password, both=made.both)
    server = kafka(folder, via=Via(port, port, "SASL_SSL", properties), brief=True)
    try:
        server.start(60.0)
        with kafka_admin(load(kafka=server.address), patience_s=30.0) as admin:
            scram = UserScramCredentialUpsertion(USER, ScramMechanism.SCRAM_SHA_512, password=password)
            admin.alter_user_scram_credentials([scram])
            admin.create_acls(list(kafka_acls()))
        yield Secured(f"{HOST}:{port}", server.address)
    finally:
        server.child.kill()


def kafka_acls() -> Iterator[ACL]:
    """The privileges in the page's table, for the application id `livesegment`."""
    for resource, operations in re.findall(r"^\| ((?:topics|group|transactional).*?) \| (.*?) \|$", PAGE, re.MULTILINE):
        kind, pattern = KINDS[resource.split()[0]]
        for name in re.findall(r"`(.+?)`", resource):
            for operation in {"Read", "Write", "Describe"} & set(re.findall(r"\w+", operations)):
                yield ACL(
                    f"User:{USER}",
                    "*",
                    ACLOperation[operation.upper()],
                    ACLPermissionType.ALLOW,
                    ResourcePattern(kind, name.replace("APP", "livesegment"), pattern),
                )


@contextmanager
def secured_redis(folder: Path, made: Certificates, password: str) -> Iterator[Secured]:
    """Yield a Redis that only the page's two users may use, over TLS; skips where no server here knows TLS."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("no redis-server here, and the embedded Valkey has no TLS")
    port = free_port()
    options = {
        "--tls-port": str(port),
        "--tls-cert-file": str(made.server),
        "--tls-key-file": str(made.key),
        "--tls-ca-cert-file": str(made.authority),
        "--tls-auth-clients": "no",
    }
    with redis(folder, binary=Path(binary), options=options) as server:
        with Redis.from_url(url(server)) as admin:
            for words in redis_acl(password):
                admin.execute_command(*words)
            admin.execute_command("ACL", "SETUSER", "default", "-@all", "+ping")
        yield Secured(f"{HOST}:{port}", server.address)


def redis_acl(password: str) -> list[list[str]]:
    """The commands of the page, with this password."""
    (block,) = re.findall(r"```redis\n(.*?)```", PAGE, re.DOTALL)
    return [line.replace("PASSWORD", password).split() for line in block.splitlines()]
