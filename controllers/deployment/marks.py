"""What a Deployment writes into annotations: revisions, their history, and the size its ReplicaSets were scaled for.

Every function answers new annotations; objects stay as they are.
Follows: pkg/controller/deployment/util/deployment_util.go
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from controllers.runtime.objects import View, annotations_of

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
ROLLBACK_TO = "deprecated.deployment.rollback.to"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

NOT_COPIED = frozenset({LAST_APPLIED, REVISION, REVISION_HISTORY, DESIRED_REPLICAS, MAX_REPLICAS, ROLLBACK_TO})

HISTORY_LIMIT = 2000
"""The longest history in characters; older revisions fall out of it."""


def number(annotations: Mapping[str, str], name: str) -> int | None:
    """An annotation that is a whole number."""
    text = annotations.get(name, "")
    digits = text[1:] if text[:1] in ("-", "+") else text
    return int(text) if digits.isascii() and digits.isdigit() else None


def revision_of(replica_set: View) -> int:
    return number(annotations_of(replica_set), REVISION) or 0


def next_revision(old: Iterable[View]) -> int:
    """The revision after those of the old ReplicaSets."""
    return max((revision_of(replica_set) for replica_set in old), default=0) + 1


def sized(annotations: Mapping[str, str], desired: int, surge: int) -> dict[str, str]:
    """With the sizes that a ReplicaSet is scaled for."""
    return {**annotations, DESIRED_REPLICAS: str(desired), MAX_REPLICAS: str(desired + surge)}


def of_new_replica_set(deployment: View, current: Mapping[str, str], revision: int) -> dict[str, str]:
    """The annotations of the newest ReplicaSet that has `current` ones now: the Deployment's, and the new revision."""
    copied = {name: text for name, text in annotations_of(deployment).items() if name not in NOT_COPIED}
    wanted = {**current, **copied}
    known = current.get(REVISION, "")
    known_number = number(current, REVISION)
    if known and known_number is None:
        return wanted
    if (known_number or 0) >= revision:
        return wanted
    wanted[REVISION] = str(revision)
    if REVISION in current:
        # An old template is in use again: remember under which revisions it was before.
        wanted[REVISION_HISTORY] = _history(current.get(REVISION_HISTORY, ""), known)
    return wanted


def _history(history: str, revision: str) -> str:
    """The history with one revision more, the oldest ones dropped where it gets too long."""
    if not history:
        return revision
    revisions = history.split(",")
    length, start = len(history) + len(revision) + 1, 0
    while length > HISTORY_LIMIT and start < len(revisions):
        length -= len(revisions[start]) + 1
        start += 1
    return ",".join([*revisions[start:], revision]) if length <= HISTORY_LIMIT else history
