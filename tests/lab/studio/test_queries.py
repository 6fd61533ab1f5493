"""DQL and PromQL on the practice studio: values that can be worked out by hand, and errors instead of silence."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from studio_http import Http, ns

from tui.core import views
from tui.core.query import Condition, PromQL, Query, newest
from tui.lab.studio import StudioServer
from tui.lab.studio.dql import Condition as Filtered
from tui.lab.studio.dql import Select, Statement, parse
from tui.lab.studio.evaluate import Request, answer
from tui.lab.studio.store import Row, Store

# At x1000 one minute of the studio's time is 60 ms.
MINUTE = 60.0


def values(series: list[dict], *by: str) -> dict[tuple[str, ...], list[Any]]:
    """The values of each series' rows, by tags."""
    return {tuple(item["tags"].get(tag, "") for tag in by): [row[1] for row in item["values"]] for item in series}


@pytest.fixture
async def counted(http: Http) -> int:
    """Two members with a counter each, one point a minute: a grows by 6, b by 12 and starts anew once. Returns now."""
    now = int(time.time() * 1000)
    start = (now // 300 - 2) * 300  # on a bucket of five minutes
    lines = []
    for step in range(10):
        at = ns(start + step * MINUTE)
        lines.append(f"etcd,cluster_name_k8s=lab,instance=a,le=x total={6 * step},up=1 {at}")
        total = 12 * step if step < 8 else 12 * (step - 8)
        lines.append(f"etcd,cluster_name_k8s=lab,instance=b total={total},up={step % 2} {at}")
        lines.append(f"etcd,cluster_name_k8s=other,instance=c total=1000 {at}")
    assert (await http.write("\n".join(lines)))[0] == 200
    return start


@pytest.mark.parametrize(
    ("function", "a", "b"),
    [
        ("last", 54, 12),
        ("first", 0, 0),
        ("avg", 27, sum([0, 12, 24, 36, 48, 60, 72, 84, 0, 12]) / 10),
        ("mean", 27, 34.8),
        ("sum", 270, 348),
        ("min", 0, 0),
        ("max", 54, 84),
        ("count", 10, 10),
        ("spread", 54, 84),
    ],
)
async def test_aggregates(http: Http, counted: int, function: str, a: float, b: float) -> None:
    got = await http.ask(f"M::`etcd`:({function}(`total`)) {{ `cluster_name_k8s` = 'lab' }} BY `instance`")
    assert values(got, "instance") == {("a",): [a], ("b",): [pytest.approx(b)]}
    assert got[0]["columns"][1] == f"{'avg' if function == 'mean' else function}(total)"


async def test_the_time_of_last_is_the_points(http: Http, counted: int) -> None:
    [series] = await http.ask("M::etcd:(last(total)) {instance='a'}")
    assert series["values"] == [[counted + 9 * MINUTE, 54]]
    [series] = await http.ask("M::etcd:(max(total)) {instance='a'}")
    assert series["values"] == [[None, 54]]


@pytest.mark.parametrize(
    ("filter_", "found"),
    [
        ("", "abc"),
        ("{}", "abc"),
        ("{`instance` = 'a'}", "a"),
        ('{instance = "a"}', "a"),
        ("{instance != 'a'}", "bc"),
        ("{cluster_name_k8s = 'lab' and instance != 'b'}", "a"),
        ("{cluster_name_k8s = 'lab', instance != 'b'}", "a"),
        ("{cluster_name_k8s = 'lab' && instance != 'b'}", "a"),
        ("{instance = 'a' || instance = 'c'}", "ac"),
        ("{cluster_name_k8s = 'lab' and (instance = 'a' or instance = 'c')}", "a"),
        ("{instance in ['a', 'c']}", "ac"),
        ("{instance NOT IN ['a', 'c']}", "b"),
        ("{instance = re('a|b')}", "ab"),
        ("{instance != re(`a|b`)}", "c"),
        ("{instance = re`[bc]`}", "bc"),
        ("{le = 'x'}", "a"),
        ("{le != 'x'}", "bc"),
        ("{le = ''}", "bc"),
        ("{nothing = 'x'}", ""),
    ],
)
async def test_filters(http: Http, counted: int, filter_: str, found: str) -> None:
    got = await http.ask(f"M::etcd:(count(total)) {filter_} BY instance")
    assert "".join(sorted(series["tags"]["instance"] for series in got)) == found


async def test_rates_are_per_second_and_survive_a_restart(http: Http, counted: int) -> None:
    """In five minutes a grows by 24 in 240 ms of the clock; b by 48, and after its restart by what it counts anew."""
    got = await http.ask("M::`etcd`:(sum(`total`)) {cluster_name_k8s='lab'} [::5m:rate] BY `instance`")
    assert values(got, "instance") == {
        ("a",): [pytest.approx(100)] * 2,
        ("b",): [pytest.approx(150), pytest.approx(200)],
    }
    assert [row[0] for row in got[0]["values"]] == [counted + 300, counted]
    together = await http.ask("M::`etcd`:(sum(`total`)) {cluster_name_k8s='lab'} [::5m:rate]")
    assert values(together) == {(): [pytest.approx(250), pytest.approx(300)]}
    last = await http.ask("M::`etcd`:(max(`total`)) {instance='a'} [::5m:irate]")
    assert values(last) == {(): [pytest.approx(100)] * 2}


async def test_gauges_are_rolled_up_before_they_are_summed(http: Http, counted: int) -> None:
    got = await http.ask("M::`etcd`:(sum(`up`)) {cluster_name_k8s='lab'} [::5m:last]")
    assert values(got) == {(): [2, 1]}
    bare = await http.ask("M::`etcd`:(sum(`up`)) {cluster_name_k8s='lab'} [::5m]")
    assert values(bare) == {(): [8, 7]}


async def test_ranges(http: Http, counted: int) -> None:
    end = int(counted + 4 * MINUTE)
    span = {"timeRange": [counted, end]}
    assert values(await http.ask("M::etcd:(count(total)) {instance='a'}", **span)) == {(): [5]}
    by_text = f"M::etcd:(count(total)) {{instance='a'}} [{counted}:{end}]"
    assert values(await http.ask(by_text, timeRange=[0, 1])) == {(): [5]}  # the text wins
    wide = await http.ask("M::etcd:(count(total)) {instance='a'} [1d]", timeRange=[0, 1])
    assert values(wide) == {(): [10]}
    assert await http.ask("M::etcd:(count(total)) {instance='a'}", timeRange=[0, 1]) == []
    parts = await http.ask("M::etcd:(count(total)) {instance='a'} [1d::5m]")
    assert values(parts) == {(): [5, 5]}


async def test_points_of_a_chart(http: Http, counted: int) -> None:
    span = {"timeRange": [counted, int(counted + 10 * MINUTE)]}
    assert values(await http.ask("M::etcd:(max(total)) {instance='a'}", interval=120, **span))[()][0] == 54
    assert 2 <= len(values(await http.ask("M::etcd:(max(total)) {instance='a'}", maxPointCount=2, **span))[()]) <= 3


async def test_limits_and_order(http: Http, counted: int) -> None:
    rows = values(await http.ask("M::etcd:(total) {instance='a'} LIMIT 3 OFFSET 1"))[()]
    assert rows == [48, 42, 36]
    assert values(await http.ask("M::etcd:(total) {instance='a'} ORDER BY time ASC LIMIT 2"))[()] == [0, 6]
    assert len(await http.ask("M::etcd:(last(total)) BY instance SLIMIT 2")) == 2
    assert [s["tags"] for s in await http.ask("M::etcd:(last(total)) BY instance SLIMIT 2 SOFFSET 2")] == [
        {"instance": "c"}
    ]
    assert values(await http.ask("M::etcd:(total) {instance='a'}", limit=2))[()] == [54, 48]


async def test_groups_are_cut_unless_asked_for(http: Http) -> None:
    await http.write("".join(f"m,host=h{n} f=1\n" for n in range(30)))
    assert len(await http.ask("M::m:(last(f)) BY host")) == 20
    assert len(await http.ask("M::m:(last(f)) BY host", slimit=100)) == 30


async def test_newest_point_of_each_group(http: Http, counted: int) -> None:
    got = await http.ask(newest("etcd", "total", (Condition("cluster_name_k8s", "lab"),), ("instance", "zone")))
    assert [(s["tags"], s["values"]) for s in got] == [
        ({"instance": "a", "zone": ""}, [[counted + 9 * MINUTE, 54]]),
        ({"instance": "b", "zone": ""}, [[counted + 9 * MINUTE, 12]]),
    ]


async def test_several_columns_and_aliases(http: Http, counted: int) -> None:
    [series] = await http.ask("M::etcd:(last(total) AS `总数`, count(up) as n) {instance='a'}")
    assert series["columns"] == ["time", "总数", "n"]
    assert series["values"] == [[counted + 9 * MINUTE, 54, 10]]


async def test_eval(http: Http, counted: int) -> None:
    a = "M::`etcd`:(max(`total`)) {cluster_name_k8s='lab'} BY `instance`"
    b = "M::`etcd`:(count(`total`)) {cluster_name_k8s='lab'} BY `instance`"
    got = await http.ask(f'eval((A-B)*2/B+1, alias=\'r\', A="{a}", B="{b}")')
    assert values(got, "instance") == {("a",): [pytest.approx(9.8)], ("b",): [pytest.approx(15.8)]}
    assert got[0]["columns"] == ["time", "r"]
    part = "M::etcd:(sum(total)) {{instance='{}'}} [::5m:rate]"
    rates = 'eval(A/B, A="{}", B="{}")'.format(part.format("a"), part.format("b"))
    assert values(await http.ask(rates)) == {(): [pytest.approx(100 / 150), pytest.approx(0.5)]}
    none = await http.ask(f'eval(A/0, A="{a}")')
    assert values(none, "instance") == {("a",): [None], ("b",): [None]}
    assert await http.ask(f'eval(A-B, A="{a}", B="M::none:(last(x)) BY instance")') == []


async def test_show(http: Http, counted: int) -> None:
    await http.write("collector,job=etcd up=1")

    async def rows(q: str) -> list[list[str]]:
        return [row for series in await http.ask(q) for row in series["values"]]

    assert await rows("show_measurement()") == [["collector"], ["etcd"]]
    assert await rows("SHOW_TAG_VALUE(from=['etcd'], keyin=['cluster_name_k8s'])") == [
        ["cluster_name_k8s", "lab"],
        ["cluster_name_k8s", "other"],
    ]
    assert await rows("show_tag_value(from=['etcd'], keyin=['instance']){`cluster_name_k8s` = 'lab'}[1d]") == [
        ["instance", "a"],
        ["instance", "b"],
    ]
    assert await rows("show_tag_key(from=['etcd'])") == [["cluster_name_k8s"], ["instance"], ["le"]]
    assert await rows("show_field_key(from=['etcd'])") == [["total", "float"], ["up", "float"]]
    assert await rows("show_field_key(from=['etcd']) LIMIT 1 OFFSET 1") == [["up", "float"]]
    assert await rows("show_tag_value(from=['none'], keyin=['x'])") == []


def test_show_within_a_range(tmp_path: Path) -> None:
    """What stopped before the range of the query itself is not offered; the request's range does not matter."""
    store = Store(str(tmp_path / "s.sqlite"), "wksp_x")
    store.write([Row("etcd", {"instance": name}, "up", 1.0, at) for name, at in (("old", 0), ("new", 599_000))])
    request = Request(now_ms=1_000_000, start_ms=999_999, end_ms=1_000_000)

    def offered(text: str) -> list[str]:
        return [row[1] for series in answer(store, parse(text), request) for row in series["values"]]

    assert offered("show_tag_value(from=['etcd'], keyin=['instance'])[10m]") == ["new"]
    assert offered("show_tag_value(from=['etcd'], keyin=['instance'])") == ["new", "old"]
    store.close()


@pytest.mark.parametrize(
    ("q", "told"),
    [
        ("", "empty"),
        ("etcd", "expected ':'"),
        ("M::etcd", "expected ':'"),
        ("M::etcd:()", "a name"),
        ("M::etcd:(last(up)", "')'"),
        ("M::etcd:(percentile(up, 99))", "percentile"),
        ("M::etcd:(last(up), up)", "together"),
        ("T::etcd:(last(up))", "metrics (M), objects (O) and logs (L)"),
        ("O::etcd:(sum(up)) [::5m:rate]", "for metrics"),
        ("M::etcd:(sum(*))", "needs a field"),
        ("M::etcd:(count_distinct(up)) [::5m:last]", "count_distinct"),
        ("M::etcd:(last(up)) {up > 1}", "=, != or in"),
        ("M::etcd:(last(up)) {a = 1}", "quoted string"),
        ("M::etcd:(last(up)) {a = 'x'", "'}'"),
        ("M::etcd:(last(up)) {a = 'x' b = 'y'}", "'}'"),
        ("M::etcd:(last(up)) {a = re('[')}", "bad pattern"),
        ("M::etcd:(last(up)) {a = 'it\\'s'}", "unexpected"),
        ("M::etcd:(last(up)) [5m", "not closed"),
        ("M::etcd:(last(up)) [1:2:3m:rate:x]", "[start:end:interval:rollup]"),
        ("M::etcd:(last(up)) [::5m:deriv]", "rollup deriv"),
        ("M::etcd:(last(up)) [::soon]", "no interval"),
        ("M::etcd:(last(up)) [5x]", "unit"),
        ("M::etcd:(up) [::5m:rate]", "needs an aggregate"),
        ("M::etcd:(last(up)) ORDER BY up", "time only"),
        ("M::etcd:(last(up)) HAVING up", "the end of the query"),
        ("M::etcd:(last(up)) LIMIT x", "whole number"),
        ("M::etcd:(last(up)); drop", "unexpected"),
        ("RATE(\"M::etcd:(last(up))\")", "RATE"),
        ("eval(A-B, A=\"M::etcd:(last(up))\")", "lacks B"),
        ("eval(A, A=\"eval(B, B='x')\")", "function|chained|expected"),
        ("show_workspaces()", "show_workspaces"),
        ("show_tag_value(from=['etcd'])", "keyin"),
        ("show_tag_key(of=['etcd'])", "no argument of"),
    ],
)  # fmt: skip
async def test_what_is_not_understood_is_an_error(http: Http, q: str, told: str) -> None:
    message = await http.refused(q)
    assert any(part in message for part in told.split("|")), message


async def test_text_has_no_average(http: Http) -> None:
    await http.write('m f="x"')
    assert "numbers" in await http.refused("M::m:(avg(f))", timeRange=[0, 9_999_999_999_999])


NAMES = st.text(
    st.characters(blacklist_characters="`\\#", blacklist_categories=("C", "Z")), min_size=1, max_size=12
).filter(
    lambda name: name != "*"  # which stands for all fields, and is for counting alone
)
TEXTS = st.text(st.characters(blacklist_characters="'\"`\\#", blacklist_categories=("C", "Z")), max_size=12)


@given(NAMES, NAMES, NAMES, TEXTS, st.sampled_from(["=", "!="]), NAMES)
def test_what_core_writes_is_read_as_it_was_meant(
    measurement: str, field: str, tag: str, value: str, op: str, by: str
) -> None:
    query = Query(measurement, field, "sum", (Condition(tag, value, op),), (by,), rollup="rate", window="5m")
    read = parse(query.dql())
    assert isinstance(read, Statement)
    assert (read.measurement, read.select) == (measurement, (Select(field, "sum"),))
    assert read.filter == Filtered(tag, op, (value,))
    assert (read.by, read.range.interval_ms, read.range.rollup) == ((by,), 300_000, "rate")


# PromQL


async def prom(http: Http, q: str, at: float, **body: Any) -> dict[tuple[tuple[str, str], ...], float]:
    """The series' values at one moment, by tags."""
    query = {"q": q, "timeRange": [int(at), int(at)], "promqlType": "instantQuery", "slimit": 99, **body}
    _, answer = await http.api("POST", "df/query_data_v1", {"queries": [{"qtype": "promql", "query": query}]})
    assert answer["success"], answer
    return {tuple(sorted(s["tags"].items())): s["values"][0][1] for s in answer["content"]["data"][0]["series"]}


async def test_promql_selects_rates_and_joins(http: Http, counted: int) -> None:
    at = counted + 4 * MINUTE + 1
    lab_a = (("cluster_name_k8s", "lab"), ("instance", "a"), ("le", "x"))
    lab_b = (("cluster_name_k8s", "lab"), ("instance", "b"))
    lab = 'cluster_name_k8s="lab"'
    assert await prom(http, f"etcd:total{{{lab}}}", at) == {lab_a: 24, lab_b: 48}
    assert await prom(http, 'etcd:total{instance=~"a|b",le!="x"}', at) == {lab_b: 48}
    assert await prom(http, 'etcd:total{instance!~"a|b"}', at) == {
        (("cluster_name_k8s", "other"), ("instance", "c")): 1000
    }
    assert await prom(http, 'etcd:total{instance=~"."}', at, promqlType="instantQuery") != {}
    rates = {lab_a: pytest.approx(100), lab_b: pytest.approx(200)}
    assert await prom(http, f"rate(etcd:total{{{lab}}}[5m])", at) == rates
    assert await prom(http, f"rate(etcd:total{{{lab}}})", at) == rates
    assert await prom(http, f"increase(etcd:total{{{lab}}}[5m])", at) == {lab_a: 24, lab_b: 48}
    by = {(("instance", "a"),): pytest.approx(100), (("instance", "b"),): pytest.approx(200)}
    assert await prom(http, f"sum by (instance) (rate(etcd:total{{{lab}}}[5m]))", at) == by
    assert await prom(http, f"sum(rate(etcd:total{{{lab}}}[5m])) by (instance)", at) == by
    assert await prom(http, f"sum(etcd:total{{{lab}}})", at) == {(): 72}
    assert await prom(http, f"count(etcd:total{{{lab}}}) * 2 + 1", at) == {(): 5}
    assert await prom(http, f"etcd:total{{{lab}}} - etcd:up{{{lab}}}", at) == {lab_a: 23, lab_b: 48}
    assert await prom(http, f"sum(etcd:total{{{lab}}}) / 0", at) == {}
    assert await prom(http, f"max_over_time(etcd:total{{{lab}}}[2m])", at) == {lab_a: 24, lab_b: 48}
    assert await prom(http, "etcd:none", at) == {}


async def test_histogram_quantile(http: Http) -> None:
    now = time.time() * 1000
    lines = []
    for step in (0, 1):
        for le, count in (("0.1", 50), ("0.2", 90), ("+Inf", 100)):
            lines.append(f"etcd,instance=a,le={le} d_bucket={count * step} {ns(now - 200 + step * 60)}")
    await http.write("\n".join(lines))
    q = "histogram_quantile({}, sum by (instance, le) (rate(etcd:d_bucket[5m])))"
    a = (("instance", "a"),)
    assert await prom(http, q.format(0.25), now) == {a: pytest.approx(0.05)}
    assert await prom(http, q.format(0.7), now) == {a: pytest.approx(0.15)}
    assert await prom(http, q.format(0.99), now) == {a: pytest.approx(0.2)}
    assert await prom(http, q.format(0.7), now + 10_000) == {}


async def test_a_range_of_promql(http: Http, counted: int) -> None:
    query = {"q": 'etcd:total{instance="a"}', "timeRange": [counted, int(counted + 9 * MINUTE)], "interval": 60}
    _, answer = await http.api("POST", "df/query_data_v1", {"queries": [{"qtype": "promql", "query": query}]})
    [series] = answer["content"]["data"][0]["series"]
    assert [value for _time, value in series["values"]] == [54, 48, 42, 36, 30, 24, 18, 12, 6, 0]


@pytest.mark.parametrize(
    ("q", "told"),
    [
        ("up", "measurement:field"),
        ("etcd:up[5m]", "a window needs"),
        ("etcd:up{a~'x'}", "unexpected"),
        ("etcd:up{a=x}", "string"),
        ("etcd:up{a=~'['}", "bad pattern"),
        ("quantile(3, etcd:up)", "quantile"),
        ("topk(etcd:up)", "a number and series"),
        ("vector(etcd:up)", "takes a number"),
        ("time(1)", "takes nothing"),
        ("1 or etcd:up", "joins series"),
        ("1 > 2", "needs series"),
        ("etcd:up or", "the end"),
        ("rate(sum(etcd:up))", "one selector"),
        ("histogram_quantile(etcd:up)", "a number and buckets"),
        ("sum(1)", "takes series"),
        ("etcd:up etcd:up", "the end"),
        ("(etcd:up", ")"),
    ],
)
async def test_promql_that_is_not_understood_is_an_error(http: Http, q: str, told: str) -> None:
    assert told in await http.refused(q, qtype="promql")


async def test_an_unknown_language(http: Http) -> None:
    assert "sql" in await http.refused("select 1", qtype="sql")


# The ETCD view


async def test_every_query_of_the_etcd_view_is_answered_from_points_of_its_fields(http: Http) -> None:
    """Each panel, in each spelling, over two rounds of exactly the fields that it says it needs."""
    now = time.time() * 1000
    view = views.view("etcd")
    for panel in view.panels:
        for measurement, field in panel.needs:
            tags = "cluster_name_k8s=lab,instance=m1:2381,host=m1,job=etcd,grpc_type=unary,grpc_code=Internal"
            for step in (1, 2):
                at = ns((now // 300 - 1) * 300 + step * 60)
                for tail in (",le=0.1", ",le=+Inf") if field.endswith("_bucket") else ("",):
                    assert (await http.write(f"{measurement},{tags}{tail} {field}={step * 5} {at}"))[0] == 200
    here: list[dict[str, str]] = [{"cluster_name_k8s": "lab"}, {"cluster_name_k8s": "lab", "instance": "m1:2381"}, {}]
    texts = [(panel, text) for panel in view.panels for given in here for text in panel.queries(given)]
    # E3r looks back one of the studio's days, which are 86 seconds here.
    for (panel, text), series in zip(texts, await ask_all(http, [text for _panel, text in texts], now), strict=True):
        assert [one["tags"]["instance"] for one in series] == ["m1:2381"], (panel.key, text)
    elsewhere = [text for panel in view.panels for text in panel.queries({"cluster_name_k8s": "elsewhere"})]
    assert await ask_all(http, elsewhere, now) == [[]] * len(elsewhere)


async def ask_all(http: Http, texts: list[str], now: float) -> list[list[dict]]:
    """The series of each query, over the last minute on the clock."""
    found: list[list[dict]] = []
    for first in range(0, len(texts), 100):
        queries = [
            {
                "qtype": "promql" if isinstance(text, PromQL) else "dql",
                "query": {"q": text, "timeRange": [int(now - 60_000), int(now + 1000)], "interval": 60},
            }
            for text in texts[first : first + 100]
        ]
        status, answer = await http.api("POST", "df/query_data_v1", {"queries": queries})
        assert status == 200, answer
        found += [item["series"] for item in answer["content"]["data"]]
    return found


async def test_the_views_variables_can_be_read(http: Http, studio: StudioServer) -> None:
    await http.write("etcd,cluster_name_k8s=lab,instance=m1:2381 server_has_leader=1")
    template = views.build(views.view("etcd"), name="x", language="en")
    for variable in template["main"]["vars"]:
        text = variable["definition"]["value"].replace("#{cluster_name_k8s}", "lab").replace("[10m]", "[1d]")
        [series] = await http.ask(text)
        assert series["values"] == [
            [variable["code"], {"cluster_name_k8s": "lab", "instance": "m1:2381"}[variable["code"]]]
        ]


async def test_an_hour_of_four_nodes(http: Http) -> None:
    """Of 28,800 points in 480 series a query counts the sixty of the one that it names."""
    now = int(time.time() * 1000)
    for node in range(4):
        lines = []
        for field in range(120):
            lines += [
                f"etcd,cluster_name_k8s=lab,instance=n{node} f{field}={at} {ns(now - at * 1000)}" for at in range(60)
            ]
        assert (await http.write("\n".join(lines)))[0] == 200
    got = await http.ask(Query("etcd", "f7", "count", (Condition("instance", "n2"),)).dql())
    assert values(got) == {(): [60]}
