"""Bodies in YAML. The reader is imported at the first of them: PyYAML is slow to load and seldom needed."""

from __future__ import annotations

from typing import Any

from openapi.schema.parse import YAMLError

__all__ = ["YAML_PROBLEMS", "YAMLError", "dump_yaml", "parse_yaml"]

YAML_PROBLEMS = "yaml: unmarshal errors:\n"
"""How the one text that lists a YAML body's duplicate keys begins; each is a line behind it."""


def parse_yaml(raw: bytes) -> tuple[Any, list[str]]:
    """The JSON value of a YAML text, and one text that lists its duplicate keys, if any; raises YAMLError."""
    from openapi.schema import yamlreader

    return yamlreader.parse_yaml(raw)


def dump_yaml(value: Any) -> bytes:
    """A JSON value as YAML: block style, keys sorted."""
    from openapi.schema import yamlreader

    return yamlreader.dump_yaml(value)
