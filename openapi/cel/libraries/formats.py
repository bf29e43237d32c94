"""Named formats of strings: format.dns1123Label() and its like, format.named, validate.

Follows: staging/src/k8s.io/apiserver/pkg/cel/library/format.go
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from openapi.cel.libraries.declaring import T, function, overload
from openapi.cel.messages import Pool
from openapi.custom.formats import FORMATS
from openapi.meta.names import (
    is_dns1035_label,
    is_dns1123_label,
    is_dns1123_subdomain,
    is_label_value,
    is_qualified_name,
    name_is_dns1035_label,
    name_is_dns_label,
    name_is_dns_subdomain,
)

NAME = "kubernetes.NamedFormat"
Check = Callable[[str], list[str]]


def _as_prefix(check: Callable[[str, bool], list[str]]) -> Check:
    return lambda text: check(text, True)


def _known(name: str, problem: str, text: str) -> list[str]:
    return [] if FORMATS[name](text) else [problem]


CHECKS: dict[str, Check] = {
    "dns1123Label": is_dns1123_label,
    "dns1123Subdomain": is_dns1123_subdomain,
    "dns1035Label": is_dns1035_label,
    "dns1123LabelPrefix": _as_prefix(name_is_dns_label),
    "dns1123SubdomainPrefix": _as_prefix(name_is_dns_subdomain),
    "dns1035LabelPrefix": _as_prefix(name_is_dns1035_label),
    "qualifiedName": is_qualified_name,
    "labelValue": is_label_value,
    "uri": partial(_known, "uri", "invalid URI"),
    "uuid": partial(_known, "uuid", "does not match the UUID format"),
    "byte": partial(_known, "byte", "invalid base64"),
    "date": partial(_known, "date", "invalid date"),
    "datetime": partial(_known, "date-time", "invalid datetime"),
}
"""Each format's check: what is wrong with a text."""


def declare(pool: Pool) -> list[Any]:
    kind, make = T(NAME), pool.message_class(NAME)

    def named(name: str) -> Any:
        return make(text=name)

    found = [
        function(f"format.{name}", overload(f"format_{name}", (), kind, partial(named, name))) for name in CHECKS
    ]
    return [
        *found,
        function("is_format__", overload("is_format_string", (T.STRING,), T.BOOL, CHECKS.__contains__)),
        function("format__", overload("format_string", (T.STRING,), kind, named)),
        function(
            "validate__",
            overload("format_validate", (kind, T.STRING), T.List(T.STRING), lambda f, text: CHECKS[f.text](text)),
        ),
    ]
