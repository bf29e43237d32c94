"""The options make sense together, and survive being handed on to a component."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from cluster.components import COMPONENTS, choose
from cluster.errors import CommandError
from cluster.options import ClusterOptions, add_cluster_options, add_node_options, apiserver_arguments, cluster_options


def parse(*words: str) -> ClusterOptions:
    parser = argparse.ArgumentParser()
    add_cluster_options(parser)
    add_node_options(parser)
    return cluster_options(parser.parse_args(words))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "70000"], "ports go from 0 to 65535"),
        (["--bind-address", "here"], "not an IP address"),
        (["--service-cluster-ip-range", "10.0.0.1/16"], "host bits set"),
        (["--service-cluster-ip-range", "10.0.0.0/32"], "too small"),
        (["--ephemeral", "--store", "etcd"], "does not go with --store etcd"),
        (["--store", "sqlite", "--etcd-servers", "http://a:1"], "goes with --store etcd"),
        (["--store", "etcd", "--etcd-certfile", "/dev/null"], "go together"),
        (["--token-auth-file", "/none"], "no such file"),
        (["--cluster-cidr", "10.96.1.0/24"], "services have 10.96.0.0/16"),
        (["--cluster-cidr", "10.9.0.0/25"], "too small"),
        (["--shutdown-grace-period", "soon"], "soon"),
        (["--shutdown-grace-period", "1s", "--shutdown-grace-period-critical-pods", "2s"], "must not exceed"),
        (["--runtime", "simulated", "--containerd", "/run/x"], "goes with --runtime containerd"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_refused_in_one_line(words: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message) as refused:
        parse(*words)
    assert "\n" not in str(refused.value)


def test_servers_of_etcd_choose_etcd() -> None:
    assert parse("--etcd-servers", "http://a:1, http://b:1").etcd_servers == ("http://a:1", "http://b:1")
    assert parse("--store", "etcd").etcd_servers == ("http://127.0.0.1:2379",)
    assert parse().etcd_servers == ()


def test_the_first_service_address_is_the_servers_own() -> None:
    assert parse("--service-cluster-ip-range", "10.32.0.0/24").service_ip == "10.32.0.1"


@pytest.mark.parametrize(
    ("address", "server"),
    [("127.0.0.1", "https://127.0.0.1:1"), ("0.0.0.0", "https://127.0.0.1:1"), ("::", "https://[::1]:1")],
)
def test_clients_are_given_an_address_they_can_call(address: str, server: str) -> None:
    assert parse("--bind-address", address).server(1) == server


def test_a_component_reads_the_options_it_was_handed(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    words = ["--port", "0", "--bind-address", "::1", "--etcd-servers", "https://a:1,https://b:1"]
    words += ["--etcd-cafile", str(file), "--etcd-certfile", str(file), "--etcd-keyfile", str(file)]
    words += ["--kubeconfig", str(file), "--token-auth-file", str(file), "--data-dir", str(tmp_path)]
    options = parse(*words)
    assert parse(*apiserver_arguments(options, tmp_path)[1:]) == options


def test_components_start_in_the_order_of_the_table() -> None:
    assert choose("") == COMPONENTS
    assert [component.name for component in choose("apiserver")] == ["apiserver"]
    assert [component.name for component in choose("scheduler,apiserver")] == ["apiserver", "scheduler"]
    with pytest.raises(CommandError, match="the others need apiserver"):
        choose("controllers")
    with pytest.raises(CommandError, match="no such component"):
        choose("apiserver,nonsense")
