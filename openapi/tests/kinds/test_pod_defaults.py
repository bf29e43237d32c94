"""The defaults of pods, and the helpers that they are made with."""

from __future__ import annotations

from typing import Any

import pytest

from openapi.catalog import GroupVersionKind
from openapi.kinds.image_reference import image_tag, pull_policy_for
from openapi.kinds.pod_resources import aggregate_requests, qos_class
from openapi.schema.decode import decode
from openapi.schema.defaults import apply_defaults
from openapi.schema.load import schema_for

Object = dict[str, Any]


def defaulted(kind: str, **fields: Any) -> Object:
    gvk = GroupVersionKind("", "v1", kind)
    obj: Object = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}, **fields}
    decode(obj, schema_for(gvk), gvk)
    apply_defaults(obj, gvk)
    return obj


def pod_spec(**spec: Any) -> Object:
    spec.setdefault("containers", [{"name": "c", "image": "i"}])
    result: Object = defaulted("Pod", spec=spec)["spec"]
    return result


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("busybox", "latest"),
        ("busybox:1.36", "1.36"),
        ("localhost:5000/a/b", "latest"),
        ("reg.example/a@sha256:" + "0" * 64, ""),
        ("reg.example/a:v1@sha256:" + "0" * 64, "v1"),
        ("Upper", ""),
        (" padded ", ""),
        ("", ""),
    ],
)
def test_tag_of_an_image(image: str, tag: str) -> None:
    assert image_tag(image) == tag


def test_only_latest_is_always_pulled() -> None:
    assert pull_policy_for("a") == "Always"
    assert pull_policy_for("a:1") == "IfNotPresent"
    assert pull_policy_for("not valid") == "IfNotPresent"


def test_a_plain_pod_gets_the_usual_fields() -> None:
    spec = pod_spec()
    assert spec["restartPolicy"] == "Always"
    assert spec["dnsPolicy"] == "ClusterFirst"
    assert spec["terminationGracePeriodSeconds"] == 30
    assert spec["enableServiceLinks"] is True
    assert spec["securityContext"] == {}
    assert spec["containers"][0]["terminationMessagePolicy"] == "File"


def test_a_template_gets_no_defaults_of_real_pods() -> None:
    limits = {"limits": {"cpu": "1"}}
    spec = {"hostNetwork": True, "containers": [{"name": "c", "resources": limits, "ports": [{"containerPort": 1}]}]}
    template = defaulted("PodTemplate", template={"spec": spec})["template"]["spec"]
    assert "enableServiceLinks" not in template
    assert "requests" not in template["containers"][0]["resources"]
    assert "hostPort" not in template["containers"][0]["ports"][0]


def test_requests_follow_from_limits() -> None:
    resources = {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1"}}
    spec = pod_spec(containers=[{"name": "c", "image": "i", "resources": resources}])
    assert spec["containers"][0]["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}


def test_pod_level_requests_follow_from_containers_then_limits() -> None:
    containers = [{"name": n, "image": "i", "resources": {"requests": {"cpu": "100m"}}} for n in "ab"]
    spec = pod_spec(containers=containers, resources={"limits": {"cpu": "1", "memory": "1Gi"}})
    assert spec["resources"]["requests"] == {"cpu": "200m", "memory": "1Gi"}


def test_amounts_are_rounded_up_to_thousandths() -> None:
    spec = pod_spec(containers=[{"name": "c", "image": "i", "resources": {"requests": {"cpu": "100u"}}}])
    assert spec["containers"][0]["resources"]["requests"] == {"cpu": "1m"}


def test_a_volume_without_source_is_an_empty_dir() -> None:
    assert pod_spec(volumes=[{"name": "v"}])["volumes"] == [{"name": "v", "emptyDir": {}}]


def test_the_old_account_field_stays_in_step() -> None:
    assert pod_spec(serviceAccount="x")["serviceAccountName"] == "x"
    spec = pod_spec(serviceAccountName="y", serviceAccount="x")
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("y", "y")


def test_a_negative_grace_becomes_one_second() -> None:
    assert pod_spec(terminationGracePeriodSeconds=-5)["terminationGracePeriodSeconds"] == 1


@pytest.mark.parametrize(
    ("status", "address", "addresses"),
    [
        ({"podIP": "1.2.3.4"}, "1.2.3.4", ["1.2.3.4"]),
        ({"podIPs": [{"ip": "1.2.3.4"}]}, "1.2.3.4", ["1.2.3.4"]),
        ({"podIP": "1.2.3.4", "podIPs": [{"ip": "5.6.7.8"}]}, "1.2.3.4", ["1.2.3.4"]),
    ],
)
def test_pod_addresses_stay_in_step(status: Object, address: str, addresses: list[str]) -> None:
    made = defaulted("Pod", spec={"containers": []}, status=status)["status"]
    assert made["podIP"] == address
    assert [entry["ip"] for entry in made["podIPs"]] == addresses


def container(name: str, resources: Object, **fields: Any) -> Object:
    return {"name": name, "resources": resources, **fields}


def test_sidecars_add_up_and_init_containers_peak() -> None:
    spec = {
        "containers": [container("c", {"requests": {"cpu": "100m"}})],
        "initContainers": [
            container("s", {"requests": {"cpu": "50m"}}, restartPolicy="Always"),
            container("i", {"requests": {"cpu": "300m"}}),
        ],
    }
    assert str(aggregate_requests(spec)["cpu"]) == "350m"


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}, "Burstable"),
        ({"requests": {"example.com/x": "1"}, "limits": {"example.com/x": "1"}}, "BestEffort"),
    ],
)
def test_class_of_service(resources: Object, expected: str) -> None:
    assert qos_class({"containers": [container("c", resources)]}) == expected
