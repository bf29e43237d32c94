"""Claiming: an owner adopts the orphans that its selector matches and releases what it no longer matches.

Follows: pkg/controller/controller_ref_manager.go
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from controllers.runtime.client import Client
from controllers.runtime.errors import ApiError, Invalid, NotFound
from controllers.runtime.objects import (
    Object,
    View,
    controller_of,
    controller_reference,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from openapi.catalog import Resource
from openapi.meta.selectors import LabelSelector


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """What is the owner's already, what it should take and what it should let go."""

    owned: Sequence[Object]
    adopt: Sequence[Object]
    release: Sequence[Object]


class CannotAdopt(ApiError):
    """The owner is not, or no longer, what the store says it is."""

    def __init__(self, message: str) -> None:
        super().__init__(409, "Conflict", message)


def plan_claims(owner: View, selector: LabelSelector, candidates: Iterable[Object]) -> ClaimPlan:
    """Sort the candidates: objects of the owner's namespace that it controls or that nobody controls."""
    owned: list[Object] = []
    adopt: list[Object] = []
    release: list[Object] = []
    uid, is_going = uid_of(owner), is_deleting(owner)
    for obj in candidates:
        reference = controller_of(obj)
        matches = selector.matches(labels_of(obj))
        if reference is not None:
            if reference["uid"] != uid:
                continue
            if matches:
                owned.append(obj)
            elif not is_going:
                release.append(obj)
        elif matches and not is_going and not is_deleting(obj):
            adopt.append(obj)
    return ClaimPlan(owned, adopt, release)


async def claim(
    client: Client, owner_resource: Resource, owner: View, resource: Resource, plan: ClaimPlan, finalizer: str = ""
) -> list[Object]:
    """Carry out a plan; everything the owner has afterwards. With `finalizer`, what is adopted gets it too.

    Raises CannotAdopt, or the first ApiError once all has been tried.
    """
    if not plan.adopt and not plan.release:
        return list(plan.owned)
    if plan.adopt:
        await _check_owner(client, owner_resource, owner)
    adopting = [_adopt(client, owner_resource, owner, resource, obj, finalizer) for obj in plan.adopt]
    releasing = [_release(client, owner, resource, obj, finalizer) for obj in plan.release]
    results = await asyncio.gather(*adopting, *releasing, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [*plan.owned, *(obj for obj in results[: len(adopting)] if isinstance(obj, dict))]


async def _check_owner(client: Client, owner_resource: Resource, owner: View) -> None:
    """The store may lag: look whether the owner is still there before others are made its own."""
    fresh = await client.get(owner_resource, namespace_of(owner), name_of(owner))
    if uid_of(fresh) != uid_of(owner):
        raise CannotAdopt(f"original {owner_resource.kind} {namespace_of(owner)}/{name_of(owner)} is gone")
    if is_deleting(fresh):
        raise CannotAdopt(f"{namespace_of(owner)}/{name_of(owner)} has just been deleted")


async def _adopt(
    client: Client, owner_resource: Resource, owner: View, resource: Resource, obj: Object, finalizer: str
) -> Object | None:
    metadata: Object = {"ownerReferences": [controller_reference(owner_resource, owner)], "uid": uid_of(obj)}
    if finalizer:
        metadata["finalizers"] = [finalizer]
    try:
        patch = {"metadata": metadata}
        return await client.patch(resource, namespace_of(obj), name_of(obj), patch, type="strategic")
    except NotFound:
        return None


async def _release(client: Client, owner: View, resource: Resource, obj: Object, finalizer: str) -> None:
    metadata: Object = {"uid": uid_of(obj), "ownerReferences": [{"$patch": "delete", "uid": uid_of(owner)}]}
    if finalizer:
        metadata["$deleteFromPrimitiveList/finalizers"] = [finalizer]
    try:
        await client.patch(resource, namespace_of(obj), name_of(obj), {"metadata": metadata}, type="strategic")
    except (NotFound, Invalid):
        # Gone, or another object under that name: nothing of ours to let go.
        return
