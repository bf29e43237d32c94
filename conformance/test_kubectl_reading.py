"""Reading with kubectl: tables, formats, selectors, pages and watches."""

from __future__ import annotations

import json
import queue
import re
import threading
import time
from collections.abc import Iterable
from subprocess import Popen

import pytest
import yaml

from conformance.kubectl import Kubectl, columns
from conformance.test_kubectl_objects import deployment, pod


@pytest.fixture(scope="module")
def stocked(k: Kubectl) -> Kubectl:
    """A namespace with a deployment, three labelled pods, a service, and eleven configmaps."""
    pods = [pod(colour, colour=colour) for colour in ("red", "green", "blue")]
    objects = [deployment("shop", 3), *pods]
    for number in range(11):
        meta = {"name": f"page-{number:02}", "labels": {"set": "pages"}}
        objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    k("create", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": objects})
    k("expose", "deployment", "shop", "--port=80")
    return k


def test_get_prints_the_kinds_own_columns(stocked: Kubectl) -> None:
    head, rows = columns(stocked("get", "pods"))
    assert head == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert any(name == "red" and re.fullmatch("[01]/1", ready) for name, ready, *_ in rows)
    head, rows = columns(stocked("get", "deployments"))
    assert head == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert rows[0][0] == "shop" and rows[0][1].endswith("/3")
    head, rows = columns(stocked("get", "services"))
    assert head == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert rows[0][1] == "ClusterIP" and rows[0][3:5] == ["<none>", "80/TCP"]
    assert re.fullmatch(r"\d+m?s|\d+m\d+s", rows[0][-1])


def test_get_wide_has_more_columns(stocked: Kubectl) -> None:
    head, _ = columns(stocked("get", "pods", "-o", "wide"))
    assert head[5:] == ["IP", "NODE", "NOMINATED NODE", "READINESS GATES"]
    head, rows = columns(stocked("get", "deployments", "-o", "wide"))
    assert head[5:] == ["CONTAINERS", "IMAGES", "SELECTOR"]
    assert rows[0][5:] == ["web", "nginx:1.27", "app=shop"]


def test_get_yaml_and_json_agree(stocked: Kubectl) -> None:
    from_yaml = yaml.safe_load(stocked("get", "deployment", "shop", "-o", "yaml"))
    from_json = stocked.json("get", "deployment", "shop")
    assert json.dumps(from_yaml["spec"], sort_keys=True) == json.dumps(from_json["spec"], sort_keys=True)
    assert list(from_json)[:3] == ["apiVersion", "kind", "metadata"]
    assert "managedFields" not in from_json["metadata"]
    assert from_json["spec"]["strategy"]["type"] == "RollingUpdate"


def test_get_jsonpath_go_template_names_and_custom_columns(stocked: Kubectl) -> None:
    names = stocked("get", "pods", "-l", "colour", "-o", "jsonpath={.items[*].metadata.name}")
    assert names == "blue green red"
    template = "{{range .items}}{{.metadata.labels.colour}} {{end}}"
    assert stocked("get", "pods", "-l", "colour", "-o", f"go-template={template}") == "blue green red "
    assert stocked("get", "pods", "-l", "colour", "-o", "name") == "pod/blue\npod/green\npod/red\n"
    printed = stocked("get", "pods", "-l", "colour", "-o", "custom-columns=N:.metadata.name,C:.metadata.labels.colour")
    assert columns(printed) == (["N", "C"], [["blue", "blue"], ["green", "green"], ["red", "red"]])


def test_get_sorts_shows_labels_and_label_columns(stocked: Kubectl) -> None:
    printed = stocked("get", "pods", "-l", "colour", "--sort-by=.metadata.labels.colour", "-L", "colour")
    head, rows = columns(printed)
    assert head[-1] == "COLOUR" and [row[-1] for row in rows] == ["blue", "green", "red"]
    head, rows = columns(stocked("get", "pod", "red", "--show-labels"))
    assert head[-1] == "LABELS" and rows[0][-1] == "colour=red"


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("colour=red", "red"),
        ("colour!=red,colour", "blue green"),
        ("colour in (red,blue)", "blue red"),
        ("colour notin (red),colour", "blue green"),
        ("colour,!other", "blue green red"),
    ],
)
def test_get_by_label(stocked: Kubectl, selector: str, names: str) -> None:
    assert stocked("get", "pods", "-l", selector, "-o", "jsonpath={.items[*].metadata.name}") == names


def test_get_by_field(stocked: Kubectl) -> None:
    assert stocked("get", "pods", "--field-selector=metadata.name=red", "-o", "name") == "pod/red\n"
    assert "pod/red" in stocked("get", "pods", "--field-selector=status.phase!=Succeeded", "-o", "name")
    assert "pod/red" not in stocked("get", "pods", "--field-selector=status.phase=Succeeded", "-o", "name")
    refusal = stocked.refused("get", "pods", "--field-selector=spec.colour=red")
    assert 'field label not supported: spec.colour' in refusal


def test_get_in_pages_is_get_at_once(stocked: Kubectl) -> None:
    at_once = stocked("get", "configmaps", "-l", "set=pages", "-o", "name", "--chunk-size=0")
    assert at_once.count("\n") == 11
    assert stocked("get", "configmaps", "-l", "set=pages", "-o", "name", "--chunk-size=4") == at_once
    _, rows = columns(stocked("get", "configmaps", "-l", "set=pages", "--chunk-size=3"))
    assert [row[0] for row in rows] == [f"page-{number:02}" for number in range(11)]


def test_get_of_all_namespaces_names_them(stocked: Kubectl, kubectl: Kubectl) -> None:
    head, rows = columns(kubectl("get", "pods", "-A"))
    assert head[0] == "NAMESPACE" and [stocked.namespace, "red"] in [row[:2] for row in rows]


def test_get_several_kinds_and_all(stocked: Kubectl) -> None:
    printed = stocked("get", "pod/red", "deployment/shop", "service/shop")
    assert all(name in printed for name in ("pod/red", "deployment.apps/shop", "service/shop"))
    assert "deployment.apps/shop" in stocked("get", "all")


def test_get_of_nothing_says_so(stocked: Kubectl) -> None:
    done = stocked.attempt("get", "statefulsets")
    assert (done.returncode, done.stderr) == (0, f"No resources found in {stocked.namespace} namespace.\n")
    assert 'Error from server (NotFound): pods "none" not found' in stocked.refused("get", "pod", "none")
    assert 'doesn\'t have a resource type "nonsense"' in stocked.refused("get", "nonsense")


def test_get_raw(stocked: Kubectl) -> None:
    assert stocked("get", "--raw", "/readyz") == "ok"
    assert json.loads(stocked("get", "--raw", "/version"))["minor"] == "36"


def test_watch_prints_each_change(stocked: Kubectl) -> None:
    watching = stocked.background("get", "configmaps", "-w", "-l", "watched=yes", "--output-watch-events")
    try:
        lines = _Lines(watching)
        # Only once the watch's own list is done does a change show as an event of its own.
        stocked("create", "-f", "-", stdin=_watched("first"))
        assert re.match(r"ADDED +first", lines.matching("first"))
        stocked("patch", "configmap", "first", "-p", '{"data":{"a":"b"}}')
        assert re.match(r"MODIFIED +first +1", lines.matching("MODIFIED"))
        stocked("label", "configmap", "first", "watched-")
        assert re.match(r"DELETED +first", lines.matching("DELETED"))
        stocked("create", "-f", "-", stdin=_watched("second"))
        assert re.match(r"ADDED +second", lines.matching("second"))
    finally:
        watching.kill()
        watching.communicate()


def _watched(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"watched": "yes"}}}


class _Lines:
    """The lines that a process prints, waited for with a deadline."""

    def __init__(self, process: Popen[str]) -> None:
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, args=(process.stdout,), daemon=True).start()

    def _read(self, stream: Iterable[str]) -> None:
        for line in stream:
            self._lines.put(line)

    def matching(self, part: str) -> str:
        deadline = time.monotonic() + 20
        while True:
            line = self._lines.get(timeout=max(0.01, deadline - time.monotonic()))
            if part in line:
                return line


def test_describe_tells_the_story_of_an_object(stocked: Kubectl) -> None:
    told = stocked("describe", "deployment", "shop")
    assert re.search(r"^Name: +shop$", told, re.M) and re.search(r"^Replicas: +3 desired", told, re.M)
    assert re.search(r"Image: +nginx:1.27", told)
    told = stocked("describe", "pod", "red")
    assert re.search(r"^Labels: +colour=red$", told, re.M) and re.search(r"^QoS Class: +BestEffort$", told, re.M)
    assert re.search(r"^Selector: +app=shop$", stocked("describe", "service", "shop"), re.M)
    assert "Name:" in stocked("describe", "namespace", stocked.namespace)


def test_events_are_printed_and_described(stocked: Kubectl) -> None:
    uid = stocked("get", "pod", "red", "-o", "jsonpath={.metadata.uid}")
    about = {"kind": "Pod", "name": "red", "namespace": stocked.namespace, "uid": uid, "apiVersion": "v1"}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "red.1"},
        "involvedObject": about,
        "reason": "Painted",
        "message": "It is red now",
        "type": "Normal",
        "source": {"component": "conformance"},
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "count": 1,
    }
    stocked("create", "-f", "-", stdin=event)
    head, _ = columns(stocked("events"))
    assert head[-3:] == ["REASON", "OBJECT", "MESSAGE"]
    assert "It is red now" in stocked("events", "--for=pod/red")
    head, rows = columns(stocked("get", "events", "--field-selector=involvedObject.name=red,reason=Painted"))
    assert head == ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert rows[0][1:] == ["Normal", "Painted", "pod/red", "It is red now"]
    assert "Painted" in stocked("describe", "pod", "red")
