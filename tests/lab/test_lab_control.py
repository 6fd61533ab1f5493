"""A running lab from outside: faults by the command line, the audit log, and what killed labs leave behind."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from lab_clients import MAPS, SETS, apply, client_of, config_map
from lab_machines import until
from test_lab_process import command, environment, first_line, running

from tui.lab import control
from tui.lab.world import Lab


def lab_fault(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "tui.cli", "lab", "fault", *arguments]
    return subprocess.run(argv, env={**env, "LC_ALL": "C"}, capture_output=True, text=True, timeout=60, check=False)


def test_faults_of_the_running_lab(tmp_path: Path) -> None:
    env = environment(tmp_path, etcd=False)
    with running(env, *command("--nodes", "1")) as (_process, ready):
        done = lab_fault(env, "set", "dataway-down")
        assert (done.returncode, done.stdout) == (0, "dataway-down: set\n")
        done = lab_fault(env, "set", "wrong-port", "--lab", ready["folder"])
        assert (done.returncode, done.stdout) == (0, "wrong-port: set; it shows as soon as an etcd.conf is in use\n")
        done = lab_fault(env, "clear", "dataway-down", "--kubeconfig", ready["kubeconfig"])
        assert (done.returncode, done.stdout) == (0, "dataway-down: cleared\n")
        done = lab_fault(env, "clear", "dataway-down")
        assert (done.returncode, done.stdout) == (5, "")
        assert "This fault is not set: dataway-down" in done.stderr
        done = lab_fault(env, "set", "nope")
        assert (done.returncode, done.stdout) == (2, "")
        assert "There is no such fault: nope" in done.stderr


def lab_traffic(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "tui.cli", "lab", "traffic", *arguments]
    return subprocess.run(argv, env={**env, "LC_ALL": "C"}, capture_output=True, text=True, timeout=60, check=False)


def test_traffic_of_the_running_lab(tmp_path: Path) -> None:
    env = environment(tmp_path, etcd=False)
    with running(env, *command("--nodes", "2")) as (_process, ready):
        assert ready["mesh"] == {"namespaces": ["istio-system", "prod"]}
        done = lab_traffic(env, "shift", "80:20")
        assert (done.returncode, done.stdout) == (0, "Requests come in, reviews gets v1:80 v2:20 v3:0.\n")
        done = lab_traffic(env, "stop", "--lab", ready["folder"])
        assert (done.returncode, done.stdout) == (0, "No requests come in.\n")
        done = lab_traffic(env, "shift", "all")
        assert (done.returncode, done.stdout) == (5, "")
        assert "These are no weights: all" in done.stderr
        done = lab_traffic(env, "start", "80:20")
        assert (done.returncode, done.stdout) == (2, "")
        assert "`shift` takes weights" in done.stderr
        assert lab_traffic(env, "start").returncode == 0


def test_a_lab_without_a_mesh_has_no_traffic(tmp_path: Path) -> None:
    env = environment(tmp_path, etcd=False)
    with running(env, *command("--nodes", "2", "--no-mesh")) as (_process, ready):
        assert ready["mesh"] is None
        done = lab_traffic(env, "stop")
        assert (done.returncode, done.stdout) == (5, "")
        assert "This lab has no mesh." in done.stderr


def test_without_a_lab_there_is_nothing_to_change(tmp_path: Path) -> None:
    done = lab_fault(environment(tmp_path, etcd=False), "set", "dataway-down")
    assert done.returncode == 2
    assert "No practice lab of yours is running." in done.stderr
    done = lab_fault(environment(tmp_path, etcd=False), "set", "dataway-down", "--lab", str(tmp_path))
    assert "No practice lab runs there." in done.stderr


def test_only_who_can_read_the_folder_may_ask(tmp_path: Path) -> None:
    with running(environment(tmp_path, etcd=False), *command("--nodes", "1")) as (_process, ready):
        known = Path(ready["folder"]) / control.FILE
        assert known.stat().st_mode & 0o777 == 0o600
        url = f"{json.loads(known.read_text())['url']}/set/dataway-down"
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(urllib.request.Request(url, method="POST", headers=headers))
            assert caught.value.code == 401
            caught.value.close()


def test_the_next_lab_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    env = environment(tmp_path, etcd=False)
    with running(env, *command("--nodes", "1")) as (alive, living):
        killed = subprocess.Popen(command("--bare"), stdout=subprocess.PIPE, env=env, start_new_session=True)
        stray = Path(first_line(killed)["folder"])
        killed.kill()
        killed.communicate()
        assert stray.exists()
        with running(env, *command("--bare")) as (_process, ready):
            assert not stray.exists()
            assert Path(ready["folder"]).exists()
            assert Path(living["folder"]).exists()
            assert alive.poll() is None


@pytest.mark.parametrize("free", [0, 1])
def test_folders_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Only where enough is free; a killed lab's are found there, too."""
    memory, disk = tmp_path / "memory", tmp_path / "disk"
    memory.mkdir()
    disk.mkdir()
    monkeypatch.setattr(control, "_MEMORY", memory)
    monkeypatch.setattr(control, "_LEAST_MEMORY", 0 if free else 1 << 80)
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    folder = control.make_folder(in_memory=True)
    assert folder.parent == (memory if free else disk)
    assert folder.stat().st_mode & 0o777 == 0o700
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()
    (folder / control.PID_FILE).write_text(f"{ended.pid} 1\n")
    assert control.make_folder().parent == disk
    assert not folder.exists()


def entries(lab: Lab) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (lab.folder / "audit.jsonl").read_text().splitlines()]


async def test_the_audit_log(tmp_path: Path) -> None:
    lab = Lab(nodes=1, interval_s=0.5)
    await lab.start()
    admin = client_of(lab, "admin", tmp_path)
    try:
        path = f"{MAPS}/datakit-conf"
        query = {"fieldManager": "tester", "dryRun": "All"}
        body = config_map(**{"etcd.conf": "x = 1\n"})
        await admin.send("PATCH", path, body, query=query, content_type="application/apply-patch+yaml")
        await apply(admin, path, body)
        await admin.get(f"{SETS}/datakit")
        assert lab.studio is not None
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{lab.studio.url}/api/v1/workspace/get", headers={"DF-API-KEY": "nope"}) as answer,
        ):
            assert answer.status == 401
        found = [each for each in entries(lab) if each["user"] == "admin"]
        patches = [each for each in found if each["verb"] == "patch"]
        assert [(each["object"], each["dry_run"], each["status"]) for each in patches] == [
            ("datakit/configmaps/datakit-conf", True, 200),
            ("datakit/configmaps/datakit-conf", False, 200),
        ]
        assert found[-1]["verb"] == "get"
        assert found[-1]["object"] == "datakit/daemonsets.apps/datakit"
        (refused,) = [each for each in entries(lab) if each.get("error_code") == "ft.InvalidAPIKey"]
        assert (refused["to"], refused["verb"], refused["object"]) == ("studio", "GET", "/api/v1/workspace/get")

        async def agents_seen() -> bool:
            return any(each["user"] == "agent" and each["object"] == "/v1/election" for each in entries(lab))

        await until(agents_seen)
        text = (lab.folder / "audit.jsonl").read_text()
        assert lab._token not in text
        assert lab._api_key not in text
        assert (lab.folder / "audit.jsonl").stat().st_mode & 0o777 == 0o600
    finally:
        await admin.close()
        await lab.stop()


async def test_objects_alone(tmp_path: Path) -> None:
    lab = Lab(objects_only=300, control_planes=3)
    await lab.start()
    admin = client_of(lab, "admin", tmp_path)
    try:
        nodes = (await admin.get("/api/v1/nodes"))["items"]
        pods = (await admin.get("/api/v1/namespaces/datakit/pods"))["items"]
        assert len(nodes) == len(pods) == 300
        item = await admin.get(f"{SETS}/datakit")
        assert item["status"]["numberAvailable"] == 300
        assert {pod["metadata"]["ownerReferences"][0]["uid"] for pod in pods} == {item["metadata"]["uid"]}
        ready = [each for pod in pods for each in pod["status"]["conditions"] if each["type"] == "Ready"]
        assert {each["status"] for each in ready} == {"True"}
        assert len({pod["status"]["hostIP"] for pod in pods}) == 300
        assert (await admin.get("/api/v1/pods", labelSelector="component=etcd", limit="10"))["items"][2]
        assert lab.ready()["etcd"] == {"kind": "none", "members": []}
        assert lab.kubelets == {}
    finally:
        await admin.close()
        await lab.stop()


async def test_several_labs_side_by_side(tmp_path: Path) -> None:
    labs = [Lab(nodes=1, interval_s=0.5) for _number in range(2)]
    await asyncio.gather(*(lab.start() for lab in labs))
    try:
        assert len({lab.folder for lab in labs}) == 2
        assert len({lab.api_key_file.read_text() for lab in labs}) == 2
        uids = set()
        for number, lab in enumerate(labs):
            (tmp_path / str(number)).mkdir()
            client = client_of(lab, "admin", tmp_path / str(number))
            uids.add((await client.get("/api/v1/namespaces/kube-system"))["metadata"]["uid"])
            await client.close()
        assert len(uids) == 2
    finally:
        await asyncio.gather(*(lab.stop() for lab in labs))
