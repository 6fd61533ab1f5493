"""`preview` on what is no exposition and no conf: a clear message, in bounded time and memory."""

from __future__ import annotations

import gzip
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tui.i18n import assets

SAMPLE = (assets() / "samples" / "etcd-3.4.txt").read_bytes()
CONF = '[[inputs.prom]]\n  urls = ["http://127.0.0.1:2381/metrics"]\n  metric_name_filter = ["^etcd_"]\n'
MIB = 1 << 20
LIMIT = 900 * MIB  # of address space, in which Python and its libraries take their part
SECONDS = 60  # of processor time


def run(folder: Path, conf: str, metrics: Path) -> tuple[int, dict[str, Any], str]:
    """Exit status, JSON and stderr of a process that may take no more than LIMIT and SECONDS."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))

    (folder / "etcd.conf").write_text(conf)
    command = [sys.executable, "-m", "tui.cli", "preview", str(folder / "etcd.conf"), str(metrics), "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limited, check=False)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def grown(path: Path, block: bytes, size: int) -> Path:
    with path.open("wb") as file:
        for _ in range(size // len(block) + 1):
            file.write(block)
    return path


@pytest.mark.parametrize(
    ("block", "size", "words"),
    [
        (b"<!DOCTYPE html>\n<html><body>502 Bad Gateway</body></html>\n", 1, "web page"),
        (b"<html>" * 100_000 + b"\n", 40 * MIB, "web page"),
        (gzip.compress(SAMPLE), 1, "gzip"),
        (b"\x7fELF\x02\x01\x01\x00" + bytes(range(256)) * 1000, 30 * MIB, "binary"),
        (SAMPLE[: len(SAMPLE) // 2 + 7], 1, "cut off"),
        (b'{"status":"error"}', 1, "JSON"),
        (b"\xff\xfea\x00_\x00b\x00 \x001\x00\n\x00", 1, "binary"),
        (SAMPLE, 100 * MIB, "larger than 64 MiB"),
        (b"a" * MIB, 50 * MIB, "cut off"),
        (b'a{b="' + b"c" * MIB, 50 * MIB, "cut off"),
        (b"\n" * MIB, 60 * MIB, "more than"),
    ],
    ids=["html", "much html", "gzip", "binary", "truncated", "json", "utf-16", "100 MB", "a name", "a value", "lines"],
)
def test_a_body_that_is_no_exposition(block: bytes, size: int, words: str, tmp_path: Path) -> None:
    status, said, err = run(tmp_path, CONF, grown(tmp_path / "metrics", block, size))
    assert (status, err) == (0, "")
    assert said["up"] == 0
    (finding,) = (one for one in said["findings"] if one["code"] == "scrape/error")
    assert words in finding["message"] + finding["remedy"]
    assert len(finding["message"]) < 300


@pytest.mark.parametrize(
    ("conf", "line", "words"),
    [
        (CONF + '  source = "etc', 4, "closing"),
        (CONF + "  source", 4, "expected"),
        (CONF + "  metric_types = [", 4, ""),
        (CONF.replace("]]", "]"), 1, "expected"),
        (CONF + "  [inputs.prom.tags\n", 4, "expected"),
        (CONF.replace('"^etcd_"', '"^etcd_\\d"'), 3, ""),
        ("[" * 100_000, 1, "expected"),
        ("a = " + "[" * 100_000, 1, "nested"),
        ("a = " + "[" * 100 + "]" * 100 + "\n" + CONF, None, ""),
        ("a = " + "{a = " * 50_000, 1, "nested"),
        ("a." * 100_000 + "b = 1", 1, "parts"),
        ("x = '" + "y" * 900_000, 1, "closing"),
        ('x = """' + '\\"' * 400_000, 1, "closing"),
        ("x = " + "9" * 900_000, 1, ""),
        (CONF + "#" * 900_000, None, ""),
    ],
    ids=[
        "quote", "key", "list", "single", "table", "escape", "brackets", "lists", "100 lists", "tables", "dots", "long",
        "quotes", "digits", "comment",
    ],
)  # fmt: skip
def test_a_conf_that_breaks(conf: str, line: int | None, words: str, tmp_path: Path) -> None:
    (tmp_path / "metrics").write_bytes(b"etcd_a 1\n")
    status, said, err = run(tmp_path, conf, tmp_path / "metrics")
    assert err == ""
    assert said["loaded"] is (status == 0)
    found = [one for one in said["findings"] if one["code"] == "conf/load"]
    assert [one["line"] for one in found] == ([] if line is None else [line])
    assert all(words in one["message"] and len(one["message"]) < 500 for one in found)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a*)*$",
        "(a|a)*b",
        "(a|aa)+$",
        "(.*)*(.*)*(.*)*x",
        "((((a{0,30}){0,30}){0,1}))*b",
        "^(([a-z_])+.)+[A-Z]([a-z])+$",
    ],
)
def test_a_pattern_that_takes_exponential_time_elsewhere(pattern: str, tmp_path: Path) -> None:
    name = "a" * 20_000
    (tmp_path / "metrics").write_text(f"# TYPE {name} gauge\n{name} 1\n" * 20)
    began = time.monotonic()
    status, said, err = run(tmp_path, CONF.replace('"^etcd_"', f"'{pattern}'"), tmp_path / "metrics")
    assert (status, err, said["up"] in (1, None)) == (0, "", True)
    assert time.monotonic() - began < SECONDS
