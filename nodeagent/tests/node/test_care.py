from __future__ import annotations

import pytest

from nodeagent.node.cgroups import limits_of, settings_v1, settings_v2, tier_limits
from nodeagent.node.eviction import (
    HARD,
    MEMORY,
    NODEFS,
    PIDS,
    Signal,
    Threshold,
    crossed,
    message,
    parse_thresholds,
    pressures,
    victims,
)
from nodeagent.node.image_gc import bytes_to_free, images_to_remove
from nodeagent.node.scratch import ScratchUse, excess
from nodeagent.runtime.protocol import Image
from nodeagent.tests.pods.samples import make_pod

MIB = 1024 * 1024


def pod_of(uid: str, memory: str = "0", priority: int = 0) -> dict:
    pod = make_pod([{"name": "c", "resources": {"requests": {"memory": memory}}}], priority=priority)
    pod["metadata"]["uid"] = uid
    return pod


def test_thresholds_are_amounts_or_shares() -> None:
    signals = {MEMORY: Signal(50 * MIB, 1000 * MIB), NODEFS: Signal(20, 100)}
    assert [t.signal for t in crossed(signals, HARD)] == [MEMORY]
    assert pressures(crossed({NODEFS: Signal(5, 100)}, HARD)) == {"DiskPressure"}


def test_who_is_over_the_request_goes_first_then_who_matters_less() -> None:
    pods = [pod_of("within", "100Mi"), pod_of("over", priority=5), pod_of("far-over", priority=5), pod_of("low")]
    pods.append(pod_of("critical", priority=2_000_000_000))
    use = {"within": 50 * MIB, "over": 10 * MIB, "far-over": 90 * MIB, "low": MIB}
    assert [p["metadata"]["uid"] for p in victims(pods, HARD[0], use)] == ["low", "far-over", "over", "within"]


def test_an_evicted_pod_is_told_why() -> None:
    text = message(pod_of("u"), HARD[0], Signal(50 * MIB, 0), {"u": 10 * MIB})
    assert text == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
        "Container c was using 10Mi, request is 0, has larger consumption of memory. "
    )


def test_scratch_limits_of_volumes_and_containers() -> None:
    pod = make_pod(
        [{"name": "c", "resources": {"limits": {"ephemeral-storage": "2Mi"}}}],
        volumes=[{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}],
    )
    assert excess(pod, ScratchUse({"v": MIB}, {"c": 0})) == ""
    assert excess(pod, ScratchUse({"v": MIB + 1}, {})) == 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". '
    total = "Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. "
    assert excess(pod, ScratchUse({"v": MIB}, {"c": MIB + 1})) == total
    pod["spec"]["containers"].append({"name": "free"})
    assert excess(pod, ScratchUse({}, {"c": 0, "free": 2 * MIB + 1})) == total


def test_the_longest_unused_images_go_until_enough_is_free() -> None:
    assert bytes_to_free(100, 50) == 0
    assert bytes_to_free(100, 10) == 10
    images = [Image(name, [], [], 10, pinned=name == "pinned") for name in ("old", "used", "pinned", "older", "young")]
    last = {"old": 200.0, "older": 100.0, "used": 0.0, "pinned": 0.0, "young": 990.0}
    found = images_to_remove(images, {"used"}, last, 1000.0, 15)
    assert [image.id for image in found] == ["older", "old"]


def test_a_pods_cgroup_is_limited_only_if_all_containers_are() -> None:
    limited = {"name": "a", "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "1", "memory": "64Mi"}}}
    both = limits_of(make_pod([limited, {**limited, "name": "b"}]))
    quota = {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "200000"}
    assert settings_v1(both)["cpu"] == {"cpu.shares": "1024", **quota}
    assert settings_v2(both) == {"cpu.weight": "39", "cpu.max": "200000 100000", "memory.max": str(128 * MIB)}
    assert settings_v1(limits_of(make_pod([limited, {"name": "b"}]))) == {"cpu": {"cpu.shares": "512"}, "memory": {}}


def test_classes_of_pods_share_by_what_they_ask_for() -> None:
    asking = [make_pod([{"name": "c", "resources": {"requests": {"cpu": cpu}}}]) for cpu in ("500m", "250m")]
    limits = tier_limits([*asking, make_pod([{"name": "c"}])], "2", "1Gi")
    assert {name: limit.cpu_shares for name, limit in limits.items()} == {"": 2048, "burstable": 768, "besteffort": 2}
    assert [limit.memory_bytes for limit in limits.values()] == [1024 * MIB, 0, 0]


def test_thresholds_are_read_as_a_kubelet_reads_them() -> None:
    assert parse_thresholds("memory.available<1Mi, pid.available<10%") == (
        Threshold(MEMORY, amount=MIB),
        Threshold(PIDS, share=0.1),
    )
    for wrong in ("memory.available", "swap<1Mi", "memory.available<much"):
        with pytest.raises(ValueError):
            parse_thresholds(wrong)
