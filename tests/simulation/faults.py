"""The faults: functions of the world, which the seed calls at any step. All are over when a run comes to rest."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from schemas.topics import CHANGELOG
from tests.oracle.shop import HOUR, MINUTE
from tests.simulation.served import MODELS

Fault = Callable[[Any], bool]
"""Returns whether it could happen just now."""


def crash(world: Any) -> bool:
    """A worker is killed at this very step."""
    worker = world.any_worker()
    if worker is not None:
        world.kill(worker, learns_after_s=world.rng.choice((0.1, 3.0, 10.0)))
    return worker is not None


def crash_all(world: Any) -> bool:
    """Every worker is killed at once."""
    for worker in list(world.workers):
        world.kill(worker, learns_after_s=world.rng.choice((0.1, 10.0)))
    return True


def pause(world: Any) -> bool:
    """A worker is stopped, loses its partitions, and wakes up later, wherever it stood."""
    return _pause(world, world.rng.choice((1.0, 5.0, 20.0, 60.0)))


def _pause(world: Any, for_s: float) -> bool:
    worker = world.any_worker()
    if worker is None:
        return False
    world.pause(worker, for_s)
    return True


def lost_heartbeats(world: Any) -> bool:
    """A worker is taken for dead, hears nothing of it, and goes on consuming and writing."""
    worker = world.any_worker()
    if worker is not None:
        world.group.evict(worker.name, world.rng.choice((2.0, 10.0, 40.0)))
    return worker is not None


def rebalance(world: Any) -> bool:
    """The group rebalances, with everybody told."""
    world.group.rebalance()
    return True


def leave(world: Any) -> bool:
    """A worker is told to end, flushes and leaves."""
    worker = world.any_worker()
    if worker is None:
        return False
    worker.stopping = True
    worker.rebalance(0.0)
    return True


def join(world: Any) -> bool:
    """One more worker comes."""
    if len(world.workers) >= 4:
        return False
    world.start_worker()
    return True


def kafka_resets(world: Any) -> bool:
    """Connections to Kafka break; requests are lost, or take effect late, after their repeat."""
    return _link(world, "kafka", trouble=world.rng.choice((0.2, 0.6)))


def kafka_cut(world: Any) -> bool:
    """A worker does not reach Kafka."""
    return _link(world, "kafka", cut=True)


def kafka_deaf(world: Any) -> bool:
    """A worker's requests reach Kafka, the answers are lost."""
    return _link(world, "kafka", deaf=True)


def kafka_slow(world: Any) -> bool:
    """Every request of a worker takes a third of a second."""
    return _link(world, "kafka", delay_s=0.3)


def redis_resets(world: Any) -> bool:
    """Connections to Redis break."""
    return _link(world, "redis", trouble=world.rng.choice((0.2, 0.6)))


def redis_deaf(world: Any) -> bool:
    """A worker's commands reach Redis, the answers are lost."""
    return _link(world, "redis", deaf=True)


def redis_slow(world: Any) -> bool:
    """Every command of a worker takes a second or more to reach Redis."""
    return _link(world, "redis", delay_s=1.0)


def redis_away(world: Any) -> bool:
    """Redis refuses everybody for a while."""
    world.wire.down.add("redis")
    world.later(world.rng.choice((1.0, 10.0)), lambda: world.wire.down.discard("redis"))
    return True


def kafka_away(world: Any) -> bool:
    """The broker refuses everybody for a moment."""
    world.wire.down.add("kafka")
    world.later(world.rng.choice((0.2, 0.8)), lambda: world.wire.down.discard("kafka"))
    return True


def redis_wiped(world: Any) -> bool:
    """Redis loses everything."""
    world.redis.wipe()
    return True


def redis_wiped_later(world: Any) -> bool:
    """A worker is stopped; Redis loses everything before it wakes up."""
    if not _pause(world, 6.0):
        return False
    world.later(world.rng.random() * 6.0, world.redis.wipe)
    return True


def compaction(world: Any) -> bool:
    """The changelog is compacted, up to anywhere."""
    if not world.compacts:
        return False
    for number in range(world.settings.partitions):
        log = world.broker.logs[CHANGELOG, number]
        world.note("compacted", number, log.compact(world.rng))
    return True


def commits_lost(world: Any) -> bool:
    """A worker's commits are lost, or arrive late."""
    return _link(world, "group", trouble=0.9)


def commits_late(world: Any) -> bool:
    """A worker's commits take seconds to arrive."""
    return _link(world, "group", delay_s=3.0)


def new_model(world: Any) -> bool:
    """A model is published; each worker serves it when it has read it."""
    if world.published >= MODELS:
        return False
    world.publish_model()
    return True


def slow_recovery(world: Any) -> bool:
    """Reading changelogs takes seconds a fetch."""
    world.slow_reads = True
    world.later(15.0, functools.partial(setattr, world, "slow_reads", False))
    return True


def clock_ahead(world: Any) -> bool:
    """A worker's clock jumps ahead."""
    worker = world.any_worker()
    if worker is None or worker.owner is None:
        return False
    worker.owner.shared.ahead_ms += world.rng.choice((60_000, 7_200_000))
    return True


def clock_back(world: Any) -> bool:
    """A worker's clock goes back by months, to around the newest event, and is put right later."""
    worker = world.any_worker()
    if worker is None or worker.owner is None:
        return False
    shared = worker.owner.shared
    # An event over 24 hours ahead would be refused, and the oracle knows no clock.
    shared.behind_newest_ms = world.rng.choice((-3 * HOUR, -40 * MINUTE, 0, 20 * HOUR))
    world.later(world.rng.choice((2.0, 10.0, 40.0)), functools.partial(setattr, shared, "behind_newest_ms", None))
    return True


def _link(world: Any, server: str, **how: Any) -> bool:
    worker = world.any_worker()
    if worker is None:
        return False
    link = world.wire.link(worker.process, server)
    for name, value in how.items():
        setattr(link, name, value)
    for_s = world.rng.choice((0.5, 4.0, 15.0))
    world.later(for_s, lambda: world.wire.links.pop((worker.name, server), None))
    return True


FAULTS: tuple[tuple[Fault, int], ...] = (
    (crash, 8),
    (crash_all, 3),
    (pause, 6),
    (lost_heartbeats, 5),
    (rebalance, 3),
    (leave, 3),
    (join, 4),
    (kafka_resets, 4),
    (kafka_cut, 2),
    (kafka_deaf, 2),
    (kafka_slow, 2),
    (kafka_away, 1),
    (redis_resets, 3),
    (redis_deaf, 2),
    (redis_slow, 3),
    (redis_away, 2),
    (redis_wiped, 4),
    (redis_wiped_later, 3),
    (compaction, 5),
    (commits_lost, 3),
    (commits_late, 2),
    (new_model, 5),
    (slow_recovery, 2),
    (clock_ahead, 1),
    (clock_back, 2),
)
"""Each with its weight."""
