"""views: the monitoring views without a screen."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from tui import i18n
from tui.commands.connection import (
    Connection,
    connect,
    consent,
    datakit,
    open_backend,
    say,
    store,
    studio,
    studio_settings,
)
from tui.core import actions, reports, view_fill, view_sync
from tui.core import views as catalogue
from tui.core.datakit_settings import own_confs
from tui.core.errors import Exit, UsageError
from tui.core.plan import view_change
from tui.core.ports import Dashboard, Studio, Workspace
from tui.core.proposal import cluster_name
from tui.core.query_forms import Form, unverified
from tui.core.receipts import Receipt
from tui.core.survey import CLUSTER_TAG, Survey, survey
from tui.core.view_spelling import TUTORIAL, Spelling, fitting, spelled
from tui.core.view_sync import Standing, Wanted
from tui.core.view_writes import create_views, new_id
from tui.core.writes import now
from tui.i18n import _


def views(options: argparse.Namespace) -> int:
    """One of the actions on views."""
    return {"list": _list, "show": _show, "status": _status, "create": _create, "export": _export}[options.action](
        options
    )


def _list(options: argparse.Namespace) -> int:
    language = i18n.language()
    for view in catalogue.catalogue():
        panels = _("{n} panels").format(n=len(view.panels))
        print(f"{view.number}\t{view.key}\t{view.title(language)}\t{panels}")
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
    client = studio(open_backend(options, time_scale), studio_settings(options))
    if client is None:
        raise UsageError(
            _("Views need the studio's endpoint and an API key."),
            remedy=_("Give --endpoint and --api-key-file, or GUANCE_END_POINT and GUANCE_ACCESS_TOKEN."),
        )
    return client


def _look(options: argparse.Namespace) -> tuple[Connection, Survey]:
    connection = connect(options)
    return connection, survey(connection.cluster, datakit(options, connection))


def _wanted(key: str, cluster: str, spelling: Spelling = TUTORIAL) -> Wanted:
    language = i18n.language()
    named = spelling if key == "etcd" else TUTORIAL
    return Wanted(key, cluster, catalogue.view(key).name(language), language, named)


def _spelling(client: Studio, cluster: str, look: Survey | None) -> Spelling:
    """How etcd's data is named: by the confs that DataKit mounts, else by what has arrived (one request)."""
    texts = [conf.text or "" for conf in own_confs(look)] if look is not None else []
    return fitting(client, cluster, *texts, now_s=time.time())


def _status(options: argparse.Namespace) -> int:
    _connection, look = _look(options)
    client, cluster = _client(options, look.time_scale), cluster_name(look)
    workspace, spelling = client.workspace(), _spelling(client, cluster, look)
    found = view_sync.look(client, workspace, [_wanted(key, cluster, spelling) for key in catalogue.KEYS])
    words = {
        view_sync.MISSING: _("missing"),
        view_sync.SAME: _("there: {name}"),
        view_sync.OUTDATED: _("there, made by this tool in another version, language or spelling: {name}"),
        view_sync.CHANGED: _("there, changed by somebody since: {name}"),
    }
    chosen, language = [spelled(view, spelling) for view in catalogue.catalogue()], i18n.language()
    data = view_fill.ask(client, chosen, cluster, now_ms=time.time() * 1000, time_scale=look.time_scale)
    if options.output == "json":
        print(json.dumps(view_fill.status(found, chosen, data, language), ensure_ascii=False, indent=2))
    for standing in found if options.output == "text" else ():
        key, name = standing.wanted.key, standing.dashboard.name if standing.dashboard else ""
        filled = _("{n} of {total} panels fill").format(n=sum(one.filled for one in data[key]), total=len(data[key]))
        print(f"{key}\t{words[standing.state].format(name=name)}\t{filled}")
        for reason in view_fill.reasons(data[key], language):
            print(f"  {reason}")
    return Exit.DECIDED_AGAINST if any(one.state == view_sync.MISSING for one in found) else Exit.OK


def _create(options: argparse.Namespace) -> int:
    for key in options.keys:
        catalogue.view(key)  # refused before anything is asked
    keys = list(dict.fromkeys(options.keys))
    if options.cluster_name:
        name, time_scale, receipt, look = options.cluster_name, 1.0, None, None
        for key in keys:
            _wanted(key, name).template()
    else:
        connection, look = _look(options)
        name, time_scale = cluster_name(look), look.time_scale
        receipt = actions.new_receipt(connection.cluster, look.datakit, look.uid, user=look.user)
    client = _client(options, time_scale)
    workspace = client.workspace()
    spelling = _spelling(client, name, look) if "etcd" in keys else TUTORIAL
    standings = view_sync.look(client, workspace, [_wanted(key, name, spelling) for key in keys])
    for standing in standings:
        overwrite = standing.state == view_sync.CHANGED and standing.wanted.key in options.overwrite_view
        say("\n".join(reports.view_lines(view_change(standing), overwrite=overwrite)))
    asked = ", ".join(standing.wanted.name for standing in standings)
    consent(options, _("Create {views} in workspace {workspace}? [y/N]").format(views=asked, workspace=workspace.name))

    def tell(standing: Standing, dashboard: Dashboard) -> None:
        link = client.link(dashboard, {CLUSTER_TAG: name})
        print(f"{standing.wanted.key}\t{dashboard.uuid}" + (f"\t{link}" if link else ""), flush=True)

    kept = create_views(
        client,
        standings,
        receipt or _studio_receipt(workspace, name, client.endpoint),
        store(),
        overwrite=options.overwrite_view,
        on_event=lambda event: say(f"{event.step}: {event.text}"),
        on_made=tell,
    )
    if kept.path:
        say(_("Receipt: {path}").format(path=kept.path))
    return Exit.OK


def _studio_receipt(workspace: Workspace, cluster: str, endpoint: str) -> Receipt:
    """A receipt for views that are made without a look at the cluster: it stands under the workspace and the name."""
    return Receipt(new_id(), now(), "", "", workspace.uuid, cluster, "", "", endpoint=endpoint)
