"""The settings of one input of the collector, in force after defaults, limits and old keys are worked in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tui.core.prom.decode import Rule

PROM, ETCD, ANNOTATION = "prom", "etcd", "annotation"


@dataclass(frozen=True)
class TLS:
    """What TLS the collector really does (DataKit merges two generations of keys). Paths are inside the container.

    The defaults are Go's: system roots, the server is verified, no client certificate. The base64 keys hold data in
    place of paths and then all paths are ignored.
    """

    insecure: bool = False
    ca: tuple[str, ...] = ()
    cert: str = ""
    key: str = ""
    server_name: str = ""
    ca_base64: tuple[str, ...] = field(default=(), repr=False)
    cert_base64: str = field(default="", repr=False)
    key_base64: str = field(default="", repr=False)


@dataclass(frozen=True)
class PromInput:
    """One input that scrapes, with the settings in force. Durations are seconds.

    `kind` is the form it is written in, each with ways of its own (DataKit 1.84.1):

    - "prom": `[[inputs.prom]]`. Sends `collector up`; each URL stands for itself.
    - "etcd": `[[inputs.etcd]]` (internal/plugins/inputs/etcd). One URL that fails loses the whole round; no up.
    - "annotation": a pod's `datakit/prom.instances` (internal/plugins/inputs/container/kubernetes/k8s_pod_prom.go).
      Its tags come before the series' labels; one URL that fails loses those after it; no up, no `host` from the URL.

    `problem` says why Init fails whatever is scraped ("" where it does not); files that are missing make it fail too.
    """

    kind: str = PROM
    source: str = "prom"
    urls: tuple[str, ...] = ()
    interval_s: float = 30.0
    timeout_s: float = 30.0
    stream_size: int = 1
    ignore_req_err: bool = False
    metric_types: tuple[str, ...] = ()
    metric_name_filter: tuple[str, ...] = ()
    metric_name_filter_ignore: tuple[str, ...] = ()
    measurement_prefix: str = ""
    measurement_name: str = ""
    measurements: tuple[Rule, ...] = ()
    keep_exist_metric_name: bool = False
    honor_timestamps: bool = True
    output: str = ""
    max_file_size: int = 32 * 1024 * 1024
    uds_path: str = ""
    tls: TLS = TLS()
    tags_ignore: tuple[str, ...] = ()
    tags_rename: Mapping[str, str] = field(default_factory=dict)
    overwrite_exist_tags: bool = False
    as_logging: bool = False
    logging_service: str = ""
    ignore_tag_kv_match: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    http_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tags: Mapping[str, str] = field(default_factory=dict)
    disable_instance_tag: bool = False
    disable_info_tag: bool = False
    auth: Mapping[str, str] = field(default_factory=dict, repr=False)
    bearer_token_file: str = ""
    election: bool = True
    problem: str = ""

    @property
    def feed_name(self) -> str:
        """The name under which its points are fed, as in `datakit_io_feed_total`."""
        return {PROM: f"prom.{self.source}", ETCD: f"etcd/{self.source}"}.get(self.kind, self.source)

    @property
    def reports_up(self) -> bool:
        """Whether it sends `collector up`."""
        return self.kind == PROM

    def files(self) -> tuple[str, ...]:
        """The files that Init reads: where one is missing the input never starts, and says so in its log only."""
        token = (self.bearer_token_file,) if self.bearer_token_file else ()
        if self.tls.ca_base64 or self.tls.cert_base64 or self.tls.key_base64:
            return token
        return (*self.tls.ca, *(path for path in (self.tls.cert, self.tls.key) if path), *token)


@dataclass(frozen=True)
class Pod:
    """The pod that an annotation belongs to: what `$IP`, `$NAMESPACE`, `$PODNAME` and `$NODENAME` stand for."""

    ip: str = ""
    namespace: str = ""
    name: str = ""
    node: str = ""


@dataclass(frozen=True)
class Loaded:
    """What came out of a conf file. `error` says why the file or a block of it was ignored; `line` where, 0 unknown."""

    inputs: tuple[PromInput, ...]
    error: str = ""
    line: int = 0
