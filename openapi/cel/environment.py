"""Compiling expressions against declared variables, and running them on plain JSON values.

Environments are made once per set of variables and kept; programs may be run any number of times.
Follows: staging/src/k8s.io/apiserver/pkg/cel/environment/base.go (which libraries there are)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_optional, ext_strings

from openapi.cel.errors import CompileError, EvaluationError, evaluation_text, report
from openapi.cel.libraries import functions
from openapi.cel.literal_checks import literal_problems
from openapi.cel.literals import rewrite
from openapi.cel.messages import Pool
from openapi.cel.rewriting import HIDDEN, compiled, without_bindings, without_new_macros
from openapi.cel.types import BOOL, DYN, CelType, ListOf, MapOf, OptionalOf, StructOf, VariableType
from openapi.cel.values import plain

Variables = tuple[tuple[str, VariableType], ...]
_Given = tuple[tuple[str, CelType], ...]

_SCALARS = {
    "bool": cel.Type.BOOL,
    "bytes": cel.Type.BYTES,
    "double": cel.Type.DOUBLE,
    "duration": cel.Type.DURATION,
    "dyn": cel.Type.DYN,
    "int": cel.Type.INT,
    "string": cel.Type.STRING,
    "timestamp": cel.Type.TIMESTAMP,
}
_NAMES = {"NULL": "null_type", "TIMESTAMP": "google.protobuf.Timestamp", "DURATION": "google.protobuf.Duration"}
_WORD = re.compile(r"[A-Za-z_.]+")
# The library takes no optional values from outside: they are made of two variables around the expression.
_VALUE, _HAS = "{}__value", "{}__given"
_OPENING = "cel.bind({0}, {0}__given ? optional.of({0}__value) : optional.none(), "


class Program:
    """A compiled expression. `result_type` is as messages show it: `bool`, `list(string)`, `dyn`."""

    __slots__ = ("_given", "_optional", "_run", "result_type", "text")

    def __init__(
        self, text: str, result_type: str, run: Any, given: Mapping[str, Any], optional: tuple[str, ...] = ()
    ) -> None:
        self.text = text
        self._optional = optional
        self.result_type = result_type
        self._run = run
        self._given = given

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """The value for these variables, as plain JSON. Raises EvaluationError."""
        given = {**self._given, **values}
        for name in self._optional:
            given[_HAS.format(name)] = name in given
            given[_VALUE.format(name)] = given.pop(name, None)
        try:
            result = self._run.eval(data=given)
        except RuntimeError as err:
            raise EvaluationError(evaluation_text(str(err))) from err
        if result.type() == cel.Type.ERROR:
            raise EvaluationError(evaluation_text(str(result.plain_value())))
        try:
            return plain(result.plain_value())
        except TypeError:
            raise EvaluationError("the value of the expression cannot be used outside of it") from None


class Environment:
    """Compiles expressions over the same variables. `binds`: they may use cel.bind."""

    def __init__(self, variables: Variables, *, binds: bool = False) -> None:
        pool = Pool()
        self._binds = binds
        self._optional = tuple(name for name, kind in variables if isinstance(kind, OptionalOf))
        given = tuple(each for name, declared_as in variables for each in _given_as(name, declared_as))
        for _, kind in given:
            _declare(pool, kind)
        extensions = [
            ext_bindings.ExtBindings(),
            ext_optional.ExtOptional(),
            ext_strings.ExtStrings(),
        ]
        declared = functions(pool)
        self._pool = pool
        checked = {name: _cel_type(kind, structs=True) for name, kind in given}
        loose = {name: _cel_type(kind, structs=False) for name, kind in given}
        self._checker = cel.NewEnv(pool.descriptors, variables=checked, functions=declared, extensions=extensions)
        self._runner = self._checker
        # Variables of opaque types (the authorizer) have no other value than their empty one.
        self._given = {
            name: pool.message_class(kind)() for name, kind in given if isinstance(kind, str) and "." in kind
        }
        if any(_has_struct(kind) for _, kind in given):
            self._runner = cel.NewEnv(pool.descriptors, variables=loose, functions=declared, extensions=extensions)

    def opaque(self, kind: str, text: str) -> Any:
        """A value of an opaque type (`kubernetes.Quantity`, `kubernetes.Semver`), to be given to programs."""
        return self._pool.message_class(kind)(text=text)

    def compile(self, text: str) -> Program:
        """Raises CompileError."""
        opening = "".join(map(_OPENING.format, self._optional))
        given = text if self._binds else without_bindings(text)
        rewritten = rewrite(given)
        if rewritten != given:
            self._parse(text)
        wrapped = f"{opening}{without_new_macros(rewritten)}{')' * len(self._optional)}"
        try:
            checked, run = compiled(wrapped, self._compile)
        except RuntimeError as err:
            complaint = report(err, opening)
            raise CompileError(complaint if given == text else complaint.replace(HIDDEN, "cel")) from err
        problems = literal_problems(text, self._type_of)
        if problems:
            raise CompileError(problems)
        return Program(text, _type_name(checked.return_type().name()), run, self._given, self._optional)

    def _type_of(self, text: str) -> str:
        try:
            return self.compile(text).result_type
        except CompileError:
            return ""

    def _parse(self, text: str) -> None:
        """Raises CompileError for mistakes of form, where the expression itself has them."""
        try:
            self._checker.compile(text, disable_check=True)
        except RuntimeError as err:
            raise CompileError(report(err)) from err

    def _compile(self, text: str) -> tuple[Any, Any]:
        """To check types, and to run: structs have types in the one, and are plain objects in the other."""
        checked = self._checker.compile(text)
        return checked, checked if self._runner is self._checker else self._runner.compile(text)


@lru_cache(maxsize=256)
def environment(variables: Variables, *, binds: bool = False) -> Environment:
    """The environment of these variables, made once."""
    return Environment(variables, binds=binds)


@lru_cache(maxsize=1024)
def compile_expression(text: str, variables: Variables, *, binds: bool = False) -> Program:
    """The program of an expression. Raises CompileError."""
    return environment(variables, binds=binds).compile(text)


def _given_as(name: str, kind: VariableType) -> _Given:
    if isinstance(kind, OptionalOf):
        return ((_VALUE.format(name), kind.value), (_HAS.format(name), BOOL))
    return ((name, kind),)


def _declare(pool: Pool, kind: CelType) -> None:
    if isinstance(kind, StructOf):
        pool.add(kind)
    elif isinstance(kind, ListOf):
        _declare(pool, kind.item)
    elif isinstance(kind, MapOf):
        _declare(pool, kind.value)


def _has_struct(kind: CelType) -> bool:
    if isinstance(kind, ListOf):
        return _has_struct(kind.item)
    return _has_struct(kind.value) if isinstance(kind, MapOf) else isinstance(kind, StructOf)


def _cel_type(kind: CelType, *, structs: bool) -> Any:
    if isinstance(kind, ListOf):
        return cel.Type.List(_cel_type(kind.item, structs=structs))
    if isinstance(kind, MapOf):
        return cel.Type.Map(cel.Type.STRING, _cel_type(kind.value, structs=structs))
    if isinstance(kind, StructOf):
        return cel.Type(kind.name) if structs else _SCALARS[DYN]
    return _SCALARS.get(kind) or cel.Type(kind)


def _type_name(name: str) -> str:
    """`LIST<STRING>` as `list(string)`."""
    text = name.replace("<", "(").replace(">", ")")
    return _WORD.sub(lambda m: _NAMES.get(m.group(), m.group().lower() if m.group().isupper() else m.group()), text)
