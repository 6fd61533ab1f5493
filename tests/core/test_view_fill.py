"""Which panels fill by the data that have arrived, and what is said of the others."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tui import i18n
from tui.core import view_fill, views
from tui.core.ports import Answer, Ask, Series
from tui.core.view_fill import PanelFill
from tui.core.view_schema import View
from tui.core.view_sync import MISSING, SAME, Standing, Wanted

NOW = 1_760_000_000_000.0
FULL = Answer((Series({}, ("time", "value"), ((NOW, 1.0),)),))
KUBERNETES, DOCKER, ETCD = (views.view(key) for key in ("kubernetes", "docker", "etcd"))


class Studio:
    """Answers with something, but for queries that hold one of `without`; refuses those that hold one of `against`."""

    def __init__(self, without: Sequence[str] = (), against: Sequence[str] = ()) -> None:
        self.asked: list[str] = []
        self.range = (0, 0)
        self._without, self._against = without, against

    def answers(self, asks: Sequence[Ask], *, start_ms: int, end_ms: int) -> list[Answer]:
        self.asked += [ask.text for ask in asks]
        self.range = (start_ms, end_ms)
        return [self._answer(ask.text) for ask in asks]

    def _answer(self, text: str) -> Answer:
        if any(part in text for part in self._against):
            return Answer(error="unexpected 'x' at 3")
        return Answer() if any(part in text for part in self._without) else FULL


def data(studio: Studio, *some: View) -> dict[str, list[PanelFill]]:
    return view_fill.ask(studio, some, "lab", now_ms=NOW, time_scale=30.0)  # type: ignore[arg-type]


def lacking(found: Sequence[PanelFill]) -> dict[str, tuple[str, ...]]:
    return {one.panel.key: one.unmet for one in found if not one.filled}


def test_every_query_is_asked_once_for_this_cluster_over_a_quarter_of_an_hour() -> None:
    studio = Studio()
    found = data(studio, *views.catalogue())
    assert all(one.filled for own in found.values() for one in own)
    assert len(studio.asked) == len(set(studio.asked))
    assert all("'lab'" in text or '"lab"' in text for text in studio.asked)
    assert not any("vector(0)" in text for text in studio.asked), "a 0 instead of nothing is no data"
    assert studio.range == (NOW - 30_000, NOW)


def test_a_panel_lacks_the_field_that_nothing_came_of() -> None:
    [one] = [each for each in data(Studio(["block_read_byte"]), DOCKER)["docker"] if not each.filled]
    assert (one.panel.key, one.lacking) == ("D5", (("docker_containers", "block_read_byte"),))


def test_what_panels_that_fill_need_is_met() -> None:
    """The input runs, or no panel of the view would fill; so it is the metrics of pods that are missing."""
    found = data(Studio(["kube_pod`:(sum", "kube_pod`:(last", "kube_pod:"]), KUBERNETES)
    assert set(lacking(found["kubernetes"]).values()) == {("pod-metrics",)}
    everything = data(Studio(["kube", "docker", "system", "mem", "disk"]), KUBERNETES, DOCKER)
    assert lacking(everything["docker"])["D1"] == ("container",)


def test_what_one_view_shows_speaks_for_another() -> None:
    found = data(Studio(["docker"]), KUBERNETES, DOCKER)
    assert lacking(found["docker"])["D1"] == ()


def test_a_filter_is_named_where_no_panel_of_its_preset_fills() -> None:
    recommended = [panel for panel in ETCD.panels if panel.preset == "recommended"]
    fields = [line.query.field for panel in recommended for line in panel.lines]
    found = lacking(data(Studio(fields), ETCD)["etcd"])
    assert found["E11"] == ("preset-recommended",)
    assert "E1" not in found
    assert found["E10"] == ("histogram", "preset-recommended")


def test_a_refused_query_is_told_as_such() -> None:
    found = data(Studio(against=["topk", "histogram_quantile"]), ETCD)["etcd"]
    refused = [one for one in found if one.refused]
    assert refused
    assert all(one.panel.histogram and not one.unmet for one in refused)
    keys = " ".join(one.panel.key for one in refused)
    assert view_fill.reasons(found, "en") == [f"{keys}: The studio refused the query: unexpected 'x' at 3"]


def test_reasons_are_told_once_for_all_panels_that_share_them() -> None:
    found = data(Studio(["kube_pod`:(sum", "kube_pod`:(last", "kube_pod:"]), KUBERNETES)["kubernetes"]
    [line] = view_fill.reasons(found, "en")
    assert line.startswith("K25 K25m K22 K24 K26 K23 K23m: Nothing has arrived of kube_pod.cpu_request_millicores, ")
    assert line.endswith("ENV_INPUT_CONTAINER_ENABLE_POD_METRIC=true).")
    assert ", …. It fills when: " in line


@pytest.mark.parametrize(("language", "words"), [("en", "no preset collects"), ("zh", "预设均不采集")])
def test_where_nothing_else_is_known_the_panels_note_tells(language: str, words: str) -> None:
    i18n.use_language(language)
    found = data(Studio(["grpc_server_handled_total"]), ETCD)["etcd"]
    [line] = view_fill.reasons(found, language)
    assert line.startswith("E14f: ")
    assert words in line


def test_status_as_json() -> None:
    chosen = [DOCKER, ETCD]
    standings = [
        Standing(Wanted("docker", "lab", "x", "en"), "dsbd_1", SAME),
        Standing(Wanted("etcd", "lab", "y", "en"), "dsbd_2", MISSING),
    ]
    told = view_fill.status(standings, chosen, data(Studio(["block_"]), *chosen), "en")
    assert (told["schema"], told["cluster"]) == ("datakit-wizard/views/v1", "lab")
    docker, etcd = told["views"]
    assert (docker["key"], docker["number"], docker["filled"]) == ("docker", "1.1", len(docker["panels"]) - 1)
    assert docker["dashboard"] == {"state": "same", "uuid": "dsbd_1", "name": None}
    block = next(panel for panel in docker["panels"] if panel["key"] == "D5")
    assert block["lacking"] == [
        {"source": "docker_containers", "field": "block_read_byte"},
        {"source": "docker_containers", "field": "block_write_byte"},
    ]
    assert [need["key"] for need in block["unmet"]] == ["docker"]
    assert etcd["dashboard"]["state"] == "missing"
    assert all(panel["filled"] and panel["unmet"] == [] for panel in etcd["panels"])
