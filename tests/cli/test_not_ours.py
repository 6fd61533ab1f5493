"""On a cluster that others write to as well: force by name, what was broken off, undo from elsewhere, export."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from practice import Practice, practice

FIELD = re.compile(r"--force-field '([^']+)'")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Practice]:
    with practice(tmp_path) as found:
        yield found


@pytest.fixture
def answers(lab: Practice, tmp_path: Path) -> Path:
    done = lab.run("answers")
    assert done.status == 0, done
    path = tmp_path / "answers.toml"
    path.write_text(done.out)
    return path


def test_a_field_in_the_way_is_taken_by_its_name_and_given_back(lab: Practice, answers: Path, tmp_path: Path) -> None:
    # The conf that somebody else wrote before us: here, by kubectl's server-side apply under Rancher's name.
    from tui.backend import connect
    from tui.core.ports import CONFIG_MAP

    cluster = connect(lab.ready["kubeconfig"]).clusters().connect(lab.ready["contexts"]["admin"])
    namespace = lab.ready["namespace"]
    theirs = {"data": {"etcd.conf": "# theirs\n"}}
    cluster.patch(CONFIG_MAP, namespace, "datakit-conf", theirs, manager="rancher", dry_run=False)
    before = lab.objects()

    plan = lab.run("plan", "-f", answers)
    assert plan.status == 1, plan
    (field,) = FIELD.findall(plan.out)
    assert "rancher" in plan.out
    refused = lab.run("apply", "-f", answers, "--yes", "--no-views")
    assert refused.status == 5, refused
    wrong = lab.run("apply", "-f", answers, "--yes", "--no-views", "--force-field", ".data.other")
    assert wrong.status == 5, wrong
    assert lab.objects() == before
    applied = lab.run("apply", "-f", answers, "--yes", "--no-views", "--force-field", field)
    assert applied.status == 0, applied
    assert "forced" in applied.err
    receipt = json.loads(Path(applied.out.strip()).read_text())
    assert [one["manager"] for step in receipt["steps"] for one in step["forced"]] == ["rancher"]
    undone = lab.run("undo", "--yes")
    assert undone.status == 0, undone
    assert lab.objects() == before


def test_killed_while_the_pods_restart_then_told_and_finished(lab: Practice, answers: Path, tmp_path: Path) -> None:
    before = lab.objects()
    flags = ["--kubeconfig", lab.ready["kubeconfig"], "--context", lab.ready["contexts"]["admin"]]
    command = [sys.executable, "-m", "tui.cli", "apply", "-f", str(answers), "--yes", "--no-views", *flags]
    process = subprocess.Popen(
        command, env=lab.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert process.stdout is not None
    for line in process.stderr:
        if line.startswith("DaemonSet") and "written" in line:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait(20)
    process.stdout.close()
    process.stderr.close()
    assert process.returncode == -signal.SIGKILL

    plan = lab.run("plan", "-f", answers, studio=False)
    assert "is not finished" in plan.err, plan
    finished = lab.run("apply", "-f", answers, "--yes", "--no-views")
    assert finished.status == 0, finished
    assert "goes on" in finished.err
    assert "is not finished" not in lab.run("plan", "-f", answers, studio=False).err
    undone = lab.run("undo", "--yes")
    assert undone.status == 0, undone
    assert lab.objects() == before, "one undo takes back what two runs did"


def test_undo_on_another_machine(lab: Practice, answers: Path, tmp_path: Path) -> None:
    before = lab.objects()
    assert lab.run("apply", "-f", answers, "--yes", "--no-views").status == 0
    receipts = lab.home / "state"
    receipts.rename(lab.home / "state-of-the-first")
    undone = lab.run("undo", "--yes")
    assert undone.status == 0, undone
    assert "no receipt" in undone.err
    assert lab.objects() == before
    assert lab.run("undo", "--yes").status == 2


def test_export_reads_and_writes_files_alone(lab: Practice, answers: Path, tmp_path: Path) -> None:
    before = lab.objects()
    folder = tmp_path / "export"
    done = lab.run("export", "-f", answers, folder, studio=False)
    assert done.status == 0, done
    found = {str(Path(line).relative_to(folder)) for line in done.out.split()}
    assert {"README.md", "kustomization.yaml", "helm/values.yaml"} <= found
    assert all((folder / name).is_file() for name in found)
    values = yaml.safe_load((folder / "helm" / "values.yaml").read_text())
    assert "inputs.prom" in values["dkconfig"][0]["value"]
    assert (folder / "dashboards" / "etcd.json").is_file()
    assert lab.objects() == before
    assert lab.run("export", "-f", answers, folder / "README.md", studio=False).status == 2
