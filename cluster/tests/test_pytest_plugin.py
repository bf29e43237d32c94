"""What a test of an operator gets from the fixtures, in a pytest of its own."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

pytest_plugins = ["pytester"]

TESTS = """
from kubernetes import client, config, watch

def pods(cluster):
    return client.CoreV1Api(config.new_client_from_config(str(cluster.kubeconfig)))

def test_a_pod_runs(wherry_cluster, wherry_namespace):
    core = pods(wherry_cluster)
    spec = {"containers": [{"name": "c", "image": "i"}]}
    core.create_namespaced_pod(wherry_namespace, {"metadata": {"name": "p"}, "spec": spec})
    changes = watch.Watch().stream(core.list_namespaced_pod, wherry_namespace, timeout_seconds=60)
    assert any(change["object"].status.phase == "Running" for change in changes)
    assert len(core.list_node().items) == 2

def test_the_next_one_begins_with_nothing(wherry_cluster, wherry_namespace):
    assert pods(wherry_cluster).list_namespaced_pod(wherry_namespace).items == []
"""
PLUGIN = () if entry_points(group="pytest11", name="wherry") else ("-p", "cluster.pytest_plugin")


def test_tests_have_a_cluster_and_each_a_namespace(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nwherry_up = --nodes 2\nasyncio_mode = auto")
    pytester.makepyfile(TESTS)
    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=2)


def test_a_cluster_that_cannot_start_fails_with_its_reason(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nwherry_up = --components nonsense")
    pytester.makepyfile("def test_it(wherry_cluster): pass")
    result = pytester.runpytest_subprocess(*PLUGIN)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*--components nonsense: no such component*"])
