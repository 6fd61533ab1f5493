"""The practice DataWay: points, tokens and elections as DataKit 1.84.1 speaks to it."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import aiohttp
import pytest
from studio_http import KEY, TOKEN, Http, ns

from tui.lab.studio import StudioServer


async def test_points_arrive_with_tags_values_and_times(http: Http) -> None:
    now = int(time.time() * 1000)
    lines = (
        f"etcd,cluster_name_k8s=lab,instance=10.0.0.1:2379 server_has_leader=1,proposals=35i {ns(now - 1000)}\n"
        f"etcd,cluster_name_k8s=lab,instance=10.0.0.1:2379 server_has_leader=0 {ns(now)}\n"
        f'odd\\ name,key\\=a=b\\,c text="a \\"b\\"",yes=true {ns(now)}\n'
    )
    assert await http.write(lines) == (200, {"content": {"points": 3}})
    series = await http.ask("M::`etcd`:(`server_has_leader`) { `cluster_name_k8s` = 'lab' } BY `instance`")
    assert series[0]["tags"] == {"instance": "10.0.0.1:2379"}
    assert series[0]["columns"] == ["time", "server_has_leader"]
    assert series[0]["values"] == [[now, 0], [now - 1000, 1]]
    assert (await http.ask("M::`etcd`:(last(`proposals`))"))[0]["values"] == [[now - 1000, 35]]
    odd = await http.ask("M::`odd name`:(last(`text`)) BY `key=a`")
    assert (odd[0]["tags"], odd[0]["values"]) == ({"key=a": "b,c"}, [[now, 'a "b"']])


async def test_a_point_without_a_time_gets_the_studios(http: Http) -> None:
    before = time.time() * 1000
    await http.write("etcd up=1")
    [[at, value]] = (await http.ask("M::`etcd`:(last(`up`))"))[0]["values"]
    assert before - 1 <= at <= time.time() * 1000
    assert value == 1


async def test_the_last_point_of_a_moment_wins(http: Http) -> None:
    at = ns(time.time() * 1000)
    await http.write(f"etcd up=1 {at}")
    await http.write(f"etcd up=0 {at}")
    assert [row[1] for row in (await http.ask("M::`etcd`:(`up`)"))[0]["values"]] == [0]


async def test_numbers_that_are_none_are_left_out_and_big_ones_kept(http: Http) -> None:
    assert (await http.write("m a=NaN,b=18446744073709551615u,c=-1.5e300"))[0] == 200
    assert await http.ask("M::`m`:(last(`a`))") == []
    assert (await http.ask("M::`m`:(last(`b`))"))[0]["values"][0][1] == 2.0**64
    assert (await http.ask("M::`m`:(last(`c`))"))[0]["values"][0][1] == -1.5e300


@pytest.mark.parametrize("declared", [True, False])
async def test_gzip(http: Http, declared: bool) -> None:
    headers = {"Content-Encoding": "gzip"} if declared else {}
    assert (await http.write(gzip.compress(b"etcd up=1"), **headers))[0] == 200
    assert len(await http.ask("M::`etcd`:(last(`up`))")) == 1


@pytest.mark.parametrize("token", ["", "tkn_wrong", KEY])
async def test_a_wrong_token_is_forbidden(http: Http, token: str) -> None:
    status, answer = await http.write("etcd up=1", token=token)
    assert status == 403
    assert answer["error_code"]
    assert await http.ask("M::`etcd`:(last(`up`))") == []


@pytest.mark.parametrize(
    "body",
    [
        "etcd",
        "etcd up",
        "etcd up=x",
        "etcd, up=1",
        b"\x1f\x8bnot gzip",
        b"\xff\xfe up=1",
        "etcd up=1 x",
        "etcd up=1 -5000000",
    ],
)
async def test_a_body_that_cannot_be_read_is_refused_as_a_whole(http: Http, body: str | bytes) -> None:
    good = b"etcd up=1\n" if isinstance(body, bytes) and body[:1] == b"\xff" else b""
    status, answer = await http.write(good + body if isinstance(body, bytes) else f"etcd up=1\n{body}")
    assert (status, answer["error_code"]) == (400, "dataway.invalidBody")
    assert await http.ask("M::`etcd`:(last(`up`))") == []


async def test_protobuf_is_refused_aloud(http: Http) -> None:
    status, answer = await http.write(b"x", **{"Content-Type": "application/protobuf; proto=com.guance.Point"})
    assert (status, answer["error_code"]) == (400, "dataway.unsupportedEncoding")


async def test_other_categories(http: Http) -> None:
    assert (await http.write("x up=1", "object"))[0] == 200
    assert await http.ask("M::`x`:(last(`up`))") == []
    assert (await http.write("x up=1", "gossip"))[0] == 404


async def test_ntp_and_pull(http: Http) -> None:
    async with http.session.get(f"{http.url}/v1/ntp") as answer:
        assert abs((await answer.json())["timestamp_sec"] - time.time()) < 5
    async with http.session.get(f"{http.url}/v1/datakit/pull", params={"token": TOKEN}) as answer:
        assert answer.status == 200
    async with http.session.get(f"{http.url}/v1/datakit/pull") as answer:
        assert answer.status == 403


async def test_the_raw_query_of_agents(http: Http) -> None:
    await http.write("etcd,instance=a up=1")
    now = int(time.time() * 1000)
    body = {
        "queries": [
            {"query": "M::etcd:(last(up)) BY instance", "qtype": "dql", "time_range": [now - 60_000, now + 1000]}
        ]
    }
    async with http.session.post(f"{http.url}/v1/query/raw", params={"token": TOKEN}, json=body) as answer:
        content = (await answer.json())["content"]
    assert content[0]["series"][0]["tags"] == {"instance": "a"}
    async with http.session.post(
        f"{http.url}/v1/query/raw", params={"token": TOKEN}, json={"queries": [{"query": "?"}]}
    ) as answer:
        assert (answer.status, (await answer.json())["error_code"]) == (400, "ft.QueryParseError")


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


async def test_election(tmp_path: Path) -> None:
    """One wins, the others lose until it misses its heartbeats; each namespace has its own."""
    clock = Clock()
    server = StudioServer(str(tmp_path / "s.sqlite"), KEY, TOKEN, clock=clock)
    url = await server.start()

    async with aiohttp.ClientSession() as session:

        async def run(node: str, path: str = "election", namespace: str = "default") -> tuple[str, str]:
            query = {"token": TOKEN, "namespace": namespace, "id": node}
            async with session.post(f"{url}/v1/{path}", params=query) as answer:
                content = (await answer.json())["content"]
            assert content["interval"] >= 1
            assert (content["namespace"], content["id"]) == (namespace, node)
            return content["status"], content["incumbency_id"]

        assert await run("a") == ("success", "a")
        assert await run("b") == ("defeat", "a")
        assert await run("b", namespace="other") == ("success", "b")
        for _ in range(10):
            clock.now += 4
            assert await run("a", "election/heartbeat") == ("success", "a")
            assert await run("b") == ("defeat", "a")
        clock.now += 13
        assert await run("b") == ("success", "b")
        assert await run("a", "election/heartbeat") == ("defeat", "b")
        async with session.post(f"{url}/v1/election", params={"token": "x", "id": "c"}) as answer:
            assert answer.status == 403
    await server.stop()


async def test_old_points_are_forgotten(tmp_path: Path) -> None:
    from tui.lab.studio.store import Row, Store

    store = Store(str(tmp_path / "s.sqlite"), "wksp_x")
    store.write([Row("m", {"a": "1"}, "f", 1.0, at) for at in (1000, 2000, 3000)])
    store.write([Row("m", {"a": "2"}, "f", 1.0, 1000)])
    store.prune(2000)
    assert [(key.tags, store.points(key, 0, 9999)) for key in store.series()] == [
        ({"a": "1"}, [(2000, 1.0), (3000, 1.0)])
    ]
    store.write([Row("m", {"a": "2"}, "f", 2.0, 4000)])
    assert len(store.series("m", "f")) == 2
    store.close()


async def test_objects_and_logs_are_kept_apart_from_metrics(http: Http) -> None:
    await http.write("kube_pod,pod_name=a ready=1")
    await http.write('kube_pod,name=uid-1,pod_name=a,phase=Pending age=5,ready="no"', category="object")
    await http.write('kube_pod,name=uid-1,pod_name=a,phase=Running age=65,ready="yes"', category="object")
    await http.write('kube_pod,reason=BackOff message="x"', category="logging")

    async def asked(q: str) -> list[tuple[dict[str, str], object]]:
        return [(series["tags"], series["values"][0][1]) for series in await http.ask(q)]

    assert await asked("M::kube_pod:(last(ready)) BY pod_name") == [({"pod_name": "a"}, 1)]
    assert await asked("O::kube_pod:(last(age)) BY phase") == [({"phase": "Running"}, 65)]  # its newest state alone
    assert await asked("O::kube_pod:(last(ready)) BY pod_name") == [({"pod_name": "a"}, "yes")]
    assert await asked("L::kube_pod:(count(*)) BY reason") == [({"reason": "BackOff"}, 1)]
    assert await asked("L::kube_pod:(last(age))") == []
    [keys] = await http.ask("show_field_key(from=['kube_pod'])")
    assert keys["values"] == [["ready", "float"]]  # show functions are of metrics
