"""The configuration file of a scheduler (KubeSchedulerConfiguration): profiles, plugins, weights, arguments, extenders.

Follows: pkg/scheduler/apis/config/{v1/defaults.go,v1/default_plugins.go,validation/validation.go}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from controllers.scheduler.config_fields import ARGUMENTS, CONFIGURATION, POINT_NAMES, problems
from controllers.scheduler.framework import Plugin
from controllers.scheduler.plugins.table import BY_NAME, PLUGINS, QUEUE_SORT
from controllers.scheduler.profile import POINTS, Profile
from controllers.scheduler.validation import configuration_errors
from controllers.scheduler.world import World
from openapi.meta.field import aggregate

View = Mapping[str, Any]
API_VERSION, KIND = "kubescheduler.config.k8s.io/v1", "KubeSchedulerConfiguration"
DEFAULT_SCHEDULER = "default-scheduler"
_SCORING = "score"
_OTHER_POINTS: Mapping[str, tuple[str, ...]] = {
    "queueSort": (QUEUE_SORT,),
    "preScore": (
        "TaintToleration",
        "NodeAffinity",
        "NodeResourcesFit",
        "VolumeBinding",
        "PodTopologySpread",
        "InterPodAffinity",
        "NodeResourcesBalancedAllocation",
    ),
}
"""Who may be named at points that are part of others here: scores prepare themselves, and pods are sorted one way."""


class ConfigurationError(Exception):
    """The configuration cannot be used; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class SchedulerConfiguration:
    """A checked configuration. `profiles` and `extenders` are as in the file."""

    profiles: Sequence[View] = ({"schedulerName": DEFAULT_SCHEDULER},)
    extenders: Sequence[View] = ()
    percentage: int = 0
    """Of the nodes, so many that fit are enough to rank; 0: all are ranked."""
    initial_backoff_s: float = 1.0
    max_backoff_s: float = 10.0
    leader_election: View = field(default_factory=dict)
    kubeconfig: str = ""

    def build_profiles(self, world: World) -> Mapping[str, Profile]:
        """The profiles by scheduler name. Raises ConfigurationError."""
        built: dict[str, Profile] = {}
        left_out = [
            resource["name"]
            for extender in self.extenders
            for resource in extender.get("managedResources") or ()
            if resource.get("ignoredByScheduler")
        ]
        for profile in self.profiles:
            made = build_profile(profile, world, left_out, self.percentage)
            built[made.scheduler_name] = made
        return built


def read_configuration(path: Path | None) -> SchedulerConfiguration:
    """The configuration in a YAML or JSON file; the default one for None. Raises ConfigurationError."""
    if path is None:
        return SchedulerConfiguration()
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return parse_configuration(document, str(path))


def parse_configuration(document: Any, source: str) -> SchedulerConfiguration:
    """Raises ConfigurationError with all that is wrong."""
    if not isinstance(document, dict) or document.get("kind") != KIND or document.get("apiVersion") != API_VERSION:
        raise ConfigurationError(f"{source}: no {KIND} of {API_VERSION}")
    _check(document, source)
    initial, longest = document.get("podInitialBackoffSeconds"), document.get("podMaxBackoffSeconds")
    configuration = SchedulerConfiguration(
        profiles=tuple(document.get("profiles") or ({"schedulerName": DEFAULT_SCHEDULER},)),
        extenders=tuple(document.get("extenders") or ()),
        percentage=document.get("percentageOfNodesToScore") or 0,
        initial_backoff_s=1.0 if initial is None else float(initial),
        max_backoff_s=10.0 if longest is None else float(longest),
        leader_election=document.get("leaderElection") or {},
        kubeconfig=(document.get("clientConnection") or {}).get("kubeconfig") or "",
    )
    configuration.build_profiles(World())  # every mistake must show at the start
    return configuration


def _check(document: View, source: str) -> None:
    found = list(problems(document, CONFIGURATION))
    if not found:
        for number, profile in enumerate(document.get("profiles") or ()):
            for index, entry in enumerate(profile.get("pluginConfig") or ()):
                path = f"profiles[{number}].pluginConfig[{index}].args"
                found += problems(entry.get("args"), ARGUMENTS.get(entry.get("name") or "", Any), path)
    if found:
        raise ConfigurationError(f"{source}: strict decoding error: {', '.join(found)}")
    errors = list(configuration_errors(document))
    if errors:
        raise ConfigurationError(aggregate(errors))


def build_profile(profile: View, world: World, left_to_extenders: Sequence[str] = (), percentage: int = 0) -> Profile:
    """One profile of the file, without judging the resources that extenders manage. Raises ConfigurationError.

    `percentage` is for profiles that do not say how many nodes are to be ranked.
    """
    name = profile.get("schedulerName") or DEFAULT_SCHEDULER
    try:
        return _build(name, profile, world, left_to_extenders, percentage)
    except ConfigurationError as error:
        text = f"initializing profiles: creating profile for scheduler name {name}: {error}"
        raise ConfigurationError(text) from error


def _build(name: str, profile: View, world: World, left_to_extenders: Sequence[str], percentage: int) -> Profile:
    plugins = profile.get("plugins") or {}
    defaults = [{"name": plugin.name, "weight": weight} for plugin, weight in PLUGINS]
    multi = merge_set([*defaults, {"name": QUEUE_SORT}], plugins.get("multiPoint") or {})
    for point in POINT_NAMES:
        if point not in POINTS:
            _check_point(point, multi, plugins.get(point) or {}, name)
    multi = [entry for entry in multi if entry["name"] != QUEUE_SORT]
    enabled: dict[str, list[str]] = {}
    weights: dict[str, int] = {}
    for point, classes in POINTS.items():
        chosen = _at_point(point, multi, plugins.get(point) or {}, classes)
        enabled[point] = [entry["name"] for entry in chosen]
        if point == _SCORING:
            weights = {entry["name"]: entry.get("weight") or 1 for entry in chosen}
    if not enabled["bind"]:
        raise ConfigurationError(f'at least one bind plugin is needed for profile with scheduler name "{name}"')
    used = list(dict.fromkeys(plugin for names in enabled.values() for plugin in names))
    arguments = {entry.get("name") or "": entry.get("args") or {} for entry in profile.get("pluginConfig") or ()}
    if left_to_extenders:
        fit = arguments.get("NodeResourcesFit", {})
        ignored = [*(fit.get("ignoredResources") or ()), *left_to_extenders]
        arguments["NodeResourcesFit"] = {**fit, "ignoredResources": ignored}
    made: dict[str, Plugin] = {plugin: BY_NAME[plugin](arguments.get(plugin, {}), world) for plugin in used}
    mine = profile.get("percentageOfNodesToScore")
    return Profile(name, made, enabled, weights, percentage if mine is None else mine)


def merge_set(defaults: Sequence[View], custom: View) -> list[View]:
    """Default plugins changed by a set of the file: some off, some set anew in their place, some added behind."""
    off = {entry["name"] for entry in custom.get("disabled") or ()}
    added = {entry["name"]: entry for entry in custom.get("enabled") or ()}
    merged: list[View] = []
    if "*" not in off:
        merged = [added.pop(entry["name"], entry) for entry in defaults if entry["name"] not in off]
    merged += added.values()
    return [_known("PreFilter", entry) for entry in merged]


def _known(point: str, entry: View) -> View:
    if entry["name"] not in BY_NAME and entry["name"] != QUEUE_SORT:
        raise ConfigurationError(f'{point}Plugin "{entry["name"]}" does not exist')
    return entry


def _at_point(point: str, multi: Sequence[View], custom: View, classes: tuple[type[Plugin], ...]) -> list[View]:
    """The plugins of one point: named ones that serve many points, the others that do, the rest of the named."""
    title = point[0].upper() + point[1:]
    off = {entry["name"] for entry in custom.get("disabled") or ()}
    named: dict[str, View] = {}
    for entry in custom.get("enabled") or ():
        plugin = BY_NAME.get(_known(title, entry)["name"])
        if plugin is None or not issubclass(plugin, classes):
            raise ConfigurationError(f'plugin "{entry["name"]}" does not extend {title}Plugin plugin')
        if entry["name"] in named:
            raise ConfigurationError(f'plugin "{entry["name"]}" already registered as "{title}Plugin"')
        named[entry["name"]] = entry
    if "*" in off:
        return list(named.values())
    general = {
        entry["name"]: entry
        for entry in multi
        if issubclass(BY_NAME[entry["name"]], classes) and entry["name"] not in off
    }
    first = [entry for name, entry in named.items() if name in general]
    usual = [entry for name, entry in general.items() if name not in named]
    return [*first, *usual, *(entry for name, entry in named.items() if name not in general)]


def _check_point(point: str, multi: Sequence[View], custom: View, scheduler_name: str) -> None:
    """A point at which no plugin of ours speaks for itself: only the names can be wrong."""
    title = point[0].upper() + point[1:]
    named = [_known(title, entry)["name"] for entry in custom.get("enabled") or ()]
    for plugin in named:
        if plugin not in _OTHER_POINTS.get(point, ()):
            raise ConfigurationError(f'plugin "{plugin}" does not extend {title}Plugin plugin')
    off = {entry["name"] for entry in custom.get("disabled") or ()}
    is_unsorted = bool(off & {"*", QUEUE_SORT}) or all(entry["name"] != QUEUE_SORT for entry in multi)
    if point == "queueSort" and not named and is_unsorted:
        text = f'at least one queue sort plugin is needed for profile with scheduler name "{scheduler_name}"'
        raise ConfigurationError(text)
