"""What is refused when a pod is created, in the API's words and order."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from apiserver.tests.resources.pods.making import NOW, PODS, context, make_pod, problems, stored_pod

Object = dict[str, Any]


def container(**fields: Any) -> list[Object]:
    return [{"name": "c", "image": "i", **fields}]


def test_a_plain_pod_is_fine() -> None:
    assert problems(make_pod()) == []


@pytest.mark.parametrize(
    ("volume", "error"),
    [
        ({"hostPath": {"path": ""}}, "spec.volumes[0].hostPath.path: Required value"),
        (
            {"nfs": {"server": "s", "path": "x"}},
            'spec.volumes[0].nfs.path: Invalid value: "x": must be an absolute path',
        ),
        (
            {"gcePersistentDisk": {"pdName": "d", "partition": 256}},
            "spec.volumes[0].persistentDisk.partition: Invalid value: 256: must be between 1 and 255, inclusive",
        ),
        (
            {"emptyDir": {}, "cephfs": {"monitors": ["m"]}},
            "spec.volumes[0].cephFS: Forbidden: may not specify more than 1 volume type",
        ),
        (
            {"secret": {"secretName": "s", "defaultMode": 512}},
            "spec.volumes[0].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), "
            "both inclusive",
        ),
        (
            {"downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "spec.nodeName"}}]}},
            'spec.volumes[0].downwardAPI.fieldRef.fieldPath: Unsupported value: "spec.nodeName": supported values: '
            '"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"',
        ),
        (
            {"flexVolume": {"driver": "d", "options": {"x.k8s.io/a": "b"}}},
            'spec.volumes[0].flexVolume.options[x.k8s.io/a]: Invalid value: "x.k8s.io/a": kubernetes.io and k8s.io '
            "namespaces are reserved",
        ),
        (
            {"projected": {"sources": [{"secret": {"name": "s"}, "configMap": {"name": "m"}}]}},
            "spec.volumes[0].projected.sources[0]: Forbidden: may not specify more than 1 volume type per source",
        ),
        (
            {"azureDisk": {"diskName": "d", "diskURI": "u", "kind": "Managed"}},
            'spec.volumes[0].azureDisk.diskURI: Unsupported value: "u": supported values: "/subscriptions/{sub-id}/'
            'resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"',
        ),
    ],
)
def test_volume_sources(volume: Object, error: str) -> None:
    assert problems(make_pod(volumes=[{"name": "v", **volume}])) == [error]


def test_a_mount_of_an_unsound_volume_is_not_found() -> None:
    mounts = [{"name": "v", "mountPath": "/v"}]
    volumes = [{"name": "v", "hostPath": {"path": ""}}]
    assert problems(make_pod(volumes=volumes, containers=container(volumeMounts=mounts))) == [
        "spec.volumes[0].hostPath.path: Required value",
        'spec.containers[0].volumeMounts[0].name: Not found: "v"',
    ]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        (
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['x y']"}}}]},
            'spec.containers[0].env[0].valueFrom.fieldRef: Invalid value: "x y": name part must consist of',
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.bogus"}}}]},
            'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.bogus": error converting '
            "fieldPath: field label not supported: spec.bogus",
        ),
        (
            {"envFrom": [{}]},
            'spec.containers[0].envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`',
        ),
        (
            {"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
            "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than "
            "terminationGracePeriodSeconds (30)",
        ),
        (
            {"resources": {"claims": [{"name": "x"}]}},
            'spec.containers[0].resources.claims[0]: Not found: "x": must be one of the names in '
            "pod.spec.resourceClaims which is empty",
        ),
        (
            {"resources": {"limits": {"example.com/x": "1500m"}}},
            'spec.containers[0].resources.limits[example.com/x]: Invalid value: "1500m": must be an integer',
        ),
        (
            {"securityContext": {"procMount": "Unmasked"}},
            'spec.containers[0].securityContext.procMount: Invalid value: "Unmasked": `hostUsers` must be false to use '
            "`Unmasked`",
        ),
        (
            {"securityContext": {"seccompProfile": {"type": "RuntimeDefault", "localhostProfile": "x"}}},
            "spec.containers[0].securityContext.seccompProfile.localhostProfile: Invalid value: "
            '{"Type":"RuntimeDefault","LocalhostProfile":"x"}: can only be set when seccomp type is Localhost',
        ),
        (
            {"restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}]},
            "spec.containers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used",
        ),
    ],
)
def test_container_fields(fields: Object, error: str) -> None:
    found = problems(make_pod(containers=container(**fields)))
    assert found and found[0].startswith(error)


def test_sidecars_may_have_probes_and_plain_init_containers_may_not() -> None:
    probe = {"tcpSocket": {"port": 1}}
    sidecar = {"name": "s", "image": "i", "restartPolicy": "Always", "livenessProbe": probe}
    plain = {"name": "p", "image": "i", "livenessProbe": probe}
    assert problems(make_pod(initContainers=[sidecar, plain])) == [
        "spec.initContainers[1].livenessProbe: Forbidden: may not be set for init containers without "
        "restartPolicy=Always"
    ]


def test_rules_of_an_init_container_without_a_policy_are_not_looked_at() -> None:
    init = {"name": "p", "image": "i", "restartPolicyRules": [{"action": "Bogus"}]}
    assert problems(make_pod(initContainers=[init])) == [
        "spec.initContainers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used"
    ]


def test_a_claim_template_names_nothing() -> None:
    meta = {"finalizers": ["a/b"], "uid": "u", "name": "n", "labels": {"a": "b"}}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    volume = {"name": "v", "ephemeral": {"volumeClaimTemplate": {"metadata": meta, "spec": spec}}}
    where = "spec.volumes[0].ephemeral.volumeClaimTemplate.metadata"
    assert problems(make_pod(volumes=[volume])) == [
        f"{where}.{field}: Forbidden: cannot be set" for field in ("name", "uID", "finalizers")
    ]


@pytest.mark.parametrize(
    ("meta", "spec", "error"),
    [
        (
            {"annotations": {"scheduler.alpha.kubernetes.io/tolerations": "bogus"}},
            {},
            'metadata.annotations: Invalid value: "scheduler.alpha.kubernetes.io/tolerations": invalid character '
            "'b' looking for beginning of value",
        ),
        (
            {"annotations": {"kubernetes.io/config.mirror": "x"}},
            {"nodeName": "n", "resourceClaims": [{"name": "a", "resourceClaimName": "b"}]},
            "[]: Forbidden: static pods do not support resource claims",
        ),
    ],
)
def test_annotations_of_old_and_of_mirrors(meta: Object, spec: Object, error: str) -> None:
    assert problems(make_pod(meta, **spec)) == [error]


def test_host_process_containers_go_together_and_on_the_host_network() -> None:
    options = {"windowsOptions": {"hostProcess": True}}
    containers = [{"name": "a", "image": "i", "securityContext": options}, {"name": "b", "image": "i"}]
    assert problems(make_pod(containers=containers)) == [
        'spec: Invalid value: "": If pod contains any hostProcess containers then all containers must be HostProcess '
        "containers",
        "spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers",
    ]


@pytest.mark.parametrize(
    ("toleration", "error"),
    [
        ({"value": "x"}, 'operator: Invalid value: "": operator must be Exists when `key` is empty, which means'),
        ({"key": "a", "operator": "Exists", "value": "b"}, 'operator: Invalid value: "b": value must be empty'),
        ({"key": "a", "operator": "Bogus"}, 'operator: Unsupported value: "Bogus": supported values: "Equal", "E'),
        ({"key": "a", "tolerationSeconds": 1}, "effect: Invalid value: \"\": effect must be 'NoExecute' when"),
        ({"key": "a", "effect": "Bogus"}, 'effect: Unsupported value: "Bogus": supported values: "NoSchedule", "Pref'),
    ],
)
def test_tolerations(toleration: Object, error: str) -> None:
    found = problems(make_pod(tolerations=[toleration]))
    assert len(found) == 1
    assert found[0].startswith(f"spec.tolerations[0].{error}")


def test_a_gated_pod_has_no_node_and_says_that_it_waits() -> None:
    pod = make_pod(schedulingGates=[{"name": "a.b/c"}], nodeName="n")
    assert problems(pod) == ["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"]
    assert pod["status"]["conditions"][0]["reason"] == "SchedulingGated"
    assert pod["status"]["conditions"][0]["lastTransitionTime"] == "2026-01-02T03:04:05Z"


def test_creation_sets_status_and_generation() -> None:
    pod = make_pod(status={"phase": "Running"})
    PODS.prepare(pod, None, context())
    assert pod["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert pod["metadata"]["generation"] == 1


def test_label_keys_are_merged_into_selectors() -> None:
    constraint = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {},
        "matchLabelKeys": ["v", "absent"],
    }
    pod = make_pod({"labels": {"v": "1"}}, topologySpreadConstraints=[constraint])
    assert problems(pod) == []
    merged = pod["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchExpressions"]
    assert merged == [{"key": "v", "operator": "In", "values": ["1"]}]


def test_an_apparmor_annotation_becomes_the_field_with_a_warning() -> None:
    key = "container.apparmor.security.beta.kubernetes.io/c"
    pod = make_pod({"annotations": {key: "runtime/default"}})
    written = context()
    PODS.prepare(pod, None, written)
    assert pod["spec"]["containers"][0]["securityContext"] == {"appArmorProfile": {"type": "RuntimeDefault"}}
    assert written.warnings == [
        f'metadata.annotations[{key}]: deprecated since v1.30; use the "appArmorProfile" field instead'
    ]


def test_fields_of_features_that_are_off_are_dropped() -> None:
    sources = [{"clusterTrustBundle": {"name": "b", "path": "p"}}, {"configMap": {"name": "m"}}]
    pod = make_pod(schedulingGroup={"podGroupName": "g"}, volumes=[{"name": "v", "projected": {"sources": sources}}])
    PODS.prepare(pod, None, context())
    assert "schedulingGroup" not in pod["spec"]
    assert pod["spec"]["volumes"][0]["projected"]["sources"] == [{}, {"configMap": {"name": "m"}}]


@pytest.mark.parametrize(
    ("spec", "warning"),
    [
        (
            {"nodeSelector": {"beta.kubernetes.io/os": "linux"}},
            'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
        ),
        (
            {"containers": container(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}])},
            'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
        ),
        (
            {"containers": container(ports=[{"containerPort": 80, "name": "a"}, {"containerPort": 80, "name": "b"}])},
            "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
        ),
        (
            {"containers": container(resources={"requests": {"memory": "500m"}})},
            'spec.containers[0].resources.requests[memory]: fractional byte value "500m" is invalid, must be an '
            "integer",
        ),
        (
            {"volumes": [{"name": "v", "gitRepo": {"repository": "r"}}]},
            "spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+",
        ),
        ({"imagePullSecrets": [{}]}, 'spec.imagePullSecrets[0].name: invalid empty name ""'),
    ],
)
def test_warnings(spec: Object, warning: str) -> None:
    assert list(PODS.warnings(make_pod(**spec), None)) == [warning]


def test_a_variable_that_builds_on_the_earlier_one_is_fine() -> None:
    variables = [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A):2"}]
    assert list(PODS.warnings(make_pod(containers=container(env=variables)), None)) == []


@pytest.mark.parametrize(
    ("spec", "phase", "requested", "grace"),
    [
        ({}, "Pending", None, 0),
        ({"nodeName": "n"}, "Running", None, 30),
        ({"nodeName": "n"}, "Running", 5, 5),
        ({"nodeName": "n"}, "Running", -1, 1),
        ({"nodeName": "n"}, "Succeeded", 5, 0),
    ],
)
def test_grace_of_a_deletion(spec: Object, phase: str, requested: int | None, grace: int) -> None:
    assert PODS.deletion_grace_s(make_pod(status={"phase": phase}, **spec), requested) == grace


def test_cells_of_a_pod_that_just_came() -> None:
    cells = PODS.cells(make_pod({"creationTimestamp": "2026-01-02T03:03:05Z"}, {"phase": "Pending"}), NOW)
    assert cells == ["a", "0/1", "Pending", "0", "60s", "<none>", "<none>", "<none>", "<none>"]


def test_a_spec_that_was_right_once_is_looked_at_again_where_more_than_itself_counts() -> None:
    template = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}}}
    volumes = [
        {"name": "v", "ephemeral": {"volumeClaimTemplate": template}},
        {"name": "w", "persistentVolumeClaim": {"claimName": "a-v"}},
    ]
    claims = [{"name": "r", "resourceClaimName": "x"}]
    assert problems(make_pod({"name": "b"}, volumes=volumes)) == []
    assert len(problems(make_pod(volumes=volumes))) == 1
    assert problems(make_pod(resourceClaims=claims)) == []
    assert problems(make_pod({"annotations": {"kubernetes.io/config.mirror": "m"}}, resourceClaims=claims)) != []


def test_a_spec_that_only_an_update_may_keep_is_not_right_for_others() -> None:
    odd = {"limits": {"hugepages-2Mi": "1Mi", "cpu": "1"}, "requests": {"hugepages-2Mi": "1Mi", "cpu": "1"}}
    old = stored_pod(containers=[{"name": "c", "image": "i", "resources": odd}])
    assert problems(copy.deepcopy(old), old) == []
    assert problems(make_pod(containers=[{"name": "c", "image": "i", "resources": odd}])) != []
