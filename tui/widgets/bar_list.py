"""Top lists and pies as bars: a name, a bar as long as the value, the value, and of a pie its share."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from tui.core.panel_data import Share
from tui.core.units import shown
from tui.i18n import _
from tui.widgets.glyphs import fit, is_ascii, muted, plain
from tui.widgets.line_chart import Part, colour

_EIGHTHS = " ▏▎▍▌▋▊▉█"


def draw(shares: Sequence[Share], width: int, height: int, *, pie: bool = False, more: int = 0) -> list[list[Part]]:
    """At most `height` lines, each at most `width` cells wide; the last says how many rows have no place."""
    hidden = more + max(len(shares) - height, 0)
    if hidden:
        kept = shares[: max(height - 1, 1)]
        hidden = more + len(shares) - len(kept)
    else:
        kept = shares
    total = sum(share.value for share in shares)
    values = [_value(share, total if pie else 0.0) for share in kept]
    longest = max(cell_len(value) for value in values)
    if longest + 8 > width:  # no room for both: the share or the value alone
        values = [value.split("  ")[-1].strip() for value in values]
        longest = max(cell_len(value) for value in values)
    name_room = min(max(cell_len(plain(share.name)) for share in kept), max((width - longest) // 2 - 2, 3))
    bar_room = max(width - name_room - longest - 2, 1)
    most = total if pie else max(share.value for share in kept)
    lines: list[list[Part]] = []
    for index, (share, value) in enumerate(zip(kept, values, strict=True)):
        part = share.value / most if most > 0 else 0.0
        tone = colour(index) if pie else colour(0)
        lines.append(
            [
                (fit(plain(share.name), name_room) + " ", ""),
                (fit(bar(part, bar_room), bar_room) + " ", tone),
                (" " * (longest - cell_len(value)) + value, "bold"),
            ]
        )
    if hidden and len(lines) < height:
        lines.append([(fit(plain(_("and {n} more").format(n=hidden)), width), muted())])
    return lines


def bar(part: float, width: int) -> str:
    """A bar that fills this part of `width` cells, to an eighth of a cell; what is not nothing is seen."""
    eighths = round(min(max(part, 0.0), 1.0) * width * 8)
    if part > 0:
        eighths = max(eighths, 1)
    if is_ascii():
        return "#" * max(round(eighths / 8), 1 if part > 0 else 0)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def _value(share: Share, total: float) -> str:
    value = shown(share.value, share.unit)
    return f"{value}  {share.value / total:>6.1%}" if total > 0 else value
