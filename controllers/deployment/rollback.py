"""The rollback that a deprecated annotation asks for: which template comes back, and what people are told.

Follows: pkg/controller/deployment/rollback.go
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from controllers.deployment.marks import NOT_COPIED, ROLLBACK_TO, number, revision_of
from controllers.deployment.template import HASH_LABEL, same_template
from controllers.runtime.objects import Object, View, annotations_of, name_of


@dataclass(frozen=True, slots=True)
class Outcome:
    """The Deployment to write, and the event to record."""

    deployment: Object
    event_type: Literal["Normal", "Warning"]
    reason: str
    message: str


def is_wanted(deployment: View) -> bool:
    """Whether the annotation asks for a rollback; one that is no number asks for nothing."""
    return number(annotations_of(deployment), ROLLBACK_TO) is not None


def plan(deployment: View, replica_sets: Sequence[Object]) -> Outcome:
    """Roll back to the revision asked for; 0 means the one before the present. The annotation goes in any case."""
    wanted = number(annotations_of(deployment), ROLLBACK_TO) or 0
    revision = wanted or _last_revision(replica_sets)
    if revision == 0:
        return _refused(deployment, "RollbackRevisionNotFound", "Unable to find last revision.")
    source = next((one for one in replica_sets if revision_of(one) == revision), None)
    if source is None:
        return _refused(deployment, "RollbackRevisionNotFound", "Unable to find the revision to rollback to.")
    if same_template(source["spec"]["template"], deployment["spec"]["template"]):
        message = f'The rollback revision contains the same template as current deployment "{name_of(deployment)}"'
        return _refused(deployment, "RollbackTemplateUnchanged", message)
    rolled = {**deployment, "spec": {**deployment["spec"], "template": _template(source)}}
    # What was copied from the Deployment then comes back, what was added since goes.
    kept = {name: text for name, text in annotations_of(deployment).items() if name in NOT_COPIED}
    restored = {name: text for name, text in annotations_of(source).items() if name not in NOT_COPIED}
    rolled = _without_order(rolled, {**kept, **restored})
    return Outcome(
        rolled, "Normal", "DeploymentRollback", f'Rolled back deployment "{name_of(deployment)}" to revision {revision}'
    )


def _refused(deployment: View, reason: str, message: str) -> Outcome:
    return Outcome(_without_order(deployment, annotations_of(deployment)), "Warning", reason, message)


def _without_order(deployment: View, annotations: View) -> Object:
    kept = {name: text for name, text in annotations.items() if name != ROLLBACK_TO}
    return {**deployment, "metadata": {**deployment["metadata"], "annotations": kept}}


def _template(replica_set: View) -> Object:
    template = replica_set["spec"]["template"]
    metadata = template.get("metadata") or {}
    labels = {name: text for name, text in (metadata.get("labels") or {}).items() if name != HASH_LABEL}
    return {**template, "metadata": {**metadata, "labels": labels}}


def _last_revision(replica_sets: Sequence[View]) -> int:
    """The second newest revision."""
    revisions = sorted((revision_of(one) for one in replica_sets), reverse=True)
    return revisions[1] if len(revisions) > 1 else 0
