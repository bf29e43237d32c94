"""certificates.k8s.io: signing requests."""

from __future__ import annotations

from openapi.catalog import Resource, Subresource
from openapi.kinds.row import READ_WRITE, ApiGroup

CERTIFICATES = ApiGroup("certificates.k8s.io", "v1", "io.k8s.api.certificates.v1")

RESOURCES: tuple[Resource, ...] = (
    CERTIFICATES.row(
        "certificatesigningrequests", "CertificateSigningRequest", "csr",
        namespaced=False,
        status=True,
        subresources=(
            Subresource("approval", READ_WRITE, "CertificateSigningRequest"),
        ),
    ),
)
