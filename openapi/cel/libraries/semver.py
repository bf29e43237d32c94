"""Semantic versions: semver, isSemver, and their parts.

Follows: staging/src/k8s.io/apiserver/pkg/cel/library/semverlib.go
"""

from __future__ import annotations

from typing import Any

from openapi.cel.libraries.declaring import T, function, method, overload
from openapi.cel.messages import Pool
from openapi.cel.semantic_versions import is_semver, normalized, sort_key

NAME = "kubernetes.Semver"


def compare_versions(a: Any, b: Any) -> int:
    left, right = sort_key(a.text), sort_key(b.text)
    return (left > right) - (left < right)


def declare(pool: Pool) -> list[Any]:
    kind, make = T(NAME), pool.message_class(NAME)

    def parse(text: str, normalize: bool = False) -> Any:
        plain = normalized(text) if normalize else text
        sort_key(plain)
        return make(text=plain)

    def tells(text: str, normalize: bool = False) -> bool:
        return is_semver(normalized(text) if normalize else text)

    return [
        function(
            "semver",
            overload("string_to_semver", (T.STRING,), kind, parse),
            overload("string_bool_to_semver", (T.STRING, T.BOOL), kind, parse),
        ),
        function(
            "isSemver",
            overload("is_semver_string", (T.STRING,), T.BOOL, tells),
            overload("is_semver_string_bool", (T.STRING, T.BOOL), T.BOOL, tells),
        ),
        method("major", "semver_major", (kind,), T.INT, lambda v: sort_key(v.text)[0]),
        method("minor", "semver_minor", (kind,), T.INT, lambda v: sort_key(v.text)[1]),
        method("patch", "semver_patch", (kind,), T.INT, lambda v: sort_key(v.text)[2]),
    ]
