"""TLS and passwords for Kafka and Redis, as each client library wants to be told. Secrets stay in the settings.

aiokafka (the worker) and kafka-python (the commands) share their names for these options.
"""

from __future__ import annotations

import ssl
from typing import Any

from stream.errors import WrongSettings
from stream.settings import Settings


def kafka_options(settings: Settings) -> dict[str, Any]:
    """Return the options of any Kafka client that concern security; none for a plain connection.

    Raises WrongSettings where a file cannot be used.
    """
    protocol = settings.kafka_security_protocol
    options: dict[str, Any] = {} if protocol == "PLAINTEXT" else {"security_protocol": protocol}
    if protocol.endswith("SSL"):
        options["ssl_context"] = kafka_context(settings)
    if protocol.startswith("SASL"):
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_user
        password = settings.kafka_password
        options["sasl_plain_password"] = password.get_secret_value() if password else None
    return options


def kafka_context(settings: Settings) -> ssl.SSLContext:
    """Return the TLS context for Kafka: certificates and host names are always checked."""
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ca_file)
        if settings.kafka_cert_file is not None:
            key_password = settings.kafka_key_password
            context.load_cert_chain(
                settings.kafka_cert_file,
                settings.kafka_key_file,
                # Never asked for on a terminal: a worker has none.
                key_password.get_secret_value() if key_password else "",
            )
    except (OSError, ValueError) as problem:
        raise WrongSettings(
            f"a file of kafka_ca_file, kafka_cert_file or kafka_key_file cannot be used: {_plain(problem)}"
        ) from None
    return context


def faust_credentials(settings: Settings) -> Any:
    """Return what Faust's consumer is given; None for a plain connection."""
    # Faust is slow to import, and no command but the worker has it.
    from faust.auth import SASLCredentials, SSLCredentials  # noqa: PLC0415 - imports Faust, which no command but `worker` needs

    options = kafka_options(settings)
    context = options.get("ssl_context")
    if "sasl_mechanism" in options:
        return SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    return SSLCredentials(context) if context is not None else None


def redis_options(settings: Settings) -> dict[str, Any]:
    """Return the options of a Redis client that concern security, beside what its URL says."""
    options: dict[str, Any] = {}
    if settings.redis_url.startswith("rediss://"):
        files = {
            "ssl_ca_certs": settings.redis_ca_file,
            "ssl_certfile": settings.redis_cert_file,
            "ssl_keyfile": settings.redis_key_file,
        }
        for setting, path in files.items():
            if path is not None:
                if not path.is_file():
                    raise WrongSettings(
                        f"{path} cannot be used as {setting.removeprefix('ssl_')} of Redis: no such file"
                    )
                options[setting] = str(path)
    if settings.redis_password is not None:
        options["password"] = settings.redis_password.get_secret_value()
    return options


def _plain(problem: Exception) -> str:
    return " ".join(str(getattr(problem, "strerror", None) or problem).split())[:200]
