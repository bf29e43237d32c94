"""Credentials for registries: from pull secrets, and from the node's own files.

Follows: pkg/credentialprovider/{config,keyring,provider}.go
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from nodeagent.pods.spec import View
from nodeagent.runtime.protocol import Credentials

DEFAULT_REGISTRY = "docker.io"
KEPT_S = 300.0


class NodeCredentials:
    """Those in the first file that is there: `config.json`, or `.dockercfg` in its older form."""

    def __init__(self, root: Path, home: Path) -> None:
        """`root` is the node's folder, `home` that of its user."""
        self._root = root
        self._home = home
        self._known: View = {}
        self._read_at = -KEPT_S

    def auths(self) -> View:
        """By server; read again after a while."""
        if time.monotonic() - self._read_at >= KEPT_S:
            self._known = next(self._read(), {})
            self._read_at = time.monotonic()
        return self._known

    def _read(self) -> Iterator[View]:
        for folder in (self._root, Path(), self._home / ".docker", Path("/.docker")):
            found = _load(folder / "config.json")
            if isinstance(found, dict):
                auths = found.get("auths")
                yield auths if isinstance(auths, dict) else {}
        for folder in (self._root, Path(), self._home, Path("/")):
            found = _load(folder / ".dockercfg")
            if isinstance(found, dict):
                yield found


def _load(file: Path) -> Any:
    try:
        return orjson.loads(file.read_bytes())
    except (OSError, ValueError):
        return None


def matches_server(server: str, registry: str, path: str) -> bool:
    """Whether credentials for `server`, perhaps with a path, go with an image there."""
    bare = re.sub(r"^https?://", "", server).rstrip("/")
    host, _, prefix = bare.partition("/")
    if host in ("index.docker.io", "docker.io"):
        return registry == DEFAULT_REGISTRY
    pattern = re.escape(host).replace(r"\*", "[^.]*")
    return bool(re.fullmatch(pattern, registry)) and (path.startswith(prefix) or prefix in ("v1", "v2"))


def auths_of(secret: View) -> View:
    """What a pull secret has, by server."""
    data = secret.get("data") or {}
    try:
        if ".dockerconfigjson" in data:
            found = orjson.loads(base64.b64decode(data[".dockerconfigjson"])).get("auths")
        else:
            found = orjson.loads(base64.b64decode(data.get(".dockercfg", "e30=")))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def credentials_of(auth: View) -> Credentials:
    """Without the server: the runtime takes that of the image, and may not read the name as it stands here."""
    username, password = auth.get("username", ""), auth.get("password", "")
    if auth.get("auth") and not username:
        try:
            username, _, password = base64.b64decode(auth["auth"]).decode(errors="replace").partition(":")
        except ValueError:
            username = password = ""
    return Credentials(
        username=username,
        password=password,
        identity_token=auth.get("identitytoken", ""),
        registry_token=auth.get("registrytoken", ""),
    )
