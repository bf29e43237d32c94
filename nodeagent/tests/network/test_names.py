from __future__ import annotations

import pytest

from nodeagent.network.dns import parse_resolv_conf, pod_dns
from nodeagent.network.hosts import NameTooLong, hosts_file, kernel_hostname
from nodeagent.runtime.protocol import Dns
from nodeagent.tests.pods.samples import make_pod

NODE_DNS = Dns(["192.0.2.53"], ["node.test"], ["timeout:2"])
DOMAIN = "cluster.local"


def dns(**spec: object) -> Dns:
    return pod_dns(make_pod([], **spec), NODE_DNS, cluster_servers=["10.96.0.10"], cluster_domain=DOMAIN)[0]


def test_the_cluster_comes_first() -> None:
    found = dns()
    assert list(found.servers) == ["10.96.0.10"]
    assert list(found.searches) == ["ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "node.test"]
    assert list(found.options) == ["ndots:5"]


@pytest.mark.parametrize("spec", [{"dnsPolicy": "Default"}, {"hostNetwork": True, "dnsPolicy": "ClusterFirst"}])
def test_some_pods_see_what_the_node_sees(spec: dict[str, object]) -> None:
    assert list(dns(**spec).servers) == ["192.0.2.53"]


def test_a_pod_adds_to_its_policy() -> None:
    options = [{"name": "ndots", "value": "2"}, {"name": "rotate"}]
    config = {"nameservers": ["1.1.1.1"], "searches": ["x"], "options": options}
    found = dns(dnsPolicy="None", dnsConfig=config)
    assert (list(found.servers), list(found.searches)) == (["1.1.1.1"], ["x"])
    assert list(found.options) == ["ndots:2", "rotate"]
    assert list(dns(dnsConfig=config).options) == ["ndots:2", "rotate"]


def test_what_is_more_than_resolvers_take_is_left_out_and_told() -> None:
    config = {"nameservers": ["1.1.1.1", "1.1.1.2", "1.1.1.3"], "searches": ["a" * 254, "b"]}
    pod = make_pod([], dnsConfig=config)
    found, problems = pod_dns(pod, Dns(), cluster_servers=["10.96.0.10"], cluster_domain=DOMAIN)
    assert list(found.servers) == ["10.96.0.10", "1.1.1.1", "1.1.1.2"]
    assert list(problems) == [
        "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "
        "10.96.0.10 1.1.1.1 1.1.1.2",
        "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "
        "ns.svc.cluster.local svc.cluster.local cluster.local b",
    ]


def test_the_nodes_own_file_is_understood() -> None:
    found = parse_resolv_conf("# c\nnameserver 1.2.3.4\nsearch a.test. b.test\noptions ndots:1 rotate\n")
    assert found == Dns(["1.2.3.4"], ["a.test", "b.test"], ["ndots:1", "rotate"])


def test_host_names_are_cut_and_full_ones_refused() -> None:
    pod = make_pod([])
    pod["metadata"]["name"] = "x" * 62 + "-" + "y" * 5
    assert kernel_hostname(pod, DOMAIN) == "x" * 62
    full = make_pod([], hostname="h", subdomain="s", setHostnameAsFQDN=True)
    assert kernel_hostname(full, DOMAIN) == "h.s.ns.svc.cluster.local"
    with pytest.raises(NameTooLong, match="is too long"):
        kernel_hostname(make_pod([], hostname="h" * 60, subdomain="s", setHostnameAsFQDN=True), DOMAIN)


def test_the_hosts_file_names_the_pod_and_its_aliases() -> None:
    pod = make_pod([], subdomain="s", hostAliases=[{"ip": "1.2.3.4", "hostnames": ["a", "b"]}])
    content = hosts_file(pod, ["10.0.0.2"], "", DOMAIN)
    assert content.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert "10.0.0.2\tp.s.ns.svc.cluster.local\tp\n" in content
    assert content.endswith("\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n")
    assert hosts_file(make_pod([], hostNetwork=True), [], "x\n", DOMAIN).endswith("(host network).\nx\n")
