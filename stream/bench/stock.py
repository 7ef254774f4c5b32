"""Stock Faust at the same kind of job: an agent, a table, one HSET an event. Run as a process; what we compare with."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from typing import Any

import faust
import redis.asyncio

HALF_LIVES_DAYS = (7, 30, 180)


def step(state: dict[str, float], event: dict[str, Any]) -> dict[str, float]:
    """Update a customer's counts and decayed sums: a small part of what the real job keeps."""
    at_days = event["event_time"] / 86_400_000
    since_days = at_days - state.get("at_days", at_days)
    kind = event["event_type"]
    for days in HALF_LIVES_DAYS:
        name = f"{kind}_hl{days}d"
        state[name] = state.get(name, 0.0) * 0.5 ** (since_days / days) + 1.0
    state["events"] = state.get("events", 0.0) + 1
    state["spend"] = state.get("spend", 0.0) + float(event.get("value") or 0.0)
    state["at_days"] = max(at_days, state.get("at_days", 0.0))
    return state


async def main(bootstrap: str, redis_url: str, events: int) -> None:
    """Run until so many events were applied; print CPU and wall seconds."""
    with tempfile.TemporaryDirectory() as folder:
        app = faust.App(
            "stock",
            broker=f"kafka://{bootstrap}",
            store="memory://",
            web_enabled=False,
            datadir=folder,
            topic_disable_leader=True,
            broker_session_timeout=6,
            broker_heartbeat_interval=1,
        )
        client = redis.asyncio.Redis.from_url(redis_url)
        table = app.Table("customers", default=dict, partitions=4)
        done = asyncio.Event()
        seen = 0
        began = (0.0, 0.0)

        @app.agent(app.topic("clickstream", "purchases", value_serializer="raw", key_serializer="raw"))  # type: ignore[untyped-decorator] # Faust is untyped
        async def segment(stream: Any) -> None:
            nonlocal seen, began
            async for value in stream:
                if not seen:
                    began = (time.process_time(), time.monotonic())
                event = json.loads(value)
                customer = event["customer_id"]
                state = step(dict(table[customer]), event)
                table[customer] = state
                await client.hset(f"segment:{customer}", mapping={"segment": int(state["events"]) % 6})
                seen += 1
                if seen == events:
                    done.set()

        await app.start()
        await done.wait()
        spent = {"cpu_s": time.process_time() - began[0], "seconds": time.monotonic() - began[1]}
        await app.stop()
        await client.aclose()
    print(json.dumps(spent))  # noqa: T201 (the answer)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
