"""A plan of a large mesh: gathered, counted, and on one screen; what cannot be written is a row of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.core.mesh_objects import TUTORIAL, datakit, deployment, istiod, namespace, pod, survey
from tests.core.objects import Object
from tests.screens.fakes import FakeCluster, World
from tui.core import reports
from tui.core.answers import Answers, ClusterAnswers, IstioAnswers
from tui.core.errors import FieldConflict
from tui.core.mesh import Seen, discover
from tui.core.plan import Plan, make_plan
from tui.core.plan_groups import groups, overview
from tui.core.ports import Access


def large(spaces: int, workloads: int, replicas: int = 3) -> Seen:
    """A mesh of so many namespaces, each with so many workloads of three pods."""
    made, pods = [istiod(replicas=2)], []
    for space in range(spaces):
        for number in range(workloads):
            one = deployment(f"web-{number:03}", f"space-{space:02}", replicas=replicas)
            made.append(one)
            pods += [pod(one, at) for at in range(replicas)]
    names = [namespace(f"space-{space:02}", istio_injection="enabled") for space in range(spaces)]
    return Seen(names, made, pods, [], [])


def planned(seen: Seen, *workloads: str, world: World | None = None, **more: Any) -> Plan:
    world = world or World.fresh()
    for item in seen.deployments:
        world.put(item)
    mesh = discover(seen, datakit(), None)
    keys = workloads or tuple(one.key for one in mesh.workloads)
    given = Answers(ClusterAnswers(name="lab"), istio=IstioAnswers("lean", keys, **more))
    return make_plan(FakeCluster(world, world.contexts[0]), survey(mesh), given)


def test_two_hundred_workloads_are_one_screenful_with_their_restarts_counted() -> None:
    plan = planned(large(5, 40))
    assert len([change for change in plan.changes if change.alone]) == 200
    text = reports.plan_text(plan).splitlines()
    tail = text[text.index("In all:") :]
    assert len(tail) <= 23
    assert all(len(line) <= 200 for line in tail)
    assert len([line for line in tail if "×40" in line and "120 pods restart" in line]) == 5
    assert "600 pods of 200 workloads restart" in plan.cost
    assert len([line for line in text if "web-000" in line and "first of them" in line]) == 5


def test_many_namespaces_are_cut_and_counted() -> None:
    lines = overview(planned(large(30, 2)))
    assert len(lines) == 13
    assert lines[-1] == "and 36 more, 108 pods restart"


def test_a_single_workload_is_shown_by_its_name() -> None:
    (group,) = groups(planned(large(1, 1)).changes)
    assert group.line() == "Deployment space-00/web-000: change, 3 pods restart"
    assert "datakit/prom.instances" in group.changes[0].diff


def test_a_namespace_without_rights_is_left_out_and_the_others_go_on() -> None:
    world = World.fresh()
    world.granted = lambda access: not (access.verb == "patch" and access.namespace == "space-01")
    plan = planned(large(2, 3), world=world)
    assert {change.namespace for change in plan.changes} == {"space-00"}
    assert [row.title for row in plan.left_out] == [f"Deployment space-01/web-00{n}" for n in range(3)]
    assert "patch deployments.apps" in plan.left_out[0].why
    assert plan.blockers() == []
    document = reports.plan_document(plan)
    assert len(document["left_out"]) == 3  # type: ignore[arg-type]


def test_a_field_that_somebody_owns_is_taken_only_where_the_answers_say_so() -> None:
    field = ".spec.template.metadata.annotations.datakit/prom.instances"
    seen = large(1, 2)
    world = World.fresh()
    world.conflict, world.conflict_on = FieldConflict(field, "argocd-controller"), "Deployment"
    plan = planned(seen, world=world)
    assert plan.changes == ()
    assert all("argocd-controller" in row.why for row in plan.left_out)
    plan = planned(seen, "space-00/web-000", world=world, replace=("space-00/web-000",))
    assert [change.accepted for change in plan.changes] == [True]
    assert plan.blockers() == []
    assert f"forced: {field}" in reports.plan_text(plan)


@pytest.mark.parametrize("preset", ["none", "lean"])
def test_a_plan_without_workloads_asks_for_no_rights_on_them(preset: str) -> None:
    world = World.fresh()
    asked: list[Access] = []
    world.granted = lambda access: bool(asked.append(access)) or True
    mesh = discover(large(1, 1), datakit(), None)
    given = Answers(ClusterAnswers(name="lab"), istio=IstioAnswers(preset))
    plan = make_plan(FakeCluster(world, world.contexts[0]), survey(mesh), given)
    assert plan.changes == ()
    assert not [access for access in asked if access.kind.plural == "deployments"]


def test_ours_that_is_no_longer_wanted_is_a_change_of_its_own() -> None:
    one = deployment("web", annotation=TUTORIAL, ours=True)
    seen = Seen([namespace("prod", istio_injection="enabled")], [istiod(replicas=2), one], [pod(one)], [], [])
    plan = planned(replace(seen), "prod/other")
    bodies: list[Object] = [change.body for change in plan.changes]
    assert [body["metadata"]["name"] for body in bodies] == ["web"]
    assert "spec" not in bodies[0]
