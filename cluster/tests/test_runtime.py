"""What runs the pods, by what is asked for and what the machine has; and the addresses that they get."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cluster import pod_range, runtime
from cluster.errors import CommandError
from cluster.home import Home
from cluster.options import ClusterOptions, add_cluster_options, add_node_options, cluster_options
from nodeagent.runtime import fitness


def parse(*words: str) -> ClusterOptions:
    parser = argparse.ArgumentParser()
    add_cluster_options(parser)
    add_node_options(parser)
    return cluster_options(parser.parse_args(words))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What speaks against any, an own and a running containerd; a socket is there."""
    against = {"any": "", "own": "", "running": ""}

    async def against_running(socket: Path) -> str:
        return against["running"]

    monkeypatch.setattr(fitness, "against_containers", lambda: against["any"])
    monkeypatch.setattr(fitness, "against_own", lambda program=None: against["own"])
    monkeypatch.setattr(fitness, "against_running", against_running)
    monkeypatch.setenv("CONTAINERD_ADDRESS", str(tmp_path / "socket"))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        yield against


@pytest.mark.parametrize(
    ("words", "against", "chosen", "told"),
    [
        ([], {}, "containerd", "containerd that runs at"),
        ([], {"running": "it has pods"}, "containerd", "started by this cluster"),
        ([], {"running": "it has pods", "own": "no runc"}, "simulated", "simulated: it has pods; no runc"),
        ([], {"any": "only root"}, "simulated", "simulated: only root"),
        (["--nodes", "3"], {}, "simulated", "room for one node"),
        (["--runtime", "simulated"], {}, "simulated", "as asked for"),
        (["--containerd", "/bin/sh"], {}, "containerd", "started from /bin/sh"),
    ],
)
def test_containers_are_real_where_that_is_possible(
    words: list[str], against: dict[str, str], chosen: str, told: str, machine: dict[str, str], tmp_path: Path
) -> None:
    machine.update(against)
    options, words_told = runtime.settle(parse(*words), Home(tmp_path))
    assert options.runtime == chosen and told in words_told


def test_a_demand_that_cannot_be_met_is_refused(machine: dict[str, str], tmp_path: Path) -> None:
    machine["any"] = "only root"
    with pytest.raises(CommandError, match="only root"):
        runtime.settle(parse("--runtime", "containerd"), Home(tmp_path))


def test_clusters_of_one_machine_have_ranges_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_range, "LOCKS", tmp_path / "locks")
    real = parse("--runtime", "containerd")
    homes = [Home(tmp_path / name) for name in ("one", "two")]
    for home in homes:
        home.path.mkdir()
    with ExitStack() as stack:
        first, second = (stack.enter_context(pod_range.held(real, home)) for home in homes)
        assert first != second
        same = parse("--runtime", "containerd", "--cluster-cidr", first)
        with pytest.raises(CommandError, match="another cluster"):
            stack.enter_context(pod_range.held(same, Home(tmp_path)))
    with pod_range.held(real, homes[1]) as again:
        assert again == second


@pytest.mark.parametrize(
    ("words", "cidr"),
    [
        (("--nodes", "256"), "10.244.0.0/16"),
        (("--nodes", "257"), "10.128.0.0/9"),
        (("--nodes", "257", "--service-cluster-ip-range", "10.200.0.0/16"), "100.64.0.0/10"),
        (("--nodes", "2", "--cluster-cidr", "10.9.0.0/23"), "10.9.0.0/23"),
    ],
)
def test_every_simulated_node_has_addresses(words: tuple[str, ...], cidr: str, tmp_path: Path) -> None:
    with pod_range.held(parse("--runtime", "simulated", *words), Home(tmp_path)) as found:
        assert found == cidr


def test_a_range_must_have_room_for_all_nodes(tmp_path: Path) -> None:
    options = parse("--runtime", "simulated", "--nodes", "3", "--cluster-cidr", "10.9.0.0/23")
    with pytest.raises(CommandError, match="too small for 3 nodes"), pod_range.held(options, Home(tmp_path)):
        pass
