"""Making and deleting the pods of an owner, and telling about it in the owner's events.

Follows: pkg/controller/controller_utils.go RealPodControl
"""

from __future__ import annotations

from controllers.runtime.client import Client
from controllers.runtime.errors import ApiError, NotFound
from controllers.runtime.events import Recorder
from controllers.runtime.kinds import PODS
from controllers.runtime.objects import Object, View, name_of, namespace_of, uid_of

NAMESPACE_TERMINATING = "NamespaceTerminating"


class PodControl:
    """One controller's hand on pods."""

    def __init__(self, client: Client, events: Recorder) -> None:
        self._client = client
        self._events = events

    async def create(self, owner: View, pod: Object) -> Object:
        """Create the pod; raises the ApiError that kept it from being."""
        try:
            created = await self._client.create(PODS, pod)
        except ApiError as error:
            # In a namespace that goes away nothing can be made, and nobody reads its events.
            if not error.has_cause(NAMESPACE_TERMINATING):
                self._events.warning(owner, "FailedCreate", f"Error creating: {error}")
            raise
        self._events.normal(owner, "SuccessfulCreate", f"Created pod: {name_of(created)}")
        return created

    async def delete(self, owner: View, pod: View) -> Object:
        """Delete the pod, and answer it as it goes; raises the ApiError, NotFound included, that came instead."""
        try:
            deleted = await self._client.delete(PODS, namespace_of(pod), name_of(pod), uid=uid_of(pod))
        except NotFound:
            raise
        except ApiError as error:
            self._events.warning(owner, "FailedDelete", f"Error deleting: {error}")
            raise
        self._events.normal(owner, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")
        return deleted
