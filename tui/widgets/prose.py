"""Text that also breaks between Chinese characters, as a reader of Chinese expects; Textual's own breaks at spaces."""

from __future__ import annotations

from itertools import pairwise

from rich.cells import cell_len
from textual.content import Content
from textual.css.styles import RulesMap
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions, Visual
from textual.widgets import Static

# What may not begin a line, and what may not end one.
CLOSING = frozenset("。，、；：？！）」』】》〉〕％…—·～”’,.;:?!)]}%/>")
OPENING = frozenset("（「『【《〈〔“‘([{</#$")
QUOTES = frozenset("\"'`")  # they open as well as close


def breaks(line: str, width: int) -> list[int]:
    """Where `line`, which has no line break, is to be broken so that each part has at most `width` cells.

    The spaces before a break are not counted. A piece that has no place for a break and is too wide is cut.
    """
    found: list[int] = []
    start = x = 0
    for end in [*_places(line), len(line)]:
        piece = line[start:end]
        body = cell_len(piece.rstrip())
        if x and x + body > width:
            found.append(start)
            x = 0
        if body > width:
            for index in range(start, end):
                size = cell_len(line[index])
                if x + size > width and x and not line[index].isspace():
                    found.append(index)
                    x = 0
                x += size
        else:
            x += cell_len(piece)
        start = end
    return found


def _places(line: str) -> list[int]:
    """The indexes at which `line` may be broken."""
    indent = len(line) - len(line.lstrip())
    return [index for index, (a, b) in enumerate(pairwise(line), 1) if index > indent and _may_break(a, b)]


def _may_break(a: str, b: str) -> bool:
    if b.isspace() or a.isspace():
        return a.isspace() and not b.isspace()
    if not (_wide(a) or _wide(b)):
        return False
    return a not in OPENING | QUOTES and b not in CLOSING | QUOTES


def _wide(character: str) -> bool:
    return cell_len(character) == 2


def wrapped(content: Content, width: int) -> Content:
    """`content` with its lines broken for `width` cells; as it is where there is nothing that is two cells wide."""
    if width <= 0 or not any(map(_wide, content.plain)):
        return content
    lines: list[Content] = []
    for line in content.split("\n", allow_blank=True):
        lines += [part.rstrip() for part in line.divide(breaks(line.plain, width))]
    return Content("\n").join(lines)


class _Broken(Visual):
    """A Content that is broken by `wrapped` before Textual lays it out."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._for: tuple[int, Content] = (0, content)

    def _at(self, width: int) -> Content:
        if self._for[0] != width:
            self._for = (width, wrapped(self._content, width))
        return self._for[1]

    def render_strips(self, width: int, height: int | None, style: Style, options: RenderOptions) -> list[Strip]:
        return self._at(width).render_strips(width, height, style, options)

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        return self._content.get_optimal_width(rules, container_width)

    def get_minimal_width(self, rules: RulesMap) -> int:
        return self._content.get_minimal_width(rules)

    def get_height(self, rules: RulesMap, width: int) -> int:
        return self._at(width).get_height(rules, width)


class Prose(Static):
    """Textual's Static for text that may be Chinese."""

    def render(self) -> Visual:
        visual = self.visual
        return _Broken(visual) if isinstance(visual, Content) else visual
