"""Types of whole objects, and reports about expressions over them."""

from __future__ import annotations

import pytest

from openapi.catalog import GroupVersionKind
from openapi.cel.admission import checked_variables
from openapi.cel.environment import compile_expression
from openapi.cel.errors import CompileError
from openapi.cel.objects import escaped, type_of
from openapi.cel.types import DYN
from openapi.schema.load import schema_for

POD = type_of(schema_for(GroupVersionKind("", "v1", "Pod"))) or DYN


def problem(text: str) -> str:
    try:
        compile_expression(text, checked_variables(POD, None, ()))
    except CompileError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "text",
    [
        "object.spec.containers.all(c, c.image.startsWith('x'))",
        "object.metadata.labels['a'] == 'b'",
        "object.metadata.creationTimestamp < timestamp('2020-01-01T00:00:00Z')",
        "object.metadata.__namespace__ == 'n'",
        "object.spec.containers[0].ports[0].containerPort > 80",
    ],
)
def test_fields_of_a_kind_have_their_types(text: str) -> None:
    assert problem(text) == ""


def test_quantities_have_no_type_and_so_no_field() -> None:
    assert "undefined field 'limits'" in problem("object.spec.containers[0].resources.limits")


def test_errors_that_follow_from_others_are_not_named() -> None:
    assert problem("object.spec.nope.deeper == 1") == (
        "ERROR: <input>:1:12: undefined field 'nope'\n | object.spec.nope.deeper == 1\n | ...........^"
    )


def test_undeclared_name_is_reported_at_its_root() -> None:
    assert problem("true && params.x.y") == (
        "ERROR: <input>:1:9: undeclared reference to 'params' (in container '')\n | true && params.x.y\n | ........^"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [("image", "image"), ("in", "__in__"), ("a-b", "a__dash__b"), ("a__b", "a__underscores__b"), ("$ref", "")],
)
def test_names_are_escaped(name: str, expected: str) -> None:
    assert escaped(name) == expected


def test_kinds_that_contain_themselves_have_a_type() -> None:
    definitions = GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
    variables = checked_variables(type_of(schema_for(definitions)) or DYN, None, ())
    assert compile_expression("object.spec.names.plural == 'x'", variables).result_type == "bool"
