"""Admission policies in CEL, validating and mutating.

Follows: pkg/registry/admissionregistration/{validating,mutating}admissionpolicy/strategy.go,
pkg/apis/admissionregistration/validation/validation.go
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from apiserver.resources.admissionregistration.columns import MUTATING_POLICY, VALIDATING_POLICY
from apiserver.resources.admissionregistration.expressions import (
    compile_problem,
    validate_expression,
    validate_match_conditions,
)
from apiserver.resources.admissionregistration.rules import (
    param_kind_cell,
    validate_match_resources,
    validate_mutating_operations,
)
from apiserver.resources.age import age
from apiserver.resources.field_rules import at_once, named
from apiserver.resources.spec_rules import EMPTY, validate_conditions
from apiserver.resources.status_only import StatusOnly
from apiserver.resources.strategy import Object, WithStatus, WriteContext
from openapi.cel.admission import Variables, variables_of, without_authorizer
from openapi.cel.types import BOOL, DYN, STRING
from openapi.meta.field import FieldError, duplicate, invalid, not_supported, required
from openapi.meta.metadata import validate_object_meta, validate_object_meta_update
from openapi.meta.names import is_dns1035_label, is_dns1123_subdomain, is_qualified_name, name_is_dns_subdomain

Struct = Mapping[str, Any]

MAX_ANNOTATIONS = 20
MAX_ANNOTATION_BYTES = 5 * 1024
_FAILURE_POLICIES = ("Fail", "Ignore")
_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_REINVOCATIONS = ("IfNeeded", "Never")
_NOTHING = "validations or auditAnnotations must contain at least one item"
_CASE = "may have mixed case, but should otherwise match: "
_is_identifier = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*").fullmatch
_RESERVED = frozenset(
    (
        "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop",
        "namespace", "null", "package", "return", "true", "var", "void", "while",
    )
)  # fmt: skip


class PolicyStatus(StatusOnly):
    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        status = obj.get("status") or EMPTY
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        warnings = (status.get("typeChecking") or EMPTY).get("expressionWarnings") or ()
        for i, warning in enumerate(warnings):
            path = f"status.typeChecking.expressionWarnings[{i}]"
            if not warning.get("warning"):
                yield required(f"{path}.warning")
            if not warning.get("fieldRef", "").strip():
                yield required(f"{path}.fieldRef")
        yield from validate_conditions(status.get("conditions") or (), "status.conditions")


class ValidatingPolicyStrategy(WithStatus):
    allow_unconditional_update = False
    subresources = {"status": PolicyStatus()}
    columns = VALIDATING_POLICY

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        spec = obj.get("spec") or EMPTY
        variables = yield from _validate_common(obj, old, spec)
        validations, annotations = spec.get("validations") or (), spec.get("auditAnnotations") or ()
        if not validations and not annotations:
            yield required("spec.validations", _NOTHING)
            yield required("spec.auditAnnotations", _NOTHING)
        for i, validation in enumerate(validations):
            yield from _validate_validation(validation, variables, f"spec.validations[{i}]")
        yield from _validate_annotations(obj["metadata"].get("name", ""), annotations, variables)
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec = obj["metadata"], obj.get("spec") or EMPTY
        validations = len(spec.get("validations") or ())
        return [meta.get("name", ""), validations, param_kind_cell(spec), age(meta.get("creationTimestamp"), now)]


class MutatingPolicyStrategy(WithStatus):
    """It has no status, but its generation counts changes of the spec."""

    allow_unconditional_update = False
    reset_fields = ()
    empty_status = False
    columns = MUTATING_POLICY

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        spec = obj.get("spec") or EMPTY
        variables = yield from _validate_common(obj, old, spec, mutating=True)
        mutations, reinvocation = spec.get("mutations") or (), spec.get("reinvocationPolicy", "")
        if not mutations:
            yield required("spec.mutations", "mutations must contain at least one item")
        for i, mutation in enumerate(mutations):
            yield from _validate_mutation(mutation, variables, f"spec.mutations[{i}]")
        if not reinvocation:
            yield required("spec.reinvocationPolicy")
        elif reinvocation not in _REINVOCATIONS:
            yield not_supported("spec.reinvocationPolicy", reinvocation, _REINVOCATIONS)
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec = obj["metadata"], obj.get("spec") or EMPTY
        mutations = len(spec.get("mutations") or ())
        return [meta.get("name", ""), mutations, param_kind_cell(spec), age(meta.get("creationTimestamp"), now)]


def _validate_common(obj: Object, old: Object | None, spec: Struct, *, mutating: bool = False) -> Any:
    """What both kinds of policies share; the result is what later expressions may use."""
    yield from validate_object_meta(obj["metadata"], namespaced=False, name=name_is_dns_subdomain)
    failure, kind, match = spec.get("failurePolicy"), spec.get("paramKind"), spec.get("matchConstraints")
    if failure is None:
        yield required("spec.failurePolicy")
    elif failure not in _FAILURE_POLICIES:
        yield not_supported("spec.failurePolicy", failure, _FAILURE_POLICIES)
    if kind is not None:
        yield from _validate_param_kind(kind, "spec.paramKind")
    if match is None:
        yield required("spec.matchConstraints")
    else:
        yield from validate_match_resources(match, "spec.matchConstraints")
        if not match.get("resourceRules"):
            yield required("spec.matchConstraints.resourceRules")
        if mutating:
            yield from validate_mutating_operations(match, "spec.matchConstraints")
    conditions, old_spec = spec.get("matchConditions") or [], (old or EMPTY).get("spec") or EMPTY
    if old is None or conditions != (old_spec.get("matchConditions") or []) or kind != old_spec.get("paramKind"):
        yield from validate_match_conditions(conditions, "spec.matchConditions", has_params=kind is not None)
    return (yield from _validate_variables(spec.get("variables") or (), kind is not None))


def _validate_param_kind(kind: Struct, path: str) -> Iterator[FieldError]:
    version_text, name = kind.get("apiVersion", ""), kind.get("kind", "")
    group, _, version = version_text.rpartition("/")
    if not version_text:
        yield required(f"{path}.apiVersion")
    elif "/" in group:
        text = f"unexpected GroupVersion string: {version_text}"
        yield invalid(f"{path}.apiVersion", version_text, text)
    else:
        if group:
            yield from at_once(is_dns1123_subdomain(group), f"{path}.apiVersion", group)
        if version:
            yield from at_once(is_dns1035_label(version), f"{path}.apiVersion", version)
        else:
            yield invalid(f"{path}.apiVersion", version_text, "version must be specified")
    if name:
        yield from at_once(is_dns1035_label(name.lower()), f"{path}.kind", name, _CASE)
    else:
        yield required(f"{path}.kind")


def _validate_variables(definitions: Sequence[Struct], has_params: bool) -> Any:
    """Each variable sees those before it."""
    defined: list[tuple[str, str]] = []
    for i, definition in enumerate(definitions):
        path, name, text = f"spec.variables[{i}]", definition.get("name", ""), definition.get("expression", "")
        if not name.strip():
            yield required(f"{path}.name", "name is not specified")
            name = ""
        elif not _is_identifier(name) or name in _RESERVED:
            yield invalid(f"{path}.name", name, "must be a valid CEL identifier")
            name = ""
        if not text.strip():
            yield required(f"{path}.expression", "expression is not specified")
            continue
        result, problem = compile_problem(text, variables_of(has_params, tuple(defined)), ())
        if problem:
            yield invalid(f"{path}.expression", text, problem)
        if name and all(name != known for known, _ in defined):
            defined.append((name, DYN if problem else result))
    return variables_of(has_params, tuple(defined))


def _validate_validation(validation: Struct, variables: Variables, path: str) -> Iterator[FieldError]:
    text, message = validation.get("expression", ""), validation.get("message", "")
    dynamic, reason = validation.get("messageExpression", ""), validation.get("reason")
    if not text.strip():
        yield required(f"{path}.expression", "expression is not specified")
    else:
        yield from validate_expression(text, variables, (BOOL,), f"{path}.expression")
    if dynamic and not dynamic.strip():
        yield invalid(f"{path}.messageExpression", dynamic, "must be non-empty if specified")
    elif dynamic:
        yield from validate_expression(dynamic, without_authorizer(variables), (STRING,), f"{path}.messageExpression")
    if message and not message.strip():
        yield invalid(f"{path}.message", message, "must be non-empty if specified")
    elif "\n" in message.strip() or "\r" in message.strip():
        yield invalid(f"{path}.message", message, "must not contain line breaks")
    if reason is not None and reason not in _REASONS:
        yield not_supported(f"{path}.reason", reason, _REASONS)


def _validate_annotations(name: str, annotations: Sequence[Struct], variables: Variables) -> Iterator[FieldError]:
    path = "spec.auditAnnotations"
    if len(annotations) > MAX_ANNOTATIONS:
        yield invalid(path, list(annotations), f"must not have more than {MAX_ANNOTATIONS} auditAnnotations")
    seen: set[str] = set()
    for i, annotation in enumerate(annotations):
        key, text = annotation.get("key", ""), annotation.get("valueExpression", "").strip()
        yield from named(is_qualified_name, f"{name}/{key}", f"{path}[{i}].key")
        if not text:
            yield required(f"{path}[{i}].valueExpression", "valueExpression is not specified")
        elif len(text) > MAX_ANNOTATION_BYTES:
            problem = f"must not exceed {MAX_ANNOTATION_BYTES} bytes in length"
            yield required(f"{path}[{i}].valueExpression", problem)
        else:
            _, problem = compile_problem(text, variables, (STRING, "null_type"))
            if problem:
                yield invalid(f"{path}[{i}].valueExpression", annotation["valueExpression"], problem)
        if key in seen:
            yield duplicate(f"{path}[{i}].key", key)
        seen.add(key)


_MUTATIONS = {"ApplyConfiguration": ("applyConfiguration", "Object"), "JSONPatch": ("jsonPatch", "list(JSONPatch)")}


def _validate_mutation(mutation: Struct, variables: Variables, path: str) -> Iterator[FieldError]:
    kind = mutation.get("patchType", "")
    if not kind:
        yield required(f"{path}.patchType")
        return
    if kind not in _MUTATIONS:
        yield not_supported(f"{path}.patchType", kind, _MUTATIONS)
        return
    field, result = _MUTATIONS[kind]
    body = mutation.get(field)
    if body is None:
        yield required(f"{path}.{field}", f"must be specified when patchType is {kind}")
    elif not body.get("expression", "").strip():
        yield required(f"{path}.{field}.expression")
    else:
        yield from validate_expression(body["expression"].strip(), variables, (result,), f"{path}.{field}.expression")
    for other, (other_field, _) in _MUTATIONS.items():
        if other != kind and mutation.get(other_field) is not None:
            text = f"must not be specified when patchType is {kind}"
            yield invalid(f"{path}.{other_field}", f"{{{other_field}}}", text)
