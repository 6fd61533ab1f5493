"""`preview` gives what the running DataKit 1.84.1 gave, from the command line, for every case with one target."""

from __future__ import annotations

import http.server
import io
import json
import threading
import types
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tui.cli import main
from tui.core.prom import lineprotocol

CASES_FILE = Path(__file__).parents[1] / "data" / "prom" / "cases.jsonl"
ALL = [json.loads(line) for line in CASES_FILE.read_text(encoding="utf-8").splitlines()]
# preview is given one scrape and no file system: the other cases (several targets, a target that is a file or that
# nothing listens at, a certificate that is not there) are core's alone, and pass there.
OF_CORE = {"tls-file-missing", *(case["name"] for case in ALL if case.keys() & {"more", "files", "refused"})}
CASES = [case for case in ALL if case["name"] not in OF_CORE]
NOW_MS = 1_760_000_000_000


def test_the_corpus_is_whole() -> None:
    assert len(ALL) >= 183
    assert len(CASES) >= 176


def run(case: dict[str, Any], folder: Path, *arguments: str) -> int:
    (folder / "etcd.conf").write_bytes(case["conf"].encode())
    (folder / "metrics").write_bytes(case["exposition"].encode())
    flags = [flag for key, value in case["host_tags"].items() for flag in ("--host-tag", f"{key}={value}")]
    flags += [flag for key, value in case["election_tags"].items() for flag in ("--election-tag", f"{key}={value}")]
    flags += [flag for key, value in case.get("env", {}).items() for flag in ("--env", f"{key}={value}")]
    if "http_status" in case:
        flags += ["--status", str(case["http_status"])]
    return main(["preview", str(folder / "etcd.conf"), str(folder / "metrics"), *flags, *arguments])


def canonical(points: list[dict[str, Any]]) -> Counter[str]:
    return Counter(json.dumps(point, sort_keys=True, ensure_ascii=False) for point in points)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_preview(
    case: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = types.SimpleNamespace(time=lambda: case.get("now_ms", NOW_MS) / 1000)
    monkeypatch.setattr("tui.commands.local.time", now)
    status = run(case, tmp_path, "-o", "json")
    said = json.loads(capsys.readouterr().out)
    assert said["schema"] == "datakit-wizard/preview/v1"
    assert said["loaded"] == case["loaded"]
    assert status == (0 if case["loaded"] else 1)
    assert said["up"] == case["up"]
    assert canonical(said["points"]) == canonical(case["points"])


ETCD = next(case for case in CASES if case["name"] == "types-counter-gauge")


def test_as_text_and_as_line_protocol(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ETCD, tmp_path, "-o", "lp") == 0
    points = lineprotocol.decode(capsys.readouterr().out)
    assert canonical([{"measurement": p.measurement, "tags": p.tags, "fields": p.fields} for p in points]) == canonical(
        ETCD["points"]
    )
    assert run(ETCD, tmp_path) == 0
    text = capsys.readouterr().out
    assert all(point["measurement"] in text for point in ETCD["points"])


def test_the_conf_from_stdin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = tmp_path / "metrics"
    metrics.write_text(ETCD["exposition"])
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(ETCD["conf"].encode())))
    tags = [flag for key, value in ETCD["host_tags"].items() for flag in ("--host-tag", f"{key}={value}")]
    assert main(["preview", "-", str(metrics), "-o", "json", *tags]) == 0
    assert json.loads(capsys.readouterr().out)["loaded"] is True


@pytest.mark.parametrize("what", ["missing", "folder", "binary"])
def test_a_conf_that_cannot_be_read(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf = tmp_path / "etcd.conf"
    if what == "folder":
        conf.mkdir()
    elif what == "binary":
        conf.write_bytes(b"\xff\xfe\x00")
    assert main(["preview", str(conf), str(tmp_path / "metrics")]) == 2
    said = capsys.readouterr()
    assert str(conf) in said.err
    assert said.out == ""


def preview(folder: Path, conf: str, metrics: bytes, *arguments: str) -> int:
    (folder / "etcd.conf").write_text(conf)
    (folder / "metrics").write_bytes(metrics)
    return main(["preview", str(folder / "etcd.conf"), str(folder / "metrics"), *arguments])


PLAIN = '[[inputs.prom]]\nurls = ["http://10.0.0.1:2381/m"]\nmetric_types = ["gauge"]\n'
BODY = b"# TYPE a_b gauge\na_b 1\n# TYPE a_c counter\na_c 1\n"


@pytest.mark.parametrize(("language", "place"), [("en", "line 2: "), ("zh", "第 2 行：")])
def test_the_line_of_an_error_is_told_once(
    language: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert preview(tmp_path, '[[inputs.prom]]\nurls = ["http\n', BODY, "--lang", language) == 1
    [first, *_rest] = capsys.readouterr().out.splitlines()
    assert first.count(place) == 1


def test_against_another_conf(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "before.conf"
    other.write_text(PLAIN.replace("gauge", "counter"))
    assert preview(tmp_path, PLAIN, BODY, "--against", str(other)) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"From {other} to {tmp_path / 'etcd.conf'}:")
    assert "+ a_b (gauge, 1 series)" in text
    assert "- a_c (counter, 1 series)" in text
    assert preview(tmp_path, PLAIN, BODY, "--against", str(other), "-o", "json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [one["family"] for one in said["against"]["families"]["gained"]] == ["a_b"]
    assert said["points"] == said["against"]["points"]["added"]
    assert preview(tmp_path, PLAIN, BODY, "--against", str(tmp_path / "no such")) == 2
    assert "no such" in capsys.readouterr().err
    assert main(["preview", "-", str(tmp_path / "metrics"), "--against", "-"]) == 2


def test_an_annotation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf = '[[inputs.prom]]\nurl = "http://$IP:15020/m"\n[inputs.prom.tags]\nnamespace = "$NAMESPACE"\n'
    flags = ["--annotation", "--env", "IP=10.1.2.3", "--env", "NAMESPACE=prod", "--host-tag", "host=n", "-o", "json"]
    assert preview(tmp_path, conf, BODY, *flags, "--election-tag", "e=f") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["up"] is None
    assert [point["tags"] for point in said["points"]] == [
        {"namespace": "prod", "host": "n", "instance": "10.1.2.3:15020"}
    ] * 2


def test_a_body_beyond_the_limit_is_refused_and_not_read_to_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.core.prom.exposition.MAX_BYTES", 1 << 20)
    endless = io.BytesIO(BODY * 50_000)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(endless))
    (tmp_path / "etcd.conf").write_text(PLAIN)
    assert main(["preview", str(tmp_path / "etcd.conf"), "-", "-o", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["up"], said["points"]) == (0, [])
    assert "larger than 1 MiB" in next(one["message"] for one in said["findings"] if one["code"] == "scrape/error")
    assert endless.tell() <= (1 << 20) + 1 + io.DEFAULT_BUFFER_SIZE


def test_a_conf_beyond_a_config_map_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert preview(tmp_path, PLAIN + "#" * (1 << 20), BODY) == 2
    assert "larger than a ConfigMap" in capsys.readouterr().err


class Target(http.server.BaseHTTPRequestHandler):
    """Answers BODY, below /broken with status 500."""

    def do_GET(self) -> None:
        self.send_response(500 if self.path.startswith("/broken") else 200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def target() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Target) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("path", "codes"), [("/metrics", []), ("/broken", ["scrape/status"])])
def test_metrics_from_a_url(
    path: str, codes: list[str], target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    conf = tmp_path / "etcd.conf"
    conf.write_text(PLAIN)
    assert main(["preview", str(conf), target + path, "-o", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [(point["fields"], point["tags"]["instance"]) for point in said["points"]] == [
        ({"b": 1.0}, target.removeprefix("http://"))
    ]
    assert [one["code"] for one in said["findings"] if one["code"].startswith("scrape/")] == codes


@pytest.mark.parametrize("host", ["127.0.0.1:1", "127.0.0.1"])
def test_a_url_that_does_not_answer(host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf = tmp_path / "etcd.conf"
    conf.write_text(PLAIN)
    assert main(["preview", str(conf), f"http://me:s3cret@{host}/metrics?token=s3cret"]) == 3
    said = capsys.readouterr()
    assert f"{host}/metrics" in said.err
    assert "s3cret" not in said.err
    assert said.out == ""
