"""What the answers want of the mesh, and what each row that cannot be done says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.core.mesh_objects import (
    BROKEN,
    TUTORIAL,
    bookinfo,
    budget,
    config_map,
    datakit,
    deployment,
    gateway,
    istiod,
    mesh,
    mounting,
    namespace,
    pod,
    service,
    survey,
)
from tests.core.objects import Object
from tui.core.answers import Answers, ClusterAnswers, IstioAnswers, ViewAnswers, dump, load
from tui.core.desired import desired
from tui.core.export import files
from tui.core.istio_conf import annotation
from tui.core.istio_targets import Wanted, body, wanted
from tui.core.mesh import INSTANCES, Seen
from tui.core.proposal import istio_notes, propose
from tui.core.survey import DataKit


def answers(*workloads: str, preset: str = "lean", **more: Any) -> Answers:
    istio = IstioAnswers(preset, workloads, **more)
    return Answers(ClusterAnswers(name="lab"), istio=istio, views=ViewAnswers(lang="en"))


def asked(given: Answers, seen: Seen | None = None, found: DataKit | None = None, conf: Object | None = None) -> Wanted:
    return wanted(given, survey(mesh(seen, found, conf), found, conf))


def with_web(one: Object, **pods: Any) -> Seen:
    return Seen([namespace("prod", istio_injection="enabled")], [istiod(replicas=2), one], [pod(one, **pods)], [], [])


def test_nothing_is_touched_that_was_not_picked() -> None:
    assert asked(answers()).annotated == ()
    assert asked(answers(preset="none")) == Wanted()
    assert asked(answers("prod/productpage-v1", preset="none")) == Wanted()
    picked = asked(answers("prod/productpage-v1"))
    assert [target.key for target, _text in picked.annotated] == ["prod/productpage-v1"]
    assert picked.left_out == ()


def test_istiod_of_one_replica_is_scraped_by_a_conf_and_of_two_by_annotation() -> None:
    one = replace(bookinfo(), deployments=[istiod(), gateway()])
    assert [conf.key for conf in asked(answers(), one).confs] == ["prom_istiod.conf"]
    two = asked(answers("istio-system/istiod"))
    assert two.confs == ()
    ((target, text),) = two.annotated
    assert target.role == "istiod"
    assert 'app_id = "istiod"' in text
    # Every DataKit would scrape it where none is elected.
    alone = datakit(ENV_ENABLE_ELECTION="")
    assert asked(answers(), one, alone).confs == ()


def test_a_gateway_behind_a_service_with_its_port_is_scraped_by_a_conf() -> None:
    ext = service("istio-ingressgateway-ext", 15020, app="istio-ingressgateway")
    seen = replace(bookinfo(), services=[*bookinfo().services, ext])
    assert [conf.key for conf in asked(answers(), seen).confs] == ["prom-ingressgateway.conf"]
    assert "istio-ingressgateway-ext.istio-system.svc:15020" in asked(answers(), seen).confs[0].text


def test_what_is_not_collected_is_said() -> None:
    notes = asked(answers("prod/productpage-v1")).notes
    assert len([note for note in notes if "istio-system/istiod" in note]) == 1
    assert asked(answers()).notes == ()  # nothing at all was picked
    assert not asked(answers("istio-system/istiod", "istio-system/istio-ingressgateway")).notes


ROWS = [
    ("somebody else's, broken", "prod/details-v1", "ignores"),
    ("somebody else's, valid", "prod/ratings-v1", "scrapes its sidecar already"),
    ("somebody else's, of something else", "prod/reviews-v1", "something other"),
    ("no sidecar", "prod/sleep", "no"),
    ("no such workload", "prod/nothing", "no such Deployment"),
]


@pytest.mark.parametrize(("_why", "key", "said"), ROWS, ids=[row[0] for row in ROWS])
def test_a_row_that_cannot_be_done_keeps_nothing_from_being_done(_why: str, key: str, said: str) -> None:
    made = asked(answers(key, "prod/productpage-v1"))
    assert [target.key for target, _text in made.annotated] == ["prod/productpage-v1"]
    (row,) = made.left_out
    assert row.title == f"Deployment {key}"
    assert said in row.why
    assert row.remedy


def test_an_annotation_of_somebody_else_is_replaced_where_the_answers_name_it() -> None:
    keys = ("prod/details-v1", "prod/ratings-v1", "prod/reviews-v1")
    made = asked(answers(*keys, replace=keys))
    assert [target.key for target, _text in made.annotated] == list(keys)
    assert made.left_out == ()


@pytest.mark.parametrize(
    ("spec", "allowed", "said"),
    [
        ({"paused": True}, 9, "paused"),
        ({"replicas": 4}, 0, "PodDisruptionBudget"),
        ({"strategy": {"type": "Recreate"}}, 0, "PodDisruptionBudget"),
    ],
)
def test_a_paused_rollout_and_a_budget_are_respected(spec: Object, allowed: int, said: str) -> None:
    seen = replace(with_web(deployment("web", **spec)), budgets=[budget("web", allowed)])
    (row,) = asked(answers("prod/web"), seen).left_out
    assert said in row.why
    # What stands already restarts nothing.
    text = annotation(mesh(seen).workloads[0], "lean", "lab")
    there = replace(with_web(deployment("web", annotation=text, ours=True, **spec)), budgets=[budget("web", allowed)])
    assert asked(answers("prod/web"), there).left_out == ()
    # Taking ours away would restart them too.
    assert said in asked(answers(), there).left_out[0].why


def test_a_rollout_that_surges_is_within_a_budget_of_none() -> None:
    seen = replace(with_web(deployment("web")), budgets=[budget("web", 0)])
    assert asked(answers("prod/web"), seen).left_out == ()


def test_other_kinds_are_told_and_the_text_for_them_is_exported() -> None:
    web = deployment("web")
    rollout = pod(web)
    rollout["metadata"]["labels"] = {"rollouts-pod-template-hash": "5d8"}
    seen = replace(bookinfo(), deployments=[istiod(replicas=2)], pods=[rollout])
    (row,) = asked(answers("prod/web"), seen).left_out
    assert row.title == "Rollout prod/web"
    assert "Rollout" in row.why
    exported = files(answers("prod/web"), survey(mesh(seen)))
    assert INSTANCES in exported["istio/rollout-prod-web.yaml"]
    assert "istio/kustomization.yaml" not in exported


def test_ambient_is_told_apart_from_a_wrong_name() -> None:
    space = {"metadata": {"name": "calm", "labels": {"istio.io/dataplane-mode": "ambient"}}}
    (row,) = asked(answers("calm/web"), replace(bookinfo(), namespaces=[space])).left_out
    assert "ambient" in row.why


def test_ours_goes_where_it_is_no_longer_wanted() -> None:
    seen = with_web(deployment("web", annotation=TUTORIAL, ours=True))
    assert [target.key for target in asked(answers(), seen).released] == ["prod/web"]
    assert body(mesh(seen).workloads[0], None).keys() == {"apiVersion", "kind", "metadata"}
    # Preset none takes nothing away, as strategy none does not.
    assert asked(answers(preset="none"), seen).released == ()


def test_nothing_is_collected_twice() -> None:
    conf = config_map(k_conf='[[inputs.kubernetesprometheus.instances]]\nrole = "pod"\nport = "15020"\n')
    found = mounting(datakit(), "k.conf")
    (row,) = asked(answers("prod/productpage-v1"), None, found, conf).left_out
    assert "twice" in row.why
    assert "k.conf" in row.why
    one = replace(bookinfo(), deployments=[istiod()])
    known = config_map(i_conf='[[inputs.prom]]\nurl = "http://istiod.istio-system:15014/metrics"\n')
    made = asked(answers(), one, mounting(datakit(), "i.conf"), known)
    assert made.confs == ()
    assert "collected already" in made.notes[0]


def test_discovery_needs_no_annotation_and_is_refused_where_that_input_is_configured() -> None:
    given = answers("prod/productpage-v1", sidecars="kubernetesprometheus")
    made = asked(given)
    assert made.annotated == ()
    assert [conf.key for conf in made.confs] == ["kubernetesprometheus.conf"]
    assert 'namespaces = ["prod"]' in made.confs[0].text
    # Nobody picked it, but it is in the namespace that is collected.
    [twice] = [note for note in made.notes if "prod/" in note]
    assert "twice" in twice
    assert "prod/ratings-v1" in twice
    conf = config_map(k_conf="[inputs.kubernetesprometheus]\n")
    refused = asked(given, None, mounting(datakit(), "k.conf"), conf)
    assert refused.confs == ()
    assert "only one" in refused.left_out[0].why


def test_confs_of_the_mesh_join_those_of_etcd_in_one_body() -> None:
    one = replace(bookinfo(), deployments=[istiod()])
    look = survey(mesh(one))
    assert [conf.key for conf in desired(answers(), look).confs] == ["prom_istiod.conf"]


def test_the_answers_file_carries_it() -> None:
    given = answers("prod/a", "prod/b", replace=("prod/b",), sidecars="kubernetesprometheus")
    assert load(dump(given)) == given


def test_what_is_proposed_names_each_workload_only_where_it_is_asked_to() -> None:
    look = survey(mesh())
    assert propose(look).istio == IstioAnswers("lean")
    named = propose(look, pick=True).istio
    assert named.workloads == ("istio-system/istiod", "istio-system/istio-ingressgateway", "prod/productpage-v1")
    notes = istio_notes(look, named)
    assert "4 pods" in notes[0]
    assert len([note for note in notes if "details-v1" in note]) == 1
    assert propose(survey(mesh(Seen()))).istio == IstioAnswers()


def test_the_export_holds_patches_that_are_bound_to_no_live_object() -> None:
    keys = ("prod/productpage-v1", "prod/details-v1")
    made = files(answers(*keys), survey(mesh()))
    assert {name for name in made if name.startswith("istio/")} == {
        "istio/deployment-prod-productpage-v1.yaml",
        "istio/deployment-prod-details-v1.yaml",  # whoever owns the annotation there: its source takes it from here
        "istio/kustomization.yaml",
    }
    assert "uid" not in made["istio/deployment-prod-details-v1.yaml"]
    assert "istio/" in made["README.md"]
    assert BROKEN not in "".join(made.values())
