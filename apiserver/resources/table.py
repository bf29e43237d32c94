"""The strategies of all kinds that differ from a plain one: one line each, nothing registers itself."""

from __future__ import annotations

from apiserver.resources.admissionregistration.bindings import MutatingPolicyBindings, ValidatingPolicyBindings
from apiserver.resources.admissionregistration.policies import MutatingPolicyStrategy, ValidatingPolicyStrategy
from apiserver.resources.admissionregistration.webhooks import MutatingWebhooks, ValidatingWebhooks
from apiserver.resources.apiextensions.definition import DefinitionStrategy
from apiserver.resources.apiregistration.api_service import ApiServiceStrategy
from apiserver.resources.apps.controller_revision import ControllerRevisionStrategy
from apiserver.resources.apps.daemon_set import DaemonSetStrategy
from apiserver.resources.apps.deployment import DeploymentStrategy
from apiserver.resources.apps.replica_set import ReplicaSetStrategy
from apiserver.resources.apps.stateful_set import StatefulSetStrategy
from apiserver.resources.autoscaling.horizontal_pod_autoscaler import HorizontalPodAutoscalerStrategy
from apiserver.resources.batch.cron_job import CronJobStrategy
from apiserver.resources.batch.job import JobStrategy
from apiserver.resources.certificates.signing_request import SigningRequestStrategy
from apiserver.resources.coordination.lease import LeaseStrategy
from apiserver.resources.core.componentstatuses import ComponentStatuses
from apiserver.resources.core.configmaps import ConfigMaps
from apiserver.resources.core.endpoints import EndpointsStrategy
from apiserver.resources.core.events import Events, NewEvents
from apiserver.resources.core.limitranges import LimitRanges
from apiserver.resources.core.namespaces import Namespaces
from apiserver.resources.core.nodes import Nodes
from apiserver.resources.core.persistentvolumeclaims import PersistentVolumeClaims
from apiserver.resources.core.persistentvolumes import PersistentVolumes
from apiserver.resources.core.replicationcontrollers import ReplicationControllers
from apiserver.resources.core.resourcequotas import ResourceQuotas
from apiserver.resources.core.secrets import Secrets
from apiserver.resources.core.serviceaccounts import ServiceAccounts
from apiserver.resources.discovery.endpointslices import EndpointSlices
from apiserver.resources.flowcontrol.flow_schema import FlowSchemaStrategy
from apiserver.resources.flowcontrol.priority_level import PriorityLevelStrategy
from apiserver.resources.networking.ingress import IngressStrategy
from apiserver.resources.networking.ingress_class import IngressClassStrategy
from apiserver.resources.networking.ipaddresses import IPAddresses
from apiserver.resources.networking.network_policy import NetworkPolicyStrategy
from apiserver.resources.networking.servicecidrs import ServiceCidrs
from apiserver.resources.node.runtime_class import RuntimeClassStrategy
from apiserver.resources.pods.strategy import PodStrategy
from apiserver.resources.pods.template import PodTemplateStrategy
from apiserver.resources.policy.pod_disruption_budget import PodDisruptionBudgetStrategy
from apiserver.resources.rbac.bindings import ClusterRoleBindingStrategy, RoleBindingStrategy
from apiserver.resources.rbac.roles import ClusterRoleStrategy, RoleStrategy
from apiserver.resources.resource.device_class import DeviceClassStrategy
from apiserver.resources.resource.resource_claim import ResourceClaimStrategy, ResourceClaimTemplateStrategy
from apiserver.resources.resource.resource_slice import ResourceSliceStrategy
from apiserver.resources.scheduling.priority_class import PriorityClassStrategy
from apiserver.resources.storage.csi_driver import CsiDriverStrategy
from apiserver.resources.storage.csi_node import CsiNodeStrategy
from apiserver.resources.storage.csi_storage_capacity import CsiStorageCapacityStrategy
from apiserver.resources.storage.storage_class import StorageClassStrategy
from apiserver.resources.storage.volume_attachment import VolumeAttachmentStrategy
from apiserver.resources.storage.volume_attributes_class import VolumeAttributesClassStrategy
from apiserver.resources.strategy import Strategy
from openapi.catalog import GroupResource

STRATEGIES: dict[GroupResource, Strategy] = {
    GroupResource("", "componentstatuses"): ComponentStatuses(),
    GroupResource("", "configmaps"): ConfigMaps(),
    GroupResource("", "endpoints"): EndpointsStrategy(),
    GroupResource("", "events"): Events(),
    GroupResource("", "limitranges"): LimitRanges(),
    GroupResource("", "namespaces"): Namespaces(),
    GroupResource("", "nodes"): Nodes(),
    GroupResource("", "persistentvolumeclaims"): PersistentVolumeClaims(),
    GroupResource("", "persistentvolumes"): PersistentVolumes(),
    GroupResource("", "pods"): PodStrategy(),
    GroupResource("", "podtemplates"): PodTemplateStrategy(),
    GroupResource("", "replicationcontrollers"): ReplicationControllers(),
    GroupResource("", "resourcequotas"): ResourceQuotas(),
    GroupResource("", "secrets"): Secrets(),
    GroupResource("", "serviceaccounts"): ServiceAccounts(),
    GroupResource("admissionregistration.k8s.io", "mutatingadmissionpolicies"): MutatingPolicyStrategy(),
    GroupResource("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"): MutatingPolicyBindings(),
    GroupResource("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): MutatingWebhooks(),
    GroupResource("admissionregistration.k8s.io", "validatingadmissionpolicies"): ValidatingPolicyStrategy(),
    GroupResource("admissionregistration.k8s.io", "validatingadmissionpolicybindings"): ValidatingPolicyBindings(),
    GroupResource("admissionregistration.k8s.io", "validatingwebhookconfigurations"): ValidatingWebhooks(),
    GroupResource("apiextensions.k8s.io", "customresourcedefinitions"): DefinitionStrategy(),
    GroupResource("apiregistration.k8s.io", "apiservices"): ApiServiceStrategy(),
    GroupResource("apps", "controllerrevisions"): ControllerRevisionStrategy(),
    GroupResource("apps", "daemonsets"): DaemonSetStrategy(),
    GroupResource("apps", "deployments"): DeploymentStrategy(),
    GroupResource("apps", "replicasets"): ReplicaSetStrategy(),
    GroupResource("apps", "statefulsets"): StatefulSetStrategy(),
    GroupResource("autoscaling", "horizontalpodautoscalers"): HorizontalPodAutoscalerStrategy(),
    GroupResource("batch", "cronjobs"): CronJobStrategy(),
    GroupResource("batch", "jobs"): JobStrategy(),
    GroupResource("certificates.k8s.io", "certificatesigningrequests"): SigningRequestStrategy(),
    GroupResource("coordination.k8s.io", "leases"): LeaseStrategy(),
    GroupResource("discovery.k8s.io", "endpointslices"): EndpointSlices(),
    GroupResource("events.k8s.io", "events"): NewEvents(),
    GroupResource("flowcontrol.apiserver.k8s.io", "flowschemas"): FlowSchemaStrategy(),
    GroupResource("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"): PriorityLevelStrategy(),
    GroupResource("networking.k8s.io", "ingressclasses"): IngressClassStrategy(),
    GroupResource("networking.k8s.io", "ingresses"): IngressStrategy(),
    GroupResource("networking.k8s.io", "ipaddresses"): IPAddresses(),
    GroupResource("networking.k8s.io", "networkpolicies"): NetworkPolicyStrategy(),
    GroupResource("networking.k8s.io", "servicecidrs"): ServiceCidrs(),
    GroupResource("node.k8s.io", "runtimeclasses"): RuntimeClassStrategy(),
    GroupResource("policy", "poddisruptionbudgets"): PodDisruptionBudgetStrategy(),
    GroupResource("rbac.authorization.k8s.io", "clusterrolebindings"): ClusterRoleBindingStrategy(),
    GroupResource("rbac.authorization.k8s.io", "clusterroles"): ClusterRoleStrategy(),
    GroupResource("rbac.authorization.k8s.io", "rolebindings"): RoleBindingStrategy(),
    GroupResource("rbac.authorization.k8s.io", "roles"): RoleStrategy(),
    GroupResource("resource.k8s.io", "deviceclasses"): DeviceClassStrategy(),
    GroupResource("resource.k8s.io", "resourceclaims"): ResourceClaimStrategy(),
    GroupResource("resource.k8s.io", "resourceclaimtemplates"): ResourceClaimTemplateStrategy(),
    GroupResource("resource.k8s.io", "resourceslices"): ResourceSliceStrategy(),
    GroupResource("scheduling.k8s.io", "priorityclasses"): PriorityClassStrategy(),
    GroupResource("storage.k8s.io", "csidrivers"): CsiDriverStrategy(),
    GroupResource("storage.k8s.io", "csinodes"): CsiNodeStrategy(),
    GroupResource("storage.k8s.io", "csistoragecapacities"): CsiStorageCapacityStrategy(),
    GroupResource("storage.k8s.io", "storageclasses"): StorageClassStrategy(),
    GroupResource("storage.k8s.io", "volumeattachments"): VolumeAttachmentStrategy(),
    GroupResource("storage.k8s.io", "volumeattributesclasses"): VolumeAttributesClassStrategy(),
}
