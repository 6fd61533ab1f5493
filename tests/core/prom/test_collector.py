"""Naming, tags, points and rounds: the rules one by one, where the recordings show them only together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.core.prom import lineprotocol, urls
from tui.core.prom.collector import Point, Round, Scrape, collect, final_up
from tui.core.prom.conf import load
from tui.core.prom.naming import name_of
from tui.core.prom.points import go_float

NOW_MS = 1_760_000_000_000


def scrape(text: str, lines: str = "", *, url: str = "http://10.0.0.1:9/m", **tags: dict[str, str]) -> Round:
    (settings,) = load(f"[[inputs.prom]]\nurls = ['{url}']\n{lines}", {}).inputs
    return collect(
        settings,
        lambda _url: Scrape(text.encode()),
        host_tags=tags.get("host_tags", {}),
        election_tags=tags.get("election_tags", {}),
        now_ms=NOW_MS,
    )


def test_a_plain_round() -> None:
    done = scrape('# TYPE etcd_up gauge\netcd_up{a="b"} 1\n')
    assert done.points == [Point("etcd", {"a": "b", "host": "10.0.0.1", "instance": "10.0.0.1:9"}, {"up": 1.0})]
    assert done.ups == [Point("collector", {"job": "prom", "instance": "10.0.0.1:9"}, {"up": 1})]
    assert final_up(done.targets) == 1


@pytest.mark.parametrize(
    ("metric", "lines", "expected"),
    [
        ("etcd_up", "", ("etcd", "up", "split")),
        ("_etcd_up_", "", ("etcd", "up_", "split")),
        ("etcd_", "", ("etcd", "etcd", "whole")),
        ("etcd", "", ("etcd", "etcd", "whole")),
        ("e", "", ("unknown", "unknown", "unknown")),
        ("__e", "", ("unknown", "unknown", "unknown")),
        ("___", "", ("unknown", "unknown", "unknown")),
        ("_e_", "", ("e", "e", "whole")),
        ("_etcd_up", "keep_exist_metric_name = true", ("etcd", "etcd_up", "split")),
        ("etcd_up", "measurement_name = 'm'", ("m", "etcd_up", "measurement_name")),
        ("etcd_up", "measurement_prefix = 'p_'", ("p_etcd", "up", "split")),
        ("etcd_up", "measurement_prefix = 'p_'\nmeasurements = [{prefix = 'etcd_'}]", ("p_etcd", "up", "rule")),
        ("__up", "measurements = [{prefix = ''}, {prefix = '__'}]", ("prom", "up", "rule")),
    ],
)
def test_names(metric: str, lines: str, expected: tuple[str, str, str]) -> None:
    (settings,) = load("[[inputs.prom]]\n" + lines, {}).inputs
    name = name_of(settings, metric)
    assert (name.measurement, name.field, name.how) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.0, "-0"), (1.0, "1"), (0.1, "0.1"), (0.0001, "0.0001"), (0.00001, "1e-05"), (1.5e-7, "1.5e-07"),
        (123456.0, "123456"), (100000.5, "100000.5"), (1e6, "1e+06"), (1234567.0, "1.234567e+06"), (1e21, "1e+21"),
        (1.5e300, "1.5e+300"), (-2.5, "-2.5"), (float("inf"), "+Inf"), (float("-inf"), "-Inf"), (float("nan"), "NaN"),
        (999999.9, "999999.9"), (0.30000000000000004, "0.30000000000000004"), (5e-324, "5e-324"),
    ],
)  # fmt: skip
def test_numbers_as_go_writes_them(value: float, text: str) -> None:
    assert go_float(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_their_value(value: float) -> None:
    assert float(go_float(value)) == value


@pytest.mark.parametrize(
    ("stamp", "time_ms", "original"),
    [
        (NOW_MS - 7_200_000, NOW_MS - 7_200_000, None),
        (NOW_MS - 7_200_001, None, (NOW_MS - 7_200_001) * 10**6),
        (NOW_MS * 1000, None, (NOW_MS * 10**9 + 2**63) % 2**64 - 2**63),
    ],
)
def test_times(stamp: int, time_ms: int | None, original: int | None) -> None:
    (point,) = scrape(f"a_b 1 {stamp}\n").points
    assert (point.time_ms, point.fields.get("__orig_time")) == (time_ms, original)


def test_long_labels_are_cut_and_names_that_collide_are_left_out() -> None:
    long = "x" * 256
    (point,) = scrape(f'a_b{{{long}1="1",{long}2="2",v="{"y" * 1030}\\n\\\\"}} 1\n').points
    assert point.tags == {long: "1", "v": "y" * 1024, "host": "10.0.0.1", "instance": "10.0.0.1:9"}


@pytest.mark.parametrize(
    ("lines", "points", "ups"),
    [
        ("auth = {token = 'x'}", 0, []),
        ("auth = {type = 'bearer_token', token = 'x'}", 1, [1]),
        ("auth = {type = 'bearer_token', token_file = '/x'}", 1, [1]),
        ("auth = {type = 'bearer_token'}", 0, [0]),
        ("auth = {type = 'bearer_token'}\nignore_req_err = true", 0, []),
        ("auth = {type = 'bearer_token'}\nhttp_headers = {a = 'b'}", 0, []),
        ("auth = {type = 'other'}", 1, [1]),
        ("output = '/tmp/x'", 0, []),
    ],
)
def test_rounds_that_end_early(lines: str, points: int, ups: list[int]) -> None:
    done = scrape("a_b 1\n", lines)
    assert len(done.points) == points
    assert [up.fields["up"] for up in done.ups] == ups


def test_a_url_without_host_is_a_failed_request() -> None:
    done = scrape("a_b 1\n", url="http:///metrics")
    assert (done.points, done.ups) == ([], [Point("collector", {"job": "prom", "instance": ":0"}, {"up": 0})])


def test_a_status_field_of_a_log_line_is_not_replaced() -> None:
    points = scrape("# TYPE a_status gauge\na_status 3\n", "as_logging = {enable = true}").points
    assert [point.fields for point in points] == [{"status": 3.0}]
    points = scrape('# TYPE a_b gauge\na_b{source="x",c="d"} 3\n', "as_logging = {enable = true}").points
    assert [point.tags for point in points] == [
        {"c": "d", "service": "a", "host": "10.0.0.1", "instance": "10.0.0.1:9"}
    ]


@pytest.mark.parametrize(
    ("url", "host", "instance", "up_instance"),
    [
        ("http://H:1/x?y#z", "H", "H:1", "H:1"),
        ("HTTP://h/", "h", "h", "h:0"),
        ("http://u:p@h:1/", "h", "h:1", "h:1"),
        ("http://[::1]:1/", None, "[::1]:1", "::1:1"),
        ("http://[::1]/", "[::1]", "[::1]", "[::1]:0"),
        ("http://[::ffff:127.0.0.1]:1/", None, "[::ffff:127.0.0.1]:1", "::ffff:127.0.0.1:1"),
        ("http://127.9.9.9/", None, "127.9.9.9", "127.9.9.9:0"),
        ("http://localhost:/", None, "localhost:", "localhost:0"),
        ("http://LOCALHOST/", "LOCALHOST", "LOCALHOST", "LOCALHOST:0"),
        ("http://h%C3%A9:1/", "hé", "hé:1", "hé:1"),
        ("/a/b", "/a/b", "", ":0"),
        ("localhost:1/x", None, "", ":0"),
        ("", None, "", ":0"),
    ],
)
def test_urls(url: str, host: str | None, instance: str, up_instance: str) -> None:
    assert (urls.host_tag(url), urls.parse(url).host, urls.up_instance(url)) == (host, instance, up_instance)


@pytest.mark.parametrize(
    "url",
    [
        "1.2.3.4:5/x",
        ":",
        "http://a b/",
        "http://{x}/",
        "http://h:1x/",
        "http://[::1",
        "http://h/%",
        "a\tb",
        "http://a^@h/",
    ],
)
def test_urls_that_go_refuses(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        urls.parse(url)


@pytest.mark.parametrize("url", ["http://u:s3cret@h:x/", "10.0.0.1:1/m?token=s3cret&a=s3cret#x", "http://u@s3cret@h /"])
def test_no_secret_of_a_url_is_in_a_message(url: str) -> None:
    with pytest.raises(ValueError, match="…") as caught:
        urls.parse(url)
    assert "s3cret" not in str(caught.value)
    (settings,) = load(f"[[inputs.prom]]\nurls = ['{url}']", {}).inputs
    assert "s3cret" not in settings.problem


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).filter(
    lambda text: text[-1] != "\\"
)
POINTS = st.builds(
    Point,
    TEXTS.filter(lambda text: text[0] != "#"),
    st.dictionaries(TEXTS, TEXTS, max_size=3),
    st.dictionaries(
        TEXTS,
        st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1) | TEXTS,
        min_size=1,
        max_size=3,
    ),
    st.none() | st.integers(0, 2**42),
)


@given(st.lists(POINTS, max_size=4))
def test_line_protocol_keeps_points(points: list[Point]) -> None:
    assert lineprotocol.decode(lineprotocol.encode(points)) == points


def test_line_protocol_leaves_out_what_it_cannot_hold() -> None:
    def encoded(tags: dict[str, str], fields: dict[str, Any]) -> str:
        return lineprotocol.encode([Point("m", tags, fields)])

    assert encoded({}, {}) == ""
    assert encoded({}, {"a": float("nan"), "b": 1}) == ""
    assert encoded({"": "x", "e": "", "n": "a\nb", "s": "\\"}, {"a": 1}) == "m,n=a\\ b a=1i\n"


@pytest.mark.parametrize("line", ["m", "m a", "m a=", "m a=1 x", "m,a b=1", ",a=b c=1", "m a=1,", "m  a=1"])
def test_line_protocol_refuses(line: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        lineprotocol.decode("m a=1\n" + line)
