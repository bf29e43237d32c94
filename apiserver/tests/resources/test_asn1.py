"""What is wrong with the outer structure of DER values."""

from __future__ import annotations

import pytest

from apiserver.resources.certificates.asn1 import structure_problem

_PARAMETERS = (
    "{optional:false explicit:false application:false private:false defaultValue:<nil> tag:<nil> stringType:0 "
    "timeType:0 set:false omitEmpty:false}"
)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("", "syntax error: sequence truncated"),
        ("30", "syntax error: truncated tag or length"),
        ("3005 3000", "syntax error: data truncated"),
        ("3002 3000 00", "syntax error: trailing data"),
        ("3000", "syntax error: sequence truncated"),
        ("3080", "syntax error: indefinite length found (not DER)"),
        ("308102 3000", "structure error: non-minimal length"),
        ("30820002 3000", "structure error: superfluous leading zeros in length"),
        ("3085ffffffffff", "structure error: length too large"),
        ("3f01", "syntax error: non-minimal tag"),
        ("3002 0500",
         "structure error: tags don't match (16 vs {class:0 tag:5 length:0 isCompound:false}) "
         f"{_PARAMETERS} inner @2"),
        ("3002 3000", ""),
    ],
)  # fmt: skip
def test_problems(data: str, problem: str) -> None:
    assert structure_problem(bytes.fromhex(data), "outer", "inner") == (f"asn1: {problem}" if problem else "")
