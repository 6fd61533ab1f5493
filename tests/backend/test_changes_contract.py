"""Plan, apply and undo on the practice control plane and on a real one: the same assertions on both.

Nothing here needs a kubelet: whoever waits for a rollout has its status written first.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from changes import (
    CONF,
    ENV,
    KEY,
    NAME,
    NEIGHBOUR,
    OTHER_CONF,
    VENDOR,
    Place,
    Rolling,
    comparable,
    create,
    vendor_daemon_set,
)

from tui.core import actions
from tui.core.answers import DataKitAnswers, EtcdAnswers
from tui.core.changes import dry_run
from tui.core.errors import RefusedError, StaleError, UsageError
from tui.core.manifests import HASH_ANNOTATION
from tui.core.ownership import FIELD_MANAGER
from tui.core.plan import Plan, make_plan
from tui.core.ports import CONFIG_MAP, DAEMON_SET, Cluster, Kind
from tui.core.receipts import Store, load, unfinished
from tui.core.reports import plan_text

SERVICE = Kind("v1", "Service", "services")


@pytest.fixture
def place(admin: Cluster, namespace: str, tmp_path: Path) -> Place:
    found = Place(admin, namespace, Store(tmp_path))
    found.install()
    return found


def set_key(place: Place, key: str, value: str, manager: str) -> None:
    """Write one key of the ConfigMap as somebody else."""
    body = {"data": {key: value}}
    place.cluster.patch(CONFIG_MAP, place.namespace, "datakit-conf", body, manager=manager, dry_run=False)


def set_env(place: Place, name: str, value: str, manager: str = "kubectl-set") -> None:
    """Write one env entry as `kubectl set env` does."""
    container = {"name": "datakit", "env": [{"name": name, "value": value}]}
    body = {"spec": {"template": {"spec": {"containers": [container]}}}}
    place.cluster.patch(DAEMON_SET, place.namespace, "datakit", body, manager=manager, dry_run=False)


def conf_of(place: Place) -> str | None:
    data = place.cluster.get(CONFIG_MAP, place.namespace, "datakit-conf").get("data") or {}
    found: str | None = data.get("etcd.conf")
    return found


def env_of(place: Place) -> dict[str, str]:
    pod = place.cluster.get(DAEMON_SET, place.namespace, "datakit")["spec"]["template"]["spec"]
    return {entry["name"]: entry.get("value", "") for entry in pod["containers"][0]["env"]}


def named(place: Place) -> None:
    """The vendor's name for the cluster is ours already, so that nothing is in the way."""
    set_env(place, "ENV_CLUSTER_NAME_K8S", NAME, "kubectl-client-side-apply")


class TestThereAndBack:
    def test_unforced(self, place: Place) -> None:
        named(place)
        before = place.objects()
        receipt = place.apply()
        assert receipt.complete
        assert conf_of(place) == CONF
        assert place.objects()["ConfigMap"]["data"]["container.conf"] == NEIGHBOUR
        template = place.objects()["DaemonSet"]["spec"]["template"]
        assert HASH_ANNOTATION in template["metadata"]["annotations"]
        again = place.apply()
        assert again.path is None, "nothing differs, so nothing is written"
        place.undo()
        assert place.objects() == before

    def test_without_etcd_what_was_written_stays(self, place: Place) -> None:
        named(place)
        place.apply()
        before = place.objects()
        nothing = replace(place.answers(), etcd=EtcdAnswers("none"))
        assert make_plan(place.cluster, place.look(), nothing).changes == ()
        assert place.objects() == before

    def test_settings_are_added_stay_and_are_forced_by_name_alone(self, place: Place) -> None:
        named(place)
        inputs = '.spec.template.spec.containers[name="datakit"].env[name="ENV_DEFAULT_ENABLED_INPUTS"].value'
        set_env(place, "ENV_DEFAULT_ENABLED_INPUTS", "container,cpu,disk,mem,system", "rancher")
        before = place.objects()

        def plan(*keys: str, forced: tuple[str, ...] = ()) -> Plan:
            answers = replace(place.answers(), etcd=EtcdAnswers("none"), datakit=DataKitAnswers(keys))
            return make_plan(place.cluster, place.look(), answers, forced=forced)

        added = place.carry_out(plan("pod-metrics", "container"))  # the input lacks nothing: its entry is not touched
        assert [step.kind for step in added.steps] == ["DaemonSet"]
        assert env_of(place)["ENV_INPUT_CONTAINER_ENABLE_POD_METRIC"] == "true"
        assert not plan("pod-metrics").has_changes
        assert plan().changes == (), "what is chosen no more stays until it is undone"
        place.apply()
        assert env_of(place)["ENV_INPUT_CONTAINER_ENABLE_POD_METRIC"] == "true", "etcd.conf joins it, and takes nothing"
        place.undo()
        place.undo()
        assert place.objects() == before

        set_env(place, "ENV_DEFAULT_ENABLED_INPUTS", "cpu,mem", "rancher")
        before = place.objects()
        with pytest.raises(RefusedError, match="rancher"):
            place.carry_out(plan("host-inputs"))
        place.carry_out(plan("host-inputs", forced=(inputs,)))
        assert env_of(place)["ENV_DEFAULT_ENABLED_INPUTS"] == "cpu,mem,disk,system"
        assert not plan("host-inputs").has_changes
        place.undo()
        assert place.objects() == before

    def test_objects_of_other_kinds_are_written_last_and_taken_back_first(self, place: Place) -> None:
        named(place)
        spec = {"ports": [{"port": 9080}], "clusterIP": "None", "selector": {"app": "details"}}
        create(place.cluster, SERVICE, place.namespace, "details", {"spec": spec}, "kubectl-create")

        def service() -> Any:
            return comparable(place.cluster.get(SERVICE, place.namespace, "details"))

        before = (place.objects(), service())
        live = place.cluster.get(SERVICE, place.namespace, "details")
        names = {key: live["metadata"][key] for key in ("name", "namespace", "uid")}
        annotations = {"prometheus.io/scrape": "true"}
        body = {"apiVersion": "v1", "kind": "Service", "metadata": {**names, "annotations": annotations}}
        plan = place.plan()
        plan = replace(plan, changes=(*plan.changes, dry_run(place.cluster, SERVICE, body, live)))
        receipt = place.carry_out(plan)
        assert [(step.kind, step.state) for step in receipt.steps] == [
            ("ConfigMap", "written"),
            ("DaemonSet", "written"),
            ("Service", "written"),
        ]
        assert service()["metadata"]["annotations"] == annotations
        place.said.clear()
        place.undo()
        assert [line.partition(" ")[0] for line in place.said if "our fields" in line] == [
            "Service",
            "DaemonSet",
            "ConfigMap",
        ]
        assert (place.objects(), service()) == before

    def test_forced_over_an_update_owner(self, place: Place) -> None:
        set_key(place, "etcd.conf", "# Rancher's\n", "rancher")
        before = place.objects()
        plan = place.plan()
        assert {(c.field, c.manager) for change in plan.changes for c in change.conflicts} == {
            (KEY, "rancher"),
            (ENV, "kubectl-client-side-apply"),
        }
        with pytest.raises(RefusedError):
            place.carry_out(plan)
        with pytest.raises(RefusedError, match="rancher") as caught:
            place.apply(forced=(ENV,))
        assert "kubectl" not in caught.value.why
        assert place.objects() == before
        receipt = place.apply(forced=(ENV, KEY))
        assert {(f.path, f.manager, f.operation, f.old) for s in receipt.steps for f in s.forced} == {
            (KEY, "rancher", "Update", "# Rancher's\n"),
            (ENV, "kubectl-client-side-apply", "Update", "default"),
        }
        assert env_of(place)["ENV_CLUSTER_NAME_K8S"] == NAME
        assert conf_of(place) == CONF
        forced = place.objects()
        assert place.apply().path is None, "what was forced is ours now, and stays so"
        place.apply(OTHER_CONF)
        place.undo()
        assert place.objects() == forced
        place.undo()
        assert place.objects() == before

    @pytest.mark.parametrize("manager", ["helm", "argocd-controller"])
    def test_an_owner_that_applied_is_not_impersonated(
        self, admin: Cluster, namespace: str, tmp_path: Path, manager: str
    ) -> None:
        place = Place(admin, namespace, Store(tmp_path))
        place.install(manager)
        place.apply(forced=(ENV,))
        place.undo()
        assert any("is released" in line and manager in line for line in place.said), place.said
        assert env_of(place)["ENV_CLUSTER_NAME_K8S"] == ""
        assert FIELD_MANAGER not in str(place.objects())

    def test_two_applies_are_two_undos(self, place: Place) -> None:
        named(place)
        start = place.objects()
        first = place.apply()
        middle = place.objects()
        place.apply(OTHER_CONF)
        assert conf_of(place) == OTHER_CONF
        with pytest.raises(UsageError, match="later apply"):
            place.undo(first)
        place.undo()
        assert place.objects() == middle
        place.undo()
        assert place.objects() == start

    def test_a_config_map_of_ours_is_deleted_again(self, admin: Cluster, namespace: str, tmp_path: Path) -> None:
        place = Place(admin, namespace, Store(tmp_path))
        place.install()
        named(place)
        uid = admin.get(CONFIG_MAP, namespace, "datakit-conf")["metadata"]["uid"]
        admin.delete(CONFIG_MAP, namespace, "datakit-conf", uid=uid)
        receipt = place.apply()
        assert receipt.steps[0].created
        place.undo()
        names = [each["metadata"]["name"] for each in admin.list(CONFIG_MAP, namespace)]
        assert "datakit-conf" not in names

    def test_one_that_may_not_be_deleted_is_told_before_apply_and_left_empty(
        self, admin: Cluster, namespace: str, tmp_path: Path
    ) -> None:
        place = Place(admin, namespace, Store(tmp_path))
        create(admin, DAEMON_SET, namespace, "datakit", vendor_daemon_set(namespace), VENDOR)
        allowed = admin.allowed
        admin.allowed = lambda wanted: [access.verb != "delete" for access in wanted]  # type: ignore[method-assign]
        try:
            plan = place.plan(name="default")
            assert plan.blockers() == []
            assert any("undo will have to leave the object there" in note for note in plan.notes), plan.notes
            place.carry_out(plan)
            place.undo()
        finally:
            admin.allowed = allowed  # type: ignore[method-assign]
        assert not admin.get(CONFIG_MAP, namespace, "datakit-conf").get("data")
        assert any("stays, empty" in line for line in place.said), place.said

    def test_one_that_may_not_be_made_is_told_before_apply(
        self, admin: Cluster, namespace: str, tmp_path: Path
    ) -> None:
        place = Place(admin, namespace, Store(tmp_path))
        create(admin, DAEMON_SET, namespace, "datakit", vendor_daemon_set(namespace), VENDOR)
        allowed = admin.allowed
        admin.allowed = lambda wanted: [access.verb != "create" for access in wanted]  # type: ignore[method-assign]
        try:
            assert "You may not create configmaps." in place.plan(name="default").blockers()
        finally:
            admin.allowed = allowed  # type: ignore[method-assign]

    def test_one_that_others_use_by_now_stays(self, admin: Cluster, namespace: str, tmp_path: Path) -> None:
        place = Place(admin, namespace, Store(tmp_path))
        place.install()
        named(place)
        uid = admin.get(CONFIG_MAP, namespace, "datakit-conf")["metadata"]["uid"]
        admin.delete(CONFIG_MAP, namespace, "datakit-conf", uid=uid)
        place.apply()
        set_key(place, "zipkin.conf", "theirs", "rancher")
        place.undo()
        assert admin.get(CONFIG_MAP, namespace, "datakit-conf")["data"] == {"zipkin.conf": "theirs"}


class TestMeanwhile:
    def test_foreign_changes_survive_undo(self, place: Place) -> None:
        named(place)
        place.apply()
        set_key(place, "zipkin.conf", "theirs", "rancher")
        set_env(place, "ENV_LOG", "stdout")
        foreign = place.objects()
        place.undo()
        after = place.objects()
        assert after["ConfigMap"]["data"] == {"container.conf": NEIGHBOUR, "zipkin.conf": "theirs"}
        assert env_of(place)["ENV_LOG"] == "stdout"
        theirs = [e for e in foreign["ConfigMap"]["metadata"]["managedFields"] if e["manager"] != FIELD_MANAGER]
        assert after["ConfigMap"]["metadata"]["managedFields"] == theirs

    def test_a_forced_value_that_somebody_changed_since_is_theirs(self, place: Place) -> None:
        place.apply(forced=(ENV,))
        set_env(place, "ENV_CLUSTER_NAME_K8S", "theirs")
        place.undo()
        assert env_of(place)["ENV_CLUSTER_NAME_K8S"] == "theirs"

    def test_a_field_that_was_taken_over_stays_when_an_older_value_would_come_back(self, place: Place) -> None:
        named(place)
        place.apply()
        place.apply(OTHER_CONF)
        set_key(place, "etcd.conf", "# edited\n", "kubectl-edit")
        place.undo()
        assert conf_of(place) == "# edited\n"
        assert any("kubectl-edit changed it meanwhile" in line for line in place.said), place.said

    def test_a_status_that_moves_on_does_not_stop_the_write(self, place: Place) -> None:
        named(place)
        plan = place.plan()
        set_key(place, "zipkin.conf", "theirs", "rancher")
        container = {"metadata": {"labels": {"touched": "yes"}}}
        place.cluster.patch(DAEMON_SET, place.namespace, "datakit", container, manager="x", dry_run=False)
        with pytest.raises(StaleError):
            place.carry_out(plan)  # the diff shows its neighbours, and one of them is new
        assert place.carry_out(place.plan()).complete
        assert place.objects()["ConfigMap"]["data"]["zipkin.conf"] == "theirs"

    def test_two_wizards(self, place: Place, tmp_path: Path) -> None:
        """The second one's apply is not lost by the first one's undo, and the other way round."""
        named(place)
        start = place.objects()
        place.apply()
        other = Place(place.cluster, place.namespace, Store(tmp_path / "other"))
        other.apply(OTHER_CONF)
        with pytest.raises(RefusedError, match="Another datakit-wizard"):
            place.undo()
        assert conf_of(place) == OTHER_CONF
        other.undo()
        place.undo()
        assert place.objects() == start

    def test_a_review_that_another_wizard_overtook_is_refused(self, place: Place, tmp_path: Path) -> None:
        named(place)
        reviewed = place.plan()
        Place(place.cluster, place.namespace, Store(tmp_path / "other")).apply(OTHER_CONF)
        with pytest.raises(StaleError):
            place.carry_out(reviewed)
        assert conf_of(place) == OTHER_CONF

    def test_a_daemon_set_made_anew_is_not_what_was_reviewed(self, place: Place) -> None:
        named(place)
        plan = place.plan()
        uid = place.cluster.get(CONFIG_MAP, place.namespace, "datakit-conf")["metadata"]["uid"]
        place.cluster.delete(CONFIG_MAP, place.namespace, "datakit-conf", uid=uid)
        create(place.cluster, CONFIG_MAP, place.namespace, "datakit-conf", {"data": {"container.conf": NEIGHBOUR}}, "x")
        with pytest.raises(StaleError):
            place.carry_out(plan)


def test_the_servers_warnings_stand_in_the_plan(admin: Cluster, namespace: str, tmp_path: Path) -> None:
    """A variable that stands twice in somebody's manifest is kept by the API server, which warns of it."""
    place = Place(admin, namespace, Store(tmp_path))
    twice = vendor_daemon_set(namespace, ENV_CLUSTER_NAME_K8S=NAME)
    twice["spec"]["template"]["spec"]["containers"][0]["env"] += [
        {"name": "A", "value": "1"},
        {"name": "A", "value": "2"},
    ]
    create(admin, DAEMON_SET, namespace, "datakit", twice, VENDOR)
    plan = place.plan()
    warnings = [text for change in plan.changes for text in change.warnings]
    assert any('hides previous definition of "A"' in text for text in warnings), warnings
    assert f"warning: {warnings[0]}" in plan_text(plan)
    assert plan.blockers() == [], "it is not ours"
    receipt = place.carry_out(plan)
    assert any("hides previous definition" in line for line in place.said), place.said
    place.undo(receipt)
    env = admin.get(DAEMON_SET, namespace, "datakit")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [entry["value"] for entry in env if entry["name"] == "A"] == ["1", "2"]


def test_what_the_journal_holds_while_a_request_is_out(place: Place) -> None:
    """Each request that changes something finds its step on disk already."""
    named(place)
    seen: list[tuple[str, str]] = []
    plan = place.plan()
    uid = place.look().uid

    rolling = Rolling(place.cluster)

    def apply(*arguments: Any, dry_run: bool, **options: Any) -> Any:
        if not dry_run:
            (receipt,) = place.store.all(uid, place.namespace)
            seen.append((receipt.steps[-1].kind, receipt.steps[-1].state))
            assert unfinished(place.store, uid, place.namespace) == receipt
        return place.cluster.apply(*arguments, dry_run=dry_run, **options)

    rolling.apply = apply  # type: ignore[attr-defined]
    receipt = actions.apply(rolling, plan, None, place.store, on_event=lambda _event: None)  # type: ignore[arg-type]
    assert seen == [("ConfigMap", "pending"), ("DaemonSet", "pending")]
    assert receipt.path is not None
    assert load(receipt.path) == receipt
    assert unfinished(place.store, uid, place.namespace) is None
