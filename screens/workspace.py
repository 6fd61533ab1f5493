"""The workspace in the studio: which brand and site, and the API key that opens it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input

from tui.core import sites
from tui.core.answers import StudioAnswers
from tui.core.errors import UsageError
from tui.core.ports import Studio, Workspace
from tui.core.settings import checked_key
from tui.i18n import N_, _
from tui.widgets.background import in_thread
from tui.widgets.choices import Choice, Choices
from tui.widgets.field import Field
from tui.widgets.given import Secret
from tui.widgets.glyphs import glyph, muted
from tui.widgets.prose import Prose
from tui.widgets.step_screen import StepScreen, assemble

GIVEN, OTHER, NONE = "given", "other", "none"


class WorkspaceScreen(StepScreen):
    """Where (given, a site of either brand, another address, or nowhere), then the key, then the check."""

    STEP = "workspace"
    PURPOSE = N_("The views are created there, and there the arrival of metrics is proved.")
    HELP = N_(
        "## The workspace\n\n"
        "- A key belongs to one workspace on one **site**; on another site it looks like a wrong key.\n"
        "- Keys are made in the studio: Management, API Key Management. The role **Standard** suffices; a read-only"
        " key can verify, but not create views.\n"
        "- The key is sent to this one address, in a header. It is written nowhere: not into the answers file, not"
        " into receipts or reports.\n"
        "- From the environment: `GUANCE_ACCESS_TOKEN` or `TRUEWATCH_ACCESS_TOKEN`; from a file: `--api-key-file`.\n\n"
        "The workspace **token** (`tkn_…`) is another thing: DataKit sends with it, and this wizard never needs it."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "skip", N_("Skip"), id="skip", tooltip=N_("Go on without a workspace"))
    ]

    def content(self) -> ComposeResult:
        yield Choices(self._places(), self._first_place(), id="place")
        with VerticalScroll(id="sites", can_focus=False):
            yield Choices(id="site")
        with Vertical(id="address", classes="labelled"):
            yield Prose(_("Address of the Open API"), classes="muted")
            yield Field(self._known_endpoint(), placeholder=sites.SITES[0].open_api, id="endpoint")
        with Vertical(id="key-part", classes="labelled"):
            yield Prose(id="key-label", classes="muted")
            yield Field(secret=True, placeholder=self._key_hint(), id="key")
        yield Prose(id="outcome")

    def _known_endpoint(self) -> str:
        return self.session.answers.studio.endpoint or self.given.endpoint

    def _key_hint(self) -> str:
        return _("Enter uses the key from there") if self.given.key else _("paste the key; it is not shown")

    def _places(self) -> list[Choice]:
        rows = []
        known = self._known_endpoint()
        if known and sites.find(known) is None:
            title = _("The lab's studio") if self.session.lab is not None else _("The address given")
            rows.append(Choice(GIVEN, title, known))
        rows += [Choice(b.key, _(b.name), _("{n} sites").format(n=len(sites.of_brand(b)))) for b in sites.BRANDS]
        rows.append(Choice(OTHER, _("Another address"), _("a private deployment")))
        rows.append(Choice(NONE, _("No workspace"), _("set up and check the cluster alone")))
        return rows

    def _first_place(self) -> str:
        if "workspace" in self.session.skipped:
            return NONE
        known = self._known_endpoint()
        site = sites.find(known) if known else None
        if site is not None:
            return site.brand.key
        return GIVEN if known else sites.BRANDS[0].key

    def entered(self) -> None:
        self._follow_place()
        if not self.given.key and self.session.workspace is None and self._place != NONE:
            self.query_one("#key", Field).focus()
        self._show_outcome()

    # -- what is chosen

    @property
    def _place(self) -> str:
        chosen = self.query_one("#place", Choices).chosen
        return chosen.key if chosen is not None else NONE

    @property
    def _site(self) -> sites.Site | None:
        chosen = self.query_one("#site", Choices).chosen
        if chosen is None or self._place not in (brand.key for brand in sites.BRANDS):
            return None
        return sites.site(self._place, chosen.key)

    def _endpoint(self) -> str:
        """The address as the client wants it. Raises UsageError with what to write instead."""
        if self._site is not None:
            return self._site.open_api
        if self._place == GIVEN:
            return sites.endpoint(self._known_endpoint())
        return sites.endpoint(self.query_one("#endpoint", Field).value)

    def _follow_place(self) -> None:
        place = self._place
        brand = next((brand for brand in sites.BRANDS if brand.key == place), None)
        picker = self.query_one("#site", Choices)
        self.query_one("#sites").display = brand is not None
        if brand is not None:
            known = sites.find(self._known_endpoint()) if self._known_endpoint() else None
            rows = [
                Choice(s.key, f"{s.key.upper()}  {_(s.place)}", s.open_api.removeprefix("https://"))
                for s in sites.of_brand(brand)
            ]
            picker.show(rows, known.key if known is not None and known.brand is brand else rows[0].key)
        self.query_one("#address").display = place == OTHER
        self.query_one("#key-part").display = place != NONE
        label = _("API key from {source}, or another one").format(source=self.given.key_source)
        self.query_one("#key-label", Prose).update(Content(label if self.given.key else _("API key")))

    def on_choices_changed(self, event: Choices.Changed) -> None:
        if event.choices.id == "place":
            self._follow_place()
        self._show_outcome()
        self.refresh_frame()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.refresh_frame()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_go_on()

    # -- Enter

    @property
    def _opened(self) -> bool:
        """Whether the model's workspace is the one that is chosen here, with the key that is meant here."""
        studio = self.session.studio
        if self.session.workspace is None or studio is None or self._place == NONE:
            return False
        if self.query_one("#key", Field).value:
            return False
        try:
            return studio.endpoint == self._endpoint()
        except UsageError:
            return False

    def go_on_text(self) -> tuple[str, bool]:
        if self._place == NONE:
            return _("Go on without a workspace"), True
        if self._opened:
            return _("Go on to etcd.conf"), True
        if not self.given.key and not self.query_one("#key", Field).value:
            return _("Give the API key, then Enter"), False
        return _("Check the key"), True

    def action_go_on(self) -> None:
        if not self.go_on.ready or self.working.busy:
            return
        if self._place == NONE:
            self.action_skip()
        elif self._opened:
            self.post_message(self.Leave("next"))
        else:
            self.run(self._check)

    def action_skip(self) -> None:
        """Go on without: what stays unproven is said on the way and again at the end."""
        self._forget()
        self.post_message(self.Leave("skip"))

    def _forget(self) -> None:
        self.session.studio = self.session.workspace = None
        self.session.standings = {}

    async def _check(self) -> None:
        endpoint = self._endpoint()
        field = self.query_one("#key", Field)
        typed = Secret(field.value.strip())
        if typed:
            checked_key(typed.reveal(), _("the key that was typed"))
        key = typed or self.given.key
        console = self._site.console if self._site is not None else self.given.console
        backend = self.backend
        self._forget()
        self.working.start(_("Asking {endpoint}").format(endpoint=endpoint))
        self.refresh_frame()

        def ask() -> tuple[Studio, Workspace]:
            studio = backend.studio(endpoint, key.reveal(), console)
            return studio, studio.workspace()

        studio, workspace = await in_thread(ask)
        self.session.studio, self.session.workspace = studio, workspace
        if typed:
            self.given.key, self.given.key_source = typed, _("what you typed")
        field.value = ""
        self.session.failed.discard(self.STEP)
        self.session.skipped.discard(self.STEP)
        self.session.answers = replace(self.session.answers, studio=StudioAnswers(endpoint, console))
        self.working.finish("ok", _("The key opens workspace “{name}”.").format(name=workspace.name))
        self._show_outcome()
        self.go_on.focus()
        self.post_message(self.Saved())
        self.refresh_frame()

    def failed(self, error: Exception) -> None:
        self.session.failed.add(self.STEP)

    def _show_outcome(self) -> None:
        outcome = self.query_one("#outcome", Prose)
        if self._place == NONE:
            outcome.update(
                assemble(
                    (glyph("warn") + " ", "$warning"),
                    _(
                        "What stays unproven without a workspace: that points arrive, that they carry the cluster's"
                        " name, and that they are fresh. No view is compared or created, and Verify can only be"
                        " inconclusive."
                    ),
                )
            )
        elif self._opened and self.session.workspace is not None:
            workspace = self.session.workspace
            outcome.update(assemble((glyph("ok") + " ", "$success"), f"{workspace.name}  ", (workspace.uuid, muted())))
        else:
            outcome.update("")

    def commands(self) -> list[tuple[str, str, str]]:
        try:
            endpoint = self._endpoint()
        except UsageError:
            endpoint = "$ENDPOINT"
        return [
            (
                _("Ask which workspace the key opens"),
                f'curl -sS -H "DF-API-KEY: $DF_API_KEY" {endpoint}/api/v1/workspace/get | jq .content.name',
                _("Studio: Management → API Key Management → New Key, role Standard."),
            )
        ]
