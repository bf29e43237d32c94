"""Expressions compiled and run: results, reports, libraries, literals."""

from __future__ import annotations

from typing import Any

import pytest

from openapi.cel.environment import compile_expression
from openapi.cel.errors import CompileError, EvaluationError
from openapi.cel.libraries.netip import address_problem, prefix_problem
from openapi.cel.types import DYN, INT, STRING, ListOf, MapOf, OptionalOf, StructOf

SELF = StructOf("test.Self", (("n", INT), ("names", ListOf(STRING)), ("sizes", MapOf(INT)), ("any", DYN)))
VARIABLES = (("object", DYN), ("self", SELF))
OBJECT = {"metadata": {"name": "x", "labels": {"a": "b"}}, "n": 3}


def value(text: str, **given: Any) -> Any:
    return compile_expression(text, VARIABLES).evaluate({"object": OBJECT, **given})


def problem(text: str) -> str:
    with pytest.raises(CompileError) as raised:
        compile_expression(text, VARIABLES)
    return str(raised.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("object.metadata.name == 'x'", True),
        ("object.n + 1", 4),
        ("has(object.nope)", False),
        ("object.?nope.orValue('z')", "z"),
        ("quantity('1Gi').isGreaterThan(quantity('1Mi'))", True),
        ("quantity('1').add(quantity('1k')).compareTo(quantity('1001'))", 0),
        ("isQuantity('x')", False),
        ("'abc'.find('b.')", "bc"),
        ("'a1b22'.findAll('[0-9]+')", ["1", "22"]),
        ("[1, 2, 3].isSorted() && [1, 2].sum() == 3", True),
        ("sets.contains(['a', 'b'], ['a'])", True),
        ("ip('10.0.0.1').family()", 4),
        ("string(ip('::01')) + string(cidr('10.0.0.0/8'))", "::110.0.0.0/8"),
        ("ip('224.0.0.1').isLinkLocalMulticast() && !ip('ff05::1').isLinkLocalMulticast()", True),
        ("cidr('10.0.0.0/8').containsIP('10.1.1.1')", True),
        ("url('https://a.b:80/x?y=z').getHost()", "a.b:80"),
        ("semver('1.2.3').major()", 1),
        ("isSemver('1.02.3')", False),
        ("jsonpatch.escapeKey('a/b~c')", "a~1b~0c"),
        ("['b', 'a'].join('-')", "b-a"),
        ("1 < 1.5 && 2.5 >= 2 && 1 < 2u && 1u < 1.5 && 2.5 > 2u", True),
        ("size('ab') > 1.5 || 1 < 0.5", True),
        ("[3, 1].sort() == [1, 3] && ['a', 'b'].indexOf('b') == 1 && 'ab'.indexOf('b') == 1", True),
        ("[[dyn(1)], [dyn(2), dyn([3])]].flatten() == [dyn(1), 2, [3]]", True),
        ("[1, 1].distinct() + lists.range(2) + [1, 2, 3].slice(1, 2) + [5, 4].reverse()", [1, 0, 1, 2, 4, 5]),
        ("[{'a': 2}, {'a': 1}].sortBy(x, x.a).map(x, x.a)", [1, 2]),
        ("[1, 2].all(i, v, i < v) && {'a': 1}.exists(k, v, k == 'a' && v == 1)", True),
        ("[4, 5].transformList(i, v, v > 4, [1].transformList(j, w, i + v + w + j))", [[7]]),
        ("{'a': 1, 'b': 2}.transformMap(k, v, v > 1, k + string(v))", {"b": "b2"}),
        ("[1, 2].existsOne(v, v == 1) && ![1, 1].existsOne(i, v, v == 1)", True),
        ("format.dns1123Label().validate('A').hasValue() && !format.named('x').hasValue()", True),
        ("format.named('uuid').value().validate('x').value()", ["does not match the UUID format"]),
    ],
)
def test_expressions_have_values(text: str, expected: Any) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("1", "int"),
        ("object.n", "dyn"),
        ("[1]", "list(int)"),
        ("{'a': 'b'}", "map(string, string)"),
        ("null", "null_type"),
        ("timestamp('2020-01-01T00:00:00Z')", "google.protobuf.Timestamp"),
        ("Object{}", "Object"),
        ("[JSONPatch{op: 'add'}]", "list(JSONPatch)"),
    ],
)
def test_results_have_types_as_messages_show_them(text: str, kind: str) -> None:
    assert compile_expression(text, VARIABLES).result_type == kind


def test_reports_point_at_the_place() -> None:
    assert problem("object.") == (
        "ERROR: <input>:1:8: Syntax error: no viable alternative at input '.'\n | object.\n | .......^"
    )
    assert problem("x") == "ERROR: <input>:1:1: undeclared reference to 'x' (in container '')\n | x\n | ^"


def test_fields_that_a_struct_does_not_have_are_refused() -> None:
    assert problem("self.n.x").startswith("ERROR: <input>:1:7: type 'int' does not support field selection\n")
    assert problem("'a'.matches('[')").startswith("ERROR: <input>:1:13: invalid matches argument\n")
    assert problem("duration('1x') == self.any").startswith("ERROR: <input>:1:10: invalid duration argument\n")
    assert problem("[1, 'a'] == self.any") == (
        "ERROR: <input>:1:5: expected type 'int' but found 'string'\n | [1, 'a'] == self.any\n | ....^"
    )
    assert problem("self.nope").startswith("ERROR: <input>:1:5: undefined field 'nope'\n")
    assert value("self.names.all(n, n != '') && self.sizes.a == 1", self={"names": ["x"], "sizes": {"a": 1}}) is True


NO_OVERLOAD = "found no matching overload for"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("[self.n, self.names.size(), self.names] == []", ["33: expected type 'int' but found 'list(string)'"]),
        ("[1, 'a', 2.0, 'b'] == []",
         ["5: expected type 'int' but found 'string'", "15: expected type 'double' but found 'string'"]),
        ("{'a': 1, 2: 'b'} == {}",
         ["10: expected type 'string' but found 'int'", "13: expected type 'int' but found 'string'"]),
        ("[1, (self.n > 1)] == []", ["13: expected type 'int' but found 'bool'"]),
        ("sets.contains(self.names, [1])",
         [f"14: {NO_OVERLOAD} 'sets.contains' applied to '(list(string), list(int))'"]),
        ("self.names.indexOf(1) == 0", [f"19: {NO_OVERLOAD} 'indexOf' applied to 'list(string).(int)'"]),
        ("math.abs(1) == 1", ["1: undeclared reference to 'math'", "9: undeclared reference to 'abs'"]),
        ("cel.bind(x, 1, true)",
         ["1: undeclared reference to 'cel'", "9: undeclared reference to 'bind'", "10: undeclared reference to 'x'"]),
        ("[self.any, 1, 'a'] == []", []),
        ("self.names.all(n, [n, 1] != [])", []),
    ],
)  # fmt: skip
def test_values_beside_each_other_are_of_one_type(text: str, problems: list[str]) -> None:
    report = ""
    try:
        compile_expression(text, VARIABLES)
    except CompileError as err:
        report = str(err)
    lines = [line for line in report.split("\n") if line.startswith("ERROR")]
    assert [line.removeprefix("ERROR: <input>:1:").removesuffix(" (in container '')") for line in lines] == problems


def test_only_some_environments_bind_names() -> None:
    assert compile_expression("cel.bind(x, 1, x + 1)", (), binds=True).evaluate({}) == 2


def test_object_literals_become_the_objects_they_stand_for() -> None:
    text = "Object{metadata: Object.metadata{labels: {'a': object.metadata.name}}}"
    assert value(text) == {"metadata": {"labels": {"a": "x"}}}
    assert value("[JSONPatch{op: 'add', path: '/x', value: {'k': [1, 2]}}]") == [
        {"op": "add", "path": "/x", "value": {"k": [1, 2]}}
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("object.nope", "no such key: nope"),
        ("1 / 0", "division by zero"),
        ("uint(object.n - 9)", "unsigned integer overflow"),
        ("int(1e30)", "integer overflow"),
        ("bool(object.metadata.name)", "type conversion error from 'string' to 'bool'"),
        ("[1][object.metadata.name]", "unsupported index type 'string' in list"),
        ("[object.n, object.metadata.name].max()", "no such overload"),
        ("quantity('1.5').asInteger()", "cannot convert value to integer"),
        ("'a'.matches('a' + '[')", "error parsing regexp: missing closing ]: `[`"),
        ("'a'.find('[')", "Illegal regex: error parsing regexp: missing closing ]: `[`"),
        ("semver('1.2')", "No Major.Minor.Patch elements found"),
        ("semver('1.x.3')", 'Invalid character(s) found in minor number "x"'),
        ("semver('1.2.03')", 'Patch number must not contain leading zeroes "03"'),
        ("semver('1.2.3-a..b')", "Prerelease is empty"),
        ("url('x')", 'URL parse error during conversion from string: parse "x": invalid URI for request'),
        ("ip('x')", 'IP Address "x" parse error during conversion from string: ParseAddr("x"): unable to parse IP'),
        ("ip('::ffff:1.2.3.4')", 'IPv4-mapped IPv6 address "::ffff:1.2.3.4" is not allowed'),
        ("cidr('10.0.0.0/8').containsIP('x')", "no such overload"),
    ],
)
def test_expressions_without_a_value_say_why(text: str, why: str) -> None:
    with pytest.raises(EvaluationError) as raised:
        value(text)
    assert str(raised.value) == why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1.2.3.4", ""),
        ("256.1.1.1", "IPv4 field has value >255"),
        ("1.2.3", "IPv4 address too short"),
        ("1.2.3.4.5", "IPv4 address too long"),
        ("1.02.3.4", "IPv4 field has octet with leading zero"),
        ("1..2.3", 'IPv4 field must have at least one digit (at ".2.3")'),
        ("1.2.3.x", 'unexpected character (at "x")'),
        ("fe80::1%eth0", ""),
        ("::1%", "zone must be a non-empty string"),
        ("::1.2.3.4", ""),
        ("1::2::3", 'multiple :: in address (at ":3")'),
        ("1:2", "address string too short"),
        ("1:2:3:4:5:6:7::8", "the :: must expand to at least one field of zeros"),
        ("12345::", 'each group must have 4 or less digits (at "12345::")'),
        ("1:2:3:4:5:6:7:8:9", 'trailing garbage after address (at "9")'),
        ("1:", 'colon must be followed by more characters (at ":")'),
        ("::g", 'each colon-separated field must have at least one digit (at "g")'),
        ("1x::", 'unexpected character, want colon (at "x::")'),
    ],
)
def test_addresses_are_refused_in_the_words_of_go(text: str, why: str) -> None:
    assert address_problem(text) == (f'ParseAddr("{text}"): {why}' if why else "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.0.0.0/8", ""),
        ("10.0.0.0", "no '/'"),
        ("10.0.0.0/33", "prefix length out of range"),
        ("::/08", 'bad bits after slash: "08"'),
        ("x/8", 'ParseAddr("x"): unable to parse IP'),
        ("::1%a/8", "IPv6 zones cannot be present in a prefix"),
    ],
)
def test_so_are_networks(text: str, why: str) -> None:
    assert prefix_problem(text) == (f'netip.ParsePrefix("{text}"): {why}' if why else "")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[1, 2].sum()", 3),
        ("[1.5, 2.5].sum()", 4.0),
        ("[duration('1s'), duration('2s')].sum() == duration('3s')", True),
        ("[timestamp('2024-01-01T00:00:00Z')].max() > timestamp('2023-01-01T00:00:00Z')", True),
        ("['b', 'a'].min()", "a"),
        ("[dyn(1), dyn(5)].max()", 5),
        ("['a', 'b'].isSorted() && ![2, 1].isSorted()", True),
        ("semver('1.10.0').isGreaterThan(semver('1.9.0'))", True),
        ("semver('1.0.0-rc.1').compareTo(semver('1.0.0'))", -1),
        ("semver('v01.2', true).minor()", 2),
        ("isSemver('v1.2') || !isSemver('v1.2', true)", False),
        ("quantity('1Ki').isLessThan(quantity('2k'))", True),
    ],
)
def test_kinds_of_values_share_functions(text: str, value: Any) -> None:
    assert compile_expression(text, ()).evaluate({}) == value


@pytest.mark.parametrize("text", ["['a'].sum()", "semver('1.0.0').isLessThan(quantity('1'))"])
def test_functions_insist_on_the_kinds_they_are_for(text: str) -> None:
    with pytest.raises(CompileError, match="found no matching overload for"):
        compile_expression(text, ())


def test_an_optional_variable_may_have_no_value() -> None:
    variables = (("self", STRING), ("oldSelf", OptionalOf(STRING)))
    program = compile_expression("oldSelf.orValue('none') == self", variables)
    assert program.evaluate({"self": "none"}) is True
    assert program.evaluate({"self": "a", "oldSelf": "a"}) is True
    with pytest.raises(CompileError) as raised:
        compile_expression("self == oldSelf", variables)
    assert str(raised.value).endswith("(string, optional_type(string))'\n | self == oldSelf\n | .....^")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("has(object)", "ERROR: <input>:1:5: invalid argument to has() macro"),
        ("[1].all(1, true)", "ERROR: <input>:1:9: argument must be a simple name"),
        ("[1].map(1, true)", "ERROR: <input>:1:9: argument is not an identifier"),
        ("'a'.matches(1)", "found no matching overload for 'matches' applied to 'string.(int)'"),
        ("[[1]].isSorted()", "found no matching overload for 'isSorted' applied to 'list(list(int)).()'"),
        ("Object{", "ERROR: <input>:1:8: Syntax error: mismatched input '<EOF>' expecting {'}', ',', '?', IDENTIFIER"),
        ("Object{a: 1", "ERROR: <input>:1:12: Syntax error: mismatched input '<EOF>' expecting {'}', ','}"),
        ("size(1)", "found no matching overload for 'size' applied to '(int)'"),
        ("sets.contains(1, 2)", "found no matching overload for 'sets.contains' applied to '(int, int)'"),
    ],
)
def test_reports_use_the_words_of_the_real_compiler(text: str, words: str) -> None:
    assert words in problem(text)


def test_reports_go_by_place() -> None:
    places = [line.split()[1] for line in problem("x.f(1) +\n y").split("\n") if line.startswith("ERROR")]
    assert places == ["<input>:1:1:", "<input>:1:4:", "<input>:2:2:"]
