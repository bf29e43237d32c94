"""Making, changing and removing objects with kubectl: each step's printed words are those that users script against."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance.kubectl import Kubectl
from conformance.processes import eventually

SETTINGS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"colour": "red"}}


def deployment(name: str, replicas: int = 2) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "web", "image": "nginx:1.27", "ports": [{"containerPort": 80}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels}, "spec": spec}


def pod(name: str, **labels: str) -> dict[str, Any]:
    spec = {"containers": [{"name": "main", "image": "busybox:1.36", "command": ["sleep", "3600"]}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


def test_apply_creates_then_leaves_then_changes(k: Kubectl) -> None:
    assert k("apply", "-f", "-", stdin=SETTINGS) == "configmap/settings created\n"
    assert k("apply", "-f", "-", stdin=SETTINGS) == "configmap/settings unchanged\n"
    changed = {**SETTINGS, "data": {"size": "large"}}
    assert k("apply", "-f", "-", stdin=changed) == "configmap/settings configured\n"
    assert k.json("get", "configmap", "settings")["data"] == {"size": "large"}


def test_apply_reads_several_documents(k: Kubectl) -> None:
    documents = yaml.safe_dump_all([deployment("several"), {**SETTINGS, "metadata": {"name": "several"}}])
    printed = k("apply", "-f", "-", stdin=documents)
    assert printed == "deployment.apps/several created\nconfigmap/several created\n"


def test_a_list_is_checked_by_kubectl_itself(k: Kubectl) -> None:
    """It reads the version 2 document for that, in protobuf, as lists are no kind of the server's."""
    one = {**SETTINGS, "metadata": {"name": "listed"}}
    assert k("create", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": [one]}).count("created") == 1
    wrong = {"apiVersion": "v1", "kind": "List", "items": [{**one, "colour": "red"}]}
    assert 'unknown field "colour" in io.k8s.api.core.v1.ConfigMap' in k.refused("apply", "-f", "-", stdin=wrong)


def test_apply_on_the_server_keeps_owners_apart(k: Kubectl) -> None:
    ours = {**SETTINGS, "metadata": {"name": "shared"}}
    assert k("apply", "--server-side", "-f", "-", stdin=ours) == "configmap/shared serverside-applied\n"
    theirs = {**ours, "data": {"colour": "blue"}}
    refusal = k.refused("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=theirs)
    assert 'conflict with "kubectl": .data.colour' in refusal
    forced = k("apply", "--server-side", "--force-conflicts", "--field-manager=other", "-f", "-", stdin=theirs)
    assert forced == "configmap/shared serverside-applied\n"
    managers = k.json("get", "configmap", "shared", "--show-managed-fields")["metadata"]["managedFields"]
    owners = {entry["manager"]: entry["operation"] for entry in managers if "f:data" in entry["fieldsV1"]}
    assert owners == {"other": "Apply"}


def test_create_of_the_same_name_twice_is_refused(k: Kubectl) -> None:
    assert k("create", "configmap", "twice", "--from-literal=a=b") == "configmap/twice created\n"
    refusal = k.refused("create", "configmap", "twice", "--from-literal=a=b")
    assert 'configmaps "twice" already exists' in refusal


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (("deployment", "made", "--image=nginx", "--replicas=2"), "deployment.apps/made created"),
        (("service", "clusterip", "made", "--tcp=80:8080"), "service/made created"),
        (("secret", "generic", "made", "--from-literal=key=value"), "secret/made created"),
        (("serviceaccount", "made"), "serviceaccount/made created"),
        (("role", "made", "--verb=get,list", "--resource=pods"), "role.rbac.authorization.k8s.io/made created"),
        (("rolebinding", "made", "--role=made", "--user=ann"), "rolebinding.rbac.authorization.k8s.io/made created"),
        (("quota", "made", "--hard=configmaps=1000"), "resourcequota/made created"),
        (("job", "made", "--image=busybox", "--", "true"), "job.batch/made created"),
        (("cronjob", "made", "--image=busybox", "--schedule=0 1 * * *"), "cronjob.batch/made created"),
        (("ingress", "made", "--rule=a.example/b=made:80"), "ingress.networking.k8s.io/made created"),
        (("poddisruptionbudget", "made", "--selector=app=made", "--min-available=1"), "made created"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_create_has_a_generator_for_many_kinds(k: Kubectl, arguments: tuple[str, ...], printed: str) -> None:
    assert printed in k("create", *arguments)


def test_run_and_expose(k: Kubectl) -> None:
    assert k("run", "runner", "--image=nginx", "--port=80", "--labels=app=runner") == "pod/runner created\n"
    assert k("expose", "pod", "runner", "--port=8080", "--target-port=80") == "service/runner exposed\n"
    service = k.json("get", "service", "runner")["spec"]
    assert service["selector"] == {"app": "runner"}
    assert service["ports"] == [{"port": 8080, "protocol": "TCP", "targetPort": 80}]
    assert service["clusterIP"] != "None"


def test_create_token_names_the_account(k: Kubectl) -> None:
    k("create", "serviceaccount", "robot")
    token = k("create", "token", "robot", "--duration=10m").strip()
    printed = k("auth", "whoami", f"--token={token}", "-o", "json")
    # The client certificate of the kubeconfig is stronger than a token beside it, so only the form is looked at here.
    assert token.count(".") == 2 and "userInfo" in json.loads(printed)["status"]


def test_label_adds_overwrites_and_removes(k: Kubectl) -> None:
    k("create", "configmap", "labelled")
    assert k("label", "configmap", "labelled", "tier=one") == "configmap/labelled labeled\n"
    assert "already has a value (one)" in k.refused("label", "configmap", "labelled", "tier=two")
    assert k("label", "configmap", "labelled", "tier=two", "--overwrite") == "configmap/labelled labeled\n"
    assert k("label", "configmap", "labelled", "--list") == "tier=two\n"
    assert k("label", "configmap", "labelled", "tier-") == "configmap/labelled unlabeled\n"
    assert "labels" not in k.json("get", "configmap", "labelled")["metadata"]


def test_annotate_adds_and_removes(k: Kubectl) -> None:
    k("create", "configmap", "annotated")
    assert k("annotate", "configmap", "annotated", "note=hello world") == "configmap/annotated annotated\n"
    assert k.json("get", "configmap", "annotated")["metadata"]["annotations"] == {"note": "hello world"}
    assert k("annotate", "configmap", "annotated", "note-") == "configmap/annotated annotated\n"


@pytest.mark.parametrize(
    ("kind", "patch", "image"),
    [
        ("strategic", '{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"nginx:2"}]}}}}', "nginx:2"),
        ("json", '[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"nginx:3"}]', "nginx:3"),
        ("merge", '{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"nginx:4"}]}}}}', "nginx:4"),
    ],
)
def test_patch_in_three_ways(k: Kubectl, kind: str, patch: str, image: str) -> None:
    name = f"patched-{kind}"
    k("create", "-f", "-", stdin=deployment(name))
    assert k("patch", "deployment", name, f"--type={kind}", "-p", patch) == f"deployment.apps/{name} patched\n"
    container = k.json("get", "deployment", name)["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == image
    # Only the strategic one merges lists by name; a JSON merge patch puts the list as it is in place.
    assert ("ports" in container) == (kind != "merge")
    # kubectl compares with what it read just before: a status written in between counts as a change.
    unchanged = f"deployment.apps/{name} patched (no change)\n"
    eventually(lambda: k("patch", "deployment", name, f"--type={kind}", "-p", patch) == unchanged)


def test_patch_of_a_subresource(k: Kubectl) -> None:
    k("create", "-f", "-", stdin=deployment("sub", 1))
    k("patch", "deployment", "sub", "--subresource=scale", "--type=merge", "-p", '{"spec":{"replicas":4}}')
    assert k("get", "deployment", "sub", "-o", "jsonpath={.spec.replicas}") == "4"


def test_edit_saves_what_the_editor_leaves(k: Kubectl, tmp_path: Path) -> None:
    k("create", "configmap", "edited", "--from-literal=word=before")
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i s/before/after/ $1\n")
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    done = k.attempt("edit", "configmap", "edited", env={"EDITOR": str(editor), "KUBE_EDITOR": str(editor)})
    assert done.stdout == "configmap/edited edited\n"
    assert k("get", "configmap", "edited", "-o", "jsonpath={.data.word}") == "after"


def test_replace_needs_the_revision_it_read(k: Kubectl) -> None:
    k("create", "configmap", "replaced", "--from-literal=a=1")
    read = k.json("get", "configmap", "replaced")
    read["data"]["a"] = "2"
    assert k("replace", "-f", "-", stdin=read) == "configmap/replaced replaced\n"
    read["data"]["a"] = "3"
    assert "the object has been modified" in k.refused("replace", "-f", "-", stdin=read)
    assert k("get", "configmap", "replaced", "-o", "jsonpath={.data.a}") == "2"


def test_scale_with_and_without_a_condition(k: Kubectl) -> None:
    k("create", "-f", "-", stdin=deployment("scaled"))
    assert k("scale", "deployment", "scaled", "--replicas=5") == "deployment.apps/scaled scaled\n"
    assert k("get", "deployment", "scaled", "-o", "jsonpath={.spec.replicas}") == "5"
    refusal = k.refused("scale", "deployment", "scaled", "--current-replicas=2", "--replicas=3")
    assert "Expected replicas to be 2, was 5" in refusal


def test_set_image_and_rollout_history_start_from_the_template(k: Kubectl) -> None:
    k("create", "-f", "-", stdin=deployment("updated"))
    assert k("set", "image", "deployment/updated", "web=nginx:5") == "deployment.apps/updated image updated\n"
    assert k("set", "env", "deployment/updated", "A=b") == "deployment.apps/updated env updated\n"
    assert k("rollout", "restart", "deployment/updated") == "deployment.apps/updated restarted\n"
    assert k("rollout", "pause", "deployment/updated") == "deployment.apps/updated paused\n"
    assert k.json("get", "deployment", "updated")["metadata"]["generation"] == 5


def test_autoscale_makes_an_autoscaler(k: Kubectl) -> None:
    k("create", "-f", "-", stdin=deployment("auto"))
    printed = k("autoscale", "deployment", "auto", "--min=1", "--max=3", "--cpu=80%")
    assert printed == "horizontalpodautoscaler.autoscaling/auto autoscaled\n"
    assert k.json("get", "hpa", "auto")["spec"]["maxReplicas"] == 3


def test_diff_shows_what_apply_would_change(k: Kubectl) -> None:
    before = {**SETTINGS, "metadata": {"name": "differing"}}
    k("apply", "-f", "-", stdin=before)
    assert k.attempt("diff", "-f", "-", stdin=before).returncode == 0
    done = k.attempt("diff", "-f", "-", stdin={**before, "data": {"colour": "green"}})
    assert done.returncode == 1
    assert "-  colour: red" in done.stdout and "+  colour: green" in done.stdout


def test_dry_run_on_the_server_judges_but_keeps_nothing(k: Kubectl) -> None:
    made = yaml.safe_load(k("create", "configmap", "imagined", "--dry-run=server", "-o", "yaml"))
    assert made["metadata"]["uid"]
    assert '"imagined" not found' in k.refused("get", "configmap", "imagined")
    wrong = {**SETTINGS, "metadata": {"name": "Not_A_Name"}}
    assert "a lowercase RFC 1123 subdomain" in k.refused("create", "--dry-run=server", "-f", "-", stdin=wrong)
    printed = k("delete", "configmap", "kube-root-ca.crt", "--dry-run=server", "--ignore-not-found")
    assert printed in ("", f'configmap "kube-root-ca.crt" deleted from {k.namespace} namespace (server dry run)\n')


def test_validate_tells_strict_from_warn_and_ignore(k: Kubectl) -> None:
    wrong = {**SETTINGS, "metadata": {"name": "unknown"}, "colour": "red"}
    refusal = k.refused("create", "--validate=strict", "-f", "-", stdin=wrong)
    assert 'strict decoding error: unknown field "colour"' in refusal
    warned = k.attempt("create", "--validate=warn", "-f", "-", stdin=wrong)
    assert warned.stdout == "configmap/unknown created\n"
    assert 'Warning: unknown field "colour"' in warned.stderr
    ignored = k.attempt("replace", "--validate=ignore", "-f", "-", stdin=wrong)
    assert (ignored.stdout, ignored.stderr) == ("configmap/unknown replaced\n", "")


def test_delete_waits_and_takes_names_labels_and_files(k: Kubectl) -> None:
    for name in ("gone-1", "gone-2", "gone-3", "gone-4"):
        k("create", "configmap", name)
    k("label", "configmap", "gone-2", "gone-3", "going=yes")
    printed = k("delete", "configmap", "gone-1", "--wait")
    assert printed == f'configmap "gone-1" deleted from {k.namespace} namespace\n'
    assert k("delete", "configmap", "-l", "going=yes").count("deleted") == 2
    assert k("delete", "-f", "-", stdin={**SETTINGS, "metadata": {"name": "gone-4"}}).count("deleted") == 1
    assert k("delete", "configmap", "gone-4", "--ignore-not-found") == ""
    assert 'configmaps "gone-4" not found' in k.refused("delete", "configmap", "gone-4")


@pytest.mark.parametrize(
    ("cascade", "finalizer"), [("background", None), ("orphan", "orphan"), ("foreground", "foregroundDeletion")]
)
def test_delete_leaves_word_for_the_garbage_collector(k: Kubectl, cascade: str, finalizer: str | None) -> None:
    """A finalizer holds the object until dependants are dealt with; a collector may have done so already."""
    name = f"cascade-{cascade}"
    k("create", "-f", "-", stdin=deployment(name, 0))
    assert "deleted" in k("delete", "deployment", name, f"--cascade={cascade}", "--wait=false")
    left = k("get", "deployment", name, "--ignore-not-found", "-o", "json")
    if finalizer is None:
        assert left == ""
    elif left:
        meta = json.loads(left)["metadata"]
        assert finalizer in meta["finalizers"] and meta["deletionTimestamp"]
        k("patch", "deployment", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')


def test_finalizers_hold_an_object_until_they_are_gone(k: Kubectl) -> None:
    held = {**SETTINGS, "metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    k("create", "-f", "-", stdin=held)
    k("delete", "configmap", "held", "--wait=false")
    assert k.json("get", "configmap", "held")["metadata"]["deletionGracePeriodSeconds"] == 0
    k("patch", "configmap", "held", "--type=merge", "-p", '{"metadata":{"finalizers":[]}}')
    assert k("get", "configmap", "held", "--ignore-not-found") == ""


def test_a_pod_that_no_node_has_is_deleted_at_once(k: Kubectl) -> None:
    unplaced = pod("unplaced")
    unplaced["spec"]["nodeSelector"] = {"example.com/none": "such"}
    k("create", "-f", "-", stdin=unplaced)
    assert "deleted" in k("delete", "pod", "unplaced", "--wait", "--timeout=10s")


def test_wait_for_a_condition_and_for_deletion(k: Kubectl) -> None:
    k("create", "configmap", "awaited", "--from-literal=state=done")
    waited = k("wait", "configmap/awaited", "--for=jsonpath={.data.state}=done", "--timeout=5s")
    assert waited == "configmap/awaited condition met\n"
    waiting = k.background("wait", "configmap/awaited", "--for=delete", "--timeout=20s")
    k("delete", "configmap", "awaited")
    waiting.communicate(timeout=30)
    assert waiting.returncode == 0
