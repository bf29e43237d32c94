"""Gives every active namespace a service account called `default`.

Follows: pkg/controller/serviceaccount/serviceaccounts_controller.go
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from controllers.runtime.controller import Controller, For, Requeue, Watches
from controllers.runtime.errors import AlreadyExists, ApiError
from controllers.runtime.informer import Change
from controllers.runtime.kinds import NAMESPACES, SERVICE_ACCOUNTS
from controllers.runtime.objects import Key, namespace_of

DEFAULT = "default"
NAMESPACE_TERMINATING = "NamespaceTerminating"


class ServiceAccountController(Controller):
    name = "serviceaccount-controller"
    account = "service-account-controller"

    def account_deleted(self, change: Change) -> Iterable[Key]:
        is_default = change.obj["metadata"]["name"] == DEFAULT
        return (Key("", namespace_of(change.obj)),) if change.type == "DELETED" and is_default else ()

    watches: ClassVar = (
        For(NAMESPACES, when=lambda change: change.type != "DELETED"),
        Watches(SERVICE_ACCOUNTS, account_deleted),
    )

    async def reconcile(self, key: Key) -> Requeue | None:
        namespace = self.store(NAMESPACES).get("", key.name)
        if namespace is None or (namespace.get("status") or {}).get("phase") != "Active":
            return None
        if self.store(SERVICE_ACCOUNTS).get(key.name, DEFAULT) is not None:
            return None
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": DEFAULT, "namespace": key.name}}
        try:
            await self.client.create(SERVICE_ACCOUNTS, account)
        except AlreadyExists:
            return None
        except ApiError as error:
            if not error.has_cause(NAMESPACE_TERMINATING):
                raise
        return None
