"""Pods, containers and states for the tests of planning and status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeagent.pods.plan import Verdict
from nodeagent.pods.state import PodState
from nodeagent.runtime.protocol import Container, Sandbox, State

Object = dict[str, Any]
SECOND = 10**9


def make_pod(containers: list[Object], init: list[Object] | None = None, **spec: Any) -> Object:
    """A pod whose containers are given by their own fields, with `name` at least."""
    body: Object = {"containers": containers, **spec}
    if init:
        body["initContainers"] = init
    metadata = {"name": "p", "namespace": "ns", "uid": "u1", "generation": 1}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": body}


def make_container(
    name: str, state: State, exit_code: int = 0, attempt: int = 0, *, annotations: Mapping[str, str] | None = None
) -> Container:
    begun = (100 + attempt) * SECOND
    return Container(
        id=f"{name}-{attempt}",
        sandbox_id="s",
        name=name,
        attempt=attempt,
        state=state,
        image="img",
        image_id="sha256:1",
        created_ns=begun,
        started_ns=begun,
        finished_ns=begun + SECOND if state is State.EXITED else 0,
        exit_code=exit_code,
        reason="" if state is not State.EXITED else "Error" if exit_code else "Completed",
        annotations=annotations or {},
    )


def running(name: str, attempt: int = 0) -> Container:
    return make_container(name, State.RUNNING, attempt=attempt)


def ended(name: str, exit_code: int = 0, attempt: int = 0) -> Container:
    return make_container(name, State.EXITED, exit_code, attempt)


def make_sandbox(*, is_ready: bool = True, attempt: int = 0) -> Sandbox:
    ips = ("10.0.0.2",) if is_ready else ()
    return Sandbox(f"s{attempt}", "p", "ns", "u1", attempt, is_ready, created_ns=attempt + 1, ips=ips)


def make_state(*containers: Container, sandbox: Sandbox | None = None) -> PodState:
    """With a ready sandbox, unless another is given; the newest containers come first."""
    return PodState([sandbox or make_sandbox()], list(containers))


def nothing_probed(kind: str, container_id: str) -> Verdict:
    return Verdict.UNKNOWN
