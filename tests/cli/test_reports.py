"""What `check` can print and compare with, the bundle for a ticket, and the nightly check, on one practice lab."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import jsonschema
import pytest
import yaml
from practice import Practice, practice

from tui.i18n import assets


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    """A lab on which everything was set up; the tests look, but for the last, which changes something."""
    folder = tmp_path_factory.mktemp("reports")
    with practice(folder) as running:
        answers = folder / "answers.toml"
        answers.write_text(running.run("answers").out)
        assert running.run("apply", "-f", answers, "--yes").status == 0
        yield running


def test_every_form_tells_of_the_same_checks(lab: Practice, tmp_path: Path) -> None:
    found = json.loads(lab.run("check", "-o", "json").out)
    jsonschema.validate(found, json.loads((Path(assets()) / "schemas" / "check-v1.json").read_text()))
    ids = [check["id"] for check in found["checks"]]
    markdown, page = lab.run("check", "-o", "markdown"), lab.run("check", "-o", "html")
    metrics = lab.run("check", "-o", "openmetrics")
    assert {markdown.status, page.status, metrics.status} == {0}
    assert re.findall(r"^\| \S+ \w+ \| `([^`]+)`", markdown.out, re.MULTILINE) == ids
    assert re.findall(r"<code>([a-z-]+/[a-z-]+)</code>", page.out) == ids
    assert re.findall(r'check_status\{.*id="([^"]+)"', metrics.out) == ids
    assert page.out.count("<polyline") == page.out.count("<figure>") > 3


def opened(page: Path) -> tuple[str, list[str]]:
    """A page as headless Chromium shows it, and the addresses that the page asked for."""
    log = page.with_suffix(".net.json")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update"]
    flags += [f"--user-data-dir={page.with_suffix('.profile')}", f"--log-net-log={log}", "--dump-dom", page.as_uri()]
    done = subprocess.run(["chromium", *flags], capture_output=True, text=True, timeout=90, check=True)
    # What the browser asks for by itself (updates, lists) has no page as its origin.
    events = [event.get("params", {}) for event in json.loads(log.read_text(errors="replace"))["events"]]
    asked = [e["url"] for e in events if e.get("initiator", "not an origin") != "not an origin" and "url" in e]
    return done.stdout, asked


@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not on PATH")
def test_a_browser_shows_the_page_and_asks_nobody(lab: Practice, tmp_path: Path) -> None:
    control = tmp_path / "control.html"
    control.write_text('<img src="http://127.0.0.1:9/picture.png">')
    assert opened(control)[1], "a request would be seen"
    page = tmp_path / "report.html"
    page.write_text(lab.run("check", "-o", "html").out, encoding="utf-8")
    shown, asked = opened(page)
    assert asked == []
    assert shown.count("<polyline") > 3
    assert "cluster/reachable" in shown


def test_nothing_drifted_since_the_answers_and_the_receipt(lab: Practice) -> None:
    answers, receipt = lab.home.parent / "answers.toml", next(lab.home.rglob("receipts/**/*.json"))
    for source in (["-f", answers], ["--receipt", receipt]):
        done = lab.run("check", "-o", "json", *source)
        drift = {c["id"]: c["status"] for c in json.loads(done.out)["checks"] if c["category"] == "drift"}
        assert (done.status, drift) == (0, {"drift/cluster": "pass", "drift/studio": "pass"})


def test_the_bundle_holds_what_a_ticket_needs_and_no_secret(lab: Practice, tmp_path: Path) -> None:
    path = tmp_path / "ticket.tar.gz"
    done = lab.run("bundle", path)
    assert (done.status, done.out.strip()) == (0, str(path)), done
    assert path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as archive:
        content = {m.name: archive.extractfile(m).read().decode() for m in archive.getmembers()}  # type: ignore[union-attr]
    names = {name.removeprefix("ticket/") for name in content}
    assert {"about.txt", "report.html", "report.json", "datakit/daemonset.yaml", "conf.d/etcd/etcd.conf"} <= names
    assert len([name for name in names if name.startswith("logs/")]) == 4
    assert len([name for name in names if name.startswith("receipts/")]) == 1
    token = re.search(r"token=(\w+)", json.dumps(lab.get("/apis/apps/v1/namespaces/datakit/daemonsets/datakit")))
    assert token is not None
    key = Path(lab.ready["studio"]["api_key_file"]).read_text().strip()
    for name, text in content.items():
        assert token[1] not in text, name
        assert key not in text, name
    again = lab.run("bundle", path)
    assert again.status == 2, "a bundle never overwrites a file"


def test_a_viewer_gets_a_bundle_that_says_what_it_lacks(lab: Practice, tmp_path: Path) -> None:
    path = tmp_path / "viewer.tar.gz"
    done = lab.run("bundle", path, user="viewer")
    assert done.status == 0, done
    with tarfile.open(path) as archive:
        missing = archive.extractfile("viewer/missing.txt")
        assert missing is not None
        assert "/var/log/datakit/log" in missing.read().decode()


class Received(BaseHTTPRequestHandler):
    """A DataKit that keeps what it is sent."""

    bodies: list[bytes] = []  # noqa: RUF012 - one server, one test

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


def test_the_nightly_check_runs_as_it_is_written(lab: Practice, tmp_path: Path) -> None:
    folder = tmp_path / "nightly"
    assert lab.run("export", "check", folder).status == 0
    documents = [d for file in folder.glob("*.yaml") for d in yaml.safe_load_all(file.read_text())]
    kinds = {document["kind"] for document in documents}
    assert {"CronJob", "Role", "ClusterRole", "ServiceAccount", "ConfigMap", "Kustomization"} <= kinds
    verbs = {verb for d in documents for rule in d.get("rules", []) for verb in rule["verbs"]}
    assert verbs == {"get", "list", "watch", "create"}  # create is for pods/exec alone
    [creating] = [r for d in documents for r in d.get("rules", []) if "create" in r["verbs"]]
    assert creating["resources"] == ["pods/exec"]
    [job] = [d for d in documents if d["kind"] == "CronJob"]
    container = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    [conf] = [d["data"]["check.conf"] for d in documents if d["kind"] == "ConfigMap"]
    (tmp_path / "check.conf").write_text(conf)
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "datakit-wizard").write_text(f'#!/bin/sh\nexec {sys.executable} -m tui.cli "$@"\n')
    (bin / "datakit-wizard").chmod(0o755)
    server = HTTPServer(("127.0.0.1", 0), Received)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        script = container["command"][2].replace("/tmp/", f"{tmp_path}/").replace("/etc/datakit-wizard", str(tmp_path))
        done = subprocess.run(
            ["sh", "-c", script.replace(":9529", f":{server.server_port}").replace("--wait 3m", "--wait 20s")],
            env={
                **lab.environment(),
                "PATH": f"{bin}:{os.environ['PATH']}",
                "KUBECONFIG": lab.ready["kubeconfig"],
                "HOST_IP": "127.0.0.1",
                "GUANCE_END_POINT": lab.ready["studio"]["endpoint"],
                "GUANCE_ACCESS_TOKEN": Path(lab.ready["studio"]["api_key_file"]).read_text().strip(),
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        server.shutdown()
    assert done.returncode == 0, done.stderr
    [body] = Received.bodies
    lines = body.decode().splitlines()
    assert any(line.startswith("datakit_wizard,cluster_name_k8s=lab") and "verdict=0" in line for line in lines), lines
    assert any("id=etcd/fed" in line and "check_status=0" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "a", "b"], "export takes a folder"),
        (["export", "a"], "-f answers.toml"),
        (["export", "check", "a", "-f", "x"], "takes no answers"),
        (["check", "-f", "x", "--receipt", "y"], "exclude each other"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(lab: Practice, arguments: list[str], said: str) -> None:
    done = lab.run(*arguments)
    assert done.status == 2
    assert said in done.err


def test_what_drifted_is_named_by_field(lab: Practice) -> None:
    answers, receipt = lab.home.parent / "answers.toml", next(lab.home.rglob("receipts/**/*.json"))
    kubectl = ["kubectl", "--kubeconfig", lab.ready["kubeconfig"], "-n", "datakit"]
    data = json.dumps({"data": {"etcd.conf": '[[inputs.prom]]\nurls = ["http://x/"]\n'}})
    patch = ["patch", "configmap", "datakit-conf", "--type", "merge", "-p", data]
    subprocess.run([*kubectl, *patch], check=True, capture_output=True)
    done = lab.run("check", "-o", "json", "--wait", "0s", "-f", answers)
    [drift] = [c for c in json.loads(done.out)["checks"] if c["id"] == "drift/cluster"]
    assert (done.status, drift["status"]) == (1, "fail")
    assert "ConfigMap datakit/datakit-conf .data.etcd.conf: changed" in drift["causes"]
    assert '  +urls = ["http://x/"]' in drift["causes"]
    assert drift["command"].startswith("datakit-wizard apply -f ")
    done = lab.run("check", "-o", "json", "--wait", "0s", "--receipt", receipt)
    [drift] = [c for c in json.loads(done.out)["checks"] if c["id"] == "drift/cluster"]
    assert "ConfigMap datakit/datakit-conf .data.etcd.conf: changed" in drift["causes"]
