"""`lab` as a process: its ready line, its end in every way, and what it leaves behind (nothing)."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

START_S = 30.0
STOP_S = 10.0


def wait_for(condition: Any, seconds: float = STOP_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def environment(tmp_path: Path, *, etcd: bool) -> dict[str, str]:
    """This environment with its temporary files in `tmp_path`, and a PATH with or without etcd."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    binary = shutil.which("etcd")
    if etcd and binary:
        (folder / "etcd").symlink_to(binary)
    return {**os.environ, "TMPDIR": str(tmp_path), "PATH": str(folder)}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tui.cli", "lab", "--interval", "500ms", *arguments]


def first_line(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(START_S), "no ready line in time"
    line = process.stdout.readline()
    assert line, "the lab ended without a ready line"
    found: dict[str, Any] = json.loads(line)
    return found


@contextlib.contextmanager
def running(env: dict[str, str], *argv: str) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, env=env, start_new_session=True)
    try:
        yield process, first_line(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def ports_of(ready: dict[str, Any]) -> list[int]:
    server = yaml.safe_load(Path(ready["kubeconfig"]).read_text())["clusters"][0]["cluster"]["server"]
    urls = [server]
    if "studio" in ready:
        urls += [ready["studio"]["endpoint"], *(member["direct"] for member in ready["etcd"]["members"])]
    return [int(urlsplit(url).port or 0) for url in urls]


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


def descendants(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == pid:
                    found += [int(entry.name), *descendants(int(entry.name))]
    return found


def assert_nothing_is_left(tmp_path: Path, pids: list[int], ports: list[int]) -> None:
    wait_for(lambda: not any(is_alive(pid) for pid in pids))
    assert [port for port in ports if is_open(port)] == []
    assert [path.name for path in tmp_path.iterdir() if path.name != "bin"] == []


def test_the_ready_line(tmp_path: Path) -> None:
    with running(environment(tmp_path, etcd=False), *command("--nodes", "3", "--seed", "7")) as (process, ready):
        assert ready["schema"] == "datakit-wizard/lab/v1"
        assert ready["contexts"] == {"admin": "lab-admin", "viewer": "lab-viewer"}
        assert ready["namespace"] == "datakit"
        assert ready["time_scale"] == 120
        assert ready["pid"] == process.pid
        assert ready["etcd"]["kind"] == "stand-in"
        (member,) = ready["etcd"]["members"]
        assert (member["node"], member["metrics_url"]) == ("cp-1", "http://127.0.0.1:2381/metrics")
        assert len(Path(ready["studio"]["api_key_file"]).read_text().strip()) >= 32
        document = yaml.safe_load(Path(ready["kubeconfig"]).read_text())
        assert document["current-context"] == "lab-admin"
        assert document["clusters"][0]["cluster"]["extensions"] == [
            {"name": "datakit-wizard/lab", "extension": {"timeScale": 120.0}}
        ]
        assert all(is_open(port) for port in ports_of(ready))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda each: each.name)
def test_signals_end_it_and_nothing_is_left(tmp_path: Path, number: signal.Signals) -> None:
    etcd = number == signal.SIGTERM  # the others take the same way from here on
    with running(environment(tmp_path, etcd=etcd), *command()) as (process, ready):
        pids, ports = [process.pid, *descendants(process.pid)], ports_of(ready)
        assert len(pids) == (2 if etcd and shutil.which("etcd") else 1)
        process.send_signal(number)
        assert process.wait(STOP_S) == 0
        assert_nothing_is_left(tmp_path, pids, ports)


@pytest.mark.parametrize(
    "reached", ["", "nodes/cp-1", "studio.sqlite", "etcd", "kubeconfig", "nodes/cp-1/root/datakit_cache"]
)
def test_a_signal_during_the_start_leaves_nothing(tmp_path: Path, reached: str) -> None:
    process = subprocess.Popen(
        command(), stdout=subprocess.PIPE, env=environment(tmp_path, etcd=True), start_new_session=True
    )
    try:
        wait_for(lambda: any(tmp_path.glob(f"datakit-wizard-lab-*/{reached}")))
        pids = [process.pid, *descendants(process.pid)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_S) == 0
        assert_nothing_is_left(tmp_path, pids, [])
    finally:
        process.kill()
        process.communicate()


PARENT = """
import subprocess, sys, time
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
time.sleep(600)
"""


def test_a_killed_parent_takes_the_lab_with_it(tmp_path: Path) -> None:
    env = environment(tmp_path, etcd=True)
    with running(env, sys.executable, "-c", PARENT, *command()) as (parent, ready):
        pids, ports = descendants(parent.pid), ports_of(ready)
        assert ready["pid"] in pids
        parent.kill()
        parent.wait()
        assert_nothing_is_left(tmp_path, pids, ports)


@pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")
def test_a_killed_lab_takes_etcd_with_it(tmp_path: Path) -> None:
    with running(environment(tmp_path, etcd=True), *command()) as (process, ready):
        assert ready["etcd"]["kind"] == "etcd"
        (etcd,) = descendants(process.pid)
        process.kill()
        process.wait()
        wait_for(lambda: not is_alive(etcd))


def test_bare(tmp_path: Path) -> None:
    with running(environment(tmp_path, etcd=False), *command("--bare", "--user", "nobody")) as (process, ready):
        assert set(ready["users"]) == {"admin", "nobody"}
        assert Path(ready["ca"]).read_text().startswith("-----BEGIN CERTIFICATE-----")
        assert ready["server"].startswith("https://127.0.0.1:")
        ports = ports_of(ready)
        assert is_open(ports[0])
        process.terminate()
        assert process.wait(STOP_S) == 0
        assert_nothing_is_left(tmp_path, [process.pid], ports)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--fault", "nope"], "There is no such fault: nope"),
        (["--nodes", "1001"], "These options make no lab."),
        (["--interval", "1ms"], "The interval must be at least"),
    ],
)
def test_options_that_make_no_lab(tmp_path: Path, arguments: list[str], text: str) -> None:
    env = {**environment(tmp_path, etcd=False), "LC_ALL": "C"}
    done = subprocess.run(command(*arguments), env=env, capture_output=True, timeout=START_S, check=False)
    assert done.returncode == 2
    assert text in done.stderr.decode()
    assert done.stdout == b""
    assert_nothing_is_left(tmp_path, [], [])
