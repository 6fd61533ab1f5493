"""`why VIEW PANEL` on a practice lab: from an empty panel to its first broken hop and the command that mends it."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from kubectl import PROBLEM
from practice import Practice, practice

from tui.i18n import assets

DEADLINE_S = 90.0
SCHEMA = json.loads((Path(assets()) / "schemas" / "why-v1.json").read_text())


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    with practice(tmp_path_factory.mktemp("why")) as running:
        yield running


def why(lab: Practice, view: str, panel: str, **more: Any) -> dict[str, Any]:
    done = lab.run("why", view, panel, "-o", "json", **more)
    found: dict[str, Any] = json.loads(done.out)
    jsonschema.validate(found, SCHEMA)
    assert done.status == (0 if found["filled"] else 1), done
    assert (found["hop"] is None) == found["filled"]
    return found


def until_filled(lab: Practice, view: str, panel: str) -> dict[str, Any]:
    deadline = time.monotonic() + DEADLINE_S
    while not (found := why(lab, view, panel))["filled"] and time.monotonic() < deadline:
        time.sleep(0.5)  # the lab's own pace: a collection takes two seconds
    return found


@pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM)
def test_the_command_that_is_printed_mends_it(lab: Practice) -> None:
    assert until_filled(lab, "kubernetes", "K3")["filled"]
    hop = why(lab, "kubernetes", "K23")["hop"]
    assert hop["id"] == "panel/data"
    assert "Pod metrics" in hop["found"]
    command = shlex.split(hop["command"])
    assert command[0] == "kubectl"
    subprocess.run(
        [*command, "--kubeconfig", lab.ready["kubeconfig"]], check=True, capture_output=True, env=lab.environment()
    )
    assert until_filled(lab, "kubernetes", "K23")["filled"]


def test_a_panel_without_its_conf_names_the_conf_and_fills_when_it_is_there(lab: Practice) -> None:
    before = why(lab, "etcd", "Has leader")
    assert (before["panel"]["key"], before["hop"]["id"]) == ("E1", "conf/key")
    assert "datakit-wizard apply" in before["hop"]["command"]
    answers = lab.home.parent / "answers.toml"
    answers.write_text(lab.run("answers", "--preset", "tutorial").out)
    assert lab.run("apply", "-f", answers, "--yes", "--no-views").status == 0
    assert until_filled(lab, "etcd", "E1")["filled"]
    # What this preset drops is told as such, tried on what etcd says just now.
    dropped = why(lab, "etcd", "E9")["hop"]
    assert "does not collect etcd.process_resident" in why(lab, "etcd", "E11")["hop"]["found"]
    assert (dropped["id"], dropped["looked_at"]) == ("panel/data", "a scrape made just now")
    assert "does not collect etcd.mvcc_db_total_size_in_bytes" in dropped["found"]
    assert "--preset recommended" in dropped["command"]


def test_what_a_viewer_may_not_do_does_not_keep_the_panel_from_being_judged(lab: Practice) -> None:
    assert why(lab, "docker", "D1", user="viewer")["filled"]


def test_nothing_to_show_is_told_as_such(lab: Practice) -> None:
    hop = why(lab, "docker", "D5")["hop"]
    assert hop["id"] == "panel/data"
    assert any("Docker" in cause for cause in hop["causes"])


def test_without_a_key_it_says_what_it_cannot_see(lab: Practice) -> None:
    done = lab.run("why", "docker", "D1", studio=False)
    assert done.status == 1
    assert "could not be looked at" in done.out


@pytest.mark.parametrize(
    ("arguments", "names"), [(("nope", "E1"), "istio-workload"), (("etcd", "nope"), "E1 (Has leader)")]
)
def test_an_unknown_name_is_a_usage_error_with_those_that_there_are(
    lab: Practice, arguments: tuple[str, str], names: str
) -> None:
    done = lab.run("why", *arguments)
    assert done.status == 2
    assert names in done.err
