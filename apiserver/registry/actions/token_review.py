"""TokenReview: whom does this token stand for.

Follows: pkg/registry/authentication/tokenreview/storage.go
"""

from __future__ import annotations

from typing import Any

from apiserver.auth.authenticator import Authenticator, TokenError
from apiserver.registry.actions.self_subject_review import user_info
from apiserver.resources.strategy import WriteContext
from openapi.meta import status

Object = dict[str, Any]


class TokenReviews:
    """Answers by the ways in that requests have too."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def create(self, obj: Object, context: WriteContext) -> Object:
        spec = obj["spec"]
        token = spec.get("token", "")
        if not token:
            raise status.bad_request("token is required for TokenReview in authentication")
        try:
            found = await self._authenticator.review_token(token, tuple(spec.get("audiences") or ()))
        except TokenError as error:
            obj["status"] = {"user": {}, "error": str(error)}
            return obj
        answer: Object = {"authenticated": True, "user": user_info(found.user)}
        if found.audiences:
            answer["audiences"] = list(found.audiences)
        obj["status"] = answer
        return obj
