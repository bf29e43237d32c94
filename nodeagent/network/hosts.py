"""A pod's host name and its /etc/hosts, which all its containers share. Pure.

Follows: pkg/kubelet/kubelet_pods.go managedHostsFileContent, pkg/kubelet/util/util.go GetNodenameForKernel
"""

from __future__ import annotations

from collections.abc import Sequence

from nodeagent.pods import spec
from nodeagent.pods.spec import View

HOST_NAME_LIMIT = 63
FQDN_LIMIT = 64
_LOCAL = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""


class NameTooLong(ValueError):
    """The full name does not fit where the kernel keeps a host name."""


def host_and_domain(pod: View, cluster_domain: str) -> tuple[str, str]:
    """The short host name, and the domain after it ('' without a subdomain)."""
    name = pod["spec"].get("hostnameOverride") or pod["spec"].get("hostname") or pod["metadata"]["name"]
    host = name if len(name) <= HOST_NAME_LIMIT else name[:HOST_NAME_LIMIT].rstrip("-.")
    subdomain = pod["spec"].get("subdomain")
    if not subdomain or pod["spec"].get("hostnameOverride"):
        return host, ""
    return host, f"{subdomain}.{pod['metadata']['namespace']}.svc.{cluster_domain}"


def kernel_hostname(pod: View, cluster_domain: str) -> str:
    """What `hostname` prints in the pod. Raises NameTooLong."""
    host, domain = host_and_domain(pod, cluster_domain)
    if not pod["spec"].get("setHostnameAsFQDN") or not domain:
        return host
    full = f"{host}.{domain}"
    if len(full) > FQDN_LIMIT:
        raise NameTooLong(
            f'failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long '
            f"({FQDN_LIMIT} characters is the max, {len(full)} characters requested)"
        )
    return full


def hosts_file(pod: View, ips: Sequence[str], node_hosts: str, cluster_domain: str) -> str:
    """The content of /etc/hosts."""
    if spec.is_host_network(pod):
        content = f"# Kubernetes-managed hosts file (host network).\n{node_hosts}"
    else:
        host, domain = host_and_domain(pod, cluster_domain)
        names = f"{host}.{domain}\t{host}" if domain else host
        content = f"# Kubernetes-managed hosts file.\n{_LOCAL}" + "".join(f"{ip}\t{names}\n" for ip in ips)
    aliases = pod["spec"].get("hostAliases") or ()
    if aliases:
        content += "\n# Entries added by HostAliases.\n"
        content += "".join("\t".join([alias["ip"], *(alias.get("hostnames") or ())]) + "\n" for alias in aliases)
    return content
