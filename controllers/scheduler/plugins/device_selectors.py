"""Device selectors: CEL expressions about one device.

Follows: staging/src/k8s.io/dynamic-resource-allocation/cel/compile.go
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from controllers.scheduler.framework import SchedulingError

if TYPE_CHECKING:
    from controllers.scheduler.plugins.devices import DeviceId
    from openapi.cel.environment import Environment

View = Mapping[str, Any]


_INDEXED = re.compile(r"""(?:attributes|capacity)\s*\[\s*(['"])(.+?)\1\s*\]""")
_TESTED = re.compile(r"""(['"])([^'"]+)\1\s+in\s+device\s*\.""")


def _mentioned(text: str) -> frozenset[str]:
    """The domains whose values an expression reads without asking whether there are any."""
    return frozenset(m.group(2) for m in _INDEXED.finditer(text)) - {m.group(2) for m in _TESTED.finditer(text)}


def selects(selectors: Sequence[View] | None, device: DeviceId, spec: View, source: str) -> bool:
    """Whether all selectors choose the device. Raises SchedulingError where one cannot tell; `source` is its home."""
    if not selectors:
        return True
    from openapi.cel.environment import compile_expression, environment
    from openapi.cel.errors import CompileError, EvaluationError
    from openapi.cel.types import BOOL, DYN, STRING, StructOf

    fields = (("driver", STRING), ("attributes", DYN), ("capacity", DYN), ("allowMultipleAllocations", BOOL))
    variables = (("device", StructOf("kubernetes.DRADevice", fields)),)
    values = _values(device, spec, environment(variables, binds=True))
    for number, selector in enumerate(selectors):
        text = (selector.get("cel") or {}).get("expression") or ""
        try:
            program = compile_expression(text, variables, binds=True)
        except CompileError as error:
            raise SchedulingError(f"{source}: selector #{number}: CEL compile error: {error}") from error
        try:
            result = program.evaluate({"device": _with_domains(values, _mentioned(text))})
        except EvaluationError as error:
            name = "/".join(device)
            raise SchedulingError(
                f"{source}: selector #{number} on device {name}: CEL runtime error: {error}"
            ) from error
        if result is not True:
            return False
    return True


def _values(device: DeviceId, spec: View, made_by: Environment) -> View:
    return {
        "driver": device.driver,
        "attributes": _by_domain(spec.get("attributes"), device.driver, lambda v: _attribute(v, made_by)),
        "capacity": _by_domain(
            spec.get("capacity"), device.driver, lambda v: made_by.opaque("kubernetes.Quantity", v["value"])
        ),
        "allowMultipleAllocations": bool(spec.get("allowMultipleAllocations")),
    }


def _with_domains(values: View, domains: frozenset[str]) -> View:
    """The values, where a domain that the device knows nothing of is empty instead of missing."""
    empty: Mapping[str, View] = {domain: {} for domain in domains}
    return {
        **values,
        "attributes": {**empty, **values["attributes"]},
        "capacity": {**empty, **values["capacity"]},
    }


def _by_domain(entries: Mapping[str, View] | None, driver: str, value: Any) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, entry in (entries or {}).items():
        domain, slash, identifier = name.partition("/")
        if not slash:
            domain, identifier = driver, name
        found.setdefault(domain, {})[identifier] = value(entry)
    return found


def _attribute(value: View, made_by: Environment) -> Any:
    if "version" in value:
        return made_by.opaque("kubernetes.Semver", value["version"])
    return next((value[kind] for kind in ("string", "int", "bool") if kind in value), None)
