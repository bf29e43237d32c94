"""A cluster with real containers is stopped and started: nothing runs in between, and its pods go on."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from conformance.api import Api
from conformance.conftest import GIVEN, start_cluster
from conformance.kubectl import Kubectl
from conformance.machines import Containerd, Lab, container, lacking, mounts, node_root, pod
from conformance.processes import eventually
from conformance.wire import Wire

WRITES = "trap 'echo ended > /kept/word; exit 0' TERM; while :; do sleep 0.1; done"


def test_pods_go_on_when_their_cluster_was_stopped(tmp_path: Path) -> None:
    lack = "only a cluster of our own may be stopped" if GIVEN else lacking()
    if lack:
        pytest.skip(lack)
    with tempfile.TemporaryDirectory(prefix="conformance-", dir="/var/tmp") as folder:
        program = shutil.which("containerd") or ""
        options = ["--data-dir", f"{folder}/data", "--runtime", "containerd", "--containerd", program]
        with contextmanager(start_cluster)(Path(folder), options) as kubeconfig:
            lab = _lab(kubeconfig, tmp_path)
            lab.ctr.import_images()
            eventually(lambda: lab.api.find("v1/serviceaccounts", "default"))
            kept = {"volumes": [{"name": "kept", "emptyDir": {}}]}
            mounted = {"volumeMounts": [{"name": "kept", "mountPath": "/kept"}]}
            lab.make(pod("stays", "sh", "-c", WRITES, main=mounted, **kept))
            lab.ready("stays")
            lab.api.close()
        assert not mounts(folder) and not _processes(folder)

        with contextmanager(start_cluster)(Path(folder), options) as kubeconfig:
            lab = _lab(kubeconfig, tmp_path)

            def is_back() -> bool:
                found = container(lab.api.get("v1/pods", "stays"))
                return bool(found["restartCount"] == 1 and found["ready"])

            eventually(is_back, 60)
            assert lab("exec", "stays", "--", "cat", "/kept/word") == "ended\n"
            lab.api.close()


def _lab(kubeconfig: Path, cache: Path) -> Lab:
    api = Api(Wire.of(kubeconfig), "default")
    return Lab(Containerd(node_root(kubeconfig)), Kubectl(kubeconfig, cache, "default"), api)


def _processes(folder: str) -> list[str]:
    """The command lines of what runs with files there."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if folder in words:
            found.append(words)
    return found
