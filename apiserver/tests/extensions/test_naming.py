"""Names of definitions: first come, first served."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from apiserver.extensions.naming import judged

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def definition(plural: str, kind: str, group: str = "x.io", **status: Any) -> dict[str, Any]:
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    return {"metadata": {"name": f"{plural}.{group}"}, "spec": {"group": group, "names": names}, "status": status}


def conditions(status: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [(c["type"], c["status"], c["reason"], c["message"]) for c in status["conditions"]]


def test_fresh_names_are_accepted_and_established() -> None:
    status = judged(definition("widgets", "Widget"), [], NOW)
    assert status["acceptedNames"]["plural"] == "widgets"
    assert conditions(status) == [
        ("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
        ("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
    ]


def test_taken_names_are_not_accepted_and_the_last_conflict_is_told() -> None:
    taken = definition("widgets", "Widget")
    taken["status"] = judged(taken, [], NOW)
    status = judged(definition("widgetz", "Widget"), [taken], NOW)
    assert status["acceptedNames"] == {"plural": "widgetz"}
    assert conditions(status) == [
        ("NamesAccepted", "False", "ListKindConflict", '"WidgetList" is already in use'),
        ("Established", "False", "NotAccepted", "not all names are accepted"),
    ]


def test_what_is_settled_is_left_alone() -> None:
    settled = definition("widgets", "Widget")
    settled["status"] = judged(settled, [], NOW)
    assert judged(settled, [], datetime(2027, 1, 1, tzinfo=UTC)) == settled["status"]


def test_protected_groups_show_their_approval() -> None:
    status = judged(definition("widgets", "Widget", "x.k8s.io"), [], NOW)
    assert conditions(status)[2][:3] == ("KubernetesAPIApprovalPolicyConformant", "False", "MissingAnnotation")
