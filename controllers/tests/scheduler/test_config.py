"""The configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controllers.scheduler.config import ConfigurationError, parse_configuration, read_configuration
from controllers.scheduler.framework import Filter, NodeScore, Score
from controllers.scheduler.world import World

HEAD = {"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration"}


def parse(**fields: Any) -> Any:
    return parse_configuration({**HEAD, **fields}, "file")


def names(profile: Any, kind: type) -> list[str]:
    return [plugin.name for plugin in profile.of(kind)]


def test_without_a_file_there_is_the_default_profile() -> None:
    profiles = read_configuration(None).build_profiles(World())
    assert list(profiles) == ["default-scheduler"]
    weights = {
        p.name: profiles["default-scheduler"].weight(p)
        for kind in (NodeScore, Score)
        for p in profiles["default-scheduler"].of(kind)
    }  # type: ignore[type-abstract]
    assert weights == {
        "TaintToleration": 3,
        "NodeAffinity": 2,
        "NodeResourcesFit": 1,
        "NodeResourcesBalancedAllocation": 1,
        "PodTopologySpread": 2,
        "InterPodAffinity": 2,
        "DynamicResources": 1,
        "ImageLocality": 1,
    }


def test_a_file_may_be_yaml(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"
        "podMaxBackoffSeconds: 20\nprofiles: [{schedulerName: a}, {schedulerName: b}]\n"
    )
    configuration = read_configuration(path)
    assert configuration.max_backoff_s == 20
    assert list(configuration.build_profiles(World())) == ["a", "b"]


def test_plugins_are_switched_off_for_all_points_or_one() -> None:
    plugins = {
        "multiPoint": {"disabled": [{"name": "NodePorts"}]},
        "filter": {"disabled": [{"name": "TaintToleration"}]},
    }
    profile = parse(profiles=[{"plugins": plugins}]).build_profiles(World())["default-scheduler"]
    filters = names(profile, Filter)
    assert "NodePorts" not in filters and "TaintToleration" not in filters
    assert "TaintToleration" in names(profile, NodeScore)


def test_weights_change_in_place() -> None:
    plugins = {"score": {"enabled": [{"name": "NodeResourcesFit", "weight": 9}]}}
    profile = parse(profiles=[{"plugins": plugins}]).build_profiles(World())["default-scheduler"]
    assert profile.weight(profile.plugins["NodeResourcesFit"]) == 9
    assert names(profile, NodeScore)[0] == "NodeResourcesFit"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"kind": "Pod"}, "no KubeSchedulerConfiguration"),
        ({"podInitialBackoffSeconds": 0}, "podInitialBackoffSeconds"),
        ({"podMaxBackoffSeconds": 0.5}, "podMaxBackoffSeconds"),
        ({"profiles": [{}, {}]}, "Duplicate value"),
        ({"profiles": [{"plugins": {"filter": {"enabled": [{"name": "Nope"}]}}}]}, '"Nope" does not exist'),
        ({"profiles": [{"plugins": {"filter": {"enabled": [{"name": "ImageLocality"}]}}}]}, "does not extend"),
        ({"profiles": [{"plugins": {"bind": {"disabled": [{"name": "*"}]}}}]}, "bind plugin is needed"),
        ({"extenders": [{}]}, "urlPrefix"),
        ({"extenders": [{"urlPrefix": "http://x", "prioritizeVerb": "p"}]}, "weight"),
    ],
)
def test_mistakes_are_found_at_the_start(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        parse(**fields)
