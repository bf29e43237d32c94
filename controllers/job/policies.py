"""The policies of a Job: what a pod's failure means, and when enough has succeeded.

Follows: pkg/controller/job/{pod_failure_policy.go,success_policy.go}
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controllers.job.indexes import Indexes, parse
from controllers.runtime.objects import View, name_of, namespace_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says of a failed pod: whether it counts, what to do, and why the Job fails if it does."""

    counts: bool = True
    action: str = ""
    message: str = ""


_COUNTS = Verdict()


def judge_failure(policy: View | None, pod: View) -> Verdict:
    """The verdict of the first rule that matches; without one, the failure counts."""
    for index, rule in enumerate((policy or {}).get("rules") or ()):
        action = rule["action"]
        if rule.get("onExitCodes"):
            status = _matching_container(rule["onExitCodes"], pod.get("status") or {})
            if status is None:
                continue
            code = status["state"]["terminated"]["exitCode"]
            what = f"Container {status['name']} for pod {_identity(pod)} failed with exit code {code}"
        else:
            kind = _matching_condition(rule.get("onPodConditions") or (), pod.get("status") or {})
            if kind is None:
                continue
            what = f"Pod {_identity(pod)} has condition {kind}"
        message = f"{what} matching {action} rule at index {index}" if action == "FailJob" else ""
        return Verdict(action != "Ignore", action, message)
    return _COUNTS


def _identity(pod: View) -> str:
    return f"{namespace_of(pod)}/{name_of(pod)}"


def _matching_container(requirement: View, status: View) -> View | None:
    """The first container, init containers last, that ended with a code the requirement names."""
    name, values = requirement.get("containerName"), requirement.get("values") or ()
    for container in (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())):
        ended = (container.get("state") or {}).get("terminated")
        if ended is None or ended.get("exitCode", 0) == 0 or (name is not None and container["name"] != name):
            continue
        is_named = ended["exitCode"] in values
        if is_named == (requirement["operator"] == "In"):
            return container  # type: ignore[no-any-return]
    return None


def _matching_condition(patterns: Iterable[View], status: View) -> str | None:
    for condition in status.get("conditions") or ():
        for pattern in patterns:
            if pattern["type"] == condition["type"] and pattern.get("status", "True") == condition["status"]:
                return str(pattern["type"])
    return None


def success_message(policy: View | None, completions: int, succeeded: Indexes) -> str | None:
    """Which rule of a success policy is met; None while none is."""
    if not succeeded:
        return None
    for index, rule in enumerate((policy or {}).get("rules") or ()):
        if _is_met(rule, completions, succeeded):
            return f"Matched rules at index {index}"
    return None


def _is_met(rule: View, completions: int, succeeded: Indexes) -> bool:
    count = rule.get("succeededCount")
    if rule.get("succeededIndexes") is None:
        return count is not None and len(succeeded) >= count
    wanted = parse(rule["succeededIndexes"], completions)
    there = sum(index in succeeded for index in wanted)
    return there >= (len(wanted) if count is None else count)
