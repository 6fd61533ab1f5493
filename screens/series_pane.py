"""What etcd.conf makes of a scrape, as it is typed: the figures, the families, and the story of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from screens.series import Passed, Source, fills
from tui.core.prom.advice import Advice
from tui.core.view_schema import View, translation
from tui.i18n import _, language, ngettext
from tui.widgets.glyphs import fit, glyph, muted, plain
from tui.widgets.prose import Prose
from tui.widgets.step_screen import assemble

Parts = list[str | tuple[str, str]]


@dataclass(frozen=True)
class Line:
    """One line of the list: a family, or with `family` "" the title of a group. `tone` is that of the sign."""

    text: str
    family: str = ""
    sign: str = ""
    tone: str = "row"
    note: str = ""


class Families(Widget, can_focus=True):
    """The families by what becomes of them, with a cursor. At its ends the arrows are left to the screen."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "families--title",
        "families--row",
        "families--ok",
        "families--warn",
        "families--muted",
        "families--focus",
        "families--cursor",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "leap(-1)", show=False),
        Binding("pagedown", "leap(1)", show=False),
        Binding("home", "leap(-10000)", show=False),
        Binding("end", "leap(10000)", show=False),
    ]

    class Moved(Message):
        """Another family is under the cursor."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: tuple[Line, ...] = ()
        self.stale = False
        self.cursor = 0
        self.touched = False  # until then the cursor stays at the top

    @property
    def family(self) -> str:
        """The family under the cursor, "" for none."""
        return self.lines[self.cursor].family if self.cursor < len(self.lines) else ""

    def show(self, lines: Sequence[Line], *, stale: bool, prefer: str = "") -> None:
        """Show these lines, greyed if `stale`, the cursor on the family `prefer`, else on the one where it was."""
        family = prefer or (self.family if self.touched else "")
        higher = len(lines) != len(self.lines)
        self.lines, self.stale = tuple(lines), stale
        rows = self._rows()
        self.cursor = next((n for n in rows if self.lines[n].family == family), rows[0] if rows else 0)
        self.refresh(layout=higher)

    def _rows(self) -> list[int]:
        return [number for number, line in enumerate(self.lines) if line.family]

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return container.width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.lines)

    def action_move(self, by: int) -> None:
        rows = self._rows()
        index = rows.index(self.cursor) + by if self.cursor in rows else -1
        if not 0 <= index < len(rows):
            raise SkipAction
        self._go(rows[index])

    def action_leap(self, by: int) -> None:
        parent, rows = self.parent, self._rows()
        if rows and isinstance(parent, Widget):
            wanted = self.cursor + by * max(parent.size.height - 1, 1)
            self._go(min(rows, key=lambda number: abs(number - wanted)))

    def _go(self, cursor: int) -> None:
        old, self.cursor, self.touched = self.cursor, cursor, True
        for line in (old, cursor):
            self.refresh(Region(0, line, self.size.width, 1))
        self.reveal()
        self.post_message(self.Moved())

    def reveal(self) -> None:
        """Scroll so that the cursor can be seen, with the title above the first family."""
        if isinstance(self.parent, Widget):
            first = self.cursor - 1 if self.cursor and not self.lines[self.cursor - 1].family else self.cursor
            self.parent.scroll_to_region(Region(0, first, self.size.width, self.cursor - first + 1), animate=False)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y >= len(self.lines):
            return Strip.blank(width, self.rich_style)
        line = self.lines[y]
        if not line.family:
            style = self.get_component_rich_style("families--muted" if self.stale else "families--title")
            return Strip([Segment(fit(plain(line.text), width), style)], width)
        here = y == self.cursor
        name = "row" if line.tone in ("ok", "warn") else line.tone
        name = "focus" if here and self.has_focus else "muted" if self.stale else "cursor" if here else name
        style = self.get_component_rich_style(f"families--{name}")
        bright = name in ("row", "cursor")
        tone = self.get_component_rich_style(f"families--{line.tone}") if bright else style
        faint = self.get_component_rich_style("families--muted") if bright else style
        sign = f"{glyph(line.sign)} "
        room = width - cell_len(sign)
        text = fit(plain(line.text), min(cell_len(plain(line.text)), room))
        note = fit(f"  {plain(line.note)}" if line.note else "", room - cell_len(text))
        return Strip([Segment(sign, tone), Segment(text, style), Segment(note, faint)], width)


class SeriesPane(Vertical):
    """Figures above, the families in the middle, below what each rule did to the one under the cursor."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.passed = Passed()
        self.advice: dict[str, Advice] = {}

    def compose(self) -> ComposeResult:
        yield Prose(classes="figures")
        with VerticalScroll(can_focus=False, classes="families"):
            yield Families()
        with VerticalScroll(can_focus=False, classes="story"):
            yield Prose(classes="story-text")

    @property
    def families(self) -> Families:
        """The list."""
        return self.query_one(Families)

    @property
    def chosen(self) -> Advice | None:
        """The advice for the family under the cursor; none while the text cannot be read."""
        return None if self.passed.stale else self.advice.get(self.families.family)

    def after(self, family: str) -> str:
        """The family whose turn it is when this one's advice was taken: that of the next advice, else itself."""
        names = list(self.advice)
        index = names.index(family) + 1 if family in names else 0
        return names[index] if index < len(names) else family

    def show(
        self,
        passed: Passed,
        advice: Sequence[Advice],
        views: Sequence[View],
        source: Source | None,
        *,
        prefer: str = "",
    ) -> None:
        """Show this outcome."""
        self.passed = passed
        self.advice = {one.family.family: one for one in advice}
        parts: Parts = [(origin(source), muted()), "\n", *trouble(passed), *figures(passed, views)]
        self.query_one(".figures", Prose).update(assemble(*parts))
        families = self.families
        families.show(self._lines(), stale=passed.stale, prefer=prefer)
        self.call_after_refresh(families.reveal)
        self._show_story()

    def _lines(self) -> list[Line]:
        lines: list[Line] = []
        if self.advice:
            lines.append(Line(_("Panels need these, and this text drops them")))
        for one in self.advice.values():
            note = one.edit.sentence() if one.edit else one.why()
            lines.append(Line(_counted(one.family.family, one.series), one.family.family, "warn", "warn", note))
        above = ""
        for row in self.passed.rows:
            if row.family in self.advice:
                continue
            group = row.dropped_by or row.measurement
            if group != above:
                title = _("dropped by {setting}") if row.dropped_by else _("measurement {name}")
                lines.append(Line(title.format(setting=group, name=group)))
                above = group
            if row.dropped_by:
                lines.append(Line(_counted(row.family, row.series), row.family, "skip", "muted"))
            else:
                lines.append(Line(_counted(row.field, row.series), row.family, "ok", "ok"))
        return lines

    def on_families_moved(self, event: Families.Moved) -> None:
        self._show_story()
        self.screen.refresh_bindings()

    def _show_story(self) -> None:
        family = self.families.family
        tone = muted() if self.passed.stale else ""
        parts: Parts = [(family, tone or "bold")] if family else []
        one = self.chosen
        if one is not None:
            parts += self._advice(one)
        for sentence in self.passed.story(family) if family else ():
            parts += ["\n", (f"{glyph('dot')} ", muted()), (sentence, tone)]
        self.query_one(".story-text", Prose).update(assemble(*parts))
        self.query_one(".story", VerticalScroll).scroll_home(animate=False)

    def _advice(self, one: Advice) -> Parts:
        titles = [translation(panel.title, language()) for _view, panel in one.panels]
        parts: Parts = ["\n", _("Needed by: {panels}").format(panels=", ".join(titles)), "\n"]
        if one.edit is None:
            return [*parts, _("No edit that we know would deliver it as the panels ask.")]
        cost = ngettext("{n} series more of each member", "{n} series more of each member", one.series)
        return [*parts, ("f ", "bold $accent"), f"{one.edit.sentence()} ({cost.format(n=one.series)})"]


def _counted(name: str, series: int) -> str:
    return f"{name} {glyph('times')}{series}" if series > 1 else name


def origin(source: Source | None) -> str:
    """Which scrape it is."""
    if source is None:
        return _("The bundled sample of etcd 3.4, until the scrape is there.")
    if source.node:
        return _("Scraped just now from {url} on {node}.").format(url=source.url, node=source.node)
    if source.path:
        return _("The saved file {path}.").format(path=source.path)
    why = _("The bundled sample of etcd 3.4: {why}.").format(why=source.why_sample.rstrip("."))
    return f"{why} {_('o opens a saved scrape.')}"


def trouble(passed: Passed) -> Parts:
    """Why the text could not be read, and that what is shown is older."""
    parts: Parts = []
    if passed.scrape_error:
        told = _("This is not all exposition: {error}").format(error=passed.scrape_error)
        parts += [(glyph("fail") + " ", "$error"), told, "\n"]
    if not passed.error:
        return parts
    parts += [(glyph("fail") + " ", "$error"), passed.error, "\n"]
    return (
        [*parts, (_("Below is what the last text that could be read gave."), muted()), "\n"] if passed.stale else parts
    )


def brief(passed: Passed, views: Sequence[View]) -> Parts:
    """The figures in one line, for where the text needs the room."""
    filled = fills(passed, views)
    told = _("{n}/{panels} panels, {kept}/{all} series, {day} points a day").format(
        n=sum(full for _view, full, _all in filled),
        panels=sum(panels for _view, _full, panels in filled),
        kept=passed.kept,
        all=passed.all,
        day=f"{passed.points_per_day:,}",
    )
    return [(_("Was: {figures}").format(figures=told), muted())] if passed.stale else [told]


def figures(passed: Passed, views: Sequence[View]) -> Parts:
    """What is kept, what it costs and what it fills; greyed where the text can no longer be read."""
    tone = muted() if passed.stale else ""
    points = ngettext("{n} point a scrape", "{n} points a scrape", passed.points).format(n=passed.points)
    told = _("{kept} of {all} series kept; {points}, {day} a day, of each member").format(
        kept=passed.kept, all=passed.all, points=points, day=f"{passed.points_per_day:,}"
    )
    parts: Parts = [(told, tone)]
    for view, full, panels in fills(passed, views):
        line = _("{view}: {n} of {all} panels filled").format(view=view.title(language()), n=full, all=panels)
        parts += ["\n", (line, tone)]
    return parts
