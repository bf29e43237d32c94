"""SelfSubjectReview: who am I, as the server sees it.

Follows: pkg/registry/authentication/selfsubjectreview/rest.go
"""

from __future__ import annotations

from typing import Any

from apiserver.resources.strategy import User, WriteContext
from openapi.meta.times import format_time

Object = dict[str, Any]


class SelfSubjectReviews:
    """Answers with the user of the request."""

    async def create(self, obj: Object, context: WriteContext) -> Object:
        return {
            "kind": obj["kind"],
            "apiVersion": obj["apiVersion"],
            "metadata": {"creationTimestamp": format_time(context.now)},
            "status": {"userInfo": user_info(context.user)},
        }


def user_info(user: User) -> Object:
    """A user as a UserInfo."""
    info: Object = {}
    if user.name:
        info["username"] = user.name
    if user.uid:
        info["uid"] = user.uid
    if user.groups:
        info["groups"] = list(user.groups)
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra.items()}
    return info
