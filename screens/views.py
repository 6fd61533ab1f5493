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
from tui.core import actions, view_sync, views
from tui.core.datakit_settings import Found, look, unmet
from tui.core.desired import conf_text
from tui.core.durations import about
from tui.core.errors import UsageError, WizardError
from tui.core.plan import view_change, wanted_view, wanted_views
from tui.core.ports import Dashboard
from tui.core.receipts import Receipt, load
from tui.core.reports import DIFFERENCE_MARKS
from tui.core.steps import Session
from tui.core.survey import CLUSTER_TAG
from tui.core.view_spelling import TUTORIAL, of_conf, spelled
from tui.core.view_sync import Standing
from tui.core.view_writes import create_views
from tui.i18n import N_, _, language, ngettext
from tui.widgets import background
from tui.widgets.background import in_thread
from tui.widgets.field import Field
from tui.widgets.given import Given
from tui.widgets.glyphs import glyph, muted
from tui.widgets.prose import Prose
from tui.widgets.step_screen import StepScreen, assemble


class ViewScreen(StepScreen):
    """One of the seven views: how it stands in the workspace, and what Enter makes of it."""

    HELP = N_(
        "## A monitoring view\n\n"
        "- It is created once for this workspace and cluster, under a fixed id: creating it again changes nothing.\n"
        "- √ panels are filled by the etcd.conf of this run, as judged on the last scrape; the others say what they"
        " lack.\n"
        "- The name can be any of up to 128 characters; the tutorial's is proposed.\n"
        "- A view that **somebody changed** since is shown panel by panel and left as it is; **o** overwrites it.\n"
        "- The studio takes 20 requests a minute; what is left of them is shown. **r** looks again.\n"
        "- **a** creates all seven that are not there yet, and updates those of another version of this tool.\n"
        "- **l** shows its panels here, live; the view need not be created for that.\n"
        "- **w** asks why a panel is empty: the first broken hop on the way of its data, and the command that mends it."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "all", N_("All seven"), id="all", tooltip=N_("Create all views that are not there yet")),
        Binding("l", "live", N_("Live"), id="live", tooltip=N_("The view's panels here in the terminal, live")),
        Binding("o", "overwrite", N_("Overwrite"), id="overwrite", tooltip=N_("Undo what somebody changed in it")),
        Binding("r", "again", N_("Look again"), id="again", tooltip=N_("See anew how the view stands"), show=False),
        Binding("w", "why", N_("Why empty"), id="why", tooltip=N_("Pick a panel: why it is empty"), show=False),
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
        self.run(self._look)

    def _conf(self) -> str:
        """The etcd.conf that the answers give, "" for none, or where they are not complete yet."""
        survey = self.session.survey
        try:
            return conf_text(self.session.answers, survey) if survey is not None else ""
        except UsageError:
            return ""

    @property
    def _standing(self) -> Standing | None:
        return self._seen(self.view.key)

    def _seen(self, key: str) -> Standing | None:
        """How a view stands, as far as that was seen and is still what the answers want."""
        standing = self.session.standings.get(key)
        # What etcd's data is called: as the conf has it; without one, as it was seen to be.
        spelling = of_conf(self._conf()) if key == "etcd" else None
        if spelling is None:
            spelling = standing.wanted.spelling if standing is not None else TUTORIAL
        wanted = wanted_view(self.session.answers, key, spelling)
        if standing is None or replace(standing.wanted, name=wanted.name) != wanted:
            return None
        return replace(standing, wanted=wanted)

    @property
    def _there(self) -> Dashboard | None:
        standing = self._standing
        return standing.dashboard if standing is not None else None

    async def _look(self, *, again: bool = False) -> None:
        """Judge the panels on a scrape, and see how the views stand; all that were not seen yet in one go."""
        session, backend = self.session, self.backend
        cluster, survey, studio, workspace = session.cluster, session.survey, session.studio, session.workspace
        if cluster is None or survey is None:
            return
        of_etcd = self.view.key == "etcd"  # the only view that etcd.conf feeds
        self.working.start(_("Looking at what the conf collects") if of_etcd else _("Looking into the workspace"))
        keys = [self.view.key] if again else [key for key in views.KEYS if self._seen(key) is None]

        def look_now() -> tuple[list[views.Fill], list[Standing]]:
            fills: list[views.Fill] = []
            conf = conf_text(session.answers, survey)
            wanted = wanted_views(session.answers, keys, conf, studio)
            if of_etcd:
                source = scrape(backend, cluster, survey, conf)
                env = {**survey.datakit.env, "ENV_K8S_NODE_NAME": source.node or "node"}
                view = spelled(self.view, of_conf(conf) or TUTORIAL)
                fills = views.fillable(view, passed(conf, source.body, env).fields)
            if studio is None or workspace is None:
                return fills, []
            return fills, view_sync.look(studio, workspace, wanted)

        self.fills, found = await in_thread(look_now)
        session.saw(found)
        self.working.finish()
        self._show()
        self.refresh_frame()

    # -- showing

    def _show(self) -> None:
        self.query_one("#name-part").display = self._there is None
        self.query_one("#state", Prose).update(self._state())
        differences = self._differences()
        self.query_one("#panels", Prose).update(differences or self._panels())

    def _state(self) -> Content:
        session, standing = self.session, self._standing
        if session.studio is None:
            return assemble(
                (glyph("warn") + " ", "$warning"),
                _("Without a workspace no view can be created. Step Workspace asks for it."),
            )
        there = standing.dashboard if standing is not None else None
        if there is None:
            name = session.workspace.name if session.workspace is not None else ""
            text = _("It is created in workspace “{name}”, with all its panels.").format(name=name)
            return assemble(text, *self._budget())
        link = session.studio.link(there, {CLUSTER_TAG: session.answers.cluster.name})
        where = link or _("in the studio: Scenes → Dashboards")
        signs = {
            view_sync.SAME: ("ok", "$success", _("The view is there: {name}")),
            view_sync.OUTDATED: (
                "warn",
                "$warning",
                _("The view is there, in another version, language or spelling: {name}"),
            ),
            view_sync.CHANGED: ("warn", "$warning", _("Somebody changed the view since it was made: {name}")),
        }
        sign, tone, sentence = signs[standing.state if standing is not None else view_sync.SAME]
        return assemble(
            (glyph(sign) + " ", tone),
            (sentence.format(name=there.name), "bold"),
            "\n",
            Content(where),
            "\n",
            (_("Choose the cluster {name} in it.").format(name=session.answers.cluster.name), muted()),
            *self._budget(),
        )

    def _budget(self) -> list[str | tuple[str, str] | Content]:
        """What the studio's limit leaves."""
        budget = self.session.studio.budget() if self.session.studio is not None else None
        if budget is None:
            return []
        if budget.left:
            text = _("{left} of {most} requests are left in this minute.").format(left=budget.left, most=budget.most)
        else:
            text = _("The studio takes {most} requests a minute; the next may go in {time}.").format(
                most=budget.most, time=about(budget.next_s)
            )
        return ["\n", (text, muted())]

    def _differences(self) -> Content | None:
        """What writing the view would change, panel by panel; None where nothing would."""
        standing = self._standing
        differences = view_change(standing).differences if standing is not None else ()
        if not differences:
            return None
        count = ngettext("{n} panel differs", "{n} panels differ", len(differences)).format(n=len(differences))
        parts: list[str | tuple[str, str] | Content] = [(count, "bold"), "\n"]
        for one in differences:
            parts += [f"  {DIFFERENCE_MARKS[one.verb]} {one.what}", "\n"]
            parts += [part for line in one.diff for part in ((f"      {line}", muted()), "\n")]
        return assemble(*parts)

    def _panels(self) -> Content:
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

    def _settings(self) -> list[Found]:
        """DataKit's settings as they are now; none before the cluster is known."""
        survey, answers = self.session.survey, self.session.answers
        if survey is None:
            return []
        return look(survey, answers.cluster.name, socket=answers.datakit.runtime_socket)

    def _titles(self) -> Content:
        """The panels of a view that etcd.conf has no part in, marked with DataKit's settings that they lack."""
        which = "zh" if language() == "zh" else "en"
        settings = self._settings()
        parts: list[str | tuple[str, str] | Content] = [
            (_("{n} panels").format(n=len(self.view.panels)), "bold"), "\n"
        ]  # fmt: skip
        empty = sum(bool(unmet(panel, settings)) for panel in self.view.panels)
        if empty:
            text = ngettext(
                "{n} of them stays empty: step DataKit settings has what it lacks.",
                "{n} of them stay empty: step DataKit settings has what they lack.",
                empty,
            )
            parts += [(glyph("warn") + " ", "$warning"), text.format(n=empty), "\n"]
        for group in self.view.groups:
            parts += [(group.title[which], muted()), "\n"]
            for panel in (panel for panel in self.view.panels if panel.group == group.key):
                lacking = unmet(panel, settings)
                if not lacking:
                    parts += ["  ", panel.title[which], "\n"]
                    continue
                told = ", ".join(_(one.setting.title) for one in lacking)
                parts += ["  ", (glyph("skip") + " ", "$warning"), panel.title[which]]
                parts += [("  " + _("lacks the setting: {settings}").format(settings=told), muted()), "\n"]
        return assemble(*parts)

    # -- Enter

    def go_on_text(self) -> tuple[str, bool]:
        standing = self._standing
        if self.working.busy:
            return _("Being looked at"), False
        if standing is not None and standing.state == view_sync.OUTDATED:
            return _("Update the view “{name}”").format(
                name=standing.dashboard.name if standing.dashboard else ""
            ), True
        if standing is not None and standing.state == view_sync.CHANGED:
            return _("Go on; the view stays as it is"), True
        if self._there is not None or self.session.studio is None:
            return _("Go on"), True
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
        standing = self._standing
        if self.session.studio is None:
            self.post_message(self.Leave("skip"))
        elif standing is not None and standing.state in (view_sync.SAME, view_sync.CHANGED):
            self.post_message(self.Leave("next"))
        else:
            self.run(self._create_this)

    def action_skip(self) -> None:
        self.post_message(self.Leave("skip"))

    def action_all(self) -> None:
        """Every view that is not there yet, or as another version made it."""
        if not self.working.busy:
            self.run(self._create_all)

    def action_live(self) -> None:
        self.post_message(self.OpenLive(self.view.key))

    def action_why(self) -> None:
        from screens.why import PanelsPage

        self.app.push_screen(PanelsPage(self.view))

    def action_overwrite(self) -> None:
        if not self.working.busy:
            self.run(self._overwrite)

    def action_again(self) -> None:
        if not self.working.busy:
            self.run(lambda: self._look(again=True))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        standing = self._standing
        if action in ("all", "again", "live", "why"):
            return self.session.studio is not None
        if action == "overwrite":
            return standing is not None and standing.state == view_sync.CHANGED
        if action == "skip":
            return self._there is None
        return super().check_action(action, parameters)

    async def _create_this(self) -> None:
        if self._standing is None:  # what was seen no longer holds for these answers
            await self._look(again=True)
        if self._standing is not None:
            await self._create([self._standing])

    async def _overwrite(self) -> None:
        if self._standing is not None:
            await self._create([self._standing], overwrite=(self.view.key,))

    async def _create_all(self) -> None:
        if any(self._seen(key) is None for key in views.KEYS):
            await self._look()
        found = [standing for key in views.KEYS if (standing := self._seen(key)) is not None]
        await self._create([one for one in found if one.state in (view_sync.MISSING, view_sync.OUTDATED)])

    async def _create(self, standings: list[Standing], *, overwrite: tuple[str, ...] = ()) -> None:
        session = self.session
        studio, workspace, cluster, survey = session.studio, session.workspace, session.cluster, session.survey
        if studio is None or workspace is None or cluster is None or survey is None:
            raise UsageError(_("Without a workspace no view can be created."), remedy=_("Step Workspace asks for it."))
        store = session.store
        on_event = background.to_loop(self._event)
        on_made = background.to_loop(self._made)
        self.working.start(_("Creating {name}").format(name=standings[0].wanted.name if standings else ""))
        self.refresh_frame()

        def create() -> Receipt:
            receipt = session.receipt
            if receipt is None or receipt.path is None:
                receipt = actions.new_receipt(cluster, survey.datakit, survey.uid, user=survey.user)
                receipt = store.write(receipt)
                session.receipt = receipt
            return create_views(
                studio, standings, receipt, store, overwrite=overwrite, on_event=on_event, on_made=on_made
            )

        session.receipt = await in_thread(create, writes=True)
        self.working.finish("ok", _("Created."))
        self._show()
        self.go_on.focus()
        self.post_message(self.Saved())
        self.refresh_frame()

    def _event(self, event: actions.Event) -> None:
        if self.is_mounted:
            self.working.update(f"{event.step}: {event.text}")
            self._show()

    def _made(self, standing: Standing, dashboard: Dashboard) -> None:
        """A view is there now: it stands as it is wanted."""
        self.session.saw([replace(standing, state=view_sync.SAME, dashboard=dashboard, differences=())])
        self.session.failed.discard(standing.wanted.key)

    def failed(self, error: WizardError) -> None:
        self.session.failed.add(self.view.key)
        receipt = self.session.receipt
        if receipt is not None and receipt.path is not None:
            self.session.receipt = load(receipt.path)  # what was made before it failed is in there
        self._show()

    def commands(self) -> list[tuple[str, str, str]]:
        endpoint = self.session.answers.studio.endpoint or "$ENDPOINT"
        key, name = self.view.key, self._proposed_name()
        clicks = _("Studio: Scenes → New dashboard → {name} → OK.").format(name=name)
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
