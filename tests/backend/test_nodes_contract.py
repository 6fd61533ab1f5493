"""The part of the contract that needs nodes with a kubelet and running DataKits: exec, agents, certificates, rollouts.

Against the whole practice lab; a bare API server has no nodes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from changes import comparable
from control_planes import NO_NODES, lab

from tui.backend import connect
from tui.backend.agent import DataKitAgent
from tui.backend.cluster import KubernetesCluster
from tui.core import actions
from tui.core.canary import never, wait_series
from tui.core.checks import Facts
from tui.core.errors import DeadlineError, ForbiddenError, NotFoundError, StaleError, WizardError
from tui.core.plan import make_plan
from tui.core.ports import (
    CONFIG_MAP,
    DAEMON_SET,
    NODE,
    POD,
    Agent,
    Backend,
    Certificates,
    Cluster,
    ExecResult,
    NodeCertificates,
    Object,
    Rollout,
)
from tui.core.proof import read
from tui.core.proposal import propose
from tui.core.receipts import Store
from tui.core.rollout import RolloutOptions
from tui.core.survey import find_datakit
from tui.core.survey import survey as look_around
from tui.core.undo import undo

pytestmark = pytest.mark.kubelet
ETCD_PKI = "/rootfs/etc/kubernetes/pki/etcd"
HEALTH = "https://127.0.0.1:2379/health"
US = "datakit-wizard"
T = TypeVar("T")


class Place:
    """A cluster with DataKit in namespace `datakit`, one control-plane node and one worker."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.admin = backend.clusters().connect("lab-admin")
        self.viewer = backend.clusters().connect("lab-viewer")
        nodes = self.admin.list(NODE, labels="node-role.kubernetes.io/control-plane")
        (self.control_plane,) = [node["metadata"]["name"] for node in nodes]
        (self.worker,) = {node["metadata"]["name"] for node in self.admin.list(NODE)} - {self.control_plane}

    def pod(self, node: str) -> Object:
        pods = self.admin.list(POD, "datakit", fields=f"spec.nodeName={node}")
        (found,) = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return found

    def agent(self, node: str, cluster: Cluster | None = None) -> Agent:
        pod = self.pod(node)
        return self.backend.agent(cluster or self.admin, "datakit", pod["metadata"]["name"], node, "datakit")

    def exec(self, *argv: str, cluster: Cluster | None = None, container: str = "datakit") -> ExecResult:
        name = self.pod(self.worker)["metadata"]["name"]
        return (cluster or self.admin).exec("datakit", name, container, argv)


@pytest.fixture(scope="module")
def place_of_lab() -> Iterator[Place]:
    with lab() as made:
        yield Place(connect(str(made.kubeconfig), time_scale=made.scale))


@pytest.fixture(params=["lab", "real"])
def place(request: pytest.FixtureRequest) -> Place:
    if request.param == "real":
        pytest.skip(NO_NODES)
    found: Place = request.getfixturevalue("place_of_lab")
    return found


def eventually(look: Callable[[], T], good: Callable[[T], bool]) -> T:
    """The first answer that is good; asking takes long enough to need no pause."""
    end = time.monotonic() + 30
    while True:
        found = look()
        if good(found):
            return found
        assert time.monotonic() < end, found


class TestExec:
    def test_output_and_status(self, place: Place) -> None:
        assert place.exec("printenv", "ENV_K8S_NODE_NAME") == ExecResult(f"{place.worker}\n".encode(), b"", 0)
        assert place.exec("test", "-e", "/no/such/file") == ExecResult(b"", b"", 1)
        failed = place.exec("cat", "/no/such/file")
        assert failed.code == 1
        assert b"No such file" in failed.stderr

    def test_stdin(self, place: Place) -> None:
        name = place.pod(place.worker)["metadata"]["name"]
        result = place.admin.exec("datakit", name, "datakit", ["cat"], stdin=b"line\n" * 20_000)
        assert result == ExecResult(b"line\n" * 20_000, b"", 0)

    def test_a_conf_is_tried_by_the_agent_and_leaves_nothing(self, place: Place) -> None:
        agent = place.agent(place.control_plane)
        assert isinstance(agent, DataKitAgent)
        conf = (
            '[[inputs.prom]]\n  urls = ["http://127.0.0.1:2381/metrics"]\n  source = "etcd"\n  election = false\n'
            '  [[inputs.prom.measurements]]\n    prefix = "etcd_"\n    name = "etcd"\n'
        )
        points, remarks = read(agent.debug(conf, seconds=2))
        assert ("etcd", "server_has_leader") in {(point.measurement, name) for point in points for name in point.fields}
        assert any("time series from prom.etcd" in remark for remark in remarks)
        with pytest.raises(WizardError, match="could not run the conf"):
            agent.debug("[[inputs.prom]", seconds=2)
        assert not [name for name in agent.run(["ls", "/tmp"]).stdout.decode().split() if "datakit-wizard" in name]

    def test_what_cannot_be_run(self, place: Place) -> None:
        with pytest.raises(WizardError, match="could not be run") as caught:
            place.exec("no-such-program")
        assert "executable file not found" in caught.value.why
        with pytest.raises(WizardError) as caught:
            place.exec("ls", container="no-such-container")
        assert "no-such-container is not valid" in caught.value.why

    def test_a_log(self, place: Place) -> None:
        """DataKit logs to a file: nothing on stdout is no error; a first run has no previous."""
        cluster = place.admin
        assert isinstance(cluster, KubernetesCluster)
        name = place.pod(place.worker)["metadata"]["name"]
        assert cluster.log("datakit", name, "datakit", lines=2) == ""
        with pytest.raises(WizardError, match="HTTP 400"):
            cluster.log("datakit", name, "datakit", lines=2, previous=True)

    def test_the_viewer_may_not(self, place: Place) -> None:
        with pytest.raises(ForbiddenError, match="get pods/exec in namespace datakit") as caught:
            place.exec("ls", cluster=place.viewer)
        assert "--verb=get" in caught.value.command


class TestAgent:
    def test_what_it_says_of_itself(self, place: Place) -> None:
        agent = place.agent(place.worker)
        assert agent.version() == "1.84.1"
        tags = agent.host_tags()
        assert tags["cluster_name_k8s"] == "lab"
        assert tags["host"] == place.worker
        assert "cluster_name_k8s" not in agent.election_tags()

    def test_one_agent_holds_the_election_and_all_know_it(self, place: Place) -> None:
        agents = [place.agent(node) for node in (place.control_plane, place.worker)]
        found = eventually(
            lambda: {agent.node: agent.inputs() for agent in agents},
            lambda inputs: all(each.leader for each in inputs.values()),
        )
        assert sorted(each.elected for each in found.values()) == ["defeat", "success"]
        (leader,) = [node for node, inputs in found.items() if inputs.elected == "success"]
        assert {inputs.leader for inputs in found.values()} == {leader}

    def test_what_it_feeds_and_uploads_is_counted(self, place: Place) -> None:
        """The tutorial's conf for plain HTTP, collected beside the etcd that listens there."""
        agent = place.agent(place.control_plane)
        path = "/usr/local/datakit/conf.d/etcd/etcd.conf"
        assert path not in agent.inputs().loaded
        conf = '[[inputs.prom]]\n  urls = ["http://127.0.0.1:2381/metrics"]\n  source = "etcd"\n  election = false\n'
        data = {"data": {"etcd.conf": conf}}
        place.admin.apply(CONFIG_MAP, "datakit", "datakit-conf", data, manager=US, dry_run=False)
        mount = {"name": "datakit-conf", "mountPath": path, "subPath": "etcd.conf", "readOnly": True}
        follow(place, change(place, "conf", containers=[{"name": "datakit", "volumeMounts": [mount]}]))
        agent = place.agent(place.control_plane)
        assert agent.file(path) == conf.encode()
        inputs = agent.inputs()
        assert inputs.loaded[path] == 1
        assert inputs.instances["prom"] == 1
        feeds = eventually(agent.feeds, lambda found: "prom.etcd" in found)
        assert feeds["prom.etcd"].count >= 1
        assert feeds["prom.etcd"].points > 10
        assert time.time() - feeds["prom.etcd"].last_s < 60
        uploads = eventually(agent.uploads, lambda found: found.get("OK", 0) > 0)
        assert uploads.get("Forbidden", 0) == 0

    def test_files(self, place: Place) -> None:
        agent = place.agent(place.control_plane)
        assert (agent.file(f"{ETCD_PKI}/ca.crt") or b"").startswith(b"-----BEGIN CERTIFICATE-----")
        assert agent.file(f"{ETCD_PKI}/nope.crt") is None
        assert agent.file(ETCD_PKI) is None
        assert agent.file(f"{ETCD_PKI}/ca.crt/below") is None

    @pytest.mark.parametrize("name", ["ca.key", "healthcheck-client.key"])
    def test_keys_are_not_read(self, place: Place, name: str) -> None:
        with pytest.raises(WizardError, match="keys are not read"):
            place.agent(place.control_plane).file(f"{ETCD_PKI}/{name}")

    def test_scrapes(self, place: Place) -> None:
        agent = place.agent(place.control_plane)
        plain = agent.scrape("http://127.0.0.1:2381/metrics")
        assert (plain.status, plain.error) == (200, "")
        assert b"\netcd_server_has_leader 1\n" in (plain.body or b"")
        mutual = agent.scrape(
            "https://127.0.0.1:2379/metrics",
            ca=f"{ETCD_PKI}/ca.crt",
            cert=f"{ETCD_PKI}/healthcheck-client.crt",
            key=f"{ETCD_PKI}/healthcheck-client.key",
        )
        assert (mutual.status, mutual.error) == (200, "")
        assert b"\netcd_server_has_leader 1\n" in (mutual.body or b"")
        assert agent.scrape("http://127.0.0.1:2381/nothing").status == 404

    @pytest.mark.parametrize(
        ("url", "files", "words"),
        [
            ("http://127.0.0.1:2399/", {}, "connection refused"),
            ("http://no-such-host.invalid/", {}, "does not resolve"),
            ("https://127.0.0.1:2379/", {}, "another client certificate"),
            ("https://127.0.0.1:2379/", {"ca": "/rootfs/etc/kubernetes/pki/ca.crt"}, "not verified by this CA"),
            ("https://127.0.0.1:2379/", {"ca": "/nope.crt"}, "CA file cannot be read"),
            ("https://127.0.0.1:2381/", {}, "handshake failed"),
        ],
    )
    def test_scrapes_that_fail_say_why(self, place: Place, url: str, files: dict[str, str], words: str) -> None:
        failed = place.agent(place.control_plane).scrape(url, **files)
        assert failed.body is None
        assert words in failed.error

    def test_a_pod_that_is_gone(self, place: Place) -> None:
        with pytest.raises(NotFoundError):
            place.backend.agent(place.admin, "datakit", "datakit-gone", place.worker, "datakit").version()


class TestCertificates:
    def read(self, place: Place, node: str, **changed: str) -> NodeCertificates:
        reader: Certificates = place.backend.certificates()
        names = {"ca": "ca.crt", "cert": "healthcheck-client.crt", "key": "healthcheck-client.key"} | changed
        paths = {what: f"{ETCD_PKI}/{name}" for what, name in names.items()}
        return reader.read(place.agent(node), **paths, url=HEALTH)

    def test_a_node_that_has_them(self, place: Place) -> None:
        found = self.read(place, place.control_plane)
        assert (found.node, found.pair_matches, found.answers, found.problem) == (place.control_plane, True, 200, "")
        (ca,), (cert,) = found.ca.certificates, found.cert.certificates
        assert ca.is_ca
        assert (ca.subject, cert.issuer) == ("CN=etcd-ca", "CN=etcd-ca")
        assert cert.subject == "CN=kube-etcd-healthcheck-client"
        assert cert.usages == ("clientAuth",)
        assert cert.sans == ()
        assert not cert.is_ca
        assert cert.not_before_s < time.time() < cert.not_after_s
        assert (found.key.present, found.key.readable, found.key.certificates) == (True, True, ())

    def test_a_server_certificate(self, place: Place) -> None:
        (server,) = self.read(place, place.control_plane, cert="server.crt", key="server.key").cert.certificates
        assert {"127.0.0.1", "localhost", place.control_plane} <= set(server.sans)
        assert set(server.usages) == {"serverAuth", "clientAuth"}

    def test_a_node_that_has_none(self, place: Place) -> None:
        found = self.read(place, place.worker)
        assert not any(file.present or file.readable for file in (found.ca, found.cert, found.key))
        assert (found.pair_matches, found.answers) == (None, 0)
        assert found.cert.problem == "not there"

    def test_a_key_of_another_certificate(self, place: Place) -> None:
        found = self.read(place, place.control_plane, key="peer.key")
        assert (found.pair_matches, found.answers) == (False, 0)
        assert "cannot be used together" in found.problem

    def test_another_authority(self, place: Place) -> None:
        found = self.read(place, place.control_plane, ca="../ca.crt")
        assert (found.pair_matches, found.answers) == (True, 0)
        assert "not verified by this CA" in found.problem

    def test_a_directory(self, place: Place) -> None:
        found = self.read(place, place.control_plane, cert="")
        assert found.cert.present
        assert found.cert.certificates == ()
        assert "a directory" in found.cert.problem

    def test_no_key_is_in_what_is_read(self, place: Place) -> None:
        assert "PRIVATE" not in repr(self.read(place, place.control_plane))


def change(place: Place, text: str, **spec: Any) -> int:
    """Change the pod template; the generation that goes out."""
    template: Object = {"metadata": {"annotations": {"datakit-wizard/etcd-conf-sha256": text}}}
    if spec:
        template["spec"] = spec
    body = {"spec": {"template": template}}
    applied = place.admin.apply(DAEMON_SET, "datakit", "datakit", body, manager=US, dry_run=False)
    return int(applied.object["metadata"]["generation"])


def follow(place: Place, generation: int, deadline_s: float = 60) -> tuple[Rollout, list[Rollout]]:
    told: list[Rollout] = []
    last = place.admin.wait_rollout(
        "datakit", "datakit", generation, deadline_s=deadline_s, progress=told.append, cancelled=lambda: False
    )
    return last, told


class TestRollout:
    def test_node_by_node(self, place: Place) -> None:
        before = {node: place.pod(node)["metadata"]["uid"] for node in (place.control_plane, place.worker)}
        last, told = follow(place, change(place, "one"))
        assert last == told[-1]
        assert (last.desired, last.updated, last.available, last.done) == (2, 2, 2, True)
        assert last.pods == {place.control_plane: "ready", place.worker: "ready"}
        assert not told[0].done
        assert "waits for its turn" in {text for state in told for text in state.pods.values()}
        after = {node: place.pod(node)["metadata"]["uid"] for node in before}
        assert all(after[node] != before[node] for node in before)

    def test_nothing_to_roll_out_is_done_at_once(self, place: Place) -> None:
        generation = change(place, "two")
        follow(place, generation)
        assert change(place, "two") == generation
        last, told = follow(place, generation)
        assert last.done
        assert len(told) == 1

    def test_a_pod_that_cannot_start_is_named_with_the_kubelets_reason(self, place: Place) -> None:
        """A ConfigMap that does not exist: the pod waits for ever, and only events say for what."""
        mount = {"name": "missing", "mountPath": "/missing"}
        generation = change(
            place,
            "three",
            containers=[{"name": "datakit", "volumeMounts": [mount]}],
            volumes=[{"name": "missing", "configMap": {"name": "no-such-configmap"}}],
        )
        with pytest.raises(DeadlineError) as caught:
            follow(place, generation, deadline_s=4)
        assert "no-such-configmap" in caught.value.why
        assert any(node in caught.value.why for node in (place.control_plane, place.worker))
        last, _told = follow(place, change(place, "four"))
        assert last.done

    def test_cancelled_in_the_middle(self, place: Place) -> None:
        told: list[Rollout] = []
        generation = change(place, "five")
        last = place.admin.wait_rollout(
            "datakit",
            "datakit",
            generation,
            deadline_s=60,
            progress=told.append,
            cancelled=lambda: bool(told),
        )
        assert not last.done
        assert follow(place, generation)[0].done


class TestSomeNodes:
    def test_a_pod_that_is_deleted_is_replaced_while_the_rollout_is_held(self, place: Place) -> None:
        """Under OnDelete the controller makes the new pod from the new template, and leaves the other node alone."""
        body = {"spec": {"updateStrategy": {"type": "OnDelete"}}}
        place.admin.patch(DAEMON_SET, "datakit", "datakit", body, manager="kubectl-edit", dry_run=False)
        generation = change(place, "one of them")
        old, other = place.pod(place.control_plane)["metadata"], place.pod(place.worker)["metadata"]
        wait_for(place, generation, {})
        place.admin.delete(POD, "datakit", old["name"], uid=old["uid"])
        last = wait_for(place, generation, {place.control_plane: old["name"]})
        assert last.pods == {place.control_plane: "ready"}
        new = place.pod(place.control_plane)["metadata"]
        assert new["annotations"]["datakit-wizard/etcd-conf-sha256"] == "one of them"
        assert place.pod(place.worker)["metadata"]["uid"] == other["uid"]
        body = {"spec": {"updateStrategy": {"type": "RollingUpdate"}}}
        applied = place.admin.patch(DAEMON_SET, "datakit", "datakit", body, manager="kubectl-edit", dry_run=False)
        assert follow(place, applied.object["metadata"]["generation"])[0].done
        assert place.pod(place.control_plane)["metadata"]["uid"] == new["uid"]
        assert place.pod(place.worker)["metadata"]["uid"] != other["uid"]

    def test_the_first_node_and_its_series(self, place: Place, tmp_path: Path) -> None:
        """One node first on running DataKits: what they collect is seen, the others wait, and undo is exact."""
        store, cluster = Store(tmp_path), place.admin
        before = comparable(cluster.get(DAEMON_SET, "datakit", "datakit"))
        survey = look_around(cluster, find_datakit(cluster, "datakit")[0])
        answers = propose(survey, strategy="node-http", preset="recommended", endpoint="")
        answers = replace(answers, views=replace(answers.views, create=()))
        plan = make_plan(cluster, survey, answers, rollout=RolloutOptions(one_node_first=True))
        facts = Facts(place.backend, cluster, namespace="datakit")
        receipt = actions.apply(
            cluster,
            plan,
            None,
            store,
            on_event=lambda _event: None,
            look=lambda node: wait_series(facts, node, cancelled=lambda: False),
            go_on=never,
        )
        assert receipt.held
        (first,) = receipt.pods
        assert first.node == place.control_plane
        assert "points of etcd" in first.message
        worker = place.pod(place.worker)["metadata"]["uid"]
        undo(cluster, receipt, None, store, on_event=lambda _event: None)
        assert comparable(cluster.get(DAEMON_SET, "datakit", "datakit")) == before
        assert place.pod(place.worker)["metadata"]["uid"] == worker


def wait_for(place: Place, generation: int, replaced: dict[str, str]) -> Rollout:
    last = place.admin.wait_rollout(
        "datakit",
        "datakit",
        generation,
        deadline_s=60,
        progress=lambda _state: None,
        cancelled=lambda: False,
        replaced=replaced,
    )
    assert last.done
    return last


def test_a_lab_says_how_fast_its_time_runs(place: Place) -> None:
    assert place.admin.time_scale == 60.0
    assert {context.time_scale for context in place.backend.clusters().contexts()} == {60.0}


def test_a_deleted_object_is_not_taken_for_its_successor(place: Place) -> None:
    made = place.admin.apply(CONFIG_MAP, "datakit", "short-lived", {"data": {"a": "1"}}, manager=US, dry_run=False)
    uid = made.object["metadata"]["uid"]
    place.admin.delete(CONFIG_MAP, "datakit", "short-lived", uid=uid)
    body = {"metadata": {"uid": uid}, "data": {"a": "2"}}
    with pytest.raises(StaleError):
        place.admin.apply(CONFIG_MAP, "datakit", "short-lived", body, manager=US, dry_run=False)
