"""The protocols through which core and the screens act on the world; `tui.backend` implements them.

All calls block and raise `tui.core.errors.WizardError`; the app runs them in its own threads. Kubernetes objects are
plain dicts as the API server sends them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tui.core.prom.collector import Scrape

Object = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of Kubernetes objects: `api_version` "v1" or "apps/v1", `kind` "ConfigMap", `plural` "configmaps"."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group, "" for the core group."""
        return self.api_version.rpartition("/")[0]


CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
DAEMON_SET = Kind("apps/v1", "DaemonSet", "daemonsets")
NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)
NODE = Kind("v1", "Node", "nodes", namespaced=False)
POD = Kind("v1", "Pod", "pods")
SECRET = Kind("v1", "Secret", "secrets")
SERVICE = Kind("v1", "Service", "services")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
POD_DISRUPTION_BUDGET = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
POD_MONITOR = Kind("monitoring.coreos.com/v1", "PodMonitor", "podmonitors")
SERVICE_MONITOR = Kind("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors")


@dataclass(frozen=True)
class Context:
    """One context of the kubeconfig, as far as it can be known without the network."""

    name: str
    cluster: str
    server: str
    user: str
    namespace: str = "default"
    current: bool = False
    problem: str = ""  # why it cannot be used, already translated
    login: str = ""  # the credential plugin that has to ask in the terminal first
    time_scale: float = 1.0  # how much faster time runs there; other than 1 only on a practice lab on loopback


@dataclass(frozen=True)
class Access:
    """A right to ask for. `name` "" means every object; `subresource` e.g. "exec"."""

    verb: str
    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}" + (f" {self.name}" if self.name else "")

    @property
    def resource(self) -> str:
        """As kubectl writes it: `daemonsets.apps`, `pods/exec`."""
        group = f".{self.kind.group}" if self.kind.group else ""
        return self.kind.plural + group + (f"/{self.subresource}" if self.subresource else "")


@dataclass(frozen=True)
class Row:
    """One object of a list in Table form: the cells of `kubectl get -o wide` by column name, and its metadata.

    `metadata` is None where it was not asked for, which makes a list of pods fifty times smaller.
    """

    cells: Mapping[str, Any]
    metadata: Object | None = None

    @property
    def name(self) -> str:
        """The object's name."""
        return str(self.cells.get("Name", ""))


@dataclass(frozen=True)
class Applied:
    """What a server-side apply answered: the object (for a dry run: as it would be) and its Warning headers."""

    object: Object
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExecResult:
    """The outcome of a command in a container."""

    stdout: bytes
    stderr: bytes
    code: int


@dataclass(frozen=True)
class Rollout:
    """How far a DaemonSet's rollout is: counts of nodes, and what each node's pod does ("node: reason").

    `slowest` is the node whose pod has been on its way for longest, "" for none, and `slowest_s` for how many seconds.
    """

    desired: int
    updated: int
    available: int
    done: bool
    pods: Mapping[str, str] = field(default_factory=dict)
    slowest: str = ""
    slowest_s: float = field(default=0.0, compare=False)


class Reader(Protocol):
    """One Kubernetes cluster through one context, to look at: it has no method that writes (backend.cluster)."""

    context: str
    server: str
    time_scale: float  # 1.0; a practice lab on loopback says how much faster its time runs

    def whoami(self) -> str:
        """The user name that the API server sees (SelfSubjectReview)."""
        ...

    def version(self) -> str:
        """The API server's version, e.g. "v1.36.2"."""
        ...

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """One object. Raises NotFoundError, ForbiddenError, UnreachableError."""
        ...

    def list(self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "") -> list[Object]:
        """All objects of a kind, in one namespace or (namespace "") in all; kind and apiVersion are filled in."""
        ...

    def table(self, kind: Kind, namespace: str = "", *, labels: str = "", sample: int = 0) -> Sequence[Row]:
        """All objects of a kind as the rows of `kubectl get -o wide`, for lists that may be long.

        The first `sample` rows carry their metadata.
        """
        ...

    def allowed(self, wanted: Sequence[Access]) -> Sequence[bool]:
        """Access reviews (SelfSubjectAccessReview), in the order asked."""
        ...

    def rules(self, namespace: str) -> Object:
        """What one may do in a namespace (the status of a SelfSubjectRulesReview): `resourceRules`, `incomplete`."""
        ...

    def exec(
        self,
        namespace: str,
        pod: str,
        container: str,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout_s: float = 40,
    ) -> ExecResult:
        """Run a command in a container. A command that exits with a status is no error here."""
        ...


class Cluster(Reader, Protocol):
    """One Kubernetes cluster through one context, to look at and to change (backend.cluster)."""

    def reader(self) -> Reader:
        """The same cluster, as the same user, in an object that cannot write."""
        ...

    def apply(
        self, kind: Kind, namespace: str, name: str, body: Object, *, manager: str, dry_run: bool, force: bool = False
    ) -> Applied:
        """Server-side apply of a partial object. Raises ConflictError, StaleError, ForbiddenError, WizardError."""
        ...

    def patch(self, kind: Kind, namespace: str, name: str, body: Object, *, manager: str, dry_run: bool) -> Applied:
        """Strategic merge patch under another manager's name: for undo alone, to give a forced value back."""
        ...

    def delete(self, kind: Kind, namespace: str, name: str, *, uid: str, version: str = "") -> None:
        """Delete the object if it still has this uid, and this resourceVersion where one is given."""
        ...

    def wait_rollout(
        self,
        namespace: str,
        name: str,
        generation: int,
        *,
        deadline_s: float,
        progress: Callable[[Rollout], None],
        cancelled: Callable[[], bool],
        replaced: Mapping[str, str] | None = None,
    ) -> Rollout:
        """Follow the DaemonSet until `generation` is out everywhere. Raises DeadlineError with what it waits for.

        With `replaced` (node -> name of the pod that was there) only until each of these nodes runs another, ready pod
        of the current template; {} waits until the controller has seen `generation`.
        """
        ...


class Clusters(Protocol):
    """The kubeconfig (backend.kubeconfig)."""

    def contexts(self) -> list[Context]:
        """Every context, the current one marked; raises UsageError where the kubeconfig cannot be read."""
        ...

    def connect(self, context: str) -> Cluster:
        """A client for one context. No request is made yet."""
        ...

    def log_in(self, context: str) -> None:
        """Let the context's credential plugin ask in the terminal, which must be free; its answer is kept."""
        ...


@dataclass(frozen=True)
class AgentInputs:
    """What a running DataKit says of its inputs (`/v1/dca/stat`): each conf file's state, and the election."""

    loaded: Mapping[str, int]  # path -> 0 failed, 1 ok, 2 changed and not loaded
    instances: Mapping[str, int]  # input -> number of instances
    elected: str  # "success", "defeat", "disabled", "banned"
    leader: str  # the node that holds the election, "" unknown


@dataclass(frozen=True)
class Feed:
    """Totals of one feed name (`datakit_io_feed_*` in /metrics)."""

    count: float
    points: float
    last_s: float  # unix time of the last one


class Agent(Protocol):
    """The DataKit in one pod, asked by exec of `curl` (backend.agent); WizardError where it does not answer."""

    node: str
    pod: str

    def version(self) -> str: ...

    def inputs(self) -> AgentInputs: ...

    def host_tags(self) -> dict[str, str]: ...

    def election_tags(self) -> dict[str, str]: ...

    def feeds(self) -> dict[str, Feed]: ...

    def uploads(self) -> dict[str, float]:
        """Metric points uploaded by status ("OK", "Forbidden", …), from `datakit_io_dataway_point_total`."""
        ...

    def file(self, path: str) -> bytes | None:
        """A file inside the container; None where it does not exist or is a directory."""
        ...

    def access(self, path: str) -> bool | None:
        """Whether the agent can read a file; None where there is none."""
        ...

    def debug(self, conf: str, *, seconds: float) -> str:
        """What the agent itself prints of a conf that is not in place: line protocol and counts. Nothing is sent."""
        ...

    def scrape(self, url: str, *, ca: str = "", cert: str = "", key: str = "") -> Scrape:
        """GET `url` from inside the pod, with files of its container. An unreachable target is no exception."""
        ...


@dataclass(frozen=True)
class Certificate:
    """A certificate as read from a node: names, times (unix seconds) and usages. Keys never leave the node."""

    subject: str
    issuer: str
    sans: tuple[str, ...]
    usages: tuple[str, ...]  # "clientAuth", "serverAuth"
    not_before_s: float
    not_after_s: float
    is_ca: bool


@dataclass(frozen=True)
class CertificateFile:
    """One file of the three that a client needs, as seen through the DataKit pod of a node."""

    path: str
    present: bool
    readable: bool = False
    certificates: tuple[Certificate, ...] = ()
    problem: str = ""
    changed_s: float | None = None  # when the file was last written, in unix seconds; None where that is not known


@dataclass(frozen=True)
class NodeCertificates:
    """What a node has, and whether etcd accepts it (`answers`: HTTP status of /health, 0 without an answer)."""

    node: str
    ca: CertificateFile
    cert: CertificateFile
    key: CertificateFile
    pair_matches: bool | None
    answers: int
    problem: str = ""


class Certificates(Protocol):
    """Reads certificates through the DataKit pods (backend.certificates)."""

    def read(self, agent: Agent, *, ca: str, cert: str, key: str, url: str) -> NodeCertificates:
        """Look at the three files on one node and try them against `url` (etcd's /health)."""
        ...


@dataclass(frozen=True)
class Workspace:
    """The workspace that an API key opens. It never holds the workspace's token."""

    uuid: str
    name: str


@dataclass(frozen=True)
class Dashboard:
    """A dashboard of the studio. `desc` is its description, which people see too."""

    uuid: str
    name: str
    identifier: str = ""
    url: str = ""
    desc: str = ""


@dataclass(frozen=True)
class Budget:
    """What the studio's rate limit leaves: requests that may go at once, of how many in a period, and seconds
    until one more may go (0 while some are left).
    """

    left: int
    most: int
    next_s: float


@dataclass(frozen=True)
class Series:
    """One series of a query's answer: its group-by tags, and rows of (time in unix ms or None, value).

    `texts` is the newest value of each column that holds text, for which the rows have None.
    """

    tags: Mapping[str, str]
    columns: tuple[str, ...]
    rows: tuple[tuple[float | None, ...], ...]
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ask:
    """One query of several: DQL, or (as query.PromQL) PromQL. With `interval_s`, in the studio's time, it is answered
    with a value for each interval of the range; without, with one value.
    """

    text: str
    interval_s: int = 0


@dataclass(frozen=True)
class Answer:
    """What one query was answered: its series, or why the studio refused it."""

    series: tuple[Series, ...] = ()
    error: str = ""


class Studio(Protocol):
    """The workspace in the studio, by Open API (backend.studio)."""

    endpoint: str

    def workspace(self) -> Workspace:
        """Checks the key. Raises UnreachableError (wrong host, wrong key, rate limit), each told apart."""
        ...

    def query(self, queries: Sequence[str], *, start_ms: int, end_ms: int) -> list[list[Series]]:
        """DQL queries, answered in order, in as few requests as can be."""
        ...

    def answers(self, asks: Sequence[Ask], *, start_ms: int, end_ms: int) -> list[Answer]:
        """Many queries, answered in order, in as few requests as can be; one that is refused spoils no other."""
        ...

    def find_dashboard(self, uuid: str) -> Dashboard | None: ...

    def dashboards(self, search: str = "", *, most: int | None = None) -> list[Dashboard]:
        """The dashboards, those changed last first; `most` of them, which saves requests."""
        ...

    def create_dashboard(
        self,
        uuid: str,
        name: str,
        template: Mapping[str, Any],
        *,
        identifier: str,
        desc: str = "",
        tags: Sequence[str] = (),
    ) -> Dashboard: ...

    def export_dashboard(self, uuid: str) -> dict[str, Any]:
        """The template as the studio holds it now. Raises NotFoundError."""
        ...

    def update_dashboard(
        self,
        uuid: str,
        name: str,
        template: Mapping[str, Any],
        *,
        identifier: str,
        desc: str = "",
        tags: Sequence[str] = (),
    ) -> Dashboard:
        """Put another template in the place of the one that is there; links that were shared stop working."""
        ...

    def delete_dashboard(self, uuid: str) -> None: ...

    def budget(self) -> Budget:
        """What the rate limit leaves of the requests that this client may send."""
        ...

    def link(self, dashboard: Dashboard, variables: Mapping[str, str]) -> str:
        """The page of a dashboard in the console, "" where the console's address is not known."""
        ...


class Backend(Protocol):
    """What the front doors hand to core and the screens: factories for every port."""

    def clusters(self) -> Clusters: ...

    def agent(self, cluster: Reader, namespace: str, pod: str, node: str, container: str) -> Agent: ...

    def certificates(self) -> Certificates: ...

    def studio(self, endpoint: str, key: str, console: str = "") -> Studio: ...
