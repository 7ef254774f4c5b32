"""The partition's writer: one producer for its changelog partition and its changes, fenced by the broker where it can.

The fence (reference: KIP-98): `InitProducerId` under the partition's transactional id gives the same producer id with
the next producer epoch, and from our marker on the broker refuses older epochs in this log partition. No transactions
are used: they cost four times the time of a batch and buy nothing that the marker does not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import aiokafka
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    KafkaError,
    KafkaTimeoutError,
    ProducerFenced,
    UnknownError,
    UnsupportedVersionError,
)
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from schemas.topics import CART_TRIGGERS, CHANGELOG, SEGMENT_CHANGES
from stream.errors import Fenced, KafkaUnreachable
from stream.failpoints import hit
from stream.partition.meta import OWNER_KEY

Row: TypeAlias = tuple[bytes, bytes | None]
OutRecord: TypeAlias = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]

BATCH_BYTES = 512 * 1024
"""Size of one produce batch; below the broker's default limit of a request."""
REQUEST_BYTES = 4 << 20
"""Size of one request, which may hold a batch of each partition."""
PROBES = 3
"""How often a broker must fail at `InitProducerId` before it is taken for one that does not know it."""
PROBE_WAIT_S = 0.5
_SENT = {CHANGELOG: "rows_sent", SEGMENT_CHANGES: "changes_sent", CART_TRIGGERS: "triggers_sent"}
"""Failpoint between the sending of a request and its answer, by topic."""


class PartitionLog:
    """Writes one partition's rows, changes and dead letters; every method returns only when the broker has acked."""

    def __init__(
        self,
        number: int,
        *,
        bootstrap: str,
        app_id: str,
        fenced: bool,
        plain: aiokafka.AIOKafkaProducer | None = None,
        security: Mapping[str, Any] | None = None,
    ) -> None:
        """`plain`: a started producer that a worker's partitions share where the broker cannot fence them anyway.

        `security`: options of `stream.security.kafka_options`.
        """
        self.number = number
        self.fenced = fenced
        """Whether the broker refuses older owners; the embedded broker cannot."""
        name = f"{app_id}-{number}"
        self._shared = plain is not None
        self._producer = plain or new_producer(
            bootstrap, name, transactional_id=name if fenced else None, security=security
        )
        self._expected: int | None = None
        self.marks: set[int] = set()
        """Offsets of its markers: more than one where Redis was wiped during the take-over."""
        self.wrote_at = time.monotonic()
        """When the broker last acknowledged a row."""

    async def start(self) -> None:
        """Connect; on a fencing broker this is `InitProducerId`, after which older owners are on notice."""
        if not self._shared:
            await self._producer.start()
        if self.fenced:
            # Idempotent batches of this producer id and epoch, without the transaction that aiokafka would demand.
            # Private, hence the pinned version and the test that a zombie is refused.
            self._producer._txn_manager.transactional_id = None  # noqa: SLF001 (see above)
        hit("init_producer")

    @property
    def fence_restarted(self) -> bool:
        """Whether the broker gave a new producer id (its epochs start at 0), which does not fence the id before."""
        return self.fenced and int(self._producer._txn_manager.producer_epoch) == 0  # noqa: SLF001 (as in start)

    async def partitions(self, topic: str) -> int:
        """Ask the broker for the number of partitions of a topic."""
        return len(await self._producer.partitions_for(topic))

    async def stop(self) -> None:
        """Close the connection; what was awaited is written, nothing else was sent."""
        if not self._shared:
            await self._producer.stop()

    async def mark(self) -> int:
        """Write the owner's marker and return its offset: the epoch, unique and rising."""
        acks = await self._send(CHANGELOG, [(OWNER_KEY, b"", [])], self.number)
        offset = int(acks[-1].offset)
        if offset < 0:
            raise Fenced(f"partition {self.number}: the broker took the owner's marker but did not say where")
        self._expected = offset + 1
        self.marks.add(offset)
        hit("marker")
        return offset

    async def write(self, rows: Iterable[Row]) -> None:
        """Write changelog rows, in order. Raises Fenced where another owner has written since our marker."""
        for ack, count in await self._send_counted(CHANGELOG, [(key, value, []) for key, value in rows], self.number):
            if ack.offset < 0:
                # A repeat that the broker knows, but no longer where it is.
                self._expected = None
            elif self._expected is not None and ack.offset != self._expected:
                # Also on a fencing broker: it forgets a transactional id after a week, and then fences nobody.
                raise Fenced(
                    f"partition {self.number}: somebody else wrote to its changelog (offset {ack.offset} where "
                    f"{self._expected} was due), and the broker did not refuse them"
                )
            else:
                self._expected = ack.offset + count
        self.wrote_at = time.monotonic()

    async def send(self, topic: str, records: list[OutRecord], partition: int | None = None) -> None:
        """Write records `(key, value, headers)` to another topic, by default to the partition of the same number."""
        await self._send(topic, records, self.number if partition is None else partition)

    async def send_changes(self, records: list[tuple[bytes, bytes]]) -> None:
        """Write segment changes `(customer, value)`."""
        await self._send(SEGMENT_CHANGES, [(key, value, []) for key, value in records], self.number)
        hit("changes_acked")

    async def send_triggers(self, records: list[tuple[bytes, bytes]]) -> None:
        """Write cart triggers `(customer, value)`."""
        await self._send(CART_TRIGGERS, [(key, value, []) for key, value in records], self.number)
        hit("triggers_acked")

    async def _send(self, topic: str, records: list[OutRecord], partition: int) -> list[RecordMetadata]:
        return [ack for ack, _ in await self._send_counted(topic, records, partition)]

    async def _send_counted(
        self, topic: str, records: list[OutRecord], partition: int
    ) -> list[tuple[RecordMetadata, int]]:
        acks = []
        try:
            for batch, count in self._batches(records):
                acked = await self._producer.send_batch(batch, topic, partition=partition)
                hit(_SENT.get(topic, ""))
                acks.append((await acked, count))
        except ProducerFenced as error:
            raise Fenced(
                f"partition {self.number}: the broker refused to write to {topic}, a newer owner exists"
            ) from error
        except KafkaError as error:
            if not (error.retriable or isinstance(error, KafkaTimeoutError)):
                raise
            # aiokafka has repeated it for as long as it may.
            raise KafkaUnreachable(
                f"partition {self.number}: Kafka did not take a write to {topic}: {type(error).__name__} {error}",
                action="see why Kafka is away; start again with a growing pause",
            ) from error
        return acks

    def _batches(self, records: list[OutRecord]) -> Iterable[tuple[BatchBuilder, int]]:
        now_ms = int(time.time() * 1000)
        batch, count = self._producer.create_batch(), 0
        for key, value, headers in records:
            if batch.append(timestamp=now_ms, key=key, value=value, headers=headers) is None:
                yield batch, count
                batch, count = self._producer.create_batch(), 0
                batch.append(timestamp=now_ms, key=key, value=value, headers=headers)
            count += 1
        if count:
            yield batch, count


def new_producer(
    bootstrap: str, client_id: str, *, transactional_id: str | None = None, security: Mapping[str, Any] | None = None
) -> aiokafka.AIOKafkaProducer:
    """Make a producer for rows and changes, not started."""
    return aiokafka.AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        client_id=client_id,
        acks="all",
        transactional_id=transactional_id,
        max_batch_size=BATCH_BYTES,
        max_request_size=REQUEST_BYTES,
        linger_ms=0,
        **(security or {}),
    )


async def can_fence(*, bootstrap: str, app_id: str, security: Mapping[str, Any] | None = None) -> bool:
    """Whether the broker knows `InitProducerId`; the embedded one does not.

    Raises KafkaUnreachable where that cannot be told: a broker wrongly taken for one that cannot lets zombies in.
    """
    for _ in range(PROBES):
        probe = aiokafka.AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            client_id=f"{app_id}-probe",
            transactional_id=f"{app_id}-probe",
            acks="all",
            **(security or {}),
        )
        try:
            await probe.start()
        except (UnsupportedVersionError, IncompatibleBrokerVersion):
            return False
        except UnknownError:
            # The embedded broker's answer, always; another's only in trouble.
            await asyncio.sleep(PROBE_WAIT_S)
        except KafkaError as error:
            raise KafkaUnreachable(
                f"Kafka at {bootstrap} did not give a producer id for the transactional id {app_id}-probe: {error}",
                action=f"let this worker write with transactional ids that start with {app_id}, or start Kafka",
            ) from error
        else:
            return True
        finally:
            await probe.stop()
    return False
