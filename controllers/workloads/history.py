"""ControllerRevisions: the templates that a StatefulSet or DaemonSet has had, each kept once, in order.

Follows: pkg/controller/history/controller_history.go
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controllers.runtime.client import Client
from controllers.runtime.errors import AlreadyExists, Conflict, NotFound
from controllers.runtime.kinds import CONTROLLER_REVISIONS
from controllers.runtime.objects import (
    Object,
    View,
    annotations_of,
    controller_reference,
    name_of,
    namespace_of,
)
from openapi.catalog import Resource

REVISION_LABEL = "controller-revision-hash"
"""On pods: the revision whose template they were made from."""

LONGEST_PREFIX = 223


def data_of_template(template: View) -> Object:
    """What a revision keeps: a patch that puts the template back as it was."""
    return {"spec": {"template": {**template, "$patch": "replace"}}}


def template_of(revision: View) -> Object:
    """The template that a revision keeps."""
    template = revision["data"]["spec"]["template"]
    return {field: value for field, value in template.items() if field != "$patch"}


def in_order(revisions: Sequence[Object]) -> list[Object]:
    """By number, then age, then name."""
    return sorted(
        revisions,
        key=lambda one: (one.get("revision", 0), one["metadata"].get("creationTimestamp", ""), name_of(one)),
    )


def next_number(revisions: Sequence[View]) -> int:
    return max((int(one.get("revision", 0)) for one in revisions), default=0) + 1


@dataclass(frozen=True, slots=True)
class HistoryPlan:
    """What the present template needs: nothing (`latest`), an old revision renewed, or a new one."""

    latest: Object | None = None
    renew: Object | None = None
    number: int = 0


def plan_history(revisions: Sequence[Object], data: Any) -> HistoryPlan:
    """`revisions` in order."""
    equal = [one for one in revisions if one.get("data") == data]
    if equal and equal[-1] is revisions[-1]:
        return HistoryPlan(latest=equal[-1])
    return HistoryPlan(renew=equal[-1] if equal else None, number=next_number(revisions))


def new_revision(
    owner_resource: Resource, owner: View, name: str, own_labels: Mapping[str, str], data: Any, number: int
) -> Object:
    """A revision of the owner's present template, with the template's labels and `own_labels`."""
    labels: Mapping[str, str] = (owner["spec"]["template"].get("metadata") or {}).get("labels") or {}
    metadata: Object = {
        "name": name,
        "namespace": namespace_of(owner),
        "labels": {**labels, **own_labels},
        "ownerReferences": [controller_reference(owner_resource, owner)],
    }
    if annotations_of(owner):
        metadata["annotations"] = annotations_of(owner)
    return {
        "kind": "ControllerRevision",
        "apiVersion": "apps/v1",
        "metadata": metadata,
        "data": data,
        "revision": number,
    }


def name_with(owner: View, digest: str) -> str:
    return f"{name_of(owner)[:LONGEST_PREFIX]}-{digest}"


async def renew(client: Client, revision: Object, number: int) -> Object:
    """Make an old revision the newest."""
    if revision.get("revision") == number:
        return revision
    return await client.update(CONTROLLER_REVISIONS, {**revision, "revision": number})


async def create(client: Client, make: Callable[[int], Object], collisions: int) -> tuple[Object, int]:
    """Write the revision that `make` gives for a number of collisions, the next one where the name is another
    template's; the revision, and that number in the end.
    """
    while True:
        wanted = make(collisions)
        try:
            return await client.create(CONTROLLER_REVISIONS, wanted), collisions
        except AlreadyExists:
            known = await client.get(CONTROLLER_REVISIONS, namespace_of(wanted), name_of(wanted))
            if known.get("data") == wanted["data"]:
                return known, collisions
            collisions += 1


async def truncate(client: Client, revisions: Sequence[Object], live: Collection[str], limit: int) -> None:
    """Delete the oldest revisions beyond the limit; `live` ones (by name) are in use and do not count."""
    unused = [one for one in revisions if name_of(one) not in live]
    await delete(client, unused[: max(0, len(unused) - limit)])


async def delete(client: Client, revisions: Sequence[View]) -> None:
    """Delete revisions; those that are gone or changed already are left alone."""
    for one in revisions:
        try:
            await client.delete(CONTROLLER_REVISIONS, namespace_of(one), name_of(one))
        except (NotFound, Conflict):
            continue
