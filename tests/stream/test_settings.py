from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from stream.errors import WrongSettings
from stream.settings import Settings, as_markdown, load

ROOT = Path(__file__).parent.parent.parent


def test_the_settings_page_is_the_one_the_code_generates() -> None:
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == as_markdown()


def test_every_setting_is_described_and_bounded() -> None:
    for row in as_markdown().splitlines()[8:]:
        cells = [cell.strip() for cell in row.split("| ")]
        assert all(cells[1:]), row


def test_options_stand_above_the_environment_and_that_above_the_endpoints_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "endpoints.json").write_text(json.dumps({"kafka": "file:1", "redis": "redis://file:1/0"}))

    assert load(data_dir=tmp_path).kafka == "file:1"
    assert load(data_dir=tmp_path).redis_url == "redis://file:1/0"

    monkeypatch.setenv("LIVESEGMENT_KAFKA", "environment:2")
    assert load(data_dir=tmp_path).kafka == "environment:2"
    assert load(data_dir=tmp_path, kafka="option:3").kafka == "option:3"
    assert load(data_dir=tmp_path, kafka="option:3").redis_url == "redis://file:1/0"


def test_the_data_directory_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "endpoints.json").write_text(json.dumps({"kafka": "file:1", "redis": "redis://file:1/0"}))
    monkeypatch.setenv("LIVESEGMENT_DATA_DIR", str(tmp_path))
    assert load().kafka == "file:1"


def test_without_anything_the_defaults_hold() -> None:
    assert load().kafka == "127.0.0.1:9092"
    assert load().redis_url == "redis://127.0.0.1:6379/0"


def test_a_broken_endpoints_file_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "endpoints.json").write_text("{")
    with pytest.raises(WrongSettings, match=r"endpoints\.json cannot be read"):
        load(data_dir=tmp_path)


@pytest.mark.parametrize("kafka", ["nohost", "host:0", "host:99999", "a:1,", "user:pass@host:1", ""])
def test_a_kafka_address_that_cannot_be_meant_is_refused(kafka: str) -> None:
    with pytest.raises(WrongSettings, match="kafka: "):
        load(kafka=kafka)


@pytest.mark.parametrize(
    ("name", "value"),
    [("partitions", 0), ("margin", 1.5), ("clusters", 65), ("clock", "stopped"), ("currency", "dollars")],
)
def test_a_value_out_of_bounds_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(WrongSettings, match=name):
        load(**{name: value})


def test_a_password_is_neither_shown_nor_repeated_in_an_error() -> None:
    settings = load(redis_url="redis://shop:hunter2@cache:6379/1")
    assert "hunter2" not in repr(settings)
    assert settings.redis_shown == "redis://cache:6379/1"
    with pytest.raises(WrongSettings) as caught:
        load(redis_url="http://shop:hunter2@cache:6379/1")
    assert "hunter2" not in str(caught.value)


def test_settings_cannot_be_changed_after_they_are_made() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().partitions = 9
