"""The resources that the scheduler watches beside pods, nodes and namespaces: the collection each fills."""

from __future__ import annotations

from collections.abc import Mapping

from controllers.runtime.kinds import resource
from openapi.catalog import Resource

CLAIMS = resource("", "v1", "persistentvolumeclaims")
VOLUMES = resource("", "v1", "persistentvolumes")
RESOURCE_CLAIMS = resource("resource.k8s.io", "v1", "resourceclaims")

COLLECTIONS: Mapping[str, Resource] = {
    "claims": CLAIMS,
    "volumes": VOLUMES,
    "storage_classes": resource("storage.k8s.io", "v1", "storageclasses"),
    "csi_nodes": resource("storage.k8s.io", "v1", "csinodes"),
    "csi_drivers": resource("storage.k8s.io", "v1", "csidrivers"),
    "csi_capacities": resource("storage.k8s.io", "v1", "csistoragecapacities"),
    "volume_attachments": resource("storage.k8s.io", "v1", "volumeattachments"),
    "budgets": resource("policy", "v1", "poddisruptionbudgets"),
    "services": resource("", "v1", "services"),
    "replication_controllers": resource("", "v1", "replicationcontrollers"),
    "replica_sets": resource("apps", "v1", "replicasets"),
    "stateful_sets": resource("apps", "v1", "statefulsets"),
    "resource_claims": RESOURCE_CLAIMS,
    "resource_slices": resource("resource.k8s.io", "v1", "resourceslices"),
    "device_classes": resource("resource.k8s.io", "v1", "deviceclasses"),
}
