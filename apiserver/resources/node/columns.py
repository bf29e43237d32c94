"""The Table columns of node.k8s.io, named and described as every client has come to show them.

Follows: pkg/printers/internalversion/printers.go AddHandlers
"""

from __future__ import annotations

from apiserver.resources.strategy import AGE_COLUMN, NAME_COLUMN, Column

Columns = tuple[Column, ...]

RUNTIME_CLASS: Columns = (
    NAME_COLUMN,
    Column(
        "Handler",
        "string",
        "handler specifies the underlying runtime and configuration that the CRI implementation will use to "
        "handle pods of this class. The possible values are specific to the node & CRI configuration.  It is "
        "assumed that all handlers are available on every node, and handlers of the same name are equivalent "
        "on every node. For example, a handler called \"runc\" might specify that the runc OCI runtime (using "
        "native Linux containers) will be used to run the containers in a pod. The Handler must be lowercase,"
        " conform to the DNS Label (RFC 1123) requirements, and is immutable.",
    ),
    AGE_COLUMN,
)
