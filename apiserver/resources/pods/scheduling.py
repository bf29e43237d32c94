"""Where a pod may run: affinity, tolerations, topology spread, gates.

Follows: pkg/apis/core/validation/validation.go validateAffinity, ValidateTolerations,
validateTopologySpreadConstraints
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apiserver.resources.node_selectors import validate_node_selector, validate_node_selector_term
from apiserver.resources.pods.options import Errors, Options, check_format
from openapi.meta.field import duplicate, forbidden, invalid, not_supported, not_supported_listed, required
from openapi.meta.names import is_dns1123_label, is_label_value, is_qualified_name
from openapi.meta.selectors import validate_label_selector

Object = Mapping[str, Any]

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_WEIGHT_TEXT = "must be in the range 1-100"
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_OPERATORS = ("Equal", "Exists")
_ALL_OPERATORS = ("Equal", "Exists", "Lt", "Gt")
_EMPTY_KEY_TEXT = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
_IN_BOTH = "exists in both matchLabelKeys and labelSelector"
_POLICIES = ("Honor", "Ignore")
_ACTIONS = ("DoNotSchedule", "ScheduleAnyway")


def check_affinity(affinity: Object, path: str, options: Options, errors: Errors) -> None:
    if "nodeAffinity" in affinity:
        _check_node_affinity(affinity["nodeAffinity"], f"{path}.nodeAffinity", options, errors)
    for kind in ("podAffinity", "podAntiAffinity"):
        if kind in affinity:
            _check_pod_affinity(affinity[kind], f"{path}.{kind}", options, errors)


def _check_node_affinity(affinity: Object, path: str, options: Options, errors: Errors) -> None:
    if _REQUIRED in affinity:
        loose, where = options.any_required_affinity_value, f"{path}.{_REQUIRED}"
        errors.extend(validate_node_selector(affinity[_REQUIRED], where, allow_invalid_values=loose))
    for index, term in enumerate(affinity.get(_PREFERRED) or ()):
        here = f"{path}.{_PREFERRED}[{index}]"
        if not 1 <= term.get("weight", 0) <= 100:
            errors.append(invalid(f"{here}.weight", term.get("weight", 0), _WEIGHT_TEXT))
        preference = term.get("preference") or {}
        errors.extend(validate_node_selector_term(preference, f"{here}.preference", allow_invalid_values=True))


def _check_pod_affinity(affinity: Object, path: str, options: Options, errors: Errors) -> None:
    for index, term in enumerate(affinity.get(_REQUIRED) or ()):
        _check_pod_term(term, f"{path}.{_REQUIRED}[{index}]", options, errors)
    for index, weighted in enumerate(affinity.get(_PREFERRED) or ()):
        here = f"{path}.{_PREFERRED}[{index}]"
        if not 1 <= weighted.get("weight", 0) <= 100:
            errors.append(invalid(f"{here}.weight", weighted.get("weight", 0), _WEIGHT_TEXT))
        _check_pod_term(weighted.get("podAffinityTerm") or {}, f"{here}.podAffinityTerm", options, errors)


def _check_pod_term(term: Object, path: str, options: Options, errors: Errors) -> None:
    loose = options.any_label_value_in_selector
    for field in ("labelSelector", "namespaceSelector"):
        if field in term:
            errors.extend(validate_label_selector(term[field], f"{path}.{field}", allow_invalid_values=loose))
    for namespace in term.get("namespaces") or ():
        check_format(namespace, f"{path}.namespace", is_dns1123_label, errors)
    _check_label_keys(term, path, errors)
    key = term.get("topologyKey", "")
    if not key:
        errors.append(required(f"{path}.topologyKey", "can not be empty"))
    check_format(key, f"{path}.topologyKey", is_qualified_name, errors)


def _check_label_keys(holder: Object, path: str, errors: Errors) -> None:
    """matchLabelKeys and mismatchLabelKeys: known only once merged into the selector, so they show up there twice."""
    keys, mismatch_keys = holder.get("matchLabelKeys") or (), holder.get("mismatchLabelKeys") or ()
    if not keys and not mismatch_keys:
        return
    selector = holder.get("labelSelector")
    for field, listed in (("matchLabelKeys", keys), ("mismatchLabelKeys", mismatch_keys)):
        if listed and selector is None:
            errors.append(forbidden(f"{path}.{field}", "must not be specified when labelSelector is not set"))
        for index, key in enumerate(listed if selector is not None else ()):
            check_format(key, f"{path}.{field}[{index}]", is_qualified_name, errors)
    if selector is not None:
        places = {key: index for index, key in enumerate(keys)}
        seen = set(selector.get("matchLabels") or ())
        for expression in selector.get("matchExpressions") or ():
            key = expression.get("key", "")
            if key in places and key in seen:
                errors.append(invalid(f"{path}[{places[key]}]", key, _IN_BOTH))
            seen.add(key)
    for index, key in enumerate(keys):
        if key in mismatch_keys:
            text = "exists in both matchLabelKeys and mismatchLabelKeys"
            errors.append(invalid(f"{path}.matchLabelKeys[{index}]", key, text))


def _check_legacy_spread_keys(constraint: Object, path: str, errors: Errors) -> None:
    """As before keys were merged into the selector."""
    keys, selector = constraint.get("matchLabelKeys") or (), constraint.get("labelSelector")
    if not keys:
        return
    if selector is None:
        errors.append(forbidden(path, "must not be specified when labelSelector is not set"))
    known = set((selector or {}).get("matchLabels") or ())
    known.update(e.get("key", "") for e in (selector or {}).get("matchExpressions") or ())
    for index, key in enumerate(keys):
        check_format(key, f"{path}[{index}]", is_qualified_name, errors)
        if key in known:
            errors.append(invalid(f"{path}[{index}]", key, _IN_BOTH))


def check_spread(constraints: Sequence[Object], path: str, options: Options, errors: Errors) -> None:
    for index, constraint in enumerate(constraints):
        here = f"{path}[{index}]"
        skew, key, action = (
            constraint.get("maxSkew", 0), constraint.get("topologyKey", ""), constraint.get("whenUnsatisfiable", "")
        )  # fmt: skip
        if skew <= 0:
            errors.append(invalid(f"{here}.maxSkew", skew, "must be greater than zero"))
        if not key:
            errors.append(required(f"{here}.topologyKey", "can not be empty"))
        if action not in _ACTIONS:
            errors.append(not_supported(f"{here}.whenUnsatisfiable", action, _ACTIONS))
        for other in constraints[index + 1 :]:
            if other.get("topologyKey", "") == key and other.get("whenUnsatisfiable", "") == action:
                errors.append(duplicate(f"{here}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}"))
                break
        _check_min_domains(constraint.get("minDomains"), action, f"{here}.minDomains", errors)
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            policy = constraint.get(field)
            if policy is not None and policy not in _POLICIES:
                errors.append(not_supported(f"{here}.{field}", policy, _POLICIES))
        if options.legacy_spread_keys:
            _check_legacy_spread_keys(constraint, f"{here}.matchLabelKeys", errors)
        else:
            _check_label_keys(constraint, here, errors)
        if not options.any_spread_selector:
            errors.extend(validate_label_selector(constraint.get("labelSelector"), f"{here}.labelSelector"))


def _check_min_domains(minimum: int | None, action: str, path: str, errors: Errors) -> None:
    if minimum is None:
        return
    if minimum <= 0:
        errors.append(invalid(path, minimum, "must be greater than zero"))
    if action != "DoNotSchedule":
        text = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
        errors.append(invalid(path, minimum, text))


def check_tolerations(tolerations: Sequence[Object], path: str, errors: Errors) -> None:
    for index, toleration in enumerate(tolerations):
        key, operator = toleration.get("key", ""), toleration.get("operator", "")
        value, effect = toleration.get("value", ""), toleration.get("effect", "")
        if key:
            problems = is_qualified_name(key)
            errors.extend(invalid(f"{path}[{index}].key", key, problem) for problem in problems)
        elif operator != "Exists":
            errors.append(invalid(f"{path}[{index}].operator", operator, _EMPTY_KEY_TEXT))
        if "tolerationSeconds" in toleration and effect != "NoExecute":
            text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            errors.append(invalid(f"{path}[{index}].effect", effect, text))
        if operator == "Exists":
            if value:
                text = "value must be empty when `operator` is 'Exists'"
                errors.append(invalid(f"{path}[{index}].operator", value, text))
        elif operator in ("Equal", ""):
            problems = is_label_value(value)
            if problems:
                errors.append(invalid(f"{path}[{index}].operator", value, ";".join(problems)))
        else:
            known = _ALL_OPERATORS if operator in _ALL_OPERATORS else _OPERATORS
            errors.append(not_supported_listed(f"{path}[{index}].operator", operator, known))
        if effect and effect not in _EFFECTS:
            errors.append(not_supported_listed(f"{path}[{index}].effect", effect, _EFFECTS))


def check_scheduling_gates(gates: Sequence[Object], path: str, errors: Errors) -> None:
    seen: set[str] = set()
    for index, gate in enumerate(gates):
        name = gate.get("name", "")
        check_format(name, f"{path}[{index}]", is_qualified_name, errors)
        if name in seen:
            errors.append(duplicate(f"{path}[{index}]", name))
        seen.add(name)
