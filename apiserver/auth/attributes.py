"""What an authorizer is asked: who wants to do what to which resource or path, and the refusal in the API's words."""

from __future__ import annotations

from typing import NamedTuple

from apiserver.resources.strategy import User
from openapi.meta import status
from openapi.meta.field import quote
from openapi.meta.status import StatusError

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
ANONYMOUS = "system:anonymous"
NODES = "system:nodes"


class Attributes(NamedTuple):
    """One question. A tuple rather than a dataclass, since one is made for every request.

    For a resource: `group` to `name`, with the selectors of a list, watch or deletecollection as they were sent.
    Otherwise `is_resource` is False and `path` counts.
    """

    user: User
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    is_resource: bool = True
    field_selector: str = ""
    label_selector: str = ""


def describe(attributes: Attributes) -> str:
    """What the user may not do, as refusals say it.

    Follows: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go
    """
    text = f"User {quote(attributes.user.name)} cannot {attributes.verb}"
    if not attributes.is_resource:
        return f"{text} path {quote(attributes.path)}"
    resource = attributes.resource
    if attributes.subresource:
        resource = f"{resource}/{attributes.subresource}"
    text = f"{text} resource {quote(resource)} in API group {quote(attributes.group)}"
    if attributes.namespace:
        return f"{text} in the namespace {quote(attributes.namespace)}"
    return f"{text} at the cluster scope"


def forbidden(attributes: Attributes, reason: str = "") -> StatusError:
    """The 403 for a refused question."""
    # Names come from the URL: nothing in the message may look like markup to a browser.
    text = describe(attributes).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if reason:
        text = f"{text}: {reason}"
    if not attributes.is_resource:
        return status.forbidden("", "", "", text)
    return status.forbidden(attributes.group, attributes.resource, attributes.name, text)
