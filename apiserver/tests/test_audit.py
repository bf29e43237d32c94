"""The audit log: which events a policy lets through, and what they say."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from apiserver.app import ApiServer, Settings
from apiserver.audit.policy import Policy, read_policy
from apiserver.auth.attributes import Attributes
from apiserver.resources.strategy import User
from apiserver.storage.sqlite import SqliteBackend
from apiserver.tests.conftest import TOKENS, Client
from cluster.pki import Pki

MAPS = "/api/v1/namespaces/ns/configmaps"
POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- {level: RequestResponse, verbs: [create], resources: [{group: "", resources: [configmaps]}]}
- {level: Metadata, resources: [{group: "", resources: [configmaps]}], omitStages: []}
- {level: Metadata, nonResourceURLs: ["/healthz*"]}
- {level: None}
"""


@pytest.fixture
async def audited(pki: Pki, tmp_path: Path) -> AsyncIterator[tuple[Client, Callable[[], list[Any]]]]:
    tokens, policy, log = tmp_path / "tokens.csv", tmp_path / "policy.yaml", tmp_path / "audit.log"
    tokens.write_text(TOKENS)
    policy.write_text(POLICY)
    settings = Settings(
        "127.0.0.1", 6443, ("10.96.0.0/16",), pki.service_account_key, pki.ca.cert, tokens,
        audit_policy=policy, audit_log=str(log),
    )  # fmt: skip
    server = ApiServer(SqliteBackend(None), settings)
    await server.start()
    client = Client(server.app)
    await client.create("/api/v1/namespaces", {"metadata": {"name": "ns"}})

    def events() -> list[Any]:
        found = [json.loads(line) for line in log.read_text().splitlines()]
        log.write_text("")
        return found

    yield client, events
    await server.stop()


async def test_events_say_who_asked_for_what_and_what_came_of_it(audited: Any) -> None:
    client, events = audited
    await client.create(MAPS, {"metadata": {"name": "a"}, "data": {"k": "v"}})
    (event,) = events()
    assert {k: event[k] for k in ("kind", "apiVersion", "level", "stage", "verb", "requestURI", "userAgent")} == {
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "stage": "ResponseComplete",
        "verb": "create", "requestURI": MAPS, "userAgent": "tests/1.0",
    }  # fmt: skip
    assert event["user"] == {"username": "admin", "uid": "1", "groups": ["system:masters", "system:authenticated"]}
    assert event["objectRef"] == {"resource": "configmaps", "namespace": "ns", "apiVersion": "v1"}
    assert event["requestObject"]["data"] == {"k": "v"}
    assert event["responseObject"]["metadata"]["uid"] and "managedFields" not in event["responseObject"]["metadata"]
    assert (event["responseStatus"]["code"], event["annotations"]["authorization.k8s.io/decision"]) == (201, "allow")

    await client.as_("nobody-token").ask("GET", f"{MAPS}/a")
    (event,) = events()
    assert event["level"] == "Metadata" and "responseObject" not in event
    assert (event["responseStatus"]["reason"], event["responseStatus"]["code"]) == ("Forbidden", 403)
    assert event["annotations"]["authorization.k8s.io/decision"] == "forbid"

    await client.ask("GET", f"{MAPS}?watch=1&timeoutSeconds=1&resourceVersion=0")
    assert [each["stage"] for each in events()] == ["ResponseStarted", "ResponseComplete"]
    await client.ask("GET", "/healthz/ping")
    await client.ask("GET", "/api/v1/namespaces/ns/secrets")
    assert [each["requestURI"] for each in events()] == ["/healthz/ping"]


ANN = User("ann", groups=("g",))


@pytest.mark.parametrize(
    ("rule", "asked", "matches"),
    [
        ({"users": ["ann"]}, Attributes(ANN, "get"), True),
        ({"userGroups": ["h"]}, Attributes(ANN, "get"), False),
        ({"verbs": ["list"]}, Attributes(ANN, "get"), False),
        ({"namespaces": ["a"]}, Attributes(ANN, "get", resource="pods", namespace="a"), True),
        ({"namespaces": ["a"]}, Attributes(ANN, "get", path="/x", is_resource=False), False),
        ({"resources": [{"group": "apps"}]}, Attributes(ANN, "get", "apps", "v1", "deployments", "status"), True),
        ({"resources": [{"resources": ["pods"]}]}, Attributes(ANN, "get", "", "v1", "pods", "log"), False),
        ({"resources": [{"resources": ["*/log"]}]}, Attributes(ANN, "get", "", "v1", "pods", "log"), True),
        ({"resources": [{"resources": ["pods"], "resourceNames": ["a"]}]},
         Attributes(ANN, "get", "", "v1", "pods", name="b"), False),
        ({"nonResourceURLs": ["/api*"]}, Attributes(ANN, "get", path="/apis/x", is_resource=False), True),
    ],
)  # fmt: skip
def test_rules_match_by_all_that_they_name(rule: dict[str, Any], asked: Attributes, matches: bool) -> None:
    policy = Policy({"rules": [{"level": "Metadata", **rule}]})
    assert (policy.verdict(asked).level == "Metadata") == matches


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kind: Pod", "not a Policy"),
        ("apiVersion: audit.k8s.io/v1\nkind: Policy", "0 rules"),
        ("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: All}]", r"rules\[0\].level"),
    ],
)
def test_what_is_no_policy_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "p").write_text(text)
    with pytest.raises(ValueError, match=problem):
        read_policy(tmp_path / "p")
