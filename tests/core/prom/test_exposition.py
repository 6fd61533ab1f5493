"""The text format as DataKit reads it, by lines and batches."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.core.prom import collector, exposition
from tui.core.prom.conf import load
from tui.core.prom.explain import explain
from tui.i18n import assets


def families(text: str, stream_size: int = 0) -> dict[str, list[float]]:
    read = exposition.parse(text.encode(), stream_size)
    assert read.error == ""
    return {name: [one.value for one in family.series] for batch in read.batches for name, family in batch.items()}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("a 1", 1.0),
        ("a{} 1", 1.0),
        ('a{x="y",} 1', 1.0),
        ('a { x = "y" , z="" } 1', 1.0),
        ('a{x="}"}1', 1.0),
        ("\t a\t1", 1.0),
        ("a-1", -1.0),
        ("a.5", 0.5),
        ("a +Inf", math.inf),
        ("a -infinity", -math.inf),
        ("a 1.", 1.0),
        ("a 1e-400", 0.0),
        ("a 1 1700000000000", 1.0),
        ("a 1 \t -5", 1.0),
        (":a:b 1", 1.0),
    ],
)
def test_samples(line: str, value: float) -> None:
    assert list(families(line + "\n").values()) == [[value]]


@pytest.mark.parametrize(
    "line",
    [
        "a",
        "a ",
        "1a 1",
        "a 1 ",
        "a 1\r",
        "a 1 1.5",
        "a 1 1 1",
        "a 1 9223372036854775808",
        "a 0x1p3",
        "a 1_000",
        "a +nan",
        "a 1e400",
        "a １",
        "a{x=y} 1",
        "a{x='y'} 1",
        "a{,} 1",
        'a{x="y",,} 1',
        'a{x="y" z="w"} 1',
        'a{x="y} 1',
        'a{x="\\t"} 1',
        'a{x="y",x="z"} 1',
        'a{__name__="y"} 1',
        'a{1x="y"} 1',
        'a{x:y="z"} 1',
        "é 1",
        "# TYPE a unknown",
        "# TYPE a gauge ",
        "# TYPE a\tcounter x",
        "# TYPE 1a gauge",
        "# TYPE a{ gauge",
        "# HELP a b\\c",
        "# HELP a b\\",
    ],
)
@pytest.mark.parametrize("stream_size", [0, 1])
def test_refused_lines(line: str, stream_size: int) -> None:
    read = exposition.parse(f"# TYPE ok gauge\nok 1\n# more\n{line}\n".encode(), stream_size)
    assert read.error
    assert read.line == 4
    assert [list(batch) for batch in read.batches] == ([["ok"]] if stream_size else [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "#\n# x\n",
        "#TYPE\n# HELP  \n# TYPE a\n# TYPE a \n",
        "# HELP a \\\\ \\n\n# TYPE a coun\\ter\n",
        " \t",
    ],
)
def test_texts_without_series(text: str) -> None:
    assert families(text) == {}


def test_a_last_line_without_end_is_an_error() -> None:
    read = exposition.parse(b"# TYPE a gauge\na 1\n# EOF", 1)
    assert (read.line, [list(batch) for batch in read.batches]) == (3, [["a"]])
    read = exposition.parse(b"# TYPE a gauge\na 1\nb 2", 1)
    assert (read.line, read.batches) == (3, [])


def test_label_values_must_be_utf8_and_nothing_else() -> None:
    assert not exposition.parse(b"# HELP a \xff\na 1\n", 0).error
    assert exposition.parse(b'a{x="\xff"} 1\n', 0).error
    assert exposition.parse(b'a{x="\xed\xa0\x80"} 1\n', 0).error


def test_batches_end_at_comments_once_full() -> None:
    text = b"# TYPE a gauge\na 1\n\n# TYPE b gauge\n# HELP b x\nb 1\n# note\nb 2\n# TYPE c gauge\nc 3\n"

    def shape(stream_size: int) -> list[list[tuple[str, str, int]]]:
        read = exposition.parse(text, stream_size)
        return [[(one.name, one.type, len(one.series)) for one in batch.values()] for batch in read.batches]

    assert shape(0) == [[("a", "gauge", 1), ("b", "gauge", 2), ("c", "gauge", 1)]]
    assert shape(1) == [[("a", "gauge", 1)], [("b", "gauge", 1)], [("b", "untyped", 1)], [("c", "gauge", 1)]]
    assert shape(2) == [[("a", "gauge", 1), ("b", "gauge", 1)], [("b", "untyped", 1), ("c", "gauge", 1)]]


def test_histograms_are_put_together() -> None:
    text = (
        b"# TYPE h histogram\n"
        b'h_bucket{x="1",le="0.5"} 2\nh_bucket{le="+Inf",x="1"} 3\nh_sum{x="1"} 4.5\nh_count{x="1"} 3 7\n'
        b'h_bucket{x="2",le="+Inf"} 1\n'
    )
    first, second = exposition.parse(text, 0).batches[0]["h"].series
    assert (first.labels, first.parts, first.sum, first.count, first.time_ms) == (
        {"x": "1"},
        [(0.5, 2), (math.inf, 3)],
        4.5,
        3,
        7,
    )
    assert (second.labels, second.parts, second.sum, second.count) == ({"x": "2"}, [(math.inf, 1)], 0.0, 0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.9, 0),
        (-0.9, 0),
        (2.0**53 + 2, 2**53 + 2),
        (2.0**63, 2**63),
        (2.0**63 + 2048, 2**63 + 2048),
        (2.0**64, 2**63),
        (-1.0, 2**64 - 1),
        (-(2.0**63), 2**63),
        (-1e300, 2**63),
        (math.inf, 2**63),
        (-math.inf, 2**63),
        (math.nan, 2**63),
    ],
)
def test_unsigned_as_go_converts_on_amd64(value: float, expected: int) -> None:
    assert exposition.to_uint64(value) == expected


NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: not name.endswith(("_count", "_sum", "_bucket", "_info"))
)
LABEL_NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name not in ("__name__", "le", "quantile")
)
LABELS = st.dictionaries(LABEL_NAMES, st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=4)
FLOATS = st.floats(allow_nan=False)
TIMES = st.integers(0, 2**53)
SERIES = st.lists(st.tuples(LABELS, FLOATS, TIMES), min_size=1, max_size=4)
EXPOSITIONS = st.dictionaries(NAMES, st.tuples(st.sampled_from(["counter", "gauge", "untyped"]), SERIES), max_size=5)


def quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def labelled(labels: dict[str, str]) -> str:
    return "{" + ",".join(f"{key}={quoted(value)}" for key, value in labels.items()) + "}" if labels else ""


@given(EXPOSITIONS, st.integers(0, 3))
def test_what_was_written_is_read(
    wanted: dict[str, tuple[str, list[tuple[dict[str, str], float, int]]]], stream_size: int
) -> None:
    lines = []
    for name, (type_, series) in wanted.items():
        lines += [f"# HELP {name} about\n", f"# TYPE {name} {type_}\n"]
        lines += [f"{name}{labelled(labels)} {value!r} {stamp}\n" for labels, value, stamp in series]
    read = exposition.parse("".join(lines).encode(), stream_size)
    assert read.error == ""
    assert {
        family.name: (family.type, [(one.labels, one.value, one.time_ms) for one in family.series])
        for batch in read.batches
        for family in batch.values()
    } == wanted


@given(
    NAMES,
    st.dictionaries(st.floats(allow_nan=False), st.integers(0, 2**53), min_size=1, max_size=5),
    LABELS,
    st.sampled_from(["histogram", "summary"]),
)
def test_histograms_and_summaries_that_were_written_are_read(
    name: str, parts: dict[float, int], labels: dict[str, str], type_: str
) -> None:
    suffix, bound = ("_bucket", "le") if type_ == "histogram" else ("", "quantile")
    lines = [f"# TYPE {name} {type_}\n"]
    lines += [f"{name}{suffix}{labelled({**labels, bound: repr(at)})} {count}\n" for at, count in parts.items()]
    lines += [f"{name}_sum{labelled(labels)} 1.5\n", f"{name}_count{labelled(labels)} 7\n"]
    read = exposition.parse("".join(lines).encode(), 1)
    assert read.error == ""
    (series,) = read.batches[0][name].series
    assert (series.labels, series.sum, series.count, dict(series.parts)) == (labels, 1.5, 7, parts)


SETTINGS = load("[[inputs.prom]]\nurls = ['http://h:1/']", {}).inputs[0]


@given(
    st.binary(max_size=80)
    | st.text('#TYPEHLab_{}="\\,. \n\t1e+-infnullcountergaugehistogramsummary', max_size=120).map(str.encode)
)
def test_any_body_is_read_or_refused(body: bytes) -> None:
    for stream_size in (0, 1):
        read = exposition.parse(body, stream_size)
        assert bool(read.error) == bool(read.line)
        explain(SETTINGS, read)
        list(collector.points_of(SETTINGS, read, SETTINGS.urls[0], host_tags={}, election_tags={}, now_ms=0))


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><html><body>502</body></html>\n" * 100_000,
        b"\x1f\x8b\x08\x00" + bytes(range(256)) * 4_000,
        b"a" * 4_000_000,
        b'a{x="' + b"y" * 4_000_000,
        b'a{x="' + b"\\\\" * 2_000_000,
        b"a{" + b'x="y",' * 500_000,
        b"#" * 4_000_000,
        b"a 1\n" * 10_000 + b"a",
        b" " * (exposition.MAX_BYTES + 1),
        b"\n" * (exposition.MAX_LINES + 1),
    ],
    ids=["html", "gzip", "name", "value", "escapes", "labels", "comment", "cut", "bytes", "lines"],
)
def test_bad_bodies_end_soon_with_a_short_reason(body: bytes) -> None:
    started = time.process_time()
    read = exposition.parse(body, 1)
    assert 0 < len(read.error) < 300
    assert time.process_time() - started < 20


def test_speed(capsys: pytest.CaptureFixture[str]) -> None:
    """Prints what a round costs; only that it counts everything is asserted."""
    body = (assets() / "samples" / "etcd-3.4.txt").read_bytes()
    times = []
    for _ in range(3):
        started = time.perf_counter()
        done = collector.collect(
            SETTINGS, lambda _url: collector.Scrape(body), host_tags={}, election_tags={}, now_ms=0
        )
        times.append(time.perf_counter() - started)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{Path(__file__).name}: {len(done.points)} points of etcd 3.4 in {min(times) * 1000:.1f} ms\n"
        )
    assert len(done.points) == 1227
