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


def test_a_plugin_that_is_named_again_has_only_what_is_said_there() -> None:
    plugins = {
        "multiPoint": {"enabled": [{"name": "TaintToleration", "weight": 7}, {"name": "NodeAffinity"}]},
        "score": {"enabled": [{"name": "ImageLocality"}, {"name": "NodeResourcesFit", "weight": 9}]},
    }
    profile = parse(profiles=[{"plugins": plugins}]).build_profiles(World())["default-scheduler"]
    weights = {name: profile.weight(profile.plugins[name]) for name in ("TaintToleration", "NodeAffinity")}
    assert weights == {"TaintToleration": 7, "NodeAffinity": 1}
    assert profile.weight(profile.plugins["NodeResourcesFit"]) == 9
    assert names(profile, NodeScore)[0] == "NodeResourcesFit"


def test_a_point_may_be_filled_anew() -> None:
    plugins = {"filter": {"disabled": [{"name": "*"}], "enabled": [{"name": "NodePorts"}, {"name": "NodeName"}]}}
    profile = parse(profiles=[{"plugins": plugins}]).build_profiles(World())["default-scheduler"]
    assert names(profile, Filter) == ["NodePorts", "NodeName"]


def of_plugin(name: str, **args: Any) -> dict[str, Any]:
    return {"profiles": [{"pluginConfig": [{"name": name, "args": args}]}]}


def at_point(**points: Any) -> dict[str, Any]:
    return {"profiles": [{"plugins": points}]}


ARGS = r"profiles\[0\].pluginConfig\[0\].args"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"kind": "Pod"}, "no KubeSchedulerConfiguration"),
        ({"nope": 1}, 'strict decoding error: unknown field "nope"'),
        ({"parallelism": "a"}, "parallelism: string is not of type int32"),
        ({"parallelism": 0}, "^parallelism: Invalid value: 0: should be an integer value greater than zero$"),
        (
            {"percentageOfNodesToScore": 101},
            r"^percentageOfNodesToScore: Invalid value: 101: not in valid",
        ),
        ({"podInitialBackoffSeconds": 0}, "podInitialBackoffSeconds: Invalid value: 0: must be greater than 0"),
        ({"podInitialBackoffSeconds": 20}, "podMaxBackoffSeconds: Invalid value: 10: must be greater than or equal to"),
        ({"leaderElection": {"leaseDuration": "1s"}}, "LeaseDuration must be greater than RenewDeadline"),
        ({"leaderElection": {"leaseDuration": "soon"}}, "not of type duration"),
        (
            {"profiles": [{"schedulerName": "a"}, {"schedulerName": "a"}]},
            r"\[1\].schedulerName: Duplicate value",
        ),
        ({"profiles": [{}, {"schedulerName": "a"}]}, r"profiles\[0\].schedulerName: Required value"),
        (at_point(filter={"enabled": [{"name": "EBSLimits"}]}), "was invalid in version"),
        (at_point(filter={"enabled": [{"name": "Nope"}]}), 'FilterPlugin "Nope" does not exist'),
        (at_point(permit={"enabled": [{"name": "NodeName"}]}), 'plugin "NodeName" does not extend PermitPlugin plugin'),
        (at_point(filter={"enabled": [{"name": "ImageLocality"}]}), "does not extend FilterPlugin plugin"),
        (at_point(bind={"disabled": [{"name": "*"}]}), "at least one bind plugin is needed for profile"),
        (at_point(queueSort={"disabled": [{"name": "*"}]}), "at least one queue sort plugin is needed"),
        ({"extenders": [{"prioritizeVerb": "p"}]}, r"extenders\[0\].weight: Invalid value: 0: must have a positive"),
        ({"extenders": [{"bindVerb": "b"}, {"bindVerb": "b"}]}, "only one extender can implement bind"),
        ({"extenders": [{"managedResources": [{"name": "cpu"}]}]}, "is an invalid extended resource name"),
        (of_plugin("InterPodAffinity", hardPodAffinityWeight=101), f"{ARGS}.hardPodAffinityWeight: Invalid value: 101"),
        (of_plugin("InterPodAffinity", hardWeight=1), f'unknown field "{ARGS}.hardWeight"'),
        (of_plugin("DefaultPreemption", minCandidateNodesPercentage=0, minCandidateNodesAbsolute=0), "same time as"),
        (of_plugin("NodeResourcesFit", scoringStrategy={"type": "Most"}), 'Unsupported value: "Most"'),
        (
            of_plugin("NodeResourcesFit", scoringStrategy={"type": "RequestedToCapacityRatio"}),
            "must be specified when type is RequestedToCapacityRatio",
        ),
        (of_plugin("NodeResourcesBalancedAllocation", resources=[{"name": "cpu", "weight": 2}]), "must be 1"),
        (of_plugin("PodTopologySpread", defaultConstraints=[{"maxSkew": 1}]), "when .defaultConstraints are not empty"),
        (of_plugin("VolumeBinding", bindTimeoutSeconds=-1), "should not be a negative value"),
        (of_plugin("DynamicResources", bindingTimeout="10ms"), "must be at least 1 second"),
    ],
)
def test_mistakes_are_found_at_the_start(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        parse(**fields)
