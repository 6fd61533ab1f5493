"""answers.toml: everything a person chose, as the file that would repeat it. It never holds a secret."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tui.core.answer_values import (
    Problem,
    Reader,
    expected,
    list_of,
    names_of,
    one_of,
    read_conf,
    read_line,
    read_optional_url,
    read_socket,
    read_tag_value,
    read_url,
    read_workload,
)
from tui.core.errors import UsageError
from tui.core.etcd_presets import PRESETS
from tui.core.topology import STRATEGIES
from tui.i18n import LANGUAGES, N_, _

SCHEMA = 1
CERTIFICATE_SOURCES = ("rootfs", "hostpath", "secret", "none")
DATAKIT_SETTINGS = ("container", "host-inputs", "pod-metrics", "runtime-socket", "cluster-name", "election-tags")
ISTIO_PRESETS = ("tutorial", "lean", "full", "none")
ISTIO_SIDECARS = ("annotation", "kubernetesprometheus")
VIEWS = (
    "docker",
    "kubernetes",
    "etcd",
    "istio-mesh",
    "istio-control-plane",
    "istio-service",
    "istio-workload",
)
LONGEST_NAME = 128  # of a dashboard, in characters: the studio refuses more


@dataclass(frozen=True)
class ClusterAnswers:
    """Which cluster, and where DataKit runs in it. `name` is the value of the tag cluster_name_k8s.

    An empty `context` means the kubeconfig's current one; an empty `name` that the cluster's own one is kept.
    """

    context: str = ""
    namespace: str = "datakit"
    daemonset: str = "datakit"
    name: str = ""


@dataclass(frozen=True)
class EtcdAnswers:
    """How etcd is scraped. `conf` is a whole etcd.conf; empty, it follows from strategy and preset.

    `urls` are the members to scrape in place of the discovered ones. They are needed where members cannot be
    discovered: external etcd, and elected or tutorial without the right to list kube-system's pods.
    """

    strategy: str = "none"
    preset: str = "recommended"
    conf: str = ""
    urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class CertificateAnswers:
    """Where the client's files come from (`from`): the mount DataKit has, a hostPath, or a Secret.

    `path` is the directory on the nodes ("": the platform's), `secret` names an existing Secret in DataKit's
    namespace; only its name is ever known here.
    """

    source: str = "none"
    path: str = ""
    secret: str = ""


@dataclass(frozen=True)
class DataKitAnswers:
    """Settings of DataKit that views need, to be made so; what is not named stays as it is.

    `runtime_socket` is where the container runtime listens ("": what the platform is known for).
    """

    settings: tuple[str, ...] = ()
    runtime_socket: str = ""


@dataclass(frozen=True)
class IstioAnswers:
    """What is collected from the mesh. `workloads` are `namespace/name` of Deployments, istiod and gateways among them.

    Those in `replace` may lose an annotation that somebody else wrote. `sidecars` says by what sidecars are scraped.
    """

    preset: str = "none"
    workloads: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    sidecars: str = "annotation"


@dataclass(frozen=True)
class ViewAnswers:
    """The views to create, their language, and names other than the tutorial's by view."""

    create: tuple[str, ...] = ()
    lang: str = "zh"
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StudioAnswers:
    """Addresses of the Open API and of the console. The key is no answer: it comes from the environment."""

    endpoint: str = ""
    console: str = ""


@dataclass(frozen=True)
class Answers:
    """The whole of answers.toml."""

    cluster: ClusterAnswers = field(default_factory=ClusterAnswers)
    etcd: EtcdAnswers = field(default_factory=EtcdAnswers)
    certificates: CertificateAnswers = field(default_factory=CertificateAnswers)
    datakit: DataKitAnswers = field(default_factory=DataKitAnswers)
    istio: IstioAnswers = field(default_factory=IstioAnswers)
    views: ViewAnswers = field(default_factory=ViewAnswers)
    studio: StudioAnswers = field(default_factory=StudioAnswers)


@dataclass(frozen=True)
class _Key:
    """A key of the file: the dataclass field, how it is read, and the comment that dump writes above it."""

    attribute: str
    read: Reader
    comment: str


_TABLES: dict[str, tuple[type, dict[str, _Key]]] = {
    "cluster": (
        ClusterAnswers,
        {
            "context": _Key("context", read_line, N_("kubeconfig context; empty: the current one")),
            "namespace": _Key("namespace", read_line, N_("where DataKit runs")),
            "daemonset": _Key("daemonset", read_line, ""),
            "name": _Key(
                "name", read_tag_value, N_("value of the tag cluster_name_k8s; empty: the cluster's own is kept")
            ),
        },
    ),
    "etcd": (
        EtcdAnswers,
        {
            "strategy": _Key("strategy", one_of(*STRATEGIES), " | ".join(STRATEGIES)),
            "preset": _Key("preset", one_of(*PRESETS), " | ".join(PRESETS)),
            "urls": _Key("urls", list_of(read_url), N_("members to scrape in place of the discovered ones")),
            "conf": _Key("conf", read_conf, N_("the whole etcd.conf, in place of strategy, preset and urls")),
        },
    ),
    "certificates": (
        CertificateAnswers,
        {
            "from": _Key("source", one_of(*CERTIFICATE_SOURCES), " | ".join(CERTIFICATE_SOURCES)),
            "path": _Key("path", read_line, N_("directory on the nodes; empty: this platform's")),
            "secret": _Key("secret", read_line, N_('name of an existing Secret, with from = "secret"')),
        },
    ),
    "datakit": (
        DataKitAnswers,
        {
            "settings": _Key("settings", list_of(one_of(*DATAKIT_SETTINGS)), ", ".join(DATAKIT_SETTINGS)),
            "runtime_socket": _Key(
                "runtime_socket", read_socket, N_("unix:///… of the container runtime; empty: this platform's")
            ),
        },
    ),
    "istio": (
        IstioAnswers,
        {
            "preset": _Key("preset", one_of(*ISTIO_PRESETS), " | ".join(ISTIO_PRESETS)),
            "workloads": _Key(
                "workloads",
                list_of(read_workload),
                N_("Deployments as namespace/name that get an annotation on their pods: each restarts"),
            ),
            "replace": _Key(
                "replace", list_of(read_workload), N_("those whose annotation by somebody else may be replaced")
            ),
            "sidecars": _Key("sidecars", one_of(*ISTIO_SIDECARS), " | ".join(ISTIO_SIDECARS)),
        },
    ),
    "views": (
        ViewAnswers,
        {
            "create": _Key("create", list_of(one_of(*VIEWS)), ", ".join(VIEWS)),
            "lang": _Key("lang", one_of(*LANGUAGES), " | ".join(LANGUAGES)),
            "names": _Key("names", names_of(VIEWS, LONGEST_NAME), N_("names other than the tutorial's")),
        },
    ),
    "studio": (
        StudioAnswers,
        {
            "endpoint": _Key("endpoint", read_optional_url, N_("the Open API; the key comes from the environment")),
            "console": _Key("console", read_optional_url, ""),
        },
    ),
}

_SECRET_WORDS = (
    "apikey",
    "token",
    "password",
    "passwd",
    "secretkey",
    "accesskey",
    "credential",
    "privatekey",
)


def load(text: str) -> Answers:
    """Read answers.toml. Raises UsageError naming every problem at once: table, key and what is allowed."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            _("The answers file is not TOML."),
            why=str(error),
            remedy=_("Mend that place; nothing was changed."),
        ) from None
    problems: list[str] = []
    schema = document.pop("schema", None)
    if schema is None:
        problems.append(_("schema: missing, allowed is {allowed}").format(allowed=SCHEMA))
    elif isinstance(schema, bool) or not isinstance(schema, int):
        problems.append(f"schema: {expected(_('an integer'), schema)}")
    elif schema != SCHEMA:
        problems.append(
            _("schema: found {found}, allowed is {allowed}; a newer version may have written this file").format(
                found=schema, allowed=SCHEMA
            )
        )
    tables = {name: _table(name, document.get(name), problems) for name in _TABLES}
    for name, value in document.items():
        if name not in _TABLES:
            problems.append(_unknown(name, "", value, [*_TABLES, "schema"]))
    answers = Answers(**tables)
    problems += _contradictions(answers, document)
    if problems:
        raise UsageError(
            _("The answers file cannot be used."),
            why="\n".join(problems),
            remedy=_("Mend these places; nothing was changed."),
        )
    return answers


def _table(name: str, found: Any, problems: list[str]) -> Any:
    """One table as its dataclass; what is wrong is added to `problems`, with the default in its place."""
    kind, keys = _TABLES[name]
    if found is None:
        return kind()
    if not isinstance(found, dict):
        problems.append(f"{name}: {expected(_('a table'), found)}")
        return kind()
    values = {}
    for key, value in found.items():
        if key not in keys:
            problems.append(_unknown(key, name, value, list(keys)))
            continue
        try:
            values[keys[key].attribute] = keys[key].read(value)
        except Problem as problem:
            problems.append(f"[{name}] {key}: {problem}")
    return kind(**values)


def _unknown(key: str, table: str, value: Any, known: list[str]) -> str:
    """What is said of an unknown key. Its value is never quoted."""
    where = f"[{table}] {key}" if table else f"[{key}]" if isinstance(value, dict) else key
    plain = "".join(c for c in key.lower() if c.isalnum())
    if any(word in plain for word in _SECRET_WORDS):
        return _(
            "{where}: this file never holds a secret; put the key into GUANCE_ACCESS_TOKEN or "
            "TRUEWATCH_ACCESS_TOKEN, or into a file for --api-key-file"
        ).format(where=where)
    return _("{where}: unknown, allowed are {allowed}").format(where=where, allowed=", ".join(known))


def _contradictions(answers: Answers, document: Mapping[str, Any]) -> list[str]:
    problems = []
    certificates = answers.certificates
    if certificates.source == "secret" and not certificates.secret:
        problems.append(_('[certificates] secret: missing, needed with from = "secret"'))
    if certificates.secret and certificates.source != "secret":
        problems.append(_('[certificates] secret: only allowed with from = "secret"'))
    if isinstance(document.get("etcd"), dict) and "strategy" not in document["etcd"]:
        problems.append(_("[etcd] strategy: missing, allowed are {allowed}").format(allowed=", ".join(STRATEGIES)))
    for key in ("namespace", "daemonset"):
        if not getattr(answers.cluster, key):
            problems.append(_("[cluster] {key}: found an empty string, allowed is a name").format(key=key))
    return problems


def dump(answers: Answers) -> str:
    """The text of answers.toml, with short comments in the language in use: `load(dump(a)) == a`.

    Raises UsageError where an answer could not be read back, such as an etcd.conf that holds a token.
    """
    import tomlkit

    document = tomlkit.document()
    document.add(tomlkit.comment(_("The file that would repeat this: datakit-wizard plan -f or apply -f. No secrets.")))
    document.add("schema", tomlkit.item(SCHEMA))
    for name, (_kind_of, keys) in _TABLES.items():
        document.add(tomlkit.nl())
        table = tomlkit.table()
        values = getattr(answers, name)
        for key, entry in keys.items():
            value = getattr(values, entry.attribute)
            if key in ("conf", "names", "secret", "runtime_socket") and not value:
                continue  # what is rarely used is left out rather than shown empty
            if entry.comment:
                table.add(tomlkit.comment(_(entry.comment)))
            table.add(key, _item(value))
        document.add(name, table)
    text = tomlkit.dumps(document)
    load(text)
    return text


def _item(value: Any) -> Any:
    """A value as TOML writes it best: several lines as a literal block where that keeps every character."""
    import tomlkit

    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        table.update(value)
        return table
    if isinstance(value, tuple):
        array = tomlkit.array()
        array.extend(value)
        return array.multiline(len(value) > 1)
    if "\n" in value and "'''" not in value and not value.endswith("'") and not _controls(value):
        return tomlkit.value(f"'''\n{value}'''")
    return tomlkit.string(value)


def _controls(text: str) -> bool:
    return any((ord(c) < 32 and c not in "\n\t") or ord(c) == 127 for c in text)
