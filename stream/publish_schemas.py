"""Writes schemas/published: `python -m stream.publish_schemas`. A test fails where the files differ."""

from __future__ import annotations

from pathlib import Path

import schemas
from schemas.publish import documents

PUBLISHED_DIR = Path(schemas.__file__).parent / "published"


def write(directory: Path) -> list[str]:
    """Write every document into `directory`, remove schemas that are no longer published; returns the names written."""
    directory.mkdir(parents=True, exist_ok=True)
    texts = documents()
    for old in directory.glob("*.schema.json"):
        if old.name not in texts:
            old.unlink()
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8")
    return sorted(texts)


if __name__ == "__main__":
    write(PUBLISHED_DIR)
