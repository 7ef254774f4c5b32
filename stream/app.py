"""READ FIRST. One worker: where events come in, who works on them, how it starts and ends.

clickstream ──┐  one Faust message = all records of one partition in one fetch              (stream/transport)
purchases ────┴► agent `segment` ─► Partition.run: decode ─► apply ─► assign                (stream/partition)
feature-samples                       ① changelog rows ─► ② segment-changes, cart-triggers, ③ Redis ─► ack
..└────────────► agent `learn` ─► segment-models ─► every worker swaps its model            (stream/learner.py)
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.types.tuples import TP

from models.batch import SOURCES
from models.catalogue import MODEL_FEATURES
from models.warm import warm
from schemas.topics import FEATURE_SAMPLES
from stream import transport
from stream.broker_away import in_our_words
from stream.errors import CouldNotLeave, FaustStopped
from stream.learner import LearnerService
from stream.models_feed import ModelsFeed, pinned
from stream.partition.log import can_fence, new_producer
from stream.partition.owner import Owner
from stream.partition.shared import Shared, fail_stop
from stream.redis_view.view import connect
from stream.reporting import Reporter
from stream.runtime import settle
from stream.security import faust_credentials, kafka_options, redis_options
from stream.settings import Settings
from stream.transport.message import BatchSchema
from stream.transport.recovery import OwnTableManager
from stream.watchdogs import Watchdogs

log = structlog.get_logger(__name__)

QUEUE_BATCHES = 16
"""Batches that wait in Faust's queue; its default of 4,096 would read half a million events ahead."""
STOP_S = 9.0
"""A worker that does not end by itself in this time is ended: supervisors count to ten."""


@dataclass(frozen=True, slots=True)
class FetchKnobs:
    """What the batch transport asks of the broker."""

    min_bytes: int
    wait_ms: int


class SegmenterApp(faust.App):
    """A Faust app that owns partitions; the batch transport calls its owner around commits and rebalances."""

    livesegment_owner: Owner
    livesegment_fetch: FetchKnobs
    livesegment_settings: Settings

    async def livesegment_ready(self) -> None:
        """Partitions are recovered and the flow is open."""
        log.info("worker_ready", partitions=sorted(self.livesegment_owner.partitions))
        ready_file = self.livesegment_settings.ready_file
        if ready_file is not None:
            # What the process cost so far, so that a measurement can leave the start out.
            ready_file.write_text(f"{time.process_time()}\n", encoding="ascii")

    async def _stop_consumer(self) -> None:
        # Faust does not call on_partitions_revoked when a worker stops.
        owner = self.livesegment_owner
        await owner.revoking()
        await super()._stop_consumer()
        await owner.release()


def build_app(settings: Settings, owner: Owner, learner: LearnerService | None) -> SegmenterApp:
    """Build the app with its two agents."""
    transport.register()
    app = SegmenterApp(
        settings.app_id,
        broker=[f"{transport.SCHEME}://{server}" for server in settings.kafka.split(",")],
        broker_credentials=faust_credentials(settings),
        TableManager=OwnTableManager,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        # With no tables and no standbys Faust would assign the two source topics independently of each other.
        table_standby_replicas=1,
        broker_commit_interval=settings.commit_interval_s,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.heartbeat_s,
        broker_max_poll_interval=600.0,
        consumer_max_fetch_size=settings.fetch_max_bytes_per_partition,
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=QUEUE_BATCHES,
        stream_wait_empty=True,
    )
    app.livesegment_owner = owner
    app.livesegment_settings = settings
    app.livesegment_fetch = FetchKnobs(settings.fetch_min_bytes, settings.fetch_wait_ms)
    owner.highwater = lambda topic, number: app.consumer.highwater(TP(topic, number))
    guarded = owner.shared.guarded

    @app.agent(app.topic(*SOURCES, schema=BatchSchema()), name="segment")
    async def segment(stream: Any) -> None:
        """1 decode, 2 apply, 3 assign, 4 rows, 5 changes and Redis, 6 ack: `Partition.run`, a group at a time."""
        async for event in stream.noack().events():
            await guarded(owner.submit(event))

    if learner is not None:

        @app.agent(app.topic(FEATURE_SAMPLES, schema=BatchSchema()), name="learn")
        async def learn(stream: Any) -> None:
            """Feed the model and publish its snapshots."""
            async for records in stream:
                await guarded(learner.learn(records))

    return app


def run_worker(settings: Settings) -> None:
    """Run one worker until SIGTERM or SIGINT. Raises FaustStopped, KafkaUnreachable and what kept it from starting."""
    # Before any partition is ours: reading machine code takes a second, and making it, once, half a minute.
    warm()
    try:
        asyncio.run(_run(settings))
    except KafkaError as error:
        raise in_our_words(error) from error


async def _run(settings: Settings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with _parts(settings) as (app, tasks):
        settle()
        told = asyncio.create_task(stopping.wait())
        # The start lasts until the first partitions are recovered: long enough to be told to end meanwhile.
        starting = asyncio.create_task(app.start())
        await asyncio.wait([starting, told], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            crashed = asyncio.create_task(app.wait_until_stopped())
            await asyncio.wait([crashed, told], return_when=asyncio.FIRST_COMPLETED)
        reason = app.crash_reason
        if reason is not None:
            log.error("worker_stopped", reason=f"Faust stopped: {type(reason).__name__}: {reason}")
        _end_in_time()
        for task in tasks:
            task.cancel()
        await app.stop()
        starting.cancel()
    if reason is not None:
        raise FaustStopped(f"Faust stopped: {type(reason).__name__}: {reason}") from reason


def _end_in_time() -> None:
    """End the process after STOP_S, whatever still waits: Faust, a producer's last batch, a thread at exit."""
    late = CouldNotLeave(f"the worker was told to end and could not leave in {STOP_S:.0f} s (is Kafka or Redis away?)")
    timer = threading.Timer(STOP_S, fail_stop, (late,))
    timer.daemon = True
    timer.start()


@contextlib.asynccontextmanager
async def _parts(settings: Settings) -> AsyncIterator[tuple[SegmenterApp, list[asyncio.Task[None]]]]:
    """Connect, read the present model, and yield the app with its background tasks running."""
    security = kafka_options(settings)
    redis = await connect(settings.redis_url, redis_options(settings))
    fenced = await can_fence(bootstrap=settings.kafka, app_id=settings.app_id, security=security)
    if not fenced:
        log.warning("not_fenced", why="this broker does not know InitProducerId; end an old worker before a new one")
    shared = Shared(settings)
    producer = new_producer(settings.kafka, settings.app_id, security=security)
    await producer.start()
    # Where nothing can be fenced the partitions need no producers of their own: shared requests cost half the CPU.
    owner = Owner(shared, redis, fenced=fenced, plain=None if fenced else producer)
    feed = ModelsFeed(settings, MODEL_FEATURES, owner.adopt, shared.metrics)
    learner = None
    tasks = []
    if settings.model_file is not None:
        owner.adopt(*pinned(settings.model_file, MODEL_FEATURES))
    else:
        await feed.start()
        learner = LearnerService(settings, feed, producer, shared.metrics)
        tasks.append(asyncio.create_task(shared.guarded(feed.follow())))
    reporter = Reporter(owner, producer, sampling=settings.model_file is None)
    tasks.append(asyncio.create_task(shared.guarded(reporter.run())))
    app = build_app(settings, owner, learner)
    tasks.append(asyncio.create_task(shared.guarded(Watchdogs(app).run())))
    try:
        yield app, tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if settings.model_file is None:
            await feed.stop()
        await producer.stop()
        await redis.aclose()
