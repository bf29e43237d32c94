"""The fields of the Go structs behind the published definitions: their order, names and protobuf numbers.

The facts lie in `go_fields.json`, one line per struct: JSON names in Go's order; behind `@` the name in Go where it is
not the same with a capital; behind `=` the number where it is not the next one; `~` names a struct whose fields are
written as the outer one's own; `*` stands for kind and apiVersion. Definitions are named without `io.k8s.` or
`io.k8s.api.`. Read at the first use.
Follows: the struct tags of staging/src/k8s.io/{api,apimachinery}/**/types.go
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import orjson

_TYPE_META = "*"


class GoField(NamedTuple):
    """A field with its protobuf number and its name in Go. `inline`: the struct whose fields stand here; `name` is ''
    then."""

    name: str
    number: int
    go: str
    inline: str = ""


@cache
def _facts() -> dict[str, str]:
    found: dict[str, str] = orjson.loads(Path(__file__).with_name("go_fields.json").read_bytes())
    return found


def is_known(definition: str) -> bool:
    """Whether there are facts of a definition: the kinds of Kubernetes' own API groups."""
    return _short(definition) in _facts()


def go_fields(definition: str) -> tuple[GoField, ...]:
    """The fields of a definition in Go's order, without kind and apiVersion; raises KeyError."""
    fields: list[GoField] = []
    number = 0
    for word in _facts()[_short(definition)].split():
        if word == _TYPE_META:
            continue
        names, _, given = word.partition("=")
        number = int(given) if given else number + 1
        if names[0] == "~":
            fields.append(GoField("", number, names.rpartition(".")[2], names[1:]))
            continue
        name, _, go = names.partition("@")
        fields.append(GoField(name, number, go or name[:1].upper() + name[1:]))
    return tuple(fields)


@cache
def go_order(definition: str) -> tuple[str, ...]:
    """The JSON names of a definition in the order in which Go writes them; raises KeyError."""
    names = ["kind", "apiVersion"] if _facts()[_short(definition)].startswith(_TYPE_META) else []
    for field in go_fields(definition):
        names += go_order(field.inline) if field.inline else (field.name,)
    return tuple(names)


def _short(definition: str) -> str:
    return definition.removeprefix("io.k8s.").removeprefix("api.")
