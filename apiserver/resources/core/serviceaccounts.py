"""ServiceAccounts: names of secrets only, and a warning of an annotation that is going away.

Follows: pkg/registry/core/serviceaccount/strategy.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.core import columns
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.strategy import Object, Strategy, WriteContext
from openapi.meta import names
from openapi.meta.field import FieldError

ENFORCE_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"
_ENFORCE_WARNING = (
    f"metadata.annotations[{ENFORCE_MOUNTABLE}]: deprecated in v1.32+; prefer separate namespaces to isolate access to "
    "mounted secrets"
)


class ServiceAccounts(Strategy):
    returns_deleted = True
    columns = columns.SERVICE_ACCOUNT

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        secrets = obj.get("secrets")
        if secrets:
            obj["secrets"] = [{"name": secret["name"]} if secret.get("name") else {} for secret in secrets]

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        yield from validate_object_meta(obj["metadata"], namespaced=True, name=names.name_is_dns_subdomain)

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        if ENFORCE_MOUNTABLE not in (obj["metadata"].get("annotations") or ()):
            return ()
        if old is not None and ENFORCE_MOUNTABLE in (old["metadata"].get("annotations") or ()):
            return ()
        return (_ENFORCE_WARNING,)

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta = obj["metadata"]
        return [meta["name"], age(meta.get("creationTimestamp"), now)]
