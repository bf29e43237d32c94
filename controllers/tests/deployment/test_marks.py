"""Revisions and their history in annotations."""

from __future__ import annotations

from typing import Any

from controllers.deployment import rollback
from controllers.deployment.marks import REVISION, REVISION_HISTORY, ROLLBACK_TO, of_new_replica_set
from controllers.deployment.template import new_replica_set, same_template


def deployment(annotations: dict[str, str] | None = None, image: str = "i") -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    return {"metadata": {"name": "d", "namespace": "n", "uid": "u", "annotations": annotations or {}}, "spec": spec}


def test_annotations_are_copied_but_for_those_of_the_machinery() -> None:
    made = of_new_replica_set(deployment({"e": "f", REVISION: "9"}), {}, 1)
    assert made == {"e": "f", REVISION: "1"}


def test_a_revision_in_use_again_remembers_its_old_numbers() -> None:
    once = of_new_replica_set(deployment(), {REVISION: "1"}, 3)
    assert once == {REVISION: "3", REVISION_HISTORY: "1"}
    assert of_new_replica_set(deployment(), once, 5) == {REVISION: "5", REVISION_HISTORY: "1,3"}
    assert of_new_replica_set(deployment(), once, 2) == once


def test_a_long_history_loses_its_oldest() -> None:
    history = ",".join(["1000000"] * 250)
    made = of_new_replica_set(deployment(), {REVISION: "7", REVISION_HISTORY: history}, 8)
    assert len(made[REVISION_HISTORY]) <= 2000 and made[REVISION_HISTORY].endswith(",7")


def test_the_hash_label_does_not_make_another_template() -> None:
    made = new_replica_set(deployment())
    assert same_template(made["spec"]["template"], deployment()["spec"]["template"])
    assert not same_template(made["spec"]["template"], deployment(image="j")["spec"]["template"])
    collided = new_replica_set({**deployment(), "status": {"collisionCount": 1}})
    assert collided["metadata"]["name"] != made["metadata"]["name"]


def test_a_rollback_brings_the_template_back_and_takes_the_order_away() -> None:
    old = {**new_replica_set(deployment()), "status": {}}
    old["metadata"]["annotations"] = {REVISION: "1", "e": "old"}
    wanted = deployment({ROLLBACK_TO: "1", REVISION: "2", "e": "new"}, image="j")
    outcome = rollback.plan(wanted, [old])
    assert outcome.deployment["spec"]["template"] == deployment()["spec"]["template"]
    assert outcome.deployment["metadata"]["annotations"] == {REVISION: "2", "e": "old"}
    assert outcome.event_type == "Normal"
    assert rollback.plan(deployment({ROLLBACK_TO: "5"}), [old]).reason == "RollbackRevisionNotFound"
    assert rollback.is_wanted(wanted) and not rollback.is_wanted(deployment({ROLLBACK_TO: "soon"}))
