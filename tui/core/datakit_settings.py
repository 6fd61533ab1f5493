"""DataKit's own settings that views 1.1 and 1.2 need: what each is today, what it leads to, and what makes it so.

Read from the DaemonSet's environment and the confs that it mounts. As DataKit 1.84.1 has it: an input runs if it is in
ENV_DEFAULT_ENABLED_INPUTS or a mounted conf has it, and a `-name` in that list stops it all the same
(internal/config/inputcfg.go). Of `container` the environment is read after container.conf, so a switch there wins over
the file, and endpoints are added to the file's (internal/plugins/inputs/container/env.go).
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tui.core import fields, views
from tui.core.answers import DATAKIT_SETTINGS, Answers
from tui.core.mounts import MountedConf, mounted_confs
from tui.core.ownership import FIELD_MANAGER
from tui.core.survey import CLUSTER_TAG, CONFIG_MAP_NAME, Survey, tag_list
from tui.core.view_schema import Panel
from tui.i18n import N_, _

CLUSTER_NAME_ENV = "ENV_CLUSTER_NAME_K8S"
INPUTS_ENV = "ENV_DEFAULT_ENABLED_INPUTS"
ELECTION_TAGS_ENV = "ENV_GLOBAL_ELECTION_TAGS"
ENDPOINTS_ENV = "ENV_INPUT_CONTAINER_ENDPOINTS"
_SWITCH = "ENV_INPUT_CONTAINER_"

HOST_INPUTS = ("cpu", "disk", "mem", "system")
# Where DataKit looks for the container runtime by itself (inputs/container/const.go).
_SOCKETS = ("/run/docker.sock", "/run/containerd/containerd.sock", "/run/crio/crio.sock")
# Platforms that bring their own containerd (k3s pkg/agent/config; RKE2 runs k3s' agent).
_OWN_SOCKETS = dict.fromkeys(("k3s-etcd", "k3s-sqlite", "rke2"), "unix:///run/k3s/containerd/containerd.sock")


@dataclass(frozen=True)
class Setting:
    """One setting: its key in answers.toml, its title, and what it leads to at what cost (msgids)."""

    key: str
    title: str
    leads_to: str


CONTAINER = Setting(
    "container",
    N_("Input container"),
    N_("Containers, pods, nodes and the cluster's objects are reported each minute. Nothing of views 1.1 and 1.2 fills"
       " without it."),
)  # fmt: skip
HOST = Setting(
    "host-inputs",
    N_("Inputs of the host"),
    N_("Load, memory and disks of each node: a few points a node every 10 s."),
)
POD_METRICS = Setting(
    "pod-metrics",
    N_("Pod metrics"),
    N_("CPU, memory and network of each pod, asked of its node's kubelet each minute: about 20 more values a pod."),
)
RUNTIME_SOCKET = Setting(
    "runtime-socket",
    N_("Runtime socket"),
    N_("This platform's container runtime listens elsewhere than DataKit looks; without it no container is reported."),
)
CLUSTER_NAME = Setting(
    "cluster-name",
    N_("Cluster name"),
    N_("Every view filters on cluster_name_k8s; what the input container collects carries it from here alone."),
)
ELECTION_TAGS = Setting(
    "election-tags",
    N_("Election tags"),
    N_("Confs that are collected under election get the cluster's name, where they do not carry it themselves as ours"
       " do."),
)  # fmt: skip
SETTINGS = (CONTAINER, HOST, POD_METRICS, RUNTIME_SOCKET, CLUSTER_NAME, ELECTION_TAGS)
KEYS = DATAKIT_SETTINGS  # in this order


@dataclass(frozen=True)
class Found:
    """How one setting stands. `today` says what DataKit has (translated).

    `inputs` and `env` are what would make it so: inputs to add, and env entries. `owners` manage an entry that would
    have to be taken from them; `ours`: it is so because of an earlier apply of this tool. `host_tags`: the cluster's
    name is among the host tags, so that only what does not get those lacks it.
    """

    setting: Setting
    on: bool
    today: str
    inputs: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    owners: tuple[str, ...] = ()
    ours: bool = False
    host_tags: bool = False

    @property
    def entries(self) -> tuple[str, ...]:
        """The names of the env entries that it would write."""
        return (*((INPUTS_ENV,) if self.inputs else ()), *self.env)

    @property
    def proposed(self) -> bool:
        """Whether it is missing and can be had without taking a field from anybody; the election tags are needed only
        where a conf carries no tag of its own.
        """
        return not self.on and not self.owners and self.setting is not ELECTION_TAGS


def look(
    survey: Survey, name: str, *, socket: str = "", running: Iterable[str] = (), known: Sequence[str] = KEYS
) -> list[Found]:
    """How each setting stands that this cluster has a use for. `name` is the cluster's, `socket` the runtime's where it
    was answered; `running` are the inputs that a running DataKit names.
    """
    look_at = _Look(survey, name, socket, frozenset(running))
    return [found for found in look_at.all() if found.setting.key in known]


def chosen_env(answers: Answers, survey: Survey) -> dict[str, str]:
    """The env entries that the chosen settings need beyond what is there. `answers` are `named`."""
    chosen = answers.datakit.settings
    if not chosen:
        return {}
    found = look(survey, answers.cluster.name, socket=answers.datakit.runtime_socket, known=chosen)
    return env_of(found, survey)


def env_of(found: Iterable[Found], survey: Survey) -> dict[str, str]:
    """The env entries that make these settings so; those that are so already need none."""
    missing = [one for one in found if not one.on]
    made: dict[str, str] = {}
    for one in missing:
        made.update(one.env)
    inputs = [name for one in missing for name in one.inputs]
    if inputs:
        made[INPUTS_ENV] = _with_inputs(_listed(survey.datakit.env), inputs)
    return made


def unmet(panel: Panel, found: Iterable[Found]) -> list[Found]:
    """The settings that a panel needs and that are not so."""
    needed, of_kubernetes = _needed(panel), any(line.query.source.startswith("kube") for line in panel.lines)
    return [
        one for one in found if not one.on and one.setting.key in needed and not (one.host_tags and not of_kubernetes)
    ]


def panels_of(setting: Setting) -> dict[str, int]:
    """How many panels of each view the setting is needed for, by the view's key; none is left out that needs it."""
    counts = {
        view.key: sum(setting.key in _needed(panel) for panel in view.panels) for view in views.catalogue()
    }  # fmt: skip
    return {key: count for key, count in counts.items() if count}


def _needed(panel: Panel) -> set[str]:
    """The keys of the settings that a panel needs."""
    needed = set(panel.settings)
    if "container" in needed:
        needed.add(CLUSTER_NAME.key)
    if any(line.query.source == "docker_containers" for line in panel.lines):
        needed.add(RUNTIME_SOCKET.key)
    return needed


class _Look:
    """One look at what a survey found."""

    def __init__(self, survey: Survey, name: str, socket: str, running: frozenset[str]) -> None:
        self.survey = survey
        self.name = name
        self.socket = socket or _OWN_SOCKETS.get(survey.topology.platform, "")
        self.running = running
        self.env = survey.datakit.env
        self.listed = _listed(self.env)
        self.mounted = inputs_of(own_confs(survey))
        conf = self.mounted.get("container")
        self.conf: Mapping[str, Any] = conf if isinstance(conf, dict) else {}

    def all(self) -> list[Found]:
        found = [self._container(), self._host(), self._pod_metrics()]
        if self.socket:
            found.append(self._socket())
        found.append(self._cluster_name())
        if self.env.get("ENV_ENABLE_ELECTION") and not set(self.name) & set("=,"):
            found.append(self._election_tags())
        return found

    def _made(
        self, setting: Setting, on: bool, today: str, inputs: Sequence[str] = (), env: Mapping[str, str] | None = None
    ) -> Found:
        entries = [*([INPUTS_ENV] if inputs else []), *(env or {})]
        owners = [manager for entry in entries for manager, _how in self._owners(entry) if manager != FIELD_MANAGER]
        written = [INPUTS_ENV] if setting in (CONTAINER, HOST) else list(env or {})
        return Found(
            setting,
            on,
            today,
            () if on else tuple(inputs),
            {} if on else env or {},
            () if on else tuple(dict.fromkeys(owners)),
            ours=on and any((FIELD_MANAGER, "Apply") in self._owners(entry) for entry in written),
        )

    def _owners(self, entry: str) -> list[tuple[str, str]]:
        item = fields.Item("name", self.survey.datakit.container)
        path = ("spec", "template", "spec", "containers", item, "env", fields.Item("name", entry), "value")
        return fields.owners(self.survey.datakit.object, path)

    def _has(self, name: str) -> bool:
        return has_input(name, self.env, {*self.mounted, *self.running})

    def _lacking(self, names: Sequence[str]) -> str:
        """What is said of inputs that are not on."""
        off = [name for name in names if f"-{name}" in self.listed]
        if off:
            return _("turned off: {inputs}").format(inputs=", ".join(off))
        return _("off: {inputs}").format(inputs=", ".join(names))

    def _switch(self, key: str) -> tuple[bool | None, str]:
        """A switch of the input container, None where nothing sets it, and where it is set."""
        name = _SWITCH + key.upper()
        told = _go_bool(self.env.get(name, ""))
        if told is not None:
            return told, name
        value = self.conf.get(key)
        return (value, "container.conf") if isinstance(value, bool) else (None, "")

    def _container(self) -> Found:
        missing = () if self._has("container") else ("container",)
        env = {}
        for key in ("enable_container_metric", "enable_k8s_metric"):
            told, _where = self._switch(key)
            if told is False:
                env[_SWITCH + key.upper()] = "true"
        if missing:
            today = self._lacking(missing)
        elif env:
            today = _("its metrics are turned off")
        elif "container" in self.listed:
            today = _("on, among the default inputs")
        elif "container" in self.mounted:
            today = _("on, by a mounted conf")
        else:
            today = _("on, as the running DataKit says")
        return self._made(CONTAINER, not missing and not env, today, missing, env)

    def _host(self) -> Found:
        missing = tuple(name for name in HOST_INPUTS if not self._has(name))
        today = self._lacking(missing) if missing else _("on: {inputs}").format(inputs=", ".join(HOST_INPUTS))
        return self._made(HOST, not missing, today, missing)

    def _pod_metrics(self) -> Found:
        told, where = self._switch("enable_pod_metric")
        name = f"{_SWITCH}ENABLE_POD_METRIC"
        if told:
            today = _("on, by {where}").format(where=where)
        elif where:
            today = _("turned off by {where}").format(where=where)
        else:
            today = _("off, as DataKit has it by itself")
        return self._made(POD_METRICS, bool(told), today, env={name: "true"})

    def _socket(self) -> Found:
        conf = [str(one) for one in self.conf.get("endpoints", []) if isinstance(one, str)]
        there = [*conf, *self.env.get(ENDPOINTS_ENV, "").split(","), self.env.get(f"{_SWITCH}DOCKER_ENDPOINT", "")]
        address = self.env.get(f"{_SWITCH}CONTAINERD_ADDRESS") or self.conf.get("containerd_address")
        there += [str(self.conf.get("docker_endpoint", "")), f"unix://{address}" if address else ""]
        on = _place(self.socket) in {*_SOCKETS, *map(_place, there)}
        today = _("on: {socket}").format(socket=self.socket) if on else _("DataKit does not look at {socket}").format(
            socket=self.socket
        )  # fmt: skip
        before = [one for one in self.env.get(ENDPOINTS_ENV, "").split(",") if one]
        return self._made(RUNTIME_SOCKET, on, today, env={ENDPOINTS_ENV: ",".join([*before, self.socket])})

    def _cluster_name(self) -> Found:
        now = self.env.get(CLUSTER_NAME_ENV, "")
        computed = CLUSTER_NAME_ENV in self.survey.datakit.computed_env
        if computed:
            today = _("on, computed in the manifest")
        elif now == self.name:
            today = _("on: {name}").format(name=now)
        elif now:
            today = _("{env} is {name}").format(env=CLUSTER_NAME_ENV, name=now)
        elif self.survey.cluster_name:
            today = _("{name} is in the host tags alone, which kube_* metrics do not get").format(
                name=self.survey.cluster_name
            )
        else:
            today = _("{env} is not set").format(env=CLUSTER_NAME_ENV)
        found = self._made(CLUSTER_NAME, computed or now == self.name, today, env={CLUSTER_NAME_ENV: self.name})
        return replace(found, host_tags=not found.on and self.survey.cluster_name == self.name)

    def _election_tags(self) -> Found:
        text = self.env.get(ELECTION_TAGS_ENV) or self.env.get("ENV_GLOBAL_ENV_TAGS", "")
        now = tag_list(text).get(CLUSTER_TAG, "")
        if now == self.name:
            today = _("on: {name}").format(name=now)
        elif now:
            today = _("{tag} is {name} there").format(tag=CLUSTER_TAG, name=now)
        else:
            today = _("without {tag}").format(tag=CLUSTER_TAG)
        kept = [one for one in text.split(",") if one and one.split("=")[0].strip() != CLUSTER_TAG]
        env = {ELECTION_TAGS_ENV: ",".join([*kept, f"{CLUSTER_TAG}={self.name}"])}
        return self._made(ELECTION_TAGS, now == self.name, today, env=env)


def has_input(name: str, env: Mapping[str, str], others: Collection[str]) -> bool:
    """Whether DataKit runs an input: it is among the default inputs or those that confs hold (`others`), and nothing
    turns it off.
    """
    listed = _listed(env)
    return f"-{name}" not in listed and (name in listed or name in others)


def inputs_of(confs: Iterable[MountedConf]) -> dict[str, Any]:
    """The inputs of mounted confs: name -> its table, the first one's as DataKit takes it of an input that is alone."""
    found: dict[str, Any] = {}
    for conf in confs:
        try:
            inputs = tomllib.loads(conf.text or "").get("inputs", {})
        except tomllib.TOMLDecodeError:
            continue  # DataKit takes none of its inputs either
        for name, value in (inputs if isinstance(inputs, dict) else {}).items():
            found.setdefault(name, value[0] if isinstance(value, list) and value else value)
    return found


def own_confs(survey: Survey) -> list[MountedConf]:
    """The confs that the DaemonSet mounts from DataKit's own ConfigMap."""
    texts: Mapping[str, str] = (survey.conf or {}).get("data") or {}
    return mounted_confs(
        survey.datakit.object,
        survey.datakit.container,
        lambda name: texts if name == CONFIG_MAP_NAME else {},
    )


def _listed(env: Mapping[str, str]) -> list[str]:
    """The default inputs; ENV_ENABLE_INPUTS is the older name. Blanks part them where there are any (Helm)."""
    text = env.get(INPUTS_ENV) or env.get("ENV_ENABLE_INPUTS", "")
    if text == "-":
        return []
    return [name for name in (text.split(" ") if " " in text else text.split(",")) if name]


def _with_inputs(listed: Sequence[str], names: Iterable[str]) -> str:
    added = dict.fromkeys(names)
    kept = [name for name in listed if name.removeprefix("-") not in added or not name.startswith("-")]
    return ",".join([*kept, *(name for name in added if name not in kept)])


def _go_bool(text: str) -> bool | None:
    """As Go's strconv.ParseBool; None for what it refuses, which DataKit ignores."""
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    return False if text in ("0", "f", "F", "FALSE", "false", "False") else None


def _place(endpoint: str) -> str:
    """The path of a socket; /var/run is /run."""
    path = endpoint.strip().removeprefix("unix://")
    return path.removeprefix("/var") if path.startswith("/var/run/") else path
