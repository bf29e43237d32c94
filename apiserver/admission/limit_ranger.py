"""Gives containers the resources that a namespace's limit ranges say, and refuses pods and claims beyond their limits.

Follows: plugin/pkg/admission/limitranger/admission.go
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from apiserver.admission.lookup import Lookup, fact
from apiserver.admission.plugin import CREATE, UPDATE, Attributes, Plugin, forbidden
from apiserver.storage.store import Store
from openapi.catalog import Catalog, GroupResource
from openapi.kinds.pod_resources import Amounts
from openapi.meta.quantity import Quantity
from openapi.quota.amounts import LIMITS, REQUESTS, amounts, spec_amounts

Object = dict[str, Any]

PODS = GroupResource("", "pods")
CLAIMS = GroupResource("", "persistentvolumeclaims")
ANNOTATION = "kubernetes.io/limit-ranger"
CONTAINER, POD, CLAIM = "Container", "Pod", "PersistentVolumeClaim"


class _Limit(NamedTuple):
    """One item of a limit range, its resources in order of names."""

    type: str
    min: Amounts
    max: Amounts
    ratio: Amounts


class _Range(NamedTuple):
    """`requests` and `limits` are the texts that containers get for what they leave out."""

    limits: tuple[_Limit, ...]
    default_requests: dict[str, str]
    default_limits: dict[str, str]


class LimitRanger(Plugin):
    name = "LimitRanger"
    operations = frozenset((CREATE, UPDATE))
    resources = frozenset((PODS, CLAIMS))
    subresources = frozenset(("", "resize"))

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._ranges = Lookup(store, catalog, "", "limitranges")

    async def mutate(self, attributes: Attributes) -> None:
        ranges = self._applicable(attributes)
        if not ranges or attributes.resource.gr != PODS:
            return
        assert attributes.obj is not None
        for each in ranges:
            _give_defaults(attributes.obj, each)

    async def validate(self, attributes: Attributes) -> None:
        ranges = self._applicable(attributes)
        if not ranges:
            return
        assert attributes.obj is not None
        spec = attributes.obj.get("spec") or {}
        check = _pod_problems if attributes.resource.gr == PODS else _claim_problems
        for each in ranges:
            problems = list(dict.fromkeys(check(each, spec)))
            if problems:
                raise forbidden(attributes, problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")

    def _applicable(self, attributes: Attributes) -> Sequence[_Range]:
        entries = self._ranges.all(attributes.namespace)
        if not entries or not _concerns(attributes):
            return ()
        return [fact(entry, "admission.limits", _read) for entry in entries]


def _concerns(attributes: Attributes) -> bool:
    """New pods, resized pods, and claims; nothing that is being deleted."""
    if attributes.old is not None and "deletionTimestamp" in attributes.old["metadata"]:
        return False
    if attributes.resource.gr == PODS:
        return (attributes.operation == CREATE) == (attributes.subresource == "")
    return attributes.subresource == ""


def _read(limit_range: Object) -> _Range:
    items = (limit_range.get("spec") or {}).get("limits") or ()
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for item in items:
        if item.get("type") == CONTAINER:
            requests.update(item.get("defaultRequest") or {})
            limits.update(item.get("default") or {})
    return _Range(
        tuple(
            _Limit(item.get("type", ""), *(_sorted(item.get(f)) for f in ("min", "max", "maxLimitRequestRatio")))
            for item in items
        ),
        requests,
        limits,
    )


def _sorted(given: Any) -> Amounts:
    return dict(sorted(amounts(given).items()))


# -- defaults --------------------------------------------------------------------------------------------------


def _give_defaults(pod: Object, limits: _Range) -> None:
    if not limits.default_requests and not limits.default_limits:
        return
    spec = pod.setdefault("spec", {})
    said: list[str] = []
    for field, word in (("containers", "container"), ("initContainers", "init container")):
        for container in spec.get(field) or ():
            resources = container.setdefault("resources", {})
            for kind, defaults, noun in (
                (REQUESTS, limits.default_requests, "request"),
                (LIMITS, limits.default_limits, "limit"),
            ):
                added = _add_missing(resources, kind, defaults)
                if added:
                    said.append(f"{', '.join(added)} {noun} for {word} {container.get('name', '')}")
    if said:
        annotations = pod["metadata"].get("annotations") or {}
        pod["metadata"]["annotations"] = {**annotations, ANNOTATION: "LimitRanger plugin set: " + "; ".join(said)}


def _add_missing(resources: Object, kind: str, defaults: dict[str, str]) -> list[str]:
    given = resources.get(kind) or {}
    missing = sorted(name for name in defaults if name not in given)
    if missing:
        resources[kind] = {**given, **{name: defaults[name] for name in missing}}
    return missing


# -- limits ----------------------------------------------------------------------------------------------------


def _pod_problems(limits: _Range, spec: Object) -> Iterator[str]:
    for limit in limits.limits:
        if limit.type == CONTAINER:
            for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
                resources = container.get("resources") or {}
                yield from _problems(limit, amounts(resources.get(REQUESTS)), amounts(resources.get(LIMITS)))
        elif limit.type == POD:
            yield from _problems(limit, spec_amounts(spec, REQUESTS), spec_amounts(spec, LIMITS))


def _claim_problems(limits: _Range, spec: Object) -> Iterator[str]:
    requests = amounts((spec.get("resources") or {}).get(REQUESTS))
    for limit in limits.limits:
        if limit.type != CLAIM:
            continue
        for name, enforced in limit.min.items():
            yield from _below(limit.type, name, enforced, requests, {})
        for name, enforced in limit.max.items():
            start, request = f"maximum {name} usage per {limit.type} is {enforced}", requests.get(name)
            if request is None:
                yield f"{start}.  No request is specified"
            elif request > enforced:
                yield f"{start}, but request is {request}"


def _problems(limit: _Limit, requests: Amounts, maxima: Amounts) -> Iterator[str]:
    for name, enforced in limit.min.items():
        yield from _below(limit.type, name, enforced, requests, maxima)
    for name, enforced in limit.max.items():
        yield from _above(limit.type, name, enforced, requests, maxima)
    for name, enforced in limit.ratio.items():
        yield from _too_stretched(limit.type, name, enforced, requests, maxima)


def _below(kind: str, name: str, enforced: Quantity, requests: Amounts, limits: Amounts) -> Iterator[str]:
    start, request, limit = f"minimum {name} usage per {kind} is {enforced}", requests.get(name), limits.get(name)
    if request is None:
        yield f"{start}.  No request is specified"
    elif request.milli < enforced.milli:
        yield f"{start}, but request is {request}"
    elif limit is not None and limit.milli < enforced.milli:
        yield f"{start}, but limit is {limit}"


def _above(kind: str, name: str, enforced: Quantity, requests: Amounts, limits: Amounts) -> Iterator[str]:
    start, request, limit = f"maximum {name} usage per {kind} is {enforced}", requests.get(name), limits.get(name)
    if limit is None:
        yield f"{start}.  No limit is specified"
    elif limit.milli > enforced.milli:
        yield f"{start}, but limit is {limit}"
    elif request is not None and request.milli > enforced.milli:
        yield f"{start}, but request is {request}"


def _too_stretched(kind: str, name: str, enforced: Quantity, requests: Amounts, limits: Amounts) -> Iterator[str]:
    start, request, limit = (
        f"{name} max limit to request ratio per {kind} is {enforced}",
        requests.get(name),
        limits.get(name),
    )
    if not request:
        yield f"{start}, but no request is specified or request is 0"
    elif not limit:
        yield f"{start}, but no limit is specified or limit is 0"
    elif limit.milli / request.milli * 1000 > enforced.milli:
        yield f"{start}, but provided ratio is {limit.milli / request.milli:f}"
