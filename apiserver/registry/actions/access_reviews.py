"""Access reviews: may a user do something, and what may I do. They are answered, never stored.

Follows: pkg/apis/authorization/validation/validation.go, pkg/registry/authorization
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from apiserver.auth.attributes import Attributes
from apiserver.auth.authorizer import Authorizer
from apiserver.resources.strategy import User, WriteContext
from openapi.meta import status
from openapi.meta.field import FieldError, Verbatim, forbidden, invalid, required
from openapi.meta.metadata import validate_label_name
from openapi.meta.names import is_label_value
from openapi.meta.selectors import SelectorError, parse_field_selector, parse_label_selector
from openapi.schema.gotext import in_go_order

Object = dict[str, Any]

GROUP = "authorization.k8s.io"
BOTH = "cannot be specified in combination with resourceAttributes"
NEITHER = "exactly one of nonResourceAttributes or resourceAttributes must be specified"

_LABEL_TERMS = {"In": "{0} in ({1})", "NotIn": "{0} notin ({1})", "Exists": "{0}", "DoesNotExist": "!{0}"}
_FIELD_TERMS = {"In": "{0}={1}", "NotIn": "{0}!={1}"}


class SelfSubjectAccessReviews:
    """May I?"""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def create(self, obj: Object, context: WriteContext) -> Object:
        errors = [*_spec_errors(obj["spec"], None), *_selector_errors(obj["spec"]), *_metadata_errors(obj, ())]
        return _answer(obj, context.user, self._authorizer, errors)


class SubjectAccessReviews:
    """May this user?"""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def create(self, obj: Object, context: WriteContext) -> Object:
        spec = obj["spec"]
        errors = [*_spec_errors(spec, spec), *_selector_errors(spec), *_metadata_errors(obj, ())]
        return _answer(obj, _subject(spec), self._authorizer, errors)


class LocalSubjectAccessReviews:
    """May this user, in the namespace of the request?"""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def create(self, obj: Object, context: WriteContext) -> Object:
        namespace = obj["metadata"].setdefault("namespace", context.namespace)
        spec = obj["spec"]
        errors = [*_spec_errors(spec, spec), *_selector_errors(spec), *_metadata_errors(obj, ("namespace",))]
        resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if resource is not None and resource.get("namespace", "") != namespace:
            field = "spec.resourceAttributes.namespace"
            errors.append(invalid(field, resource.get("namespace", ""), "must match metadata.namespace"))
        if path is not None:
            errors.append(invalid("spec.nonResourceAttributes", _shown(path), "disallowed on this kind of request"))
        return _answer(obj, _subject(spec), self._authorizer, errors)


class SelfSubjectRulesReviews:
    """What may I do in a namespace?"""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def create(self, obj: Object, context: WriteContext) -> Object:
        namespace = (obj.get("spec") or {}).get("namespace", "")
        if not namespace:
            raise status.bad_request("no namespace on request")
        found = self._authorizer.rules(context.user, namespace)
        answer: Object = {
            "resourceRules": found.resource_rules,
            "nonResourceRules": found.non_resource_rules,
            "incomplete": found.incomplete,
        }
        if found.errors:
            errors = list(dict.fromkeys(found.errors))
            answer["evaluationError"] = errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]"
        # The answer repeats nothing of the question.
        return {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": {}, "spec": {}, "status": answer}


def _answer(obj: Object, user: User, authorizer: Authorizer, errors: list[FieldError]) -> Object:
    if errors:
        raise status.invalid(GROUP, "", "", errors)
    attributes, problems = _attributes(user, obj["spec"])
    decision = authorizer.authorize(attributes)
    answer: Object = {"allowed": decision.allowed}
    if decision.reason:
        answer["reason"] = decision.reason
    if problems:
        answer["evaluationError"] = "; ".join(problems)
    obj["status"] = answer
    return obj


def _subject(spec: Mapping[str, Any]) -> User:
    extra = {key: tuple(values or ()) for key, values in (spec.get("extra") or {}).items()}
    return User(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()), extra)


def _attributes(user: User, spec: Mapping[str, Any]) -> tuple[Attributes, list[str]]:
    """The question, and what could not be understood of it."""
    asked = spec.get("resourceAttributes")
    if asked is None:
        path = spec["nonResourceAttributes"]
        return Attributes(user, path.get("verb", ""), path=path.get("path", ""), is_resource=False), []
    fields, field_problem = _selector(asked.get("fieldSelector"), "fieldSelector")
    labels, label_problem = _selector(asked.get("labelSelector"), "labelSelector")
    return Attributes(
        user,
        asked.get("verb", ""),
        asked.get("group", ""),
        asked.get("version") or "*",
        asked.get("resource", ""),
        asked.get("subresource", ""),
        asked.get("namespace", ""),
        asked.get("name", ""),
        field_selector=fields,
        label_selector=labels,
    ), [*field_problem, *label_problem]


def _selector(spec: Mapping[str, Any] | None, kind: str) -> tuple[str, list[str]]:
    """A selector as text, without what is not understood: too little limits more than too much."""
    if not spec:
        return "", []
    raw = spec.get("rawSelector", "")
    if raw:
        try:
            parsed = parse_field_selector(raw) if kind == "fieldSelector" else parse_label_selector(raw)
        except SelectorError:
            return "", [f"spec.resourceAttributes.{kind} ignored due to parse error"]
        return str(parsed), []
    terms = _FIELD_TERMS if kind == "fieldSelector" else _LABEL_TERMS
    found: list[str] = []
    requirements = spec.get("requirements") or ()
    for requirement in requirements:
        form, values = terms.get(requirement.get("operator", "")), requirement.get("values") or ()
        if form is not None and (kind == "labelSelector" or len(values) == 1):
            found.append(form.format(requirement.get("key", ""), ",".join(values)))
    if len(found) == len(requirements):
        return ",".join(found), []
    part = "partially ignored" if found else "ignored"
    return ",".join(found), [f"spec.resourceAttributes.{kind} {part} due to parse error"]


def _spec_errors(spec: Mapping[str, Any], subject: Mapping[str, Any] | None) -> Iterator[FieldError]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        yield invalid("spec.nonResourceAttributes", _shown(path), BOTH)
    if resource is None and path is None:
        yield invalid("spec.resourceAttributes", None, NEITHER)
    if subject is not None and not subject.get("user") and not subject.get("groups"):
        yield invalid("spec.user", "", "at least one of user or group must be specified")


def _shown(path: Mapping[str, Any]) -> Object:
    """Attributes of a path as messages show them."""
    return {"Path": path.get("path", ""), "Verb": path.get("verb", "")}


def _metadata_errors(obj: Object, allowed: tuple[str, ...]) -> Iterator[FieldError]:
    meta = obj.get("metadata") or {}
    if any(field not in allowed and field != "managedFields" and value for field, value in meta.items()):
        text = "must be empty except for namespace" if allowed else "must be empty"
        yield invalid("metadata", Verbatim(orjson.dumps(in_go_order(meta)).decode()), text)


def _selector_errors(spec: Mapping[str, Any]) -> Iterator[FieldError]:
    resource = spec.get("resourceAttributes") or {}
    for kind in ("fieldSelector", "labelSelector"):
        selector = resource.get(kind)
        if selector is None:
            continue
        path = f"spec.resourceAttributes.{kind}"
        raw, requirements = selector.get("rawSelector", ""), selector.get("requirements") or ()
        if raw and requirements:
            yield invalid(f"{path}.rawSelector", raw, "may not specified at the same time as requirements")
        if not raw and not requirements:
            text = f"when {path} is specified, requirements or rawSelector is required"
            yield required(f"{path}.requirements", text)
        for index, requirement in enumerate(requirements):
            yield from _requirement_errors(requirement, f"{path}.requirements[{index}]", kind == "labelSelector")


def _requirement_errors(requirement: Mapping[str, Any], path: str, is_label: bool) -> Iterator[FieldError]:
    """Unknown operators pass: a newer client may know more of them."""
    key, operator = requirement.get("key", ""), requirement.get("operator", "")
    values = requirement.get("values") or ()
    if not is_label and not key:
        yield required(f"{path}.key", "must be specified")
    if operator in ("In", "NotIn") and not values:
        yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    if operator in ("Exists", "DoesNotExist") and values:
        yield forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    if is_label:
        yield from validate_label_name(key, f"{path}.key")
        for index, value in enumerate(values):
            yield from (invalid(f"{path}.values[{index}]", value, problem) for problem in is_label_value(value))
