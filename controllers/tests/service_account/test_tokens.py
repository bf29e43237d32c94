"""What a token Secret lacks, and when an old one has served its time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controllers.runtime.kinds import SERVICE_ACCOUNTS
from controllers.service_account.token_cleaner import (
    INVALID_SINCE,
    LAST_USED,
    LegacyTokenCleaner,
    Verdict,
    judge,
    secrets_of_pod,
)
from controllers.service_account.tokens import lacking
from controllers.tests.scripted import Server

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ACCOUNT = {"metadata": {"name": "a", "uid": "u"}, "secrets": [{"name": "s"}]}


def secret(age_days: int = 800, **labels: str) -> dict[str, Any]:
    created = (NOW - timedelta(days=age_days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"metadata": {"name": "s", "namespace": "n", "creationTimestamp": created, "labels": labels}}


def days_ago(count: int) -> str:
    return (NOW - timedelta(days=count)).date().isoformat()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, {"token", "namespace", "ca.crt"}),
        ({"token": "x", "namespace": "x", "ca.crt": "ca"}, set()),
        ({"token": "x", "namespace": "x", "ca.crt": "old"}, {"ca.crt"}),
    ],
    ids=["empty", "full", "old-certificate"],
)
def test_what_a_secret_lacks(data: dict[str, str], expected: set[str]) -> None:
    assert lacking({"data": data}, "ca") == expected


@pytest.mark.parametrize(
    ("labels", "mounted", "expected"),
    [
        ({}, frozenset(), Verdict.MARK),
        ({LAST_USED: days_ago(10)}, frozenset(), Verdict.KEEP),
        ({LAST_USED: "yesterday"}, frozenset(), Verdict.KEEP),
        ({LAST_USED: days_ago(400)}, frozenset({"s"}), Verdict.KEEP),
        ({LAST_USED: days_ago(900), INVALID_SINCE: days_ago(10)}, frozenset(), Verdict.KEEP),
        ({LAST_USED: days_ago(900), INVALID_SINCE: days_ago(400)}, frozenset(), Verdict.DELETE),
    ],
    ids=["never-used", "used-lately", "unreadable", "mounted", "marked-lately", "marked-long-ago"],
)
def test_unused_tokens_are_marked_then_deleted(
    labels: dict[str, str], mounted: frozenset[str], expected: Verdict
) -> None:
    assert judge(secret(**labels), ACCOUNT, mounted, NOW) is expected


def test_secret_that_its_account_does_not_list_is_kept() -> None:
    assert judge(secret(), {**ACCOUNT, "secrets": []}, frozenset(), NOW) is Verdict.KEEP


def test_secrets_of_a_pod_are_found_wherever_they_are() -> None:
    pod = {
        "spec": {
            "imagePullSecrets": [{"name": "pull"}],
            "volumes": [
                {"name": "v", "secret": {"secretName": "mounted"}},
                {"name": "p", "projected": {"sources": [{"secret": {"name": "projected"}}]}},
                {"name": "c", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "published"}}},
            ],
            "containers": [
                {
                    "name": "c",
                    "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "key", "key": "k"}}}],
                    "envFrom": [{"secretRef": {"name": "all"}}],
                }
            ],
        }
    }
    assert secrets_of_pod(pod) == {"pull", "mounted", "projected", "published", "key", "all"}


async def test_old_tokens_are_marked_and_later_deleted_once_their_use_was_tracked_for_long_enough() -> None:
    server = Server()
    server.now = NOW
    cleaner = LegacyTokenCleaner(server.runtime())
    cleaner.store(SERVICE_ACCOUNTS).put(
        {"metadata": {**ACCOUNT["metadata"], "namespace": "n"}, "secrets": [{"name": "s"}]}
    )
    old = secret()
    old["metadata"] |= {"uid": "s", "resourceVersion": "7", "annotations": {"kubernetes.io/service-account.name": "a"}}
    cleaner.secrets.put(old)
    tracking = "/api/v1/namespaces/kube-system/configmaps/kube-apiserver-legacy-service-account-token-tracking"
    server.objects[tracking] = {"metadata": {}, "data": {"since": days_ago(365)}}
    await cleaner.sweep()
    assert server.calls == []
    server.wait(24 * 3600)
    await cleaner.sweep()
    [(method, path, patch)] = server.calls
    assert (method, path) == ("PATCH", "/api/v1/namespaces/n/secrets/s")
    assert patch["metadata"] == {"uid": "s", "labels": {INVALID_SINCE: days_ago(-1)}}
    cleaner.secrets.put({**old, "metadata": {**old["metadata"], "labels": {INVALID_SINCE: days_ago(-1)}}})
    server.wait(366 * 24 * 3600)
    await cleaner.sweep()
    method, path, options = server.calls[-1]
    assert (method, path, options["preconditions"]) == (
        "DELETE",
        "/api/v1/namespaces/n/secrets/s",
        {"resourceVersion": "7"},
    )
