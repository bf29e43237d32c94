"""What holds for any object: sending it back changes nothing, applying it twice is applying it once, in any order."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apiserver.app import ApiServer, Settings
from apiserver.storage.sqlite import SqliteBackend
from apiserver.tests.conftest import TOKENS, Answer, Client
from cluster.pki import Pki

Object = dict[str, Any]
Ask = Callable[..., Answer]

words = st.text("abcdefghij", min_size=1, max_size=6)
labels = st.dictionaries(words, words, max_size=3)
some = st.dictionaries(words, words, min_size=1, max_size=3)
quantities = st.sampled_from(["1", "100m", "0.5", "64Mi", "1e3", "1500m", "2Gi", "1000"])
resources = st.fixed_dictionaries(
    {},
    optional={"cpu": st.sampled_from(["1", "250m", "0.5", "1500m"]), "memory": st.sampled_from(["64Mi", "1e6", "1Gi"])},
)
env = st.lists(st.fixed_dictionaries({"name": words, "value": words}), max_size=3, unique_by=lambda e: e["name"])
ports = st.lists(
    st.fixed_dictionaries(
        {"containerPort": st.integers(1, 65535)}, optional={"protocol": st.sampled_from(["TCP", "UDP"])}
    ),
    max_size=2,
    unique_by=lambda p: p["containerPort"],
)
containers = st.lists(
    st.fixed_dictionaries(
        {"name": words, "image": words},
        optional={
            "env": env,
            "ports": ports,
            "resources": st.fixed_dictionaries({"limits": resources}),
            "args": st.lists(words, max_size=2),
        },
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda c: c["name"],
)
pod_specs = st.fixed_dictionaries(
    {"containers": containers},
    optional={
        "restartPolicy": st.sampled_from(["Always", "Never", "OnFailure"]),
        "nodeSelector": labels,
        "terminationGracePeriodSeconds": st.integers(0, 60),
        "hostNetwork": st.booleans(),
    },
)


config_maps = st.builds(
    lambda tags, d: (
        "/api/v1",
        "configmaps",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"labels": tags}, "data": d},
    ),
    labels,
    labels,
)
pods = st.builds(
    lambda tags, s: ("/api/v1", "pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": tags}, "spec": s}),
    labels,
    pod_specs,
)
deployments = st.builds(
    lambda s, r: (
        "/apis/apps/v1",
        "deployments",
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {},
            "spec": {
                "replicas": r,
                "selector": {"matchLabels": {"x": "y"}},
                "template": {"metadata": {"labels": {"x": "y"}}, "spec": {**s, "restartPolicy": "Always"}},
            },
        },
    ),
    pod_specs,
    st.integers(0, 5),
)
services = st.builds(
    lambda tags, p: (
        "/api/v1",
        "services",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"labels": tags},
            "spec": {"selector": {"a": "b"}, "ports": p},
        },
    ),
    labels,
    st.lists(
        st.fixed_dictionaries({"name": words, "port": st.integers(1, 65535)}),
        min_size=1,
        max_size=3,
        unique_by=(lambda p: p["name"], lambda p: p["port"]),  # type: ignore[arg-type]
    ),
)
quotas = st.builds(
    lambda q: (
        "/api/v1",
        "resourcequotas",
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {}, "spec": {"hard": {"requests.storage": q}}},
    ),
    quantities,
)
objects = st.one_of(config_maps, pods, deployments, services, quotas)


@pytest.fixture(scope="module")
def ask(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    tokens: Path = tmp_path_factory.mktemp("tokens") / "tokens.csv"
    tokens.write_text(TOKENS)
    with asyncio.Runner() as runner:

        async def start() -> ApiServer:
            found = ApiServer(
                SqliteBackend(None),
                Settings("127.0.0.1", 6443, ("10.96.0.0/16",), pki.service_account_key, pki.ca.cert, tokens),
            )
            await found.start()
            return found

        server = runner.run(start())
        client = Client(server.app)

        def call(method: str, path: str, body: Any = None, **more: Any) -> Answer:
            return runner.run(client.ask(method, path, body, **more))

        call("POST", "/api/v1/namespaces", {"metadata": {"name": "ns"}})
        call("POST", "/api/v1/namespaces/ns/serviceaccounts", {"metadata": {"name": "default"}})
        yield call
        runner.run(server.stop())


numbers = itertools.count()
many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def named(path: str, resource: str, obj: Object) -> tuple[str, str]:
    name = f"o{next(numbers)}"
    obj["metadata"]["name"] = name
    collection = f"{path}/namespaces/ns/{resource}"
    return collection, f"{collection}/{name}"


@many
@given(sample=objects)
def test_an_accepted_object_sent_back_unchanged_is_no_change(ask: Ask, sample: tuple[str, str, Object]) -> None:
    path, resource, obj = sample
    collection, one = named(path, resource, obj)
    made = ask("POST", collection, obj)
    assert made.code == 201, made.body
    read = ask("GET", one).json
    again = ask("PUT", one, read)
    assert again.code == 200, again.body
    assert again.json == read
    merged = ask("PATCH", one, read, content_type="application/merge-patch+json")
    assert merged.json == read
    ask("DELETE", one)


@many
@given(sample=objects)
def test_applying_twice_is_applying_once(ask: Ask, sample: tuple[str, str, Object]) -> None:
    path, resource, obj = sample
    _, one = named(path, resource, obj)
    query = f"{one}?fieldManager=m"
    first = ask("PATCH", query, obj, content_type="application/apply-patch+yaml")
    assert first.code == 201, first.body
    second = ask("PATCH", query, obj, content_type="application/apply-patch+yaml")
    assert second.json == first.json
    ask("DELETE", one)


@many
@given(first=some, second=some)
def test_appliers_of_different_fields_may_come_in_any_order(ask: Ask, first: Object, second: Object) -> None:
    second = {f"{k}2": v for k, v in second.items()}
    found = []
    for order in ((("one", first), ("two", second)), (("two", second), ("one", first))):
        name = f"o{next(numbers)}"
        path = f"/api/v1/namespaces/ns/configmaps/{name}"
        for manager, data in order:
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
            answer = ask("PATCH", f"{path}?fieldManager={manager}", body, content_type="application/apply-patch+yaml")
            assert answer.code in (200, 201), answer.body
        found.append(ask("GET", path).json.get("data"))
        ask("DELETE", path)
    assert found[0] == found[1]
