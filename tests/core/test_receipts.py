"""Receipts on disk."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from tui.core.errors import UsageError
from tui.core.receipts import FAILED, WRITTEN, Receipt, Step, Store, ViewStep, load, strike_secrets


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
