"""A view, live in the terminal: its panels drawn from the studio's answers, its variables as selectors.

What is asked for and what an answer means is `core.live`'s; this page shows it, and asks again when the next points are
due. It is a page above the step from which it was opened.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from itertools import groupby
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget

from screens.live_pages import LinkPage, ValuesPage
from tui.core import live, views
from tui.core.desired import conf_text
from tui.core.errors import UsageError, WizardError
from tui.core.live import Live, Picture
from tui.core.ports import Studio
from tui.core.steps import Session
from tui.core.view_schema import Panel, translation
from tui.i18n import N_, _, language
from tui.widgets import background
from tui.widgets.chrome import KeyLine
from tui.widgets.glyphs import glyph, muted
from tui.widgets.live_panel import LivePanel
from tui.widgets.page import Page
from tui.widgets.prose import Prose
from tui.widgets.selectors import Selectors
from tui.widgets.step_screen import StepScreen, assemble

GRID = 120  # columns from which panels stand side by side
_ROW = 1.3  # lines of the terminal for one row of the studio's grid
_LEAST = 6  # lines of a panel


class LivePage(Page[None]):
    """One panel at a time, or from 120 columns on the view's grid; nothing is painted where nothing changed."""

    HELP = N_(
        "## A view, live\n\n"
        "- The panels show what the studio answers to the view's own queries; they are asked for anew whenever the next"
        " points are due, all in one request.\n"
        "- The line on top has the view's variables: **←** and **→** move between them, **Enter** shows the values of"
        " one. Those further right depend on those on the left.\n"
        "- A panel that stays empty says what it lacks. One whose query the studio refused says why. **w** follows its"
        " data from the cluster on, and names the first broken hop and the command that mends it.\n"
        "- In a wide terminal **z** shows one panel alone and the grid again; **1** to **7** show another view.\n"
        "- The studio allows 20 requests a minute. When they are used up, the last line says when the next may go."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "panel(1)", N_("Next"), id="live-next", tooltip=N_("The next panel; Space does the same")),
        Binding("space", "panel(1)", show=False),
        Binding("p", "panel(-1)", N_("Previous"), id="live-previous", show=False, tooltip=N_("The panel before")),
        Binding(
            "t", "range", N_("Range"), id="live-range", show=False, tooltip=N_("15 minutes, 1 hour, 6 hours, 1 day")
        ),
        Binding("o", "link", N_("Link"), id="live-link", tooltip=N_("The view's page in the studio, for a browser")),
        Binding("w", "why", N_("Why"), id="live-why", tooltip=N_("Why this panel is empty: the first broken hop")),
        Binding(
            "z", "alone", N_("One panel"), id="live-alone", show=False, tooltip=N_("One panel alone, or the grid again")
        ),
        Binding("question_mark,f1", "help", N_("Help"), id="live-help", key_display="?"),
        Binding("pagedown", "page(1)", show=False),
        *(Binding(str(number), f"view({number})", show=False) for number in range(1, len(views.KEYS) + 1)),
    ]

    def __init__(self, session: Session, key: str) -> None:
        super().__init__()
        self.add_class("live")
        self.session = session
        self.at = 0
        self.alone = False
        self.picture: Picture | None = None
        self.live = self._beginning(key)
        self._tiles: list[LivePanel] = []
        self._gone = False
        self._acts = 0  # what was asked before the last act of the person is no longer wanted

    # -- what there is

    @property
    def panels(self) -> tuple[Panel, ...]:
        """The view's panels in the order in which they are walked through."""
        return self.live.view.panels

    @property
    def grid(self) -> bool:
        """Whether panels stand side by side."""
        return self.size.width >= GRID and not self.alone

    @property
    def scale(self) -> float:
        """How much faster time runs where the data is from."""
        return self.session.cluster.time_scale if self.session.cluster is not None else 1.0

    @property
    def pause_s(self) -> float:
        """Seconds until the next points are due: never less than the studio's limit lets go by itself."""
        most = self.session.studio.budget().most if self.session.studio is not None else 20
        return max(self.live.collection_s, 60 / most) / self.scale

    def _beginning(self, key: str) -> Live:
        session = self.session
        conf = conf_text(session.answers, session.survey) if key == "etcd" and session.survey is not None else ""
        return live.begin(views.view(key), session.answers.cluster.name, conf)

    def compose(self) -> ComposeResult:
        yield Prose(id="live-title")
        yield Selectors(id="selectors")
        with VerticalScroll(id="page-body", can_focus=False):
            yield LivePanel(grows=True, id="one")
            yield Vertical(id="tiles")
        yield Prose(id="live-state")
        yield KeyLine()

    def on_mount(self) -> None:
        self.query_one(Selectors).focus(scroll_visible=False)
        self.call_after_refresh(self._begin)

    def on_unmount(self) -> None:
        self._gone = True

    async def _begin(self) -> None:
        await self._lay_out()
        self._act()
        self.run_worker(self._follow(), group="follow", exclusive=True, exit_on_error=True)

    async def on_resize(self, _event: events.Resize) -> None:
        if self.is_mounted and self._acts:
            await self._lay_out()

    # -- asking

    def _act(self) -> None:
        """The person wants something else: ask for it at once."""
        self._acts += 1
        self.run_worker(self._look(), group="look", exclusive=True, exit_on_error=True)

    async def _follow(self) -> None:
        """While the page stays: ask again whenever the next points are due."""
        while not self._gone:
            await asyncio.sleep(self.pause_s)
            await self._look(quiet=True)

    async def _look(self, *, quiet: bool = False) -> None:
        """One request, and what came of it. `quiet`: nobody waits for it."""
        studio, wanted, acts = self.session.studio, self.live, self._acts
        if studio is None:
            return
        if not quiet:
            self._say(_("Asking the studio"))
        self._say_limit(studio)
        try:
            picture = await background.in_thread(lambda: ask(studio, wanted, self.scale))
        except WizardError as error:
            if acts == self._acts and not self._gone:
                again = live.clock((time.time() + self.pause_s) * 1000)
                why = f" {error.why}" if error.why else ""
                self._say(f"{error.what}{why} " + _("Asked again at {time}.").format(time=again), "fail")
            return
        if acts != self._acts or self._gone:
            return
        fitted = wanted.fitted(picture)
        if fitted is not wanted:
            self.live = fitted
            self._act()
            return
        self.picture = picture
        self._show()

    def _say_limit(self, studio: Studio) -> None:
        budget = studio.budget()
        if not budget.left:
            text = _("The studio allows {n} requests a minute; the next may go at {time}.")
            self._say(text.format(n=budget.most, time=live.clock((time.time() + budget.next_s) * 1000)), "warn")

    # -- showing

    def _show(self) -> None:
        """Everything as the model is now; what is as it was is not painted again."""
        view, picture = self.live.view, self.picture
        lang = language()
        minutes = self.live.range_s // 60
        span = _("{n} min").format(n=minutes) if minutes < 60 else _("{n} h").format(n=minutes // 60)
        title = assemble(
            (view.title(lang), "bold"), (f"  {glyph('dot')} " + _("the last {span}").format(span=span), muted())
        )
        shown = self.query_one("#live-title", Prose)
        if shown.content != title:
            shown.update(title)
        values = picture.values if picture is not None else {}
        rows = [
            (
                v.code,
                translation(v.title, lang),
                self.live.chosen.get(v.code, "") or v.default,
                bool(values.get(v.code)),
            )
            for v in view.variables
        ]
        self.query_one(Selectors).show(rows)
        data = {panel.key: panel for panel in picture.panels} if picture is not None else {}
        if self.grid:
            for index, (tile, panel) in enumerate(zip(self._tiles, self.panels, strict=False)):
                tile.show(data.get(panel.key), translation(panel.title, lang))
                tile.choose(index == self.at)
        else:
            panel = self.panels[self.at]
            group = next(translation(group.title, lang) for group in view.groups if group.key == panel.group)
            note = f"{group} {glyph('dot')} {self.at + 1}/{len(self.panels)}"
            self.query_one("#one", LivePanel).show(data.get(panel.key), translation(panel.title, lang), note)
        if picture is not None:
            self._say_newest(picture)

    def _say_newest(self, picture: Picture) -> None:
        filled = sum(1 for panel in picture.panels if panel.filled)
        text = _("{n} of {all} panels have data").format(n=filled, all=len(picture.panels))
        if picture.newest_ms:
            text += f" {glyph('dot')} " + _("newest point {time}").format(time=live.clock(picture.newest_ms))
        self._say(f"{text} {glyph('dot')} " + _("asked every {n:g} s").format(n=self.pause_s))

    def _say(self, text: str, sign: str = "") -> None:
        tone = {"warn": "$warning", "fail": "$error"}.get(sign, muted())
        said = assemble((f"{glyph(sign)} " if sign else "", tone), (text, muted()))
        line = self.query_one("#live-state", Prose)
        if line.content != said:
            line.update(said)

    async def _lay_out(self) -> None:
        """One panel, or the grid of the view's places."""
        one, tiles = self.query_one("#one", LivePanel), self.query_one("#tiles", Vertical)
        one.display, tiles.display = not self.grid, self.grid
        if self.grid and not self._tiles:
            await tiles.mount_all(self._rows())
        self._show()
        self.refresh_bindings()

    def _rows(self) -> list[Widget]:
        """The groups' titles and rows of panels, as wide and high as their places say."""
        view, made = self.live.view, list[Widget]()
        for group in view.groups:
            made.append(Prose(assemble((translation(group.title, language()), "bold $accent")), classes="live-group"))
            inside = [panel for panel in view.panels if panel.group == group.key]
            for _y, row in groupby(inside, key=lambda panel: panel.place[1]):
                panels = list(row)
                height = max(round(max(panel.place[3] for panel in panels) * _ROW), _LEAST)
                line = Horizontal(*(self._tile(panel, height) for panel in panels), classes="live-row")
                line.styles.height = height
                made.append(line)
        return made

    def _tile(self, panel: Panel, height: int) -> LivePanel:
        tile = LivePanel(translation(panel.title, language()))
        tile.styles.width = f"{panel.place[2]}fr"
        tile.styles.height = height
        self._tiles.append(tile)
        return tile

    # -- what the person does

    def action_panel(self, by: int) -> None:
        self.at = (self.at + by) % len(self.panels)
        self._show()
        if self.grid:
            self._tiles[self.at].scroll_visible(animate=False)
        else:
            self.page_body.scroll_home(animate=False)

    def action_range(self) -> None:
        at = live.RANGES_S.index(self.live.range_s)
        self._ask_for(replace(self.live, range_s=live.RANGES_S[(at + 1) % len(live.RANGES_S)]))

    async def action_alone(self) -> None:
        self.alone = not self.alone
        await self._lay_out()

    async def action_view(self, number: int) -> None:
        key = views.KEYS[number - 1]
        if key == self.live.view.key:
            return
        self.at, self.picture, self._tiles = 0, None, []
        await self.query_one("#tiles", Vertical).remove_children()
        self.live = self._beginning(key)
        await self._lay_out()
        self.page_body.scroll_home(animate=False)
        self._act()

    def on_selectors_opened(self, event: Selectors.Opened) -> None:
        """Show the values of a variable, and ask anew when another was chosen."""
        event.stop()
        variable = next(v for v in self.live.view.variables if v.code == event.code)
        values = self.picture.values.get(event.code, ()) if self.picture is not None else ()
        chosen = self.live.chosen.get(event.code, "") or variable.default
        everything = not variable.default

        def answered(value: str | None) -> None:
            if value is None or value == chosen:
                return
            try:
                wanted = self.live.choose(event.code, value)
                live.asks(wanted)  # a value that cannot stand in its queries is refused before anything changes
            except UsageError as error:
                self.notify(f"{error.what} {error.object}", severity="warning", markup=False)
                return
            self._ask_for(wanted)

        title = translation(variable.title, language())
        self.app.push_screen(ValuesPage(title, values, chosen, everything=everything), answered)

    def _ask_for(self, wanted: Live) -> None:
        self.live = wanted
        self._show()
        self._act()

    def action_link(self) -> None:
        """Print the view's page in the studio, and copy it."""
        studio, dashboard = self.session.studio, self.session.views.get(self.live.view.key)
        if studio is None or dashboard is None:
            self.notify(_("This view is not in the studio yet: its step creates it."))
            return
        link = studio.link(dashboard, dict(self.live.chosen))
        if not link:
            self.notify(_("The console's address is not known; the view is in the studio: Scenes → Dashboards."))
            return
        self.app.push_screen(LinkPage(dashboard.name, link))

    def action_why(self) -> None:
        self.post_message(StepScreen.OpenWhy(self.live.view.key, self.panels[self.at].key))

    def action_help(self) -> None:
        from tui.widgets.help_page import HelpPage

        self.app.push_screen(HelpPage(self))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "alone":
            return self.size.width >= GRID
        return True


def ask(studio: Studio, wanted: Live, scale: float) -> Picture:
    """One request for all of a view, and what its answers mean. `scale`: how much faster the studio's time runs."""
    start, end = live.window(wanted.range_s / scale, time.time(), wanted.collection_s / scale)
    return live.read(wanted, studio.answers(live.asks(wanted), start_ms=start, end_ms=end), language())
