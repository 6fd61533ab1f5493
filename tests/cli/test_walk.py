"""The whole way without a screen, on a lab that runs as a process of its own: answers, plan, apply, check, undo."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
from practice import Done, Practice, practice

COMMITTED = "server_proposals_committed_total"


def checks(done: Done) -> dict[str, dict[str, Any]]:
    """The checks of `check -o json` by their id."""
    report = json.loads(done.out)
    assert report["schema"] == "datakit-wizard/check/v1"
    assert report["ok"] is (report["verdict"] == "pass") is (done.status == 0)
    return {one["id"]: one for one in report["checks"]}


def not_well(found: dict[str, dict[str, Any]]) -> str:
    return "\n".join(
        f"{key}: {one['status']}: {one['found']} {one['causes']} {one['skipped_because']}"
        for key, one in found.items()
        if one["status"] not in ("pass",)
    )


def answers(lab: Practice, folder: Path, *arguments: str, user: str = "admin") -> Path:
    done = lab.run("answers", *arguments, user=user)
    assert done.status == 0, done
    path = folder / "answers.toml"
    path.write_text(done.out)
    return path


@pytest.mark.parametrize("etcd", ["stand-in", pytest.param("etcd", marks=pytest.mark.slow)])
def test_there_and_back(tmp_path: Path, etcd: str) -> None:
    if etcd == "etcd" and not shutil.which("etcd"):
        pytest.skip("etcd is not on PATH")
    with practice(tmp_path, stand_in=etcd == "stand-in") as lab:
        assert lab.ready["etcd"]["kind"] == etcd
        file = answers(lab, tmp_path)
        assert tomllib.loads(file.read_text())["etcd"]["strategy"] == "node-http"
        before = lab.objects()

        plan = lab.run("plan", "-f", file)
        assert plan.status == 1, plan
        assert "etcd.conf" in plan.out
        assert lab.objects() == before, "plan changed something"
        refused = lab.run("apply", "-f", file)
        assert refused.status == 5, refused
        assert lab.objects() == before

        first = lab.scrape(f"etcd_{COMMITTED}")
        applied = lab.run("apply", "-f", file, "--yes")
        assert applied.status == 0, applied
        receipt = Path(applied.out.strip())
        assert receipt.is_relative_to(lab.home / "state" / "datakit-wizard")
        assert receipt.stat().st_mode & 0o077 == 0

        done = lab.run("check", "-o", "json", "--wait", "90s")
        found = checks(done)
        assert done.status == 0, not_well(found)
        assert found["studio/series"]["status"] == "pass"
        last = lab.scrape(f"etcd_{COMMITTED}")
        series = lab.query(f"M::`etcd`:(last(`{COMMITTED}`)) BY `instance`, `cluster_name_k8s`, `host`")
        assert len(series) == len(lab.ready["etcd"]["members"]), series
        for one in series:
            assert one["tags"]["cluster_name_k8s"] == "lab"
            node = one["tags"]["instance"].partition(":")[0]
            values = [row[1] for row in one["values"] if row[1] is not None]
            assert first[node] <= values[0] <= last[node]

        told = lab.run("views", "status", "-o", "json")
        assert told.status == 0, told
        status = {view["key"]: view for view in json.loads(told.out)["views"]}
        assert {view["dashboard"]["state"] for view in status.values()} == {"same"}
        panels = {panel["key"]: panel for panel in status["etcd"]["panels"]}
        assert panels["E1"]["filled"]
        assert panels["E14f"]["lacking"] == [{"source": "etcd", "field": "grpc_server_handled_total"}]
        shown = lab.run("views", "status")
        assert "E14f: Nothing has arrived of etcd.grpc_server_handled_total" in shown.out, shown

        again = lab.run("plan", "-f", file)
        assert again.status == 0, again
        repeated = lab.run("apply", "-f", file, "--yes")
        assert repeated.status == 0, repeated

        undone = lab.run("undo", "--yes")
        assert undone.status == 0, undone
        assert lab.objects() == before
        assert "datakit-wizard" not in json.dumps(lab.objects())
        assert lab.run("undo", "--yes").status == 2


def test_the_tutorial_to_the_letter_fails_and_says_why(tmp_path: Path) -> None:
    with practice(tmp_path) as lab:
        file = answers(lab, tmp_path, "--strategy", "tutorial", "--preset", "tutorial")
        applied = lab.run("apply", "-f", file, "--yes")
        assert applied.status == 0, applied
        done = lab.run("check", "-o", "json", "--wait", "8s")
        assert done.status == 1, done
        found = checks(done)
        broken = [one for one in found.values() if one["status"] == "fail"]
        told = json.dumps([(one["causes"], one["found"], one["remedy"]) for one in broken])
        assert "cluster_name_k8s" in told or "certificate" in told, not_well(found)
        assert all(one["remedy"] for one in broken), not_well(found)

        remedied = tmp_path / "remedied"
        remedied.mkdir()
        better = answers(lab, remedied)
        assert lab.run("apply", "-f", better, "--yes").status == 0
        done = lab.run("check", "-o", "json", "--wait", "90s")
        assert done.status == 0, not_well(checks(done))


def test_the_remedy_as_printed_heals_and_one_undo_gives_the_tutorials_text_back(tmp_path: Path) -> None:
    with practice(tmp_path) as lab:
        file = answers(lab, tmp_path, "--strategy", "tutorial", "--preset", "tutorial")
        assert lab.run("apply", "-f", file, "--yes").status == 0
        tutorial = lab.objects()
        remedy = answers(lab, tmp_path)
        assert lab.run("apply", "-f", remedy, "--yes").status == 0
        healed = lab.run("check", "-o", "json", "--wait", "20s")
        assert healed.status == 0, not_well(checks(healed))
        undone = lab.run("undo", "--yes")
        assert undone.status == 0, undone
        now = lab.objects()
        assert now["ConfigMap"]["data"] == tutorial["ConfigMap"]["data"]
        # An apply may put its items of a list in another order, so lists are compared as sets.
        assert _sorted(now["DaemonSet"]["spec"]) == _sorted(tutorial["DaemonSet"]["spec"])


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(inner) for key, inner in value.items()}
    return sorted(map(_sorted, value), key=json.dumps) if isinstance(value, list) else value


def test_an_election_that_falls_on_a_worker_is_named(tmp_path: Path) -> None:
    """No certificates on the node that was elected: nothing arrives, and DataKit shows no error."""
    with practice(tmp_path, "--fault", "elected-on-worker") as lab:
        file = answers(lab, tmp_path, "--strategy", "tutorial", "--preset", "tutorial")
        applied = lab.run("apply", "-f", file, "--yes")
        assert applied.status == 0, applied
        done = lab.run("check", "-o", "json", "--wait", "8s")
        assert done.status == 1, done
        found = checks(done)
        assert found["etcd/elected-node"]["status"] == "fail", not_well(found)
        assert found["etcd/elected-node"]["remedy"]


def test_who_may_only_look_is_told_what_is_missing(tmp_path: Path) -> None:
    with practice(tmp_path) as lab:
        file = answers(lab, tmp_path)
        before = lab.objects()
        plan = lab.run("plan", "-f", file, user="viewer")
        assert plan.status == 1, plan
        assert "patch" in plan.out + plan.err
        refused = lab.run("apply", "-f", file, "--yes", user="viewer")
        assert refused.status == 5, refused
        assert lab.objects() == before
        assert lab.run("apply", "-f", file, "--yes").status == 0
        done = lab.run("check", "-o", "json", "--wait", "8s", user="viewer")
        assert done.status == 1, done
        report = json.loads(done.out)
        assert report["verdict"] == "inconclusive", not_well(checks(done))
        assert "pods/exec" in done.out


def test_wrong_answers_change_nothing(tmp_path: Path) -> None:
    """Each of these is refused after the cluster was looked at, with its own status and without a trace."""
    with practice(tmp_path) as lab:
        file = answers(lab, tmp_path)
        good = file.read_text()
        before = lab.objects()
        wrong = {
            "not TOML": (good.replace("[etcd]\n", "[etcd]\nconf = '[[inputs.prom'\n"), "conf"),
            "no such DaemonSet": (good.replace('daemonset = "datakit"', 'daemonset = "agent"'), "agent"),
        }
        for name, (text, says) in wrong.items():
            assert text != good, name
            file.write_text(text)
            for verb in (["plan"], ["apply", "--yes"]):
                done = lab.run(verb[0], "-f", file, *verb[1:])
                assert done.status == 2, (name, str(done))
                assert says in done.err
        file.write_text(good)
        nowhere = lab.run("plan", "-f", file, "-n", "kube-system")
        assert nowhere.status != 0
        assert "datakit" in nowhere.err
        assert "kubectl apply -f" in nowhere.err or "helm" in nowhere.err
        key = tmp_path / "key"
        key.write_text("no-such-key-1f9a3d")
        key.chmod(0o600)
        flags = ["--kubeconfig", lab.ready["kubeconfig"], "--endpoint", lab.ready["studio"]["endpoint"]]
        rejected = lab.run("plan", "-f", file, "--api-key-file", key, *flags, studio=False)
        assert rejected.status == 3, rejected
        assert "no-such-key-1f9a3d" not in rejected.out + rejected.err
        assert lab.objects() == before
