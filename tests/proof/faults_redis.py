"""Faults of Redis: it loses everything, refuses, hangs or is away. Workers wait or rebuild; Kafka keeps what comes."""

from __future__ import annotations

import signal
import time
from random import Random

from tests.proof.fault import for_a_while
from tests.proof.house import House, signal_server

NOTHING = frozenset[str]()


class FlushAll:
    """FLUSHALL: every record is gone, and with it the boot id that says whose Redis it is."""

    name, kind, needs = "flushall", "redis", NOTHING

    def run(self, house: House, random: Random) -> None:
        """Wipe once, and again while the records are being written anew."""
        house.redis.flushall()
        time.sleep(random.uniform(0.0, 1.5))
        house.redis.flushall()


class ScriptFlush:
    """SCRIPT FLUSH: Redis forgets the scripts that workers call by their digest, as after any restart."""

    name, kind, needs = "script_flush", "redis", NOTHING

    def run(self, house: House, random: Random) -> None:
        """Flush the scripts again and again."""
        for _ in range(20):
            house.redis.script_flush()
            time.sleep(random.uniform(0.0, 0.1))


class MaxMemory:
    """Redis is full and refuses every write (noeviction) until an operator gives it memory."""

    name, kind, needs = "maxmemory", "redis", NOTHING

    def run(self, house: House, random: Random) -> None:
        """Leave Redis less memory than it uses."""
        with for_a_while(random, lambda: house.redis.config_set("maxmemory", 0)):
            house.redis.config_set("maxmemory", "1mb")


class ReadOnly:
    """Redis is made a replica of nobody, as amid a failover: reads are answered, writes are refused."""

    name, kind, needs = "readonly", "redis", NOTHING

    def run(self, house: House, random: Random) -> None:
        """Make it a replica of a port where nobody listens, then a master again."""
        with for_a_while(random, lambda: house.redis.execute_command("REPLICAOF", "NO", "ONE")):
            house.redis.execute_command("REPLICAOF", "127.0.0.1", "1")


class ClientsKilled:
    """Redis closes the connections of all its clients, again and again."""

    name, kind, needs = "clients_killed", "redis", NOTHING

    def run(self, house: House, random: Random) -> None:
        """Close every connection but the tests' own."""
        for _ in range(10):
            house.redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            time.sleep(random.uniform(0.0, 0.3))


class RedisHang:
    """SIGSTOP of Redis: connections stay open and nobody answers, for less or for more than a client's patience."""

    name, kind, needs = "redis_hang", "redis", NOTHING

    def run(self, house: House, random: Random) -> None:
        """Pause Redis."""
        with for_a_while(random, lambda: signal_server(house.redis_server, signal.SIGCONT), 2.0, 12.0):
            signal_server(house.redis_server, signal.SIGSTOP)


class RedisRestart:
    """Redis is killed and starts again at once without its data: workers may not even see a failed connection."""

    name, kind, needs = "redis_restart", "redis", NOTHING

    def run(self, house: House, random: Random) -> None:
        """Restart Redis, empty."""
        del random
        house.redis_down()
        house.redis_up()


class RedisAway:
    """Redis is away for a while and comes back empty: partitions wait, bounded by their inboxes."""

    name, kind, needs = "redis_away", "redis", NOTHING

    def run(self, house: House, random: Random) -> None:
        """Leave Redis down for a while."""
        with for_a_while(random, house.redis_up, 3.0, 8.0):
            house.redis_down()


REDIS = (FlushAll, ScriptFlush, MaxMemory, ReadOnly, ClientsKilled, RedisHang, RedisRestart, RedisAway)
