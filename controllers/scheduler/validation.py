"""What must hold in a scheduler's configuration file, told in the words of kube-scheduler.

Follows: pkg/scheduler/apis/config/validation/{validation,validation_pluginargs}.go,
staging/src/k8s.io/component-base/config/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from controllers.scheduler.config_fields import POINT_NAMES
from controllers.scheduler.durations import parse_duration
from openapi.meta.field import FieldError, duplicate, forbidden, invalid, not_supported, required
from openapi.meta.names import is_qualified_name

View = Mapping[str, Any]
API_VERSION = "kubescheduler.config.k8s.io/v1"
REMOVED_PLUGINS = frozenset(("AzureDiskLimits", "CinderLimits", "EBSLimits", "GCEPDLimits"))
STRATEGIES = ("LeastAllocated", "MostAllocated", "RequestedToCapacityRatio")
EFFECTS = ("DoNotSchedule", "ScheduleAnyway")


def configuration_errors(document: View) -> Iterator[FieldError]:
    """Everything that is wrong with a configuration whose fields have the right types."""
    burst = (document.get("clientConnection") or {}).get("burst") or 0
    if burst < 0:
        yield invalid("clientConnection.burst", burst, "must be non-negative")
    yield from _election_errors(document.get("leaderElection") or {})
    parallelism = _value(document, "parallelism", 16)
    if parallelism <= 0:
        yield invalid("parallelism", parallelism, "should be an integer value greater than zero")
    yield from _profiles_errors(document.get("profiles") or [{"schedulerName": "default-scheduler"}])
    yield from _percentage_errors("percentageOfNodesToScore", document)
    initial, longest = _value(document, "podInitialBackoffSeconds", 1), _value(document, "podMaxBackoffSeconds", 10)
    if initial <= 0:
        yield invalid("podInitialBackoffSeconds", initial, "must be greater than 0")
    if longest < initial:
        text = "must be greater than or equal to PodInitialBackoffSeconds"
        yield invalid("podMaxBackoffSeconds", longest, text)
    yield from _extenders_errors(document.get("extenders") or ())


def _value(view: View, name: str, default: Any) -> Any:
    found = view.get(name)
    return default if found is None else found


def _election_errors(election: View) -> Iterator[FieldError]:
    if election.get("leaderElect") is False:
        return
    path = "leaderElection"
    defaults = {"leaseDuration": "15s", "renewDeadline": "10s", "retryPeriod": "2s"}
    texts = {name: _value(election, name, default) for name, default in defaults.items()}
    seconds = {name: parse_duration(text) for name, text in texts.items()}
    for name in defaults:
        if seconds[name] <= 0:
            yield invalid(f"{path}.{name}", texts[name], "must be greater than zero")
    if seconds["leaseDuration"] < seconds["renewDeadline"]:
        text = "LeaseDuration must be greater than RenewDeadline"
        yield invalid(f"{path}.leaseDuration", texts["renewDeadline"], text)
    lock = election.get("resourceLock") or "leases"
    if lock != "leases":
        yield invalid(f"{path}.resourceLock", lock, 'resourceLock value must be "leases"')


def _percentage_errors(path: str, view: View) -> Iterator[FieldError]:
    percentage = view.get("percentageOfNodesToScore")
    if percentage is not None and not 0 <= percentage <= 100:
        yield invalid(path, percentage, "not in valid range [0-100]")


def _profiles_errors(profiles: Sequence[View]) -> Iterator[FieldError]:
    seen: dict[str, int] = {}
    for index, profile in enumerate(profiles):
        path = f"profiles[{index}]"
        name = profile.get("schedulerName") or ("default-scheduler" if len(profiles) == 1 else "")
        if not name:
            yield required(f"{path}.schedulerName")
        yield from _percentage_errors(f"{path}.percentageOfNodesToScore", profile)
        yield from _plugins_errors(path, profile)
        if name in seen:
            yield duplicate(f"{path}.schedulerName", f"profiles[{seen[name]}].schedulerName")
        seen[name] = index
    sorts = [((p.get("plugins") or {}).get("queueSort") or {}) for p in profiles]
    if len(sorts[0].get("enabled") or ()) > 1:
        number = len(sorts[0]["enabled"])
        yield invalid("profiles[0].plugins.queueSort.Enabled", number, "only one queue sort plugin can be enabled")
    for index, other in enumerate(sorts[1:], 1):
        if other != sorts[0]:
            yield invalid(f"profiles[{index}].plugins.queueSort", other, "must be the same for all profiles")


def _plugins_errors(path: str, profile: View) -> Iterator[FieldError]:
    plugins = profile.get("plugins") or {}
    for point in POINT_NAMES:
        for index, entry in enumerate((plugins.get(point) or {}).get("enabled") or ()):
            yield from _removed(f"{path}.plugins.{point}.enabled[{index}]", entry.get("name"))
    seen: set[str] = set()
    for index, entry in enumerate(profile.get("pluginConfig") or ()):
        here, name = f"{path}.pluginConfig[{index}]", entry.get("name") or ""
        if name in seen:
            yield duplicate(here, name)
        seen.add(name)
        yield from _removed(here, name)
        yield from argument_errors(f"{here}.args.", name, entry.get("args") or {})


def _removed(path: str, name: Any) -> Iterator[FieldError]:
    if name in REMOVED_PLUGINS:
        text = f'was invalid in version "{API_VERSION}" (KubeSchedulerConfiguration is version "{API_VERSION}")'
        yield invalid(path, name, text)


def _extenders_errors(extenders: Sequence[View]) -> Iterator[FieldError]:
    managed: set[str] = set()
    for index, extender in enumerate(extenders):
        path = f"extenders[{index}]"
        weight = extender.get("weight") or 0
        if extender.get("prioritizeVerb") and weight <= 0:
            yield invalid(f"{path}.weight", weight, "must have a positive weight applied to it")
        for number, resource in enumerate(extender.get("managedResources") or ()):
            here, name = f"{path}.managedResources[{number}].name", resource.get("name") or ""
            problems = is_qualified_name(name)
            for problem in problems:
                yield invalid(here, name, problem)
            if not problems and not _is_extended(name):
                yield invalid(here, name, "is an invalid extended resource name")
            if name in managed:
                yield invalid(here, name, "duplicate extender managed resource name")
            managed.add(name)
    binders = sum(bool(extender.get("bindVerb")) for extender in extenders)
    if binders > 1:
        yield invalid(
            "extenders", f"found {binders} extenders implementing bind", "only one extender can implement bind"
        )


def _is_extended(name: str) -> bool:
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")


# arguments of plugins


def argument_errors(path: str, plugin: str, args: View) -> Iterator[FieldError]:
    """What is wrong with a plugin's arguments; `path` ends where the names of fields go on."""
    check = _ARGUMENTS.get(plugin)
    if check is not None:
        yield from check(path, args)


def _preemption(path: str, args: View) -> Iterator[FieldError]:
    percentage = _value(args, "minCandidateNodesPercentage", 10)
    absolute = _value(args, "minCandidateNodesAbsolute", 100)
    if not 0 <= percentage <= 100:
        yield invalid(f"{path}minCandidateNodesPercentage", percentage, "not in valid range [0, 100]")
    if absolute < 0:
        yield invalid(f"{path}minCandidateNodesAbsolute", absolute, "not in valid range [0, inf)")
    if percentage == absolute == 0:
        text = "cannot be zero at the same time as "
        yield invalid(f"{path}minCandidateNodesPercentage", percentage, f"{text}minCandidateNodesAbsolute")
        yield invalid(f"{path}minCandidateNodesAbsolute", absolute, f"{text}minCandidateNodesPercentage")


def _affinity(path: str, args: View) -> Iterator[FieldError]:
    weight = _value(args, "hardPodAffinityWeight", 1)
    if not 0 <= weight <= 100:
        yield invalid(f"{path}hardPodAffinityWeight", weight, "not in valid range [0, 100]")


def _spread(path: str, args: View) -> Iterator[FieldError]:
    kind, rules = args.get("defaultingType") or "System", args.get("defaultConstraints") or ()
    if kind not in ("System", "List"):
        yield not_supported(f"{path}defaultingType", kind, ("System", "List"))
    elif kind == "System" and rules:
        yield invalid(f"{path}defaultingType", kind, "when .defaultConstraints are not empty")
    seen: set[tuple[str, str]] = set()
    for index, rule in enumerate(rules):
        here = f"{path}defaultConstraints[{index}]"
        skew, key, effect = rule.get("maxSkew") or 0, rule.get("topologyKey") or "", rule.get("whenUnsatisfiable") or ""
        if skew <= 0:
            yield invalid(f"{here}.maxSkew", skew, "not in valid range (0, inf)")
        if not key:
            yield required(f"{here}.topologyKey", "can not be empty")
        for problem in is_qualified_name(key) if key else ():
            yield invalid(f"{here}.topologyKey", key, problem)
        if not effect:
            yield required(f"{here}.whenUnsatisfiable", "can not be empty")
        elif effect not in EFFECTS:
            yield not_supported(f"{here}.whenUnsatisfiable", effect, EFFECTS)
        if rule.get("labelSelector") is not None:
            text = "constraint must not define a selector, as they deduced for each pod"
            yield forbidden(f"{here}.labelSelector", text)
        if (key, effect) in seen:
            yield duplicate(here, f"{{{key}, {effect}}}")
        seen.add((key, effect))


def _balanced(path: str, args: View) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, resource in enumerate(args.get("resources") or ()):
        here, name, weight = f"{path}resources[{index}]", resource.get("name") or "", resource.get("weight") or 1
        if name in seen:
            yield duplicate(f"{here}.name", name)
        seen.add(name)
        if weight != 1:
            yield invalid(f"{here}.weight", weight, "must be 1")


def _fit(path: str, args: View) -> Iterator[FieldError]:
    for field in ("ignoredResources", "ignoredResourceGroups"):
        for index, name in enumerate(args.get(field) or ()):
            here = f"{path}{field}[{index}]"
            if field == "ignoredResourceGroups" and "/" in name:
                yield invalid(here, name, "resource group name can't contain '/'")
            for problem in is_qualified_name(name):
                yield invalid(here, name, problem)
    strategy = args.get("scoringStrategy")
    if strategy is None:
        return
    here, kind = f"{path}scoringStrategy", strategy.get("type") or ""
    if kind not in STRATEGIES:
        yield not_supported(f"{here}.type", kind, STRATEGIES)
    for index, resource in enumerate(strategy.get("resources") or ()):
        weight = resource.get("weight") or 1
        if not 0 < weight <= 100:
            text = f"resource weight of {resource.get('name')} not in valid range (0, 100]"
            yield invalid(f"{here}.resources[{index}].weight", weight, text)
    ratio = strategy.get("requestedToCapacityRatio")
    if kind != "RequestedToCapacityRatio":
        if ratio is not None:
            text = "must be nil when type is not RequestedToCapacityRatio"
            yield forbidden(f"{here}.requestedToCapacityRatio", text)
    elif ratio is None:
        text = "must be specified when type is RequestedToCapacityRatio"
        yield required(f"{here}.requestedToCapacityRatio", text)
    else:
        yield from _shape(f"{here}.requestedToCapacityRatio.shape", ratio.get("shape") or ())


def _shape(path: str, shape: Sequence[View]) -> Iterator[FieldError]:
    if not shape:
        yield required(path, "at least one point must be specified")
        return
    values = [(point.get("utilization") or 0, point.get("score") or 0) for point in shape]
    for index in range(1, len(values)):
        if values[index - 1][0] >= values[index][0]:
            text = "values must be sorted in increasing order"
            yield invalid(f"{path}[{index}].utilization", values[index][0], text)
            break
    for index, (utilization, score) in enumerate(values):
        if not 0 <= utilization <= 100:
            yield invalid(f"{path}[{index}].utilization", utilization, "not in valid range [0, 100]")
        if not 0 <= score <= 10:
            yield invalid(f"{path}[{index}].score", score, "not in valid range [0, 10]")


def _volumes(path: str, args: View) -> Iterator[FieldError]:
    timeout = _value(args, "bindTimeoutSeconds", 600)
    if timeout < 0:
        text = "invalid BindTimeoutSeconds, should not be a negative value"
        yield invalid(f"{path}bindTimeoutSeconds", timeout, text)
    if args.get("shape") is not None:
        text = "unexpected field `shape`, remove it or turn on the feature gate StorageCapacityScoring"
        yield invalid(f"{path}shape", args["shape"], text)


def _devices(path: str, args: View) -> Iterator[FieldError]:
    searching, binding = args.get("filterTimeout"), args.get("bindingTimeout")
    if searching is not None and parse_duration(searching) < 0:
        yield invalid(f"{path}filterTimeout", searching, "must be zero or positive")
    if binding is not None and parse_duration(binding) < 1:
        yield invalid(f"{path}bindingTimeout", binding, "must be at least 1 second")


_ARGUMENTS: Mapping[str, Callable[[str, View], Iterator[FieldError]]] = {
    "DefaultPreemption": _preemption,
    "DynamicResources": _devices,
    "InterPodAffinity": _affinity,
    "NodeResourcesBalancedAllocation": _balanced,
    "NodeResourcesFit": _fit,
    "PodTopologySpread": _spread,
    "VolumeBinding": _volumes,
}
