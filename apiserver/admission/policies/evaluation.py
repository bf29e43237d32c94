"""Running a policy's expressions on one request: the variables they see, match conditions, parameters.

Follows: staging/src/k8s.io/apiserver/pkg/admission/plugin/cel/condition.go, plugin/policy/generic
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from apiserver.admission.plugin import Attributes
from apiserver.resources.strategy import User
from apiserver.storage.store import Store
from openapi.catalog import Catalog, GroupVersionKind, Resource, split_api_version
from openapi.cel.admission import Variables, variables_of
from openapi.cel.errors import CompileError, EvaluationError
from openapi.meta.selectors import from_label_selector

if TYPE_CHECKING:
    from openapi.cel.environment import Program

Object = dict[str, Any]
Struct = Mapping[str, Any]

_NO_NAMESPACE = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
REQUEST_RESOURCE = "authorizer.requestResource"


Allows = Callable[[User, Mapping[str, str]], tuple[bool, str]]
"""Whether a user may do what a request says (see `openapi.cel.libraries.authorization.Check`), and why."""


class Evaluation:
    """One policy, one request, one parameter. Expressions are compiled once for all requests."""

    def __init__(
        self,
        attributes: Attributes,
        namespace: Object | None,
        params: Object | None,
        *,
        has_params: bool,
        allows: Allows,
    ) -> None:
        self._attributes = attributes
        self._allows = allows
        self._values: dict[str, Any] = {
            "object": attributes.obj,
            "oldObject": attributes.old,
            "request": request_of(attributes),
            "namespaceObject": namespace,
        }
        if has_params:
            self._values["params"] = params
        self._has_params = has_params
        self._variables: Variables = variables_of(has_params)
        self._failed: dict[str, str] = {}

    def define(self, definitions: Sequence[Struct]) -> None:
        """Work out the policy's own variables, each from those before it. Raises EvaluationError.

        One without a value is missed only by the expressions that come to ask for it.
        """
        defined: list[tuple[str, str]] = []
        values: dict[str, Any] = {}
        for definition in definitions:
            name, text = definition["name"], definition["expression"]
            program = self._compile(text)
            try:
                values[name] = self._evaluate(program)
            except EvaluationError as err:
                self._failed[name] = self._told(err)
            defined.append((name, program.result_type))
            self._variables = variables_of(self._has_params, tuple(defined))
            self._values["variables"] = values

    def holds(self, conditions: Sequence[Struct]) -> bool:
        """Whether all match conditions are true; a false one outweighs errors. Raises EvaluationError."""
        errors: list[str] = []
        for condition in conditions:
            text = condition["expression"].strip()
            try:
                if self.run(text) is not True:
                    return False
            except EvaluationError as err:
                errors.append(f"expression '{text}' resulted in error: {err}")
        if errors:
            raise EvaluationError(errors[0] if len(errors) == 1 else f"[{', '.join(dict.fromkeys(errors))}]")
        return True

    def run(self, text: str) -> Any:
        """The value of an expression as plain JSON. Raises EvaluationError."""
        try:
            return self._evaluate(self._compile(text))
        except EvaluationError as err:
            raise EvaluationError(self._told(err)) from err

    def _evaluate(self, program: Program) -> Any:
        """The value of a program, whose questions to the authorizer are about who sends the request."""
        from openapi.cel.environment import environment
        from openapi.cel.libraries.authorization import RESOURCE_CHECK, checks

        if REQUEST_RESOURCE in program.text:
            about = orjson.dumps(self._asked_about()).decode()
            self._values[REQUEST_RESOURCE] = environment(self._variables).opaque(RESOURCE_CHECK, about)
        user = self._attributes.user
        before = checks.set(lambda request: self._allows(user, request))
        try:
            return program.evaluate(self._values)
        finally:
            checks.reset(before)

    def _asked_about(self) -> dict[str, str]:
        row, attributes = self._attributes.requested or self._attributes.resource, self._attributes
        return {
            "group": row.group,
            "version": row.version,
            "resource": row.resource,
            "subresource": attributes.subresource,
            "namespace": attributes.namespace,
            "name": attributes.name,
        }

    def _told(self, error: EvaluationError) -> str:
        """An error, or that of the variable whose value it misses."""
        text = str(error)
        name = text.removeprefix("no such key: ")
        if name == text or name not in self._failed:
            return text
        return f'composited variable "{name}" fails to evaluate: {self._failed[name]}'

    def _compile(self, text: str) -> Program:
        from openapi.cel.environment import compile_expression  # Loading CEL takes a while: only who uses it pays.

        try:
            return compile_expression(text.strip(), self._variables)
        except CompileError as err:
            raise EvaluationError(f"compilation failed: {err}") from err


def request_of(attributes: Attributes) -> Object:
    """The admission request as expressions and webhooks see it; what is empty is left out."""
    row, user = attributes.resource, attributes.user
    asked = attributes.requested or row
    who = {
        "username": user.name,
        "uid": user.uid,
        "groups": list(user.groups),
        "extra": {key: list(values) for key, values in user.extra.items()},
    }
    return {
        "kind": _kind_of(attributes, row),
        "resource": _resource_of(row),
        **_filled(subResource=attributes.subresource),
        "requestKind": _kind_of(attributes, asked),
        "requestResource": _resource_of(asked),
        **_filled(requestSubResource=attributes.subresource, name=attributes.name, namespace=attributes.namespace),
        "operation": attributes.operation,
        "userInfo": _filled(**who),
        "dryRun": attributes.dry_run,
        "options": attributes.options,
    }


def _kind_of(attributes: Attributes, row: Resource) -> Object:
    """The kind of the object at a version of the resource; some subresources have a kind of their own."""
    obj = attributes.obj if attributes.obj is not None else attributes.old
    gvk = row.gvk
    if obj is not None and obj.get("kind", row.kind) != row.kind:
        gvk = GroupVersionKind(*split_api_version(obj["apiVersion"]), obj["kind"])
    return {"group": gvk.group, "version": gvk.version, "kind": gvk.kind}


def _resource_of(row: Resource) -> Object:
    return {"group": row.group, "version": row.version, "resource": row.resource}


def _filled(**fields: Any) -> Object:
    return {name: value for name, value in fields.items() if value}


class ParametersMissing(Exception):
    """A binding names parameters that cannot be, or that are not there although it says that this denies."""


class Parameters:
    """Finds the objects that bindings name as parameters."""

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._store = store
        self._catalog = catalog

    def unknown_kind(self, policy: Struct) -> str:
        """What is said of a policy whose parameters are of a kind that nobody knows; '' of others."""
        kind = policy.get("paramKind")
        if kind is None or self._row(kind) is not None:
            return ""
        group, version = split_api_version(kind["apiVersion"])
        return f"failed to find resource referenced by paramKind: '{group}/{version}, Kind={kind['kind']}'"

    def of(self, policy: Struct, binding: Struct, attributes: Attributes) -> Iterator[Object | None]:
        """Each parameter to evaluate with; a single None for a policy without. Raises ParametersMissing."""
        kind, reference = policy.get("paramKind"), binding.get("paramRef")
        if kind is None or reference is None:
            yield None
            return
        found = list(self._find(kind, reference, attributes))
        if not found and reference.get("parameterNotFoundAction") == "Deny":
            raise ParametersMissing("no params found for policy binding with `Deny` parameterNotFoundAction")
        yield from found

    def _find(self, kind: Struct, reference: Struct, attributes: Attributes) -> Iterator[Object]:
        row, namespace = self._row(kind), reference.get("namespace", "")
        if row is None:
            raise ParametersMissing(f"paramKind kind `{kind['kind']}` not known")
        if row.namespaced:
            namespace = namespace or attributes.namespace
            if not namespace:
                raise ParametersMissing(_NO_NAMESPACE)
        elif namespace:
            raise ParametersMissing("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
        cache = self._store.cache(row)
        if reference.get("name"):
            entry = cache.get(namespace, reference["name"])
            if entry is not None:
                yield entry.object()
            return
        wanted = from_label_selector(reference.get("selector") or {})
        for entry in cache.entries(namespace):
            if wanted.matches(entry.labels):
                yield entry.object()

    def _row(self, kind: Struct) -> Resource | None:
        group, version = split_api_version(kind["apiVersion"])
        return self._catalog.by_gvk(group, version, kind["kind"])
