"""Keys live where the producers put them."""

from __future__ import annotations

import zlib

from aiokafka.partitioner import murmur2 as aiokafka_murmur2
from hypothesis import given
from hypothesis import strategies as st

from stream.partitioner import partition_of


@given(st.binary(max_size=64), st.integers(1, 1000))
def test_murmur2_is_the_partitioner_of_aiokafka_and_java(key: bytes, partitions: int) -> None:
    assert partition_of("murmur2", key, partitions) == (aiokafka_murmur2(key) & 0x7FFFFFFF) % partitions


@given(st.binary(max_size=64), st.integers(1, 1000))
def test_crc32_is_the_partitioner_of_librdkafka(key: bytes, partitions: int) -> None:
    assert partition_of("crc32", key, partitions) == zlib.crc32(key) % partitions


def test_known_places_of_java_stay() -> None:
    # From the tests of Apache Kafka's Utils.murmur2.
    assert aiokafka_murmur2(b"21") & 0xFFFFFFFF == -973932308 & 0xFFFFFFFF
    assert partition_of("murmur2", b"21", 1000) == (-973932308 & 0x7FFFFFFF) % 1000
