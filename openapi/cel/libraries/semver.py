"""Semantic versions: semver, isSemver, and their parts.

Follows: staging/src/k8s.io/apiserver/pkg/cel/library/semverlib.go
"""

from __future__ import annotations

from typing import Any

from openapi.cel.libraries.declaring import T, function, method, overload
from openapi.cel.messages import Pool
from openapi.cel.semantic_versions import is_semver, sort_key

NAME = "kubernetes.Semver"


def declare(pool: Pool) -> list[Any]:
    kind, make = T(NAME), pool.message_class(NAME)

    def parse(text: str) -> Any:
        sort_key(text)
        return make(text=text)

    return [
        function("semver", overload("string_to_semver", (T.STRING,), kind, parse)),
        function("isSemver", overload("is_semver_string", (T.STRING,), T.BOOL, is_semver)),
        method("major", "semver_major", (kind,), T.INT, lambda v: sort_key(v.text)[0]),
        method("minor", "semver_minor", (kind,), T.INT, lambda v: sort_key(v.text)[1]),
        method("patch", "semver_patch", (kind,), T.INT, lambda v: sort_key(v.text)[2]),
    ]
