from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from nodeagent.server.auth import Gate, User, certificate_user, denial, subresources

ADMIN = {"subject": ((("organizationName", "system:masters"),), (("commonName", "kube-apiserver-kubelet-client"),))}


class Api:
    """Knows the token `good`, and grants whom and what it was told."""

    def __init__(self, *granted: tuple[str, str, str]) -> None:
        self.granted = granted
        self.calls: list[Mapping[str, Any]] = []

    async def __call__(self, path: str, review: Mapping[str, Any]) -> Mapping[str, Any]:
        self.calls.append(review)
        spec = review["spec"]
        if review["kind"] == "TokenReview":
            user = {"username": "robot", "groups": ["robots"], "extra": {"k": ["v"]}}
            return {"status": {"authenticated": True, "user": user} if spec["token"] == "good" else {}}
        wanted = spec["resourceAttributes"]
        assert (wanted["resource"], wanted["name"]) == ("nodes", "n")
        return {"status": {"allowed": (spec["user"], wanted["verb"], wanted["subresource"]) in self.granted}}


def test_a_certificate_names_a_user_and_groups() -> None:
    user = certificate_user(ADMIN)
    assert user == User("kube-apiserver-kubelet-client", ("system:masters", "system:authenticated"))
    assert certificate_user({"subject": ()}) is None


async def test_a_token_is_reviewed_once() -> None:
    api = Api()
    gate = Gate("n", api)
    for _ in range(2):
        user = await gate.user(None, "Bearer good")
    assert user == User("robot", ("robots", "system:authenticated"), "", {"k": ["v"]})
    assert len(api.calls) == 1


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer bad", "Basic Z29vZA=="])
async def test_others_are_nobody(header: str) -> None:
    assert await Gate("n", Api()).user(None, header) is None


async def test_access_is_asked_for_once() -> None:
    api = Api(("u", "get", "metrics"))
    gate = Gate("n", api)
    assert [await gate.allows(User("u"), "GET", "/metrics/resource") for _ in range(2)] == [True, True]
    assert [await gate.allows(User("u"), "POST", "/metrics") for _ in range(2)] == [False, False]
    assert len(api.calls) == 2


async def test_the_finer_permission_is_enough_and_so_is_proxy() -> None:
    assert await Gate("n", Api(("u", "get", "pods"))).allows(User("u"), "GET", "/pods")
    assert await Gate("n", Api(("u", "get", "proxy"))).allows(User("u"), "GET", "/pods")
    assert not await Gate("n", Api(("u", "get", "pods"))).allows(User("u"), "GET", "/exec/ns/pod/c")


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/stats/summary", ["stats"]),
        ("/metrics", ["metrics"]),
        ("/metricsx", ["proxy"]),
        ("/logs/", ["log"]),
        ("/pods", ["pods", "proxy"]),
        ("/runningpods/", ["pods", "proxy"]),
        ("/healthz", ["healthz", "proxy"]),
        ("/configz", ["configz", "proxy"]),
        ("/containerLogs/ns/pod/c", ["proxy"]),
        ("/exec/ns/pod/c", ["proxy"]),
    ],
)
def test_what_a_path_takes(path: str, wanted: list[str]) -> None:
    assert list(subresources(path)) == wanted


def test_a_denial_tells_what_was_missing() -> None:
    text = denial(User("u"), "GET", "/pods", "n")
    assert text == "Forbidden (user=u, verb=get, resource=nodes, subresource(s)=[pods proxy])"
