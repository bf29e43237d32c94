from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from nodeagent.pods.environment import (
    ConfigProblem,
    NodeFacts,
    expand,
    format_map,
    make_environment,
    resource_value,
    service_environment,
    value_in_env_file,
)
from nodeagent.tests.pods.samples import make_pod

NODE = NodeFacts("n", ("192.0.2.1",), {"cpu": "4", "memory": "8Gi"})


FILES = Path(__file__).parent / "files"


class FakeSources:
    maps: dict[str, Any] = {"m": {"data": {"A": "map", "B": "map"}}}
    secrets: dict[str, Any] = {"s": {"data": {"B": base64.b64encode(b"secret").decode()}}}

    async def config_map(self, namespace: str, name: str) -> Any:
        return self.maps.get(name)

    async def secret(self, namespace: str, name: str) -> Any:
        return self.secrets.get(name)

    def file_in(self, pod: Any, volume: str, path: str) -> Path | None:
        return FILES / path if volume == "v" else None


async def environment(container: dict[str, Any], services: dict[str, str] | None = None) -> dict[str, str]:
    pod = make_pod([{"name": "c", **container}])
    return await make_environment(
        pod, pod["spec"]["containers"][0], services=services or {}, ips=("10.0.0.2",), sources=FakeSources(), node=NODE
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [("$(A)", "1"), ("$$(A)", "$(A)"), ("$(NO)", "$(NO)"), ("$A", "$A"), ("a$(A)b$(A)", "a1b1"), ("$(A", "$(A")],
)
def test_references_are_expanded(text: str, expected: str) -> None:
    assert expand(text, {"A": "1"}) == expected


async def test_later_sources_win_over_earlier_ones() -> None:
    found = await environment({
        "envFrom": [
            {"configMapRef": {"name": "m"}},
            {"secretRef": {"name": "s"}},
            {"prefix": "P_", "configMapRef": {"name": "m"}},
        ],
        "env": [{"name": "C", "value": "own $(A)"}],
    })  # fmt: skip
    assert found == {"A": "map", "B": "secret", "P_A": "map", "P_B": "map", "C": "own map"}


async def test_a_missing_source_is_named() -> None:
    with pytest.raises(ConfigProblem, match=r'^configmap "no" not found$'):
        await environment({"envFrom": [{"configMapRef": {"name": "no"}}]})
    with pytest.raises(ConfigProblem, match=r"^couldn't find key x in Secret ns/s$"):
        await environment({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "x"}}}]})


async def test_what_is_optional_and_missing_is_not_set() -> None:
    reference = {"name": "no", "key": "x", "optional": True}
    assert await environment({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": reference}}]}) == {}


async def test_own_values_hide_services() -> None:
    found = await environment({"env": [{"name": "S", "value": "own"}]}, {"S": "service", "T": "service"})
    assert found == {"S": "own", "T": "service"}


async def test_the_downward_api_and_files_give_values() -> None:
    found = await environment({"env": [
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "F", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "f.env", "key": "a"}}},
    ]})  # fmt: skip
    assert found == {"IP": "10.0.0.2", "F": "x y"}


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"resource": "limits.cpu"}, "2"),
        ({"resource": "limits.cpu", "divisor": "1m"}, "1500"),
        ({"resource": "requests.memory", "divisor": "1Mi"}, "20"),
        ({"resource": "limits.memory"}, str(8 * 1024**3)),
    ],
)
def test_resources_are_divided_and_rounded_up(reference: dict[str, str], expected: str) -> None:
    resources = {"limits": {"cpu": "1500m"}, "requests": {"memory": "20Mi"}}
    pod = make_pod([{"name": "c", "resources": resources}])
    assert resource_value(pod, pod["spec"]["containers"][0], reference, NODE) == expected


def test_services_are_named_as_links() -> None:
    service = {
        "metadata": {"name": "my-svc", "namespace": "ns"},
        "spec": {"clusterIP": "10.96.0.5", "ports": [{"name": "web", "port": 80, "protocol": "TCP"}]},
    }
    headless = {"metadata": {"name": "h", "namespace": "ns"}, "spec": {"clusterIP": "None"}}
    found = service_environment(make_pod([]), [service, headless])
    assert found == {
        "MY_SVC_SERVICE_HOST": "10.96.0.5",
        "MY_SVC_SERVICE_PORT": "80",
        "MY_SVC_SERVICE_PORT_WEB": "80",
        "MY_SVC_PORT": "tcp://10.96.0.5:80",
        "MY_SVC_PORT_80_TCP": "tcp://10.96.0.5:80",
        "MY_SVC_PORT_80_TCP_PROTO": "tcp",
        "MY_SVC_PORT_80_TCP_PORT": "80",
        "MY_SVC_PORT_80_TCP_ADDR": "10.96.0.5",
    }
    assert service_environment(make_pod([], enableServiceLinks=False), [service]) == {}


def test_maps_are_written_as_go_quotes_them() -> None:
    assert format_map({"b": 'say "x"\n', "a": "\\"}) == 'a="\\\\"\nb="say \\"x\\"\\n"'


@pytest.mark.parametrize(
    ("content", "key", "expected"),
    [
        ("A='1'\n\n# c\nB='two words' # why\n", "B", "two words"),
        ("  A='one\r\ntwo'\n", "A", "one\ntwo"),
        ("a.b-c='x=y'", "a.b-c", "x=y"),
        ("A='1'\nA='2'", "A", "1"),
        ("A= 'late'\nB='1'", "A", ""),
        ("A= 'late'\nB='1'", "B", "1"),
        ("A='1'\nnothing of the kind", "A", "1"),
        ("A='1'", "B", ""),
        ("", "B", ""),
    ],
)
def test_env_files_give_quoted_values(content: str, key: str, expected: str) -> None:
    assert value_in_env_file(content, key) == expected


@pytest.mark.parametrize("line", ["A=1", "A ='1'", "A='1' B='2'", "word", "='1'", "A='1"])
def test_bad_lines_spoil_an_env_file(line: str) -> None:
    with pytest.raises(ValueError, match="format at line 2"):
        value_in_env_file(f"# first\n{line}\nB='1'", "B")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"volumeName": "w", "path": "f.env"}, 'cannot find the volume "w" referenced by FileKeyRef'),
        ({"volumeName": "v", "path": "none", "optional": True}, "couldn't parse env file"),
        ({"volumeName": "v", "path": "bad.env"}, "couldn't parse env file"),
        ({"volumeName": "v", "path": "f.env"}, f'environment variable key "k" not found in file "{FILES}/f.env"'),
    ],
)
async def test_what_is_wrong_with_a_variable_from_a_file(reference: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigProblem) as caught:
        await environment({"env": [{"name": "F", "valueFrom": {"fileKeyRef": {**reference, "key": "k"}}}]})
    assert str(caught.value) == message
