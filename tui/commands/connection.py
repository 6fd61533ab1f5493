"""What most commands begin with: the context, a client for it, its DataKit, and the studio."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tui.core import settings
from tui.core.answers import Answers
from tui.core.errors import RefusedError, UsageError
from tui.core.ports import Backend, Cluster, Context, Studio
from tui.core.receipts import Store
from tui.core.survey import DataKit, find_datakit
from tui.i18n import _


def say(text: str) -> None:
    """Narration, to stderr."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Connection:
    """One context, connected."""

    backend: Backend
    context: Context
    cluster: Cluster


def store() -> Store:
    """Where receipts are kept."""
    return Store(settings.state_dir(os.environ))


def open_backend(options: argparse.Namespace, time_scale: float = 1.0) -> Backend:
    """The backend of the kubeconfig in use. Nothing is read yet."""
    from tui import backend

    return backend.connect(options.kubeconfig or "", time_scale)


def contexts(options: argparse.Namespace) -> list[Context]:
    """Every context of the kubeconfig."""
    return open_backend(options).clusters().contexts()


def connect(options: argparse.Namespace, wanted: str = "") -> Connection:
    """Connect to --context, else `wanted`, else the kubeconfig's current context. No request is made yet."""
    from tui import backend

    if options.context and len(options.context) > 1:
        raise UsageError(_("Only check takes more than one --context."), object=", ".join(options.context))
    name = (options.context or [wanted])[0]
    known = contexts(options)
    chosen = next((c for c in known if (c.name == name if name else c.current)), None)
    if chosen is None:
        raise UsageError(
            _("There is no context {name}.").format(name=name) if name else _("The kubeconfig has no current context."),
            object=options.kubeconfig or os.environ.get("KUBECONFIG", "~/.kube/config"),
            remedy=_("Choose one with --context: {names}").format(names=", ".join(c.name for c in known)),
        )
    made = backend.connect(options.kubeconfig or "", chosen.time_scale)
    if chosen.login and sys.stdin.isatty() and sys.stderr.isatty():
        made.clusters().log_in(chosen.name)
    return Connection(made, chosen, made.clusters().connect(chosen.name))


def datakit(options: argparse.Namespace, connection: Connection, answers: Answers | None = None) -> DataKit:
    """The DataKit to work on: in --namespace, or as the answers say, or the only one there is."""
    namespace = options.namespace or (answers.cluster.namespace if answers else "")
    found = find_datakit(connection.cluster, namespace)
    if answers:
        named = [one for one in found if one.name == answers.cluster.daemonset]
        if not named:
            raise UsageError(
                _("There is no DaemonSet {name} that runs DataKit.").format(name=answers.cluster.daemonset),
                object=f"{connection.context.name}, {namespace}",
                remedy=_("Write one of these into [cluster] daemonset: {names}").format(
                    names=", ".join(one.name for one in found)
                ),
            )
        return named[0]
    if len(found) > 1:
        raise UsageError(
            _("More than one DaemonSet runs DataKit."),
            object=connection.context.name,
            why=", ".join(f"{one.namespace}/{one.name}" for one in found),
            remedy=_("Choose one with --namespace."),
        )
    return found[0]


def studio_settings(options: argparse.Namespace, answers: Answers | None = None) -> settings.StudioSettings:
    """The studio's endpoint and key from flags, answers and environment; warns of a key file that others can read."""
    found = settings.studio_settings(
        os.environ,
        endpoint=options.endpoint or "",
        api_key_file=options.api_key_file or "",
        answered=answers.studio.endpoint if answers else "",
    )
    if options.api_key_file and settings.readable_by_others(Path(options.api_key_file)):
        say(_("warning: {path} can be read by other users; chmod 600 it").format(path=options.api_key_file))
    return found


def studio(made: Backend, found: settings.StudioSettings, answers: Answers | None = None) -> Studio | None:
    """A client for the studio; None where no key was given. A key without an endpoint is a UsageError."""
    if not found.key:
        return None
    if not found.endpoint:
        raise UsageError(
            _("An API key was given, but not the studio that it belongs to."),
            object=found.key_from,
            remedy=_("Give --endpoint, e.g. https://openapi.guance.com or https://us1-openapi.truewatch.com."),
        )
    return made.studio(found.endpoint, found.key, answers.studio.console if answers else "")


def consent(options: argparse.Namespace, question: str) -> None:
    """Ask once on the terminal; refuse where nobody can be asked and --yes was not given."""
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise RefusedError(
            _("Nothing was changed: there is nobody to ask."), remedy=_("Give --yes to go on without being asked.")
        )
    if not agreed(question):
        raise RefusedError(_("Nothing was changed."))


def agreed(question: str) -> bool:
    """Ask once on the terminal."""
    print(question, end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes", "是")
