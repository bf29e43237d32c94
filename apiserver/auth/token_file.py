"""Static tokens from a file: lines of token, user, uid, and optionally a quoted list of groups.

The file is read once, at start.
Follows: staging/src/k8s.io/apiserver/pkg/authentication/token/tokenfile/tokenfile.go
"""

from __future__ import annotations

import csv
import hmac
import logging
from collections.abc import Sequence
from pathlib import Path

from apiserver.auth.authenticator import TokenUser
from apiserver.resources.strategy import User

log = logging.getLogger(__name__)


class StaticTokens:
    """Knows the tokens of a table. They are meant for `audiences`, the API server's own."""

    def __init__(self, users: dict[str, User], audiences: Sequence[str]) -> None:
        self._users = [(token.encode(), user) for token, user in users.items()]
        self._audiences = tuple(audiences)

    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> TokenUser | None:
        fitting = tuple(a for a in self._audiences if a in audiences) if audiences else self._audiences
        if audiences and not fitting:
            return None
        presented = token.encode()
        # Every token is compared in full, so that the time taken tells nothing of how near a guess is.
        matching = [user for known, user in self._users if hmac.compare_digest(known, presented)]
        return TokenUser(matching[0], fitting) if matching else None


def read_token_file(path: str | Path) -> dict[str, User]:
    """The users of a token file, by token; the last line of a token counts. Raises ValueError for a broken file."""
    users: dict[str, User] = {}
    with Path(path).open(newline="") as file:
        for number, row in enumerate(csv.reader(file, skipinitialspace=True), start=1):
            if not row:
                continue
            if len(row) < 3:
                raise ValueError(f"token file '{path}' must have at least 3 columns (token, user name, user uid)")
            token, name, uid, *rest = row
            if not token:
                log.warning("empty token in token file", extra={"path": str(path), "line": number})
                continue
            groups = tuple(rest[0].split(",")) if rest and rest[0] else ()
            users[token] = User(name, uid, groups)
    return users
