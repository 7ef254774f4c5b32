"""Where a key lives: the partitioners that producers of our topics may use."""

from __future__ import annotations

import zlib

from kafka.partitioner.default import murmur2


def partition_of(partitioner: str, key: bytes, partitions: int) -> int:
    """Return the partition of `key` as Java, kafka-python and aiokafka (`murmur2`) or librdkafka (`crc32`) choose it.

    >>> partition_of("murmur2", b"c1", 4), partition_of("crc32", b"c1", 4)
    (3, 1)
    """
    if partitioner == "crc32":
        return zlib.crc32(key) % partitions
    return int(murmur2(key) & 0x7FFFFFFF) % partitions
