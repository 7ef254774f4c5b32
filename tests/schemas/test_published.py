from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

import schemas
from schemas.dead_letter import REASONS, Reason
from schemas.folding import fold
from schemas.metric import METRICS, MetricName
from schemas.publish import PUBLISHED, documents
from schemas.topics import CHANGELOG, CLICKSTREAM, PURCHASES, TOPICS
from stream.decode import judge
from stream.publish_schemas import write

ROOT = Path(schemas.__file__).parent
EXAMPLES = sorted((ROOT / "examples").glob("*/*.json"))
SHAPES = {"ga4", "segment"}


def test_the_published_schemas_are_what_the_models_say() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "published").iterdir()}
    assert committed == documents(), "run `python -m stream.publish_schemas` and look at the difference"


def test_writing_again_changes_nothing_and_removes_what_is_no_longer_published(tmp_path) -> None:
    (tmp_path / "gone.schema.json").write_text("{}")
    assert write(tmp_path) == write(tmp_path) == sorted(documents())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(documents())


def test_every_schema_has_an_example_and_every_example_a_schema() -> None:
    assert {path.parent.name for path in EXAMPLES} == set(PUBLISHED) | SHAPES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_example_is_valid(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.parent.name in SHAPES:
        folded = fold(json.loads(text), unknown_is_activity=True)
        assert isinstance(folded, dict)
        assert isinstance(judge(folded), dict)
    else:
        adapter, _ = PUBLISHED[path.parent.name]
        adapter.validate_json(text)


def test_every_limit_reaches_the_published_event() -> None:
    """Every string, list and number of an event has an upper bound in the schema that others validate against."""
    unbounded = []

    def look(schema: object, path: str) -> None:
        if isinstance(schema, list):
            for part in schema:
                look(part, path)
        elif isinstance(schema, dict):
            bound = {"string": "maxLength", "array": "maxItems", "integer": "maximum", "number": "maximum"}
            if (kind := schema.get("type")) in bound and bound[kind] not in schema and "const" not in schema:
                unbounded.append((path, kind))
            for name, part in schema.items():
                look(part, f"{path}/{name}")

    closed = json.loads(documents()["event.schema.json"])
    for model in closed["$defs"].values():
        if "enum" in model["properties"].get("event_type", {}):
            del model["properties"]["event_type"]
    look(closed, "")
    assert unbounded == []


def test_every_reason_and_every_metric_has_its_words() -> None:
    assert set(REASONS) == set(get_args(Reason))
    assert set(METRICS) == set(get_args(MetricName))


def test_the_inputs_and_the_changelog_are_partitioned_alike() -> None:
    assert TOPICS[CLICKSTREAM].partitions is TOPICS[PURCHASES].partitions is TOPICS[CHANGELOG].partitions is None
    assert TOPICS[CHANGELOG].compacted
    assert all(name == topic.name for name, topic in TOPICS.items())
