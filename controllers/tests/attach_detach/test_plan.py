"""Attachable volumes, their names, and who needs them."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.attach_detach.plan import Volume, attached_to, conflict_message, is_mounted, needs_volumes, volume_of

VOLUME = Volume("pv", "d", "h", is_shared=False)


def persistent(*modes: str, driver: str = "d") -> dict[str, Any]:
    spec = {"csi": {"driver": driver, "volumeHandle": "h"}, "accessModes": list(modes)}
    return {"metadata": {"name": "pv"}, "spec": spec}


def pod(name: str = "p", namespace: str = "n", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {}, "status": status}


def test_volume_of_a_driver_that_attaches() -> None:
    assert volume_of(persistent("ReadWriteOnce"), ()) == VOLUME
    assert volume_of(persistent("ReadWriteOnce"), {"d"}) is None
    assert volume_of({"metadata": {"name": "pv"}, "spec": {"hostPath": {}}}, ()) is None


@pytest.mark.parametrize(
    ("modes", "shared"),
    [(["ReadWriteOnce"], False), (["ReadWriteOncePod"], False), (["ReadWriteOnce", "ReadOnlyMany"], True), ([], True)],
)
def test_only_modes_of_many_nodes_share(modes: list[str], shared: bool) -> None:
    volume = volume_of(persistent(*modes), ())
    assert volume is not None
    assert volume.is_shared is shared


def test_names() -> None:
    assert VOLUME.unique_name == "kubernetes.io/csi/d^h"
    digest = "c42cf57099d6443b605c16f111056170d3d4e01cedcbcbac71a93245953703cf"
    assert VOLUME.attachment_name("node") == f"csi-{digest}"


def test_ended_pods_need_nothing_unless_the_node_keeps_them() -> None:
    node: dict[str, Any] = {"metadata": {"name": "n"}}
    keeping = {"metadata": {"annotations": {"volumes.kubernetes.io/keep-terminated-pod-volumes": "true"}}}
    assert needs_volumes(pod(phase="Running"), node)
    assert not needs_volumes(pod(phase="Succeeded"), node)
    assert needs_volumes(pod(phase="Succeeded"), keeping)


def test_report_keeps_volumes_of_other_plugins() -> None:
    other = {"name": "kubernetes.io/iscsi/x", "devicePath": "/dev/x"}
    node = {"status": {"volumesAttached": [other, {"name": "kubernetes.io/csi/d^gone", "devicePath": ""}]}}
    expected = [other, {"name": "kubernetes.io/csi/d^h", "devicePath": ""}]
    assert attached_to(node, [VOLUME]) == expected
    assert attached_to({"status": {"volumesAttached": expected}}, [VOLUME]) is None


def test_node_tells_what_it_uses() -> None:
    assert is_mounted({"status": {"volumesInUse": ["kubernetes.io/csi/d^h"]}}, VOLUME)
    assert not is_mounted({}, VOLUME)


@pytest.mark.parametrize(
    ("others", "end"),
    [
        ([], "Volume is already exclusively attached to one node and can't be attached to another"),
        ([pod("a"), pod("b")], "Volume is already used by pod(s) a, b"),
        ([pod("a", "m")], "Volume is already used by 1 pod(s) in different namespaces"),
        ([pod("a"), pod("b", "m")], "Volume is already used by pod(s) a and 1 pod(s) in different namespaces"),
    ],
)
def test_conflict_names_the_pods_in_the_way(others: list[dict[str, Any]], end: str) -> None:
    assert conflict_message("pv", pod(), others) == f'Multi-Attach error for volume "pv" {end}'
