"""What is wrong with the spec of a job, or of a cron job's template.

Follows: pkg/apis/batch/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from apiserver.resources.batch.indexes import IndexesError, count_indexes
from apiserver.resources.field_rules import named
from apiserver.resources.pods.template import pod_template_warnings, validate_pod_template
from apiserver.resources.spec_rules import EMPTY, nonnegative_fields, verbatim
from openapi.meta.field import (
    OMIT,
    FieldError,
    duplicate,
    invalid,
    not_supported,
    not_supported_listed,
    quote,
    required,
    too_long,
    too_many,
)
from openapi.meta.names import is_domain_prefixed_path, is_qualified_name

Struct = Mapping[str, Any]

_COUNTS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)
_MODES = ("NonIndexed", "Indexed")
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_STATUSES = ("False", "True", "Unknown")
_REPLACEMENTS = ("Failed", "TerminatingOrFailed")
_RESTARTS = ("OnFailure", "Never")

_UNTRACKABLE = (
    "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, "
    "Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
)

# The limits keep the lists of indexes in a status, and the work of the controller, within bounds.
MAX_PARALLELISM_INDEXED = 100_000
MAX_FAILED_INDEXES = 100_000
HIGH_COMPLETIONS = 100_000
MAX_PARALLELISM_HIGH = 10_000
MAX_FAILED_INDEXES_HIGH = 10_000
MAX_RULES = 20
MAX_CONDITION_PATTERNS = 20
MAX_EXIT_CODES = 255
MAX_SUCCEEDED_INDEXES_BYTES = 64 * 1024
MAX_MANAGER_BYTES = 63


def validate_job_spec(spec: Struct, old_spec: Struct | None, path: str) -> Iterator[FieldError]:
    """Everything but the selector."""
    for name in _COUNTS:
        yield from nonnegative_fields(spec, (name,), path)
        if name == "maxFailedIndexes" and name in spec and "backoffLimitPerIndex" not in spec:
            yield required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    manager = spec.get("managedBy")
    if manager is not None:
        yield from _validate_manager(manager, f"{path}.managedBy")
    yield from _validate_mode(spec, path)
    if "podFailurePolicy" in spec:
        yield from _validate_failure_policy(spec, f"{path}.podFailurePolicy")
    success = spec.get("successPolicy")
    if success is not None:
        if spec.get("completionMode") != "Indexed":
            yield invalid(f"{path}.successPolicy", show_success_policy(success), "requires indexed completion mode")
        else:
            yield from _validate_success_policy(spec, f"{path}.successPolicy")
    yield from _validate_replacement(spec, f"{path}.podReplacementPolicy")
    template = spec.get("template") or EMPTY
    old_template = None if old_spec is None else old_spec.get("template") or EMPTY
    yield from validate_pod_template(template, f"{path}.template", old_template)
    yield from _validate_restart(spec, f"{path}.template.spec.restartPolicy")


def job_spec_warnings(spec: Struct, old_spec: Struct | None, path: str) -> list[str]:
    warnings: list[str] = []
    high = spec.get("completions", 0) > HIGH_COMPLETIONS and spec.get("parallelism", 0) > MAX_PARALLELISM_HIGH
    if spec.get("completionMode") == "Indexed" and high:
        warnings.append(f"{path}: {_UNTRACKABLE}")
    old_template = None if old_spec is None else old_spec.get("template") or EMPTY
    template = spec.get("template") or EMPTY
    return warnings + list(pod_template_warnings(template, f"{path}.template", old_template))


def _validate_manager(manager: str, path: str) -> Iterator[FieldError]:
    if not manager:
        yield required(path)
    else:
        yield from named(is_domain_prefixed_path, manager, path)
    if len(manager.encode()) > MAX_MANAGER_BYTES:
        yield too_long(path, MAX_MANAGER_BYTES)


def _validate_mode(spec: Struct, path: str) -> Iterator[FieldError]:
    mode = spec.get("completionMode")
    if mode is not None and mode not in _MODES:
        yield not_supported_listed(f"{path}.completionMode", mode, _MODES)
    if mode == "Indexed":
        yield from _validate_indexed(spec, path)
    if mode is None or mode == "NonIndexed":
        for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if name in spec:
                yield invalid(f"{path}.{name}", spec[name], "requires indexed completion mode")


def _validate_indexed(spec: Struct, path: str) -> Iterator[FieldError]:
    completions, parallelism = spec.get("completions"), spec.get("parallelism")
    max_failed = spec.get("maxFailedIndexes")
    if completions is None:
        yield required(f"{path}.completions", "when completion mode is Indexed")
    if parallelism is not None and parallelism > MAX_PARALLELISM_INDEXED:
        text = f"must be less than or equal to {MAX_PARALLELISM_INDEXED} when completion mode is Indexed"
        yield invalid(f"{path}.parallelism", parallelism, text)
    if max_failed is not None:
        if completions is not None and max_failed > completions:
            yield invalid(f"{path}.maxFailedIndexes", max_failed, "must be less than or equal to completions")
        if max_failed > MAX_FAILED_INDEXES:
            text = f"must be less than or equal to {MAX_FAILED_INDEXES}"
            yield invalid(f"{path}.maxFailedIndexes", max_failed, text)
    if completions is None or completions <= HIGH_COMPLETIONS or "backoffLimitPerIndex" not in spec:
        return
    high = f"when completions are above {HIGH_COMPLETIONS} and used with backoff limit per index"
    if max_failed is None:
        text = f"must be specified when completions is above {HIGH_COMPLETIONS}"
        yield required(f"{path}.maxFailedIndexes", text)
    if parallelism is not None and parallelism > MAX_PARALLELISM_HIGH:
        text = f"must be less than or equal to {MAX_PARALLELISM_HIGH} {high}"
        yield invalid(f"{path}.parallelism", parallelism, text)
    if max_failed is not None and max_failed > MAX_FAILED_INDEXES_HIGH:
        text = f"must be less than or equal to {MAX_FAILED_INDEXES_HIGH} {high}"
        yield invalid(f"{path}.maxFailedIndexes", max_failed, text)


def _valid_values(values: Sequence[str]) -> str:
    return f"valid values: [{' '.join(quote(value) for value in values)}]"


def _validate_failure_policy(spec: Struct, path: str) -> Iterator[FieldError]:
    rules = (spec["podFailurePolicy"] or EMPTY).get("rules") or ()
    if len(rules) > MAX_RULES:
        yield too_many(f"{path}.rules", len(rules), MAX_RULES)
    pod_spec = (spec.get("template") or EMPTY).get("spec") or EMPTY
    containers = [*(pod_spec.get("containers") or ()), *(pod_spec.get("initContainers") or ())]
    names = {container.get("name", "") for container in containers}
    for index, rule in enumerate(rules):
        yield from _validate_failure_rule(spec, rule, f"{path}.rules[{index}]", names)


def _validate_failure_rule(spec: Struct, rule: Struct, path: str, containers: set[str]) -> Iterator[FieldError]:
    action = rule.get("action", "")
    if not action:
        yield required(f"{path}.action", _valid_values(_ACTIONS))
    elif action == "FailIndex":
        if "backoffLimitPerIndex" not in spec:
            yield invalid(f"{path}.action", action, "requires the backoffLimitPerIndex to be set")
    elif action not in _ACTIONS:
        yield not_supported(f"{path}.action", action, _ACTIONS)
    codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or ()
    if codes is not None:
        yield from _validate_exit_codes(codes, f"{path}.onExitCodes", containers)
    if conditions:
        yield from _validate_condition_patterns(conditions, f"{path}.onPodConditions")
    if codes is not None and conditions:
        yield invalid(path, OMIT, "specifying both OnExitCodes and OnPodConditions is not supported")
    if codes is None and not conditions:
        yield invalid(path, OMIT, "specifying one of OnExitCodes and OnPodConditions is required")


def _validate_condition_patterns(patterns: Sequence[Struct], path: str) -> Iterator[FieldError]:
    if len(patterns) > MAX_CONDITION_PATTERNS:
        yield too_many(path, len(patterns), MAX_CONDITION_PATTERNS)
    for index, pattern in enumerate(patterns):
        kind, status = pattern.get("type", ""), pattern.get("status", "")
        yield from named(is_qualified_name, kind, f"{path}[{index}].type")
        if not status:
            yield required(f"{path}[{index}].status", _valid_values(_STATUSES))
        elif status not in _STATUSES:
            yield not_supported(f"{path}[{index}].status", status, _STATUSES)


def _validate_exit_codes(codes: Struct, path: str, containers: set[str]) -> Iterator[FieldError]:
    operator, name, values = codes.get("operator", ""), codes.get("containerName"), codes.get("values") or []
    if not operator:
        yield required(f"{path}.operator", _valid_values(_OPERATORS))
    elif operator not in _OPERATORS:
        yield not_supported(f"{path}.operator", operator, _OPERATORS)
    if name is not None and name not in containers:
        text = "must be one of the container or initContainer names in the pod template"
        yield invalid(f"{path}.containerName", name, text)
    if not values:
        yield invalid(f"{path}.values", codes.get("values"), "at least one value is required")
    elif len(values) > MAX_EXIT_CODES:
        yield too_many(f"{path}.values", len(values), MAX_EXIT_CODES)
    seen: set[int] = set()
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            yield invalid(f"{path}.values[{index}]", value, "must not be 0 for the In operator")
        if value in seen:
            yield duplicate(f"{path}.values[{index}]", value)
        seen.add(value)
    if any(after < before for before, after in pairwise(values)):
        yield invalid(f"{path}.values", values, "must be ordered")


def _validate_success_policy(spec: Struct, path: str) -> Iterator[FieldError]:
    rules = spec["successPolicy"].get("rules") or ()
    if not rules:
        text = "at least one rules must be specified when the successPolicy is specified"
        yield required(f"{path}.rules", text)
    if len(rules) > MAX_RULES:
        yield too_many(f"{path}.rules", len(rules), MAX_RULES)
    for index, rule in enumerate(rules):
        yield from _validate_success_rule(rule, spec.get("completions", 0), f"{path}.rules[{index}]")


def _validate_success_rule(rule: Struct, completions: int, path: str) -> Iterator[FieldError]:
    count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
    if count is None and indexes is None:
        yield required(path, "at least one of succeededCount or succeededIndexes must be specified")
    total = 0
    if indexes is not None:
        if len(indexes) > MAX_SUCCEEDED_INDEXES_BYTES:
            yield too_long(f"{path}.succeededIndexes", MAX_SUCCEEDED_INDEXES_BYTES)
        try:
            total = count_indexes(indexes, completions)
        except IndexesError as error:
            yield invalid(f"{path}.succeededIndexes", indexes, f"error parsing succeededIndexes: {error}")
    if count is None:
        return
    yield from nonnegative_fields(rule, ("succeededCount",), path)
    if count > completions:
        text = f"must be less than or equal to {completions} (the number of specified completions)"
        yield invalid(f"{path}.succeededCount", count, text)
    if indexes is not None and count > total:
        where = "(the number of indexes in the specified succeededIndexes field)"
        yield invalid(f"{path}.succeededCount", count, f"must be less than or equal to {total} {where}")


def _validate_replacement(spec: Struct, path: str) -> Iterator[FieldError]:
    policy = spec.get("podReplacementPolicy")
    if policy is None:
        return
    allowed = ("Failed",) if "podFailurePolicy" in spec else _REPLACEMENTS
    if policy not in allowed:
        yield not_supported(path, policy, allowed)


def _validate_restart(spec: Struct, path: str) -> Iterator[FieldError]:
    policy = ((spec.get("template") or EMPTY).get("spec") or EMPTY).get("restartPolicy", "")
    if policy in ("", "Always"):
        yield required(path, 'valid values: "OnFailure", "Never"')
    elif policy not in _RESTARTS:
        yield not_supported_listed(path, policy, _RESTARTS)
    elif "podFailurePolicy" in spec and policy != "Never":
        yield invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')


def show_success_policy(policy: Struct | None) -> Any:
    """A success policy in a message."""
    if policy is None:
        return None
    rules = [
        {"SucceededIndexes": rule.get("succeededIndexes"), "SucceededCount": rule.get("succeededCount")}
        for rule in policy.get("rules") or ()
    ]
    return verbatim({"Rules": rules or None})


def show_failure_policy(policy: Struct | None) -> Any:
    """A pod failure policy in a message."""
    if policy is None:
        return None
    return verbatim({"Rules": [_show_failure_rule(rule) for rule in policy.get("rules") or ()] or None})


def _show_failure_rule(rule: Struct) -> dict[str, Any]:
    codes = rule.get("onExitCodes")
    shown_codes = None
    if codes is not None:
        shown_codes = {
            "ContainerName": codes.get("containerName"),
            "Operator": codes.get("operator", ""),
            "Values": codes.get("values"),
        }
    patterns = [{"Type": c.get("type", ""), "Status": c.get("status", "")} for c in rule.get("onPodConditions") or ()]
    return {"Action": rule.get("action", ""), "OnExitCodes": shown_codes, "OnPodConditions": patterns or None}
