"""What a pod's spec promises to its processes: environment, volumes, rights, names, ports; and what is refused."""

from __future__ import annotations

import base64
import json
import socket
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from conformance.images import UID, USER_IMAGE
from conformance.machines import Lab, Object, is_true, once, pod
from conformance.processes import eventually, free_port

HOST_PORT = free_port()


def field(path: str) -> Object:
    return {"valueFrom": {"fieldRef": {"fieldPath": path}}}


def key_of(kind: str, key: str, **fields: Any) -> Object:
    return {"valueFrom": {kind: {"name": "settings", "key": key, **fields}}}


def resource(name: str, divisor: str) -> Object:
    return {"valueFrom": {"resourceFieldRef": {"resource": name, "divisor": divisor}}}


def variables(**entries: Object | str) -> list[Object]:
    return [{"name": n, **({"value": value} if isinstance(value, str) else value)} for n, value in entries.items()]


def mount(name: str, path: str, **fields: Any) -> Object:
    return {"name": name, "mountPath": path, **fields}


ENVIRONMENT = once(
    "environment", 'env; echo "ARGS $*"',
    labels={"tier": "front"}, metadata={"annotations": {"note": "read me"}},
    main={
        "args": ["zero", "$(PLAIN)", "$$(PLAIN)", "$(UNKNOWN)"],
        "env": variables(
            PLAIN="plain", BUILT="<$(PLAIN)>", NAME=field("metadata.name"), NAMESPACE=field("metadata.namespace"),
            TIER=field("metadata.labels['tier']"), NOTE=field("metadata.annotations['note']"),
            NODE=field("spec.nodeName"), ACCOUNT=field("spec.serviceAccountName"), POD_IP=field("status.podIP"),
            HOST_IP=field("status.hostIP"), CPU=resource("limits.cpu", "1m"), MEMORY=resource("requests.memory", "1Mi"),
            COLOUR=key_of("configMapKeyRef", "colour"), WORD=key_of("secretKeyRef", "word"),
            NONE=key_of("configMapKeyRef", "absent", optional=True),
        ),
        "envFrom": [{"prefix": "ALL_", "configMapRef": {"name": "settings"}}],
        "resources": {"limits": {"cpu": "250m", "memory": "64Mi"}, "requests": {"memory": "32Mi", "cpu": "10m"}},
    },
)  # fmt: skip

READ_ALL = """
set -e
cat /config/colour /config/renamed/file /secret/word /sub/file; echo
stat -L -c %a /secret/word
cat /info/labels /info/limit; echo
cat /var/run/secrets/kubernetes.io/serviceaccount/namespace; echo
echo written > /host/file; cat /claim/before
mount | grep -c "on /memory type tmpfs"
touch /config/colour 2>&1 || echo read-only
cut -d. -f2 /token/token
"""
VOLUMES = once(
    "volumes", READ_ALL, labels={"tier": "front"},
    volumes=[
        {"name": "config", "configMap": {"name": "settings", "items": [
            {"key": "colour", "path": "colour"}, {"key": "file", "path": "renamed/file"}]}},
        {"name": "secret", "secret": {"secretName": "settings", "defaultMode": 0o400}},
        {"name": "info", "downwardAPI": {"items": [
            {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
            {"path": "limit", "resourceFieldRef": {"containerName": "main", "resource": "limits.memory"}}]}},
        {"name": "token", "projected": {"sources": [
            {"serviceAccountToken": {"path": "token", "audience": "elsewhere", "expirationSeconds": 600}}]}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
        {"name": "claim", "persistentVolumeClaim": {"claimName": "claim"}},
    ],
    main={
        "resources": {"limits": {"memory": "64Mi"}},
        "volumeMounts": [
            mount("config", "/config"), mount("secret", "/secret"), mount("info", "/info"), mount("token", "/token"),
            mount("config", "/sub/file", subPath="renamed/file"), mount("memory", "/memory"), mount("host", "/host"),
            mount("claim", "/claim"),
        ],
    },
)  # fmt: skip

WHO = "id -u; id -g; id -G; grep CapEff /proc/self/status; touch /file 2>&1 || true; stat -c %g /data; "
RIGHTS = once(
    "rights", WHO + "touch /data/file; stat -c %g /data/file; grep NoNewPrivs /proc/self/status",
    securityContext={"runAsUser": UID, "runAsGroup": 3000, "fsGroup": 2000, "supplementalGroups": [4000]},
    volumes=[{"name": "data", "emptyDir": {}}],
    main={
        "volumeMounts": [mount("data", "/data")],
        "securityContext": {
            "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
        },
    },
)  # fmt: skip
CAPABLE = once(
    "capable", "grep CapEff /proc/self/status",
    main={"securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}},
)  # fmt: skip
NAMES = once(
    "names", "hostname; hostname -f; cat /etc/hosts", hostname="inner", subdomain="web",
    hostAliases=[{"ip": "10.1.2.3", "hostnames": ["other", "other.example.com"]}],
)  # fmt: skip
DNS_NONE = once(
    "dns-none", "cat /etc/resolv.conf", dnsPolicy="None",
    dnsConfig={"nameservers": ["192.0.2.53"], "searches": ["a.example.com"],
               "options": [{"name": "ndots", "value": "2"}]},
)  # fmt: skip
SERVER = "mkdir -p /tmp/www; echo hosted > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"
PODS = (
    ENVIRONMENT, VOLUMES, RIGHTS, CAPABLE, NAMES, DNS_NONE,
    once("dns-cluster", "cat /etc/resolv.conf"),
    once("dns-default", "cat /etc/resolv.conf", dnsPolicy="Default"),
    once("image-user", "id -u; id -g", main={"image": USER_IMAGE}),
    once("host-network", "hostname; ip -o link", hostNetwork=True, terminationGracePeriodSeconds=0),
    once("shared-processes", "ps | grep -c pause", shareProcessNamespace=True),
    pod("ported", "sh", "-c", SERVER, main={"ports": [{"containerPort": 8080, "hostPort": HOST_PORT}]}),
    pod("watching", volumes=[{"name": "config", "configMap": {"name": "changing"}}],
        main={"volumeMounts": [mount("config", "/config")]}),
    pod("no-image", main={"image": "conformance.example.com/nonesuch:1", "imagePullPolicy": "Never"}),
    pod("bad-image", main={"image": "UPPER:1"}),
    pod("no-config", main={"env": variables(A=key_of("configMapKeyRef", "absent"))}),
    pod("no-command", "/nonesuch"),
    pod("not-root", securityContext={"runAsNonRoot": True}),
)  # fmt: skip


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the machine: one part for a hostPath volume, one for a persistent volume."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "claim").mkdir()
    (folder / "claim" / "before").write_text("was here\n")
    return folder


@pytest.fixture(scope="module", autouse=True)
def pods(lab: Lab, host: Path) -> None:
    settings = {"colour": "blue", "file": "one line\n"}
    secret = {"word": base64.b64encode(b"hush").decode()}
    room: Object = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    volume = f"{lab.kubectl.namespace}-claim"
    VOLUMES["spec"]["volumes"].append({"name": "host", "hostPath": {"path": str(host), "type": "Directory"}})
    lab.make(
        {"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": settings},
        {"kind": "ConfigMap", "metadata": {"name": "changing"}, "data": {"word": "old"}},
        {"kind": "Secret", "metadata": {"name": "settings"}, "data": secret},
        {"kind": "PersistentVolume", "metadata": {"name": volume}, "spec": {
            **room, "capacity": {"storage": "1Gi"}, "hostPath": {"path": str(host / "claim")},
            "persistentVolumeReclaimPolicy": "Retain"}},
        {"kind": "PersistentVolumeClaim", "metadata": {"name": "claim"}, "spec": {
            **room, "volumeName": volume, "resources": {"requests": {"storage": "1Gi"}}}},
        *PODS,
    )  # fmt: skip


def test_the_environment(lab: Lab) -> None:
    printed = lab.output("environment").splitlines()
    found = dict(line.split("=", 1) for line in printed if "=" in line)
    seen = lab.pod("environment")
    expected = {
        "PLAIN": "plain", "BUILT": "<plain>", "NAME": "environment", "NAMESPACE": lab.kubectl.namespace,
        "TIER": "front", "NOTE": "read me", "NODE": seen["spec"]["nodeName"], "ACCOUNT": "default",
        "POD_IP": seen["status"]["podIP"], "HOST_IP": seen["status"]["hostIP"], "CPU": "250", "MEMORY": "32",
        "COLOUR": "blue", "WORD": "hush", "ALL_colour": "blue", "KUBERNETES_SERVICE_HOST": "10.96.0.1",
        "KUBERNETES_SERVICE_PORT": "443", "HOSTNAME": "environment",
    }  # fmt: skip
    assert {name: found.get(name) for name in expected} == expected
    assert "NONE" not in found
    assert printed[-1] == "ARGS plain $(PLAIN) $(UNKNOWN)"


def test_volumes(lab: Lab, host: Path) -> None:
    printed = lab.output("volumes").splitlines()
    memory = 64 * 1024 * 1024
    assert printed[:9] == [
        "blueone line", "hushone line", "", "400", 'app="volumes"', f'tier="front"{memory}',
        lab.kubectl.namespace, "was here", "1",
    ]  # fmt: skip
    assert printed[-2] == "read-only" and "Read-only file system" in printed[-3]
    claims = printed[-1] + "=" * (-len(printed[-1]) % 4)
    token = json.loads(base64.urlsafe_b64decode(claims))
    assert token["aud"] == ["elsewhere"] and token["exp"] - token["iat"] == 600
    assert token["kubernetes.io"]["pod"]["name"] == "volumes"
    assert (host / "file").read_text() == "written\n"


def test_a_changed_config_map_is_seen(lab: Lab) -> None:
    lab.running("watching")
    assert lab("exec", "watching", "--", "cat", "/config/word") == "old"
    lab("patch", "configmap", "changing", "--type=merge", "-p", '{"data":{"word":"new"}}')
    eventually(lambda: lab("exec", "watching", "--", "cat", "/config/word") == "new", 20)


def test_rights_are_what_the_spec_says(lab: Lab) -> None:
    user, group, groups, effective, refused, owner, file_owner, privileges = lab.output("rights").splitlines()
    assert (user, group) == (str(UID), "3000")
    assert set(groups.split()) == {"3000", "2000", "4000"}
    assert int(effective.split()[1], 16) == 0
    assert "Read-only file system" in refused
    assert (owner, file_owner) == ("2000", "2000")
    assert privileges.split() == ["NoNewPrivs:", "1"]
    net_admin = 1 << 12
    assert int(lab.output("capable").split()[1], 16) == net_admin
    assert lab.output("image-user").split() == [str(UID), str(UID)]


def test_names_of_a_pod(lab: Lab) -> None:
    printed = lab.output("names")
    domain = f"inner.web.{lab.kubectl.namespace}.svc.cluster.local"
    assert printed.splitlines()[:2] == ["inner", domain]
    address = lab.pod("names")["status"]["podIP"]
    assert f"{address}\t{domain}\tinner\n" in printed
    assert "10.1.2.3\tother\tother.example.com\n" in printed


def test_name_servers_by_policy(lab: Lab) -> None:
    assert lab.output("dns-none").splitlines() == [
        "search a.example.com", "nameserver 192.0.2.53", "options ndots:2",
    ]  # fmt: skip
    cluster = lab.output("dns-cluster")
    assert f"search {lab.kubectl.namespace}.svc.cluster.local svc.cluster.local cluster.local" in cluster
    assert "nameserver 10.96.0.10" in cluster and "options ndots:5" in cluster
    assert "cluster.local" not in lab.output("dns-default")


def test_a_pod_may_share_namespaces(lab: Lab) -> None:
    printed = lab.output("host-network").splitlines()
    assert printed[0] == socket.gethostname()
    seen = lab.pod("host-network")["status"]
    assert seen["podIP"] == seen["hostIP"]
    assert int(lab.output("shared-processes")) >= 1


def test_a_port_of_the_machine_leads_to_the_pod(lab: Lab) -> None:
    address = lab.running("ported")["status"]["hostIP"]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def fetched() -> bytes:
        try:
            with opener.open(f"http://{address}:{HOST_PORT}/", timeout=5) as answer:
                content: bytes = answer.read()
                return content
        except OSError:
            return b""

    assert eventually(fetched) == b"hosted\n"


def test_why_a_container_cannot_be_made_is_told(lab: Lab) -> None:
    image = 'Container image "conformance.example.com/nonesuch:1" is not present with pull policy of Never'
    assert lab.waiting("no-image", "ErrImageNeverPull")["message"] == image
    assert "couldn't parse image name" in lab.waiting("bad-image", "InvalidImageName")["message"]
    absent = f"couldn't find key absent in ConfigMap {lab.kubectl.namespace}/settings"
    assert lab.waiting("no-config", "CreateContainerConfigError")["message"] == absent
    refusal = lab.waiting("not-root", "CreateContainerConfigError")["message"]
    assert refusal.startswith("container has runAsNonRoot and image will run as root")
    assert "no such file" in lab.waiting("no-command", "RunContainerError", "CrashLoopBackOff")["message"] or (
        lab.waiting("no-command", "CrashLoopBackOff")
    )
    assert not is_true(lab.pod("no-command"), "Ready")
