"""Storage errors in the words of the API: the one place that translates them."""

from __future__ import annotations

from apiserver.storage.backend import Compacted, FutureRevision, StorageError, Unavailable
from openapi.catalog import Resource
from openapi.meta import status

TOO_OLD = "The resourceVersion for the provided list is too old."


def translate(err: StorageError, row: Resource, operation: str) -> status.StatusError:
    """The Status of a storage error that the verb did not handle itself."""
    if isinstance(err, Compacted):
        return status.expired("The resourceVersion for the provided watch is too old.")
    if isinstance(err, FutureRevision):
        return status.timeout("the requested resource version is not there yet", 1)
    if isinstance(err, Unavailable):
        return status.StatusError(500, "", str(err) or "etcdserver: request timed out")
    return status.internal_error(str(err))
