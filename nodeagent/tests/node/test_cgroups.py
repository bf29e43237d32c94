"""Against trees that are laid out as the kernel's, with files instead of what is behind them there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nodeagent.node.cgroups import Cgroups, PodLimits, limits_of, tier_limits, weight_of
from nodeagent.tests.pods.samples import make_pod

POD = "/node/kubepods/burstable/poduid"
LIMITS = PodLimits(cpu_shares=512, cpu_quota=50_000, memory_bytes=1 << 26)


def lay_out(root: Path, version: int) -> None:
    if version == 2:
        (root / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    for name in ("cpu", "memory", "pids") if version == 1 else ():
        (root / name).mkdir()


def contents(root: Path) -> Mapping[str, str]:
    return {str(file.relative_to(root)): file.read_text() for file in root.rglob("*.*") if file.is_file()}


def test_version_2_has_all_in_one_hierarchy(tmp_path: Path) -> None:
    lay_out(tmp_path, 2)
    cgroups = Cgroups(tmp_path)
    cgroups.apply(POD, LIMITS)
    pod = POD.lstrip("/")
    assert contents(tmp_path) == {
        "cgroup.controllers": "cpuset cpu io memory pids\n",
        # Of what is asked for one after the other a file keeps the last.
        "cgroup.subtree_control": "+pids",
        f"{pod}/cpu.weight": "20",
        f"{pod}/cpu.max": "50000 100000",
        f"{pod}/memory.max": str(1 << 26),
    }
    cgroups.apply(POD, PodLimits(cpu_shares=2, cpu_quota=0, memory_bytes=0))
    assert (tmp_path / pod / "cpu.weight").read_text() == "1"


def test_only_controllers_that_there_are_are_handed_down(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory\n")
    Cgroups(tmp_path).apply(POD, LIMITS)
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"


def test_version_1_has_a_hierarchy_for_each_controller(tmp_path: Path) -> None:
    lay_out(tmp_path, 1)
    Cgroups(tmp_path).apply(POD, LIMITS)
    pod = POD.lstrip("/")
    assert contents(tmp_path) == {
        f"cpu/{pod}/cpu.shares": "512",
        f"cpu/{pod}/cpu.cfs_period_us": "100000",
        f"cpu/{pod}/cpu.cfs_quota_us": "50000",
        f"memory/{pod}/memory.limit_in_bytes": str(1 << 26),
    }


@pytest.mark.parametrize("version", [1, 2])
def test_pods_are_found_and_removed_whatever_their_class(version: int, tmp_path: Path) -> None:
    lay_out(tmp_path, version)
    hierarchies = [tmp_path] if version == 2 else [tmp_path / "cpu", tmp_path / "pids"]
    for hierarchy in hierarchies:
        for pod in ("poda", "burstable/podb", "besteffort/podc"):
            (hierarchy / "node/kubepods" / pod / "container").mkdir(parents=True)
    cgroups = Cgroups(tmp_path)
    assert cgroups.pods("node/kubepods") == {"a", "b", "c"}
    cgroups.remove_pod("node/kubepods", "b")
    assert cgroups.pods("node/kubepods") == {"a", "c"}
    cgroups.remove("node")
    assert not any((hierarchy / "node").exists() for hierarchy in hierarchies)


def test_shares_become_weights() -> None:
    assert [weight_of(shares) for shares in (0, 2, 1024, 262144)] == [1, 1, 39, 10000]


def test_a_pod_is_limited_where_all_its_containers_are() -> None:
    def container(name: str, **resources: Any) -> dict[str, Any]:
        return {"name": name, "resources": resources}

    limited = container("a", limits={"cpu": "500m", "memory": "64Mi"}, requests={"cpu": "250m", "memory": "64Mi"})
    free = container("b", requests={"cpu": "250m"})
    assert limits_of(make_pod([limited])) == PodLimits(256, 50_000, 1 << 26)
    assert limits_of(make_pod([limited, free])) == PodLimits(512, 0, 0)
    tiers = tier_limits([make_pod([limited, free])], "2", "1Gi")
    assert tiers == {
        "": PodLimits(2048, 0, 1 << 30),
        "burstable": PodLimits(512, 0, 0),
        "besteffort": PodLimits(2, 0, 0),
    }
