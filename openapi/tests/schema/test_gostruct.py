"""Structs in messages: as the API's own Go structs print."""

from __future__ import annotations

from typing import Any

import pytest

from openapi.meta.field import Verbatim, duplicate, invalid
from openapi.schema.gostruct import in_internal_form, internal_text
from openapi.schema.load import node_for

CORE = "io.k8s.api.core.v1."


@pytest.mark.parametrize(
    ("definition", "value", "text"),
    [
        (CORE + "Taint", {"key": "d"}, '{"Key":"d","Value":"","Effect":"","TimeAdded":null}'),
        (
            "io.k8s.api.storage.v1.VolumeAttachmentSpec",
            {"attacher": "d", "nodeName": "m", "source": {"persistentVolumeName": "v"}},
            '{"Attacher":"d","Source":{"PersistentVolumeName":"v","InlineVolumeSpec":null},"NodeName":"m"}',
        ),
        (
            "io.k8s.api.rbac.v1.RoleRef",
            {"apiGroup": "g", "kind": "Role", "name": "t"},
            '{"APIGroup":"g","Kind":"Role","Name":"t"}',
        ),
        (
            CORE + "SecurityContext",
            {"capabilities": {"add": ["A&B"]}, "allowPrivilegeEscalation": False},
            '{"Capabilities":{"Add":["A\\u0026B"],"Drop":null},"Privileged":null,"SELinuxOptions":null,'
            '"WindowsOptions":null,"RunAsUser":null,"RunAsGroup":null,"RunAsNonRoot":null,'
            '"ReadOnlyRootFilesystem":null,"AllowPrivilegeEscalation":false,"ProcMount":null,"SeccompProfile":null,'
            '"AppArmorProfile":null}',
        ),
        (
            "io.k8s.api.flowcontrol.v1.PolicyRulesWithSubjects",
            {"subjects": [{"kind": "Group", "group": {"name": "g"}}], "nonResourceRules": [{"verbs": ["*"]}]},
            '{"Subjects":[{"Kind":"Group","User":null,"Group":{"Name":"g"},"ServiceAccount":null}],'
            '"ResourceRules":null,"NonResourceRules":[{"Verbs":["*"],"NonResourceURLs":null}]}',
        ),
        (CORE + "PodIP", [{"ip": "1.2.3.4"}, {"ip": "1.2.3.5"}], '[{"IP":"1.2.3.4"},{"IP":"1.2.3.5"}]'),
        (
            CORE + "SecretKeySelector",
            {"key": "k", "name": "n", "optional": False},
            '{"Name":"n","Key":"k","Optional":false}',
        ),
        (
            CORE + "TopologySpreadConstraint",
            {"maxSkew": 1, "labelSelector": {"matchLabels": {"b": "1", "a": "2"}}},
            '{"MaxSkew":1,"TopologyKey":"","WhenUnsatisfiable":"","LabelSelector":{"matchLabels":{"a":"2","b":"1"}},'
            '"MinDomains":null,"NodeAffinityPolicy":null,"NodeTaintsPolicy":null,"MatchLabelKeys":null}',
        ),
        (
            CORE + "PersistentVolumeClaimTemplate",
            {"metadata": {"labels": {"a": "b"}, "name": "n"}, "spec": {"accessModes": ["ReadWriteOnce"]}},
            '{"name":"n","labels":{"a":"b"},"Spec":{"AccessModes":["ReadWriteOnce"],"Selector":null,'
            '"Resources":{"Limits":null,"Requests":null},"VolumeName":"","StorageClassName":null,"VolumeMode":null,'
            '"DataSource":null,"DataSourceRef":null,"VolumeAttributesClassName":null}}',
        ),
    ],
)
def test_structs_print_with_the_names_order_and_zero_values_of_go(definition: str, value: Any, text: str) -> None:
    assert internal_text(value, definition) == text


def test_specs_of_pods_print_as_inside_the_server() -> None:
    spec = {"hostNetwork": True, "serviceAccount": "a", "serviceAccountName": "a", "securityContext": {"fsGroup": 1}}
    text = internal_text(spec, CORE + "PodSpec")
    assert '"ServiceAccountName":"a","AutomountServiceAccountToken":null,"NodeName":"","SecurityContext":{' in text
    assert '{"HostNetwork":true,"HostPID":false,"HostIPC":false,"ShareProcessNamespace":null,"HostUsers":null,' in text
    assert '"FSGroup":1,"FSGroupChangePolicy":null,"Sysctls":null,"SeccompProfile":null,' in text
    assert '"Subdomain":"","SetHostnameAsFQDN":null,"Affinity":null,' in text
    assert '"Priority":null,"PreemptionPolicy":null,"DNSConfig":null,' in text
    assert '"Overhead":null,"EnableServiceLinks":null,"TopologySpreadConstraints":null,"OS":null,' in text


def test_structs_of_the_machinery_keep_their_json_names() -> None:
    meta = "io.k8s.apimachinery.pkg.apis.meta.v1."
    owner = {"uid": "x", "kind": "A", "name": "o", "controller": True, "apiVersion": "v1"}
    text = '{"apiVersion":"v1","kind":"A","name":"o","uid":"x","controller":true}'
    assert internal_text(owner, meta + "OwnerReference") == text
    assert internal_text({}, meta + "LabelSelector") == "{}"


@pytest.mark.parametrize(
    ("path", "value", "body"),
    [
        (
            "spec.taints[0]",
            {"key": "k", "effect": "NoSchedule"},
            'Duplicate value: {"Key":"k","Value":"","Effect":"NoSchedule","TimeAdded":null}',
        ),
        ("status.addresses", [{"type": "t"}], 'Duplicate value: [{"Type":"t","Address":""}]'),
        ("metadata.labels", {"a": "b"}, 'Duplicate value: {"a":"b"}'),
        ("spec.taints[0]", {}, "Duplicate value: {}"),
        ("spec.taints[0]", {"other": 1}, 'Duplicate value: {"other":1}'),
        ("spec.nowhere.a", {"key": "k"}, 'Duplicate value: {"key":"k"}'),
        ("spec.podCIDRs", ["a"], 'Duplicate value: ["a"]'),
    ],
)
def test_errors_show_the_structs_that_their_paths_lead_to(path: str, value: Any, body: str) -> None:
    [found] = in_internal_form([duplicate(path, value)], node_for(CORE + "Node"))
    assert found.body == body


def test_errors_keep_texts_and_scalars() -> None:
    errors = [invalid("spec.taints[0]", Verbatim("{}"), "no"), invalid("spec.podCIDR", "x", "no")]
    assert in_internal_form(errors, node_for(CORE + "Node")) == errors
