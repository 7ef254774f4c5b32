"""Snapshots of models for the worker's models, as the learner would publish them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from schemas.snapshot import ModelSnapshot
from tests.kit.snapshots import make_snapshot


@pytest.fixture
def snapshot() -> Callable[..., ModelSnapshot]:
    """A function that makes a valid snapshot of a version, or one with another list of features."""
    return make_snapshot
