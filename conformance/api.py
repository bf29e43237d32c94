"""Objects of one namespace by plain requests: what a test makes, changes and waits for without kubectl."""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import quote

from conformance.kubelets import LABEL
from conformance.processes import eventually
from conformance.wire import Answer, Session, Wire

Object = dict[str, Any]

MERGE = "application/merge-patch+json"


class Api:
    """Resources are named by version and plural: `v1/pods`, `apps/v1/deployments`."""

    def __init__(self, wire: Wire, namespace: str) -> None:
        self._session = Session(wire)
        self._group = functools.cache(self._discover)
        self.wire = wire
        self.namespace = namespace

    def close(self) -> None:
        self._session.close()

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Answer:
        return self._session.request(method, path, body, content_type)

    def path(self, resource: str, name: str = "", subresource: str = "") -> str:
        version, plural = resource.rsplit("/", 1)
        root = f"/api/{version}" if version == "v1" else f"/apis/{version}"
        where = f"/namespaces/{self.namespace}" if self._group(root).get(plural, True) else ""
        return "/".join(part for part in (root + where, plural, name, subresource) if part)

    def _discover(self, root: str) -> dict[str, bool]:
        """Which resources of a group are in namespaces."""
        return {row["name"]: row["namespaced"] for row in self.request("GET", root).object.get("resources", ())}

    def create(self, resource: str, obj: Object) -> Object:
        return self._ok(self.request("POST", self.path(resource), obj))

    def get(self, resource: str, name: str) -> Object:
        return self._ok(self.request("GET", self.path(resource, name)))

    def find(self, resource: str, name: str) -> Object | None:
        """None when there is none."""
        answer = self.request("GET", self.path(resource, name))
        return None if answer.status == 404 else self._ok(answer)

    def list(self, resource: str, labels: str = "", fields: str = "") -> list[Object]:
        query = f"?labelSelector={quote(labels)}&fieldSelector={quote(fields)}"
        items: list[Object] = self._ok(self.request("GET", self.path(resource) + query))["items"]
        return items

    def patch(self, resource: str, name: str, change: Object, subresource: str = "") -> Object:
        return self._ok(self.request("PATCH", self.path(resource, name, subresource), change, MERGE))

    def delete(self, resource: str, name: str, **options: Any) -> None:
        self._ok(self.request("DELETE", self.path(resource, name), options or None))

    def status(self, resource: str, name: str) -> Object:
        found: Object = self.get(resource, name).get("status", {})
        return found

    def pods(self, app: str) -> list[Object]:
        """Those with the label `app` that are not being deleted, by name."""
        return [pod for pod in self.list("v1/pods", f"app={app}") if "deletionTimestamp" not in pod["metadata"]]

    def names(self, app: str) -> list[str]:
        return [pod["metadata"]["name"] for pod in self.pods(app)]

    def events(self, name: str) -> set[tuple[str, str]]:
        """Reasons and messages of the events about an object."""
        found = self.list("v1/events", fields=f"involvedObject.name={name}")
        return {(event["reason"], event["message"]) for event in found}

    def await_event(self, name: str, reason: str, message: str) -> None:
        try:
            eventually(lambda: (reason, message) in self.events(name), 15)
        except AssertionError:
            raise AssertionError(f"{(reason, message)} is not in {self.events(name)}") from None

    def await_condition(self, resource: str, name: str, kind: str, status: str, reason: str | None = None) -> Object:
        """The condition, once it has that status (and that reason)."""

        def found() -> Object | None:
            seen = condition(self.get(resource, name), kind)
            return seen if seen.get("status") == status and reason in (None, seen.get("reason")) else None

        try:
            return eventually(found, 20)
        except AssertionError:
            raise AssertionError(f"no {kind}={status} {reason or ''}: {self.status(resource, name)}") from None

    def await_status(self, resource: str, name: str, **fields: Any) -> Object:
        """The status, once it has these values; None stands for an absent field."""

        def found() -> Object | None:
            status = self.status(resource, name)
            return status if all(status.get(field) == value for field, value in fields.items()) else None

        try:
            return eventually(found, 20)
        except AssertionError:
            raise AssertionError(f"not {fields}: {self.status(resource, name)}") from None

    @staticmethod
    def _ok(answer: Answer) -> Object:
        assert answer.status < 300, answer.body.decode()
        found: Object = answer.object
        return found


def condition(obj: Object, kind: str) -> Object:
    """The condition of that type; empty where there is none."""
    found: list[Object] = obj.get("status", {}).get("conditions") or []
    return next((c for c in found if c["type"] == kind), {})


def pod_spec(image: str = "runs", **spec: Any) -> Object:
    """A pod for the played nodes."""
    containers = [{"name": "main", "image": image}]
    return {"containers": containers, "nodeSelector": {LABEL: "played"}, "terminationGracePeriodSeconds": 1, **spec}


def pod(name: str, image: str = "runs", labels: Object | None = None, **spec: Any) -> Object:
    return {"metadata": {"name": name, "labels": labels or {"app": name}}, "spec": pod_spec(image, **spec)}


def template(app: str, image: str = "runs", **spec: Any) -> Object:
    return {"metadata": {"labels": {"app": app}}, "spec": pod_spec(image, **spec)}


def workload(app: str, replicas: int, image: str = "runs", **spec: Any) -> Object:
    """What Deployments, ReplicaSets and StatefulSets have in common."""
    selector = {"matchLabels": {"app": app}}
    made = {"replicas": replicas, "selector": selector, "template": template(app, image), **spec}
    return {"metadata": {"name": app}, "spec": made}
