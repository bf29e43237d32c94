"""The parameters of the API's operations, and which operations take which."""

from __future__ import annotations

from typing import NamedTuple


class Parameter(NamedTuple):
    name: str
    type: str
    description: str
    where: str = "query"
    required: bool = False


def name_of(kind: str) -> Parameter:
    return Parameter("name", "string", f"name of the {kind}", "path", True)


NAMESPACE = Parameter("namespace", "string", "object name and auth scope, such as for teams and projects", "path", True)
PRETTY = Parameter("pretty", "string", "'true' asks for indented output; command-line HTTP tools get it by default.")
TAIL = Parameter("path", "string", "path to the resource", "path", True)

_CONTINUE = Parameter("continue", "string", "Where to go on: the token of the previous page of the same list.")
_FIELD_SELECTOR = Parameter("fieldSelector", "string", "Only objects whose fields match. Defaults to everything.")
_LABEL_SELECTOR = Parameter("labelSelector", "string", "Only objects whose labels match. Defaults to everything.")
_LIMIT = Parameter("limit", "integer", "At most so many objects; the list's `continue` then leads to the next ones.")
_RESOURCE_VERSION = Parameter(
    "resourceVersion", "string", "How fresh the answer must be, or where a watch begins. Defaults to unset."
)
_RESOURCE_VERSION_MATCH = Parameter(
    "resourceVersionMatch", "string", "How a list applies `resourceVersion`: Exact or NotOlderThan."
)
_SEND_INITIAL_EVENTS = Parameter(
    "sendInitialEvents", "boolean", "Begin the watch with the objects that are there, and mark their end by a bookmark."
)
_SHARD_SELECTOR = Parameter(
    "shardSelector", "string", "A part of the list, by hash ranges. Only for the alpha gate ShardedListAndWatch."
)
_TIMEOUT = Parameter("timeoutSeconds", "integer", "The longest time that a list or watch may take.")
_BOOKMARKS = Parameter(
    "allowWatchBookmarks", "boolean", "Ask a watch for BOOKMARK events, which tell how far it has come."
)
_WATCH = Parameter("watch", "boolean", "Instead of a list, stream the changes: added, modified, deleted.")
_DRY_RUN = Parameter("dryRun", "string", "All: do everything but store the change.")
_FIELD_MANAGER = Parameter(
    "fieldManager", "string", "Who makes this change, at most 128 printable characters. Required to apply."
)
_FIELD_VALIDATION = Parameter(
    "fieldValidation", "string", "What to do about unknown and duplicate fields: Ignore, Warn (the default) or Strict."
)
_FORCE = Parameter("force", "boolean", "Apply even over fields that other managers own. Only for apply.")
_GRACE = Parameter(
    "gracePeriodSeconds", "integer", "How long the object may take to end. Zero deletes it at once; unset: its default."
)
_IGNORE_READ_ERROR = Parameter(
    "ignoreStoreReadErrorWithClusterBreakingPotential", "boolean", "Delete an object even if it cannot be read. Unsafe."
)
_ORPHAN = Parameter("orphanDependents", "boolean", "Deprecated: use `propagationPolicy`. Keep the dependents.")
_PROPAGATION = Parameter(
    "propagationPolicy", "string", "What becomes of the dependents: Orphan, Background or Foreground."
)

LIST = (
    _BOOKMARKS,
    _CONTINUE,
    _FIELD_SELECTOR,
    _LABEL_SELECTOR,
    _LIMIT,
    _RESOURCE_VERSION,
    _RESOURCE_VERSION_MATCH,
    _SEND_INITIAL_EVENTS,
    _SHARD_SELECTOR,
    _TIMEOUT,
    _WATCH,
)
WRITE = (_DRY_RUN, _FIELD_MANAGER, _FIELD_VALIDATION)
PATCH = (*WRITE, _FORCE)
DELETE = (_DRY_RUN, _GRACE, _IGNORE_READ_ERROR, _ORPHAN, _PROPAGATION)
DELETE_COLLECTION = (
    _CONTINUE,
    _DRY_RUN,
    _FIELD_SELECTOR,
    _GRACE,
    _IGNORE_READ_ERROR,
    _LABEL_SELECTOR,
    _LIMIT,
    _ORPHAN,
    _PROPAGATION,
    _RESOURCE_VERSION,
    _RESOURCE_VERSION_MATCH,
    _SEND_INITIAL_EVENTS,
    _SHARD_SELECTOR,
    _TIMEOUT,
)

_CONTAINER = Parameter("container", "string", "Which container. Defaults to the only one of the pod.")
_STREAMS = (
    Parameter("stderr", "boolean", "Connect the standard error stream."),
    Parameter("stdin", "boolean", "Connect the standard input stream. Defaults to false."),
    Parameter("stdout", "boolean", "Connect the standard output stream."),
    Parameter("tty", "boolean", "Give the process a terminal. Defaults to false."),
)

OPTIONS = {
    "PodAttachOptions": (_CONTAINER, *_STREAMS),
    "PodExecOptions": (
        Parameter("command", "string", "The command and its arguments, not run by a shell."),
        _CONTAINER,
        *_STREAMS,
    ),
    "PodPortForwardOptions": (Parameter("ports", "integer", "The ports to forward, for WebSockets."),),
    "PodProxyOptions": (Parameter("path", "string", "The path to ask the pod for."),),
    "NodeProxyOptions": (Parameter("path", "string", "The path to ask the node for."),),
    "ServiceProxyOptions": (Parameter("path", "string", "The path to ask the service for."),),
}
"""What may be said to the subresources that connect to something, by the kind of their options."""

LOG = (
    _CONTAINER,
    Parameter("follow", "boolean", "Go on sending what is logged from now on. Defaults to false."),
    Parameter("insecureSkipTLSVerifyBackend", "boolean", "Do not check the certificate of the node that has the log."),
    Parameter("limitBytes", "integer", "At most so many bytes."),
    Parameter("previous", "boolean", "The log of the container's previous run. Defaults to false."),
    Parameter("sinceSeconds", "integer", "Only what was logged in the last so many seconds."),
    Parameter("stream", "string", "Which stream of the container: All (the default), Stdout or Stderr."),
    Parameter("tailLines", "integer", "Only the last so many lines."),
    Parameter("timestamps", "boolean", "Begin each line with its time. Defaults to false."),
)
