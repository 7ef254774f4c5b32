"""Every error that ends a Livesegment process, in one tree.

    LivesegmentError            1  anything else
    ├── WrongUsage              2  a command line or a value that cannot be meant
    │   └── WrongSettings       2  a setting out of its bounds
    ├── NotFound                3  what was asked for does not exist
    ├── NotNow                  4  it exists, but is being recovered or rebuilt
    ├── Unreachable             5  a server does not answer
    │   ├── KafkaUnreachable    5
    │   └── RedisUnreachable    5
    ├── TopicsDiffer            1  a topic is not as the registry says
    ├── AlreadyRunning          1  the data directory belongs to a running `up`
    ├── EmbeddedFailed          1  the embedded broker or Redis did not start
    ├── ReceiverRefused         1  a webhook receiver did not take an example
    └── FailStop               75  a worker must not go on; its supervisor starts it again
        ├── Fenced             75  a newer owner of the partition exists
        │   └── RedisClaimed   75  Redis says so
        ├── FenceRestarted     75  the broker forgot the partition's producer, and with it the fence
        ├── Watchdog           75  something that must move has stood still
        │   ├── NoProgress     75  events wait, and none is applied
        │   ├── AgentEnded     75  a task that must run as long as the worker does has ended
        │   ├── CommitStuck    75  events are durable, and their offsets are not committed
        │   ├── HeartbeatLost  75  Kafka's group has heard nothing of this worker
        │   └── LoopStalled    75  the event loop does not turn
        ├── FaustStopped       75  the stream library gave up
        ├── CouldNotLeave       1  told to end, and what it waited for did not answer in time
        ├── BrokenChangelog     1  the changelog contradicts itself or is of an unknown version
        ├── SourceLost          1  a source topic ends before what was read from it
        └── TooManyDeadLetters  1  most of what comes in cannot be decoded

The number is the process's exit code (docs/operations.md and the command line rely on it): 75 where another start is
the cure. Bad *input events* are never in this tree: they are values, dead letters with a reason code.
"""

# ruff: noqa: N818 - the names say what happened; `Error` at the end of each would say nothing more

from __future__ import annotations

import re
from typing import ClassVar


class LivesegmentError(Exception):
    """The root of the tree: something a person has to know about.

    `what` is one sentence about what happened and where, without secrets and without any event's content; `action`
    overrides the class's own advice. Operator action: read the sentence before this one and the log above it.
    """

    exit_code: ClassVar[int] = 1
    advice: ClassVar[str] = "read the log above; if it does not explain itself, report it with that log"

    def __init__(self, what: str, *, action: str | None = None) -> None:
        self.what = what.rstrip(".")
        self.action = (action or self.advice).rstrip(".")
        super().__init__(what)

    @classmethod
    def reason(cls) -> str:
        """Return the name that metrics, `status` and `health` have for it.

        >>> HeartbeatLost.reason()
        'heartbeat_lost'
        """
        return re.sub(r"(?<=.)([A-Z])", r"_\1", cls.__name__).lower()

    def __str__(self) -> str:
        return f"{self.what}. Operator action: {self.action}."


class WrongUsage(LivesegmentError):
    """The command line asks for something that cannot be meant. Operator action: see the command's --help."""

    exit_code = 2
    advice = "see the command's --help for what it takes"


class WrongSettings(WrongUsage):
    """A setting has a value out of its bounds. Operator action: correct it; docs/settings.md lists the bounds."""

    advice = "correct the option or environment variable; docs/settings.md lists every setting with its bounds"


class NotFound(LivesegmentError):
    """What was asked for does not exist. Operator action: check the spelling and that it was ever sent."""

    exit_code = 3
    advice = "check the spelling, and that events of it were ever sent"


class NotNow(LivesegmentError):
    """The answer exists but is being recovered or rebuilt. Operator action: ask again in a few seconds."""

    exit_code = 4
    advice = "ask again in a few seconds; `livesegment status` shows how far it is"


class Unreachable(LivesegmentError):
    """A server did not answer, after retries with backoff. Operator action: start it or correct its address."""

    exit_code = 5
    advice = "start the server or correct its address"


class KafkaUnreachable(Unreachable):
    """No Kafka broker answered. Operator action: start Kafka, or set --kafka / LIVESEGMENT_KAFKA."""

    advice = (
        "start Kafka, or set --kafka or LIVESEGMENT_KAFKA to its host:port "
        "(`livesegment up` starts an embedded one; give the same --data-dir to reach it)"
    )


class RedisUnreachable(Unreachable):
    """Redis did not answer. Operator action: start Redis, or set --redis-url / LIVESEGMENT_REDIS_URL."""

    advice = (
        "start Redis, or set --redis-url or LIVESEGMENT_REDIS_URL to it "
        "(`livesegment up` starts an embedded one; give the same --data-dir to reach it)"
    )


class TopicsDiffer(LivesegmentError):
    """A topic exists with other properties than the registry's. Operator action: the error names what to change."""

    advice = "run `livesegment topics check` and change what it names"


class AlreadyRunning(LivesegmentError):
    """Another `up` owns the data directory. Operator action: use that one, end it, or give another --data-dir."""

    advice = "use the one that runs, end it with Ctrl-C or SIGTERM, or give another --data-dir"


class EmbeddedFailed(LivesegmentError):
    """An embedded server is not installed or did not start. Operator action: read its log's tail in the message."""

    advice = "read the lines of its log above; `make install` installs the embedded parts"


class ReceiverRefused(LivesegmentError):
    """A webhook receiver did not take an example.

    Operator action: read the receiver's log; the example is right, and signed with LIVESEGMENT_WEBHOOK_SECRET.
    """

    advice = "read the receiver's log; the example is right, and signed with LIVESEGMENT_WEBHOOK_SECRET"


class FailStop(LivesegmentError):
    """A worker cannot go on without risking what it promises. Operator action: none if a supervisor restarts it."""

    exit_code = 75
    advice = "let the supervisor start the worker again; if it ends the same way, read the sentence before this one"


class Fenced(FailStop):
    """A newer owner writes this partition, so this worker may not. Operator action: none, the newer owner goes on."""

    advice = (
        "none: the newer owner goes on and this worker starts afresh; repeated, look for paused or starved machines"
    )


class RedisClaimed(Fenced):
    """Redis holds the claim of a newer owner of this partition. Operator action: none, the newer owner goes on."""


class FenceRestarted(FailStop):
    """The broker forgot a partition's producer and fences nobody. Operator action: see that no old worker is alive."""

    advice = (
        "make sure that no earlier worker of this partition is still alive, then start again: the next start has a "
        "fence. If it comes back, look whether two jobs share these topics, or raise transactional.id.expiration.ms"
    )


class Watchdog(FailStop):
    """What must move has stood still too long. Operator action: none if a supervisor restarts it; else see the log."""


class NoProgress(Watchdog):
    """Events wait and none is applied. Operator action: if it comes back, report it with the log."""

    advice = "none, a restart reads on from the last commit; if it comes back, report it with the log above"


class AgentEnded(Watchdog):
    """A task that must run as long as the worker has ended. Operator action: if it comes back, report it."""

    advice = "none, a restart reads on from the last commit; if it comes back, report it with the log above"


class CommitStuck(Watchdog):
    """Durable events stay uncommitted. Operator action: look whether the broker takes offset commits of this group."""

    advice = "none if it happens once: nothing is lost; if it comes back, see if the broker takes this group's commits"


class HeartbeatLost(Watchdog):
    """The group has not heard of this worker. Operator action: look for starved machines and half-open connections."""

    advice = "none if it happens once; if it comes back, look for a starved machine or a firewall that drops idle links"


class LoopStalled(Watchdog):
    """The event loop does not turn. Operator action: look for a starved machine; else report where it stood."""

    advice = "look for a machine without memory or CPU; else report the stack above"


class FaustStopped(FailStop):
    """The stream library stopped by itself. Operator action: none if it happens once; else report it with the log."""

    advice = "none, a restart reads on from the last commit; if it comes back, report it with the log above"


class CouldNotLeave(FailStop):
    """Told to end, the worker waited for Kafka or Redis too long. Operator action: none, nothing is lost."""

    exit_code = 1
    advice = "none: nothing is lost, the next worker goes on from the last commit; see why Kafka or Redis is away"


class BrokenChangelog(FailStop):
    """The changelog goes backwards or is of an unknown version. Operator action: do not delete it; see the message."""

    exit_code = 1
    advice = "run the version that wrote it or a newer one; keep the topic, and report this if the version is right"


class SourceLost(FailStop):
    """A source topic lost records that were read. Operator action: do not go on with this job; see the message."""

    exit_code = 1
    advice = (
        "bring the topic back with its records, or start a new job (LIVESEGMENT_APP_ID) on new topics; this one would "
        "take new events for known ones"
    )


class TooManyDeadLetters(FailStop):
    """Most recent records cannot be decoded. Operator action: look at `dead-letters`, or raise the stop ratio."""

    exit_code = 1
    advice = "look at topic dead-letters, mend the sender, or raise LIVESEGMENT_DEAD_LETTER_STOP_RATIO to let them pass"
