"""The configuration file of a scheduler (KubeSchedulerConfiguration): profiles, plugins, weights, arguments, extenders.

Follows: pkg/scheduler/apis/config/{v1/defaults.go,v1/default_plugins.go,validation/validation.go}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from controllers.scheduler.framework import Plugin
from controllers.scheduler.plugins.table import BY_NAME, PLUGINS, QUEUE_SORT
from controllers.scheduler.profile import POINTS, Profile
from controllers.scheduler.world import World

View = Mapping[str, Any]
API_VERSION, KIND = "kubescheduler.config.k8s.io/v1", "KubeSchedulerConfiguration"
DEFAULT_SCHEDULER = "default-scheduler"
MAX_WEIGHT = 100
_SCORING = "score"


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
            if made.scheduler_name in built:
                raise ConfigurationError(f"profiles: Duplicate value: {made.scheduler_name!r}")
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
    if not isinstance(document, dict) or document.get("kind") != KIND or document.get("apiVersion") != API_VERSION:
        raise ConfigurationError(f"{source}: no {KIND} of {API_VERSION}")
    initial, longest = document.get("podInitialBackoffSeconds", 1), document.get("podMaxBackoffSeconds", 10)
    if initial <= 0:
        raise ConfigurationError("podInitialBackoffSeconds: must be greater than 0")
    if longest < initial:
        raise ConfigurationError("podMaxBackoffSeconds: must be greater than or equal to podInitialBackoffSeconds")
    configuration = SchedulerConfiguration(
        profiles=tuple(document.get("profiles") or ({"schedulerName": DEFAULT_SCHEDULER},)),
        extenders=tuple(document.get("extenders") or ()),
        percentage=document.get("percentageOfNodesToScore") or 0,
        initial_backoff_s=float(initial),
        max_backoff_s=float(longest),
        leader_election=document.get("leaderElection") or {},
        kubeconfig=(document.get("clientConnection") or {}).get("kubeconfig") or "",
    )
    _check_extenders(configuration.extenders)
    configuration.build_profiles(World())  # every mistake must show at the start
    return configuration


def _check_extenders(extenders: Iterable[View]) -> None:
    binders = 0
    for index, extender in enumerate(extenders):
        if not extender.get("urlPrefix"):
            raise ConfigurationError(f"extenders[{index}].urlPrefix: required")
        if extender.get("prioritizeVerb") and extender.get("weight", 0) <= 0:
            raise ConfigurationError(f"extenders[{index}].weight: must have a positive weight applied to it")
        binders += bool(extender.get("bindVerb"))
    if binders > 1:
        raise ConfigurationError("extenders: found multiple extenders implementing bind")


def build_profile(profile: View, world: World, left_to_extenders: Sequence[str] = (), percentage: int = 0) -> Profile:
    """One profile of the file, without judging the resources that extenders manage. Raises ConfigurationError.

    `percentage` is for profiles that do not say how many nodes are to be ranked.
    """
    name = profile.get("schedulerName") or DEFAULT_SCHEDULER
    plugins = profile.get("plugins") or {}
    defaults = [{"name": plugin.name, "weight": weight} for plugin, weight in PLUGINS]
    multi = merge_set(defaults, plugins.get("multiPoint") or {})
    enabled: dict[str, list[str]] = {}
    weights: dict[str, int] = {}
    for point, classes in POINTS.items():
        chosen = _at_point(multi, plugins.get(point) or {}, classes)
        enabled[point] = [entry["name"] for entry in chosen]
        if point == _SCORING:
            weights = {entry["name"]: entry.get("weight") or 1 for entry in chosen}
    used = list(dict.fromkeys(name for names in enabled.values() for name in names))
    arguments = _arguments(profile)
    if left_to_extenders:
        fit = arguments.get("NodeResourcesFit", {})
        ignored = [*(fit.get("ignoredResources") or ()), *left_to_extenders]
        arguments["NodeResourcesFit"] = {**fit, "ignoredResources": ignored}
    made: dict[str, Plugin] = {name: BY_NAME[name](arguments.get(name, {}), world) for name in used}
    if not enabled["bind"]:
        raise ConfigurationError("at least one bind plugin is needed")
    heavy = [plugin for plugin, weight in weights.items() if weight > MAX_WEIGHT * 1000]
    if heavy:
        raise ConfigurationError(f"total score of plugin {heavy[0]} could overflow")
    mine = profile.get("percentageOfNodesToScore")
    return Profile(name, made, enabled, weights, percentage if mine is None else mine)


def merge_set(defaults: Sequence[View], custom: View) -> list[View]:
    """Default plugins changed by a set of the file: some off, some with another weight, some added behind."""
    off = {entry["name"] for entry in custom.get("disabled") or ()}
    added = {entry["name"]: entry for entry in custom.get("enabled") or ()}
    merged: list[View] = []
    if "*" not in off:
        for entry in defaults:
            if entry["name"] in off:
                continue
            mine = added.pop(entry["name"], None)
            merged.append(entry if mine is None else {**entry, **mine})
    merged += added.values()
    return [_known(entry) for entry in merged if entry["name"] != QUEUE_SORT]


def _known(entry: View) -> View:
    if entry["name"] not in BY_NAME:
        raise ConfigurationError(f'plugin "{entry["name"]}" does not exist')
    return entry


def _at_point(multi: Sequence[View], custom: View, classes: tuple[type[Plugin], ...]) -> list[View]:
    """The plugins of one point: named ones that serve many points, the others that do, the rest of the named."""
    off = {entry["name"] for entry in custom.get("disabled") or ()}
    named = {entry["name"]: _known(entry) for entry in custom.get("enabled") or () if entry["name"] != QUEUE_SORT}
    general = {entry["name"]: entry for entry in multi if issubclass(BY_NAME[entry["name"]], classes)}
    for name in named:
        if not issubclass(BY_NAME[name], classes):
            raise ConfigurationError(f'plugin "{name}" does not extend this point')
    first = [{**general[name], **entry} for name, entry in named.items() if name in general]
    usual = [] if "*" in off else [e for name, e in general.items() if name not in off and name not in named]
    return [*first, *usual, *(entry for name, entry in named.items() if name not in general)]


def _arguments(profile: View) -> dict[str, View]:
    arguments: dict[str, View] = {}
    for index, entry in enumerate(profile.get("pluginConfig") or ()):
        name = entry.get("name") or ""
        if name in arguments:
            raise ConfigurationError(f"pluginConfig[{index}]: Duplicate value: {name!r}")
        arguments[name] = entry.get("args") or {}
    for name in arguments:
        if name not in BY_NAME:
            raise ConfigurationError(f'pluginConfig: plugin "{name}" does not exist')
    return arguments
