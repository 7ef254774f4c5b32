"""Every kind of fault, by name.

    from tests.proof.faults import FAULTS, HEALING, REFUSED

A fault is run against a `House` while events flow. It returns when what it broke is whole again or, like a killed
worker, is being made whole by a supervisor; the job may still be catching up then. `House.settle` waits for that, and
whoever ran the fault compares afterwards: after each of HEALING the job must end exact, after each of REFUSED a worker
must stop and say why, and nothing may be lost.
"""

from __future__ import annotations

from typing import Final

from tests.proof.fault import Fault
from tests.proof.faults_kafka import BROKER
from tests.proof.faults_network import NETWORK
from tests.proof.faults_redis import REDIS
from tests.proof.faults_refused import REFUSED
from tests.proof.faults_said import SAID
from tests.proof.faults_worker import WORKER
from tests.proof.house import House

HEALING: Final[tuple[type[Fault], ...]] = (*WORKER, *BROKER, *REDIS, *NETWORK, *SAID)
"""Faults after which the job must end exact."""
FAULTS: Final[dict[str, type[Fault]]] = {fault.name: fault for fault in (*HEALING, *REFUSED)}
"""All of them."""

__all__ = ["FAULTS", "HEALING", "REFUSED", "Fault", "possible"]


def possible(house: House) -> list[type[Fault]]:
    """Return the healing faults that this house has everything for."""
    return [fault for fault in HEALING if fault.needs <= house.has]
