"""What classes of storage and of volume attributes share: a driver's name and parameters that are passed on to it.

Follows: pkg/apis/storage/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from apiserver.resources.field_rules import named
from openapi.meta.field import FieldError, invalid, required, too_long
from openapi.meta.names import is_qualified_name, size

MAX_PARAMETERS = 512
MAX_PARAMETERS_BYTES = 256 * 1024


def validate_provisioner(name: str, path: str) -> Iterator[FieldError]:
    if not name:
        yield required(path)
    else:
        yield from named(is_qualified_name, name.lower(), path)


def validate_parameters(parameters: Mapping[str, str] | None, path: str, *, allow_empty: bool) -> Iterator[FieldError]:
    values = parameters or {}
    if len(values) > MAX_PARAMETERS:
        yield too_long(path, MAX_PARAMETERS)
        return
    if "" in values:
        yield invalid(path, "", "field can not be empty.")
    if sum(size(k) + size(v) for k, v in values.items()) > MAX_PARAMETERS_BYTES:
        yield too_long(path, MAX_PARAMETERS_BYTES)
    if not values and not allow_empty:
        yield required(path, "must contain at least one key/value pair")
