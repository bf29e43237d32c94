"""Kubernetes' own function libraries, declared for the CEL library: one module per topic, joined here.

Follows: staging/src/k8s.io/apiserver/pkg/cel/library
"""

from __future__ import annotations

from typing import Any

from openapi.cel.libraries import (
    authorization,
    comparing,
    formats,
    lists,
    network,
    objects,
    quantities,
    regex,
    semver,
    sequences,
    sets,
)
from openapi.cel.messages import Pool


def functions(pool: Pool) -> list[Any]:
    """The declarations of all functions, their values made with the pool's types."""
    declared: list[Any] = []
    for module in (
        authorization, comparing, formats, lists, network, objects, quantities, regex, semver, sequences, sets,
    ):  # fmt: skip
        declared += module.declare(pool)
    return declared
