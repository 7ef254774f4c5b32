"""Apache Kafka itself, without Docker: one KRaft node from Maven artifacts, for what only it can prove (fencing).

Needs Java 17 and, the first time, Maven. The jars are cached outside the tree.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path

from stream.embedded.broker import API_VERSIONS
from stream.embedded.server import HOST, Server, free_port
from stream.errors import EmbeddedFailed

POM = Path(__file__).parents[2] / "deploy" / "kafka" / "pom.xml"
FETCH_S = 300
JAVA = 17
"""The oldest release of Java that Apache Kafka 4 runs on."""


def jars() -> Path:
    """Return the folder of Kafka's jars, fetched by Maven where it is not there yet. Raises EmbeddedFailed."""
    _need_java()
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "livesegment"
    version = POM.read_text(encoding="utf-8").partition("kafka_2.13</artifactId>")[2].partition("<version>")[2]
    folder = cache / f"kafka-{version.partition('<')[0]}"
    if (folder / "complete").exists():
        return folder
    _need("mvn")
    command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_S, check=False)  # noqa: S603 (our own words)
    if done.returncode:
        raise EmbeddedFailed(f"Maven could not fetch Apache Kafka: {done.stdout[-500:]}{done.stderr[-500:]}")
    (folder / "complete").touch()
    return folder


_BRIEF = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Options of a JVM that is not to spend its life compiling itself (measured: 8.4 -> 5.1 s of CPU until it serves)."""


def java_release(said: str) -> int | None:
    """Release that `java -version` speaks of; None where it says none.

    >>> java_release('openjdk version "17.0.15" 2025-04-15'), java_release('java version "1.8.0_392"')
    (17, 8)
    """
    found = re.search(r'\bversion "(?:1\.)?(\d+)', said)
    return int(found[1]) if found else None


def _need_java() -> None:
    release = _release_of(_need("java"))
    if release is not None and release < JAVA:
        raise EmbeddedFailed(
            f"Apache Kafka needs Java {JAVA}, `java` is Java {release}",
            action=f"install Java {JAVA} or newer, and put it first in PATH",
        )


@functools.cache
def _release_of(java: str) -> int | None:
    done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)  # noqa: S603 (our own words)
    if done.returncode:
        raise EmbeddedFailed(
            f"`java -version` failed: {done.stderr[-500:].strip()}", action=f"install Java {JAVA} or newer"
        )
    return java_release(done.stderr + done.stdout)


def _need(tool: str) -> str:
    found = shutil.which(tool)
    if found is None:
        raise EmbeddedFailed(f"Apache Kafka needs {tool}, which is not installed", action=f"install {tool}")
    return found


@dataclass(frozen=True, slots=True)
class Via:
    """A second listener: behind a proxy, whose port its clients are told, or with TLS and passwords."""

    port: int
    """Where Kafka listens."""
    told: int
    """Where its metadata says that it listens."""
    protocol: str = "PLAINTEXT"
    properties: str = ""
    """Lines for server.properties; the listener is called VIA."""


def kafka(
    folder: Path, *, heap: str = "512m", data: Path | None = None, via: Via | None = None, brief: bool = False
) -> Server:
    """Return a Kafka node, not started; its log goes to `folder`, its data too unless `data` is another folder.

    `restart` keeps the data. A `brief` one starts with half of the CPU and takes more for each record: for tests.
    EmbeddedFailed without Java or Maven.
    """
    classpath = f"{jars()}/*"
    data = data or folder / "kafka-data"

    def command(port: int) -> list[str]:
        properties = folder / "server.properties"
        folder.mkdir(parents=True, exist_ok=True)
        properties.write_text(_properties(port, free_port(), data, via), encoding="utf-8")
        logging = folder / "log4j2.properties"
        logging.write_text(_LOGGING, encoding="utf-8")
        shutil.rmtree(data, ignore_errors=True)
        # An id that began with a dash would be taken for an option.
        cluster = "L" + urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
        java = [shutil.which("java") or "java", f"-Dlog4j2.configurationFile={logging}", "-cp", classpath]
        subprocess.run(  # noqa: S603 (our own words)
            [*java[:1], *_BRIEF, *java[1:], "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)],
            check=True,
            capture_output=True,
        )
        return [*java[:1], f"-Xmx{heap}", *(_BRIEF if brief else ()), *java[1:], "kafka.Kafka", str(properties)]

    return Server("kafka", command, API_VERSIONS, 8, folder)


def _properties(port: int, controller: int, data: Path, via: Via | None) -> str:
    here = f",VIA://{HOST}:{via.port}" if via else ""
    told = f",VIA://{HOST}:{via.told}" if via else ""
    via = via or Via(0, 0)
    return f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{HOST}:{controller}
listeners=PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller}{here}
advertised.listeners=PLAINTEXT://{HOST}:{port}{told}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,VIA:{via.protocol}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.backoff.ms=500
log.cleaner.dedupe.buffer.size=2097152
auto.create.topics.enable=false
{via.properties}
"""


_LOGGING = """\
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %m%n
rootLogger.level=WARN
rootLogger.appenderRef.console.ref=console
"""


if __name__ == "__main__":
    try:
        sys.stdout.write(f"Apache Kafka is in {jars()}\n")
    except EmbeddedFailed as error:
        sys.exit(str(error))
