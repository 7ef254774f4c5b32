"""Faults of the network between workers and Kafka, and between workers and Redis, made by the proxies.

Each sort exists twice, `kafka_...` and `redis_...`, made by `towards`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Final

from tests.proof.fault import Fault, for_a_while
from tests.proof.house import House
from tests.proof.proxy import Flow, Proxy

SILENT = Flow(silent=True)


def _latency(proxy: Proxy, random: Random) -> None:
    """Every answer comes late: what was asked before is under way when the next thing happens."""
    proxy.flow(up=Flow(delay_s=random.uniform(0.05, 0.2)), down=Flow(delay_s=random.uniform(0.1, 0.5)))


def _bandwidth(proxy: Proxy, random: Random) -> None:
    """A thin line: requests are half sent for a long time."""
    rate = random.uniform(20_000, 200_000)
    proxy.flow(up=Flow(bytes_per_s=rate), down=Flow(bytes_per_s=rate))


def _slicer(proxy: Proxy, random: Random) -> None:
    """Every message comes in many small pieces."""
    size = random.randint(1, 64)
    proxy.flow(up=Flow(slice_bytes=size), down=Flow(slice_bytes=size))


def _silence(proxy: Proxy, _: Random) -> None:
    """Packets vanish both ways; connections stay open."""
    proxy.flow(up=SILENT, down=SILENT)


def _mute(proxy: Proxy, _: Random) -> None:
    """Only answers vanish: the server does what it is asked, and nobody learns of it."""
    proxy.flow(down=SILENT)


def _deaf(proxy: Proxy, _: Random) -> None:
    """Only requests vanish."""
    proxy.flow(up=SILENT)


def _half_open(proxy: Proxy, _: Random) -> None:
    """The server sees its connections reset, the workers keep theirs, in silence."""
    proxy.half_open()


def _refused(proxy: Proxy, _: Random) -> None:
    """Connections are reset, open ones and new ones."""
    proxy.refuse()


def _reset(proxy: Proxy, random: Random) -> None:
    """Connections are reset again and again, but new ones are accepted."""
    for _ in range(8):
        proxy.reset()
        time.sleep(random.uniform(0.05, 0.4))


SORTS: Final[dict[str, Callable[[Proxy, Random], None]]] = {
    "latency": _latency,
    "bandwidth": _bandwidth,
    "slicer": _slicer,
    "silence": _silence,
    "mute": _mute,
    "deaf": _deaf,
    "half_open": _half_open,
    "refused": _refused,
    "reset": _reset,
}


def towards(server: str, sort: str) -> type[Fault]:
    """Make the fault of this sort on the way to `kafka` or `redis`."""
    broken = SORTS[sort]

    class Network:
        __doc__ = f"Towards {server}: {(broken.__doc__ or '').lower()}"
        name = f"{server}_{sort}"
        kind = "network"
        needs = frozenset({"proxy", "kafka"} if server == "kafka" else {"proxy"})

        def run(self, house: House, random: Random) -> None:
            """Break the network for a while."""
            proxy = house.kafka_proxy if server == "kafka" else house.redis_proxy
            assert proxy is not None, "this house has no such proxy"
            with for_a_while(random, proxy.heal, 2.0, 6.0):
                broken(proxy, random)

    Network.__name__ = Network.__qualname__ = "".join(word.title() for word in Network.name.split("_"))
    return Network


NETWORK = tuple(towards(server, sort) for server in ("kafka", "redis") for sort in SORTS)
