"""One monitoring view: its panels, which of them this etcd.conf fills, its name; created after Enter, with a link."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input

from screens.series import passed, scrape
from tui.core import actions, views
from tui.core.changes import CREATE
from tui.core.desired import conf_text
from tui.core.errors import UsageError, WizardError
from tui.core.plan import Plan, ViewChange
from tui.core.ports import Dashboard, Studio, Workspace
from tui.core.receipts import FAILED, PENDING, WRITTEN, Receipt, Store, ViewStep
from tui.core.steps import Session
from tui.core.survey import CLUSTER_TAG
from tui.i18n import N_, _, language
from tui.widgets.background import in_thread
from tui.widgets.field import Field
from tui.widgets.given import Given
from tui.widgets.glyphs import glyph, muted
from tui.widgets.prose import Prose
from tui.widgets.step_screen import StepScreen, assemble

# Msgids: what the views that come later will show.
COMING = {
    "docker": N_("Containers: CPU, memory, network and disk of each."),
    "kubernetes": N_("Nodes, pods, deployments and their health."),
    "istio-mesh": N_("The mesh as a whole: requests, errors, latency, versions of the configuration."),
    "istio-control-plane": N_("istiod: pushes, convergence, errors, its own memory."),
    "istio-service": N_("One service: who calls it, how often, how fast, how well."),
    "istio-workload": N_("One workload: incoming and outgoing requests."),
}


class ViewScreen(StepScreen):
    """One of the seven views. Those that come in a later version say so, and how the tutorial makes them by hand."""

    HELP = N_(
        "## A monitoring view\n\n"
        "- It is created once for this workspace and cluster, under a fixed id: creating it again changes nothing.\n"
        "- √ panels are filled by the etcd.conf of this run, as judged on the last scrape; the others say what they"
        " lack.\n"
        "- The name can be any of up to 128 characters; the tutorial's is proposed.\n"
        "- **a** creates all views that this version has."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "all", N_("All views"), id="all", tooltip=N_("Create all views that this version has")),
        Binding("s", "skip", N_("Skip"), id="skip", tooltip=N_("Go on without this view")),
    ]

    def __init__(self, session: Session, given: Given, key: str) -> None:
        super().__init__(session, given)
        self.STEP = key  # type: ignore[misc]  # one class serves seven steps
        self.view = views.view(key)

    def heading(self) -> str:
        return self.view.title(language())

    def content(self) -> ComposeResult:
        yield Prose(id="state")
        with Vertical(id="name-part", classes="labelled"):
            yield Prose(_("Name of the dashboard"), classes="muted")
            yield Field(self._proposed_name(), id="name")
        yield Prose(id="panels")

    def _proposed_name(self) -> str:
        chosen = self.session.answers.views
        return chosen.names.get(self.view.key) or self.view.name(chosen.lang)

    def entered(self) -> None:
        self.fills: list[views.Fill] = []
        self._show()
        if not self.view.coming:
            self.run(self._look)

    @property
    def _there(self) -> Dashboard | None:
        return self.session.views.get(self.view.key)

    async def _look(self) -> None:
        """Judge the panels on a scrape, and see whether the view is there already."""
        session, backend = self.session, self.backend
        cluster, survey, studio, workspace = session.cluster, session.survey, session.studio, session.workspace
        if cluster is None or survey is None:
            return
        of_etcd = self.view.key == "etcd"  # the only view that etcd.conf feeds
        self.working.start(_("Looking at what the conf collects") if of_etcd else _("Looking into the workspace"))

        def look() -> tuple[list[views.Fill], Dashboard | None]:
            fills: list[views.Fill] = []
            if of_etcd:
                conf = conf_text(session.answers, survey)
                source = scrape(backend, cluster, survey, conf)
                env = {**survey.datakit.env, "ENV_K8S_NODE_NAME": source.node or "node"}
                fills = views.fillable(self.view, passed(conf, source.body, env).fields)
            there = None
            if studio is not None and workspace is not None:
                uuid = views.dashboard_uuid(workspace.uuid, self.view.key, session.answers.cluster.name)
                there = studio.find_dashboard(uuid)
            return fills, there

        self.fills, there = await in_thread(look)
        if there is not None:
            session.views[self.view.key] = there
        self.working.finish()
        self._show()
        self.refresh_frame()

    # -- showing

    def _show(self) -> None:
        self.query_one("#name-part").display = not self.view.coming and self._there is None
        self.query_one("#state", Prose).update(self._state())
        self.query_one("#panels", Prose).update(self._panels())

    def _state(self) -> Content:
        session = self.session
        if self.view.coming:
            return assemble(
                (glyph("more") + " ", "$accent"),
                (_("This view comes in a later version."), "bold"),
                "\n\n",
                _(COMING[self.view.key]),
                "\n\n",
                (_("Until then, as in the tutorial: studio, Scenes, New dashboard, “{name}”.").format(
                    name=self.view.name(language())
                ), muted()),
            )  # fmt: skip
        there = self._there
        if there is not None:
            link = session.studio.link(there, {CLUSTER_TAG: session.answers.cluster.name}) if session.studio else ""
            where = link or _("in the studio: Scenes → Dashboards")
            return assemble(
                (glyph("ok") + " ", "$success"),
                (_("The view is there: {name}").format(name=there.name), "bold"),
                "\n",
                Content(where),
                "\n",
                (_("Choose the cluster {name} in it.").format(name=session.answers.cluster.name), muted()),
            )
        if session.studio is None:
            return assemble(
                (glyph("warn") + " ", "$warning"),
                _("Without a workspace no view can be created. Step Workspace asks for it."),
            )
        name = session.workspace.name if session.workspace is not None else ""
        return assemble(_("It is created in workspace “{name}”, with all its panels.").format(name=name))

    def _panels(self) -> Content:
        if self.view.coming:
            return assemble("")
        if not self.fills:
            return assemble("") if self.view.key == "etcd" else self._titles()
        full = sum(1 for fill in self.fills if fill.ok)
        parts: list[str | tuple[str, str] | Content] = [
            (_("{n} of {all} panels are filled by this etcd.conf").format(n=full, all=len(self.fills)), "bold"), "\n"
        ]  # fmt: skip
        groups = {group.key: group.title for group in self.view.groups}
        above = ""
        for fill in self.fills:
            if fill.panel.group != above:
                above = fill.panel.group
                title = groups[above]["zh" if language() == "zh" else "en"]
                parts += [(title, muted()), "\n"]
            title = fill.panel.title["zh" if language() == "zh" else "en"]
            if fill.ok:
                parts += ["  ", (glyph("ok") + " ", "$success"), title, "\n"]
            else:
                lacks = ", ".join(f"{measurement}.{field}" for measurement, field in fill.missing)
                parts += ["  ", (glyph("skip") + " ", "$warning"), title]
                parts += [("  " + _("lacks {fields}").format(fields=lacks), muted()), "\n"]
        return assemble(*parts)

    def _titles(self) -> Content:
        """The panels of a view that etcd.conf has no part in: what fills them is not known here."""
        which = "zh" if language() == "zh" else "en"
        parts: list[str | tuple[str, str] | Content] = [
            (_("{n} panels").format(n=len(self.view.panels)), "bold"), "\n"
        ]  # fmt: skip
        for group in self.view.groups:
            parts += [(group.title[which], muted()), "\n"]
            for panel in (panel for panel in self.view.panels if panel.group == group.key):
                parts += ["  ", panel.title[which], "\n"]
        return assemble(*parts)

    # -- Enter

    def go_on_text(self) -> tuple[str, bool]:
        if self.view.coming or self._there is not None or self.session.studio is None:
            return _("Go on"), True
        if self.working.busy:
            return _("Being looked at"), False
        name = self.query_one("#name", Field).value.strip()
        if not 0 < len(name) <= views.MAX_NAME:
            return _("A name has 1 to {most} characters").format(most=views.MAX_NAME), False
        return _("Create the view “{name}”").format(name=name), True

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        answers = self.session.answers
        names = {**answers.views.names, self.view.key: event.value.strip()}
        if not event.value.strip() or event.value.strip() == self.view.name(answers.views.lang):
            del names[self.view.key]
        self.session.answers = replace(answers, views=replace(answers.views, names=names))
        self.refresh_frame()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_go_on()

    def action_go_on(self) -> None:
        if not self.go_on.ready or self.working.busy:
            return
        if self._there is not None or self.view.coming:
            self.post_message(self.Leave("next"))
        elif self.session.studio is None:
            self.post_message(self.Leave("skip"))
        else:
            self.run(self._create_this)

    def action_skip(self) -> None:
        self.post_message(self.Leave("skip"))

    def action_all(self) -> None:
        """Every view that this version has and that is not there yet."""
        if not self.working.busy:
            self.run(self._create_all)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "all":
            return self.session.studio is not None
        if action == "skip":
            return not self.view.coming and self._there is None
        return super().check_action(action, parameters)

    async def _create_this(self) -> None:
        await self._create([self.view])

    async def _create_all(self) -> None:
        await self._create(
            [view for view in views.catalogue() if not view.coming and view.key not in self.session.views]
        )

    async def _create(self, wanted: list[views.View]) -> None:
        session = self.session
        studio, workspace = session.studio, session.workspace
        if studio is None or workspace is None:
            raise UsageError(_("Without a workspace no view can be created."), remedy=_("Step Workspace asks for it."))
        for view in wanted:
            chosen = session.answers.views
            name = chosen.names.get(view.key) or view.name(chosen.lang)
            self.working.start(_("Creating {name}").format(name=name))
            self.refresh_frame()
            session.views[view.key], session.receipt = await in_thread(
                lambda view=view, name=name: create(session, studio, workspace, view.key, name),  # type: ignore[misc]
                writes=True,
            )
            session.failed.discard(view.key)
        self.working.finish("ok", _("Created."))
        self._show()
        self.go_on.focus()
        self.post_message(self.Saved())
        self.refresh_frame()

    def failed(self, error: WizardError) -> None:
        self.session.failed.add(self.view.key)

    def commands(self) -> list[tuple[str, str, str]]:
        endpoint = self.session.answers.studio.endpoint or "$ENDPOINT"
        key, name = self.view.key, self._proposed_name()
        clicks = _("Studio: Scenes → New dashboard → {name} → OK.").format(name=name)
        if self.view.coming:
            return [(name, "", clicks)]
        return [
            (
                name,
                f"datakit-wizard views show {key} > {key}.json\n"
                f'curl -sS -H "DF-API-KEY: $DF_API_KEY" -H "Content-Type: application/json" \\\n'
                f"  {endpoint}/api/v1/dashboards/create \\\n"
                f'  -d "$(jq -n --slurpfile t {key}.json \'{{name: "{name}", isPublic: 1, templateInfo: $t[0]}}\')"',
                clicks,
            )
        ]


def create(
    session: Session, studio: Studio, workspace: Workspace, key: str, name: str
) -> tuple[Dashboard, Receipt | None]:
    """Create a view and note it in this run's receipt, before and after; without one, in a receipt of its own."""
    cluster_name = session.answers.cluster.name
    uuid = views.dashboard_uuid(workspace.uuid, key, cluster_name)
    receipt, store = session.receipt, session.store
    if receipt is None or receipt.path is None:
        cluster, survey = session.cluster, session.survey
        if cluster is None or survey is None:
            raise UsageError(_("First choose the cluster: everything else depends on it."))
        change = ViewChange(key, name, CREATE, uuid)
        alone = Plan(session.answers, survey, "", views=(change,), workspace=workspace)
        made = actions.apply(cluster, alone, studio, store, on_event=lambda _event: None)
        there = studio.find_dashboard(uuid)
        return there or Dashboard(uuid, name), made
    step = ViewStep(key, uuid, name, PENDING)
    receipt = store.write(receipt.with_view(step))
    try:
        dashboard = actions.create_view(
            studio, workspace, key, cluster_name, name=name, language=session.answers.views.lang
        )
    except WizardError as error:
        _note(store, receipt, replace(step, state=FAILED, message=error.what))
        raise
    return dashboard, _note(store, receipt, replace(step, state=WRITTEN))


def _note(store: Store, receipt: Receipt, step: ViewStep) -> Receipt:
    return store.write(receipt.with_view(step))
