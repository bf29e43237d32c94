"""Certificate signing requests: who asks is recorded by the server; approval and certificate have their own doors.

Follows: pkg/registry/certificates/certificates/strategy.go, pkg/apis/certificates/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.certificates.columns import SIGNING_REQUEST
from apiserver.resources.certificates.pem import certificate_problem, request_problem
from apiserver.resources.certificates.signer_name import validate_signer_name
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.spec_rules import EMPTY
from apiserver.resources.strategy import FieldPath, Object, Strategy, User, WriteContext
from openapi.meta.field import FieldError, duplicate, forbidden, invalid, not_supported, required
from openapi.meta.times import format_time, human_duration

Struct = Mapping[str, Any]

LEGACY_SIGNER = "kubernetes.io/legacy-unknown"
MIN_EXPIRATION_S = 600
_DECISIONS = ("Approved", "Denied")
_FINAL = (*_DECISIONS, "Failed")
_STATUSES = ("False", "True", "Unknown")
_USAGES = frozenset(
    (
        "signing",
        "digital signature",
        "content commitment",
        "key encipherment",
        "key agreement",
        "data encipherment",
        "cert sign",
        "crl sign",
        "encipher only",
        "decipher only",
        "any",
        "server auth",
        "client auth",
        "code signing",
        "email protection",
        "s/mime",
        "ipsec end system",
        "ipsec tunnel",
        "ipsec user",
        "timestamping",
        "ocsp signing",
        "microsoft sgc",
        "netscape sgc",
    )
)


class SigningRequestStatus(Strategy):
    """The status: the certificate, and conditions other than the decisions."""

    reset_fields: tuple[FieldPath, ...] = (("spec",),)
    sets_decisions = False
    sets_certificate = True

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        assert old is not None
        _keep(obj, old, "spec")
        _stamp_conditions(obj, old, context.now)

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        decisions, certificate = self.sets_decisions, self.sets_certificate
        yield from _validate_update(obj, old, sets_decisions=decisions, sets_certificate=certificate)


class SigningRequestApproval(SigningRequestStatus):
    """The decision: conditions only."""

    reset_fields = (("spec",), ("status", "certificate"))
    sets_decisions = True
    sets_certificate = False

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        assert old is not None
        status = obj.setdefault("status", {})
        _keep(status, old.get("status") or EMPTY, "certificate")
        super().prepare(obj, old, context)


class SigningRequestStrategy(Strategy):
    reset_fields = (("spec",), ("status", "certificate"), ("status", "conditions"))
    subresources = {"status": SigningRequestStatus(), "approval": SigningRequestApproval()}
    columns = SIGNING_REQUEST

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        if old is None:
            _record_user(obj.setdefault("spec", {}), context.user)
            obj["status"] = {}
            return
        _keep(obj, old, "spec")
        _keep(obj, old, "status")

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        if old is None:
            yield from _validate(obj, None)
        else:
            yield from _validate_update(obj, old, sets_decisions=False, sets_certificate=False)

    def fields(self, obj: Object) -> dict[str, str]:
        return {"spec.signerName": (obj.get("spec") or EMPTY).get("signerName", "")}

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec = obj["metadata"], obj.get("spec") or EMPTY
        seconds = spec.get("expirationSeconds")
        return [
            meta.get("name", ""),
            age(meta.get("creationTimestamp"), now),
            spec.get("signerName") or "<none>",
            spec.get("username", ""),
            "<none>" if seconds is None else human_duration(seconds),
            _state(obj.get("status") or EMPTY),
        ]


def any_name(name: str, prefix: bool) -> list[str]:
    """A request may be called anything."""
    return []


def _keep(obj: Object, old: Struct, name: str) -> None:
    if name in old:
        obj[name] = old[name]
    else:
        obj.pop(name, None)


def _record_user(spec: Object, user: User) -> None:
    """Whatever the client claims of the sender is replaced by who it is."""
    for name in ("username", "uid", "groups", "extra"):
        spec.pop(name, None)
    if user.name:
        spec["username"] = user.name
    if user.uid:
        spec["uid"] = user.uid
    if user.groups:
        spec["groups"] = list(user.groups)
    if user.extra:
        spec["extra"] = {key: list(values) for key, values in user.extra.items()}


def _conditions(obj: Struct, kind: str | None = None) -> Sequence[Object]:
    """All conditions, or those of one type."""
    conditions: Sequence[Object] = (obj.get("status") or EMPTY).get("conditions") or ()
    return conditions if kind is None else [c for c in conditions if c.get("type", "") == kind]


def _stamp_conditions(obj: Object, old: Struct, now: datetime) -> None:
    """Times that the client left out: now, or when an equal condition came to be."""
    for condition in _conditions(obj):
        if not condition.get("lastUpdateTime"):
            condition["lastUpdateTime"] = format_time(now)
        if not condition.get("lastTransitionTime"):
            status, before = condition.get("status"), _conditions(old, condition.get("type", ""))
            times = (c["lastTransitionTime"] for c in before if c.get("status") == status and "lastTransitionTime" in c)
            condition["lastTransitionTime"] = next(times, format_time(now))


def _validate(obj: Object, old: Object | None) -> Iterator[FieldError]:
    """Everything that holds for a request at any time; what a stored one breaks already is let go."""
    yield from validate_object_meta(obj["metadata"], namespaced=False, name=any_name)
    spec, old_spec = obj.get("spec") or EMPTY, EMPTY if old is None else old.get("spec") or EMPTY
    request = spec.get("request")
    problem = request_problem(request)
    if problem:
        yield invalid("spec.request", request, problem)
    yield from _validate_usages(spec.get("usages") or (), old_spec.get("usages") or ())
    signer = spec.get("signerName", "")
    if signer == LEGACY_SIGNER and old_spec.get("signerName") != LEGACY_SIGNER:
        yield invalid("spec.signerName", signer, "the legacy signerName is not allowed via this API version")
    else:
        yield from validate_signer_name(signer, "spec.signerName")
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < MIN_EXPIRATION_S:
        text = "may not specify a duration less than 600 seconds (10 minutes)"
        yield invalid("spec.expirationSeconds", seconds, text)
    yield from _validate_conditions(obj, old)
    yield from _validate_certificate(obj, old)


def _validate_usages(usages: Sequence[str], old_usages: Sequence[str]) -> Iterator[FieldError]:
    path = "spec.usages"
    if not usages:
        yield required(path)
    if _USAGES.issuperset(old_usages):
        for index, usage in enumerate(usages):
            if usage not in _USAGES:
                yield not_supported(f"{path}[{index}]", usage, _USAGES)
    if len(set(old_usages)) == len(old_usages):
        for index, usage in enumerate(usages):
            if usage in usages[:index]:
                yield duplicate(f"{path}[{index}]", usage)


def _validate_certificate(obj: Object, old: Object | None) -> Iterator[FieldError]:
    certificate = (obj.get("status") or EMPTY).get("certificate")
    if old is not None:
        old_certificate = (old.get("status") or EMPTY).get("certificate")
        if certificate == old_certificate or certificate_problem(old_certificate):
            return
    problem = certificate_problem(certificate)
    if problem:
        yield invalid("status.certificate", "<certificate data>", problem)


def _validate_conditions(obj: Object, old: Object | None) -> Iterator[FieldError]:
    old_types = [condition.get("type", "") for condition in _conditions(old or EMPTY)]
    lax_both = all(decision in old_types for decision in _DECISIONS)
    lax_duplicates = len(set(old_types)) < len(old_types)
    seen: set[str] = set()
    for index, condition in enumerate(_conditions(obj)):
        path, kind, status = f"status.conditions[{index}]", condition.get("type", ""), condition.get("status", "")
        if not kind and "" not in old_types:
            yield required(f"{path}.type")
        allowed = ("True",) if kind in _FINAL else _STATUSES
        if not status:
            yield required(f"{path}.status")
        elif status not in allowed:
            yield not_supported(f"{path}.status", status, allowed)
        if kind in _DECISIONS and not lax_both and seen.intersection(_DECISIONS).difference((kind,)):
            yield invalid(f"{path}.type", kind, "Approved and Denied conditions are mutually exclusive")
        if kind in seen and not lax_duplicates:
            yield duplicate(f"{path}.type", kind)
        seen.add(kind)


def _validate_update(
    obj: Object, old: Object, *, sets_decisions: bool, sets_certificate: bool
) -> Iterator[FieldError]:
    yield from _validate(obj, old)
    for kind in _FINAL:
        if len(_conditions(obj, kind)) < len(_conditions(old, kind)):
            yield forbidden("status.conditions", f'updates may not remove a condition of type "{kind}"')
    if not sets_decisions:
        yield from _validate_kept_decisions(obj, old)
    certificate = (obj.get("status") or EMPTY).get("certificate")
    old_certificate = (old.get("status") or EMPTY).get("certificate")
    if certificate != old_certificate:
        if not sets_certificate:
            yield forbidden("status.certificate", "updates may not set certificate content")
        elif old_certificate:
            yield forbidden("status.certificate", "updates may not modify existing certificate content")
    yield from validate_object_meta_update(obj["metadata"], old["metadata"])


def _validate_kept_decisions(obj: Object, old: Object) -> Iterator[FieldError]:
    for kind in _DECISIONS:
        conditions, old_conditions = _conditions(obj, kind), _conditions(old, kind)
        if len(conditions) > len(old_conditions):
            yield forbidden("status.conditions", f'updates may not add a condition of type "{kind}"')
        elif len(conditions) == len(old_conditions) and conditions != old_conditions:
            yield forbidden("status.conditions", f'updates may not modify a condition of type "{kind}"')


def _state(status: Struct) -> str:
    kinds = {condition.get("type", "") for condition in status.get("conditions") or ()}
    state = "Denied" if "Denied" in kinds else "Approved" if "Approved" in kinds else "Pending"
    if "Failed" in kinds:
        state += ",Failed"
    return f"{state},Issued" if status.get("certificate") else state
