"""Receipts on disk."""

from __future__ import annotations

import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tui.core.errors import RefusedError, UsageError
from tui.core.receipts import (
    FAILED,
    PENDING,
    ROLLED_OUT,
    SAME,
    UNDOING,
    UNDONE,
    UNKNOWN,
    WAITING,
    WRITTEN,
    Receipt,
    Step,
    Store,
    ViewStep,
    keepable,
    load,
    overwrite,
    strike_secrets,
    unfinished,
)


def receipt(number: int = 1) -> Receipt:
    return Receipt(
        id=f"2026010{number}T000000Z-aaa",
        started="2026-01-01T00:00:00Z",
        context="lab",
        server="https://127.0.0.1:1",
        cluster_uid="uid/../x",
        namespace="datakit",
        daemonset="datakit",
        user="admin",
        steps=(Step("v1", "ConfigMap", "configmaps", "datakit", "datakit-conf", state=WRITTEN, owners=("a", "b")),),
        views=(ViewStep("etcd", "dsbd_custom_1", "ETCD", state=WRITTEN),),
    )


def test_a_receipt_comes_back_as_it_was_written_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    written = Store(tmp_path).write(receipt())
    assert written.path is not None
    assert load(written.path) == written
    assert stat.S_IMODE(written.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(written.path.parent.stat().st_mode) == 0o700
    assert written.path.is_relative_to(tmp_path / "receipts")
    assert [p.name for p in written.path.parent.iterdir()] == [written.path.name]


def test_the_newest_that_is_not_undone_is_found(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, second = store.write(receipt(1)), store.write(receipt(2))
    assert store.newest("uid/../x", "datakit") == second
    store.write(replace(second, undone="2026-01-02T00:00:00Z"))
    assert store.newest("uid/../x", "datakit") == first
    store.write(replace(first, steps=(replace(first.steps[0], state=FAILED),), views=()))
    assert store.newest("uid/../x", "datakit") is None
    assert store.newest("another", "datakit") is None


def test_what_is_no_receipt_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path / "missing.json")
    for text in ("", "[]", "{}", '{"schema": "datakit-wizard/receipt/v2"}', '{"schema": "datakit-wizard/receipt/v1"}'):
        path = tmp_path / "x.json"
        path.write_text(text)
        with pytest.raises(UsageError, match="no receipt"):
            load(path)


def test_steps_are_replaced_by_object_and_views_by_key() -> None:
    one = receipt()
    failed = replace(one.steps[0], state=FAILED)
    assert one.with_step(failed).steps == (failed,)
    assert len(one.with_step(replace(failed, kind="DaemonSet")).steps) == 2
    assert not one.with_step(failed).complete
    assert one.complete


@pytest.mark.parametrize(
    "line",
    [
        'token = "canary"',
        '  password = "canary"',
        "+    bearer_token = 'canary'",
        '-  cert_key_base64 = "canary"',
        'url = "https://openway.guance.com?token=canary"',
        "          value: https://openway.guance.com?token=canary&x=1",
    ],
)
def test_secrets_are_struck_out(line: str) -> None:
    assert "canary" not in strike_secrets(f"a = 1\n{line}\nb = 2")
    assert strike_secrets(f"a = 1\n{line}\nb = 2").startswith("a = 1\n")


PLACE = ("uid/../x", "datakit")


@pytest.mark.parametrize("state", [PENDING, UNKNOWN, UNDOING])
def test_what_was_broken_off_is_found(tmp_path: Path, state: str) -> None:
    store, one = Store(tmp_path), receipt()
    left = store.write(replace(one, steps=(replace(one.steps[0], state=state),)))
    assert unfinished(store, *PLACE) == left
    assert store.newest(*PLACE) == left
    store.write(receipt(2))
    assert unfinished(store, *PLACE) is None, "a whole apply came after it"


def test_what_is_done_undone_or_never_begun_is_not_unfinished(tmp_path: Path) -> None:
    store, one = Store(tmp_path), receipt()
    step = one.steps[0]
    for states in ([WRITTEN, SAME], [UNDONE], [FAILED]):
        steps = tuple(replace(step, name=f"n{n}", state=state) for n, state in enumerate(states))
        store.write(replace(one, steps=steps, views=()))
        assert unfinished(store, *PLACE) is None, states
    for rollout, found in ((WAITING, True), (ROLLED_OUT, False)):
        store.write(replace(one, steps=(replace(step, rollout=rollout),)))
        assert (unfinished(store, *PLACE) is not None) is found


def test_the_first_of_two_applies_waits_for_the_second(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, second = store.write(receipt(1)), store.write(receipt(2))
    assert store.later(first) == second
    assert store.later(second) is None
    store.write(replace(second, undone="2026-01-02T00:00:00Z"))
    assert store.later(first) is None


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """The lock ends with the process that held it, however that ends."""
    held = (
        "import os,sys;from pathlib import Path;from tui.core.receipts import Store\n"
        f"with Store(Path({str(tmp_path)!r})).locked('u', 'n'):\n"
        " print('held', flush=True); sys.stdin.read(); os._exit(9)"
    )
    command = [sys.executable, "-c", held]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(RefusedError, match="Another"), Store(tmp_path).locked("u", "n"):
            pass
        with Store(tmp_path).locked("u", "other"):
            pass
        process.stdin.close()
        process.wait(20)
    with Store(tmp_path).locked("u", "n"):
        assert Store(tmp_path).all("u", "n") == []


def test_without_a_place_for_the_receipt_nothing_may_begin(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(RefusedError, match="cannot be written"):
        Store(blocked).write(receipt())
    with pytest.raises(RefusedError, match="cannot be written"), Store(blocked).locked("u", "n"):
        pass


def test_values_that_hold_secrets_are_not_kept() -> None:
    env = [{"name": "ENV_DATAWAY", "value": "https://x?token=canary"}, {"name": "ENV_GIT_KEY_PW", "value": "canary"}]
    body = {"spec": {"containers": [{"name": "datakit", "env": [*env, {"name": "A", "value": "kept"}]}]}}
    kept, withheld = keepable(body)
    assert "canary" not in str(kept)
    assert "kept" in str(kept)
    assert withheld == tuple(
        f'.spec.containers[name="datakit"].env[name="{name}"].value' for name in ("ENV_DATAWAY", "ENV_GIT_KEY_PW")
    )
    assert keepable(None) == (None, ())
    forced = overwrite(("data", "etcd.conf"), 'password = "canary"', "rancher", "Update")
    assert (forced.path, forced.old, forced.withheld) == (".data.etcd.conf", None, True)
    assert overwrite(("data", "etcd.conf"), "x = 1", "rancher", "Update").old == "x = 1"


@pytest.mark.parametrize(
    "line",
    [
        "automountServiceAccountToken: false",
        "secretName: etcd-metric-client",
        'tls_key = "/etc/kubernetes/pki/etcd/healthcheck-client.key"',
        'bearer_token_file = "/run/token"',
        'token = ""',
        "secret:\n  secretName: x",
        'urls = ["http://127.0.0.1:2381/metrics"]',
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert strike_secrets(line) == line


@pytest.mark.parametrize(
    "line",
    [
        'http_headers = { "Authorization" = "Bearer canarycanary", x = 1 }',
        "dsn = 'root:canary@tcp(10.0.0.1:3306)/'",
        'url = "https://user:canary@host/metrics"',
        "password: canary",
        "api_key: canary",
        "Authorization: Basic canarycanary=",
    ],
)
def test_struck_out_once_and_for_all(line: str) -> None:
    struck = strike_secrets(line)
    assert "canary" not in struck
    assert strike_secrets(struck) == struck
