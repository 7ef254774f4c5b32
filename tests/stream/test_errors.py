from __future__ import annotations

from collections.abc import Iterator

import pytest

from stream import errors
from stream.errors import LivesegmentError


def tree(root: type[LivesegmentError] = LivesegmentError) -> Iterator[type[LivesegmentError]]:
    yield root
    for branch in root.__subclasses__():
        yield from tree(branch)


@pytest.mark.parametrize("error", [e for e in tree() if e.__module__ == errors.__name__])
def test_every_error_says_what_the_operator_does_and_stands_in_the_drawing(error: type[LivesegmentError]) -> None:
    assert "Operator action:" in (error.__doc__ or "")
    assert str(error("Something happened.")).startswith("Something happened. Operator action: ")
    drawn = [line for line in (errors.__doc__ or "").splitlines() if error.__name__ in line.split()]
    drawn += [line for line in (errors.__doc__ or "").splitlines() if f"── {error.__name__} " in line]
    assert drawn
    assert str(error.exit_code) in drawn[-1].split()


def test_the_exit_codes_are_those_that_scripts_rely_on() -> None:
    codes = {name: getattr(errors, name).exit_code for name in ("WrongUsage", "NotFound", "NotNow", "LivesegmentError")}
    assert codes == {"WrongUsage": 2, "NotFound": 3, "NotNow": 4, "LivesegmentError": 1}
    assert errors.KafkaUnreachable.exit_code == errors.RedisUnreachable.exit_code == 5


def test_an_error_may_bring_its_own_advice() -> None:
    assert str(errors.NotFound("No x", action="look elsewhere")) == "No x. Operator action: look elsewhere."
