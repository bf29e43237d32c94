from __future__ import annotations

import pytest

from apiserver.request import parse


@pytest.mark.parametrize(
    ("method", "path", "query", "verb", "namespace", "resource", "name", "subresource"),
    [
        ("GET", "/api/v1/pods", "", "list", "", "pods", "", ""),
        ("GET", "/api/v1/pods", "watch=1", "watch", "", "pods", "", ""),
        ("GET", "/api/v1/pods", "watch=false", "list", "", "pods", "", ""),
        ("GET", "/api/v1/watch/namespaces/x/pods", "", "watch", "x", "pods", "", ""),
        ("GET", "/api/v1/namespaces/x/pods/a", "", "get", "x", "pods", "a", ""),
        ("HEAD", "/api/v1/namespaces/x/pods/a", "", "get", "x", "pods", "a", ""),
        ("POST", "/api/v1/namespaces/x/pods/a/binding", "", "create", "x", "pods", "a", "binding"),
        ("GET", "/api/v1/namespaces/x", "", "get", "x", "namespaces", "x", ""),
        ("PUT", "/api/v1/namespaces/x/finalize", "", "update", "x", "namespaces", "x", "finalize"),
        ("GET", "/api/v1/namespaces", "", "list", "", "namespaces", "", ""),
        ("DELETE", "/apis/apps/v1/namespaces/x/deployments", "", "deletecollection", "x", "deployments", "", ""),
        ("DELETE", "/apis/apps/v1/namespaces/x/deployments/d", "", "delete", "x", "deployments", "d", ""),
        ("PATCH", "/apis/apps/v1/namespaces/x/deployments/d/scale", "", "patch", "x", "deployments", "d", "scale"),
        ("GET", "/api/v1/namespaces//pods", "", "list", "", "pods", "", ""),
    ],
)
def test_a_path_tells_what_is_asked_for(
    method: str, path: str, query: str, verb: str, namespace: str, resource: str, name: str, subresource: str
) -> None:
    info = parse(method, path, query.encode())
    at = info.at
    assert at.is_resource
    assert (info.verb, at.namespace, at.resource, at.name, at.subresource) == (
        verb,
        namespace,
        resource,
        name,
        subresource,
    )


@pytest.mark.parametrize("path", ["/", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/healthz"])
def test_other_paths_are_no_resources(path: str) -> None:
    info = parse("GET", path, b"")
    assert not info.at.is_resource
    assert info.verb == "get"


def test_what_follows_a_proxy_is_kept() -> None:
    at = parse("GET", "/api/v1/namespaces/x/services/s:80/proxy/a/b", b"").at
    assert (at.name, at.subresource, at.trailing) == ("s:80", "proxy", "a/b")


def test_query_parameters_may_repeat() -> None:
    info = parse("GET", "/api/v1/pods", b"dryRun=All&dryRun=Some&pretty=&x=a%20b")
    assert info.query["dryRun"] == ["All", "Some"]
    assert info.first("x") == "a b"
    assert info.flag("pretty")
    assert not info.flag("absent")
