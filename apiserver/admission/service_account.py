"""Gives pods their service account, its image pull secrets and a volume with its token.

Follows: plugin/pkg/admission/serviceaccount/admission.go
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from apiserver.admission.lookup import Lookup, fact
from apiserver.admission.plugin import CREATE, UPDATE, Attributes, Plugin, forbidden
from apiserver.storage.store import Store
from openapi.catalog import Catalog, GroupResource
from openapi.meta.randoms import random_letters

Object = dict[str, Any]

DEFAULT = "default"
MIRROR = "kubernetes.io/config.mirror"
ENFORCE = "kubernetes.io/enforce-mountable-secrets"
TOKEN_VOLUME = "kube-api-access-"
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_SECONDS = 3607
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_ATTEMPTS = 10
"""How often the default account is looked for: it is made by a controller soon after its namespace."""


class _Account(NamedTuple):
    automount: bool | None
    pull_secrets: tuple[str, ...]
    mountable: frozenset[str] | None
    """The only secrets that pods may use; None where that is not enforced."""


class ServiceAccount(Plugin):
    name = "ServiceAccount"
    resources = frozenset((GroupResource("", "pods"),))
    subresources = frozenset(("", "ephemeralcontainers"))
    operations = frozenset((CREATE, UPDATE))

    def __init__(self, store: Store, catalog: Catalog, *, retry_s: float = 0.1) -> None:
        self._accounts = Lookup(store, catalog, "", "serviceaccounts")
        self._retry_s = retry_s

    async def mutate(self, attributes: Attributes) -> None:
        if attributes.operation != CREATE or attributes.subresource:
            return
        pod = attributes.obj
        assert pod is not None
        spec = pod.setdefault("spec", {})
        if _is_mirror(pod):
            _check_mirror(attributes, spec)
            return
        name = spec.get("serviceAccountName") or DEFAULT
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = await self._account(attributes, name)
        automount = spec.get("automountServiceAccountToken")
        if automount is None:
            automount = account.automount
        if automount is not False:
            _mount_token(spec)
        if account.pull_secrets and not spec.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [{"name": secret} if secret else {} for secret in account.pull_secrets]

    async def validate(self, attributes: Attributes) -> None:
        if attributes.operation == UPDATE and attributes.subresource != "ephemeralcontainers":
            return
        pod = attributes.obj
        assert pod is not None
        spec = pod["spec"]
        if attributes.operation == CREATE and _is_mirror(pod):
            _check_mirror(attributes, spec)
            return
        name = spec.get("serviceAccountName", "")
        if not name:
            if attributes.operation == UPDATE:
                return
            where = f"{attributes.namespace}/{pod['metadata'].get('name', '')}"
            raise forbidden(attributes, f"no service account specified for pod {where}")
        account = await self._account(attributes, name)
        if account.mountable is None:
            return
        if attributes.operation == UPDATE:
            found = _ephemeral_problem(spec, name, account.mountable)
        else:
            found = _secret_problem(spec, name, account)
        if found:
            raise forbidden(attributes, found)

    async def _account(self, attributes: Attributes, name: str) -> _Account:
        namespace = attributes.namespace
        entry = self._accounts.cached(namespace, name)
        for attempt in range(_ATTEMPTS if name == DEFAULT else 1):
            if entry is not None:
                break
            if attempt:
                await asyncio.sleep(self._retry_s * (1 + random.random()))
            entry = await self._accounts.live(namespace, name)
        if entry is None:
            why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
            raise forbidden(attributes, why)
        return fact(entry, "admission.account", _read)


def _read(account: Object) -> _Account:
    mountable = None
    if (account["metadata"].get("annotations") or {}).get(ENFORCE) in _TRUE:
        mountable = frozenset(s.get("name", "") for s in account.get("secrets") or ())
    pulls = tuple(s.get("name", "") for s in account.get("imagePullSecrets") or ())
    return _Account(account.get("automountServiceAccountToken"), pulls, mountable)


# -- tokens ----------------------------------------------------------------------------------------------------


def _mount_token(spec: Object) -> None:
    """Mount the token into all containers that have nothing else in its place."""
    volumes = spec.get("volumes") or []
    known = next((v for v in volumes if v.get("projected") and v.get("name", "").startswith(TOKEN_VOLUME)), None)
    name = known["name"] if known else TOKEN_VOLUME + random_letters(5)
    needed = False
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or ():
            mounts = container.get("volumeMounts") or []
            if any(mount.get("mountPath") == TOKEN_PATH for mount in mounts):
                continue
            mount = {"name": name, "readOnly": True, "mountPath": TOKEN_PATH}
            container["volumeMounts"] = [*mounts, mount]
            needed = True
    if needed and known is None:
        spec["volumes"] = [*volumes, _token_volume(name)]


def _token_volume(name: str) -> Object:
    return {
        "name": name,
        "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {
                    "downwardAPI": {
                        "items": [
                            {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
                        ]
                    }
                },
            ],
            "defaultMode": 0o644,
        },
    }


# -- mirror pods -----------------------------------------------------------------------------------------------


def _is_mirror(pod: Object) -> bool:
    annotations = pod["metadata"].get("annotations")
    return bool(annotations) and MIRROR in annotations


def _check_mirror(attributes: Attributes, spec: Object) -> None:
    """Mirror pods of a node's own files may not reach into the API."""
    if spec.get("serviceAccountName"):
        raise forbidden(attributes, "a mirror pod may not reference service accounts")
    if any(True for _ in secret_names(spec)):
        raise forbidden(attributes, "a mirror pod may not reference secrets")
    for volume in spec.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if source.get("serviceAccountToken") is not None:
                raise forbidden(attributes, "a mirror pod may not use ServiceAccountToken volume projections")


_VOLUME_SECRETS = (
    ("azureFile", "secretName"),
    ("secret", "secretName"),
    ("cephfs", "secretRef"),
    ("cinder", "secretRef"),
    ("flexVolume", "secretRef"),
    ("rbd", "secretRef"),
    ("scaleIO", "secretRef"),
    ("iscsi", "secretRef"),
    ("storageos", "secretRef"),
    ("csi", "nodePublishSecretRef"),
)


def secret_names(spec: Object) -> Iterator[str]:
    """The names of all secrets that a pod refers to."""
    for reference in spec.get("imagePullSecrets") or ():
        yield reference.get("name", "")
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            yield from _container_secrets(container)
    for volume in spec.get("volumes") or ():
        for kind, field in _VOLUME_SECRETS:
            reference = (volume.get(kind) or {}).get(field)
            if reference:
                yield reference if isinstance(reference, str) else reference.get("name", "")
        for source in (volume.get("projected") or {}).get("sources") or ():
            if source.get("secret") is not None:
                yield source["secret"].get("name", "")


def _container_secrets(container: Object) -> Iterator[str]:
    for source in container.get("envFrom") or ():
        if source.get("secretRef") is not None:
            yield source["secretRef"].get("name", "")
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
        if reference is not None:
            yield reference.get("name", "")


# -- accounts that name the secrets their pods may use --------------------------------------------------------


def _not_allowed(what: str, secret: str, account: str) -> str:
    return (
        f'{what} referencing secret.secretName="{secret}" is not allowed because service account {account} '
        "does not reference that secret"
    )


def _secret_problem(spec: Object, name: str, account: _Account) -> str:
    """The first secret that is not among the account's; '' if there is none."""
    assert account.mountable is not None
    for volume in spec.get("volumes") or ():
        secret = (volume.get("secret") or {}).get("secretName")
        if volume.get("secret") is not None and secret not in account.mountable:
            return (
                f'volume with secret.secretName="{secret or ""}" is not allowed because service account {name} '
                "does not reference that secret"
            )
    for field, word in (("initContainers", "init container"), ("containers", "container")):
        found = _environment_problem(spec.get(field) or (), word, name, account.mountable)
        if found:
            return found
    for i, reference in enumerate(spec.get("imagePullSecrets") or ()):
        secret = reference.get("name", "")
        if secret not in account.pull_secrets:
            return (
                f'imagePullSecrets[{i}].name="{secret}" is not allowed because service account {name} '
                "does not reference that imagePullSecret"
            )
    return ""


def _ephemeral_problem(spec: Object, name: str, mountable: frozenset[str]) -> str:
    return _environment_problem(spec.get("ephemeralContainers") or (), "ephemeral container", name, mountable)


def _environment_problem(containers: Any, word: str, account: str, mountable: frozenset[str]) -> str:
    for container in containers:
        who = f"{word} {container.get('name', '')} with"
        for source in container.get("envFrom") or ():
            secret = (source.get("secretRef") or {}).get("name", "")
            if source.get("secretRef") is not None and secret not in mountable:
                return _not_allowed(f"{who} envFrom", secret, account)
        for variable in container.get("env") or ():
            reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
            if reference is not None and reference.get("name", "") not in mountable:
                return _not_allowed(f"{who} envVar {variable.get('name', '')}", reference.get("name", ""), account)
    return ""
