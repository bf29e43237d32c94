"""What expressions of webhooks and policies ask the authorizer.

Follows: staging/src/k8s.io/apiserver/pkg/cel/library/authz.go
"""

from __future__ import annotations

from collections.abc import Mapping

from apiserver.auth.attributes import AUTHENTICATED, Attributes
from apiserver.auth.service_accounts import GROUP, PREFIX
from apiserver.resources.strategy import User


def attributes_of(user: User, request: Mapping[str, str]) -> Attributes:
    """The question that `request` puts (keys as of the library's `Check`), about `user` or the account it names."""
    account = request.get("account", "")
    if account:
        namespace = account.removeprefix(PREFIX).partition(":")[0]
        user = User(account, groups=(GROUP, f"{GROUP}:{namespace}", AUTHENTICATED))
    verb, path = request["verb"], request.get("path")
    if path is not None:
        return Attributes(user, verb, path=path, is_resource=False)
    return Attributes(
        user,
        verb,
        request.get("group", ""),
        request.get("version", "*"),
        request.get("resource", ""),
        request.get("subresource", ""),
        request.get("namespace", ""),
        request.get("name", ""),
        field_selector=request.get("fieldSelector", ""),
        label_selector=request.get("labelSelector", ""),
    )
