"""An hour at half load on Apache Kafka with a fixed set of customers: memory and file descriptors stay where they are.

    make soak ARGS="--minutes 60"

Workers' resident memory and open files are read from the kernel every few seconds. After the first sixth of the run
(ten minutes of an hour), in which every customer has come and every buffer has grown, their Theil-Sen slope counts:
the median of the slopes of all pairs of samples, which a few spikes cannot move. The last line of standard output is
one JSON object; exit code 0 where memory grows by at most 10 MB an hour and descriptors do not grow.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

from kafka.admin import ConfigResource, ConfigResourceType
from scipy.stats import theilslopes

from schemas.topics import CHANGELOG, CLICKSTREAM, FEATURE_SAMPLES, PURCHASES, SEGMENT_CHANGES
from stream.clients import kafka_admin
from stream.embedded.supervisor import Child, stop
from tests.proof.chaos import note
from tests.proof.house import House
from tests.proof.prove_page import OUT, record

RATE_PER_S = 5_000
"""Half of the live benchmark's load."""
CUSTOMERS = 20_000
SAMPLE_S = 5.0
REPORT_S = 60.0
SLOPE_MAX_MB_PER_H = 10.0
DESCRIPTORS_MAX = 2
"""Open files more at the end than at the start of what counts: a connection that is being replaced."""
SMALL = {"segment.bytes": str(32 << 20), "retention.bytes": str(128 << 20)}
EAGER = {"segment.bytes": str(32 << 20), "min.cleanable.dirty.ratio": "0.2"}


@dataclass(slots=True)
class Result:
    """What the last line says. Of several workers the worst counts."""

    minutes: float
    rate_per_s: int
    customers: int
    events: int = 0
    memory_mb: float = 0.0
    memory_mb_per_h: float = 0.0
    descriptors: int = 0
    descriptors_more: int = 0
    restarts: int = 0
    verdict: str = "grows"


class Samples:
    """Resident bytes and open files of processes over time."""

    def __init__(self) -> None:
        self._of: dict[int, list[tuple[float, float, float]]] = defaultdict(list)

    def take(self, pids: list[int], elapsed_s: float) -> None:
        """Look at each process."""
        for pid in pids:
            try:
                pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
                files = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 (only counted)
            except OSError:
                continue
            self._of[pid].append((elapsed_s, pages * os.sysconf("SC_PAGE_SIZE") / 1e6, files))

    def judge(self, since_s: float, result: Result) -> None:
        """Fill in the worst of all processes, as of the time that counts."""
        slopes = []
        for samples in self._of.values():
            counting = [sample for sample in samples if sample[0] >= since_s]
            if len(counting) < 3:
                continue
            times, memory, files = zip(*counting, strict=True)
            slopes.append(float(theilslopes(memory, times)[0]) * 3_600)
            result.memory_mb = max(result.memory_mb, memory[-1])
            result.descriptors = max(result.descriptors, int(files[-1]))
            tenth = max(1, len(files) // 10)
            more = sorted(files[-tenth:])[tenth // 2] - sorted(files[:tenth])[tenth // 2]
            result.descriptors_more = max(result.descriptors_more, int(more))
        result.memory_mb_per_h = max(slopes)


def run(result: Result, folder: Path, workers: int) -> Result:
    """Run the job for the result's minutes and judge it."""
    with House(folder, workers=workers, proxies=False) as house:
        bound(house)
        house.workers.until_ready()
        feeding = shoppers(house, result)
        feeding.start()
        samples, began, reported = Samples(), time.monotonic(), 0.0
        while (elapsed_s := time.monotonic() - began) < result.minutes * 60:
            samples.take(house.workers.pids(), elapsed_s)
            if elapsed_s - reported >= REPORT_S:
                reported = elapsed_s
                note(f"{elapsed_s / 60:.0f} min, {sum(house.ends().values()):,} records")
            assert feeding.exit_code is None, f"the shoppers ended: {feeding.why()}{feeding.tail()}"
            time.sleep(SAMPLE_S)
        stop([feeding], 10.0)
        result.events = sum(house.ends().values())
        house.settle()
        result.restarts = len(house.workers.exits)
    samples.judge(result.minutes * 10, result)
    steady = result.memory_mb_per_h <= SLOPE_MAX_MB_PER_H and result.descriptors_more <= DESCRIPTORS_MAX
    result.verdict = "steady" if steady and not result.restarts else "grows"
    return result


def bound(house: House) -> None:
    """Have Kafka keep little: an hour of events would fill a disk, and nothing here reads them again."""
    wanted = dict.fromkeys((CLICKSTREAM, PURCHASES, SEGMENT_CHANGES, FEATURE_SAMPLES), SMALL) | {CHANGELOG: EAGER}
    with kafka_admin(house.settings) as admin:
        admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic, values) for topic, values in wanted.items()]
        )


def shoppers(house: House, result: Result) -> Child:
    """The shoppers' process, not started: always the same customers."""
    words = ["-m", "stream.commands", "simulate", "--kafka", house.settings.kafka, "--data-dir", str(house.folder)]
    words += ["--rate", str(result.rate_per_s), "--customers", str(result.customers), "--duplicates", "0.01"]
    words += ["--disorder", "60"]
    return Child("shoppers", [sys.executable, *words], house.folder / "shoppers.log")


def main(arguments: list[str] | None = None) -> int:
    """Soak; 0 where nothing grows."""
    parser = argparse.ArgumentParser(prog="make soak ARGS=", description="A long run at half load.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=RATE_PER_S, help="events per second")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=OUT, help="the proof's results, for which this is one more")
    given = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="livesegment-soak-"))
    result = run(Result(given.minutes, given.rate, CUSTOMERS), folder, given.workers)
    shutil.rmtree(folder, ignore_errors=True)
    record(given.out, "soak", asdict(result))
    sys.stdout.write(json.dumps(asdict(result)) + "\n")
    return 0 if result.verdict == "steady" else 1


if __name__ == "__main__":
    sys.exit(main())
