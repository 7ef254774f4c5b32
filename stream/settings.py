"""Every knob of Livesegment, with its bounds and its meaning; docs/settings.md is generated from here.

A value comes from, in this order: the command line, the environment (`LIVESEGMENT_...`), `endpoints.json` of the data
directory (Kafka and Redis only: `livesegment up` writes it), the default.
"""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from models.timers import REMINDERS_MAX, Timers
from stream.errors import WrongSettings
from stream.zones import find

ENDPOINTS = "endpoints.json"
"""Written by `up` into the data directory: where its broker and its Redis listen."""

_SERVERS = re.compile(r"[^\s,:/@]+:\d{1,5}(,[^\s,:/@]+:\d{1,5})*")
_REDIS = re.compile(r"(redis|rediss|unix)://\S+")


def _servers(text: str) -> str:
    if not _SERVERS.fullmatch(text) or any(not 0 < int(part.rpartition(":")[2]) < 65536 for part in text.split(",")):
        raise ValueError("must be host:port[,host:port...]")
    return text


def _redis(text: str) -> str:
    if not _REDIS.fullmatch(text):
        raise ValueError("must be redis://[:password@]host:port/database (or rediss://, unix://)")
    return text


def _delays(text: str) -> str:
    parts = text.split(",")
    delays = [float(part) for part in parts if re.fullmatch(r"\d+(\.\d+)?", part.strip())]
    rising = all(left < right for left, right in pairwise(delays))
    if len(delays) != len(parts) or not 1 <= len(delays) <= REMINDERS_MAX or not rising or delays[0] < 1:
        raise ValueError(f"must be 1 to {REMINDERS_MAX} rising numbers of seconds, separated by commas")
    return text


def _zone(text: str) -> str:
    find(text)
    return text


class Settings(BaseSettings):
    """All settings of one process; immutable. `load` builds one and turns a bad value into WrongSettings."""

    model_config = SettingsConfigDict(
        env_prefix="LIVESEGMENT_", env_ignore_empty=True, frozen=True, extra="ignore", hide_input_in_errors=True
    )

    kafka: Annotated[str, AfterValidator(_servers)] = Field(
        "127.0.0.1:9092", max_length=2000, description="Kafka brokers, `host:port[,host:port...]`."
    )
    redis_url: Annotated[str, AfterValidator(_redis)] = Field(
        "redis://127.0.0.1:6379/0",
        max_length=2000,
        repr=False,
        description="Redis or Valkey; may hold a password, so it is never logged.",
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How Kafka is spoken to: TLS with SSL, a user and a password with SASL."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How the password is proved."
    )
    kafka_user: str | None = Field(None, max_length=200, description="User for SASL.")
    kafka_password: SecretStr | None = Field(
        None, max_length=1000, description="Its password; never shown, logged or written down."
    )
    kafka_ca_file: Path | None = Field(
        None, description="Certificates (PEM) that Kafka's is checked against; default: those of the system."
    )
    kafka_cert_file: Path | None = Field(None, description="This client's own certificate (PEM), for mutual TLS.")
    kafka_key_file: Path | None = Field(None, description="Its key (PEM), where it is not in the same file.")
    kafka_key_password: SecretStr | None = Field(None, max_length=1000, description="Password of that key.")
    redis_password: SecretStr | None = Field(
        None,
        max_length=1000,
        description="Redis's password, where the address should not hold it; the user stays there.",
    )
    redis_ca_file: Path | None = Field(
        None,
        description="Certificates (PEM) that Redis's is checked against (rediss://); default: those of the system.",
    )
    redis_cert_file: Path | None = Field(None, description="This client's own certificate (PEM) for Redis.")
    redis_key_file: Path | None = Field(None, description="Its key (PEM).")
    data_dir: Path = Field(
        Path(".livesegment"),
        description="Where `up` keeps endpoints, logs and locks, and a worker how it stands. Holds no customer state.",
    )
    app_id: str = Field(
        "livesegment",
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="Consumer group and prefix of transactional ids: two jobs on one Kafka need two of them.",
    )
    ready_file: Path | None = Field(
        None, description="A worker creates this file once its partitions are recovered; `up` waits for it."
    )

    partitions: int = Field(
        4,
        ge=1,
        le=1000,
        description="Partitions of the keyed topics when they are created: the most workers there can be.",
    )
    replication: int = Field(1, ge=1, le=9, description="Replicas of each topic when it is created; 3 in production.")
    partitioner: Literal["murmur2", "crc32", "unchecked"] = Field(
        "murmur2",
        description="How producers place keys: murmur2 (Java, kafka-python, aiokafka), crc32 (librdkafka). A customer "
        "in another partition is a dead letter `key_mismatch`; `unchecked` trusts the producers.",
    )

    clock: Literal["wall", "event"] = Field(
        "wall", description="What `now` is: the system clock, or the newest event time (replays, accelerated demos)."
    )
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="The shop's currency; others are dead letters.")
    currency_digits: int = Field(2, ge=0, le=4, description="Minor digits of that currency: 2 for cents.")
    time_zone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC",
        max_length=64,
        description="The shop's time zone (IANA, like `Europe/Berlin`): what night and weekend are.",
    )
    unknown_events: Literal["activity", "dead_letter"] = Field(
        "activity", description="What an event of an unknown type is: a sign of activity, or a dead letter."
    )
    future_tolerance_s: int = Field(
        300, ge=0, le=86_400, description="How far ahead of the system clock an event may be before it is refused."
    )

    sweep_s: float = Field(
        1.0, ge=0.1, le=60.0, description="Time between two looks whose segment or cart changes because time passes."
    )
    replay_step_s: int = Field(
        86_400,
        ge=1,
        le=31_536_000,
        description="With `clock` event: how far the clock moves within a group of events before time passes for "
        "everybody. Smaller is more exact, and slower.",
    )
    cart_reminders_s: Annotated[str, AfterValidator(_delays)] = Field(
        "1800",
        max_length=50,
        description="A cart is abandoned after so many seconds without a change; up to three of them, rising and "
        "separated by commas, are as many reminders.",
    )
    cart_grace_s: float = Field(
        60.0, ge=0.0, le=86_400.0, description="How much later a reminder is sent, so that a late order cancels it."
    )
    cart_oldest_s: float = Field(
        259_200.0,
        ge=60.0,
        le=31_536_000.0,
        description="With `clock` wall: a reminder that was due longer ago is not sent, but counted: old data must "
        "remind nobody.",
    )
    refresh_per_s: float = Field(
        20.0,
        ge=0.0,
        le=10_000.0,
        description="Records a second, over all workers, whose confidence is written anew though nothing changed; "
        "customers seen within a day take turns.",
    )
    recheck_share: float = Field(
        0.01, ge=0.0, le=1.0, description="Share of the records in Redis that is compared with state each minute."
    )

    webhook_secret: SecretStr | None = Field(
        None,
        description="Signs what `listen --forward-to` sends: whsec_ and base64 of 24 to 64 bytes (Standard Webhooks).",
    )

    model_file: Path | None = Field(None, description="Pins this model snapshot; nothing is learnt then.")
    clusters: int = Field(5, ge=2, le=64, description="Number of segments the learner looks for.")
    warm_up_vectors: int = Field(
        1000,
        ge=50,
        le=100_000,
        description="Feature vectors collected before the first model; until then `warming_up`.",
    )
    learner_seed: int = Field(7, ge=0, le=2**32 - 1, description="Seed of the learner's randomness.")
    sample_rate_per_s: float = Field(
        200.0,
        ge=1.0,
        le=10_000.0,
        description="Feature vectors per second that all workers together send to the learner.",
    )
    snapshot_every_vectors: int = Field(
        2000, ge=100, le=1_000_000, description="Vectors learnt between two published models."
    )
    margin: float = Field(
        0.15,
        ge=0.0,
        le=0.9,
        description="A customer moves only to a centroid nearer by this share than the present one.",
    )
    dwell_s: float = Field(
        0.0, ge=0.0, le=31_536_000.0, description="Shortest stay in a segment before the next move, in clock time."
    )
    halflife_floor: float = Field(
        0.005, gt=0.0, le=0.5, description="Smallest step by which a new vector moves its centroid."
    )
    clusterer: Literal["kmeans", "clustream"] = Field(
        "kmeans", description="What follows the customers between two seedings: River's KMeans, or its CluStream."
    )
    challenge_every_vectors: int = Field(
        2000,
        ge=500,
        le=1_000_000,
        description="Vectors learnt between two looks whether a model made of the last ones is better.",
    )

    commit_interval_s: float = Field(3.0, ge=0.1, le=60.0, description="Time between two commits of offsets.")
    fetch_wait_ms: int = Field(20, ge=1, le=5000, description="Longest a broker waits for `fetch_min_bytes`.")
    fetch_min_bytes: int = Field(
        262_144, ge=1, le=67_108_864, description="Bytes a broker gathers before it answers, unless the wait is over."
    )
    fetch_max_bytes_per_partition: int = Field(
        1_048_576, ge=65_536, le=67_108_864, description="Most bytes of one partition in one fetch."
    )
    session_timeout_s: float = Field(
        10.0, ge=1.0, le=300.0, description="Silence after which Kafka gives a worker's partitions away (`up` uses 6)."
    )
    heartbeat_s: float = Field(
        1.0, ge=0.1, le=60.0, description="Time between two heartbeats; under a third of the session."
    )
    metrics_interval_s: float = Field(5.0, ge=0.5, le=3600.0, description="Time between two rounds of metrics.")
    redis_check_s: float = Field(2.0, ge=0.2, le=5.0, description="Time between two looks whether Redis lost its data.")

    watchdog_s: float = Field(
        60.0,
        ge=2.0,
        le=3600.0,
        description="How long events that wait, a commit, a heartbeat or the event loop may stand still before the "
        "worker ends and its supervisor starts it again.",
    )

    dead_letter_stop_ratio: float = Field(
        0.5, gt=0.0, le=1.0, description="Share of undecodable records in the window above which a worker stops."
    )
    dead_letter_stop_window: int = Field(
        10_000, ge=100, le=1_000_000, description="Records of a partition over which that share is taken."
    )
    dead_letter_bytes: int = Field(
        65_536, ge=1024, le=900_000, description="Most bytes of a record kept in its dead letter; beyond, a SHA-256."
    )
    group_max_records: int = Field(10_000, ge=100, le=100_000, description="Most events applied in one step.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")

    @model_validator(mode="after")
    def _password_is_there(self) -> Self:
        if self.kafka_security_protocol.startswith("SASL") and not (self.kafka_user and self.kafka_password):
            raise ValueError(
                f"kafka_security_protocol {self.kafka_security_protocol} needs kafka_user and kafka_password"
            )
        return self

    @property
    def cart_timers(self) -> Timers:
        """When carts are abandoned, as the models want it. On event time nothing is old."""
        delays_ms = tuple(float(part) * 1000 for part in self.cart_reminders_s.split(","))
        oldest_ms = math.inf if self.clock == "event" else self.cart_oldest_s * 1000
        return Timers(delays_ms, self.cart_grace_s * 1000, oldest_ms)

    @property
    def redis_shown(self) -> str:
        """The Redis address without its user and password: what messages and logs may say."""
        return re.sub(r"//[^@/]*@", "//", self.redis_url)

    @property
    def secrets(self) -> list[str]:
        """Every password, as given and as an address spells it."""
        held = (getattr(self, name) for name in type(self).model_fields)
        found = [value.get_secret_value() for value in held if isinstance(value, SecretStr)]
        in_address = urlsplit(self.redis_url).password
        return [*found, in_address, unquote(in_address)] if in_address else found

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class calls with it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class calls with it
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, strongest first."""
        return init_settings, env_settings, EndpointsFile(settings_cls)


class EndpointsFile(PydanticBaseSettingsSource):
    """Kafka and Redis as the last `up` on this data directory wrote them; nothing where there is no such file."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - abstract
        """Return nothing: the file is read as a whole in `__call__`."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the endpoints of the data directory that stronger sources chose."""
        chosen = self.current_state.get("data_dir") or Settings.model_fields["data_dir"].default
        endpoints = read_endpoints(Path(chosen))
        found = {"kafka": endpoints.get("kafka"), "redis_url": endpoints.get("redis")}
        return {name: value for name, value in found.items() if isinstance(value, str)}


def read_endpoints(data_dir: Path) -> dict[str, Any]:
    """Return the endpoints file of `data_dir`, {} where there is none; WrongSettings if it is broken."""
    path = data_dir / ENDPOINTS
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as problem:
        raise WrongSettings(
            f"{path} cannot be read: {problem}", action="remove it, or start `livesegment up` anew"
        ) from None
    return value if isinstance(value, dict) else {}


def load(**given: Any) -> Settings:
    """Return the settings of this process; `given` (None means not given) stands above environment and files.

    Raises WrongSettings, which names each bad setting and its bound but never repeats a value: it may be a password.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as problem:
        words = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in problem.errors(include_input=False))
        raise WrongSettings(f"Settings refused: {words}") from None


def as_markdown() -> str:
    """Return docs/settings.md: one row a setting, in the order of the class."""
    head = [
        "# Settings",
        "",
        "Generated from `stream/settings.py` by `python -m stream.settings`; do not edit.",
        "",
        "A value is the command line's, else the environment's, else the default. Before the default, Kafka and Redis",
        "are looked up in `endpoints.json` of the data directory, which `livesegment up` writes.",
        "",
        "| environment variable | default | bounds | meaning |",
        "| --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *(_row(name, field) for name, field in Settings.model_fields.items())]) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    default = "none" if field.default is None else f"`{field.default}`"
    return f"| `LIVESEGMENT_{name.upper()}` | {default} | {_bounds(name)} | {field.description} |"


def _bounds(name: str) -> str:
    """Return what a setting may be, in words taken from its own JSON Schema."""
    schema = Settings.model_json_schema()["properties"][name]
    schema = next((choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}), schema)
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"])
    signs = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
    parts = [f"{sign} {schema[key]}" for key, sign in signs if key in schema]
    parts += [f"`{schema['pattern']}`"] if "pattern" in schema else []
    parts += [f"at most {schema['maxLength']} characters"] if "maxLength" in schema else []
    return ", ".join(parts) or ("a path" if schema.get("format") == "path" else "text")


if __name__ == "__main__":
    print(as_markdown(), end="")  # noqa: T201 - prints the generated page
