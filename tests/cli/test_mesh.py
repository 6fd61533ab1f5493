"""The mesh without a screen, on a lab as the tutorial's first part leaves it: answers, plan, apply, check, undo."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from practice import Practice, practice
from test_walk import answers, checks, not_well

from tui.core.answers import dump, load
from tui.core.checks import MESH
from tui.core.istio_cost import fills

PROD = ("details-v1", "mongodb-v1", "productpage-v1", "ratings-v1", "reviews-v1", "reviews-v2", "reviews-v3")
SYSTEM = ("istiod", "istio-ingressgateway", "istio-egressgateway")
WHOLE = (*(f"istio-system/{name}" for name in SYSTEM), *(f"prod/{name}" for name in PROD))


def picked(file: Path, *keys: str, replaced: tuple[str, ...] | None = None) -> Path:
    """The answers with these workloads picked, and allowed to replace what somebody else wrote on them."""
    given = load(file.read_text())
    istio = replace(given.istio, workloads=keys, replace=keys if replaced is None else replaced)
    file.write_text(dump(replace(given, istio=istio)))
    return file


def deployments(lab: Practice) -> dict[str, Any]:
    """Every Deployment of the mesh without what its controller counts."""
    found = {}
    for space in ("istio-system", "prod"):
        for one in lab.get(f"/apis/apps/v1/namespaces/{space}/deployments")["items"]:
            metadata = one["metadata"]
            for name in ("resourceVersion", "generation"):
                metadata.pop(name, None)
            metadata.get("annotations", {}).pop("deployment.kubernetes.io/revision", None)
            entries = [
                {key: value for key, value in entry.items() if key != "time"}
                for entry in metadata["managedFields"]
                if not entry.get("subresource") and entry["manager"] != "kube-controller-manager"
            ]
            metadata["managedFields"] = sorted(entries, key=lambda entry: json.dumps(entry, sort_keys=True))
            one.pop("status", None)
            found[f"{space}/{metadata['name']}"] = one
    return found


def test_the_four_views_get_data_in_every_panel_that_the_preset_promises(tmp_path: Path) -> None:
    with practice(tmp_path, mesh=True) as lab:
        file = answers(lab, tmp_path)
        proposed = load(file.read_text()).istio
        assert proposed.preset == "lean"
        assert "prod/mongodb-v1" in proposed.workloads
        assert "prod/details-v1" not in proposed.workloads  # its annotation is somebody else's
        picked(file, *WHOLE)
        before = (lab.objects(), deployments(lab))

        plan = lab.run("plan", "-f", file)
        assert plan.status == 1, plan
        assert "In all:" in plan.out
        assert "of 10 workloads restart" in plan.out
        assert (lab.objects(), deployments(lab)) == before, "plan changed something"

        applied = lab.run("apply", "-f", file, "--yes")
        assert applied.status == 0, applied
        again = lab.run("plan", "-f", file)
        assert again.status == 0, again

        done = lab.run("check", "-o", "json", "--wait", "120s")
        found = checks(done)
        assert done.status == 0, not_well(found)
        promised = sum(len(view.filled) for view in fills("lean"))
        told = {part: found[f"{part}/panels"]["found"] for part in ("istiod", "sidecars")}
        assert all(re.fullmatch(r"(\d+) of \1 panels have data", text) for text in told.values()), told
        assert sum(int(text.split()[0]) for text in told.values()) == promised
        assert {check["status"] for check in found.values() if check["route"] in MESH} == {"pass"}, not_well(found)

        undone = lab.run("undo", "--yes")
        assert undone.status == 0, undone
        assert (lab.objects(), deployments(lab)) == before


def test_what_cannot_be_done_is_told_row_by_row_and_the_status_says_so(tmp_path: Path) -> None:
    with practice(tmp_path, mesh=True) as lab:
        file = picked(
            answers(lab, tmp_path), "prod/mongodb-v1", "prod/details-v1", "prod/sleep", "prod/nothing", replaced=()
        )
        before = deployments(lab)
        plan = lab.run("plan", "-f", file)
        assert plan.status == 1, plan
        rows = [line for line in plan.out.splitlines() if line.startswith("Left out: ")]
        assert [row.split()[3] for row in rows] == ["prod/nothing:", "prod/details-v1:", "prod/sleep:"]
        applied = lab.run("apply", "-f", file, "--yes", "--no-views")
        assert applied.status == 6, applied
        assert "3 things were left out" in applied.err
        after = deployments(lab)
        assert after["prod/details-v1"] == before["prod/details-v1"]
        assert after["prod/mongodb-v1"] != before["prod/mongodb-v1"]
        undone = lab.run("undo", "--yes")
        assert undone.status == 0, undone
        assert deployments(lab) == before


@pytest.mark.slow
def test_discovery_collects_sidecars_and_touches_no_workload(tmp_path: Path) -> None:
    with practice(tmp_path, mesh=True) as lab:
        system = [f"istio-system/{name}" for name in SYSTEM]
        file = picked(answers(lab, tmp_path), *system, "prod/mongodb-v1", replaced=())
        given = load(file.read_text())
        file.write_text(dump(replace(given, istio=replace(given.istio, sidecars="kubernetesprometheus"))))
        before = (lab.objects(), deployments(lab))
        sidecars = "M::`istio_prom`:(last(`istio_build`)) {`pod_name` = re('mongodb-v1-.*')} BY `pod_name`, `namespace`"
        assert lab.query(sidecars) == []

        applied = lab.run("apply", "-f", file, "--yes", "--no-views")
        assert applied.status == 0, applied
        [note] = [line for line in applied.err.splitlines() if "Collected twice" in line]
        assert "prod/ratings-v1" in note
        after = deployments(lab)
        assert {key for key, one in before[1].items() if after[key] != one} == set(system)
        done = lab.run("check", "-o", "json", "--wait", "120s")
        found = checks(done)
        assert done.status == 0, not_well(found)
        assert found["sidecars/twice"]["status"] == "warn"
        [series] = lab.query(sidecars)
        assert series["tags"]["namespace"] == "prod"

        undone = lab.run("undo", "--yes")
        assert undone.status == 0, undone
        assert (lab.objects(), deployments(lab)) == before
