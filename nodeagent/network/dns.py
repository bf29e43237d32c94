"""Which name servers, search domains and resolver options a pod gets. Pure.

Follows: pkg/kubelet/network/dns/dns.go
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nodeagent.pods import spec
from nodeagent.pods.spec import View
from nodeagent.runtime.protocol import Dns

CLUSTER_OPTIONS = ("ndots:5",)
SEARCH_LIMIT, SERVER_LIMIT, SEARCH_LENGTH_LIMIT, DOMAIN_LIMIT = 32, 3, 2048, 253


def parse_resolv_conf(content: str) -> Dns:
    """The node's own resolver configuration."""
    servers, searches, options = [], [], []
    for line in content.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            servers.append(words[1])
        elif words[0] == "search":
            searches = [word.rstrip(".") or "." for word in words[1:]]
        elif words[0] == "options":
            options = words[1:]
    return Dns(servers, searches, options)


def pod_dns(
    pod: View, node: Dns, *, cluster_servers: Sequence[str], cluster_domain: str
) -> tuple[Dns, Sequence[str]]:
    """By the pod's policy, plus what its dnsConfig adds, as far as resolvers take it; and what is to be told."""
    policy = pod["spec"].get("dnsPolicy") or "ClusterFirst"
    if policy == "ClusterFirst" and spec.is_host_network(pod):
        policy = "Default"
    if policy == "None":
        base = Dns()
    elif policy == "Default" or not cluster_servers:
        base = node
    else:
        namespace = pod["metadata"]["namespace"]
        domains = [f"{namespace}.svc.{cluster_domain}", f"svc.{cluster_domain}", cluster_domain]
        base = Dns(cluster_servers, _unique([*domains, *node.searches]), CLUSTER_OPTIONS)
    config = pod["spec"].get("dnsConfig")
    if config:
        base = Dns(
            _unique([*base.servers, *(config.get("nameservers") or ())]),
            _unique([*base.searches, *(config.get("searches") or ())]),
            _merge_options(base.options, config.get("options") or ()),
        )
    return _fitting(base)


def _fitting(wanted: Dns) -> tuple[Dns, Sequence[str]]:
    servers, searches = list(wanted.servers)[:SERVER_LIMIT], _fitting_searches(wanted.searches)
    problems = []
    if len(servers) < len(wanted.servers):
        what = "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is"
        problems.append(f"{what}: {' '.join(servers)}")
    if len(searches) < len(wanted.searches):
        what = "Search Line limits were exceeded, some search paths have been omitted, the applied search line is"
        problems.append(f"{what}: {' '.join(searches)}")
    return Dns(servers, searches, wanted.options), problems


def _merge_options(base: Sequence[str], added: Sequence[View]) -> list[str]:
    found = {option.partition(":")[0]: option for option in base}
    for option in added:
        value = option.get("value")
        found[option["name"]] = f"{option['name']}:{value}" if value else option["name"]
    return list(found.values())


def _unique(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))


def _fitting_searches(searches: Sequence[str]) -> list[str]:
    # glibc 2.28 aborts when it meets a longer one.
    found = [search for search in list(searches)[:SEARCH_LIMIT] if len(search) <= DOMAIN_LIMIT]
    while len(" ".join(found)) > SEARCH_LENGTH_LIMIT:
        found.pop()
    return found
