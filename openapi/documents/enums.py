"""The values that fields of a closed set may have, as words: EMPTY is the empty string, and `_` a space within a value.

A definition is named without its `io.k8s.` or `io.k8s.api.` prefix; `field[]` and `field{}` mean the values of a list
and of a map.
"""

from __future__ import annotations

ENUMS: dict[str, dict[str, str]] = {
    "admissionregistration.v1.MatchResources": {"matchPolicy": "Equivalent Exact"},
    "admissionregistration.v1.MutatingAdmissionPolicySpec": {
        "failurePolicy": "Fail Ignore",
        "reinvocationPolicy": "IfNeeded Never",
    },
    "admissionregistration.v1.MutatingWebhook": {
        "failurePolicy": "Fail Ignore",
        "matchPolicy": "Equivalent Exact",
        "reinvocationPolicy": "IfNeeded Never",
        "sideEffects": "None NoneOnDryRun Some Unknown",
    },
    "admissionregistration.v1.Mutation": {"patchType": "ApplyConfiguration JSONPatch"},
    "admissionregistration.v1.NamedRuleWithOperations": {
        "operations[]": "* CONNECT CREATE DELETE UPDATE",
        "scope": "* Cluster Namespaced",
    },
    "admissionregistration.v1.RuleWithOperations": {
        "operations[]": "* CONNECT CREATE DELETE UPDATE",
        "scope": "* Cluster Namespaced",
    },
    "admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec": {"validationActions[]": "Audit Deny Warn"},
    "admissionregistration.v1.ValidatingAdmissionPolicySpec": {"failurePolicy": "Fail Ignore"},
    "admissionregistration.v1.ValidatingWebhook": {
        "failurePolicy": "Fail Ignore",
        "matchPolicy": "Equivalent Exact",
        "sideEffects": "None NoneOnDryRun Some Unknown",
    },
    "apps.v1.DaemonSetUpdateStrategy": {"type": "OnDelete RollingUpdate"},
    "apps.v1.DeploymentStrategy": {"type": "Recreate RollingUpdate"},
    "apps.v1.StatefulSetSpec": {"podManagementPolicy": "OrderedReady Parallel"},
    "apps.v1.StatefulSetUpdateStrategy": {"type": "OnDelete RollingUpdate"},
    "batch.v1.CronJobSpec": {"concurrencyPolicy": "Allow Forbid Replace"},
    "batch.v1.JobSpec": {"completionMode": "Indexed NonIndexed", "podReplacementPolicy": "Failed TerminatingOrFailed"},
    "batch.v1.PodFailurePolicyOnExitCodesRequirement": {"operator": "In NotIn"},
    "batch.v1.PodFailurePolicyRule": {"action": "Count FailIndex FailJob Ignore"},
    "certificates.v1.CertificateSigningRequestSpec": {
        "usages[]": (
            "any cert_sign client_auth code_signing content_commitment crl_sign data_encipherment "
            "decipher_only digital_signature email_protection encipher_only ipsec_end_system ipsec_tunnel "
            "ipsec_user key_agreement key_encipherment microsoft_sgc netscape_sgc ocsp_signing s/mime "
            "server_auth signing timestamping"
        ),
    },
    "core.v1.AppArmorProfile": {"type": "Localhost RuntimeDefault Unconfined"},
    "core.v1.AzureDiskVolumeSource": {"cachingMode": "None ReadOnly ReadWrite", "kind": "Dedicated Managed Shared"},
    "core.v1.Container": {
        "imagePullPolicy": "Always IfNotPresent Never",
        "terminationMessagePolicy": "FallbackToLogsOnError File",
    },
    "core.v1.ContainerPort": {"protocol": "SCTP TCP UDP"},
    "core.v1.ContainerStatus": {
        "stopSignal": (
            "SIGABRT SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGFPE SIGHUP SIGILL SIGINT SIGIO SIGIOT SIGKILL "
            "SIGPIPE SIGPOLL SIGPROF SIGPWR SIGQUIT SIGRTMAX SIGRTMAX-1 SIGRTMAX-10 SIGRTMAX-11 SIGRTMAX-12 "
            "SIGRTMAX-13 SIGRTMAX-14 SIGRTMAX-2 SIGRTMAX-3 SIGRTMAX-4 SIGRTMAX-5 SIGRTMAX-6 SIGRTMAX-7 "
            "SIGRTMAX-8 SIGRTMAX-9 SIGRTMIN SIGRTMIN+1 SIGRTMIN+10 SIGRTMIN+11 SIGRTMIN+12 SIGRTMIN+13 "
            "SIGRTMIN+14 SIGRTMIN+15 SIGRTMIN+2 SIGRTMIN+3 SIGRTMIN+4 SIGRTMIN+5 SIGRTMIN+6 SIGRTMIN+7 "
            "SIGRTMIN+8 SIGRTMIN+9 SIGSEGV SIGSTKFLT SIGSTOP SIGSYS SIGTERM SIGTRAP SIGTSTP SIGTTIN SIGTTOU "
            "SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ"
        ),
    },
    "core.v1.EndpointPort": {"protocol": "SCTP TCP UDP"},
    "core.v1.EphemeralContainer": {
        "imagePullPolicy": "Always IfNotPresent Never",
        "terminationMessagePolicy": "FallbackToLogsOnError File",
    },
    "core.v1.HTTPGetAction": {"scheme": "HTTP HTTPS"},
    "core.v1.HostPathVolumeSource": {
        "type": "EMPTY BlockDevice CharDevice Directory DirectoryOrCreate File FileOrCreate Socket",
    },
    "core.v1.ImageVolumeSource": {"pullPolicy": "Always IfNotPresent Never"},
    "core.v1.Lifecycle": {
        "stopSignal": (
            "SIGABRT SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGFPE SIGHUP SIGILL SIGINT SIGIO SIGIOT SIGKILL "
            "SIGPIPE SIGPOLL SIGPROF SIGPWR SIGQUIT SIGRTMAX SIGRTMAX-1 SIGRTMAX-10 SIGRTMAX-11 SIGRTMAX-12 "
            "SIGRTMAX-13 SIGRTMAX-14 SIGRTMAX-2 SIGRTMAX-3 SIGRTMAX-4 SIGRTMAX-5 SIGRTMAX-6 SIGRTMAX-7 "
            "SIGRTMAX-8 SIGRTMAX-9 SIGRTMIN SIGRTMIN+1 SIGRTMIN+10 SIGRTMIN+11 SIGRTMIN+12 SIGRTMIN+13 "
            "SIGRTMIN+14 SIGRTMIN+15 SIGRTMIN+2 SIGRTMIN+3 SIGRTMIN+4 SIGRTMIN+5 SIGRTMIN+6 SIGRTMIN+7 "
            "SIGRTMIN+8 SIGRTMIN+9 SIGSEGV SIGSTKFLT SIGSTOP SIGSYS SIGTERM SIGTRAP SIGTSTP SIGTTIN SIGTTOU "
            "SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ"
        ),
    },
    "core.v1.ModifyVolumeStatus": {"status": "InProgress Infeasible Pending"},
    "core.v1.NamespaceStatus": {"phase": "Active Terminating"},
    "core.v1.NodeSelectorRequirement": {"operator": "DoesNotExist Exists Gt In Lt NotIn"},
    "core.v1.NodeStatus": {"phase": "Pending Running Terminated"},
    "core.v1.PersistentVolumeClaimSpec": {
        "accessModes[]": "ReadOnlyMany ReadWriteMany ReadWriteOnce ReadWriteOncePod",
        "volumeMode": "Block Filesystem",
    },
    "core.v1.PersistentVolumeClaimStatus": {
        "accessModes[]": "ReadOnlyMany ReadWriteMany ReadWriteOnce ReadWriteOncePod",
        "allocatedResourceStatuses{}": (
            "ControllerResizeInProgress ControllerResizeInfeasible NodeResizeInProgress NodeResizeInfeasible "
            "NodeResizePending"
        ),
        "phase": "Bound Lost Pending",
    },
    "core.v1.PersistentVolumeSpec": {
        "accessModes[]": "ReadOnlyMany ReadWriteMany ReadWriteOnce ReadWriteOncePod",
        "persistentVolumeReclaimPolicy": "Delete Recycle Retain",
        "volumeMode": "Block Filesystem",
    },
    "core.v1.PersistentVolumeStatus": {"phase": "Available Bound Failed Pending Released"},
    "core.v1.PodSecurityContext": {
        "fsGroupChangePolicy": "Always OnRootMismatch",
        "supplementalGroupsPolicy": "Merge Strict",
    },
    "core.v1.PodSpec": {
        "dnsPolicy": "ClusterFirst ClusterFirstWithHostNet Default None",
        "preemptionPolicy": "Never PreemptLowerPriority",
        "restartPolicy": "Always Never OnFailure",
    },
    "core.v1.PodStatus": {
        "phase": "Failed Pending Running Succeeded Unknown",
        "qosClass": "BestEffort Burstable Guaranteed",
    },
    "core.v1.PortStatus": {"protocol": "SCTP TCP UDP"},
    "core.v1.ResourceQuotaSpec": {
        "scopes[]": (
            "BestEffort CrossNamespacePodAffinity NotBestEffort NotTerminating PriorityClass Terminating "
            "VolumeAttributesClass"
        ),
    },
    "core.v1.ScopedResourceSelectorRequirement": {
        "operator": "DoesNotExist Exists In NotIn",
        "scopeName": (
            "BestEffort CrossNamespacePodAffinity NotBestEffort NotTerminating PriorityClass Terminating "
            "VolumeAttributesClass"
        ),
    },
    "core.v1.SeccompProfile": {"type": "Localhost RuntimeDefault Unconfined"},
    "core.v1.SecurityContext": {"procMount": "Default Unmasked"},
    "core.v1.ServicePort": {"protocol": "SCTP TCP UDP"},
    "core.v1.ServiceSpec": {
        "externalTrafficPolicy": "Cluster Local",
        "internalTrafficPolicy": "Cluster Local",
        "ipFamilies[]": "EMPTY IPv4 IPv6",
        "ipFamilyPolicy": "PreferDualStack RequireDualStack SingleStack",
        "sessionAffinity": "ClientIP None",
        "type": "ClusterIP ExternalName LoadBalancer NodePort",
    },
    "core.v1.Taint": {"effect": "NoExecute NoSchedule PreferNoSchedule"},
    "core.v1.Toleration": {"effect": "NoExecute NoSchedule PreferNoSchedule", "operator": "Equal Exists Gt Lt"},
    "core.v1.TopologySpreadConstraint": {
        "nodeAffinityPolicy": "Honor Ignore",
        "nodeTaintsPolicy": "Honor Ignore",
        "whenUnsatisfiable": "DoNotSchedule ScheduleAnyway",
    },
    "core.v1.VolumeMount": {"mountPropagation": "Bidirectional HostToContainer None"},
    "discovery.v1.EndpointPort": {"protocol": "SCTP TCP UDP"},
    "discovery.v1.EndpointSlice": {"addressType": "FQDN IPv4 IPv6"},
    "networking.v1.HTTPIngressPath": {"pathType": "Exact ImplementationSpecific Prefix"},
    "networking.v1.IngressPortStatus": {"protocol": "SCTP TCP UDP"},
    "networking.v1.NetworkPolicyPort": {"protocol": "SCTP TCP UDP"},
    "networking.v1.NetworkPolicySpec": {"policyTypes[]": "Egress Ingress"},
    "policy.v1.PodDisruptionBudgetSpec": {"unhealthyPodEvictionPolicy": "AlwaysAllow IfHealthyBudget"},
    "resource.v1.DeviceAllocationConfiguration": {"source": "FromClaim FromClass"},
    "resource.v1.DeviceSubRequest": {"allocationMode": "All ExactCount"},
    "resource.v1.DeviceTaint": {"effect": "NoExecute NoSchedule None"},
    "resource.v1.DeviceToleration": {"effect": "NoExecute NoSchedule None", "operator": "Equal Exists"},
    "resource.v1.ExactDeviceRequest": {"allocationMode": "All ExactCount"},
    "scheduling.v1.PriorityClass": {"preemptionPolicy": "Never PreemptLowerPriority"},
    "storage.v1.StorageClass": {
        "reclaimPolicy": "Delete Recycle Retain",
        "volumeBindingMode": "Immediate WaitForFirstConsumer",
    },
    "apiextensions-apiserver.pkg.apis.apiextensions.v1.ValidationRule": {
        "reason": "FieldValueDuplicate FieldValueForbidden FieldValueInvalid FieldValueRequired",
    },
}
