"""The authorizer of policies: `authorizer.group('apps').resource('deployments').check('create').allowed()`.

A check is the text of a request; who runs the expression passes an authorizer with its answers in `Checks`.
Follows: staging/src/k8s.io/apiserver/pkg/cel/library/authz.go
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import orjson

from openapi.cel.libraries.declaring import T, alias, function, method, overload
from openapi.cel.messages import Pool

PACKAGE = "kubernetes.authorization."
AUTHORIZER = PACKAGE + "Authorizer"
RESOURCE_CHECK = PACKAGE + "ResourceCheck"

Check = Callable[[dict[str, str]], tuple[bool, str]]
"""Whether a request is allowed, and why. Keys: path, group, resource, subresource, namespace, name, verb, account."""

checks: ContextVar[Check | None] = ContextVar("checks", default=None)
"""Who decides while an expression runs."""


def _decide(request: dict[str, str]) -> tuple[bool, str]:
    check = checks.get()
    if check is None:
        raise ValueError("no authorizer is available here")
    return check(request)


def declare(pool: Pool) -> list[Any]:
    kinds = {n: T(PACKAGE + n) for n in ("Authorizer", "PathCheck", "GroupCheck", "ResourceCheck", "Decision")}
    classes = {name: pool.message_class(PACKAGE + name) for name in kinds}

    def step(name: str, receiver: str, result: str, key: str) -> Any:
        """A method that adds one fact to the request."""

        def run(value: Any, text: str) -> Any:
            request = orjson.loads(value.text) if value.text else {}
            return classes[result](text=orjson.dumps({**request, key: text}).decode())

        return overload(f"{receiver}_{name}".lower(), (kinds[receiver], T.STRING), kinds[result], run, member=True)

    def account(value: Any, namespace: str, name: str) -> Any:
        request = orjson.loads(value.text) if value.text else {}
        user = f"system:serviceaccount:{namespace}:{name}"
        return classes["Authorizer"](text=orjson.dumps({**request, "account": user}).decode())

    def check(value: Any, verb: str) -> Any:
        allowed, reason = _decide({**orjson.loads(value.text), "verb": verb})
        return classes["Decision"](text=orjson.dumps({"allowed": allowed, "reason": reason}).decode())

    def answer(key: str) -> Callable[[Any], Any]:
        return lambda decision: orjson.loads(decision.text)[key]

    return [
        function("path", step("path", "Authorizer", "PathCheck", "path")),
        function("group", step("group", "Authorizer", "GroupCheck", "group")),
        function("resource", step("resource", "GroupCheck", "ResourceCheck", "resource")),
        function("subresource", step("subresource", "ResourceCheck", "ResourceCheck", "subresource")),
        function("namespace", step("namespace", "ResourceCheck", "ResourceCheck", "namespace")),
        function("name", step("name", "ResourceCheck", "ResourceCheck", "name")),
        function("fieldSelector", step("fieldSelector", "ResourceCheck", "ResourceCheck", "fieldSelector")),
        function("labelSelector", step("labelSelector", "ResourceCheck", "ResourceCheck", "labelSelector")),
        method(
            "serviceAccount", "authorizer_service_account", (kinds["Authorizer"], T.STRING, T.STRING),
            kinds["Authorizer"], account,
        ),
        function(
            "check",
            overload("pathcheck_check", (kinds["PathCheck"], T.STRING), kinds["Decision"], check, member=True),
            alias("resourcecheck_check", (kinds["ResourceCheck"], T.STRING), kinds["Decision"]),
        ),
        method("allowed", "decision_allowed", (kinds["Decision"],), T.BOOL, answer("allowed")),
        method("reason", "decision_reason", (kinds["Decision"],), T.STRING, answer("reason")),
        method("errored", "decision_errored", (kinds["Decision"],), T.BOOL, lambda decision: False),
        method("error", "decision_error", (kinds["Decision"],), T.STRING, lambda decision: ""),
    ]  # fmt: skip
