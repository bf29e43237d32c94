"""All built-in resources and their defaults, joined from one module per API group.

The order of the groups, and of the versions of a group, is the one discovery lists them in: the first version is the
preferred one.
"""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds import (
    admissionregistration,
    admissionregistration_defaults,
    apiextensions,
    apiextensions_defaults,
    apiregistration,
    apiregistration_defaults,
    apps,
    apps_defaults,
    authentication,
    authorization,
    autoscaling,
    autoscaling_defaults,
    batch,
    batch_defaults,
    certificates,
    coordination,
    core,
    core_defaults,
    discovery,
    events,
    flowcontrol,
    flowcontrol_defaults,
    networking,
    networking_defaults,
    node,
    pod_defaults,
    policy,
    rbac,
    rbac_defaults,
    resource,
    resource_defaults,
    scheduling,
    scheduling_defaults,
    storage,
    storage_defaults,
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
DEFAULTS.update(apps_defaults.DEFAULTS)
DEFAULTS.update(autoscaling_defaults.DEFAULTS)
DEFAULTS.update(batch_defaults.DEFAULTS)
DEFAULTS.update(networking_defaults.DEFAULTS)
DEFAULTS.update(rbac_defaults.DEFAULTS)
DEFAULTS.update(scheduling_defaults.DEFAULTS)
DEFAULTS.update(storage_defaults.DEFAULTS)
DEFAULTS.update(flowcontrol_defaults.DEFAULTS)
DEFAULTS.update(apiregistration_defaults.DEFAULTS)
DEFAULTS.update(admissionregistration_defaults.DEFAULTS)
DEFAULTS.update(resource_defaults.DEFAULTS)
DEFAULTS.update(apiextensions_defaults.DEFAULTS)
