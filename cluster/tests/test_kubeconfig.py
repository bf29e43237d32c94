"""Kubeconfigs are written whole and private, merge without loss, and read back as a connection."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cluster import kubeconfig
from cluster.files import KeyPair


@pytest.fixture
def pair(tmp_path: Path) -> KeyPair:
    made = KeyPair(tmp_path / "a.crt", tmp_path / "a.key")
    made.cert.write_bytes(b"CERT")
    made.key.write_bytes(b"KEY")
    return made


def test_what_was_written_reads_back_as_a_connection(tmp_path: Path, pair: KeyPair) -> None:
    path = tmp_path / "sub" / "config"
    kubeconfig.write(path, kubeconfig.build("https://127.0.0.1:6443", b"CA", pair))
    assert path.stat().st_mode & 0o777 == 0o600
    assert kubeconfig.read(path) == kubeconfig.Connection("https://127.0.0.1:6443", b"CA", b"CERT", b"KEY")


def test_merging_keeps_the_rest_and_replaces_its_own(tmp_path: Path) -> None:
    path = tmp_path / "config"
    theirs = kubeconfig.build("https://other", b"CA", "t0", cluster="other") | {"preferences": {"colors": True}}
    kubeconfig.write(path, theirs)
    kubeconfig.merge_into(path, kubeconfig.build("https://old", b"CA", "t1"))
    ours = kubeconfig.build("https://new", b"CA", "t2")
    kubeconfig.merge_into(path, ours)
    merged = kubeconfig.load(path)
    assert [c["name"] for c in merged["clusters"]] == ["other", "wherry"]
    assert merged["preferences"] == {"colors": True}
    assert (kubeconfig.read(path).server, kubeconfig.read(path).token) == ("https://new", "t2")
    assert kubeconfig.read(path, "other").server == "https://other"

    kubeconfig.remove_from(path, ours)
    assert [c["name"] for c in kubeconfig.load(path)["contexts"]] == ["other"]
    assert kubeconfig.load(path)["current-context"] == ""


def test_a_linked_kubeconfig_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("")
    os.symlink(real, link)
    kubeconfig.merge_into(link, kubeconfig.build("https://s", b"CA", "t"))
    assert link.is_symlink()
    assert kubeconfig.read(real).server == "https://s"


def test_files_named_in_a_kubeconfig_are_beside_it(tmp_path: Path, pair: KeyPair) -> None:
    config = kubeconfig.build("https://s/", b"CA", "t")
    config["users"][0]["user"] = {"client-certificate": "a.crt", "client-key": str(pair.key)}
    config["contexts"][0]["context"]["namespace"] = "n"
    kubeconfig.write(tmp_path / "config", config)
    found = kubeconfig.read(tmp_path / "config")
    assert (found.server, found.cert_pem, found.key_pem, found.namespace) == ("https://s", b"CERT", b"KEY", "n")


def test_an_unknown_context_is_an_error(tmp_path: Path) -> None:
    kubeconfig.write(tmp_path / "config", kubeconfig.build("https://s", b"CA", "t"))
    with pytest.raises(ValueError, match="no context 'x'"):
        kubeconfig.read(tmp_path / "config", "x")
