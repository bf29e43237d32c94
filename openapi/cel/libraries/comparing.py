"""Comparing methods that quantities and semantic versions share: isGreaterThan, isLessThan, compareTo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openapi.cel.libraries import quantities, semver
from openapi.cel.libraries.declaring import T, alias, function, overload
from openapi.cel.messages import Pool


def _compare(a: Any, b: Any) -> int:
    """Both kinds are messages, and the CEL library does not tell one from the other when it calls."""
    if getattr(a, "DESCRIPTOR", None) is not None and a.DESCRIPTOR.full_name == semver.NAME:
        return semver.compare_versions(a, b)
    return quantities.compare_quantities(a, b)


def declare(pool: Pool) -> list[Any]:
    quantity, version = T(quantities.NAME), T(semver.NAME)

    def shared(name: str, ending: str, result: Any, run: Callable[[Any, Any], Any]) -> Any:
        first = overload(f"quantity_{ending}", (quantity, quantity), result, run, member=True)
        return function(name, first, alias(f"semver_{ending}", (version, version), result))

    return [
        shared("isGreaterThan", "is_greater_than", T.BOOL, lambda a, b: _compare(a, b) > 0),
        shared("isLessThan", "is_less_than", T.BOOL, lambda a, b: _compare(a, b) < 0),
        shared("compareTo", "compare_to", T.INT, _compare),
    ]
