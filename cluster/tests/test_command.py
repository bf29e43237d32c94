"""The command as users meet it: real processes, their output, their exit codes, and what they leave behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WHERRY = [sys.executable, "-m", "cluster.main"]
TIMEOUT_S = 60


def wherry(*arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*WHERRY, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        text=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=TIMEOUT_S,
        check=False,
    )


@contextmanager
def up(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A cluster in the foreground that has said that it is ready."""
    process = subprocess.Popen(
        [*WHERRY, "up", "--port", "0", "--runtime", "simulated", *map(str, arguments)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        said = ""
        while "export KUBECONFIG=" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=TIMEOUT_S)


def components(process: subprocess.Popen[str]) -> list[int]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(pid) for pid in listed.split()]


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def test_a_cluster_lives_in_the_background_until_down(tmp_path: Path) -> None:
    data = tmp_path / "data"
    started = wherry("up", "--detach", "--port", "0", "--runtime", "simulated", "--data-dir", data)
    assert started.returncode == 0, started.stderr
    try:
        assert re.search(r"apiserver +https://127.0.0.1:\d+ ", started.stdout)
        assert f"export KUBECONFIG={data}/admin.kubeconfig" in started.stdout
        assert stat.S_IMODE((data / "admin.kubeconfig").stat().st_mode) == 0o600
        shown = wherry("status", "--data-dir", data)
        assert shown.returncode == 0 and f"cluster     {data}, ready" in shown.stdout
        again = wherry("up", "--port", "0", "--data-dir", data)
        assert again.returncode == 1
        assert re.fullmatch(rf"wherry: {data} is in use by another process \(pid \d+;.*\)\n", again.stderr)
    finally:
        stopped = wherry("down", "--data-dir", data)
    assert stopped.stdout == f"Stopped the cluster in {data}.\n"
    assert wherry("status", "--data-dir", data).returncode == 1
    assert wherry("down", "--data-dir", data).returncode == 0


def test_certificates_are_made_once(tmp_path: Path) -> None:
    with up("--data-dir", tmp_path):
        first = (tmp_path / "pki" / "ca.crt").read_bytes()
    with up("--data-dir", tmp_path):
        assert (tmp_path / "pki" / "ca.crt").read_bytes() == first


def test_ctrl_c_stops_everything(tmp_path: Path) -> None:
    with up("--data-dir", tmp_path) as process:
        pids = components(process)
        assert pids
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0 and said.endswith("Stopping.\nStopped.\n")
    assert all(is_gone(pid) for pid in pids)


def test_a_killed_supervisor_leaves_no_orphans(tmp_path: Path) -> None:
    with up("--data-dir", tmp_path) as process:
        pids = components(process)
        process.kill()
        process.wait()
        assert pids and all(is_gone(pid) for pid in pids)


def running(home: Path) -> Any:
    return json.loads((home / "running.json").read_text())


def said_until(process: subprocess.Popen[str], wanted: str) -> str:
    """What is printed up to the line that holds `wanted`."""
    assert process.stdout is not None
    said = ""
    while wanted not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    return said


@pytest.mark.parametrize("component", ["apiserver", "controllers"])
def test_a_component_that_ends_by_itself_is_started_again(tmp_path: Path, component: str) -> None:
    with up("--data-dir", tmp_path, "--components", "apiserver,controllers") as process:
        before = running(tmp_path)
        os.kill(before["components"][component], signal.SIGKILL)
        said_until(process, f"{component} ended by SIGKILL; it is started again in 1 s")
        deadline = time.monotonic() + TIMEOUT_S
        while running(tmp_path)["restarts"] != {component: 1} or wherry("status", "--data-dir", tmp_path).returncode:
            assert time.monotonic() < deadline
        after = running(tmp_path)
        assert after["server"] == before["server"] and after["components"][component] != before["components"][component]
        assert ", started again 1 time\n" in wherry("status", "--data-dir", tmp_path).stdout


def test_objects_in_memory_end_with_their_api_server(tmp_path: Path) -> None:
    with up("--ephemeral", "--kubeconfig", tmp_path / "kubeconfig") as process:
        pids = components(process)
        shown = wherry("status", "--kubeconfig", tmp_path / "kubeconfig").stdout
        found = re.search(r"apiserver +pid (\d+)", shown)
        assert found is not None
        os.kill(int(found[1]), signal.SIGKILL)
        said, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1 and all(is_gone(pid) for pid in pids)
    assert "wherry: apiserver ended by SIGKILL; everything else is stopped" in said


def test_an_ephemeral_cluster_leaves_only_the_kubeconfig(tmp_path: Path) -> None:
    data, kubeconfig = tmp_path / "data", tmp_path / "kubeconfig"
    with up("--ephemeral", "--data-dir", data, "--kubeconfig", kubeconfig):
        assert yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"].startswith("https://")
    assert sorted(tmp_path.iterdir()) == [kubeconfig]


def test_down_stops_the_one_cluster_that_is_named(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    with up("--ephemeral", "--kubeconfig", one) as first, up("--ephemeral", "--kubeconfig", other) as second:
        stopped = wherry("down", "--kubeconfig", one)
        assert stopped.returncode == 0, stopped.stderr
        first.communicate(timeout=TIMEOUT_S)
        assert first.returncode == 0
        assert second.poll() is None and wherry("status", "--kubeconfig", other).returncode == 0
        again = wherry("down", "--kubeconfig", one)
    assert (again.returncode, again.stderr) == (1, f"wherry: no cluster that runs has the kubeconfig {one}\n")


def test_the_kubeconfig_is_printed_and_merged(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text(yaml.safe_dump({"contexts": [{"name": "other", "context": {}}], "current-context": "other"}))
    with up("--data-dir", tmp_path / "data"):
        printed = yaml.safe_load(wherry("kubeconfig", "--data-dir", tmp_path / "data").stdout)
        merged = wherry("kubeconfig", "--merge", "--data-dir", tmp_path / "data", env={"KUBECONFIG": str(mine)})
    assert printed["current-context"] == "wherry"
    assert merged.returncode == 0, merged.stderr
    after = yaml.safe_load(mine.read_text())
    assert [context["name"] for context in after["contexts"]] == ["other", "wherry"]
    assert after["current-context"] == "wherry"


def test_only_the_named_components_start(tmp_path: Path) -> None:
    with up("--data-dir", tmp_path, "--components", "apiserver"):
        shown = wherry("status", "--data-dir", tmp_path)
    assert "apiserver   pid" in shown.stdout and "controllers" not in shown.stdout


@pytest.mark.parametrize("component", ["controllers", "scheduler"])
def test_a_component_runs_alone_with_its_own_options(tmp_path: Path, component: str) -> None:
    assert f"usage: wherry {component}" in wherry(component, "--help").stdout
    done = wherry(component, "--kubeconfig", tmp_path / "none")
    assert done.returncode == 1 and done.stderr.startswith("wherry: ") and done.stderr.count("\n") == 1


def test_options_that_nobody_knows_are_refused() -> None:
    done = wherry("status", "--nonsense")
    assert done.returncode == 2 and "unrecognized arguments: --nonsense" in done.stderr


def test_an_api_server_runs_alone(tmp_path: Path) -> None:
    command = [*WHERRY, "apiserver", "--port", "0", "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = process.stdout.readline() + process.stdout.readline() + process.stdout.readline()
        process.terminate()
    assert process.returncode == 0
    assert said.startswith("The API server is ready: https://") and "export KUBECONFIG=" in said


def test_a_taken_port_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = wherry("up", "--ephemeral", "--port", str(port), "--data-dir", tmp_path)
    expected = f"wherry: port {port} on 127.0.0.1 is taken by another process (--port 0 takes any free one)\n"
    assert (done.returncode, done.stderr) == (1, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["up", "--bind-address", "203.0.113.1", "--port", "0"], "203.0.113.1 is not an address of this machine"),
        (["up", "--port", "0", "--etcd-servers", "http://127.0.0.1:1"], "no etcd member answers"),
        (["up", "--components", "nonsense"], "no such component"),
        (["kubeconfig"], "there is no cluster in"),
    ],
    ids=["address", "etcd", "component", "kubeconfig"],
)
def test_failures_are_one_line_and_exit_code_one(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = wherry(*arguments, "--data-dir", tmp_path / "data")
    assert done.returncode == 1
    assert message in done.stderr and done.stderr.startswith("wherry: ") and done.stderr.count("\n") == 1


def test_a_data_directory_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    done = wherry("up", "--data-dir", file / "data")
    assert done.returncode == 1
    assert done.stderr == f"wherry: cannot use the data directory {file}/data: not a directory\n"
