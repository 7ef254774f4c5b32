"""The JSON Schemas that others validate against, made from the models; `stream.publish_schemas` writes them."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from schemas.cart_trigger import CartTrigger
from schemas.change import SegmentChanged
from schemas.dead_letter import DeadLetter
from schemas.events import EVENT
from schemas.metric import Metric
from schemas.record import SegmentRecord
from schemas.sample import FeatureSample
from schemas.snapshot import ModelSnapshot

PUBLISHED: dict[str, tuple[TypeAdapter[Any], str]] = {
    "event": (EVENT, "Value of topics clickstream and purchases, canonical form; other fields are ignored."),
    "segment-changes": (TypeAdapter(SegmentChanged), "Value of topic segment-changes."),
    "cart-triggers": (TypeAdapter(CartTrigger), "Value of topic cart-triggers."),
    "segment-record": (TypeAdapter(SegmentRecord), "Fields of the Redis hash segment:{customer_id}, by their types."),
    "dead-letters": (
        TypeAdapter(DeadLetter),
        "Headers of topic dead-letters, by their types; the value is the original.",
    ),
    "feature-samples": (TypeAdapter(FeatureSample), "Value of topic feature-samples."),
    "segment-models": (TypeAdapter(ModelSnapshot), "Value of topic segment-models."),
    "segment-metrics": (TypeAdapter(Metric), "Value of topic segment-metrics."),
}
"""Name, type and meaning of each published schema; `schemas/examples/<name>/` holds values of it."""


def documents() -> dict[str, str]:
    """Return every published file's text by its name, the same text each time."""
    return {f"{name}.schema.json": _document(adapter, about) for name, (adapter, about) in PUBLISHED.items()}


def _document(adapter: TypeAdapter[Any], about: str) -> str:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$comment": about, **adapter.json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
