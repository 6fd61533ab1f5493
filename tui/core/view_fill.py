"""Which panels of the views fill, by the data that have arrived: each of their queries is asked of the studio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from tui.core.ports import Ask, Studio
from tui.core.query import Query
from tui.core.view_schema import SETTINGS, Panel, View, translation
from tui.core.view_sync import Standing
from tui.i18n import _

SCHEMA = "datakit-wizard/views/v1"
# As far back as a dashboard looks that somebody opens, in the cluster's time; objects come every five minutes.
RANGE_S = 900.0
_MOST_FIELDS = 3  # that a line of text names
_PRESET = "preset-"


@dataclass(frozen=True)
class PanelFill:
    """A panel, the (source, field) pairs of its queries that nothing was answered for, and what it may lack for them.

    `refused` is what the studio said where it did not take a query. `unmet` are keys of SETTINGS, and "preset-" with a
    preset of the filter's: of what the panel needs that for which no panel that fills speaks.
    """

    panel: Panel
    lacking: tuple[tuple[str, str], ...] = ()
    unmet: tuple[str, ...] = ()
    refused: str = ""

    @property
    def filled(self) -> bool:
        """Whether each of its queries gives something."""
        return not self.lacking


def ask(
    studio: Studio, views: Sequence[View], cluster: str, *, now_ms: float, time_scale: float = 1.0
) -> dict[str, list[PanelFill]]:
    """What the panels of these views (by their keys) have got for a cluster in the quarter of an hour before now.

    All queries go out together, each once. Raises what `Studio.answers` raises.
    """
    asked = {line.query: _text(line.query, cluster) for view in views for panel in view.panels for line in panel.lines}
    texts = list(dict.fromkeys(asked.values()))
    start_ms = now_ms - RANGE_S * 1000 / time_scale
    answers = studio.answers([Ask(text) for text in texts], start_ms=int(start_ms), end_ms=int(now_ms))
    by_text = dict(zip(texts, answers, strict=True))

    def look(panel: Panel) -> PanelFill:
        got = {line.query: by_text[asked[line.query]] for line in panel.lines}
        empty = [query for query, answer in got.items() if not any(one.rows for one in answer.series)]
        lacking = tuple(dict.fromkeys((query.source, query.stored) for query in empty))
        return PanelFill(panel, lacking, refused=next((got[query].error for query in empty if got[query].error), ""))

    return explained({view.key: [look(panel) for panel in view.panels] for view in views})


def _text(query: Query, cluster: str) -> str:
    """A query's text for the whole cluster. A 0 that stands for nothing is no data."""
    return replace(query, zero=False).bound({"cluster_name_k8s": cluster}).text()


def explained(found: Mapping[str, Sequence[PanelFill]]) -> dict[str, list[PanelFill]]:
    """The panels of some views, by the views' keys, with what each may lack. A setting holds as soon as a panel of any
    view that needs it fills, a filter as soon as one of the same view does.
    """
    held = {need for data in found.values() for one in data if one.filled for need in _settings(one.panel)}

    def explain(one: PanelFill, passed: Set[str]) -> PanelFill:
        if one.filled or one.refused:
            return one
        unmet = [need for need in _settings(one.panel) if need not in held]
        preset = one.panel.preset
        return replace(one, unmet=(*unmet, *((of_preset(preset),) if preset and preset not in passed else ())))

    return {
        key: [explain(one, {each.panel.preset for each in own if each.filled}) for one in own]
        for key, own in found.items()
    }


def _settings(panel: Panel) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*panel.settings, *(("histogram",) if panel.histogram else ()))))


def of_preset(preset: str) -> str:
    """The key, of those in PanelFill.unmet, that says that a preset of the filter is not in force."""
    return _PRESET + preset


def need_text(key: str) -> str:
    """What a panel needs, one of PanelFill.unmet, in the language in use."""
    if key.startswith(_PRESET):
        return _("the filter lets its metrics through, as preset {preset} does").format(preset=key[len(_PRESET) :])
    return _(SETTINGS[key])


def status(
    standings: Sequence[Standing], views: Sequence[View], data: Mapping[str, Sequence[PanelFill]], language: str
) -> dict[str, Any]:
    """The status of the views as JSON: how each stands in the workspace, which panels fill, what the others lack."""
    by_key = {standing.wanted.key: standing for standing in standings}
    return {
        "schema": SCHEMA,
        "cluster": standings[0].wanted.cluster if standings else "",
        "views": [_view(view, by_key[view.key], data[view.key], language) for view in views],
    }


def _view(view: View, standing: Standing, data: Sequence[PanelFill], language: str) -> dict[str, Any]:
    return {
        "key": view.key,
        "number": view.number,
        "title": view.title(language),
        "dashboard": {
            "state": standing.state,
            "uuid": standing.uuid,
            "name": standing.dashboard.name if standing.dashboard else None,
        },
        "filled": sum(one.filled for one in data),
        "panels": [
            {
                "key": one.panel.key,
                "row": one.panel.ref,
                "title": translation(one.panel.title, language),
                "filled": one.filled,
                "lacking": [{"source": source, "field": field} for source, field in one.lacking],
                "unmet": [{"key": key, "text": need_text(key)} for key in one.unmet],
                "refused": one.refused,
                "note": translation(one.panel.note, language) if one.panel.note and not one.filled else "",
            }
            for one in data
        ],
    }


def why(one: PanelFill, language: str, absent: Set[str] = frozenset()) -> list[str]:
    """Why a panel has nothing to show, in sentences: what has not arrived, and what would have it arrive; the panel's
    note where nothing else is known. Of sources in `absent` nothing has arrived at all, so they are named alone.
    """
    if one.refused:
        return [_("The studio refused the query: {why}").format(why=one.refused)]
    if not one.lacking:
        return [_("No points in this time range for what is chosen.")]
    names = dict.fromkeys(
        source if field == "*" or source in absent else f"{source}.{field}" for source, field in one.lacking
    )
    fields = ", ".join(list(names)[:_MOST_FIELDS]) + (", …" if len(names) > _MOST_FIELDS else "")
    said = [_("Nothing has arrived of {fields}.").format(fields=fields)]
    if one.unmet:
        said.append(_("It fills when: {settings}.").format(settings="; ".join(map(need_text, one.unmet))))
    elif one.panel.note:
        said.append(translation(one.panel.note, language))
    return said


def reasons(data: Sequence[PanelFill], language: str) -> list[str]:
    """Why the panels of a view that do not fill lack data, a line for each reason, with all that it holds for."""
    groups: dict[tuple[tuple[str, ...], str, str], list[PanelFill]] = {}
    for one in data:
        if not one.filled:
            noted = one.panel.note and not one.unmet and not one.refused
            note = translation(one.panel.note, language) if noted else ""
            groups.setdefault((one.unmet, note, one.refused), []).append(one)
    return [_reason(own, language) for own in groups.values()]


def _reason(own: Sequence[PanelFill], language: str) -> str:
    lacking = tuple(dict.fromkeys(need for one in own for need in one.lacking))
    return f"{' '.join(one.panel.key for one in own)}: " + " ".join(why(replace(own[0], lacking=lacking), language))
