"""The stand-in's values, and the real etcd where its binary is there."""

from __future__ import annotations

import itertools
import random
import re
import shutil
import time
from pathlib import Path

import pytest
from lab_machines import Machines, client_tls, until

from tui import i18n
from tui.lab.standin import SAMPLE, Exposition

VALUE = re.compile(r"^([^#\s]+(?:\{.*\})?) (\S+)$", re.M)


def values(text: str) -> dict[str, float]:
    return {name: float(value) for name, value in VALUE.findall(text)}


def exposition(monkeypatch: pytest.MonkeyPatch, clock: list[float], seed: int = 3) -> Exposition:
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    text = (i18n.assets() / "samples" / SAMPLE).read_text()
    return Exposition(text, leader=True, rng=random.Random(seed))


def test_the_stand_in_serves_every_series_of_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = values((i18n.assets() / "samples" / SAMPLE).read_text())
    served = values(exposition(monkeypatch, [0.0]).text())
    assert len(served) > 1000
    assert served.keys() == sample.keys()
    counters = {name for name in sample if name.startswith("etcd_server_proposals")}
    assert {name: served[name] for name in counters} == {name: sample[name] for name in counters}


def test_counters_grow_and_buckets_stay_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    made = exposition(monkeypatch, clock)
    rounds = []
    for _ in range(5):
        rounds.append(values(made.text()))
        clock[0] += 7.5
    falling = [
        name
        for before, after in itertools.pairwise(rounds)
        for name in before
        if after[name] < before[name] and not name.startswith(("go_", "process_"))
    ]
    assert falling == []
    for name in ("etcd_server_proposals_committed_total", "etcd_network_client_grpc_received_bytes_total"):
        assert rounds[-1][name] > rounds[0][name]
    assert rounds[-1]["etcd_server_has_leader"] == 1
    assert rounds[-1]["etcd_server_leader_changes_seen_total"] == rounds[0]["etcd_server_leader_changes_seen_total"]
    last = rounds[-1]
    buckets = [last[name] for name in last if name.startswith("etcd_disk_wal_fsync_duration_seconds_bucket")]
    assert len(buckets) > 5
    assert buckets == sorted(buckets)
    assert buckets[-1] == last["etcd_disk_wal_fsync_duration_seconds_count"]


@pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")
async def test_real_etcd_with_three_members(tmp_path: Path) -> None:
    machines = Machines(tmp_path, 3, 3)
    try:
        etcd = await machines.start_etcd(shutil.which("etcd"))
        assert etcd.kind == "etcd"
        url = "https://127.0.0.1:2379"
        seen = []
        for node in machines.nodes:
            answer = await machines.network.request(node.name, "GET", f"{url}/metrics", tls=client_tls(node))
            seen.append(values(answer.body.decode()))
        assert [each["etcd_server_has_leader"] for each in seen] == [1, 1, 1]
        assert sum(each["etcd_server_is_leader"] for each in seen) == 1

        async def committed() -> float:
            answer = await machines.network.request("cp-1", "GET", "http://127.0.0.1:2381/metrics")
            return values(answer.body.decode())["etcd_server_proposals_committed_total"]

        before = await committed()

        async def moved() -> bool:
            return await committed() > before

        await until(moved)
        await etcd.stop_member("cp-3")
    finally:
        await machines.stop()


async def test_a_binary_that_does_not_run_leaves_the_stand_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "etcd-broken"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    machines = Machines(tmp_path)
    try:
        etcd = await machines.start_etcd(str(broken))
        assert etcd.kind == "stand-in"
        assert "stand-in" in capsys.readouterr().err
    finally:
        await machines.stop()
