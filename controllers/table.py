"""The controllers of the process: one line each, under the name that `--controllers` selects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from controllers.admission_policy.controller import AdmissionPolicyStatus
from controllers.attach_detach.controller import AttachDetachController
from controllers.certificates.approving import ApprovingController
from controllers.certificates.cleaner import CleanerController
from controllers.certificates.signing import signing
from controllers.cluster_role_aggregation import ClusterRoleAggregator
from controllers.cronjob.controller import CronJobController
from controllers.daemonset.controller import DaemonSetController
from controllers.deployment.controller import DeploymentController
from controllers.device_taint_eviction.controller import DeviceTaintEvictionController
from controllers.disruption.controller import DisruptionController
from controllers.endpoints.controller import EndpointsController
from controllers.endpoints.mirroring_controller import EndpointSliceMirroringController
from controllers.endpoints.slice_controller import EndpointSliceController
from controllers.ephemeral_volume.controller import EphemeralVolumeController
from controllers.garbage_collector.controller import GarbageCollector
from controllers.horizontal_pod_autoscaler.controller import HorizontalController
from controllers.job.controller import JobController
from controllers.namespace.controller import NamespaceController
from controllers.node_ipam.controller import node_ipam
from controllers.node_lifecycle.controller import node_lifecycle
from controllers.node_ttl import NodeTtlController
from controllers.options import Options, WrongOption
from controllers.persistentvolume.controller import VolumeBinder
from controllers.pod_gc import PodGarbageCollector
from controllers.replicaset.controller import ReplicaSetController, ReplicationController
from controllers.resource_claim.controller import ResourceClaimController
from controllers.resource_quota.controller import ResourceQuotaController
from controllers.runtime.controller import Controller, Runtime
from controllers.service_account.accounts import ServiceAccountController
from controllers.service_account.factories import root_ca_publisher, token_controller
from controllers.service_account.token_cleaner import LegacyTokenCleaner
from controllers.service_cidr import ServiceCidrController
from controllers.statefulset.controller import StatefulSetController
from controllers.taint_eviction.controller import TaintEvictionController
from controllers.ttl_after_finished import TtlAfterFinished
from controllers.volume_attributes_class import AttributesClassProtection
from controllers.volume_expansion import VolumeExpander
from controllers.volume_protection import ClaimProtection, VolumeProtection

Factory = Callable[[Runtime, Options], Controller | None]
"""Makes the controller, or None where the options lack what it needs."""

TABLE: Mapping[str, Factory] = {
    "deployment-controller": lambda runtime, _options: DeploymentController(runtime),
    "replicaset-controller": lambda runtime, _options: ReplicaSetController(runtime),
    "replicationcontroller-controller": lambda runtime, _options: ReplicationController(runtime),
    "statefulset-controller": lambda runtime, _options: StatefulSetController(runtime),
    "daemonset-controller": lambda runtime, _options: DaemonSetController(runtime),
    "job-controller": lambda runtime, _options: JobController(runtime),
    "cronjob-controller": lambda runtime, _options: CronJobController(runtime),
    "garbage-collector-controller": lambda runtime, _options: GarbageCollector(runtime),
    "namespace-controller": lambda runtime, _options: NamespaceController(runtime),
    "serviceaccount-controller": lambda runtime, _options: ServiceAccountController(runtime),
    "legacy-serviceaccount-token-cleaner-controller": lambda runtime, _options: LegacyTokenCleaner(runtime),
    "root-ca-certificate-publisher-controller": root_ca_publisher,
    "serviceaccount-token-controller": token_controller,
    "endpoints-controller": lambda runtime, _options: EndpointsController(runtime),
    "endpointslice-controller": lambda runtime, _options: EndpointSliceController(runtime),
    "endpointslice-mirroring-controller": lambda runtime, _options: EndpointSliceMirroringController(runtime),
    "persistentvolume-binder-controller": lambda runtime, _options: VolumeBinder(runtime),
    "disruption-controller": lambda runtime, _options: DisruptionController(runtime),
    "resourcequota-controller": lambda runtime, _options: ResourceQuotaController(runtime),
    "node-ipam-controller": node_ipam,
    "node-lifecycle-controller": node_lifecycle,
    "taint-eviction-controller": lambda runtime, _options: TaintEvictionController(runtime),
    "clusterrole-aggregation-controller": lambda runtime, _options: ClusterRoleAggregator(runtime),
    "pod-garbage-collector-controller": lambda runtime, options: PodGarbageCollector(
        runtime, options.terminated_pod_gc_threshold
    ),
    "ttl-after-finished-controller": lambda runtime, _options: TtlAfterFinished(runtime),
    "service-cidr-controller": lambda runtime, _options: ServiceCidrController(runtime),
    "persistentvolumeclaim-protection-controller": lambda runtime, _options: ClaimProtection(runtime),
    "persistentvolume-protection-controller": lambda runtime, _options: VolumeProtection(runtime),
    "certificatesigningrequest-signing-controller": signing,
    "certificatesigningrequest-approving-controller": lambda runtime, _options: ApprovingController(runtime),
    "certificatesigningrequest-cleaner-controller": lambda runtime, _options: CleanerController(runtime),
    "ephemeral-volume-controller": lambda runtime, _options: EphemeralVolumeController(runtime),
    "resourceclaim-controller": lambda runtime, _options: ResourceClaimController(runtime),
    "validatingadmissionpolicy-status-controller": lambda runtime, _options: AdmissionPolicyStatus(runtime),
    "horizontal-pod-autoscaler-controller": lambda runtime, options: HorizontalController(
        runtime, options.horizontal_pod_autoscaler_sync_period_s
    ),
    "device-taint-eviction-controller": lambda runtime, _options: DeviceTaintEvictionController(runtime),
    "persistentvolume-attach-detach-controller": lambda runtime, _options: AttachDetachController(runtime),
    "persistentvolume-expander-controller": lambda runtime, _options: VolumeExpander(runtime),
    "volumeattributesclass-protection-controller": lambda runtime, _options: AttributesClassProtection(runtime),
    "ttl-controller": lambda runtime, _options: NodeTtlController(runtime),
}

OFF_BY_DEFAULT: frozenset[str] = frozenset({"bootstrap-signer-controller", "token-cleaner-controller"})

ALIASES: Mapping[str, str] = {
    "endpoint": "endpoints-controller",
    "endpointslice": "endpointslice-controller",
    "endpointslicemirroring": "endpointslice-mirroring-controller",
    "replicationcontroller": "replicationcontroller-controller",
    "podgc": "pod-garbage-collector-controller",
    "resourcequota": "resourcequota-controller",
    "namespace": "namespace-controller",
    "serviceaccount": "serviceaccount-controller",
    "serviceaccount-token": "serviceaccount-token-controller",
    "garbagecollector": "garbage-collector-controller",
    "daemonset": "daemonset-controller",
    "job": "job-controller",
    "deployment": "deployment-controller",
    "replicaset": "replicaset-controller",
    "horizontalpodautoscaling": "horizontal-pod-autoscaler-controller",
    "disruption": "disruption-controller",
    "statefulset": "statefulset-controller",
    "cronjob": "cronjob-controller",
    "csrsigning": "certificatesigningrequest-signing-controller",
    "csrapproving": "certificatesigningrequest-approving-controller",
    "csrcleaner": "certificatesigningrequest-cleaner-controller",
    "ttl": "ttl-controller",
    "nodeipam": "node-ipam-controller",
    "nodelifecycle": "node-lifecycle-controller",
    "persistentvolume-binder": "persistentvolume-binder-controller",
    "attachdetach": "persistentvolume-attach-detach-controller",
    "persistentvolume-expander": "persistentvolume-expander-controller",
    "clusterrole-aggregation": "clusterrole-aggregation-controller",
    "pvc-protection": "persistentvolumeclaim-protection-controller",
    "pv-protection": "persistentvolume-protection-controller",
    "ttl-after-finished": "ttl-after-finished-controller",
    "root-ca-cert-publisher": "root-ca-certificate-publisher-controller",
    "ephemeral-volume": "ephemeral-volume-controller",
    "legacy-service-account-token-cleaner": "legacy-serviceaccount-token-cleaner-controller",
}
"""Older names that the flag still takes."""


class UnknownController(WrongOption):
    """A name that no controller has."""


def select(wanted: Sequence[str]) -> list[str]:
    """The names of the table chosen by `--controllers`, in the table's order. Raises UnknownController."""
    included: set[str] = set()
    excluded: set[str] = set()
    everything = False
    for word in wanted:
        if word == "*":
            everything = True
            continue
        name = word.removeprefix("-")
        name = ALIASES.get(name, name)
        if name not in TABLE:
            raise UnknownController(f"{word!r} is not in the list of known controllers: {', '.join(sorted(TABLE))}")
        (excluded if word.startswith("-") else included).add(name)
    by_default = set(TABLE) - OFF_BY_DEFAULT if everything else set()
    return [name for name in TABLE if name in included or (name in by_default and name not in excluded)]
