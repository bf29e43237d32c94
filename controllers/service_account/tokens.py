"""Fills Secrets of type service-account-token, and removes them with their account.

Follows: pkg/controller/serviceaccount/tokens_controller.go
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import ClassVar

from controllers.runtime.controller import Controller, Requeue, Runtime, Watches
from controllers.runtime.errors import Conflict, NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import SECRETS, SERVICE_ACCOUNTS
from controllers.runtime.objects import Key, Object, View, annotations_of, copy_of, key_of, name_of, uid_of
from controllers.service_account.legacy_token import Signer, legacy_claims

TYPE = "kubernetes.io/service-account-token"
NAME_KEY = "kubernetes.io/service-account.name"
UID_KEY = "kubernetes.io/service-account.uid"
TOKEN, NAMESPACE, ROOT_CA = "token", "namespace", "ca.crt"
_BY_ACCOUNT = "account"
MAX_TRIES = 10


def account_of(secret: View) -> tuple[str, str]:
    """Name and uid of the account that a token Secret is for; '' where it does not say."""
    annotations = annotations_of(secret)
    return annotations.get(NAME_KEY, ""), annotations.get(UID_KEY, "")


def lacking(secret: View, root_ca: str) -> set[str]:
    """The keys of the Secret's data that must be written. `root_ca` is base64; '' leaves the certificate out."""
    data = secret.get("data") or {}
    found = {key for key in (TOKEN, NAMESPACE) if not data.get(key)}
    if root_ca and data.get(ROOT_CA) != root_ca:
        found.add(ROOT_CA)
    return found


class TokenController(Controller):
    name = "serviceaccount-token-controller"

    def account_changed(self, change: Change) -> Iterable[Key]:
        """A change of an account concerns its Secrets."""
        if change.type == "MODIFIED" and change.old is not None and uid_of(change.old) == uid_of(change.obj):
            return ()
        return [key_of(secret) for secret in self._secrets.by_index(_BY_ACCOUNT, str(key_of(change.obj)))]

    watches: ClassVar = (Watches(SERVICE_ACCOUNTS, account_changed),)

    def __init__(self, runtime: Runtime, signer: Signer, root_ca: bytes) -> None:
        informer = runtime.informers.filtered(SECRETS, f"type={TYPE}")
        self._secrets = informer.store
        self._secrets.add_index(_BY_ACCOUNT, lambda secret: (str(key_of(secret)._replace(name=account_of(secret)[0])),))
        self._lost: dict[Key, tuple[str, str]] = {}
        super().__init__(runtime)
        self._signer = signer
        self._root_ca = base64.b64encode(root_ca).decode()
        informer.add_handler(self._secret_changed)

    def _secret_changed(self, change: Change) -> None:
        if change.type == "DELETED":
            self._lost[key_of(change.obj)] = account_of(change.obj)
        self.queue.add(key_of(change.obj))

    async def reconcile(self, key: Key) -> Requeue | None:
        lost = self._lost.pop(key, None)
        secret = self._secrets.get(*key)
        if secret is None:
            if lost is not None and lost[0]:
                await self._remove_reference(key, *lost)
            return None
        name, uid = account_of(secret)
        if not name:
            return None
        account = await self._account(key.namespace, name, uid)
        if account is None:
            await self._delete(secret)
        elif lacking(secret, self._root_ca):
            await self._fill(secret, account)
        return None

    async def _account(self, namespace: str, name: str, uid: str) -> View | None:
        """The account by that name, and uid if one is said, as the store or else the server knows it."""
        account: View | None = self.store(SERVICE_ACCOUNTS).get(namespace, name)
        if account is None or uid not in ("", uid_of(account)):
            try:
                account = await self.client.get(SERVICE_ACCOUNTS, namespace, name)
            except NotFound:
                return None
        return account if uid in ("", uid_of(account)) else None

    async def _fill(self, secret: View, account: View) -> None:
        filled: Object = copy_of(secret)
        data = filled.setdefault("data", {})
        needed = lacking(secret, self._root_ca)
        if ROOT_CA in needed:
            data[ROOT_CA] = self._root_ca
        if NAMESPACE in needed:
            data[NAMESPACE] = base64.b64encode(key_of(secret).namespace.encode()).decode()
        if TOKEN in needed:
            token = self._signer.sign(legacy_claims(account, secret))
            data[TOKEN] = base64.b64encode(token.encode()).decode()
        filled["metadata"].setdefault("annotations", {}).update({NAME_KEY: name_of(account), UID_KEY: uid_of(account)})
        try:
            await self.client.update(SECRETS, filled)
        except (Conflict, NotFound):
            # What came in between is reported, and calls for the Secret again.
            return

    async def _delete(self, secret: View) -> None:
        try:
            await self.client.delete(SECRETS, *key_of(secret), uid=uid_of(secret))
        except (Conflict, NotFound):
            return

    async def _remove_reference(self, key: Key, name: str, uid: str) -> None:
        """Take a Secret that is gone out of its account's list."""
        account: Object | None = self.store(SERVICE_ACCOUNTS).get(key.namespace, name)
        for _ in range(MAX_TRIES):
            if account is None or uid not in ("", uid_of(account)):
                return
            secrets = account.get("secrets") or []
            kept = [reference for reference in secrets if reference.get("name") != key.name]
            if len(kept) == len(secrets):
                return
            try:
                await self.client.update(SERVICE_ACCOUNTS, {**account, "secrets": kept})
            except NotFound:
                return
            except Conflict:
                account = await self._fresh(key.namespace, name)
            else:
                return

    async def _fresh(self, namespace: str, name: str) -> Object | None:
        try:
            return await self.client.get(SERVICE_ACCOUNTS, namespace, name)
        except NotFound:
            return None
