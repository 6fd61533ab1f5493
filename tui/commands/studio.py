"""views: the monitoring views without a screen."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tui import i18n
from tui.commands.connection import connect, consent, datakit, say, studio, studio_settings
from tui.core import actions
from tui.core import views as catalogue
from tui.core.errors import Exit, PartialError, UsageError, WizardError
from tui.core.ports import Studio
from tui.core.proposal import cluster_name
from tui.core.query_forms import Form, unverified
from tui.core.survey import survey
from tui.i18n import _


def views(options: argparse.Namespace) -> int:
    """One of the actions on views."""
    return {"list": _list, "show": _show, "status": _status, "create": _create, "export": _export}[options.action](
        options
    )


def _list(options: argparse.Namespace) -> int:
    language = i18n.language()
    for view in catalogue.catalogue():
        note = _("comes in a later version") if view.coming else _("{n} panels").format(n=len(view.panels))
        print(f"{view.number}\t{view.key}\t{view.title(language)}\t{note}")
    return Exit.OK


def _template(key: str) -> str:
    view, language = catalogue.view(key), i18n.language()
    template = catalogue.build(view, name=view.name(language), language=language)
    return json.dumps(template, ensure_ascii=False, indent=1) + "\n"


def _show(options: argparse.Namespace) -> int:
    template = _template(options.key)  # refused before anything is said of it
    by_form: dict[Form, list[str]] = {}
    for panel in catalogue.view(options.key).panels:
        for form in unverified(panel):
            by_form.setdefault(form, []).append(panel.key)
    for form, panels in by_form.items():
        say(_("Not verified on a live studio: {form} ({panels})").format(form=form.example, panels=", ".join(panels)))
    sys.stdout.write(template)
    return Exit.OK


def _export(options: argparse.Namespace) -> int:
    folder = Path(options.directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for view in catalogue.catalogue():
            if view.coming:
                say(f"{view.key}: " + _("comes in a later version"))
                continue
            path = folder / f"{view.key}.json"
            path.write_text(_template(view.key), encoding="utf-8")
            print(path)
    except OSError as error:
        raise UsageError(
            _("The templates cannot be written."),
            object=error.filename or str(folder),
            why=error.strerror or type(error).__name__,
            remedy=_("Choose a folder that you may write to."),
        ) from None
    return Exit.OK


def _client(options: argparse.Namespace, time_scale: float) -> Studio:
    from tui import backend

    client = studio(backend.connect(options.kubeconfig or "", time_scale), studio_settings(options))
    if client is None:
        raise UsageError(
            _("Views need the studio's endpoint and an API key."),
            remedy=_("Give --endpoint and --api-key-file, or GUANCE_END_POINT and GUANCE_ACCESS_TOKEN."),
        )
    return client


def _name(options: argparse.Namespace) -> tuple[str, float]:
    """The cluster's name for the views (as given, or as its DataKit reports it), and how fast its time runs."""
    connection = connect(options)
    look = survey(connection.cluster, datakit(options, connection))
    return cluster_name(look), look.time_scale


def _status(options: argparse.Namespace) -> int:
    name, time_scale = _name(options)
    client = _client(options, time_scale)
    workspace = client.workspace()
    missing = False
    for view in catalogue.catalogue():
        if view.coming:
            print(f"{view.key}\t" + _("comes in a later version"))
            continue
        there = client.find_dashboard(catalogue.dashboard_uuid(workspace.uuid, view.key, name))
        missing = missing or there is None
        print(f"{view.key}\t" + (_("there: {name}").format(name=there.name) if there else _("missing")))
    return Exit.DECIDED_AGAINST if missing else Exit.OK


def _create(options: argparse.Namespace) -> int:
    chosen = [catalogue.view(key) for key in options.keys]
    language = i18n.language()
    for view in chosen:
        catalogue.build(view, name=view.name(language), language=language)
    name, time_scale = (options.cluster_name, 1.0) if options.cluster_name else _name(options)
    client = _client(options, time_scale)
    workspace = client.workspace()
    asked = ", ".join(view.name(language) for view in chosen)
    consent(options, _("Create {views} in workspace {workspace}? [y/N]").format(views=asked, workspace=workspace.name))
    for made, view in enumerate(chosen):
        try:
            dashboard = actions.create_view(
                client, workspace, view.key, name, name=view.name(language), language=language
            )
        except WizardError as error:
            if not made:
                raise
            raise PartialError(
                _("Only part was done: {what}").format(what=error.what),
                object=view.key,
                why=error.why,
                remedy=error.remedy,
            ) from error
        link = client.link(dashboard, {"cluster_name_k8s": name})
        print(f"{view.key}\t{dashboard.uuid}" + (f"\t{link}" if link else ""))
    return Exit.OK
