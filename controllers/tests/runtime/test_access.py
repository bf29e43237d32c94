"""How components read the kubeconfig that they are given."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from controllers.runtime.access import Access, UnusableKubeconfig, read_access

SERVER = "https://127.0.0.1:6443"


def data(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def written(folder: Path, cluster: Any = None, user: Any = None, **fields: Any) -> Path:
    config = {
        "clusters": [
            {"name": "other", "cluster": {}},
            {"name": "c", "cluster": {"server": f"{SERVER}/", **(cluster or {})}},
        ],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
        **fields,
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


async def access(folder: Path, cluster: Any = None, user: Any = None) -> Access:
    return await read_access(written(folder, cluster, user))


@pytest.mark.parametrize(
    ("user", "header"),
    [
        ({}, ""),
        ({"token": "t", "tokenFile": "file"}, "Bearer t"),
        ({"tokenFile": "file"}, "Bearer kept"),
        ({"username": "a", "password": "b"}, "Basic YTpi"),
    ],
)
async def test_who_asks_is_told_in_a_header(tmp_path: Path, user: Any, header: str) -> None:
    (tmp_path / "file").write_text("kept\n")
    found = await access(tmp_path, None, user)
    assert found.host == SERVER
    assert await found.headers() == ({"Authorization": header} if header else {})


async def test_certificates_are_data_or_files_beside_the_kubeconfig(tmp_path: Path) -> None:
    inline = await access(
        tmp_path,
        {"certificate-authority-data": data("ca")},
        {"client-certificate-data": data("cert"), "client-key-data": data("key"), "client-key": "ignored"},
    )
    assert (inline.ca, inline.cert, inline.key) == ("ca", b"cert", b"key")
    named = await access(
        tmp_path, {"certificate-authority": "ca.crt"}, {"client-certificate": "/x.crt", "client-key": "x.key"}
    )
    assert (named.ca, named.cert, named.key) == (tmp_path / "ca.crt", Path("/x.crt"), tmp_path / "x.key")


async def test_the_server_may_be_known_by_another_name_or_not_be_checked(tmp_path: Path) -> None:
    options = {"tls-server-name": "n", "proxy-url": "http://p:1", "insecure-skip-tls-verify": True}
    found = await access(tmp_path, options)
    assert (found.tls_name, found.proxy, found.verifies) == ("n", "http://p:1", False)
    assert not found.tls().check_hostname


async def test_plugins_are_asked_by_the_official_client(tmp_path: Path) -> None:
    said = '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"made"}}'
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "echo", "args": [said]}
    found = await access(tmp_path, None, {"exec": plugin})
    assert found.host == SERVER
    assert await found.headers() == {"Authorization": "Bearer made"}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"current-context": ""}, "no context is named"),
        ({"current-context": "y"}, "there is no context 'y'"),
        ({"clusters": []}, "there is no cluster 'c'"),
        ({"clusters": [{"name": "c", "cluster": {"certificate-authority": "x"}}]}, "the cluster has no server"),
        ({"users": [{"name": "u", "user": {"client-key-data": "x"}}]}, "client-key-data: "),
    ],
)
async def test_what_is_missing_is_told(tmp_path: Path, fields: Any, why: str) -> None:
    with pytest.raises(UnusableKubeconfig, match=why):
        await read_access(written(tmp_path, **fields))
