"""The roles for people, components and nodes, and who holds them.

Follows: plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go, namespace_policy.go.
"""

from __future__ import annotations

from apiserver.bootstrap.rule import CHANGE, FULL, READ, RECORD_EVENTS, Rule, Rules, paths

CLUSTER_ROLES: dict[str, Rules] = {
    "cluster-admin": (
        Rule("*", "*", "*"),
        paths("*", "*"),
    ),
    "system:aggregate-to-admin": (
        Rule("authorization.k8s.io", "localsubjectaccessreviews", "create"),
        Rule("rbac.authorization.k8s.io", "rolebindings roles", FULL),
    ),
    "system:aggregate-to-edit": (
        Rule("core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy", READ),
        Rule("core", "serviceaccounts", "impersonate"),
        Rule("core", "pods pods/attach pods/exec pods/portforward pods/proxy", CHANGE),
        Rule("core", "pods/eviction", "create"),
        Rule(
            "core",
            "configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets "
            "serviceaccounts services services/proxy",
            CHANGE,
        ),
        Rule("core", "serviceaccounts/token", "create"),
        Rule("core events.k8s.io", "events", CHANGE),
        Rule(
            "apps",
            "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale "
            "statefulsets statefulsets/scale",
            CHANGE,
        ),
        Rule("autoscaling", "horizontalpodautoscalers", CHANGE),
        Rule("batch", "cronjobs jobs", CHANGE),
        Rule(
            "extensions",
            "daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets "
            "replicasets/scale replicationcontrollers/scale",
            CHANGE,
        ),
        Rule("policy", "poddisruptionbudgets", CHANGE),
        Rule("networking.k8s.io", "ingresses networkpolicies", CHANGE),
        Rule("coordination.k8s.io", "leases", FULL),
        Rule("resource.k8s.io", "resourceclaims resourceclaimtemplates", CHANGE),
    ),
    "system:aggregate-to-view": (
        Rule(
            "core",
            "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods "
            "replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status",
            READ,
        ),
        Rule(
            "core",
            "bindings limitranges namespaces/status pods/log pods/status replicationcontrollers/status "
            "resourcequotas resourcequotas/status",
            READ,
        ),
        Rule("core", "namespaces", READ),
        Rule("core events.k8s.io", "events", READ),
        Rule("discovery.k8s.io", "endpointslices", READ),
        Rule(
            "apps",
            "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status "
            "replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale "
            "statefulsets/status",
            READ,
        ),
        Rule("autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status", READ),
        Rule("batch", "cronjobs cronjobs/status jobs jobs/status", READ),
        Rule(
            "extensions",
            "daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses "
            "ingresses/status networkpolicies replicasets replicasets/scale replicasets/status "
            "replicationcontrollers/scale",
            READ,
        ),
        Rule("policy", "poddisruptionbudgets poddisruptionbudgets/status", READ),
        Rule("networking.k8s.io", "ingresses ingresses/status networkpolicies", READ),
        Rule("resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates", READ),
    ),
    "system:auth-delegator": (
        Rule("authentication.k8s.io", "tokenreviews", "create"),
        Rule("authorization.k8s.io", "subjectaccessreviews", "create"),
    ),
    "system:basic-user": (
        Rule("authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews", "create"),
        Rule("authentication.k8s.io", "selfsubjectreviews", "create"),
    ),
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient": (
        Rule("certificates.k8s.io", "certificatesigningrequests/nodeclient", "create"),
    ),
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": (
        Rule("certificates.k8s.io", "certificatesigningrequests/selfnodeclient", "create"),
    ),
    "system:certificates.k8s.io:kube-apiserver-client-approver": (
        Rule("certificates.k8s.io", "signers", "approve", "kubernetes.io/kube-apiserver-client"),
    ),
    "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver": (
        Rule("certificates.k8s.io", "signers", "approve", "kubernetes.io/kube-apiserver-client-kubelet"),
    ),
    "system:certificates.k8s.io:kubelet-serving-approver": (
        Rule("certificates.k8s.io", "signers", "approve", "kubernetes.io/kubelet-serving"),
    ),
    "system:certificates.k8s.io:legacy-unknown-approver": (
        Rule("certificates.k8s.io", "signers", "approve", "kubernetes.io/legacy-unknown"),
    ),
    "system:discovery": (
        paths("/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/"),
    ),
    "system:heapster": (
        Rule("core", "events namespaces nodes pods", READ),
        Rule("extensions", "deployments", READ),
    ),
    "system:kube-aggregator": (Rule("core", "endpoints services", READ),),
    "system:kube-controller-manager": (
        RECORD_EVENTS,
        Rule("coordination.k8s.io", "leases", "create"),
        Rule("coordination.k8s.io", "leases", "get update", "kube-controller-manager"),
        Rule("core", "secrets serviceaccounts", "create"),
        Rule("core", "secrets", "delete"),
        Rule("core", "configmaps namespaces secrets serviceaccounts", "get"),
        Rule("core", "secrets serviceaccounts", "update"),
        Rule("authentication.k8s.io", "tokenreviews", "create"),
        Rule("authorization.k8s.io", "subjectaccessreviews", "create"),
        Rule("*", "*", "list watch"),
        Rule("core", "serviceaccounts/token", "create"),
    ),
    "system:kube-dns": (Rule("core", "endpoints services", "list watch"),),
    "system:kube-scheduler": (
        RECORD_EVENTS,
        Rule("coordination.k8s.io", "leases", "create"),
        Rule("coordination.k8s.io", "leases", "get list update watch", "kube-scheduler"),
        Rule("coordination.k8s.io", "leasecandidates", FULL),
        Rule("core", "nodes", READ),
        Rule("core", "pods", "delete get list watch"),
        Rule("core", "bindings pods/binding", "create"),
        Rule("core", "pods/status", "patch update"),
        Rule("core", "replicationcontrollers services", READ),
        Rule("apps extensions", "replicasets", READ),
        Rule("apps", "statefulsets", READ),
        Rule("policy", "poddisruptionbudgets", READ),
        Rule("core", "persistentvolumeclaims persistentvolumes", READ),
        Rule("authentication.k8s.io", "tokenreviews", "create"),
        Rule("authorization.k8s.io", "subjectaccessreviews", "create"),
        Rule("storage.k8s.io", "csinodes", READ),
        Rule("storage.k8s.io", "volumeattachments", READ),
        Rule("core", "namespaces", READ),
        Rule("storage.k8s.io", "csidrivers", READ),
        Rule("storage.k8s.io", "csistoragecapacities", READ),
        Rule("resource.k8s.io", "deviceclasses", READ),
        Rule("resource.k8s.io", "resourceclaims", "get list patch update watch"),
        Rule("resource.k8s.io", "resourceclaims/status", "get list patch update watch"),
        Rule("core", "pods/finalizers", "update"),
        Rule("resource.k8s.io", "resourceslices", READ),
        Rule("resource.k8s.io", "resourceclaims", "create delete"),
        Rule("resource.k8s.io", "resourceclaims/binding", "patch update"),
    ),
    "system:kubelet-api-admin": (
        Rule("core", "nodes", READ),
        Rule("core", "nodes", "proxy"),
        Rule("core", "nodes/log nodes/metrics nodes/proxy nodes/stats", "*"),
        Rule("core", "nodes/configz nodes/healthz nodes/pods", "*"),
    ),
    "system:monitoring": (
        paths(
            "/flagz /healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/* /statusz"
        ),
        Rule("core", "nodes/metrics", "get"),
    ),
    "system:node": (
        Rule("authentication.k8s.io", "tokenreviews", "create"),
        Rule("authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews", "create"),
        Rule("core", "services", READ),
        Rule("core", "nodes", "create get list watch"),
        Rule("core", "nodes/status", "patch update"),
        Rule("core", "nodes", "patch update"),
        RECORD_EVENTS,
        Rule("core", "pods", READ),
        Rule("core", "pods", "create delete"),
        Rule("core", "pods/status", "patch update"),
        Rule("core", "pods/eviction", "create"),
        Rule("core", "configmaps secrets", READ),
        Rule("core", "persistentvolumeclaims persistentvolumes", "get"),
        Rule("core", "endpoints", "get"),
        Rule("certificates.k8s.io", "certificatesigningrequests", "create get list watch"),
        Rule("coordination.k8s.io", "leases", "create delete get patch update"),
        Rule("storage.k8s.io", "volumeattachments", "get"),
        Rule("core", "serviceaccounts/token", "create"),
        Rule("core", "persistentvolumeclaims/status", "get patch update"),
        Rule("storage.k8s.io", "csidrivers", READ),
        Rule("storage.k8s.io", "csinodes", "create delete get patch update"),
        Rule("node.k8s.io", "runtimeclasses", READ),
        Rule("resource.k8s.io", "resourceclaims", "get"),
        Rule("resource.k8s.io", "resourceslices", "deletecollection"),
        Rule("core", "serviceaccounts", "get"),
    ),
    "system:node-bootstrapper": (Rule("certificates.k8s.io", "certificatesigningrequests", "create get list watch"),),
    "system:node-problem-detector": (
        Rule("core", "nodes", "get"),
        Rule("core", "nodes/status", "patch"),
        RECORD_EVENTS,
    ),
    "system:node-proxier": (
        Rule("core", "endpoints services", "list watch"),
        Rule("core", "nodes", READ),
        RECORD_EVENTS,
        Rule("networking.k8s.io", "servicecidrs", "list watch"),
        Rule("discovery.k8s.io", "endpointslices", "list watch"),
    ),
    "system:persistent-volume-provisioner": (
        Rule("core", "persistentvolumes", "create delete get list watch"),
        Rule("core", "persistentvolumeclaims", "get list update watch"),
        Rule("storage.k8s.io", "storageclasses", READ),
        Rule("core", "events", "watch"),
        RECORD_EVENTS,
    ),
    "system:public-info-viewer": (paths("/healthz /livez /readyz /version /version/"),),
    "system:service-account-issuer-discovery": (
        paths(
            "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/"
        ),
    ),
    "system:volume-scheduler": (
        Rule("core", "persistentvolumes", "get list patch update watch"),
        Rule("storage.k8s.io", "storageclasses", READ),
        Rule("core", "persistentvolumeclaims", "get list patch update watch"),
    ),
}

# Roles made of other roles: the rules of all roles labelled as part of them are added up by a controller.
AGGREGATED = ("admin", "edit", "view")

# Which of the three a role is part of.
PART_OF = {
    "edit": "admin",
    "view": "edit",
    "system:aggregate-to-admin": "admin",
    "system:aggregate-to-edit": "edit",
    "system:aggregate-to-view": "view",
}

ROLES: dict[tuple[str, str], Rules] = {
    ("kube-public", "system:controller:bootstrap-signer"): (
        Rule("core", "configmaps", READ),
        Rule("core", "configmaps", "update", "cluster-info"),
        RECORD_EVENTS,
    ),
    ("kube-system", "extension-apiserver-authentication-reader"): (
        Rule("core", "configmaps", READ, "extension-apiserver-authentication"),
    ),
    ("kube-system", "system::leader-locking-kube-controller-manager"): (
        Rule("coordination.k8s.io", "leases", "create get list update watch"),
        Rule("coordination.k8s.io", "leasecandidates", "create get list update watch"),
    ),
    ("kube-system", "system::leader-locking-kube-scheduler"): (
        Rule("coordination.k8s.io", "leases", "create get list update watch"),
        Rule("coordination.k8s.io", "leasecandidates", "create get list update watch"),
    ),
    ("kube-system", "system:controller:bootstrap-signer"): (Rule("core", "secrets", READ),),
    ("kube-system", "system:controller:cloud-provider"): (Rule("core", "configmaps", "create get list watch"),),
    ("kube-system", "system:controller:token-cleaner"): (
        Rule("core", "secrets", "delete get list watch"),
        RECORD_EVENTS,
    ),
}

# Holders of the cluster role of the same name: words `user=`, `group=` or `account=<namespace>/<name>`.
CLUSTER_HOLDERS: dict[str, str] = {
    "cluster-admin": "group=system:masters",
    "system:basic-user": "group=system:authenticated",
    "system:discovery": "group=system:authenticated",
    "system:kube-controller-manager": "user=system:kube-controller-manager",
    "system:kube-dns": "account=kube-system/kube-dns",
    "system:kube-scheduler": "user=system:kube-scheduler",
    "system:monitoring": "group=system:monitoring",
    "system:node": "",
    "system:node-proxier": "user=system:kube-proxy",
    "system:public-info-viewer": "group=system:authenticated group=system:unauthenticated",
    "system:service-account-issuer-discovery": "group=system:serviceaccounts",
    "system:volume-scheduler": "user=system:kube-scheduler",
}

# Role bindings: (namespace, name) to the role and its holders.
HOLDERS: dict[tuple[str, str], tuple[str, str]] = {
    ("kube-public", "system:controller:bootstrap-signer"): (
        "system:controller:bootstrap-signer",
        "account=kube-system/bootstrap-signer",
    ),
    ("kube-system", "system::extension-apiserver-authentication-reader"): (
        "extension-apiserver-authentication-reader",
        "user=system:kube-controller-manager user=system:kube-scheduler",
    ),
    ("kube-system", "system::leader-locking-kube-controller-manager"): (
        "system::leader-locking-kube-controller-manager",
        "user=system:kube-controller-manager account=kube-system/kube-controller-manager "
        "account=kube-system/leader-election-controller",
    ),
    ("kube-system", "system::leader-locking-kube-scheduler"): (
        "system::leader-locking-kube-scheduler",
        "user=system:kube-scheduler account=kube-system/kube-scheduler",
    ),
    ("kube-system", "system:controller:bootstrap-signer"): (
        "system:controller:bootstrap-signer",
        "account=kube-system/bootstrap-signer",
    ),
    ("kube-system", "system:controller:cloud-provider"): (
        "system:controller:cloud-provider",
        "account=kube-system/cloud-provider",
    ),
    ("kube-system", "system:controller:token-cleaner"): (
        "system:controller:token-cleaner",
        "account=kube-system/token-cleaner",
    ),
}
