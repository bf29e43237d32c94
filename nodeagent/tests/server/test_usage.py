from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nodeagent.runtime.protocol import Container, State, Usage
from nodeagent.server import readings
from nodeagent.server.exposition import cadvisor_metrics, resource_metrics
from nodeagent.server.machine_usage import DiskUsage, MachineUsage, read_machine_usage
from nodeagent.server.pod_usage import PodUsage, Traffic, Tree
from nodeagent.server.readings import MACHINE, Reading, Readings
from nodeagent.server.summary import make_summary
from nodeagent.volumes.usage import VolumeUsage

S = 10**9
AT = 1_800_000_000 * S
MACHINE_USAGE = MachineUsage(AT, AT - 100 * S, 2, 50 * S, 1000, 600, 500, 300, 10, 90, 7, 1, 42, 32768)
DISK = DiskUsage(1000, 400, 550, 100, 60)
POD: dict[str, Any] = {
    "metadata": {"name": "p", "namespace": "ns", "uid": "u"},
    "spec": {"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]},
    "status": {
        "startTime": "2027-01-15T08:00:00Z",
        "containerStatuses": [{"name": "a", "state": {"running": {"startedAt": "2027-01-15T08:00:00Z"}}}],
    },
}


def usage(
    name: str, cpu_ns: int | None, memory: int | None, *, attempt: int = 0, nano_cores: int | None = None
) -> Usage:
    container = Container(
        f"{name}{attempt}", "s", name, attempt, State.RUNNING, "i", "i", 1, labels={"io.kubernetes.pod.uid": "u"}
    )
    return Usage(container, AT, cpu_ns, nano_cores, memory, memory, None, None, None, 10, 1)


def reading(*usages: Usage, **more: Any) -> Reading:
    return Reading(MACHINE_USAGE, DISK, usages, **more)


def test_a_pod_uses_what_its_containers_do() -> None:
    found = make_summary("n", [POD], reading(usage("a", S, 100), usage("b", 2 * S, 50), rates={"a0": 5, "b0": 6}))
    (pod,) = found["pods"]
    assert pod["podRef"] == {"name": "p", "namespace": "ns", "uid": "u"}
    assert pod["cpu"] == {"time": "2027-01-15T08:00:00Z", "usageNanoCores": 11, "usageCoreNanoSeconds": 3 * S}
    assert pod["memory"] == {"time": "2027-01-15T08:00:00Z", "usageBytes": 150, "workingSetBytes": 150}
    assert pod["containers"][0]["startTime"] == "2027-01-15T08:00:00Z"


def test_what_one_container_does_not_tell_the_pod_does_not_either() -> None:
    (pod,) = make_summary("n", [POD], reading(usage("a", S, 100), usage("b", None, 50)))["pods"]
    assert pod["cpu"] == {"time": "2027-01-15T08:00:00Z"}
    assert "cpu" not in make_summary("n", [POD], reading())["pods"][0]


def test_a_pod_tells_what_its_volumes_hold() -> None:
    volumes = {"u": [VolumeUsage("v", 1000, 600, 400, 100, 60, 40, "c"), VolumeUsage("e", 9, 8, 1, 7, 6, 1)]}
    (pod,) = make_summary("n", [POD], reading(), volumes)["pods"]
    claimed, empty = pod["volume"]
    assert (claimed["name"], claimed["pvcRef"]) == ("v", {"name": "c", "namespace": "ns"})
    assert (claimed["capacityBytes"], claimed["availableBytes"], claimed["usedBytes"]) == (1000, 600, 400)
    assert (claimed["inodes"], claimed["inodesFree"], claimed["inodesUsed"]) == (100, 60, 40)
    assert "pvcRef" not in empty


def test_ended_containers_use_nothing() -> None:
    (pod,) = make_summary("n", [POD], reading(usage("a", S, 100), usage("b", None, None)))["pods"]
    assert [container["name"] for container in pod["containers"]] == ["a"]


def test_only_the_newest_instance_counts() -> None:
    (pod,) = make_summary("n", [POD], reading(usage("a", S, 100, attempt=1), usage("a", 9 * S, 900)))["pods"]
    assert [container["memory"]["usageBytes"] for container in pod["containers"]] == [100]


def test_the_node_tells_its_machine() -> None:
    node = make_summary("n", [], reading(rates={MACHINE: 9}))["node"]
    assert node["cpu"] == {"time": "2027-01-15T08:00:00Z", "usageNanoCores": 9, "usageCoreNanoSeconds": 50 * S}
    assert (node["memory"]["availableBytes"], node["memory"]["workingSetBytes"]) == (500, 500)
    assert (node["fs"]["inodesUsed"], node["rlimit"]["curproc"]) == (40, 42)


def test_resource_metrics_are_what_the_metrics_server_reads() -> None:
    lines = resource_metrics([POD], reading(usage("a", 1_500_000_000, 100))).decode().splitlines()
    labels = 'container="a",namespace="ns",pod="p"'
    assert f"container_cpu_usage_seconds_total{{{labels}}} 1.5 1800000000000" in lines
    assert f"container_memory_working_set_bytes{{{labels}}} 100 1800000000000" in lines
    assert f"container_start_time_seconds{{{labels}}} 1800000000" in lines
    assert 'pod_memory_working_set_bytes{namespace="ns",pod="p"} 100 1800000000000' in lines
    assert "node_cpu_usage_seconds_total 50 1800000000000" in lines
    assert "# TYPE node_cpu_usage_seconds_total counter" in lines
    assert lines[-1] == "resource_scrape_error 0"
    assert resource_metrics([], reading(failed=True)).endswith(b"resource_scrape_error 1\n")


def test_what_nobody_knows_is_no_sample() -> None:
    text = cadvisor_metrics([POD], reading(usage("a", None, 100))).decode()
    assert "container_cpu_usage_seconds_total" not in text and "container_memory_rss" not in text
    assert "machine_cpu_cores 2\n" in text


def test_the_kernels_files_are_understood(tmp_path: Path) -> None:
    (tmp_path / "sys/kernel").mkdir(parents=True)
    (tmp_path / "sys/kernel/pid_max").write_text("4194304\n")
    (tmp_path / "loadavg").write_text("0.1 0.2 0.3 2/345 678\n")
    (tmp_path / "vmstat").write_text("pgfault 77\npgmajfault 3\n")
    (tmp_path / "stat").write_text("cpu  100 10 50 1000 200 5 5 30 60 0\ncpu0 1 2\nbtime 1700000000\n")
    (tmp_path / "meminfo").write_text(
        "MemTotal: 1000 kB\nMemFree: 400 kB\nInactive(file): 100 kB\nAnonPages: 50 kB\nHugePages_Total: 0\n"
    )
    found = read_machine_usage(tmp_path)
    assert found.cpu_core_ns == 200 * 10**7
    assert (found.memory_usage, found.memory_working_set, found.memory_rss) == (600 * 1024, 500 * 1024, 50 * 1024)
    assert (found.boot_ns, found.processes, found.process_limit) == (1_700_000_000 * S, 345, 4194304)
    assert (found.page_faults, found.major_page_faults, found.swap_usage) == (77, 3, 0)


class Runtime:
    def __init__(self) -> None:
        self.cpu_ns, self.at_ns = 0, AT

    async def usage(self) -> list[Usage]:
        found = usage("a", self.cpu_ns, 1, nano_cores=123)
        return [Usage(found.container, self.at_ns, *[getattr(found, name) for name in Usage.__slots__[2:]])]


async def test_rates_come_from_two_readings_far_enough_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(readings, "FRESH_S", -1.0)
    runtime = Runtime()
    found = Readings(runtime, tmp_path)  # type: ignore[arg-type]
    assert (await found.read()).rates["a0"] == 123
    runtime.cpu_ns, runtime.at_ns = S, AT + S
    assert (await found.read()).rates["a0"] == 123
    runtime.cpu_ns, runtime.at_ns = 5 * S, AT + 10 * S
    assert (await found.read()).rates["a0"] == S // 2


def test_a_pod_tells_of_its_network_logs_and_disk() -> None:
    traffic = [Traffic("tunl0", 1, 0, 2, 0), Traffic("eth0", 5, 1, 6, 2)]
    others = {"u": PodUsage(traffic, processes=3, logs={"a": Tree(40, 2)})}
    (pod,) = make_summary("n", [POD], reading(usage("a", S, 100)), {}, others)["pods"]
    network = pod["network"]
    assert (network["name"], network["rxBytes"], network["txErrors"], len(network["interfaces"])) == ("eth0", 5, 2, 2)
    assert pod["process_stats"] == {"process_count": 3}
    assert pod["containers"][0]["logs"]["usedBytes"] == 40 and pod["containers"][0]["rootfs"]["capacityBytes"] == 1000
    assert (pod["ephemeral-storage"]["usedBytes"], pod["ephemeral-storage"]["inodesUsed"]) == (50, 3)
