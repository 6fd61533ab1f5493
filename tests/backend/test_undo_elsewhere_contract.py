"""Undo on a machine that holds no receipt, and what a receipt does not keep."""

from __future__ import annotations

from pathlib import Path

import pytest
from changes import CONF, ENV, KEY, NAME, NEIGHBOUR, Place, Rolling

from tui.core import actions
from tui.core import undo as undoing
from tui.core.ownership import FIELD_MANAGER
from tui.core.ports import CONFIG_MAP, DAEMON_SET, Cluster
from tui.core.receipts import Receipt, Store
from tui.core.undo_elsewhere import without_receipt

SECRET = "canary-5b1f0c"


@pytest.fixture
def place(admin: Cluster, namespace: str, tmp_path: Path) -> Place:
    found = Place(admin, namespace, Store(tmp_path))
    found.install()
    return found


def elsewhere(place: Place, store: Store) -> tuple[Receipt, list[str]]:
    look = place.look()
    empty = actions.new_receipt(place.cluster, look.datakit, look.uid, user="")
    made, notes = without_receipt(look.datakit.object, look.conf, empty)
    if made.steps:
        undoing.undo(Rolling(place.cluster), made, None, store, on_event=place._say)
    return made, notes


def test_all_that_was_added_goes(place: Place, tmp_path: Path) -> None:
    body = {"spec": {"template": {"spec": {"containers": [{"name": "datakit", "env": [entry(NAME)]}]}}}}
    vendor = "kubectl-client-side-apply"
    place.cluster.patch(DAEMON_SET, place.namespace, "datakit", body, manager=vendor, dry_run=False)
    before = place.objects()
    place.apply()
    made, _notes = elsewhere(place, Store(tmp_path / "other"))
    assert len(made.steps) == 2
    assert place.objects() == before
    assert elsewhere(place, Store(tmp_path / "other"))[0].steps == ()


def entry(value: str) -> dict[str, str]:
    return {"name": "ENV_CLUSTER_NAME_K8S", "value": value}


def test_what_was_there_before_us_is_kept_and_told(place: Place, tmp_path: Path) -> None:
    """Without its former value an env entry would be left empty, and break DataKit."""
    place.apply(forced=(ENV,))
    _made, notes = elsewhere(place, Store(tmp_path / "other"))
    assert any(ENV in note for note in notes), notes
    pod = place.cluster.get(DAEMON_SET, place.namespace, "datakit")["spec"]["template"]["spec"]
    assert entry(NAME) in pod["containers"][0]["env"]
    assert len(pod["containers"][0]["volumeMounts"]) == 2
    assert place.objects()["ConfigMap"]["data"] == {"container.conf": NEIGHBOUR}


def test_a_key_that_another_mounts_is_kept(place: Place, tmp_path: Path) -> None:
    """Without the key its mount would become an empty directory."""
    mount = {"name": "datakit-conf", "mountPath": "/usr/local/datakit/conf.d/etcd/etcd.conf", "subPath": "etcd.conf"}
    body = {"spec": {"template": {"spec": {"containers": [{"name": "datakit", "volumeMounts": [mount]}]}}}}
    place.cluster.patch(DAEMON_SET, place.namespace, "datakit", body, manager="rancher", dry_run=False)
    data = {"data": {"etcd.conf": "# by hand\n"}}
    place.cluster.patch(CONFIG_MAP, place.namespace, "datakit-conf", data, manager="rancher", dry_run=False)
    place.apply(forced=(ENV, KEY))
    _made, notes = elsewhere(place, Store(tmp_path / "other"))
    assert any(KEY in note for note in notes), notes
    assert place.objects()["ConfigMap"]["data"]["etcd.conf"] == CONF


def test_no_secret_reaches_receipt_diff_or_narration(place: Place, tmp_path: Path) -> None:
    """Planted in the environment, in a neighbour's key, in the former conf and in the conf itself."""
    other = f'[[inputs.mysql]]\n  password = "{SECRET}"\n  dsn = "root:{SECRET}@tcp(db)"\n'
    old = f'[[inputs.prom]]\n  urls = ["http://u:{SECRET}@127.0.0.1/metrics"]\n  bearer_token = "{SECRET}"\n'
    body = {"data": {"container.conf": other, "etcd.conf": old, "zipkin.conf": f"key = {SECRET}\n"}}
    place.cluster.patch(CONFIG_MAP, place.namespace, "datakit-conf", body, manager="rancher", dry_run=False)
    env = [
        {"name": "ENV_DATAWAY", "value": f"https://openway.guance.com?token={SECRET}"},
        {"name": "ENV_GIT_PASSWORD", "value": SECRET},
    ]
    one = {"spec": {"template": {"spec": {"containers": [{"name": "datakit", "env": env}]}}}}
    place.cluster.patch(DAEMON_SET, place.namespace, "datakit", one, manager="x", dry_run=False)
    before = place.objects()

    conf = CONF + f'  [inputs.prom.auth]\n    token = "{SECRET}"\n'
    plan = place.plan(conf, forced=(ENV, KEY))
    shown = [change.diff for change in plan.changes] + [repr(change.overwrites) for change in plan.changes]
    place.carry_out(plan)
    place.apply(conf.replace("30s", "60s"))
    place.undo()
    assert place.objects()["ConfigMap"]["data"]["etcd.conf"] == conf.replace("30s", "60s")
    place.undo()
    kept = [path.read_text() for path in tmp_path.rglob("*.json")]
    assert len(kept) == 2
    for text in (*shown, *place.said, *kept):
        assert SECRET not in text
    assert "***" in "".join(shown)

    # What a receipt does not keep is not restored, and that is said; everything else is as before.
    assert any("held a secret" in line for line in place.said), place.said
    after = place.objects()
    assert after["ConfigMap"]["data"]["etcd.conf"] == conf.replace("30s", "60s")
    assert after["ConfigMap"]["data"]["container.conf"] == other
    assert after["DaemonSet"] == before["DaemonSet"]
    assert FIELD_MANAGER not in str(after["DaemonSet"])
