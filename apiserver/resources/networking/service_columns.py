"""The Table columns of service addresses, named and described as every client has come to show them.

Follows: pkg/printers/internalversion/printers.go AddHandlers
"""

from __future__ import annotations

from apiserver.resources.strategy import AGE_COLUMN, NAME_COLUMN, Column

Columns = tuple[Column, ...]

IP_ADDRESS: Columns = (
    NAME_COLUMN,
    Column(
        "ParentRef",
        "string",
        "ParentRef references the resource that an IPAddress is attached to. An IPAddress must reference a "
        "parent object.",
    ),
)

SERVICE_CIDR: Columns = (
    NAME_COLUMN,
    Column(
        "CIDRs",
        "string",
        "CIDRs defines the IP blocks in CIDR notation (e.g. \"192.168.0.0/24\" or \"2001:db8::/64\") from which "
        "to assign service cluster IPs. Max of two CIDRs is allowed, one of each IP family. This field is "
        "immutable.",
    ),
    AGE_COLUMN,
)
