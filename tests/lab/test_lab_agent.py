"""An agent: its settings, its conf files, the election, what it scrapes, counts and uploads."""

from __future__ import annotations

import contextlib
import json
import random
import secrets
import sqlite3
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from lab_machines import Machines, until

from tui.lab import commands
from tui.lab.agent import CONF_FOLDER, LOG_FILE, Agent
from tui.lab.container import Container, Mount
from tui.lab.network import Socket
from tui.lab.nodes import Node
from tui.lab.settings import api_url, settings
from tui.lab.studio import StudioServer

SCALE = 120.0
DATAWAY = "https://openway.test?token=tkn_1"
ENV = {
    "ENV_K8S_NODE_NAME": "cp-1",
    "ENV_DATAWAY": DATAWAY,
    "ENV_CLUSTER_NAME_K8S": "lab",
    "ENV_GLOBAL_HOST_TAGS": "host=__datakit_hostname,host_ip=__datakit_ip",
    "ENV_ENABLE_ELECTION": "enable",
}
NODE_HTTP = """\
[[inputs.prom]]
  urls = ["http://127.0.0.1:2381/metrics"]
  source = "etcd"
  metric_name_filter = ["etcd_server_proposals", "etcd_server_has_leader"]
  election = false
  [[inputs.prom.measurements]]
    prefix = "etcd_"
    name = "etcd"
  [inputs.prom.tags]
    instance = "${ENV_K8S_NODE_NAME}:2381"
    cluster_name_k8s = "lab"
"""
TUTORIAL = """\
[[inputs.prom]]
  urls = ["https://172.16.0.229:2379/metrics"]
  source = "etcd"
  metric_types = ["counter", "gauge"]
  metric_name_filter = ["etcd_server_proposals", "etcd_server_has"]
  tls_open = true
  tls_cert = "/etc/kubernetes/pki/etcd/peer.crt"
  tls_key = "/etc/kubernetes/pki/etcd/peer.key"
  [[inputs.prom.measurements]]
    prefix = "etcd_"
    name = "etcd"
"""


class World:
    """Machines, a studio behind a Dataway, and agents on the nodes."""

    def __init__(self, machines: Machines, studio: StudioServer) -> None:
        self.machines = machines
        self.studio = studio
        self.agents: list[Agent] = []

    def agent(
        self, node: Node, conf: str | None, *, certificates: bool = True, delay_s: float = 0.0, **env: str
    ) -> Agent:
        """Start an agent with `conf` as its etcd.conf; `certificates` mounts the node's etcd folder."""
        folder = self.machines.folder / f"container-{node.name}-{secrets.token_hex(2)}"
        path = folder / CONF_FOLDER.lstrip("/") / "etcd/etcd.conf"
        path.parent.mkdir(parents=True)
        if conf is not None:
            path.write_text(conf)
        pki = "/etc/kubernetes/pki/etcd"
        mounts = (Mount(pki, node.path(pki)),) if certificates and node.is_control_plane else ()
        environment = {**ENV, "ENV_K8S_NODE_NAME": node.name, **env}
        container = Container("p", "datakit", "datakit", "u", "", node, folder, mounts, environment)
        made = Agent(container, self.machines.network, scale=SCALE, rng=random.Random(1), election_delay_s=delay_s)
        made.start()
        self.agents.append(made)
        return made

    def rows(self, measurement: str, field: str) -> list[tuple[dict[str, str], float]]:
        """What the studio holds: tags and value of each point."""
        query = """SELECT tags, value FROM series JOIN point ON series.id = point.series
                   WHERE measurement = ? AND field = ? ORDER BY time_ms"""
        with contextlib.closing(sqlite3.connect(self.machines.folder / "studio.sqlite")) as database:
            found = database.execute(query, (measurement, field)).fetchall()
        return [(json.loads(tags), value) for tags, value in found]

    async def api(self, agent: Agent, path: str) -> Any:
        """What the agent's own API answers to itself, parsed where it is JSON."""
        result = await commands.run(agent.shell(), ["curl", "-s", f"http://127.0.0.1:9529{path}"])
        text = result.stdout.decode()
        return json.loads(text) if text.startswith("{") else text

    async def metric(self, agent: Agent, series_name: str, /, **labels: str) -> float:
        """One value of the agent's own metrics, 0 where there is no such series."""
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        for line in (await self.api(agent, "/metrics")).splitlines():
            series, _, value = line.rpartition(" ")
            if series.startswith(series_name + "{") and all(each in series for each in wanted):
                return float(value)
        return 0.0


def log_of(agent: Agent) -> str:
    path = agent.container.real(LOG_FILE)
    return path.read_text() if path.exists() else ""


@pytest.fixture
async def world(machines: Machines) -> AsyncIterator[World]:
    studio = StudioServer(str(machines.folder / "studio.sqlite"), "key", "tkn_1", SCALE)
    port = urlsplit(await studio.start()).port
    assert port
    machines.network.listen_outside("openway.test", 443, Socket("127.0.0.1", port, plain=True))
    made = World(machines, studio)
    yield made
    for agent in made.agents:
        await agent.stop()
    await studio.stop()


async def test_a_node_reads_its_own_member_and_the_points_reach_the_studio(world: World) -> None:
    node = world.machines.nodes[0]
    agent = world.agent(node, NODE_HTTP)
    await until(lambda: len(world.rows("etcd", "server_proposals_committed_total")) >= 2)
    tags, _ = world.rows("etcd", "server_proposals_committed_total")[0]
    assert tags == {
        "cluster_name_k8s": "lab",
        "host": "cp-1",
        "host_ip": "172.16.0.229",
        "instance": "cp-1:2381",
    }
    values = [value for _, value in world.rows("etcd", "server_proposals_committed_total")]
    assert values == sorted(values)
    ups = world.rows("collector", "up")
    assert {(tags["job"], tags["instance"], value) for tags, value in ups} == {("etcd", "127.0.0.1:2381", 1)}
    assert await world.metric(agent, "datakit_io_feed_total", name="prom.etcd", category="metric") > 0
    assert await world.metric(agent, "datakit_io_feed_total", name="prom.etcd.up") > 0
    assert await world.metric(agent, "datakit_io_dataway_point_total", status="OK", category="metric") > 0


async def test_a_worker_reports_up_0_at_every_interval(world: World) -> None:
    agent = world.agent(world.machines.nodes[1], NODE_HTTP)
    await until(lambda: len(world.rows("collector", "up")) >= 2)
    assert {value for _, value in world.rows("collector", "up")} == {0}
    assert world.rows("etcd", "server_has_leader") == []
    assert 'Get "http://127.0.0.1:2381/metrics": dial tcp 127.0.0.1:2381: connect: connection refused' in log_of(agent)
    assert await world.metric(agent, "datakit_io_feed_total", name="prom.etcd", category="metric") == 0


async def test_elected_points_lack_the_clusters_name(world: World) -> None:
    agent = world.agent(world.machines.nodes[0], TUTORIAL)
    assert (await world.api(agent, "/v1/dca/stat"))["content"]["elected"].startswith("defeat::default|cp-1")
    await until(lambda: len(world.rows("etcd", "server_has_leader")) >= 3)
    assert agent.state.election.status == "success"
    assert world.rows("etcd", "server_has_leader")[0][0] == {
        "host": "172.16.0.229",
        "instance": "172.16.0.229:2379",
    }
    assert await world.api(agent, "/v1/global/election/tags") == {"election-tags": "map[]"}
    assert await world.api(agent, "/v1/global/host/tags") == {
        "host-tags": "map[cluster_name_k8s:lab host:cp-1 host_ip:172.16.0.229]"
    }
    content = (await world.api(agent, "/v1/dca/stat"))["content"]
    assert content["elected"] == "success::default|cp-1(elected: cp-1)"
    assert content["config_info"]["inputs"]["prom"]["config_paths"] == [
        {"loaded": 1, "path": "/usr/local/datakit/conf.d/etcd/etcd.conf"}
    ]
    assert content["enabled_input_list"]["prom"]["instances"] == 1


async def test_a_conf_file_that_failed_is_not_listed(world: World) -> None:
    """As in DataKit 1.84.1, where only the log tells of it (internal/config/load_inputconf.go)."""
    agent = world.agent(world.machines.nodes[0], "[[inputs.prom]\n")
    content = (await world.api(agent, "/v1/dca/stat"))["content"]
    assert "prom" not in content["config_info"]["inputs"]
    assert "ignored" in agent.container.read(LOG_FILE).decode()


async def test_election_on_a_worker_is_silent(world: World) -> None:
    """Init fails for want of the files: no points, no up, only the log tells."""
    control, worker = world.machines.nodes
    elected = world.agent(worker, TUTORIAL)
    await until(lambda: elected.state.election.status == "success")
    other = world.agent(control, TUTORIAL)
    await until(lambda: "un initialized" in log_of(elected))
    await until(lambda: other.state.election.leader == "worker-1")
    assert other.state.election.status == "defeat"
    # The control-plane node collects once before it sees that it is paused; the worker never does.
    await until(lambda: other.counters.feed_total.get(("prom.etcd", "metric"), 0) > 0)
    fed = other.counters.feed_total[("prom.etcd", "metric")]
    assert elected.counters.attempts == {}
    tries = log_of(elected).count("un initialized")
    await until(lambda: log_of(elected).count("un initialized") >= tries + 2)
    assert other.counters.feed_total[("prom.etcd", "metric")] == fed
    assert elected.counters.feed_total == {}


async def test_init_is_tried_again_and_succeeds_when_the_files_come(world: World) -> None:
    control = world.machines.nodes[0]
    agent = world.agent(control, TUTORIAL.replace("peer.", "late."))
    await until(lambda: "un initialized" in log_of(agent))
    pki = control.path("/etc/kubernetes/pki/etcd")
    for end in ("crt", "key"):
        (pki / f"late.{end}").write_bytes((pki / f"peer.{end}").read_bytes())
    await until(lambda: world.rows("etcd", "server_has_leader"))
    (pki / "late.crt").unlink()  # the pair is read once
    count = len(world.rows("etcd", "server_has_leader"))
    await until(lambda: len(world.rows("etcd", "server_has_leader")) > count)


async def test_without_election_every_input_runs_and_host_tags_hold(world: World) -> None:
    agent = world.agent(world.machines.nodes[0], TUTORIAL, ENV_ENABLE_ELECTION="")
    await until(lambda: len(world.rows("etcd", "server_has_leader")) >= 2)
    assert world.rows("etcd", "server_has_leader")[0][0]["cluster_name_k8s"] == "lab"
    assert (await world.api(agent, "/v1/dca/stat"))["content"]["elected"] == "disabled"


async def test_bad_files_are_left_out_and_identical_ones_read_once(world: World) -> None:
    control = world.machines.nodes[0]
    agent = world.agent(control, NODE_HTTP)
    folder = agent.container.real(CONF_FOLDER)
    (folder / "copy.conf").write_text(NODE_HTTP)
    (folder / "bad.conf").write_text("[[inputs.prom]\n")
    (folder / "readme.txt").write_text("no conf")
    (folder / "dir.conf").mkdir()
    await agent.stop()
    again = Agent(agent.container, agent.network, scale=SCALE, rng=random.Random(1))
    world.agents.append(again)
    again.start()
    assert [instance.path.rpartition("/")[2] for instance in again.instances] == ["copy.conf"]
    assert "etcd.conf is the same as" in log_of(again)
    assert "load /usr/local/datakit/conf.d/bad.conf" in log_of(again)
    lines, good = again.check_config()
    assert not good
    assert "[I] got 1 prom input in /usr/local/datakit/conf.d/etcd/etcd.conf" in lines
    assert any(line.startswith("[E] failed to parse /usr/local/datakit/conf.d/bad.conf") for line in lines)


async def test_debug_runs_the_inputs_of_a_file_and_sends_nothing(world: World) -> None:
    """Whoever is elected: here nobody is, since the Dataway has another token."""
    elected = NODE_HTTP.replace("election = false", "election = true")
    agent = world.agent(world.machines.nodes[0], elected, ENV_DATAWAY="https://openway.test?token=tkn_other")
    argv = ["timeout", "1", "datakit", "debug", "--input-conf", f"{CONF_FOLDER}/etcd/etcd.conf"]
    result = await commands.run(agent.shell(), argv)
    assert result.code == 124
    lines = result.stdout.decode().splitlines()
    assert any(line.startswith("etcd,") and "server_has_leader=" in line for line in lines)
    assert any(line.startswith("# [metric] ") and line.endswith("time series from prom.etcd") for line in lines)
    assert agent.counters.attempts["etcd"] <= 1  # the agent's own first round, before it looks whether it is elected
    assert world.rows("etcd", "server_has_leader") == []
    result = await commands.run(agent.shell(), ["datakit", "debug", "--input-conf", "/nope.conf"])
    assert (result.code, result.stdout) == (255, b"[E] open /nope.conf: no such file or directory\n")


async def test_a_wrong_token_is_forbidden_and_drops_the_points(world: World) -> None:
    agent = world.agent(world.machines.nodes[0], NODE_HTTP, ENV_DATAWAY="https://openway.test?token=tkn_other")
    await until(lambda: agent.counters.uploaded.get(("metric", "Forbidden"), 0) > 0)
    assert agent.counters.dropped[("metric", "Forbidden")] > 0
    assert world.rows("etcd", "server_has_leader") == []
    assert "tkn_other" not in log_of(agent)


async def test_what_could_not_be_sent_is_sent_later(world: World) -> None:
    network = world.machines.network
    dataway = network.find("cp-1", "openway.test", 443)
    network.listen_outside("openway.test", 443, None)
    agent = world.agent(world.machines.nodes[0], NODE_HTTP)
    await until(lambda: agent.counters.uploaded.get(("metric", "unknown"), 0) > 0)
    assert "connection refused" in log_of(agent)
    network.listen_outside("openway.test", 443, dataway)
    await until(lambda: world.rows("etcd", "server_has_leader"))


async def test_only_loopback_may_ask_the_agent(world: World) -> None:
    agent = world.agent(world.machines.nodes[0], None)
    network = world.machines.network
    refused = await network.request("worker-1", "GET", "http://172.16.0.229:9529/metrics")
    assert refused.status == 403
    assert b"public access disabled" in refused.body
    ping = await network.request("worker-1", "GET", "http://172.16.0.229:9529/v1/ping")
    assert json.loads(ping.body)["content"]["host"] == "cp-1"
    assert await world.api(agent, "/nope") == "404 page not found"


def test_environment() -> None:
    node = Node("n1", "10.0.0.1", "worker", None)  # type: ignore[arg-type]
    plain = settings({"ENV_GLOBAL_HOST_TAGS": "a=1, b=x=y,cluster_name_k8s=mine,h=__datakit_hostname,=z"}, node)
    assert plain.host_tags == {"a": "1", "cluster_name_k8s": "mine", "h": "n1"}
    assert not plain.election
    assert plain.election_tags == plain.host_tags
    elected = settings(
        {
            "ENV_ENABLE_ELECTION": "false",
            "ENV_CLUSTER_NAME_K8S": "k",
            "ENV_GLOBAL_HOST_TAGS": "cluster_name_k8s=mine",
            "ENV_GLOBAL_ELECTION_TAGS": "x=1",
            "ENV_NAMESPACE": "space",
            "ENV_ELECTION_NODE_WHITELIST": '["other"]',
            "ENV_DEFAULT_ENABLED_INPUTS": "cpu,mem,-cpu",
            "ENV_K8S_NODE_NAME": "renamed",
        },
        node,
    )
    assert elected.election  # any value enables it
    assert elected.host_tags == {"cluster_name_k8s": "k"}
    assert elected.election_tags == {"x": "1"}
    assert (elected.namespace, elected.banned, elected.hostname) == ("space", True, "renamed")
    assert elected.enabled_inputs == ("mem",)
    assert settings({"ENV_DEFAULT_ENABLED_INPUTS": "-"}, node).enabled_inputs == ()
    assert api_url("https://o.example:9/?token=t", "/v1/election", id="a b") == (
        "https://o.example:9/v1/election?token=t&id=a+b"
    )
