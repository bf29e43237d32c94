"""Whether a pod may be on a node: selector, required affinity and taints, judged from plain data.

Follows: staging/src/k8s.io/component-helpers/scheduling/corev1
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from controllers.runtime.objects import View, labels_of, name_of


def matches_selection(spec: View, node: View) -> bool:
    """Whether the node has what the pod's nodeSelector and required node affinity ask for."""
    labels = labels_of(node)
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(_term_matches(term, node) for term in required.get("nodeSelectorTerms") or ())


def _term_matches(term: View, node: View) -> bool:
    """All expressions of a term hold; a term without any matches nothing."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    own_fields = {"metadata.name": name_of(node)}
    return all(_holds(one, labels_of(node)) for one in expressions) and all(_holds(one, own_fields) for one in fields)


def _holds(requirement: View, values: Mapping[str, str]) -> bool:
    value = values.get(requirement["key"])
    wanted: Sequence[str] = requirement.get("values") or ()
    match requirement["operator"]:
        case "In":
            return value is not None and value in wanted
        case "NotIn":
            return value is None or value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    number, limit = _number(value), _number(next(iter(wanted), None))
    if number is None or limit is None:
        return False
    return number > limit if requirement["operator"] == "Gt" else number < limit


def _number(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def tolerates(tolerations: Sequence[View], taint: View) -> bool:
    return any(_tolerates(one, taint) for one in tolerations)


def _tolerates(toleration: View, taint: View) -> bool:
    effect, key = toleration.get("effect"), toleration.get("key")
    if (effect and effect != taint.get("effect")) or (key and key != taint.get("key")):
        return False
    operator = toleration.get("operator") or "Equal"
    if not key and operator != "Exists":
        return False
    value, limit = taint.get("value", ""), toleration.get("value", "")
    if operator in ("Gt", "Lt"):
        number, bound = _number(value), _number(limit)
        return number is not None and bound is not None and (number > bound if operator == "Gt" else number < bound)
    return operator == "Exists" or bool(limit == value)


def has_untolerated(node: View, tolerations: Sequence[View], effects: Collection[str]) -> bool:
    """Whether a taint of the node with one of the effects keeps the pod off."""
    taints = node.get("spec", {}).get("taints") or ()
    return any(taint.get("effect") in effects and not tolerates(tolerations, taint) for taint in taints)
