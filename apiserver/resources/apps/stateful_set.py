"""Stateful sets: numbered pods that keep their names and volumes.

Follows: pkg/registry/apps/statefulset/strategy.go, pkg/apis/apps/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.apps.columns import STATEFUL_SET
from apiserver.resources.apps.deployment import validate_replica_counts, workload_warnings
from apiserver.resources.apps.workload import container_cells, drop_disabled, validate_selected_template
from apiserver.resources.core.persistentvolumeclaims import claim_spec_warnings, validate_claim_spec
from apiserver.resources.field_rules import named
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.scale import WORKLOAD_SCALE
from apiserver.resources.spec_rules import (
    EMPTY,
    amount,
    at_most_100_percent,
    nonnegative_fields,
    not_decremented,
    positive_int_or_percent,
    verbatim,
)
from apiserver.resources.strategy import Object, StatusOf, WithStatus, WriteContext
from openapi.meta.field import FieldError, forbidden, invalid, not_supported_listed, required
from openapi.meta.names import is_dns1123_label, name_is_dns_label

Struct = Mapping[str, Any]

_MUTABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_ONLY_MUTABLE = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_COUNTS = (
    "replicas",
    "readyReplicas",
    "currentReplicas",
    "updatedReplicas",
    "availableReplicas",
    "observedGeneration",
    "collisionCount",
)
_BOUNDED = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
_RETENTION = ("Retain", "Delete")


class StatefulSetStatus(StatusOf):
    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        status = obj.get("status") or EMPTY
        yield from nonnegative_fields(status, _COUNTS, "status")
        yield from validate_replica_counts(status, _BOUNDED, "status.readyReplicas")
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        yield from not_decremented(status, old.get("status") or EMPTY, "collisionCount", "status")


class StatefulSetStrategy(WithStatus):
    subresources = {"status": StatefulSetStatus()}
    columns = STATEFUL_SET
    scale = WORKLOAD_SCALE

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        super().prepare(obj, old, context)
        if old is None:
            obj["status"] = {"replicas": 0, "availableReplicas": 0}
        drop_disabled(obj, old)
        _drop_max_unavailable(obj, old)

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        spec = obj.get("spec") or EMPTY
        if old is None:
            yield from validate_object_meta(obj["metadata"], namespaced=True, name=name_is_dns_label)
            yield from _validate_spec(spec, None)
            return
        old_spec = old.get("spec") or EMPTY
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        yield from _validate_spec(spec, old_spec)
        if any(spec.get(name) != old_spec.get(name) for name in {*spec, *old_spec}.difference(_MUTABLE)):
            yield forbidden("spec", _ONLY_MUTABLE)

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        warnings, spec = workload_warnings(obj, old), obj.get("spec") or EMPTY
        below = "" if old is None else ".Spec"  # What an update calls the claim's spec, to the letter.
        for i, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
            warnings += claim_spec_warnings(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{i}]{below}")
        limit = spec.get("revisionHistoryLimit")
        if limit is not None and limit < 0:
            text = "a negative value retains all historical revisions; a value >= 0 is recommended"
            warnings.append(f"spec.revisionHistoryLimit: {text}")
        return warnings

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec, status = obj["metadata"], obj.get("spec") or EMPTY, obj.get("status") or EMPTY
        return [
            meta.get("name", ""),
            f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
            age(meta.get("creationTimestamp"), now),
            *container_cells(spec.get("template")),
        ]


def _drop_max_unavailable(obj: Object, old: Object | None) -> None:
    """The feature is off: rolling updates go pod by pod, unless a stored set already says otherwise."""
    if _rolling(old or EMPTY).get("maxUnavailable") is None and "maxUnavailable" in _rolling(obj):
        del obj["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"]


def _rolling(obj: Struct) -> Struct:
    rolling: Struct = ((obj.get("spec") or EMPTY).get("updateStrategy") or EMPTY).get("rollingUpdate") or EMPTY
    return rolling


def _validate_spec(spec: Struct, old_spec: Struct | None) -> Iterator[FieldError]:
    policy = spec.get("podManagementPolicy", "")
    if not policy:
        yield required("spec.podManagementPolicy")
    elif policy not in ("OrderedReady", "Parallel"):
        yield invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'")
    yield from _validate_update_strategy(spec.get("updateStrategy") or EMPTY, "spec.updateStrategy")
    retention = spec.get("persistentVolumeClaimRetentionPolicy")
    if retention is not None:
        for name in ("whenDeleted", "whenScaled"):
            value = retention.get(name, "")
            if value not in _RETENTION:
                yield not_supported_listed(f"spec.persistentVolumeClaimRetentionPolicy.{name}", value, _RETENTION)
    yield from nonnegative_fields(spec, ("replicas", "minReadySeconds"), "spec")
    yield from nonnegative_fields(spec.get("ordinals") or EMPTY, ("start",), "spec.ordinals")
    yield from _validate_service_name(spec, old_spec)
    yield from validate_selected_template(
        spec,
        old_spec,
        "spec",
        kind="StatefulSet",
        empty_kind="statefulset",
        unreadable="",
        template=_with_claim_volumes(spec),
    )
    yield from _validate_claims(spec, old_spec)


def _validate_service_name(spec: Struct, old_spec: Struct | None) -> Iterator[FieldError]:
    """Pods' hostnames are built on it; a stored name may stay as it is."""
    name = spec.get("serviceName", "")
    if name and (old_spec is None or name != old_spec.get("serviceName", "")):
        yield from named(is_dns1123_label, name, "spec.serviceName")


def _with_claim_volumes(spec: Struct) -> Struct:
    """The template as its pods will be: every claim template is a volume of that name."""
    template: Struct = spec.get("template") or EMPTY
    claims = [(claim.get("metadata") or EMPTY).get("name", "") for claim in spec.get("volumeClaimTemplates") or ()]
    if not claims:
        return template
    pod_spec = template.get("spec") or EMPTY
    volumes = [volume for volume in pod_spec.get("volumes") or () if volume.get("name") not in claims]
    volumes += [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in dict.fromkeys(claims) if name]
    return {**template, "spec": {**pod_spec, "volumes": volumes}}


def _validate_claims(spec: Struct, old_spec: Struct | None) -> Iterator[FieldError]:
    """Claim templates cannot change, so an update does not judge them again."""
    if old_spec is not None:
        return
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        yield from validate_claim_spec(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{index}].spec")


def _validate_update_strategy(strategy: Struct, path: str) -> Iterator[FieldError]:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if not kind:
        yield required(path)
    elif kind == "OnDelete":
        if rolling is not None:
            shown = verbatim(_show_rolling(rolling))
            yield invalid(f"{path}.rollingUpdate", shown, "only allowed for updateStrategy 'RollingUpdate'")
    elif kind == "RollingUpdate":
        if rolling is not None:
            yield from _validate_rolling(rolling, f"{path}.rollingUpdate")
    else:
        shown = verbatim({"Type": kind, "RollingUpdate": None if rolling is None else _show_rolling(rolling)})
        yield invalid(path, shown, "must be 'RollingUpdate' or 'OnDelete'")


def _show_rolling(rolling: Struct) -> dict[str, Any]:
    return {"Partition": rolling.get("partition", 0), "MaxUnavailable": rolling.get("maxUnavailable")}


def _validate_rolling(rolling: Struct, path: str) -> Iterator[FieldError]:
    yield from nonnegative_fields(rolling, ("partition",), path)
    unavailable = rolling.get("maxUnavailable")
    if unavailable is not None:
        yield from positive_int_or_percent(unavailable, f"{path}.maxUnavailable")
        if amount(unavailable) == 0:
            yield invalid(f"{path}.maxUnavailable", unavailable, "cannot be 0")
        yield from at_most_100_percent(unavailable, f"{path}.maxUnavailable")
