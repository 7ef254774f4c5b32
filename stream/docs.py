"""Writes the pages of docs/ that say what the code says: `python -m stream.docs`. A test fails where a page differs.

Every page is a pure function of the code it is made from; only `write` and the examples touch files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import typer

import schemas
from models.catalogue import FEATURES, MODEL_FEATURES
from schemas.dead_letter import REASONS, UNDECODABLE
from schemas.events import EVENT
from schemas.folding import NAMES
from schemas.metric import METRICS
from schemas.record import RECORD_BYTES_MAX, SegmentRecord
from schemas.redis_keys import KEYS
from schemas.standing import RFM_GROUPS
from schemas.topics import TOPICS, Topic
from stream import operations, settings
from stream.commands import ABOUT, build

ROOT = Path(__file__).parent.parent
DOCS_DIR = ROOT / "docs"
EXAMPLES_DIR = Path(schemas.__file__).parent / "examples"
DAY_MS = 86_400_000

EXIT_CODES: Mapping[int, str] = {
    0: "done",
    1: "anything else, and `topics check` that found a difference",
    2: "wrong usage or settings",
    3: "not found",
    4: "not now: it is being recovered or rebuilt, ask again",
    5: "Kafka or Redis is not reachable",
    75: "a worker stopped itself to be started again ([operations.md](operations.md) lists the reasons)",
}

READING = """\
## How to read it

One `HGETALL segment:{customer_id}` is the whole answer: every field is text. A hash without fields means one of two
things, and a website that shows a default in both cases need not care which:

- **unknown**: every partition's hash has `complete` = 1. No event of this customer was ever accepted.
- **rebuilding**: some partition's hash is absent or has no `complete`. Redis was wiped, or is being filled for the
  first time; the customer may be known. Ask again in a few seconds.

To tell them apart, read the partitions' hashes *in the same transaction* as the record, all of them, from 0 to the
setting `partitions` less one:

```python
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

PARTITIONS = 4  # the setting LIVESEGMENT_PARTITIONS
# A page must not wait for its default: no retries, and a short timeout.
shop = redis.Redis(
    host="127.0.0.1", port=6379, decode_responses=True, socket_timeout=0.05, retry=Retry(NoBackoff(), 0)
)


def segment_of(customer_id):
    with shop.pipeline(transaction=True) as ask:
        ask.hgetall(f"segment:{customer_id}")
        for number in range(PARTITIONS):
            ask.hget(f"livesegment:partition:{number}", "complete")
        record, *complete = ask.execute()
    if record:
        return record["name"]
    return "unknown" if all(complete) else "rebuilding"
```

`livesegment lookup` answers the same way: exit code 0 with the record, 3 for unknown, 4 for rebuilding.

## What a reader may rely on

- `rev` never falls while Redis lives, and one `rev` of a customer never has two contents, whoever crashes.
- `ver` is the `ver` of topic segment-changes: the record shows change `ver` or a newer one.
- A record is written when its segment or cart changes, not at every event. `as_of` says when that was.
- Keys never expire. Redis is a view: wipe it and the workers write it again from their own state.
- Redis Cluster is refused when a worker starts: one script writes the keys of many customers at once.
"""


FEATURES_ABOUT = """\
What is known of a customer: {all} numbers, finite and never below 0. Models are learnt from {modelled} of them.
`livesegment lookup CUSTOMER --features` and `livesegment export` show them all. Money is in minor units (cents) of the
shop's currency. `hl7d` is a half-life of 7 days: what is 7 days old counts half, never "in 7 days".

Class **A**: any order of events, any split into batches, any interleaving of the two topics gives the same number, and
two profiles merge. Class **B**: the same, if no event is more than 24 hours behind the newest of its own topic
partition."""

TOPICS_ABOUT = """\
`livesegment topics create` makes them and `livesegment topics check` compares them; brokers should not create topics by
themselves. The keyed topics have the same number of partitions, and a customer has the same partition in all of them.
That number is fixed when the topics are created. JSON Schemas of the values are in `schemas/published/`, examples in
`schemas/examples/`."""

EVENTS_ABOUT = """\
One record of `clickstream` or `purchases` is one event: a JSON object in UTF-8. Its Kafka key is the customer's id.
Fields that an event does not read are ignored; null is the same as absent. Every record ends as exactly one of applied,
duplicate or dead letter.

## Canonical form

Every event has `event_type`, `customer_id` and `event_time` (integer milliseconds since 1970), and should have an
`event_id`: without one its position in Kafka stands in, and a repeat is not recognised."""

OTHERS_ABOUT = """\
## Google Analytics 4 and Segment

Their shapes are read as they are: GA4's `event_name`, `params`, `timestamp_micros`, `user_id` or `client_id`; Segment's
`event`, `properties`, `timestamp`, `userId` or `anonymousId`, `messageId`. A customer known only by `client_id` or
`anonymousId` is `anon:` and that id. `timestamp` needs an offset from UTC. Names that are not canonical already:"""

ACTIVITY = """\
Any other name is `activity`: it moves first and last event and the activity slots, nothing else (setting
`unknown_events`)."""

LETTERS_ABOUT = """\
## Dead letters

What cannot be applied goes to topic `dead-letters` with its bytes unchanged (the first 64 kB of a longer one); the
headers say why and where it stood. Where most of a partition's latest records are undecodable, the worker stops instead
of emptying a topic into the dead letters (settings `dead_letter_stop_ratio`, `dead_letter_stop_window`)."""

FIELDS_ABOUT = """\
## Fields of `segment:{customer_id}`

At most {bytes} bytes together. While warming up `segment` is the empty text. Carts are `none` or `open`; `abandoned` is
reserved and not written yet. `lifecycle` and `rfm` come with the first model; who never ordered has no `rfm`, and
before somebody ordered twice nobody has a `lifecycle`.

`rfm` is three digits: recency, frequency, money, each 1 (lowest fifth of all buyers) to 5 (highest). The first two give
the group that `livesegment explain` names:

{grid}

`lifecycle` goes by the customer's own rhythm, no fixed days. Their gap is the mean time between their orders, with the
mean of all customers as one more: `lapsed` after 4 gaps of silence, `at_risk` after 2, else `new` with one order or
none, `loyal` with three or more and a frequency of at least 4, and `active`."""

METRICS_ABOUT = """\
Workers write them to topic `segment-metrics` every few seconds (setting `metrics_interval_s`), one JSON object each:
`name`, `value`, `unit`, `at`, `labels`. Counters count since the worker started; counts that survive restarts are in
`livesegment status`."""

COMMANDS_ABOUT = """\
Kafka and Redis come from, in this order: options, `LIVESEGMENT_KAFKA` and `LIVESEGMENT_REDIS_URL`, `endpoints.json` of
the data directory, the defaults. The answer is on standard output, logs and progress are on standard error."""


def pages() -> dict[str, str]:
    """Return the text of every generated page by its file name, the same text each time."""
    made: dict[str, Callable[[], str]] = {
        "settings.md": settings.as_markdown,
        "features.md": features,
        "topics.md": topics,
        "events.md": events,
        "redis.md": redis,
        "metrics.md": metrics,
        "commands.md": commands,
        "operations.md": operations.as_markdown,
    }
    return {name: page() for name, page in made.items()}


def write(directory: Path) -> list[str]:
    """Write every page into `directory`; returns the names written."""
    directory.mkdir(parents=True, exist_ok=True)
    texts = pages()
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8")
    return sorted(texts)


def drifted(directory: Path) -> list[str]:
    """Return the names of the pages that are missing in `directory` or differ from what `write` would write there."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in directory.glob("*.md")}
    return [name for name, text in pages().items() if texts.get(name) != text]


def features() -> str:
    """Return docs/features.md: the catalogue of features."""
    rows = [
        (
            f"`{feature.name}`",
            feature.unit,
            feature.trust,
            feature.transform,
            "yes" if feature.name in MODEL_FEATURES else "",
            feature.words,
        )
        for feature in FEATURES.values()
    ]
    about = FEATURES_ABOUT.format(all=len(FEATURES), modelled=len(MODEL_FEATURES))
    head = ("feature", "unit", "class", "transform", "in the model", "meaning")
    return _page("Features", "models/catalogue.py", about, _table(head, rows))


def topics() -> str:
    """Return docs/topics.md: the registry of topics."""
    rows = [(f"`{t.name}`", t.key, _partitions(t), _retention(t), t.producer, t.consumers) for t in TOPICS.values()]
    table = _table(("topic", "key", "partitions", "kept for", "written by", "read by"), rows)
    parts = [f"## {t.name}\n\n{t.about}\n\nValue: {_value(t)}." for t in TOPICS.values()]
    return _page("Topics", "schemas/topics.py", TOPICS_ABOUT, table, *parts)


def events() -> str:
    """Return docs/events.md: what may be sent, and why a record is refused."""
    definitions = EVENT.json_schema()["$defs"].values()
    shapes = [_shape(shape) for shape in definitions if "event_type" in shape.get("properties", {})]
    others = [(name, f"`{kind}`") for name, kind in sorted(NAMES.items()) if name != kind]
    reasons = [(f"`{reason}`", words, "yes" if reason in UNDECODABLE else "") for reason, words in REASONS.items()]
    return _page(
        "Events",
        "schemas/events.py, schemas/folding.py and schemas/dead_letter.py",
        EVENTS_ABOUT,
        _table(("`event_type`", "fields beside the common ones", "meaning"), shapes),
        _example("event", "purchase.json"),
        OTHERS_ABOUT,
        _table(("their name", "`event_type`"), others),
        ACTIVITY,
        _example("ga4", "purchase.json"),
        _example("segment", "order-completed.json"),
        LETTERS_ABOUT,
        _table(("reason", "meaning", "undecodable"), reasons),
    )


def redis() -> str:
    """Return docs/redis.md: keys, fields and how to read them."""
    fields = SegmentRecord.model_json_schema()["properties"].items()
    rows = [(f"`{name}`", _type(field), field.get("description", "")) for name, field in fields]
    keys = [(f"`{key.pattern}`", key.type, key.owner, key.about) for key in KEYS]
    return _page(
        "What stands in Redis",
        "schemas/redis_keys.py and schemas/record.py",
        "Redis 7 or Valkey, one server. Every key, and who may write it:",
        _table(("key", "type", "written by", "what it holds"), keys),
        FIELDS_ABOUT.replace("{bytes}", str(RECORD_BYTES_MAX)).replace("{grid}", _grid()),
        _table(("field", "type", "meaning"), rows),
        READING.rstrip("\n"),
    )


def _grid() -> str:
    """Return the RFM groups as a table: recency down, frequency across."""
    scores = range(1, 6)
    rows = [(f"recency {r}", *(RFM_GROUPS[r, f] for f in scores)) for r in reversed(scores)]
    return _table(("", *(f"frequency {f}" for f in scores)), rows)


def metrics() -> str:
    """Return docs/metrics.md: the catalogue of metrics."""
    rows = [(f"`{name}`", info.unit, info.words) for name, info in METRICS.items()]
    return _page("Metrics", "schemas/metric.py", METRICS_ABOUT, _table(("metric", "unit", "meaning"), rows))


def commands() -> str:
    """Return docs/commands.md: what every command's --help says."""
    group: Any = typer.main.get_command(build([]))
    parts = []
    for name, command in group.commands.items():
        parts.append(_command(name, command))
        parts += [_command(f"{name} {sub}", inner) for sub, inner in getattr(command, "commands", {}).items()]
    codes = _table(("exit code", "meaning"), [(str(code), words) for code, words in EXIT_CODES.items()])
    return _page("Commands", "stream/commands", ABOUT.strip(), COMMANDS_ABOUT, codes, *parts)


def _page(title: str, source: str, *parts: str) -> str:
    note = f"Generated from {source} by `python -m stream.docs`; do not edit."
    return "\n\n".join([f"# {title}", note, *parts]) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Return a Markdown table.

    >>> print(_table(("a", "b"), [("1", "x|y")]))
    | a | b |
    | --- | --- |
    | 1 | x\|y |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _partitions(topic: Topic) -> str:
    return "setting `partitions`" if topic.partitions is None else str(topic.partitions)


def _retention(topic: Topic) -> str:
    if topic.compacted:
        return "ever, compacted: the newest value of a key"
    if topic.retention_ms is None:
        return "as the broker says"
    days = topic.retention_ms // DAY_MS
    return f"{days} day{'s' if days > 1 else ''}"


def _value(topic: Topic) -> str:
    if isinstance(topic.value, str):
        return topic.value
    return f"`{topic.value.__module__}.{topic.value.__name__}`"


def _shape(schema: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return one row of the canonical forms: types, own fields, meaning."""
    kind = schema["properties"]["event_type"]
    types = ", ".join(f"`{name}`" for name in kind.get("enum", [kind.get("const")]))
    common = {"event_type", "event_id", "customer_id", "event_time"}
    own = ", ".join(f"`{name}`" for name in schema["properties"] if name not in common)
    return types, own, " ".join(schema["description"].split())


def _example(folder: str, name: str) -> str:
    value = json.loads((EXAMPLES_DIR / folder / name).read_text(encoding="utf-8"))
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"


def _type(field: Mapping[str, Any]) -> str:
    """Return the type of a JSON Schema's field in a word or two."""
    if "anyOf" in field:
        return " or ".join(_type(choice) for choice in field["anyOf"])
    if "enum" in field:
        return ", ".join(f"`{choice}`" for choice in field["enum"])
    return {"null": "nothing", "string": "text"}.get(field["type"], str(field["type"]))


def _command(name: str, command: Any) -> str:
    words = [_usage(parameter) for parameter in command.params if not parameter.hidden]
    usage = " ".join(["livesegment", name, *words])
    about = "\n\n".join(_paragraph(text) for text in command.help.split("\n\n"))
    rows = [
        (f"`{_spelling(parameter)}`", parameter.help + _default(parameter))
        for parameter in command.params
        if parameter.help
    ]
    table = "\n\n" + _table(("option", "meaning"), rows) if rows else ""
    return f"## {name}\n\n```\n{usage}\n```\n\n{about}{table}"


def _paragraph(text: str) -> str:
    example = text.strip().removeprefix("Example: ")
    return f"Example:\n\n```\n{example}\n```" if example != text.strip() else text.strip()


def _usage(parameter: Any) -> str:
    spelling = _spelling(parameter)
    spelling = spelling if parameter.required or spelling.startswith("[") else f"[{spelling}]"
    return spelling + "..." if parameter.multiple else spelling


def _spelling(parameter: Any) -> str:
    """Return an option with its value's name, an argument as its value's name."""
    choices = get_args(parameter.type_descriptor.annotation)
    value = parameter.metavar or ("|".join(choices) if choices else parameter.name.upper())
    if not parameter.opts[0].startswith("-"):
        return str(value)
    return parameter.opts[0] if parameter.is_flag else f"{parameter.opts[0]} {value}"


def _default(parameter: Any) -> str:
    shown = parameter.default is not None and not isinstance(parameter.default, bool)
    return f" Default: {parameter.default}." if shown else ""


def main(words: Sequence[str]) -> int:
    """Write the pages, or with `--check` only say which ones differ; returns the exit code."""
    if list(words) != ["--check"]:
        write(DOCS_DIR)
        return 0
    stale = drifted(DOCS_DIR)
    for name in stale:
        sys.stderr.write(f"docs/{name} differs from the code: run `python -m stream.docs` and commit it\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
