"""Pod templates, and bindings."""

from __future__ import annotations

from typing import Any

from apiserver.resources.pods.binding import validate_binding
from apiserver.resources.pods.template import PodTemplateStrategy, pod_template_warnings, validate_pod_template
from apiserver.tests.resources.pods.making import NOW, context, make_pod

Object = dict[str, Any]
STRATEGY = PodTemplateStrategy()


def template(meta: Object | None = None, **spec: Any) -> Object:
    return {"metadata": meta or {}, "spec": make_pod(**spec)["spec"]}


def test_errors_stand_below_the_given_path() -> None:
    made = template({"labels": {"a b": "c"}}, containers=[])
    found = [error.path for error in validate_pod_template(made, "spec.template")]
    assert found == ["spec.template.labels", "spec.template.spec.containers"]


def test_a_template_takes_no_ephemeral_containers() -> None:
    ephemeral = [{"name": "d", "image": "i"}]
    found = [str(e) for e in validate_pod_template(template(ephemeralContainers=ephemeral), "template")]
    assert found == ["template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template"]


def test_a_template_on_the_host_network_may_leave_host_ports_out() -> None:
    made = template(hostNetwork=True, containers=[{"name": "c", "image": " i ", "ports": [{"containerPort": 80}]}])
    del made["spec"]["containers"][0]["ports"][0]["hostPort"]
    assert list(validate_pod_template(made, "template")) == []


def test_warnings_stand_below_the_given_path() -> None:
    made = template(nodeSelector={"beta.kubernetes.io/arch": "x"})
    made["spec"]["terminationGracePeriodSeconds"] = -1
    assert pod_template_warnings(made, "spec.template") == [
        "spec.template.spec.nodeSelector[beta.kubernetes.io/arch]: deprecated since v1.14; use "
        '"kubernetes.io/arch" instead',
        "spec.template.spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be "
        "treated as 1",
    ]


def test_the_generation_counts_changes_of_the_template() -> None:
    old: Object = {"metadata": {"name": "a"}, "template": template()}
    STRATEGY.prepare(old, None, context())
    new = {"metadata": {"name": "a"}, "template": template(nodeName="n")}
    STRATEGY.prepare(new, old, context())
    assert (old["metadata"]["generation"], new["metadata"]["generation"]) == (1, 2)


def test_cells() -> None:
    containers = [{"name": "c", "image": "i"}, {"name": "d", "image": "j"}]
    made = {"metadata": {"name": "a"}, "template": template({"labels": {"x": "y"}}, containers=containers)}
    assert STRATEGY.cells(made, NOW) == ["a", "c,d", "i,j", "x=y"]


def test_a_binding_names_a_node() -> None:
    assert list(validate_binding({"target": {"name": "n"}})) == []
    found = [str(error) for error in validate_binding({"target": {"kind": "Pod"}})]
    assert found == [
        'target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"',
        "target.name: Required value",
    ]
