"""Workers with one thing broken on purpose, as processes of their own: what a watchdog must notice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.kit.job import Job

TEMPLATE = """
import asyncio, os, sys, threading, time
from pathlib import Path

TRIGGER = Path({trigger!r})
FOREVER = 3600

def now():
    return TRIGGER.exists()

{break_it}
from stream.commands import run
sys.exit(run(["worker", "--clock", "event"]))
"""

NO_PROGRESS = """
from stream.partition.partition import Partition
real = Partition.publish
async def publish(self, *args, **kwargs):
    if now():
        await asyncio.sleep(FOREVER)
    await real(self, *args, **kwargs)
Partition.publish = publish
"""

AGENT_CANCELLED = """
from stream.partition.owner import Owner
real = Owner.submit
async def submit(self, event):
    if now():
        raise asyncio.CancelledError
    await real(self, event)
Owner.submit = submit
"""

PARTITION_RETURNS = """
from stream.partition.partition import Partition
real = Partition._judge
def judge(self, *args, **kwargs):
    if now():
        raise asyncio.CancelledError
    return real(self, *args, **kwargs)
Partition._judge = judge
"""

COMMIT_REFUSED = """
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
real = AIOKafkaConsumerThread._commit
async def commit(self, offsets):
    if now():
        return False
    return await real(self, offsets)
AIOKafkaConsumerThread._commit = commit
"""

HEARTBEAT_UNHEARD = """
from aiokafka.consumer.group_coordinator import GroupCoordinator
real = GroupCoordinator._do_heartbeat
async def heartbeat(self):
    while now():
        # The group hears it all the same: a worker that it expels has uncommitted events too, which may be seen first.
        await real(self)
        await asyncio.sleep(1.0)
    return await real(self)
GroupCoordinator._do_heartbeat = heartbeat
"""

LOOP_BLOCKED = """
from stream.partition.partition import Partition
real = Partition._judge
def judge(self, *args, **kwargs):
    while now():
        time.sleep(0.1)
    return real(self, *args, **kwargs)
Partition._judge = judge
"""


def start(job: Job, break_it: str, trigger: Path) -> subprocess.Popen[bytes]:
    """Start a worker that breaks once `trigger` exists; return when it is ready."""
    code = TEMPLATE.format(trigger=str(trigger), break_it=break_it)
    return job.start_worker(command=[sys.executable, "-c", code])
