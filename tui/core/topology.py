"""Where etcd runs in a cluster and how its metrics can be reached, read from plain API objects.

`tui.core.platforms` holds what is known of each distribution. Nothing here asks the network.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from tui.core.platforms import EXTERNAL, KUBEADM, OPENSHIFT, PLATFORMS, CertificateSet, Platform, platform_of
from tui.i18n import _, ngettext

STRATEGIES = ("node-http", "node-tls", "elected", "tutorial", "none")

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Member:
    """An etcd member: its node ("" where etcd is outside the cluster), its address, its metrics URLs.

    `metrics_urls` are as its own node sees them, those without certificates first; `client_url` is what
    other nodes can reach, with certificates.
    """

    node: str
    ip: str
    metrics_urls: tuple[str, ...]
    client_url: str


@dataclass(frozen=True)
class Topology:
    """What was found. `nodes` counts all nodes (0: they could not be listed); `guess`: only labels say so."""

    platform: str
    members: tuple[Member, ...]
    proposal: str
    why: str
    nodes: int = 0
    guess: bool = False
    certificates: tuple[CertificateSet, ...] = ()
    provider: str = ""
    certificate_flags: tuple[str, ...] = ()  # what a control-plane pod says of certificates, as it stands there

    @property
    def title(self) -> str:
        """The platform's name as people write it."""
        return self.provider or PLATFORMS[self.platform].title

    @property
    def etcd_nodes(self) -> tuple[str, ...]:
        """Names of the nodes that run etcd."""
        return tuple(sorted({member.node for member in self.members if member.node}))

    @property
    def others(self) -> int:
        """How many nodes do not run etcd."""
        return max(self.nodes - len(self.etcd_nodes), 0)

    @property
    def certificate_directory(self) -> str:
        """The directory on the nodes that holds the certificates offered first, "" where none is known."""
        return self.certificates[0].directory if self.certificates else ""

    def local_url(self, scheme: str) -> str:
        """The loopback URL with this scheme on which every member answers, "" where there is none."""
        if self.members:
            local = (url for url in self.members[0].metrics_urls if url.startswith(f"{scheme}://") and is_loopback(url))
            return next((url for url in local if all(url in member.metrics_urls for member in self.members)), "")
        port = PLATFORMS[self.platform].ports.get(scheme, 0)
        return f"{scheme}://127.0.0.1:{port}/metrics" if port else ""

    def urls(self, strategy: str) -> tuple[str, ...]:
        """What a strategy scrapes; empty where this cluster has nothing for it."""
        if strategy in ("node-http", "node-tls"):
            url = self.local_url("http" if strategy == "node-http" else "https")
            return (url,) if url else ()
        if strategy == "tutorial":
            return tuple(member.client_url for member in self.members[:1])
        if strategy == "elected":
            plain = tuple(_reachable_plain(member) for member in self.members)
            return plain if plain and all(plain) else tuple(member.client_url for member in self.members)
        return ()


def is_loopback(url: str) -> bool:
    """Whether a URL points at the machine that asks."""
    try:
        host = (urlsplit(url).hostname or "").lower()
        return host == "localhost" or (bool(host) and ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


def discover(nodes: Sequence[Object], pods: Sequence[Object] | None) -> Topology:
    """What the nodes and the pods of kube-system (on OpenShift also openshift-etcd) tell of etcd.

    `pods` is None where they may not be listed; `nodes` is empty where these may not. Then
    labels must do, and `guess` is set.
    """
    platform, provider = platform_of(nodes, pods)
    etcd_pods = [pod for pod in pods or () if is_etcd_pod(pod)]
    if etcd_pods:
        members = tuple(_member_of_pod(pod, platform) for pod in etcd_pods)
    elif platform is EXTERNAL:
        members = _external_members(pods or (), nodes)
    else:
        members = _members_of_nodes(nodes, platform)
    members = tuple(sorted(members, key=lambda member: (member.node, member.ip, member.client_url)))
    certificates = _certificates(platform, etcd_pods, pods or ())
    found = Topology(
        platform=platform.key,
        members=members,
        proposal=platform.proposal,
        why=_(platform.why),
        nodes=len(nodes),
        guess=not nodes or (pods is None and platform.seen_in_pods),
        certificates=certificates,
        provider=provider,
        certificate_flags=_certificate_flags(etcd_pods, pods or ()),
    )
    return _fitted(found, platform)


def _fitted(found: Topology, platform: Platform) -> Topology:
    """The proposal, changed where this cluster's own flags say otherwise than its platform's defaults."""
    if found.proposal == "node-http" and not found.local_url("http"):
        if found.members and all(_reachable_plain(member) for member in found.members):
            why = _("These members serve their metrics without certificates, but on the nodes' addresses alone.")
            return replace(found, proposal="elected", why=why)
        why = _("These members do not listen for metrics without certificates (--listen-metrics-urls is not set).")
        return replace(found, proposal="node-tls", why=why)
    if platform is EXTERNAL and found.members and found.local_url("https"):
        why = _("etcd is no pod here, but runs on the nodes of the kube-apiserver, which uses it with certificates.")
        return replace(found, proposal="node-tls", why=why)
    if found.guess and platform.proposal != "none":
        why = _("This is a guess from the nodes' labels: these rights do not allow to list kube-system's pods.")
        return replace(found, why=f"{found.why} {why}")
    return found


def consequence(strategy: str, topology: Topology) -> str:
    """What choosing `strategy` will lead to in this cluster, in words."""
    members, others = len(topology.members), topology.others
    if strategy == "none":
        return _("Nothing is written. The ETCD view stays empty; the other views are not affected.") + (
            f" {topology.why}" if topology.proposal == "none" else ""
        )
    if strategy in ("node-http", "node-tls") and not topology.urls(strategy):
        return _("Not possible here: no etcd member answers on the loopback address of its node in this way.")
    if strategy == "node-http":
        first = _("Every node that runs etcd reads its own member, without certificates.")
        return f"{first} {_up_zero(topology, others)}"
    if strategy == "node-tls":
        first = _("Every node that runs etcd reads its own member, with the certificates of {directory}.").format(
            directory=topology.certificate_directory or _("that node")
        )
        return f"{first} {_errors_logged(topology, others)}"
    if strategy == "elected":
        return _elected(topology, members)
    return _to_the_letter(topology, members)


def _up_zero(topology: Topology, others: int) -> str:
    if not topology.nodes:
        return _("Each of the other nodes reports up=0 at every interval.")
    if not others:
        return _("No other node reports up=0, since all of them run etcd.")
    return ngettext(
        "{n} node without etcd reports up=0 at every interval; the checks judge only nodes that run etcd.",
        "{n} nodes without etcd report up=0 at every interval; the checks judge only nodes that run etcd.",
        others,
    ).format(n=others)


def _errors_logged(topology: Topology, others: int) -> str:
    if not topology.nodes:
        return _("Each of the other nodes logs an error at every interval and reports nothing.")
    if not others:
        return _("No other node logs errors, since all of them run etcd.")
    return ngettext(
        "{n} node without these files logs an error at every interval and reports nothing.",
        "{n} nodes without these files log an error at every interval and report nothing.",
        others,
    ).format(n=others)


def _elected(topology: Topology, members: int) -> str:
    first = ngettext(
        "One elected DataKit reads the {n} member.", "One elected DataKit reads all {n} members.", members
    ).format(n=members)
    if not members:
        first = _("One elected DataKit reads the members whose URLs are given.")
    if all(url.startswith("http://") for url in topology.urls("elected")) and members:
        return f"{first} {_('No certificates are needed.')}"
    if topology.etcd_nodes and not topology.others:
        return f"{first} {_('All nodes run etcd, so all that can be elected have the certificates.')}"
    return "{} {}".format(
        first,
        _(
            "If the election falls on a node without the files, nothing is reported and no error shows. "
            "Choose it only if every node has them, or name a Secret that holds them."
        ),
    )


def _to_the_letter(topology: Topology, members: int) -> str:
    traps = [
        _("As the tutorial has it, with its traps: no cluster_name_k8s on the points, so the view is empty;"),
        _("the server's certificate is not verified, and peer.crt can do more than read;"),
    ]
    if members > 1:
        traps.append(_("only one of {n} members is read;").format(n=members))
    if topology.others:
        trap = _("{n} of {all} nodes lack the files, and if one of them is elected nothing is reported at all.")
        traps.append(trap.format(n=topology.others, all=topology.nodes))
    else:
        traps.append(_("if a node without the files is elected, nothing is reported at all."))
    return " ".join(traps)


def _reachable_plain(member: Member) -> str:
    """The member's metrics URL without certificates that other nodes can reach, "" where there is none."""
    return next((u for u in member.metrics_urls if u.startswith("http://") and not is_loopback(u)), "")


def _labels(item: Object) -> Mapping[str, str]:
    return item.get("metadata", {}).get("labels") or {}


def is_etcd_pod(pod: Object) -> bool:
    labels = _labels(pod)
    if pod.get("metadata", {}).get("namespace") == "openshift-etcd":
        return labels.get("etcd") == "true" or labels.get("k8s-app") == "etcd"
    return labels.get("component") == "etcd"


def flags(pod: Object, container: str = "") -> dict[str, str]:
    """The `--name=value` flags in command and args of a pod's container ("": of all its containers)."""
    found: dict[str, str] = {}
    for spec in pod.get("spec", {}).get("containers") or ():
        if container and spec.get("name") != container:
            continue
        words = [str(word) for word in [*(spec.get("command") or ()), *(spec.get("args") or ())]]
        for word, following in zip(words, [*words[1:], ""], strict=True):
            if word.startswith("--"):
                name, equals, value = word[2:].partition("=")
                found[name] = value if equals or following.startswith("-") else following
    return found


def _host(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip


def _member_of_pod(pod: Object, platform: Platform) -> Member:
    """A member from its static pod: the client URL it advertises, and what it listens on."""
    given, annotations = flags(pod), pod.get("metadata", {}).get("annotations") or {}
    node = str(pod.get("spec", {}).get("nodeName") or "")
    advertised = annotations.get("kubeadm.kubernetes.io/etcd.advertise-client-urls", "")
    advertised = advertised or given.get("advertise-client-urls", "")
    status = pod.get("status", {})
    ip = str(status.get("hostIP") or status.get("podIP") or "")
    client = next((u.strip() for u in advertised.split(",") if u.strip() and not is_loopback(u.strip())), "")
    if client and "$" not in client:
        ip = _address(client)[0] or ip
    else:
        client = f"https://{_host(ip)}:{platform.ports.get('https', 2379)}" if ip else ""
    if given and platform is KUBEADM:
        listens = [u for u in given.get("listen-metrics-urls", "").split(",") if u]
    else:  # the flags are in a file that the API server does not show
        listens = [f"http://127.0.0.1:{platform.ports['http']}"] if "http" in platform.ports else []
    urls = [_local(url) for url in listens]
    port = _address(client)[1]
    if platform is OPENSHIFT or not port:
        port = platform.ports.get("https", 2379)
    urls.append(f"https://127.0.0.1:{port}/metrics")
    remote = f"https://{_host(ip)}:{port}" if platform is OPENSHIFT and ip else client
    return Member(node, ip, tuple(dict.fromkeys(urls)), _metrics(remote))


def _address(url: str) -> tuple[str, int | None]:
    """Host and port of a URL, "" and None where it cannot be read."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port
    except ValueError:
        return "", None


def _metrics(url: str) -> str:
    return f"{url.rstrip('/')}/metrics" if url else ""


def _local(url: str) -> str:
    """A listen URL as the node itself reaches it: every address means loopback too."""
    host, port = _address(url.strip())
    if host in ("0.0.0.0", "::", "localhost", "127.0.0.1"):
        return f"{url.strip().partition('://')[0]}://127.0.0.1:{port}/metrics"
    return _metrics(url.strip())


def _members_of_nodes(nodes: Sequence[Object], platform: Platform) -> tuple[Member, ...]:
    """Members where etcd is no pod, or pods cannot be seen: the nodes whose labels say that they run etcd."""
    members = []
    for node in nodes:
        labels = _labels(node)
        if not any(label in labels for label in platform.etcd_labels):
            continue
        addresses = node.get("status", {}).get("addresses") or ()
        ip = next((str(a.get("address", "")) for a in addresses if a.get("type") == "InternalIP"), "")
        urls = tuple(f"{scheme}://127.0.0.1:{port}/metrics" for scheme, port in sorted(platform.ports.items()))
        client = f"https://{_host(ip)}:{platform.ports['https']}/metrics" if ip and "https" in platform.ports else ""
        members.append(Member(str(node.get("metadata", {}).get("name", "")), ip, urls, client))
    return tuple(members)


def _external_members(pods: Sequence[Object], nodes: Sequence[Object]) -> tuple[Member, ...]:
    """Members that the kube-apiserver's `--etcd-servers` names; a loopback one runs on the kube-apiserver's node."""
    node_of = {
        str(a.get("address", "")): str(node.get("metadata", {}).get("name", ""))
        for node in nodes
        for a in node.get("status", {}).get("addresses") or ()
    }
    members: dict[str, Member] = {}
    for pod in pods:
        if _labels(pod).get("component") != "kube-apiserver":
            continue
        for server in (url.strip() for url in flags(pod).get("etcd-servers", "").split(",") if url.strip()):
            host, port = _address(server)
            local = (_metrics(server),) if is_loopback(server) else ()
            if local:
                host = str(pod.get("status", {}).get("hostIP") or "")
                server = f"https://{_host(host)}:{port or 2379}"
            members.setdefault(server, Member(node_of.get(host, ""), host, local, _metrics(server) if host else ""))
    return tuple(members.values())


_ETCD_FILES = ("trusted-ca-file", "cert-file", "key-file", "client-cert-auth")
_API_SERVER_FILES = ("etcd-cafile", "etcd-certfile", "etcd-keyfile")


def _certificate_flags(etcd_pods: Sequence[Object], pods: Sequence[Object]) -> tuple[str, ...]:
    """The flags about certificates of the first pod that has any: etcd's, else those of a kube-apiserver."""
    servers = [pod for pod in pods if _labels(pod).get("component") == "kube-apiserver"]
    for names, found in ((_ETCD_FILES, etcd_pods), (_API_SERVER_FILES, servers)):
        for pod in found:
            given = flags(pod)
            if told := tuple(f"--{name}={given[name]}" for name in names if name in given):
                return told
    return ()


def _certificates(
    platform: Platform, etcd_pods: Sequence[Object], pods: Sequence[Object]
) -> tuple[CertificateSet, ...]:
    """The platform's certificates, in the directory that this cluster's own flags name."""
    if platform is EXTERNAL:
        for pod in pods:
            given = flags(pod) if _labels(pod).get("component") == "kube-apiserver" else {}
            if given.get("etcd-certfile"):
                directory = given["etcd-certfile"].rpartition("/")[0]
                return (
                    CertificateSet(
                        directory,
                        given.get("etcd-cafile", ""),
                        given["etcd-certfile"],
                        given.get("etcd-keyfile", ""),
                    ),
                )
        return ()
    ca = next((flags(pod)["trusted-ca-file"] for pod in etcd_pods if flags(pod).get("trusted-ca-file")), "")
    if platform is not KUBEADM or not ca:
        return platform.certificates
    directory = ca.rpartition("/")[0]
    standard = platform.certificates[0].directory
    return tuple(certificate.moved(standard, directory) for certificate in platform.certificates)
