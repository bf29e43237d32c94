"""Whom a request is carried on for, as the server behind reads it from headers that only a front proxy may send.

Follows: staging/src/k8s.io/client-go/transport/round_trippers.go SetAuthProxyHeaders
"""

from __future__ import annotations

from apiserver.resources.strategy import User

PREFIX = b"x-remote-"
AGGREGATOR = User("system:kube-aggregator", groups=("system:masters",))
"""Who asks whether a server is there."""
_TOKEN = frozenset(b"!#$&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def identity_headers(user: User) -> list[tuple[bytes, bytes]]:
    headers = [(b"x-remote-user", user.name.encode())]
    if user.uid:
        headers.append((b"x-remote-uid", user.uid.encode()))
    headers += [(b"x-remote-group", group.encode()) for group in user.groups]
    for key, values in user.extra.items():
        name = b"x-remote-extra-" + _escaped(key)
        headers += [(name, value.encode()) for value in values]
    return headers


def _escaped(key: str) -> bytes:
    """A key as part of a header's name: what may not be in one is percent-encoded."""
    return b"".join(bytes((byte,)) if byte in _TOKEN else b"%%%02X" % byte for byte in key.encode())
