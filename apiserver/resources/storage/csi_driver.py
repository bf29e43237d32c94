"""CSI drivers: what a storage driver of the cluster needs and offers.

Follows: pkg/registry/storage/csidriver/strategy.go, pkg/apis/storage/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.field_rules import immutable, one_of
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.spec_rules import EMPTY
from apiserver.resources.storage.columns import CSI_DRIVER
from apiserver.resources.strategy import Object, Strategy, WriteContext
from openapi.meta.field import FieldError, duplicate, invalid, not_supported_listed, required
from openapi.meta.names import name_is_dns_subdomain

Struct = Mapping[str, Any]

SECRETS_ADVICE = (
    "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible "
    "logging of tokens in volume attributes"
)
MIN_TOKEN_S = 600
_NO_REQUESTS = "serviceAccountTokenInSecrets is set but no tokenRequests are specified"
MAX_TOKEN_S = 1 << 32
MIN_UPDATE_PERIOD_S = 10
_OFF = "preventPodSchedulingIfMissing"
_GROUP_POLICIES = ("ReadWriteOnceWithFSType", "File", "None")
_MODES = ("Persistent", "Ephemeral")
# The first name is the field, the second what messages call it.
_NEEDED = (("attachRequired", "attachedRequired"), ("podInfoOnMount",) * 2, ("storageCapacity",) * 2)


class CsiDriverStrategy(Strategy):
    allow_unconditional_update = False
    returns_deleted = True
    columns = CSI_DRIVER

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        """The generation counts changes of the spec; a new driver has none.

        Keeping pods off nodes without the driver is a feature that is off.
        """
        if ((old or EMPTY).get("spec") or EMPTY).get(_OFF) is None:
            (obj.get("spec") or {}).pop(_OFF, None)
        if old is not None and obj.get("spec") != old.get("spec"):
            obj["metadata"]["generation"] = int(old["metadata"].get("generation", 0)) + 1

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        spec = obj.get("spec") or EMPTY
        if old is None:
            yield from validate_object_meta(obj["metadata"], namespaced=False, name=name_is_dns_subdomain)
            yield from _validate_spec(spec)
            return
        old_spec = old.get("spec") or EMPTY
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        yield from _validate_spec(spec)
        yield from immutable(spec.get("attachRequired"), old_spec.get("attachRequired"), "spec.attachedRequired")
        modes, old_modes = spec.get("volumeLifecycleModes"), old_spec.get("volumeLifecycleModes")
        yield from immutable(modes, old_modes, "spec.volumeLifecycleModes")

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        spec = obj.get("spec") or EMPTY
        return (SECRETS_ADVICE,) if spec.get("tokenRequests") and "serviceAccountTokenInSecrets" not in spec else ()

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec = obj["metadata"], obj.get("spec") or EMPTY
        requests = spec.get("tokenRequests")
        return [
            meta.get("name", ""),
            spec.get("attachRequired", True),
            spec.get("podInfoOnMount", False),
            spec.get("storageCapacity", False),
            ",".join(r.get("audience", "") for r in requests) if requests is not None else "<unset>",
            spec.get("requiresRepublish", False),
            ",".join(spec.get("volumeLifecycleModes") or ()) or "<none>",
            age(meta.get("creationTimestamp"), now),
        ]


def _validate_spec(spec: Struct) -> Iterator[FieldError]:
    for name, shown in _NEEDED:
        if name not in spec:
            yield required(f"spec.{shown}")
    policy = spec.get("fsGroupPolicy")
    if policy is not None:
        yield from one_of(policy, _GROUP_POLICIES, "spec.fsGroupPolicy")
    yield from _validate_token_requests(spec.get("tokenRequests") or (), "spec.tokenRequests")
    for mode in spec.get("volumeLifecycleModes") or ():
        if mode not in _MODES:
            yield not_supported_listed("spec.volumeLifecycleModes", mode, _MODES)
    if "seLinuxMount" not in spec:
        yield required("spec.seLinuxMount")
    period = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if period is not None and period < MIN_UPDATE_PERIOD_S:
        path = "spec.nodeAllocatableUpdatePeriodSeconds"
        yield invalid(path, period, f"must be greater than or equal to {MIN_UPDATE_PERIOD_S} seconds")
    in_secrets = spec.get("serviceAccountTokenInSecrets")
    if in_secrets is not None and not spec.get("tokenRequests"):
        yield invalid("spec.serviceAccountTokenInSecrets", in_secrets, _NO_REQUESTS)


def _validate_token_requests(requests: Sequence[Struct], path: str) -> Iterator[FieldError]:
    audiences: set[str] = set()
    for i, request in enumerate(requests):
        audience, expiry_s = request.get("audience", ""), request.get("expirationSeconds")
        if audience in audiences:
            yield duplicate(f"{path}[{i}].audience", audience)
            continue
        audiences.add(audience)
        if expiry_s is None:
            continue
        if expiry_s < MIN_TOKEN_S:
            yield invalid(f"{path}[{i}].expirationSeconds", expiry_s, "may not specify a duration less than 10 minutes")
        if expiry_s > MAX_TOKEN_S:
            text = "may not specify a duration larger than 2^32 seconds"
            yield invalid(f"{path}[{i}].expirationSeconds", expiry_s, text)
