"""Daemon sets: one pod of a template on every node that fits.

The number of the template is kept in an annotation: the server counts it up with every new template.
Follows: pkg/registry/apps/daemonset/strategy.go, pkg/apis/apps/validation/validation.go, pkg/apis/apps/v1/conversion.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.apps.columns import DAEMON_SET
from apiserver.resources.apps.deployment import show_rolling
from apiserver.resources.apps.workload import (
    FixedSelector,
    container_cells,
    drop_disabled,
    selector_cell,
    validate_endless,
)
from apiserver.resources.object_meta import validate_object_meta_update
from apiserver.resources.pods.template import pod_template_warnings, validate_pod_template
from apiserver.resources.spec_rules import (
    EMPTY,
    SELECTOR_MISMATCH,
    amount,
    at_most_100_percent,
    has_invalid_values,
    is_empty_selector,
    labels_of,
    nonnegative_fields,
    not_decremented,
    positive_int_or_percent,
    selector_of,
    show_selector,
    verbatim,
)
from apiserver.resources.strategy import Object, StatusOf, WriteContext
from openapi.kinds.apps_defaults import TEMPLATE_GENERATION
from openapi.meta.field import FieldError, invalid, not_supported_listed, required
from openapi.meta.selectors import validate_label_selector

Struct = Mapping[str, Any]


_COUNTS = (
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
    "collisionCount",
)
_NEW_STATUS = {"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0}


class DaemonSetStatus(StatusOf):
    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        status = obj.get("status") or EMPTY
        yield from nonnegative_fields(status, _COUNTS, "status")
        yield from not_decremented(status, old.get("status") or EMPTY, "collisionCount", "status")


class DaemonSetStrategy(FixedSelector):
    subresources = {"status": DaemonSetStatus()}
    columns = DAEMON_SET

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        super().prepare(obj, old, context)
        drop_disabled(obj, old)
        if old is None:
            obj["status"] = dict(_NEW_STATUS)
            _set_template_generation(obj, max(_template_generation(obj), 1))
            return
        number = _template_generation(old)
        _set_template_generation(obj, number if _template(obj) == _template(old) else number + 1)

    def validate_spec(self, spec: Struct, old_spec: Struct | None) -> Iterator[FieldError]:
        selector, template = spec.get("selector"), spec.get("template") or EMPTY
        lax = old_spec is not None and has_invalid_values(old_spec.get("selector"))
        yield from validate_label_selector(selector, "spec.selector", allow_invalid_values=lax)
        compiled = selector_of(selector)
        labels = labels_of(template)
        if compiled is not None and not compiled.matches(labels):
            yield invalid("spec.template.metadata.labels", labels, SELECTOR_MISMATCH)
        if selector is not None and is_empty_selector(selector):
            yield invalid("spec.selector", show_selector(selector), "empty selector is invalid for daemonset")
        old_template = None if old_spec is None else old_spec.get("template")
        yield from validate_pod_template(template, "spec.template", old_template)
        yield from validate_endless(template, "spec.template.spec", "DaemonSet")
        yield from nonnegative_fields(spec, ("minReadySeconds",), "spec")
        yield from _validate_update_strategy(spec.get("updateStrategy") or EMPTY, "spec.updateStrategy")
        yield from nonnegative_fields(spec, ("revisionHistoryLimit",), "spec")

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        template = _template(obj)
        if old is None:
            return pod_template_warnings(template, "spec.template", None)
        old_template = _template(old)
        return () if template == old_template else pod_template_warnings(template, "spec.template", old_template)

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec, status = obj["metadata"], obj.get("spec") or EMPTY, obj.get("status") or EMPTY
        node_selector = (_template(obj).get("spec") or EMPTY).get("nodeSelector") or EMPTY
        return [
            meta.get("name", ""),
            status.get("desiredNumberScheduled", 0),
            status.get("currentNumberScheduled", 0),
            status.get("numberReady", 0),
            status.get("updatedNumberScheduled", 0),
            status.get("numberAvailable", 0),
            ",".join(f"{key}={value}" for key, value in sorted(node_selector.items())) or "<none>",
            age(meta.get("creationTimestamp"), now),
            *container_cells(spec.get("template")),
            selector_cell(spec.get("selector")),
        ]


def _template(obj: Struct) -> Struct:
    template: Struct = (obj.get("spec") or EMPTY).get("template") or EMPTY
    return template


def _template_generation(obj: Struct) -> int:
    text = (obj["metadata"].get("annotations") or EMPTY).get(TEMPLATE_GENERATION, "")
    try:
        return int(text)
    except ValueError:
        return 0


def _set_template_generation(obj: Object, number: int) -> None:
    annotations = dict(obj["metadata"].get("annotations") or EMPTY)
    annotations[TEMPLATE_GENERATION] = str(number)
    obj["metadata"]["annotations"] = annotations


def _validate_update_strategy(strategy: Struct, path: str) -> Iterator[FieldError]:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "RollingUpdate":
        if rolling is None:
            yield required(f"{path}.rollingUpdate")
        else:
            yield from _validate_rolling(rolling, f"{path}.rollingUpdate")
    elif kind != "OnDelete":
        shown = verbatim({"Type": kind, "RollingUpdate": show_rolling(rolling)})
        yield not_supported_listed(path, shown, ("RollingUpdate", "OnDelete"))


def _validate_rolling(rolling: Struct, path: str) -> Iterator[FieldError]:
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    yield from positive_int_or_percent(unavailable, f"{path}.maxUnavailable")
    yield from positive_int_or_percent(surge, f"{path}.maxSurge")
    yield from at_most_100_percent(unavailable, f"{path}.maxUnavailable")
    yield from at_most_100_percent(surge, f"{path}.maxSurge")
    has_unavailable, has_surge = amount(unavailable) != 0, amount(surge) != 0
    if has_unavailable and has_surge:
        yield invalid(f"{path}.maxSurge", surge, "may not be set when maxUnavailable is non-zero")
    elif not has_unavailable and not has_surge:
        yield required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")
