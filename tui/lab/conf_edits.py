"""How people break an etcd.conf: each takes the text and returns the broken one."""

from __future__ import annotations

import re

TAG = "cluster_name_k8s"
_BLOCK = "[[inputs.prom]]"


def without_cluster_tag(text: str) -> str:
    """The lines that set the cluster's name are gone."""
    return "".join(line for line in text.splitlines(keepends=True) if not re.match(rf"\s*{TAG}\s*=", line))


def touched(text: str) -> str:
    """A harmless change: only the pods' copy becomes old."""
    return text.rstrip("\n") + "\n# reviewed\n"


def with_wrong_filter(text: str) -> str:
    """The whitelist matches nothing of etcd."""
    return _set_array(text, "metric_name_filter", ["^etcdserver_"])


def without_histograms(text: str) -> str:
    """As the tutorials have it: no type histogram, and a name that histograms never carry."""
    names = ["etcd_server_has_leader", "etcd_server_proposals", "etcd_network_client"]
    text = _set_array(text, "metric_types", ["counter", "gauge"])
    return _set_array(text, "metric_name_filter", [*names, "etcd_disk_wal_fsync_duration_seconds_bucket"])


def without_histograms_of_mesh(text: str) -> str:
    """The same of an annotation of a sidecar."""
    text = _set_array(text, "metric_types", ["counter", "gauge"])
    names = ["istio_requests_total", "istio_build", "envoy_cluster_upstream_cx_", "istio_tcp_"]
    return _set_array(text, "metric_name_filter", [*names, "istio_request_duration_milliseconds_bucket"])


def with_wrong_port(text: str) -> str:
    """Every address has a port on which nothing listens."""
    return re.sub(r"(https?://[^/\"\s]+):(2379|2381)\b", lambda found: f"{found[1]}:{int(found[2]) + 10}", text)


def without_ca(text: str) -> str:
    """The server is not verified any more."""
    return "".join(line for line in text.splitlines(keepends=True) if not re.match(r"\s*tls_ca\s*=", line))


def with_peer_certificate(text: str) -> str:
    """The client shows the certificate that etcd's members use among themselves."""
    return text.replace("healthcheck-client.", "peer.")


def with_another_socket(text: str) -> str:
    """The container runtime is looked for where there is none."""
    return re.sub(r"unix:///[^\"]+", "unix:///run/elsewhere/containerd.sock", text)


def doubled(text: str) -> str:
    """The first input is there a second time, under another source and with a tag of its own."""
    start = text.index(_BLOCK)
    after = text.find(_BLOCK, start + 1)
    block = text[start : after if after >= 0 else len(text)]
    block = re.sub(r'(\n\s*source\s*=\s*")([^"]*)"', r'\1\2-copy"', block, count=1)
    tags = re.search(r"\n[ \t]*\[inputs\.prom\.tags\][^\n]*\n", block)
    line = '    instance = "copy"\n'
    if tags is None:
        block = block.rstrip("\n") + "\n  [inputs.prom.tags]\n" + line
    else:
        block = re.sub(r"\n\s*instance\s*=[^\n]*", "", block, count=1)
        tags = re.search(r"\n[ \t]*\[inputs\.prom\.tags\][^\n]*\n", block)
        assert tags is not None
        block = block[: tags.end()] + line + block[tags.end() :]
    return text.rstrip("\n") + "\n\n" + block


def _set_array(text: str, key: str, values: list[str]) -> str:
    """`key` of every input is this list (the existing one may go over several lines)."""
    shown = "[" + ", ".join(f'"{value}"' for value in values) + "]"
    pattern = rf"(?m)^([ \t]*){key}[ \t]*=[ \t]*\[[^\]]*\]"
    if re.search(pattern, text):
        return re.sub(pattern, lambda found: f"{found[1]}{key} = {shown}", text)
    return text.replace(_BLOCK, f"{_BLOCK}\n  {key} = {shown}")
