from __future__ import annotations

from pathlib import Path

import pytest

from stream.embedded.kafka import jars, java_release
from stream.errors import EmbeddedFailed


@pytest.mark.parametrize(
    ("said", "release"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment (build 17.0.15+6-Debian-1deb12u1)', 17),
        ('java version "1.8.0_392"\nJava(TM) SE Runtime Environment (build 1.8.0_392-b08)', 8),
        ('openjdk version "10.0.2" 2018-07-17', 10),
        ('openjdk version "11.0.2" 2019-01-15', 11),
        ('openjdk version "21" 2023-09-19 LTS', 21),
        ('openjdk version "24-ea" 2025-03-18', 24),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "17.0.9" 2023-10-17', 17),
        ("", None),
        ("a Java of a kind of its own", None),
    ],
)
def test_the_release_of_java_is_read_from_what_it_says_of_itself(said: str, release: int | None) -> None:
    assert java_release(said) == release


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'openjdk version \"11.0.2\" 2019-01-15' >&2", r"needs Java 17, `java` is Java 11.*install Java 17"),
        ("echo 'Unable to locate a Java Runtime.' >&2; exit 1", r"failed: Unable to locate.*install Java 17"),
    ],
)
def test_an_older_java_or_none_behind_the_command_is_refused_with_what_to_do(
    script: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = tmp_path / "java"
    java.write_text(f"#!/bin/sh\n{script}\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(EmbeddedFailed, match=message):
        jars()
