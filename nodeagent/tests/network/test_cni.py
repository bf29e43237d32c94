from __future__ import annotations

import json
from pathlib import Path

import pytest

from nodeagent.network import cni


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> cni.Network:
    monkeypatch.setattr(cni, "RESULTS", tmp_path / "results")
    (tmp_path / "results").mkdir()
    (tmp_path / "addresses" / cni.NAME).mkdir(parents=True)
    return cni.Network(tmp_path / "none.conflist", tmp_path / "addresses", "/nowhere")


def test_addresses_tell_who_has_them(network: cni.Network) -> None:
    files = {"10.1.0.2": "one\r\neth0", "fd00::3": "two\r\neth0", "lock": "", "last_reserved_ip.0": "10.1.0.2"}
    for name, text in files.items():
        (network.state / cni.NAME / name).write_text(text)
    assert network.holders() == {"10.1.0.2": "one", "fd00::3": "two"}


def test_namespaces_are_known_by_what_the_plugins_have_answered(network: cni.Network, tmp_path: Path) -> None:
    namespace = tmp_path / "cni-1"
    links = [{"name": "bridge"}, {"name": "eth0", "sandbox": str(namespace)}]
    whole, cut = (cni.RESULTS / f"{cni.NAME}-{id}-eth0" for id in ("whole", "cut"))
    whole.write_text(json.dumps({"result": {"interfaces": links}}))
    cut.touch()
    assert network.namespace_of("whole") == network.namespace_of("absent") == ""
    namespace.touch()
    assert network.namespace_of("whole") == str(namespace)
    assert network.namespace_of("cut") == "" and not cut.exists() and whole.exists()
