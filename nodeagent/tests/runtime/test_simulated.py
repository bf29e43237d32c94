from __future__ import annotations

import asyncio

import pytest

from nodeagent.runtime.protocol import (
    ContainerConfig,
    ContainerSecurity,
    Missing,
    Resources,
    RuntimeFailure,
    SandboxConfig,
    SandboxSecurity,
    State,
)
from nodeagent.runtime.simulated import RESTART_POLICY, SimulatedRuntime

LABELS = {"io.kubernetes.pod.uid": "u"}


def sandbox_config(**annotations: str) -> SandboxConfig:
    steering = {f"simulated.wherry.dev/{name.replace('_', '-')}": value for name, value in annotations.items()}
    return SandboxConfig("p", "ns", "u", 0, "p", "", None, (), LABELS, steering, "", {}, SandboxSecurity())


def container_config(policy: str = "Always") -> ContainerConfig:
    return ContainerConfig(
        "c", 0, "sha256:1", "img", (), (), "", (), (), (), LABELS, {RESTART_POLICY: policy}, "", False, False, False,
        Resources(), ContainerSecurity(),
    )  # fmt: skip


async def started(runtime: SimulatedRuntime, config: SandboxConfig, policy: str = "Always") -> str:
    sandbox = await runtime.run_sandbox(config)
    container = await runtime.create_container(sandbox, container_config(policy), config)
    await runtime.start_container(container)
    return container


async def test_pods_get_addresses_of_their_own_and_give_them_back() -> None:
    runtime = SimulatedRuntime("10.1.0.0/29")
    ids = [await runtime.run_sandbox(sandbox_config()) for _ in range(5)]
    assert len({(await runtime.sandbox(id)).ips for id in ids}) == 5
    with pytest.raises(RuntimeFailure, match="no addresses"):
        await runtime.run_sandbox(sandbox_config())
    await runtime.stop_sandbox(ids[0])
    assert (await runtime.sandbox(await runtime.run_sandbox(sandbox_config()))).ips


async def test_a_container_ends_as_its_pod_is_told_to() -> None:
    runtime = SimulatedRuntime("10.1.0.0/24")
    container = await started(runtime, sandbox_config(run_seconds="0.01", exit_code="3"))
    assert (await runtime.container(container)).state is State.RUNNING
    async with asyncio.timeout(5):
        async for _ in runtime.news():
            if (await runtime.container(container)).state is State.EXITED:
                break
    found = await runtime.container(container)
    assert (found.exit_code, found.reason) == (3, "Error")
    assert b"ended with exit code 3" in runtime.log(container)


async def test_a_container_stops_when_told_to() -> None:
    runtime = SimulatedRuntime("10.1.0.0/24")
    container = await started(runtime, sandbox_config())
    await runtime.stop_container(container, 30)
    assert (await runtime.container(container)).exit_code == 143


async def test_what_cannot_start_says_why() -> None:
    runtime = SimulatedRuntime("10.1.0.0/24")
    with pytest.raises(RuntimeFailure, match="broken"):
        await started(runtime, sandbox_config(start_error="broken"))


async def test_images_are_there_once_pulled() -> None:
    runtime = SimulatedRuntime()
    assert await runtime.image("a:1") is None
    await runtime.pull("a:1", None, None)
    assert (await runtime.image("a:1")) is not None
    with pytest.raises(RuntimeFailure, match="denied"):
        await runtime.pull("b:1", None, sandbox_config(pull_error="denied"))


async def test_removing_a_sandbox_removes_its_containers() -> None:
    runtime = SimulatedRuntime("10.1.0.0/24")
    container = await started(runtime, sandbox_config())
    for sandbox in await runtime.sandboxes("u"):
        await runtime.remove_sandbox(sandbox.id)
    with pytest.raises(Missing):
        await runtime.container(container)
