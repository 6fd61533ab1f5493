"""The preview beside an editor: the same as a round, quick after an edit, and never gone while one types."""

from __future__ import annotations

import pytest

from tui.core import views
from tui.core.etcd_conf import render
from tui.core.etcd_presets import PRESETS
from tui.core.prom import exposition
from tui.core.prom.collector import Scrape, collect
from tui.core.prom.conf import load
from tui.core.prom.explain import KEPT, NO_INPUT, explain
from tui.core.prom.live import LivePreview
from tui.core.prom.story import tell
from tui.i18n import assets

SAMPLE = (assets() / "samples" / "etcd-3.4.txt").read_bytes()
URL = "http://127.0.0.1:2381/metrics"
CONFS = {preset: render("node-http", preset, urls=[URL], cluster_name="c") for preset in PRESETS}
CONFS["etcd input"] = f'[[inputs.etcd]]\nurls = ["{URL}"]\n'
CONFS["two inputs"] = CONFS["tutorial"] + f'\n[[inputs.prom]]\nurl = "{URL}"\nmetric_types = ["histogram"]\n'


@pytest.mark.parametrize("conf", CONFS.values(), ids=CONFS)
def test_the_picture_agrees_with_the_round(conf: str) -> None:
    picture = LivePreview(SAMPLE, {}).update(conf)
    rounds = [
        collect(one, lambda _url: Scrape(SAMPLE), host_tags={}, election_tags={}, now_ms=0)
        for one in load(conf, {}).inputs
    ]
    points = [point for done in rounds for point in done.points + done.ups]
    fields: dict[str, set[str]] = {}
    for point in points:
        fields.setdefault(point.measurement, set()).update(point.fields)
    assert picture.points == sum(len(done.points) for done in rounds)
    assert {name: set(found) for name, found in picture.fields.items()} == {
        name: found for name, found in fields.items() if found
    }
    assert picture.points_per_day == sum(
        len(done.points) * 86400 // share.settings.interval_s
        for done, share in zip(rounds, picture.shares, strict=True)
    )
    assert picture.all == 1246
    assert (picture.error, picture.stale) == ("", False)


def test_what_the_presets_are_said_to_cost() -> None:
    live = LivePreview(SAMPLE, {})
    assert {name: live.update(CONFS[name]).kept for name in PRESETS} == {
        name: preset.series for name, preset in PRESETS.items()
    }


def test_after_an_edit_nothing_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    live = LivePreview(SAMPLE, {})
    monkeypatch.setattr(exposition, "parse", lambda *_arguments: pytest.fail("read again"))
    for conf in (CONFS["tutorial"], CONFS["full"], CONFS["tutorial"].replace("etcd_server_has", "^go_")):
        (settings,) = load(conf, {}).inputs
        monkeypatch.undo()
        expected = explain(settings, exposition.parse(SAMPLE, 1))
        monkeypatch.setattr(exposition, "parse", lambda *_arguments: pytest.fail("read again"))
        assert list(live.update(conf).families) == expected


def test_the_last_good_picture_stays_while_the_text_is_broken() -> None:
    live = LivePreview(SAMPLE, {})
    first = live.update('[[inputs.prom]]\nurl = "')
    assert (first.stale, first.kept, first.line) == (False, 0, 2)
    assert {one.outcome for one in first.families} == {NO_INPUT}
    good = live.update(CONFS["tutorial"])
    last = CONFS["tutorial"].count("\n") + 2
    for broken, line in ((CONFS["tutorial"] + '\nx = "', last), ("[[inputs.prom]]\nurls = 1", 0)):
        stale = live.update(broken)
        assert (stale.stale, stale.line, stale.kept, stale.fields) == (True, line, good.kept, good.fields)
        assert stale.error
        assert live.text == CONFS["tutorial"]
    assert live.look('x = "').kept == 0
    assert not live.update(CONFS["full"]).stale
    assert live.update("").kept == 0


def test_an_input_that_does_not_start_has_no_share() -> None:
    picture = LivePreview(SAMPLE, {}).update('[[inputs.prom]]\nurls = ["10.0.0.1:2379/m"]\n')
    assert (picture.shares, picture.kept, picture.fields) == ((), 0, {})
    assert picture.error
    assert tell(picture, "etcd_server_has_leader") == ["no input of the conf works"]
    assert tell(picture, "etcd_no_such") == []


@pytest.mark.parametrize(
    ("setting", "fields"),
    [('output = "/tmp/x"', {}), ("as_logging = {enable = true}", {"collector": {"up"}})],
    ids=["output", "as_logging"],
)
def test_what_is_not_sent_as_metrics_fills_no_panel(setting: str, fields: dict[str, set[str]]) -> None:
    assert LivePreview(SAMPLE, {}).update(f'[[inputs.prom]]\nurl = "{URL}"\n{setting}\n').fields == fields


def test_a_bad_body_says_so_and_shows_what_came_before() -> None:
    live = LivePreview(b"# TYPE a_b gauge\na_b 1\n# TYPE a_c gauge\na_c <html>\n", {})
    assert "line 4" in live.error
    assert live.update(f'[[inputs.prom]]\nurl = "{URL}"\n').kept == 1


def test_variables_are_the_agents() -> None:
    conf = f'[[inputs.prom]]\nurl = "{URL}"\nmetric_name_filter = ["^$WHICH"]\n'
    assert LivePreview(SAMPLE, {"WHICH": "go_goroutines"}).update(conf).kept == 1


@pytest.mark.parametrize(
    ("family", "outcome", "sentences"),
    [
        ("etcd_server_has_leader", KEPT, ["is found in the name", "gauge is among", "rule etcd_", "1,440 a day"]),
        ("go_goroutines", "metric_name_filter", ["left out", "nothing is found in the name: dropped"]),
        ("grpc_server_handled_total", "metric_name_filter_ignore", ["'^grpc_' is found in the name: dropped"]),
        ("etcd_disk_wal_fsync_duration_seconds", "metric_types", ["histogram is not among them: dropped"]),
    ],
)
def test_what_each_rule_did(family: str, outcome: str, sentences: list[str]) -> None:
    conf = f"""[[inputs.prom]]
url = "{URL}"
interval = "60s"
metric_types = ["gauge", "counter"]
metric_name_filter = ["*bad*", "^etcd_server", "wal_fsync"]
metric_name_filter_ignore = ["^grpc_"]
measurements = [{{prefix = "etcd_", name = "etcd"}}]
"""
    picture = LivePreview(SAMPLE, {}).update(conf)
    one = picture.family(family)
    assert one is not None
    assert picture.family("etcd_no_such") is None
    said = tell(picture, family)
    assert one.outcome == outcome
    for words in sentences:
        assert any(words in line for line in said), (words, said)
    assert sum("dropped" in line for line in said) == (outcome != KEPT)


def test_panels_that_the_presets_fill() -> None:
    live, view = LivePreview(SAMPLE, {}), views.view("etcd")
    filled = {name: sum(fill.ok for fill in views.fillable(view, live.update(CONFS[name]).fields)) for name in CONFS}
    assert filled["tutorial"] < filled["recommended"] == filled["full"]
    by_etcd = views.fillable(view, live.update(CONFS["etcd input"]).fields)
    # The names that no rule shortens: of the process, and of gRPC.
    assert [fill.panel.key for fill in by_etcd if fill.ok] == ["E14", "E14f", "E11", "E12"]
