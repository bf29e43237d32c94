"""The Table columns of resource.k8s.io, named and described as every client has come to show them.

Follows: pkg/printers/internalversion/printers.go AddHandlers
"""

from __future__ import annotations

from apiserver.resources.strategy import AGE_COLUMN, NAME_COLUMN, Column

Columns = tuple[Column, ...]

DEVICE_CLASS: Columns = (
    NAME_COLUMN,
    AGE_COLUMN,
)

CLAIM: Columns = (
    NAME_COLUMN,
    Column("State", "string", "A summary of the current state (allocated, pending, reserved, etc.)."),
    AGE_COLUMN,
)

CLAIM_TEMPLATE: Columns = (
    NAME_COLUMN,
    AGE_COLUMN,
)

SLICE: Columns = (
    NAME_COLUMN,
    Column(
        "Node",
        "string",
        "NodeName identifies the node which provides the resources in this pool. A field selector can be used to "
        "list only ResourceSlice objects belonging to a certain node.\n\nThis field can be used to limit access "
        "from nodes to ResourceSlices with the same node name. It also indicates to autoscalers that adding new "
        "nodes of the same type as some old node might also make new resources available.\n\nExactly one of "
        "NodeName, NodeSelector, AllNodes, and PerDeviceNodeSelection must be set. This field is immutable.",
    ),
    Column(
        "Driver",
        "string",
        "Driver identifies the DRA driver providing the capacity information. A field selector can be used to list "
        "only ResourceSlice objects with a certain driver name.\n\nMust be a DNS subdomain and should end with a "
        "DNS domain owned by the vendor of the driver. It should use only lower case characters. This field is "
        "immutable.",
    ),
    Column(
        "Pool",
        "string",
        "Name is used to identify the pool. For node-local devices, this is often the node name, but this is not "
        "required.\n\nIt must not be longer than 253 characters and must consist of one or more DNS sub-domains "
        "separated by slashes. This field is immutable.",
    ),
    AGE_COLUMN,
)
