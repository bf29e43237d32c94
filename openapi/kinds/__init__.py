"""All built-in resources and their defaults, joined from one module per API group.

The order of the groups, and of the versions of a group, is the one discovery lists them in: the first version is the
preferred one.
"""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds import (
    admissionregistration,
    apiextensions,
    apiregistration,
    apps,
    authentication,
    authorization,
    autoscaling,
    batch,
    certificates,
    coordination,
    core,
    core_defaults,
    discovery,
    events,
    flowcontrol,
    networking,
    node,
    pod_defaults,
    policy,
    rbac,
    resource,
    scheduling,
    storage,
)
from openapi.kinds.row import Defaults

GROUPS = (
    core,
    apiregistration,
    apps,
    events,
    authentication,
    authorization,
    autoscaling,
    batch,
    certificates,
    networking,
    policy,
    rbac,
    storage,
    admissionregistration,
    apiextensions,
    scheduling,
    coordination,
    node,
    discovery,
    resource,
    flowcontrol,
)

RESOURCES: tuple[Resource, ...] = tuple(row for group in GROUPS for row in group.RESOURCES)

# A group without defaults has no such table.
DEFAULTS: Defaults = {name: rules for group in GROUPS for name, rules in getattr(group, "DEFAULTS", {}).items()}
DEFAULTS.update(core_defaults.DEFAULTS)
DEFAULTS.update(pod_defaults.DEFAULTS)
