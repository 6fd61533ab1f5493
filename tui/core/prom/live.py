"""The preview beside an editor: a scrape is read once, and judged again after every edit of the conf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tui.core.prom import exposition
from tui.core.prom.conf import load
from tui.core.prom.explain import NO_INPUT, FamilyOutcome, Judge
from tui.core.prom.settings import Loaded, PromInput

DAY_S = 86400


@dataclass(frozen=True)
class Share:
    """What one input makes of a scrape of one member: each of its URLs is one. Figures leave `collector up` out."""

    settings: PromInput
    families: tuple[FamilyOutcome, ...]

    @property
    def series(self) -> int:
        """Series kept."""
        return sum(one.series for one in self.families if one.kept)

    @property
    def points(self) -> int:
        """Points a round, with those that have lost their value."""
        return sum(one.points for one in self.families)

    @property
    def points_per_day(self) -> int:
        """Points a day at this input's interval; 0 where it has none."""
        interval = self.settings.interval_s
        return round(self.points * DAY_S / interval) if interval > 0 else 0


@dataclass(frozen=True)
class Picture:
    """What a conf makes of a scrape. Inputs whose Init fails have no share.

    `families` has each family once: as the first input that keeps it sees it, else as the first input does. `fields`
    are the fields that arrive as metrics, by measurement (`collector` with `up` too). With `stale`, this is the last
    conf that could be read, while `error` and `line` (from 1, 0 unknown) are those of the text as it is now.
    """

    shares: tuple[Share, ...] = ()
    families: tuple[FamilyOutcome, ...] = ()
    fields: Mapping[str, frozenset[str]] = field(default_factory=dict)
    error: str = ""
    line: int = 0
    stale: bool = False

    @property
    def kept(self) -> int:
        """How many series of the scrape pass some input."""
        return sum(one.series for one in self.families if one.kept)

    @property
    def all(self) -> int:
        """How many series the scrape has."""
        return sum(one.series for one in self.families)

    @property
    def points(self) -> int:
        """Points a round and member, of all inputs."""
        return sum(share.points for share in self.shares)

    @property
    def points_per_day(self) -> int:
        """Points a day and member, of all inputs."""
        return sum(share.points_per_day for share in self.shares)

    def family(self, name: str) -> FamilyOutcome | None:
        """The outcome of a family, the kept one where it has several types."""
        found = [one for one in self.families if one.family == name]
        return next((one for one in found if one.kept), found[0] if found else None)


class LivePreview:
    """One scrape under conf after conf. `body` is the scrape, `env` are the agent's environment variables.

    `error` says what is wrong with the body ("" nothing): what came before its bad line is judged all the same.
    """

    def __init__(self, body: bytes, env: Mapping[str, str]) -> None:
        self.env = dict(env)
        self.text = ""
        self._body = body
        self._read: dict[int, Judge] = {}
        self._last: Picture | None = None
        self.error = ""
        self._judge(1)

    def update(self, text: str) -> Picture:
        """The picture of a text while it is typed: what is no TOML leaves the last good one, as stale."""
        loaded = load(text, self.env)
        if loaded.error and not loaded.inputs and self._last:
            return replace(self._last, error=loaded.error, line=loaded.line, stale=True)
        picture = self._picture(loaded)
        if loaded.inputs or not loaded.error:
            self._last, self.text = picture, text
        return picture

    def look(self, text: str) -> Picture:
        """The picture of any text; what `update` remembers stays."""
        return self._picture(load(text, self.env))

    def _judge(self, stream_size: int) -> Judge:
        size = max(stream_size, 0)
        if size not in self._read:
            read = exposition.parse(self._body, size)
            self.error = self.error or read.error
            self._read[size] = Judge(read)
        return self._read[size]

    def _picture(self, loaded: Loaded) -> Picture:
        working = [one for one in loaded.inputs if not one.problem]
        shares = tuple(Share(one, tuple(self._judge(one.stream_size).outcomes(one))) for one in working)
        problem = next((one.problem for one in loaded.inputs if one.problem), "")
        up = any(share.settings.reports_up and not share.settings.output and share.points for share in shares)
        picture = replace(picture_of(shares, up=up), error=loaded.error or problem, line=loaded.line)
        if shares:
            return picture
        known = self._judge(1).outcomes(PromInput())
        return replace(picture, families=tuple(replace(one, outcome=NO_INPUT, points=0, fields=()) for one in known))


def picture_of(shares: tuple[Share, ...], *, up: bool) -> Picture:
    """The picture that these shares make together. `up`: `collector up` is sent."""
    fields = _fields(shares) | ({"collector": frozenset({"up"})} if up else {})
    return Picture(shares, tuple(_united(shares)), fields)


def _united(shares: tuple[Share, ...]) -> list[FamilyOutcome]:
    families: dict[tuple[str, str], FamilyOutcome] = {}
    for share in shares:
        for one in share.families:
            before = families.setdefault((one.family, one.type), one)
            if one.kept and not before.kept:
                families[one.family, one.type] = one
    return list(families.values())


def _fields(shares: tuple[Share, ...]) -> dict[str, frozenset[str]]:
    fields: dict[str, set[str]] = {}
    for share in shares:
        if share.settings.output or share.settings.as_logging:
            continue
        for one in share.families:
            if one.kept:
                fields.setdefault(one.name.measurement, set()).update(one.fields)
    return {name: frozenset(found) for name, found in fields.items()}
