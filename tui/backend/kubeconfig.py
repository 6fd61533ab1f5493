"""The kubeconfig, read by kubectl's own rules and never written.

The official client merges several files the other way round than kubectl, ignores `as:`, and reads
KUBECONFIG when it is imported; so the files are resolved here, into an `Endpoint` a context, and the client
is given only the outcome.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tui.backend.endpoint import Endpoint, Entry, Merged, resolve, text_of, time_scale, without_userinfo
from tui.backend.exec_credentials import NeedsTerminalError, log_in
from tui.core.errors import UsageError
from tui.core.ports import Context
from tui.i18n import _

if TYPE_CHECKING:
    from tui.core.ports import Cluster

IN_CLUSTER = "in-cluster"
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Kubeconfig:
    """The contexts that kubectl would see: `--kubeconfig`, else $KUBECONFIG, else ~/.kube/config, else in-cluster."""

    def __init__(
        self, path: str = "", environ: Mapping[str, str] = os.environ, service_account: Path = SERVICE_ACCOUNT
    ) -> None:
        self._path = path
        self._environ = environ
        self._service_account = service_account

    def files(self) -> list[Path]:
        """The files that are looked at, in order of precedence, whether they exist or not."""
        if self._path:
            return [Path(self._path).expanduser()]
        if listed := self._environ.get("KUBECONFIG", ""):
            return [Path(part) for part in dict.fromkeys(listed.split(os.pathsep)) if part]
        return [Path(self._environ.get("HOME") or Path.home()) / ".kube" / "config"]

    def contexts(self) -> list[Context]:
        """Every context, the current one marked, and why it cannot be used where that shows without the network."""
        merged = self._load()
        if merged is None:
            endpoint = self._in_cluster()
            return [Context(IN_CLUSTER, IN_CLUSTER, endpoint.server, endpoint.user, endpoint.namespace, current=True)]
        found = []
        for name, (entry, _folder) in merged.contexts.items():
            problem = login = ""
            try:
                resolve(merged, name)
            except NeedsTerminalError as error:
                login = error.plugin.name
            except UsageError as error:
                problem = " ".join(part for part in (error.what, error.why) if part)
            cluster = merged.clusters.get(text_of(entry, "cluster"), ({}, Path()))[0]
            found.append(
                Context(
                    name,
                    text_of(entry, "cluster"),
                    without_userinfo(text_of(cluster, "server")),
                    text_of(entry, "user"),
                    text_of(entry, "namespace") or "default",
                    current=name == merged.current,
                    problem=problem,
                    login=login,
                    time_scale=time_scale(cluster),
                )
            )
        return found

    def resolve(self, context: str) -> Endpoint:
        """The endpoint of one context, or ("") of the current one. Raises UsageError where it cannot be used."""
        merged = self._load()
        if merged is None:
            if context and context != IN_CLUSTER:
                raise self._missing()
            return self._in_cluster()
        name = context or merged.current
        if name not in merged.contexts:
            what = (
                _("The kubeconfig has no context {name}.").format(name=name)
                if name
                else _("The kubeconfig has no current context.")
            )
            names = ", ".join(merged.contexts)
            raise UsageError(
                what, object=self._where(), remedy=_("Name one with --context: {names}").format(names=names)
            )
        return resolve(merged, name)

    def log_in(self, context: str) -> None:
        """Run the context's credential plugin with the terminal, which must be free. Raises UnreachableError."""
        try:
            plugin = self.resolve(context).plugin
        except NeedsTerminalError as error:
            plugin = error.plugin
        if plugin is not None:
            log_in(plugin)

    def connect(self, context: str) -> Cluster:
        """A client for one context; no request is made yet."""
        from tui.backend.cluster import KubernetesCluster

        return KubernetesCluster(self.resolve(context))

    def _load(self) -> Merged | None:
        """The merged files; None where there are none and we run inside a cluster."""
        merged = Merged()
        files = [path for path in self.files() if path.exists()]
        if not files:
            if self._path or not self._inside():
                raise self._missing()
            return None
        documents = [(path, _read_yaml(path)) for path in files]
        for path, document in documents:
            _merge(merged, path, document)
        if not merged.contexts:
            empty = not any(document for _path, document in documents)
            raise UsageError(
                _("The kubeconfig is empty.") if empty else _("The kubeconfig has no contexts."),
                object=self._where(),
                remedy=_("Ask whoever runs the cluster for a kubeconfig, or name another one with --kubeconfig."),
            )
        return merged

    def _where(self) -> str:
        return os.pathsep.join(str(path) for path in self.files())

    def _missing(self) -> UsageError:
        return UsageError(
            _("The kubeconfig does not exist."),
            object=self._where(),
            remedy=_("Name one with --kubeconfig or KUBECONFIG, or copy it from the cluster to ~/.kube/config."),
        )

    def _inside(self) -> bool:
        return bool(self._environ.get("KUBERNETES_SERVICE_HOST")) and (self._service_account / "token").exists()

    def _in_cluster(self) -> Endpoint:
        host, port = (
            self._environ["KUBERNETES_SERVICE_HOST"],
            self._environ.get("KUBERNETES_SERVICE_PORT", "443"),
        )
        namespace = self._service_account / "namespace"
        return Endpoint(
            context=IN_CLUSTER,
            server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
            cluster=IN_CLUSTER,
            user="serviceaccount",
            namespace=namespace.read_text().strip() if namespace.exists() else "default",
            ca=(self._service_account / "ca.crt").read_text(),
            token_file=str(self._service_account / "token"),
        )


def _read_yaml(path: Path) -> Entry:
    """One kubeconfig file. An empty one is an empty mapping, as kubectl takes it."""
    try:
        document = yaml.load(path.read_text("utf-8-sig"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except OSError as error:
        raise UsageError(
            _("The kubeconfig cannot be read."), object=str(path), why=error.strerror or type(error).__name__
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        # Neither the line's text nor the parser's excerpt is shown: it may hold a token.
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        why = getattr(error, "problem", None) or _("it is not UTF-8 text")
        raise UsageError(_("The kubeconfig is not YAML."), object=where, why=why) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise UsageError(_("The kubeconfig is not a mapping of clusters, users and contexts."), object=f"{path}:1")
    return document


def _merge(merged: Merged, path: Path, document: Entry) -> None:
    """Add one file: what an earlier file has said stays (kubectl: the first file to set a value or a name wins)."""
    merged.current = merged.current or text_of(document, "current-context")
    for section, key, into in (
        ("clusters", "cluster", merged.clusters),
        ("users", "user", merged.users),
        ("contexts", "context", merged.contexts),
    ):
        listed = document.get(section) or []
        seen: set[str] = set()
        if not isinstance(listed, list):
            raise UsageError(_("{section} in the kubeconfig is not a list.").format(section=section), object=str(path))
        for item in listed:
            name = text_of(item, "name") if isinstance(item, dict) else ""
            entry = item.get(key) or {} if isinstance(item, dict) else None
            if not name or not isinstance(entry, dict):
                raise UsageError(
                    _("An entry of {section} in the kubeconfig has no name or no {key}.").format(
                        section=section, key=key
                    ),
                    object=str(path),
                )
            if name in seen:
                raise UsageError(
                    _("{section} in the kubeconfig names {name} twice.").format(section=section, name=name),
                    object=str(path),
                )
            seen.add(name)
            into.setdefault(name, (entry, path.parent))
