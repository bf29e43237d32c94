"""Semantic versions: semver, isSemver and their comparison (which shares its names with quantities in Kubernetes).

Follows: staging/src/k8s.io/apiserver/pkg/cel/library/semverlib.go
"""

from __future__ import annotations

import re
from typing import Any

from openapi.cel.libraries.declaring import T, function, method, overload
from openapi.cel.messages import Pool

NAME = "kubernetes.Semver"
_NUMBER = "(?:0|[1-9][0-9]*)"
_PARTS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION = re.compile(rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_PARTS}))?(?:\+({_PARTS}))?")


def is_semver(text: str) -> bool:
    match = _VERSION.fullmatch(text)
    parts = match.group(4).split(".") if match is not None and match.group(4) else []
    return match is not None and not any(p.isdigit() and len(p) > 1 and p[0] == "0" for p in parts)


def _key(text: str) -> tuple[Any, ...]:
    """Sorts as versions do; a version without a pre-release follows those with one."""
    match = _VERSION.fullmatch(text)
    if match is None or not is_semver(text):
        raise ValueError(f"invalid semantic version {text!r}")
    major, minor, patch, pre, _ = match.groups()
    parts = [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in (pre or "").split(".")]
    return (int(major), int(minor), int(patch), pre is None, parts)


def compare(a: str, b: str) -> int:
    return (_key(a) > _key(b)) - (_key(a) < _key(b))


def declare(pool: Pool) -> list[Any]:
    kind, make = T(NAME), pool.message_class(NAME)

    def parse(text: str) -> Any:
        _key(text)
        return make(text=text)

    return [
        function("semver", overload("string_to_semver", (T.STRING,), kind, parse)),
        function("isSemver", overload("is_semver_string", (T.STRING,), T.BOOL, is_semver)),
        method("major", "semver_major", (kind,), T.INT, lambda v: _key(v.text)[0]),
        method("minor", "semver_minor", (kind,), T.INT, lambda v: _key(v.text)[1]),
        method("patch", "semver_patch", (kind,), T.INT, lambda v: _key(v.text)[2]),
    ]
