"""Which names a definition gets: those that no other definition of its group has. Pure.

Follows: apiextensions-apiserver/pkg/controller/{status/naming_controller,establish/establishing_controller,
apiapproval/apiapproval_controller}.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from apiserver.resources.apiextensions.approval import ANNOTATION, approval, is_protected
from apiserver.resources.apiextensions.definition import condition

Object = dict[str, Any]
Struct = Mapping[str, Any]

NAMES_ACCEPTED, ESTABLISHED, CONFORMANT = "NamesAccepted", "Established", "KubernetesAPIApprovalPolicyConformant"
TERMINATING = "Terminating"
ACCEPTED = "the initial names have been accepted"


def judged(definition: Struct, others: Iterable[Struct], now: datetime) -> Object:
    """The status that a definition should have; `others` are those of its group, without itself."""
    status: Object = dict(definition.get("status") or {})
    wanted = definition["spec"].get("names") or {}
    names, problem = _accept(wanted, status.get("acceptedNames") or {}, others)
    status["acceptedNames"] = names
    conditions = list(status.get("conditions") or ())
    if problem is None:
        accepted = condition(NAMES_ACCEPTED, "True", "NoConflicts", "no conflicts found", now)
    else:
        accepted = condition(NAMES_ACCEPTED, "False", *problem, now)
    _put(conditions, accepted)
    if not is_established(definition):
        if problem is None:
            _put(conditions, condition(ESTABLISHED, "True", "InitialNamesAccepted", ACCEPTED, now))
        else:
            _put(conditions, condition(ESTABLISHED, "False", "NotAccepted", "not all names are accepted", now))
    if is_protected(definition["spec"].get("group", "")):
        given = approval((definition["metadata"].get("annotations") or {}).get(ANNOTATION))
        _put(conditions, condition(CONFORMANT, given.status, given.reason, given.message, now))
    status["conditions"] = conditions
    return status


def waiting_for_objects(definition: Struct, now: datetime) -> Object:
    """The status of a definition that is deleted and has objects left."""
    status: Object = dict(definition.get("status") or {})
    conditions = list(status.get("conditions") or ())
    text = "CustomResource deletion is in progress"
    _put(conditions, condition(TERMINATING, "True", "InstanceDeletionInProgress", text, now))
    status["conditions"] = conditions
    return status


def is_established(definition: Struct) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == ESTABLISHED and c.get("status") == "True" for c in conditions)


def _accept(wanted: Struct, accepted: Struct, others: Iterable[Struct]) -> tuple[Object, tuple[str, str] | None]:
    """The names a definition has from now on, and reason and message of the last conflict."""
    resources: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        taken = (other.get("status") or {}).get("acceptedNames") or {}
        resources.update((taken.get("plural", ""), taken.get("singular", ""), *(taken.get("shortNames") or ())))
        kinds.update((taken.get("kind", ""), taken.get("listKind", "")))
    names: Object = dict(accepted)
    problem: tuple[str, str] | None = None
    for field, used, reason in (
        ("plural", resources, "PluralConflict"),
        ("singular", resources, "SingularConflict"),
        ("shortNames", resources, "ShortNamesConflict"),
        ("kind", kinds, "KindConflict"),
        ("listKind", kinds, "ListKindConflict"),
    ):
        conflicts = list(_conflicts(wanted.get(field), accepted.get(field), used))
        if conflicts:
            text = conflicts[0] if len(conflicts) == 1 else f"[{', '.join(conflicts)}]"
            problem = (reason, text)
        elif wanted.get(field):
            names[field] = wanted[field]
        elif field not in ("plural", "kind"):
            names.pop(field, None)
    if wanted.get("categories"):
        names["categories"] = wanted["categories"]
    else:
        names.pop("categories", None)
    return names, problem


def _conflicts(wanted: Any, accepted: Any, used: set[str]) -> Iterator[str]:
    mine = accepted if isinstance(accepted, list) else [accepted]
    for name in wanted if isinstance(wanted, list) else [wanted]:
        if name and name not in mine and name in used:
            yield f'"{name}" is already in use'


def _put(conditions: list[Object], new: Object) -> None:
    """Set a condition; its time changes with its status only."""
    for index, old in enumerate(conditions):
        if old.get("type") == new["type"]:
            if old.get("status") == new["status"]:
                new = {**new, "lastTransitionTime": old.get("lastTransitionTime")}
            conditions[index] = new
            return
    conditions.append(new)
