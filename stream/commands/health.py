"""`livesegment health`: one line and an exit code for supervisors and probes."""

from __future__ import annotations

from collections.abc import Mapping

import typer

from stream.commands.common import AsJson, DataDir, answer, prepare
from stream.errors import LivesegmentError, NotFound, NotNow, Unreachable
from stream.worker_state import FRESH_S, WorkerState, read_all

GRAVITY = (LivesegmentError.exit_code, Unreachable.exit_code, NotNow.exit_code, 0)
"""Exit codes, gravest first: what several workers on one data directory amount to."""


def command(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Say whether the workers on this data directory are well; asks no server, so it is cheap to run often.

    Exit code 0: healthy. 4: not ready, it recovers its partitions or fills Redis. 5: Kafka or Redis does not answer.
    1: stopped, dead or stuck, with the reason. 3: no worker keeps its state here.

    Example: livesegment health --data-dir .livesegment
    """
    settings = prepare(data_dir=data_dir)
    states = read_all(settings.data_dir)
    if not states:
        raise NotFound(
            f"No worker keeps its state in {settings.data_dir}",
            action="start one, or give the --data-dir (LIVESEGMENT_DATA_DIR) that the worker has",
        )
    code, words = judge(states)
    workers = {name: {"state": state.state, "exit_code": of(state)[0]} for name, state in states.items()}
    answer({"exit_code": code, "says": words, "workers": workers}, words, as_json=as_json)
    raise typer.Exit(code)


def judge(states: Mapping[str, WorkerState]) -> tuple[int, str]:
    """Return the exit code of the worker that is worst off and a line about it, or about all where all are well."""
    judged = {name: of(state) for name, state in states.items()}
    name, (code, words) = min(judged.items(), key=lambda item: GRAVITY.index(item[1][0]))
    if code:
        return code, f"{name}: {words}"
    partitions = sum(len(state.partitions) for state in states.values())
    lag = sum(state.lag for state in states.values())
    return 0, f"healthy: {len(states)} running, {partitions} partitions, lag {lag:,}"


def of(state: WorkerState) -> tuple[int, str]:
    """Return the exit code and a line about one worker."""
    stop = state.last_stop
    if state.state == "stopped":
        code = stop.exit_code if stop and stop.exit_code == Unreachable.exit_code else 1
        return code, f"stopped: {stop.reason}. {stop.what}" if stop else "stopped"
    if not state.alive:
        return 1, f"dead: process {state.pid} ended without a word (killed, or the machine ran out of memory)"
    if state.age_s > FRESH_S:
        return 1, f"stuck: process {state.pid} has said nothing for {state.age_s:.0f} s"
    for server, answers in (("Kafka", state.kafka), ("Redis", state.redis)):
        if not answers:
            return Unreachable.exit_code, f"{state.state}, but {server} does not answer"
    if state.state != "running":
        return NotNow.exit_code, f"not now: {state.state}"
    return 0, "running"
