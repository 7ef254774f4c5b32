"""What a worker says about itself: feature vectors for the learner, and numbers on topic segment-metrics."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Iterator

import aiokafka
import numpy as np
import orjson
import structlog
from aiokafka.errors import KafkaError

from models import features
from models.catalogue import MODEL_FEATURES
from models.judge import NO_SEGMENT
from models.standing import profiles
from schemas.metric import MetricName
from schemas.record import WARMING_UP
from schemas.topics import FEATURE_SAMPLES
from stream import worker_state
from stream.extract_sparse import text_hashes
from stream.partition.owner import Owner
from stream.partition.partition import Partition
from stream.readings import Reading, send
from stream.sampling import Sweep

log = structlog.get_logger(__name__)

TICK_S = 1.0
"""Time between two rounds of sampling."""
COUNTERS: tuple[MetricName, ...] = (
    "events_applied",
    "duplicates",
    "late",
    "replayed",
    "dead_letters",
    "without_id",
    "groups",
    "records_published",
    "changes",
    "swept_customers",
    "cart_triggers",
    "cart_reminders_too_old",
    "records_refreshed",
    "records_rechecked",
    "records_repaired",
    "redis_rebuilds",
    "redis_retries",
    "models_refused",
    "samples_refused",
    "vectors_learnt",
)


class Reporter:
    """Sends samples every second and metrics every `metrics_interval_s`."""

    def __init__(self, owner: Owner, producer: aiokafka.AIOKafkaProducer, *, sampling: bool) -> None:
        self._owner = owner
        self._producer = producer
        self._sampling = sampling
        self._sweeps: dict[int, Sweep] = {}
        self._reported_at = time.monotonic()
        self._reported_events = 0

    async def run(self) -> None:
        """Report for ever."""
        settings = self._owner.shared.settings
        loop = asyncio.get_running_loop()
        due = loop.time() + settings.metrics_interval_s
        while True:
            await asyncio.sleep(TICK_S)
            try:
                if self._sampling:
                    await self._send_samples(settings.sample_rate_per_s * TICK_S / settings.partitions)
                if loop.time() >= due:
                    due = loop.time() + settings.metrics_interval_s
                    await self._send_metrics()
            except KafkaError as error:
                # Samples and numbers are worth no restart; the partitions' own writes decide about that.
                log.warning("report_not_sent", error=str(error))

    async def _send_samples(self, per_partition: float) -> None:
        for number, partition in list(self._owner.partitions.items()):
            sweep = self._sweeps.setdefault(number, Sweep())
            slots = sweep.next(max(1, round(per_partition)), len(partition.table))
            if not len(slots):
                continue
            now_ms = partition.clock.now(self._owner.shared.now_ms())
            said = partition.table.gather(slots)
            sample = {
                "format_version": 2,
                "partition": number,
                "now": now_ms,
                "features": MODEL_FEATURES,
                "vectors": features.of_rows(said, now_ms),
                "profiles": profiles(said),
                "keys": [key >> 11 for key in text_hashes(partition.table.ids[slot] for slot in slots.tolist())],
                "customers": len(partition.table),
            }
            value = orjson.dumps(sample, option=orjson.OPT_SERIALIZE_NUMPY)
            await self._producer.send_and_wait(FEATURE_SAMPLES, value=value, key=b"%d" % number, partition=0)

    async def _send_metrics(self) -> None:
        readings = list(self._of_worker())
        for number, partition in list(self._owner.partitions.items()):
            readings += self._of_partition(number, partition)
        await send(self._producer, readings, self._owner.shared.now_ms())

    def _of_worker(self) -> Iterator[Reading]:
        metrics = self._owner.shared.metrics
        counters = metrics.counters
        now = time.monotonic()
        elapsed_s = now - self._reported_at
        yield "events_per_s", (counters["events_applied"] - self._reported_events) / elapsed_s, {}
        self._reported_at, self._reported_events = now, counters["events_applied"]
        for name in COUNTERS:
            yield name, counters[name], {}
        for custom, times in metrics.custom.items():
            yield "custom_events", times, {"name": custom}
        latencies_ms = metrics.latencies_ms()
        if latencies_ms is not None:
            yield "event_to_redis_p50_ms", latencies_ms[0], {}
            yield "event_to_redis_p99_ms", latencies_ms[1], {}
        yield "sweep_delay_ms", metrics.taken_sweep_delay_ms(), {}
        served = self._owner.model
        yield "model_version", served.model.version if served else 0, {}
        yield "resident_bytes", _resident_bytes(), {}
        for file in worker_state.kept:
            if file.state.last_stop is not None:
                yield "last_stop", file.state.last_stop.exit_code, {"reason": file.state.last_stop.reason}

    def _of_partition(self, number: int, partition: Partition) -> Iterator[Reading]:
        labels = {"partition": str(number)}
        yield "customers", len(partition.table), labels
        yield "category_names", len(partition.table.categories.names), labels
        yield "dirty_customers", int(np.count_nonzero(partition.table.dirty)), labels
        yield "recovery_s", partition.recovery_s, labels
        for topic, position in partition.positions.items():
            high = self._owner.highwater(topic, number)
            if high is not None:
                yield "lag_records", max(0, high - position.next), {**labels, "topic": topic}
        names = self._owner.model.names if self._owner.model else {}
        for segment, size in partition.table.tally("segment").items():
            name = names.get(segment, "") if segment != NO_SEGMENT else WARMING_UP
            yield "segment_customers", size, {**labels, "segment": str(segment), "name": name}


def _resident_bytes() -> int:
    """Memory of this process, as Linux counts it; the peak elsewhere."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 (a kernel file, read every few seconds)
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
