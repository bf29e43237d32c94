"""Kubeconfig files: write ours, merge it into the user's, read one for our own clients.

Written files are whole, 0600, and keep whatever else was in them.
Follows: staging/src/k8s.io/client-go/tools/clientcmd/api/v1/types.go
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cluster.files import KeyPair, write_private

Config = dict[str, Any]

LISTS = ("clusters", "users", "contexts")


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach a server, and as whom. The PEM texts are empty where the file has none."""

    server: str
    ca_pem: bytes = b""
    cert_pem: bytes = b""
    key_pem: bytes = b""
    token: str = ""
    namespace: str = "default"
    insecure: bool = False


def build(
    server: str,
    ca_pem: bytes,
    credentials: KeyPair | str,
    *,
    cluster: str = "wherry",
    user: str = "",
    context: str = "",
) -> Config:
    """A config with one context. `credentials` are a client certificate or a bearer token."""
    user = user or f"{cluster}-admin"
    context = context or cluster
    if isinstance(credentials, str):
        identity = {"token": credentials}
    else:
        identity = {
            "client-certificate-data": _encode(credentials.cert_pem),
            "client-key-data": _encode(credentials.key_pem),
        }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": {"certificate-authority-data": _encode(ca_pem), "server": server}}],
        "users": [{"name": user, "user": identity}],
        "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
        "current-context": context,
    }


def write(path: str | Path, config: Config) -> None:
    """Put `config` at `path`, making its folder."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Through a link, so that a kubeconfig kept elsewhere is updated there and stays a link here.
    write_private(target.resolve(), yaml.safe_dump(config, sort_keys=False, default_flow_style=False).encode())


def merge(existing: Mapping[str, Any], ours: Config) -> Config:
    """`existing` with the clusters, users and contexts of `ours` put in place of those of the same name.

    The current context becomes that of `ours`; everything else stays as it was.
    """
    merged: Config = {"apiVersion": "v1", "kind": "Config", **existing}
    for part in LISTS:
        new = {entry["name"]: entry for entry in ours.get(part, ())}
        kept = [new.pop(entry["name"], entry) for entry in existing.get(part) or ()]
        merged[part] = [*kept, *new.values()]
    merged["current-context"] = ours["current-context"]
    return merged


def merge_into(path: str | Path, ours: Config) -> None:
    """Merge `ours` into the file at `path`, or make it."""
    write(path, merge(load(path) if Path(path).exists() else {}, ours))


def remove_from(path: str | Path, ours: Config) -> None:
    """Take the clusters, users and contexts named in `ours` out of the file at `path` again."""
    config = load(path)
    for part in LISTS:
        names = {entry["name"] for entry in ours.get(part, ())}
        config[part] = [entry for entry in config.get(part) or () if entry["name"] not in names]
    if config.get("current-context") == ours["current-context"]:
        config["current-context"] = ""
    write(path, config)


def load(path: str | Path) -> Config:
    """The file as a mapping; an empty file is an empty config."""
    config = yaml.safe_load(Path(path).read_bytes())
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise ValueError(f"{path}: not a kubeconfig")
    return config


def read(path: str | Path, context: str = "") -> Connection:
    """The connection of `context`, else of the current one. Raises ValueError where the file does not name it."""
    config = load(path)
    base = Path(path).parent
    name = context or config.get("current-context", "")
    chosen = _entry(config, "contexts", name, path)["context"]
    cluster = _entry(config, "clusters", chosen["cluster"], path)["cluster"]
    user = _entry(config, "users", chosen["user"], path).get("user") or {} if chosen.get("user") else {}
    return Connection(
        server=cluster["server"].rstrip("/"),
        ca_pem=_data(cluster, "certificate-authority", base),
        cert_pem=_data(user, "client-certificate", base),
        key_pem=_data(user, "client-key", base),
        token=_token(user, base),
        namespace=chosen.get("namespace") or "default",
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
    )


def _entry(config: Config, part: str, name: str, path: str | Path) -> Config:
    for entry in config.get(part) or ():
        if entry.get("name") == name:
            found: Config = entry
            return found
    raise ValueError(f"{path}: no {part[:-1]} {name!r}")


def _data(entry: Mapping[str, Any], field: str, base: Path) -> bytes:
    """Inline data wins over a file; a relative file is beside the kubeconfig."""
    inline = entry.get(f"{field}-data")
    if inline:
        return base64.b64decode(inline)
    file = entry.get(field)
    return (base / str(file)).read_bytes() if file else b""


def _token(user: Mapping[str, Any], base: Path) -> str:
    if user.get("tokenFile"):
        return (base / str(user["tokenFile"])).read_text().strip()
    return str(user.get("token") or "")


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
