"""How a change comes out, on the practice control plane and a real one: one node first, etcd's nodes alone, OnDelete.

No kubelet is needed: the test does what the DaemonSet's controller does, under the controller's own rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from changes import CONF, NAME, OTHER_CONF, VENDOR, Place, add_nodes

from tui.core import fields, hold
from tui.core.errors import ForbiddenError, PartialError, RefusedError, StaleError, UsageError, WizardError
from tui.core.manifests import APPLIED_ANNOTATION, applied_hash, template_hash
from tui.core.ports import DAEMON_SET, POD, Cluster, Kind
from tui.core.receipts import Store, load, unfinished
from tui.core.reports import plan_text


@pytest.fixture
def place(admin: Cluster, namespace: str, tmp_path: Path) -> Place:
    found = Place(admin, namespace, Store(tmp_path))
    found.install(ENV_CLUSTER_NAME_K8S=NAME)
    add_nodes(found)
    return found


def live(place: Place) -> Any:
    return place.cluster.get(DAEMON_SET, place.namespace, "datakit")


def strategy_of(place: Place, kind: str, manager: str = VENDOR) -> None:
    body = {"spec": {"updateStrategy": {"type": kind}}}
    place.cluster.patch(DAEMON_SET, place.namespace, "datakit", body, manager=manager, dry_run=False)


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """The nodes whose pod is another."""
    return {node for node in before if before[node] != after[node]}


def left(place: Place) -> Any:
    return unfinished(place.store, place.look().uid, place.namespace)


@contextmanager
def without(place: Place, right: str) -> Iterator[None]:
    """The access reviews deny this one right."""
    allowed = place.cluster.allowed
    place.cluster.allowed = lambda wanted: [str(access) != right for access in wanted]
    try:
        yield
    finally:
        place.cluster.allowed = allowed


class TestOneNodeFirst:
    def test_the_first_node_then_the_rest(self, place: Place) -> None:
        before, pods = place.objects(), place.pods()
        plan = place.plan(one_node_first=True)
        assert plan.blockers() == []
        assert plan.rollout.first == place.nodes[0]
        assert hold.FIELD in " ".join(plan.notes)
        assert VENDOR in " ".join(plan.notes)
        assert place.nodes[0] in plan.cost
        receipt = place.carry_out(plan)
        assert receipt.complete
        assert changed(pods, place.pods()) == set(place.nodes)
        assert hold.strategy(live(place)) == "RollingUpdate"
        assert fields.owners(live(place), hold.PATH) == [(VENDOR, "Update")]
        assert [pod.message for pod in receipt.pods] == ["looked at"]
        assert place.apply().path is None, "nothing is left to do"
        assert load(receipt.path) == receipt  # type: ignore[arg-type]
        place.undo()
        assert place.objects() == before

    def test_series_that_do_not_arrive_hold_the_others_back(self, place: Place) -> None:
        before, pods = place.objects(), place.pods()
        receipt = place.carry_out(place.plan(one_node_first=True), arrived=False)
        assert receipt.held
        assert not receipt.complete
        assert changed(pods, place.pods()) == {place.nodes[0]}
        assert hold.is_ours(live(place))
        assert left(place) == receipt
        place.undo()
        assert place.objects() == before
        assert changed(pods, place.pods()) == {place.nodes[0]}, "the others were never touched"
        assert left(place) is None

    @pytest.mark.parametrize("how", [{}, {"one_node_first": True}])
    def test_going_on_later(self, place: Place, how: dict[str, bool]) -> None:
        before, pods = place.objects(), place.pods()
        place.carry_out(place.plan(one_node_first=True), arrived=False)
        first = place.pods()[place.nodes[0]]
        receipt = place.apply(**how)
        assert receipt.complete
        assert place.pods()[place.nodes[0]] == first, "it is not restarted twice"
        assert changed(pods, place.pods()) == set(place.nodes)
        assert fields.owners(live(place), hold.PATH) == [(VENDOR, "Update")]
        assert left(place) is None
        place.undo()
        assert place.objects() == before

    def test_another_text_while_it_is_held_is_for_all_nodes(self, place: Place) -> None:
        before = place.objects()
        place.carry_out(place.plan(one_node_first=True), arrived=False)
        assert not place.plan(OTHER_CONF).rollout.may_be_few
        with pytest.raises(UsageError, match="every DataKit pod restarts"):
            place.plan(OTHER_CONF, only_etcd_nodes=True)
        pods = place.pods()
        assert place.apply(OTHER_CONF).complete
        assert changed(pods, place.pods()) == set(place.nodes)
        place.undo()
        assert place.objects() == before

    def test_what_nobody_owns_is_left_to_nobody(self, admin: Cluster, namespace: str, tmp_path: Path) -> None:
        """Helm 4 applied a chart without a strategy: the default is nobody's, before and after."""
        place = Place(admin, namespace, Store(tmp_path))
        place.install("helm", ENV_CLUSTER_NAME_K8S=NAME)
        add_nodes(place)
        before = place.objects()
        assert place.carry_out(place.plan(one_node_first=True), arrived=False).held
        assert place.apply().complete
        assert hold.strategy(live(place)) == "RollingUpdate"
        assert fields.owners(live(place), hold.PATH) == []
        place.undo()
        assert place.objects() == before

    def test_an_owner_that_applies_must_be_asked_for_by_name(
        self, admin: Cluster, namespace: str, tmp_path: Path
    ) -> None:
        place = Place(admin, namespace, Store(tmp_path))
        place.install("helm", ENV_CLUSTER_NAME_K8S=NAME)
        add_nodes(place)
        body = {"spec": {"updateStrategy": {"type": "RollingUpdate"}}}
        admin.apply(DAEMON_SET, namespace, "datakit", body, manager="argocd-controller", dry_run=False)
        with pytest.raises(RefusedError, match="argocd"):
            place.apply(one_node_first=True)
        receipt = place.carry_out(place.plan(one_node_first=True, forced=(hold.FIELD,)))
        assert receipt.complete
        assert hold.strategy(live(place)) == "RollingUpdate"

    def test_the_right_to_delete_pods_is_asked_for(self, place: Place) -> None:
        with without(place, "delete pods"):
            plan = place.plan(one_node_first=True)
            assert place.plan().blockers() == [], "no pod is deleted otherwise"
        assert any("delete pods" in reason for reason in plan.blockers())
        assert "--verb=delete --resource=pods" in plan_text(plan)

    def test_a_strategy_that_somebody_sets_back_meanwhile(self, place: Place) -> None:
        """The hold is lost, so the controller rolls: going on follows, and nothing of theirs is taken."""
        place.carry_out(place.plan(one_node_first=True), arrived=False)
        strategy_of(place, "RollingUpdate", "kubectl-edit")
        assert place.apply().complete
        assert fields.owners(live(place), hold.PATH) == [("kubectl-edit", "Update")]

    def test_nothing_restarts_so_nothing_comes_first(self, place: Place) -> None:
        place.apply()
        plan = place.plan(one_node_first=True)
        assert not plan.has_changes
        assert plan.rollout.pods == ()


class TestOnlyEtcdNodes:
    def test_a_new_text_comes_to_them_alone(self, place: Place) -> None:
        start = place.objects()
        place.apply()
        middle, pods, template = place.objects(), place.pods(), template_hash(live(place))
        plan = place.plan(OTHER_CONF)
        assert plan.rollout.may_be_few
        assert plan.rollout.pods == ()
        receipt = place.apply(OTHER_CONF, only_etcd_nodes=True)
        assert receipt.complete
        assert changed(pods, place.pods()) == set(place.nodes[:2])
        assert template_hash(live(place)) == template, "a changed template would restart every pod"
        assert applied_hash(live(place))
        assert [pod.node for pod in receipt.pods] == list(place.nodes[:2])
        assert not place.plan(OTHER_CONF).has_changes, "plan compares the applied hash"
        assert place.apply(OTHER_CONF).path is None
        again = place.pods()
        place.undo()
        assert place.objects() == middle
        assert changed(again, place.pods()) == set(place.nodes[:2]), "they get the former text again"
        place.undo()
        assert place.objects() == start

    def test_one_of_them_first(self, place: Place) -> None:
        place.apply()
        middle, pods = place.objects(), place.pods()
        plan = place.plan(OTHER_CONF, only_etcd_nodes=True, one_node_first=True)
        assert not plan.rollout.held, "without a new template nothing would roll"
        receipt = place.carry_out(plan, arrived=False)
        assert receipt.held
        assert changed(pods, place.pods()) == {place.nodes[0]}
        assert place.apply(OTHER_CONF).complete
        assert changed(pods, place.pods()) == set(place.nodes[:2])
        place.undo()
        assert place.objects() == middle

    def test_back_to_the_text_of_the_template(self, place: Place) -> None:
        """The template has that hash already, so nothing would tell the controller."""
        place.apply()
        middle = place.objects()
        place.apply(OTHER_CONF, only_etcd_nodes=True)
        pods = place.pods()
        assert place.apply(CONF).complete
        assert changed(pods, place.pods()) == set(place.nodes[:2])
        assert place.objects() == middle
        assert not place.plan(CONF).has_changes

    def test_a_full_rollout_afterwards_carries_the_text_to_all(self, place: Place) -> None:
        place.apply()
        place.apply(OTHER_CONF, only_etcd_nodes=True)
        third = CONF.replace("30s", "90s")
        pods = place.pods()
        place.apply(third)
        assert changed(pods, place.pods()) == set(place.nodes)
        assert APPLIED_ANNOTATION not in live(place)["metadata"].get("annotations", {})

    def test_more_than_the_text_is_refused(self, place: Place) -> None:
        with pytest.raises(UsageError, match=r"More than the text of etcd\.conf changes"):
            place.plan(only_etcd_nodes=True)

    def test_under_election_it_is_refused(self, place: Place) -> None:
        election = {"name": "ENV_ENABLE_ELECTION", "value": "true"}
        body = {"spec": {"template": {"spec": {"containers": [{"name": "datakit", "env": [election]}]}}}}
        place.cluster.patch(DAEMON_SET, place.namespace, "datakit", body, manager=VENDOR, dry_run=False)
        elected = CONF + "  election = true\n"
        place.apply(elected)
        with pytest.raises(UsageError, match="Under election"):
            place.plan(elected.replace("30s", "60s"), only_etcd_nodes=True)


class TestOnDelete:
    def test_pods_are_left_to_people(self, place: Place) -> None:
        strategy_of(place, "OnDelete")
        before, pods = place.objects(), place.pods()
        plan = place.plan()
        assert "OnDelete" in plan.cost
        receipt = place.carry_out(plan)
        assert receipt.complete
        assert place.pods() == pods
        assert any("0 of 3 pods have the new template" in line for line in place.said), place.said
        place.undo()
        assert place.objects() == before

    def test_pods_are_deleted_where_that_is_asked_for(self, place: Place) -> None:
        strategy_of(place, "OnDelete")
        before, pods = place.objects(), place.pods()
        receipt = place.apply(delete_pods=True)
        assert receipt.complete
        assert changed(pods, place.pods()) == set(place.nodes)
        assert fields.owners(live(place), hold.PATH) == [(VENDOR, "Update")], "nothing had to be held"
        again = place.pods()
        place.undo()
        assert place.objects() == before
        assert changed(again, place.pods()) == set(place.nodes), "and so are they at undo"

    def test_etcds_nodes_alone_even_for_a_new_template(self, place: Place) -> None:
        strategy_of(place, "OnDelete")
        pods = place.pods()
        place.apply(only_etcd_nodes=True)
        assert changed(pods, place.pods()) == set(place.nodes[:2])


def test_no_node_is_to_run_it(place: Place) -> None:
    status = {"desiredNumberScheduled": 0, "observedGeneration": 1, "updatedNumberScheduled": 0}
    place.cluster._ask(
        "patch",
        f"/apis/apps/v1/namespaces/{place.namespace}/daemonsets/datakit/status",
        "",
        body={"status": status},
        content_type="application/merge-patch+json",
        writing=True,
    )
    plan = place.plan()
    assert "No node is to run DataKit" in plan.cost
    assert place.carry_out(plan).complete
    assert any("nothing collects" in line for line in place.said), place.said


def test_a_pod_beside_its_old_one_cannot_have_the_nodes_port(place: Place) -> None:
    """The API server takes such a DaemonSet, so it is the plan that says what will come of it."""
    ports = [{"containerPort": 9529, "hostPort": 9529}]
    template = {"spec": {"hostNetwork": True, "containers": [{"name": "datakit", "ports": ports}]}}
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    body = {"spec": {"template": template, "updateStrategy": strategy}}
    place.cluster.patch(DAEMON_SET, place.namespace, "datakit", body, manager=VENDOR, dry_run=False)

    def warned(**how: bool) -> bool:
        return any("port 9529 of the node: the new one stays Pending" in note for note in place.plan(**how).notes)

    assert warned()
    assert warned(one_node_first=True), "the others follow by the controller's rollout"
    strategy_of(place, "OnDelete")
    assert not warned(delete_pods=True)


@pytest.mark.parametrize("how", ["only_etcd_nodes", "delete_pods"])
def test_an_undo_that_lacks_a_right_says_so_before_it_begins(place: Place, how: str) -> None:
    if how == "delete_pods":
        strategy_of(place, "OnDelete")
        before = place.objects()
        place.apply(delete_pods=True)
    else:
        place.apply()
        before = place.objects()
        place.apply(OTHER_CONF, only_etcd_nodes=True)
    middle, pods = place.objects(), place.pods()
    with without(place, "delete pods"), pytest.raises(RefusedError, match="nothing was undone") as refused:
        place.undo()
    assert refused.value.why == "You may not delete pods."
    assert "--verb=delete --resource=pods" in refused.value.command
    assert (place.objects(), place.pods()) == (middle, pods)
    assert left(place) is None, "the receipt is as it was"
    place.undo()
    assert place.objects() == before


@contextmanager
def denied(place: Place, method: str, error: WizardError, *, times: int = 99) -> Iterator[None]:
    """A client whose method fails so often when it is about pods."""
    real, left = getattr(place.cluster, method), [times]

    def answer(kind: Kind, *arguments: Any, **options: Any) -> Any:
        if kind == POD and left[0]:
            left[0] -= 1
            raise error
        return real(kind, *arguments, **options)

    setattr(place.cluster, method, answer)
    try:
        yield
    finally:
        setattr(place.cluster, method, real)


def test_pods_that_may_not_be_listed_are_not_taken_for_none(place: Place) -> None:
    """An undo that cannot see which pods still run the conf's text does not call itself done."""
    place.apply()
    middle = place.objects()
    place.apply(OTHER_CONF, only_etcd_nodes=True)
    pods = place.pods()
    with (
        denied(place, "table", ForbiddenError("You may not list pods.")),
        pytest.raises(WizardError, match="list pods"),
    ):
        place.undo()
    place.undo()
    assert place.objects() == middle
    assert changed(pods, place.pods()) == set(place.nodes[:2])


def test_a_pod_that_was_not_deleted_after_all_is_not_waited_for(place: Place) -> None:
    place.apply()
    pods = place.pods()
    with denied(place, "delete", StaleError("The object changed since it was reviewed."), times=1):
        with pytest.raises(PartialError, match="changed since"):
            place.apply(OTHER_CONF, only_etcd_nodes=True)
        assert place.pods() == pods
        assert place.apply(OTHER_CONF).complete
    assert changed(pods, place.pods()) == set(place.nodes[:2])


class Killed(BaseException):
    """The process dies here: nothing of ours gets to handle it."""


class Dying:
    """A cluster in front of which the process dies at the nth request that changes something, before or after it."""

    def __init__(self, inner: Any, at: int, *, arrives: bool) -> None:
        self._inner, self._at, self._arrives, self.writes = inner, at, arrives, 0
        self.context, self.server, self.time_scale = inner.context, inner.server, inner.time_scale

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _write(self, send: Callable[[], Any]) -> Any:
        self.writes += 1
        if self.writes - 1 != self._at:
            return send()
        if self._arrives:
            send()
        raise Killed

    def apply(self, *arguments: Any, dry_run: bool, **options: Any) -> Any:
        if dry_run:
            return self._inner.apply(*arguments, dry_run=True, **options)
        return self._write(lambda: self._inner.apply(*arguments, dry_run=False, **options))

    def patch(self, *arguments: Any, **options: Any) -> Any:
        return self._write(lambda: self._inner.patch(*arguments, **options))

    def delete(self, *arguments: Any, **options: Any) -> Any:
        return self._write(lambda: self._inner.delete(*arguments, **options))


HOW: dict[str, dict[str, bool]] = {
    "one node first": {"one_node_first": True},
    "etcd's nodes": {"only_etcd_nodes": True},
}


@pytest.mark.parametrize("how", list(HOW))
# On the practice control plane the fault matrix dies at each of these writes, and goes on in the same way.
@pytest.mark.parametrize(
    ("plane", "then", "arrives"),
    [
        ("lab", "apply", False),
        ("real", "apply", False),
        ("real", "the same", True),
        ("real", "undo", False),
        ("real", "undo", True),
    ],
    ids=str,
    indirect=["plane"],
)
def test_death_at_each_write(
    admin: Cluster, namespace: str, tmp_path: Path, how: str, arrives: bool, then: str
) -> None:
    """Whatever was done, the next apply or undo brings objects and pods to exactly the end state."""
    place = Place(admin, namespace, Store(tmp_path))
    place.install(ENV_CLUSTER_NAME_K8S=NAME)
    add_nodes(place)
    place.apply()
    middle = place.objects()
    at, died = 0, True
    while died:
        pods = place.pods()
        place.cluster = Dying(admin, at, arrives=arrives)
        try:
            place.apply(OTHER_CONF, **HOW[how])
            died = False
        except Killed:
            pass
        place.cluster = admin
        told = (how, at, arrives, then)
        if died:
            assert left(place) is not None, told
        if died and then != "undo":
            place.apply(OTHER_CONF, **(HOW[how] if then == "the same" else {}))
            assert left(place) is None, told
            assert not place.plan(OTHER_CONF).has_changes, told
        if then != "undo" or not died:
            assert set(place.nodes[:2]) <= changed(pods, place.pods()), told
        place.undo()
        assert place.objects() == middle, told
        assert left(place) is None, told
        at += 1
    assert at > (5 if how == "one node first" else 4)


@pytest.mark.parametrize("plane", ["real"], indirect=True)
@pytest.mark.parametrize("arrives", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("how", list(HOW))
def test_death_at_each_write_of_an_undo(
    admin: Cluster, namespace: str, tmp_path: Path, how: str, arrives: bool
) -> None:
    place = Place(admin, namespace, Store(tmp_path))
    place.install(ENV_CLUSTER_NAME_K8S=NAME)
    add_nodes(place)
    place.apply()
    middle = place.objects()
    at, died = 0, True
    while died:
        place.carry_out(place.plan(OTHER_CONF, **HOW[how]), arrived=how != "one node first")
        pods = place.pods()
        place.cluster = Dying(admin, at, arrives=arrives)
        try:
            place.undo()
            died = False
        except Killed:
            pass
        place.cluster = admin
        if died:
            assert left(place) is not None, (how, at, arrives)
            place.undo()
        assert place.objects() == middle, (how, at, arrives)
        assert changed(pods, place.pods()) == set(place.nodes[: 1 if how == "one node first" else 2])
        assert left(place) is None, (how, at, arrives)
        at += 1
    assert at > 3


def test_deleting_that_is_denied_is_told(place: Place) -> None:
    place.apply()
    forbidden = denied(place, "delete", ForbiddenError("You may not delete pods."))
    with forbidden, pytest.raises(PartialError, match="delete pods"):
        place.apply(OTHER_CONF, only_etcd_nodes=True)
    assert applied_hash(live(place)), "what was written before stays, and the receipt says so"
    with without(place, "delete pods"):
        assert all(access.verb == "delete" for access, granted in place.look().optional if not granted)
    assert place.apply(OTHER_CONF).complete
