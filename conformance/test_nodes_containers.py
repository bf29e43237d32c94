"""Real containers through kubectl: they run, are looked into, talked to, and leave nothing behind."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conformance.kubectl import columns
from conformance.machines import Lab, Object, box, container, has_condition, is_true, mounts, once, pod, state
from conformance.processes import eventually
from conformance.registries import credentials, registry

STEADY = "echo one; echo two >&2; echo three; trap 'exit 0' TERM; while :; do sleep 0.2; done"
COUNTING = "i=0; trap 'exit 0' TERM; while :; do i=$((i+1)); echo line $i; sleep 0.3; done"
SERVER = "mkdir -p /tmp/www; echo hello > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"
READER = "while read -r line; do echo \"got $line\"; done; sleep 60"
# Over 10 MiB, then little more.
TALKED = 11_000_000
TALK = f"yes a line to be rotated away | head -c {TALKED}; trap 'exit 0' TERM; while :; do echo on; sleep 0.5; done"
SMALL = {"limits": {"cpu": "100m", "memory": "32Mi"}, "requests": {"cpu": "50m", "memory": "32Mi"}}


@pytest.fixture(scope="module", autouse=True)
def pods(lab: Lab) -> None:
    lab.make(
        pod("steady", "sh", "-c", STEADY),
        pod("counting", "sh", "-c", COUNTING),
        pod("server", "sh", "-c", SERVER, main={"resources": {"requests": {"cpu": "100m"}}}),
        pod("reader", "sh", "-c", READER, main={"stdin": True}, terminationGracePeriodSeconds=0),
        pod("two", others=[box("second")]),
        once("over", "echo done; exit 3"),
        pod("talkative", "sh", "-c", TALK),
        pod("resized", main={"resources": SMALL, "resizePolicy": [
            {"resourceName": "memory", "restartPolicy": "RestartContainer"}]}),
        pod("gone", volumes=[{"name": "v", "emptyDir": {}}, {"name": "m", "emptyDir": {"medium": "Memory"}}]),
    )


def test_a_pod_runs(lab: Lab) -> None:
    running = lab.running("steady")
    assert is_true(running, "Ready") and is_true(running, "ContainersReady") and is_true(running, "Initialized")
    status = container(running)
    assert status["ready"] and status["started"] and status["restartCount"] == 0
    assert status["containerID"].startswith("containerd://") and status["imageID"]
    assert "startedAt" in state(running)["running"]
    assert running["status"]["podIPs"][0]["ip"] == running["status"]["podIP"]
    assert running["status"]["hostIP"] and running["status"]["qosClass"] == "BestEffort"
    reasons = {reason for reason, _ in lab.api.events("steady")}
    assert {"Scheduled", "Pulled", "Created", "Started"} <= reasons
    head, [row] = columns(lab("get", "pod", "steady", "-o", "wide"))
    assert head[:4] == ["NAME", "READY", "STATUS", "RESTARTS"]
    assert row[:4] == ["steady", "1/1", "Running", "0"]


def test_a_container_that_ends_is_told_of(lab: Lab) -> None:
    ended = lab.phase("over", "Failed")
    terminated = state(ended)["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (3, "Error")
    assert terminated["startedAt"] <= terminated["finishedAt"]
    assert lab("logs", "over") == "done\n"


def test_logs_are_read_whole_and_in_parts(lab: Lab) -> None:
    lab.running("steady")
    eventually(lambda: lab("logs", "steady").count("\n") == 3)
    assert sorted(lab("logs", "steady").split()) == ["one", "three", "two"]
    last = lab("logs", "steady").split()[-1]  # Two streams are read, in the order in which they are.
    assert lab("logs", "steady", "--tail=1") == f"{last}\n"
    assert lab("logs", "steady", "--limit-bytes=3") in ("one", "two")
    assert lab("logs", "steady", "--since=1h").count("\n") == 3
    stamp, text = lab("logs", "steady", "--timestamps", "--tail=1").split()
    assert stamp[4] == "-" and "T" in stamp and text == last


def test_logs_are_followed(lab: Lab) -> None:
    lab.running("counting")
    following = lab.kubectl.background("logs", "-f", "counting", "--tail=0")
    try:
        assert following.stdout is not None
        lines = [following.stdout.readline().split() for _ in range(3)]
    finally:
        following.terminate()
        following.communicate()
    numbers = [int(number) for _, number in lines]
    assert numbers == list(range(numbers[0], numbers[0] + 3))


def test_following_ends_with_the_container(lab: Lab) -> None:
    lab.make(once("brief", "echo first; sleep 1; echo last"))
    lab.phase("brief", "Running", "Succeeded")
    assert lab("logs", "-f", "brief") == "first\nlast\n"


def test_a_command_runs_in_a_container(lab: Lab) -> None:
    lab.running("steady")
    assert lab("exec", "steady", "--", "echo", "a  b") == "a  b\n"
    done = lab.kubectl.attempt("exec", "steady", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert done.stderr == "err\ncommand terminated with exit code 7\n"
    assert "executable file not found" in lab.kubectl.refused("exec", "steady", "--", "nonesuch")
    refusal = lab.kubectl.refused("exec", "steady", "-c", "nonesuch", "--", "true")
    assert "container nonesuch" in refusal, refusal


def test_a_command_reads_what_is_sent_to_it(lab: Lab) -> None:
    lab.running("steady")
    sent = "0123456789" * 50_000 + "\n"
    done = lab.kubectl.attempt("exec", "-i", "steady", "--", "md5sum", stdin=sent)
    expected = subprocess.run(["md5sum"], input=sent, capture_output=True, text=True, check=True).stdout
    assert done.stdout == expected
    assert lab.kubectl.attempt("exec", "-i", "steady", "--", "cat", stdin=sent).stdout == sent


def test_a_command_has_a_terminal_of_the_callers_size(lab: Lab) -> None:
    lab.running("steady")
    kubectl = " ".join(lab.kubectl.command("exec", "-it", "steady", "--", "sh", "-c", "'tty; sleep 0.5; stty size'"))
    # script gives kubectl a terminal to ask the size of.
    done = subprocess.run(
        ["script", "-qec", f"stty rows 33 cols 77; {kubectl}", "/dev/null"],
        env=lab.kubectl.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "/dev/pts/" in done.stdout and "33 77" in done.stdout, done.stdout + done.stderr


def test_a_container_is_attached_to(lab: Lab) -> None:
    lab.running("reader")
    attached = subprocess.Popen(
        lab.kubectl.command("attach", "-i", "reader"),
        env=lab.kubectl.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert attached.stdin is not None and attached.stdout is not None
    attached.stdin.write("hello\n")
    attached.stdin.flush()
    assert attached.stdout.readline() == "got hello\n"
    attached.kill()
    attached.communicate()
    eventually(lambda: lab("logs", "reader") == "got hello\n")


def test_files_are_copied_both_ways(lab: Lab, tmp_path: Path) -> None:
    lab.running("steady")
    source, back = tmp_path / "source", tmp_path / "back"
    source.mkdir()
    (source / "small").write_text("text\n")
    (source / "large").write_bytes(bytes(range(256)) * 4096)
    lab("cp", str(source), "steady:/tmp/copied")
    assert lab("exec", "steady", "--", "cat", "/tmp/copied/small") == "text\n"
    lab("cp", "steady:/tmp/copied", str(back))
    assert (back / "large").read_bytes() == (source / "large").read_bytes()


@contextmanager
def _forwarded(lab: Lab, name: str, port: int) -> Iterator[str]:
    """The address at which kubectl listens."""
    forwarding = lab.kubectl.background("port-forward", name, f":{port}")
    try:
        assert forwarding.stdout is not None
        line = forwarding.stdout.readline()
        assert line.startswith("Forwarding from 127.0.0.1:"), line
        yield f"http://{line.split()[2]}/"
    finally:
        forwarding.terminate()
        forwarding.communicate()


def _fetch(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as answer:
        content: bytes = answer.read()
        return content


def test_a_port_is_forwarded(lab: Lab) -> None:
    lab.running("server")
    with _forwarded(lab, "pod/server", 8080) as url:
        assert [_fetch(url) for _ in range(3)] == [b"hello\n"] * 3


def test_a_pod_is_reached_at_its_address(lab: Lab) -> None:
    address = lab.running("server")["status"]["podIP"]
    assert eventually(lambda: lab("exec", "two", "--", "wget", "-qO-", f"http://{address}:8080/")) == "hello\n"
    assert _fetch(f"http://{address}:8080/") == b"hello\n"


def test_a_pod_is_debugged_by_one_more_container(lab: Lab) -> None:
    lab.running("steady")
    # Without --stdin kubectl does not wait to attach.
    lab("debug", "steady", f"--image={container(lab.pod('two'))['image']}", "--target=main",
        "--container=looker", "--image-pull-policy=Never", "--", "sh", "-c", "ps; sleep 30")  # fmt: skip
    eventually(lambda: "running" in state(lab.pod("steady"), "looker"))
    # The target's processes are seen.
    eventually(lambda: "while :; do sleep 0.2" in lab("logs", "steady", "-c", "looker"))
    assert container(lab.pod("steady"), "main")["restartCount"] == 0


def test_usage_is_told_by_the_node(lab: Lab) -> None:
    node = lab.running("steady")["spec"]["nodeName"]
    told = lab("get", "--raw", f"/api/v1/nodes/{node}/proxy/stats/summary")
    assert '"steady"' in told and '"workingSetBytes"' in told
    assert "container_cpu_usage_seconds_total" in lab("get", "--raw", f"/api/v1/nodes/{node}/proxy/metrics/resource")


def test_a_deleted_pod_leaves_nothing(lab: Lab) -> None:
    uid = lab.ready("gone")["metadata"]["uid"]
    assert len(lab.ctr.running(uid)) == 2  # The container and its sandbox.
    assert mounts(uid)
    lab("delete", "pod", "gone")
    assert lab.api.find("v1/pods", "gone") is None
    lab.assert_nothing_is_left(uid)


def test_a_pod_deleted_by_force_leaves_nothing_either(lab: Lab) -> None:
    uid = lab.ready("two")["metadata"]["uid"]
    lab("delete", "pod", "two", "--force", "--grace-period=0")
    assert lab.api.find("v1/pods", "two") is None
    lab.assert_nothing_is_left(uid)


def _resize(lab: Lab, resources: Object) -> None:
    patch = {"spec": {"containers": [{"name": "main", "resources": resources}]}}
    lab("patch", "pod", "resized", "--subresource=resize", "--patch", json.dumps(patch))


def test_resources_are_changed_in_place(lab: Lab) -> None:
    id = container(lab.running("resized"))["containerID"]
    more = {"limits": {"cpu": "200m"}, "requests": {"cpu": "60m"}}
    _resize(lab, more)
    limits, requests = '{"cpu":"200m","memory":"32Mi"}', '{"cpu":"60m","memory":"32Mi"}'
    told = f'{{"name":"main","resources":{{"limits":{limits},"requests":{requests}}}}}'
    for reason, text in (("ResizeStarted", "started"), ("ResizeCompleted", "completed")):
        lab.api.await_event("resized", reason, f'Pod resize {text}: {{"containers":[{told}],"generation":2}}')
    eventually(lambda: container(lab.pod("resized"))["resources"]["limits"]["cpu"] == "200m")
    assert container(lab.pod("resized"))["containerID"] == id
    quota = "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null"
    assert lab.kubectl.attempt("exec", "resized", "--", "sh", "-c", quota).stdout.split()[0] == "20000"
    eventually(lambda: not has_condition(lab.pod("resized"), "PodResizeInProgress"))


def test_resources_that_take_a_restart_and_those_for_which_there_is_no_room(lab: Lab) -> None:
    lab.running("resized")
    _resize(lab, {"limits": {"cpu": "300m", "memory": "48Mi"}, "requests": {"memory": "48Mi"}})
    lab.api.await_event("resized", "Killing", "Container main resize requires restart")
    assert container(lab.restarted("resized"))["resources"]["limits"]["memory"] == "48Mi"
    # The other one has a little of it.
    all_cpus = int(lab("get", "nodes", "-o", "jsonpath={.items[0].status.allocatable.cpu}"))
    _resize(lab, {"limits": {"cpu": str(all_cpus)}, "requests": {"cpu": f"{all_cpus * 1000 - 50}m"}})
    eventually(lambda: has_condition(lab.pod("resized"), "PodResizePending"))
    [message] = [text for reason, text in lab.api.events("resized") if reason == "ResizeDeferred"]
    assert message.startswith("Pod resize Deferred: ") and "Node didn't have enough resource: cpu" in message
    assert container(lab.pod("resized"))["resources"]["limits"]["cpu"] == "300m"


def test_a_log_that_grows_large_is_put_aside(lab: Lab) -> None:
    uid = lab.running("talkative")["metadata"]["uid"]
    [folder] = (lab.ctr.root / "logs").glob(f"*_{uid}/main")
    eventually(lambda: list(folder.glob("0.log.*")), 30)
    eventually(lambda: "on\n" in lab("logs", "talkative"), 10)
    # A log may be put aside while it is being written: what was said since then is still told.
    assert len(lab("logs", "talkative")) < TALKED


def test_images_are_pulled_by_those_who_have_the_secret(lab: Lab) -> None:
    with registry() as address:
        auths = json.dumps({"auths": {address: {"auth": credentials()}}})
        secret = {"kind": "Secret", "metadata": {"name": "registry"}, "type": "kubernetes.io/dockerconfigjson",
                  "stringData": {".dockerconfigjson": auths}}  # fmt: skip
        known: Object = {"imagePullSecrets": [{"name": "registry"}]}
        lab.make(
            secret,
            once("pulled", "echo here", main={"image": f"{address}/some/box:1", "imagePullPolicy": "Always"}, **known),
            once("no-secret", "true", main={"image": f"{address}/other/box:1"}),
            once("no-tag", "true", main={"image": f"{address}/some/box:absent"}, **known),
        )
        assert lab.output("pulled") == "here\n"
        messages = [text for reason, text in lab.api.events("pulled") if reason == "Pulled"]
        assert messages and messages[0].startswith(f'Successfully pulled image "{address}/some/box:1" in ')
        refused = lab.waiting("no-secret", "ErrImagePull", "ImagePullBackOff")["message"]
        assert "authorization failed" in refused or "401" in refused
        missing = lab.waiting("no-tag", "ErrImagePull", "ImagePullBackOff")["message"]
        assert "rpc error: code = NotFound desc = failed to pull and unpack image" in missing
        lab.api.await_event("no-tag", "BackOff", f'Back-off pulling image "{address}/some/box:absent"')
