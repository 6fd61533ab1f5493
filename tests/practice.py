"""The practice lab as the tests use it: as a process of its own, with the command line run against it."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import selectors
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

START_S = 60.0
STOP_S = 180.0  # hundreds of nodes have many folders to remove
COMMAND_S = 120.0
NOISE = {"resourceVersion", "generation"}
# The API server counts a DaemonSet's templates here as well.
GENERATION = "deprecated.daemonset.template.generation"


@dataclass(frozen=True)
class Done:
    """What a command did."""

    status: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit status {self.status}\n{self.out}\n{self.err}"


@dataclass(frozen=True)
class Practice:
    """A running lab and a person's place beside it: `home` holds their state, and `ready` is the lab's ready line."""

    ready: dict[str, Any]
    home: Path
    process: subprocess.Popen[bytes]

    def environment(self) -> dict[str, str]:
        """The environment of a command: nothing but what a login shell has."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / "state"),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
        }

    def run(self, *arguments: str | Path, user: str = "admin", studio: bool = True, **environ: str) -> Done:
        """A command against the lab, as one of its users; with `studio`, its endpoint and key are given too."""
        flags = ["--kubeconfig", self.ready["kubeconfig"], "--context", self.ready["contexts"][user]]
        if studio:
            flags += ["--endpoint", self.ready["studio"]["endpoint"]]
            flags += ["--api-key-file", self.ready["studio"]["api_key_file"]]
        command = [sys.executable, "-m", "tui.cli", *map(str, arguments), *flags]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**self.environment(), **environ},
            timeout=COMMAND_S,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def get(self, path: str) -> dict[str, Any]:
        """An object of the cluster as its API server gives it to the admin, over plain HTTPS."""
        config = yaml.safe_load(Path(self.ready["kubeconfig"]).read_text())
        context = next(c for c in config["contexts"] if c["name"] == self.ready["contexts"]["admin"])["context"]
        cluster = next(c for c in config["clusters"] if c["name"] == context["cluster"])["cluster"]
        user = next(u for u in config["users"] if u["name"] == context["user"])["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        trust = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(base64.b64decode(user["client-certificate-data"]))
            pair.write(b"\n" + base64.b64decode(user["client-key-data"]))
            pair.flush()
            trust.load_cert_chain(pair.name)
        with urllib.request.urlopen(cluster["server"] + path, context=trust, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def objects(self) -> dict[str, Any]:
        """The ConfigMap and the DaemonSet, without what changes by itself: versions, generation, status and times."""
        namespace = self.ready["namespace"]
        found = {
            "ConfigMap": self.get(f"/api/v1/namespaces/{namespace}/configmaps/datakit-conf"),
            "DaemonSet": self.get(f"/apis/apps/v1/namespaces/{namespace}/daemonsets/datakit"),
        }
        for one in found.values():
            one.pop("status", None)
            metadata = one["metadata"]
            for name in NOISE:
                metadata.pop(name, None)
            metadata.get("annotations", {}).pop(GENERATION, None)
            metadata["managedFields"] = sorted(
                (
                    {key: value for key, value in entry.items() if key != "time"}
                    for entry in metadata["managedFields"]
                    if entry.get("subresource") != "status"
                ),
                key=lambda entry: json.dumps(entry, sort_keys=True),
            )
        return found

    def query(self, dql: str, window_s: float = 3600) -> list[dict[str, Any]]:
        """The series of a DQL query, asked of the studio's Open API."""
        import time

        key = Path(self.ready["studio"]["api_key_file"]).read_text().strip()
        now = int(time.time() * 1000)
        query = {"q": dql, "timeRange": [now - int(window_s * 1000), now + 60_000], "slimit": 100, "ignore_cache": True}
        request = urllib.request.Request(
            self.ready["studio"]["endpoint"].rstrip("/") + "/api/v1/df/query_data_v1",
            data=json.dumps({"queries": [{"qtype": "dql", "query": query}]}).encode(),
            headers={"DF-API-KEY": key, "Content-Type": "application/json", "User-Agent": "datakit-wizard-tests"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            content = json.load(answer)["content"]
        return list(content["data"][0].get("series") or [])

    def scrape(self, family: str) -> dict[str, float]:
        """One sample of a family without labels, by node, read directly from each member of etcd."""
        found = {}
        for member in self.ready["etcd"]["members"]:
            with urllib.request.urlopen(member["direct"], timeout=30) as answer:
                lines = answer.read().decode().splitlines()
            found[member["node"]] = next(float(line.split()[-1]) for line in lines if line.split()[:1] == [family])
        return found


@contextlib.contextmanager
def practice(
    folder: Path, *arguments: str, interval: str = "2s", stand_in: bool = True, mesh: bool = False
) -> Iterator[Practice]:
    """A lab as `datakit-wizard lab --interval 2s` starts it; with `stand_in` as if no etcd were on PATH, and without
    its mesh unless it is asked for.
    """
    home = folder / "home"
    temporary = folder / "tmp"
    for one in (home, temporary):
        one.mkdir(parents=True, exist_ok=True)
    path = folder / "bin"
    if stand_in:
        path.mkdir(exist_ok=True)
    environ = {
        "PATH": str(path) if stand_in else os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
    }
    command = [sys.executable, "-m", "tui.cli", "lab", "--interval", interval, *arguments]
    command += [] if mesh else ["--no-mesh"]
    with (folder / "lab.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environ, start_new_session=True
        )
    assert process.stdout is not None
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            line = process.stdout.readline() if selector.select(START_S) else b""
        assert line, "the lab is not ready:\n" + (folder / "lab.log").read_text()
        yield Practice(json.loads(line), home, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_S) == 0, (folder / "lab.log").read_text()
        assert not list(temporary.iterdir()), "the lab left files behind"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        shutil.rmtree(temporary, ignore_errors=True)
