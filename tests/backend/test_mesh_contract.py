"""Annotating the mesh's Deployments on a real API server and on the practice one: owners, undo, rows that fail.

There are no controllers: whoever waits for a rollout has its status written first.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from changes import comparable, create, vendor_daemon_set
from mesh_place import VENDOR, MeshPlace, RollingDeployments

from tests.core.mesh_objects import BROKEN, TUTORIAL, service
from tests.core.mesh_objects import deployment as made
from tests.core.mesh_objects import istiod as made_istiod
from tui.core.errors import PartialError
from tui.core.mesh import INSTANCES, look
from tui.core.ownership import FIELD_MANAGER
from tui.core.plan import make_plan
from tui.core.ports import CONFIG_MAP, DAEMON_SET, DEPLOYMENT, NAMESPACE, Cluster
from tui.core.receipts import Store
from tui.core.survey import find_datakit
from tui.core.undo_elsewhere import without_receipt


@pytest.fixture
def place(admin: Cluster, namespace: str, tmp_path: Path) -> MeshPlace:
    made_place = MeshPlace(admin, namespace, Store(tmp_path))
    create(admin, DAEMON_SET, namespace, "datakit", vendor_daemon_set(namespace, ENV_CLUSTER_NAME_K8S="lab"), VENDOR)
    made_place.put(made_istiod(replicas=2))
    made_place.put(made("productpage-v1"))
    made_place.put(made("details-v1", annotation=BROKEN))
    made_place.put(made("ratings-v1", annotation=TUTORIAL), "rancher")
    return made_place


def test_there_and_back_from_what_the_tutorial_leaves(place: MeshPlace) -> None:
    before = place.objects()
    names = ("productpage-v1", "details-v1", "ratings-v1", "istiod")
    plan = place.plan(*names)
    assert plan.left_out == ()
    assert plan.blockers() == []
    assert place.objects() == before  # a plan changes nothing
    receipt = place.apply(plan)
    assert receipt.complete
    for name in names:
        text = place.annotation(name)
        assert text is not None
        assert "DataKit Wizard" in text
    assert "app_id" in (place.annotation("istiod") or "")
    again = place.plan(*names)
    assert not again.has_changes
    assert len([line for line in place.said if "its pods restarted" in line]) == 4
    undone = place.undo(receipt)
    assert undone.undone
    assert place.objects() == before
    assert place.annotation("details-v1") == BROKEN


def test_an_annotation_of_somebody_else_stays_where_the_answers_do_not_name_it(place: MeshPlace) -> None:
    before = place.objects()["details-v1"]
    plan = place.plan("productpage-v1", "details-v1", replaced=False)
    assert [row.title for row in plan.left_out] == [f"Deployment {place.namespace}/details-v1"]
    with pytest.raises(PartialError, match="left out") as error:
        place.apply(plan)
    assert "details-v1" in error.value.why
    assert place.annotation("productpage-v1") is not None
    assert place.objects()["details-v1"] == before


def test_an_owner_that_applies_is_not_seen_in_the_text_but_on_its_row(place: MeshPlace) -> None:
    """Somebody else's field below the same annotation map does not stand in the way; the same key does."""
    body = {"spec": {"template": {"metadata": {"annotations": {"checksum/config": "1"}}}}}
    place.cluster.apply(DEPLOYMENT, place.namespace, "productpage-v1", body, manager="argocd-controller", dry_run=False)
    assert place.plan("productpage-v1", replaced=False).left_out == ()
    body = {"spec": {"template": {"metadata": {"annotations": {INSTANCES: TUTORIAL}}}}}
    place.cluster.apply(DEPLOYMENT, place.namespace, "productpage-v1", body, manager="argocd-controller", dry_run=False)
    (row,) = place.plan("productpage-v1", replaced=False).left_out
    assert "productpage-v1" in row.title


@pytest.mark.parametrize(
    ("name", "said"),
    [("productpage-v1", "Others own fields"), ("details-v1", "changed since it was reviewed")],
)
def test_a_deployment_that_changed_since_the_plan_is_left_out_and_the_rest_goes_on(
    place: MeshPlace, name: str, said: str
) -> None:
    plan = place.plan(name, "ratings-v1")
    theirs = {"spec": {"template": {"metadata": {"annotations": {INSTANCES: "# somebody else's, since\n"}}}}}
    place.cluster.patch(DEPLOYMENT, place.namespace, name, theirs, manager="kubectl-edit", dry_run=False)
    with pytest.raises(PartialError) as error:
        place.apply(plan)
    assert name in error.value.why
    assert said in error.value.why
    assert place.annotation(name) == "# somebody else's, since\n"
    assert "DataKit Wizard" in (place.annotation("ratings-v1") or "")
    receipt = place.store.all(plan.survey.uid, place.namespace)[0]
    assert {step.name: step.state for step in receipt.steps} == {name: "failed", "ratings-v1": "written"}
    place.undo(receipt)
    assert place.annotation("ratings-v1") == TUTORIAL


def test_a_status_that_moved_on_since_the_plan_changes_nothing_that_was_reviewed(place: MeshPlace) -> None:
    plan = place.plan("productpage-v1")
    version = place.live("productpage-v1")["metadata"]["resourceVersion"]
    RollingDeployments(place.cluster).get(DEPLOYMENT, place.namespace, "productpage-v1")
    assert place.live("productpage-v1")["metadata"]["resourceVersion"] != version
    assert place.apply(plan).complete


def test_what_is_no_longer_wanted_is_taken_away(place: MeshPlace) -> None:
    before = place.objects()["productpage-v1"]
    place.apply(place.plan("productpage-v1", "ratings-v1"))
    place.apply(place.plan("ratings-v1"))
    assert place.objects()["productpage-v1"] == before
    assert place.annotation("ratings-v1") is not None


def test_one_istiod_is_scraped_by_a_key_of_datakits_own_and_undo_takes_it_away(
    admin: Cluster, namespace: str, tmp_path: Path
) -> None:
    """A key, its mount and the hash, in the one body that holds all of ours; no Deployment is touched."""
    single = MeshPlace(admin, namespace, Store(tmp_path), services=[service("istiod", 15014, namespace, app="istiod")])
    env = {"ENV_CLUSTER_NAME_K8S": "lab", "ENV_ENABLE_ELECTION": "enable"}
    create(admin, DAEMON_SET, namespace, "datakit", vendor_daemon_set(namespace, **env), VENDOR)
    create(admin, CONFIG_MAP, namespace, "datakit-conf", {"data": {"container.conf": "# theirs\n"}}, VENDOR)
    single.put(made_istiod())

    def both() -> list[Any]:
        kinds = ((CONFIG_MAP, "datakit-conf"), (DAEMON_SET, "datakit"))
        return [comparable(admin.get(kind, namespace, name)) for kind, name in kinds]

    before, deployments = both(), single.objects()
    plan = single.plan()
    assert [change.kind.kind for change in plan.changes] == ["ConfigMap", "DaemonSet"]
    receipt = single.apply(plan)
    data = admin.get(CONFIG_MAP, namespace, "datakit-conf")["data"]
    assert set(data) == {"container.conf", "prom_istiod.conf"}
    assert f"http://istiod.{namespace}.svc:15014/metrics" in data["prom_istiod.conf"]
    assert not single.plan().has_changes
    single.undo(receipt)
    assert both() == before
    assert single.objects() == deployments


def test_undo_without_a_receipt_finds_the_mesh_too(place: MeshPlace) -> None:
    before = place.objects()["productpage-v1"]
    receipt = place.apply(place.plan("productpage-v1"))
    found = find_datakit(place.cluster, place.namespace)[0]
    ours = [one.object for one in place.mesh().targets if one.annotation and one.annotation.ours and one.object]
    empty = replace(receipt, steps=(), views=(), id="x", path=None)
    made_up, _notes = without_receipt(found.object, None, empty, ours)
    assert [step.title for step in made_up.steps] == [f"Deployment {place.namespace}/productpage-v1"]
    place.undo(made_up)
    assert place.objects()["productpage-v1"] == before


def test_the_mesh_is_found_by_its_label_through_the_api(place: MeshPlace) -> None:
    label = {"metadata": {"labels": {"istio-injection": "enabled"}}}
    place.cluster.apply(NAMESPACE, "", place.namespace, label, manager="setup", dry_run=False)
    found = look(place.cluster, find_datakit(place.cluster, place.namespace)[0], None)
    mine = [one for one in found.targets if one.namespace == place.namespace]
    assert [(one.role, one.name) for one in mine] == [
        ("istiod", "istiod"),
        ("workload", "details-v1"),
        ("workload", "productpage-v1"),
        ("workload", "ratings-v1"),
    ]
    assert {one.name: bool(one.annotation and one.annotation.problem) for one in mine}["details-v1"]
    assert found.notes == ()


def test_a_namespace_without_rights_is_a_row(place: MeshPlace, viewer: Cluster) -> None:
    plan = place.plan("productpage-v1")
    denied = make_plan(viewer, plan.survey, plan.answers)
    assert denied.changes == ()
    assert "patch deployments.apps" in denied.left_out[0].why
    assert FIELD_MANAGER not in str(place.live("productpage-v1")["metadata"]["managedFields"])
