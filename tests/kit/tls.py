"""Certificates for one test, made by openssl: an authority, and a server on loopback that it vouches for."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")


@dataclass(frozen=True)
class Certificates:
    authority: Path
    server: Path
    key: Path

    @property
    def both(self) -> Path:
        """Key and certificate in one file, as Kafka wants them."""
        path = self.key.with_name("both.pem")
        path.write_text(self.key.read_text() + self.server.read_text())
        return path


def certificates(folder: Path) -> Certificates:
    """Make them in `folder`; the test is skipped without openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make certificates with")
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    issuer = folder / "ca.key"
    openssl("req", "-x509", *KEY, "-subj", "/CN=test authority", "-keyout", issuer, "-out", made.authority)
    signed = ("-CA", made.authority, "-CAkey", issuer, "-addext", "subjectAltName=IP:127.0.0.1")
    openssl("req", "-x509", *KEY, "-subj", "/CN=loopback", "-keyout", made.key, "-out", made.server, *signed)
    return made


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
