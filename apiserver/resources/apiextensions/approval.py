"""The approval that definitions in the community's own groups need.

Follows: apiextensions-apiserver/pkg/apihelpers/helpers.go GetAPIApprovalState
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

ANNOTATION = "api-approved.kubernetes.io"
_WHERE = "see https://github.com/kubernetes/enhancements/pull/1111"
_PROTECTED = ("k8s.io", "kubernetes.io")


class Approval(NamedTuple):
    """`reason` is the one of the condition; `is_given` whether the definition may be created."""

    status: str
    reason: str
    message: str
    is_given: bool


def is_protected(group: str) -> bool:
    return group in _PROTECTED or group.endswith(tuple(f".{name}" for name in _PROTECTED))


def approval(annotation: str | None) -> Approval:
    needs = f'protected groups must have approval annotation "{ANNOTATION}"'
    if not annotation:
        return Approval("False", "MissingAnnotation", f"{needs}, {_WHERE}", False)
    if annotation.startswith("unapproved"):
        return Approval("False", "UnapprovedAnnotation", f'not approved: "{annotation}"', True)
    parts = urlsplit(annotation)
    if parts.scheme and parts.netloc:
        return Approval("True", "ApprovedAnnotation", f"approved in {annotation}", True)
    text = f'{needs} with either a URL or a reason starting with "unapproved", {_WHERE}'
    return Approval("False", "InvalidAnnotation", text, False)
