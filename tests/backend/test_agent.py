"""What is asked of a DataKit pod, and what its answers mean; the lab's agent is asked in test_nodes_contract.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from tui.backend.agent import DataKitAgent, parse_elected, parse_go_map
from tui.backend.certificates import NodeCertificateReader
from tui.core.errors import UnreachableError, WizardError
from tui.core.ports import CertificateFile, ExecResult, Feed
from tui.lab.pki import Authority

METRICS = r"""# HELP datakit_io_feed_total Input feed total
# TYPE datakit_io_feed_total counter
datakit_io_feed_total{category="metric",name="prom.etcd"} 4
datakit_io_feed_total{category="metric",name="prom.etcd.up"} 9
datakit_io_feed_total{category="object",name="weird\"name\\,x=\"y\""} 1
datakit_io_feed_point_sum{category="metric",name="prom.etcd"} 1.234e+03
datakit_io_feed_point_count{category="metric",name="prom.etcd"} 4
datakit_io_last_feed_timestamp_seconds{category="metric",name="prom.etcd"} 1.7e+09
datakit_io_dataway_point_total{category="metric",status="OK"} 500
datakit_io_dataway_point_total{category="metric",status="Forbidden"} 7
datakit_io_dataway_point_total{category="logging",status="OK"} 3
datakit_election_status{elected_id="cp-1",id="worker-1",namespace="default",status="defeat"} 0
datakit_broken{a="b"} not-a-number
datakit_nan NaN
"""


class Pod:
    """Stands in for a cluster: runs what the test says, and keeps what was asked."""

    def __init__(self, answer: Callable[[Sequence[str]], ExecResult]) -> None:
        self.answer = answer
        self.asked: list[list[str]] = []
        self.stdin: list[bytes] = []
        self.agent = DataKitAgent(self, "datakit", "datakit-x", "worker-1", "datakit")  # type: ignore[arg-type]

    def exec(
        self, namespace: str, pod: str, container: str, argv: Sequence[str], *, stdin: bytes, timeout_s: float
    ) -> ExecResult:
        assert (namespace, pod, container) == ("datakit", "datakit-x", "datakit")
        assert timeout_s >= 40
        self.asked.append(list(argv))
        self.stdin.append(stdin)
        return self.answer(argv)


def http(body: object, status: int = 200) -> ExecResult:
    text = body if isinstance(body, str) else json.dumps(body)
    return ExecResult(f"{text}\n{status}".encode(), b"", 0)


def api(answers: dict[str, ExecResult]) -> DataKitAgent:
    return Pod(lambda argv: answers[argv[-1].removeprefix("http://127.0.0.1:9529")]).agent


class TestApi:
    def test_version(self) -> None:
        pod = Pod(lambda _argv: http({"content": {"version": "1.84.1", "uptime": "3s"}}))
        assert pod.agent.version() == "1.84.1"
        (argv,) = pod.asked
        assert argv[0] == "curl"
        assert argv[-2:] == ["--url", "http://127.0.0.1:9529/v1/ping"]
        assert argv[argv.index("-m") + 1] == "10"
        assert argv[argv.index("--noproxy") + 1] == "*"

    def test_inputs(self) -> None:
        def paths(*pairs: tuple[str, int]) -> dict[str, object]:
            return {"config_paths": [{"path": path, "loaded": loaded} for path, loaded in pairs]}

        content = {
            "elected": "success::default|worker-1(elected: 3m0s)",
            "enabled_input_list": {"prom": {"input": "prom", "instances": 2, "panic": 0}},
            "config_info": {
                "inputs": {"prom": paths(("/a.conf", 1), ("/b.conf", 2)), "etcd": paths(("/a.conf", 0), ("/b.conf", 1))}
            },
        }
        agent = api({"/v1/dca/stat": http({"code": 200, "content": content}), "/metrics": http(METRICS)})
        found = agent.inputs()
        assert found.loaded == {"/a.conf": 0, "/b.conf": 2}
        assert found.instances == {"prom": 2}
        assert (found.elected, found.leader) == ("success", "cp-1")

    def test_of_several_election_series_the_agents_own_state_counts(self) -> None:
        label = 'datakit_election_status{{elected_id="{who}",id="me",namespace="n",status="{status}"}} {value}'
        metrics = "\n".join(
            [
                label.format(who="me", status="success", value=1700000000),
                label.format(who="other", status="defeat", value=0),
            ]
        )

        def elected(text: str) -> tuple[str, str]:
            answers = {"/v1/dca/stat": http({"content": {"elected": text}}), "/metrics": http(metrics)}
            inputs = api(answers).inputs()
            return inputs.elected, inputs.leader

        assert elected("defeat::n|other") == ("defeat", "other")
        assert elected("success::n|me(elected: 1m)") == ("success", "me")
        assert elected("") == ("success", "me")

    def test_election_that_is_off(self) -> None:
        found = api({"/v1/dca/stat": http({"content": {}}), "/metrics": http("")}).inputs()
        assert (found.loaded, found.instances, found.elected, found.leader) == ({}, {}, "disabled", "")

    @pytest.mark.parametrize(
        ("text", "status"),
        [
            ("success::default|node-1(elected: 1h2m)", "success"),
            ("default::defeat|node-1", "defeat"),
            ("defeat::|", "defeat"),
            ("banned", "banned"),
            ("not-ready", ""),
            ("", ""),
        ],
    )
    def test_election_states(self, text: str, status: str) -> None:
        assert parse_elected(text) == status

    @pytest.mark.parametrize(
        ("text", "tags"),
        [
            ("map[]", {}),
            ("", {}),
            ("map[host:a cluster_name_k8s:k8s-istio]", {"host": "a", "cluster_name_k8s": "k8s-istio"}),
            ("map[a:two words b:http://x:1/y?z=1]", {"a": "two words", "b": "http://x:1/y?z=1"}),
            ("map[a: b:]", {"a": "", "b": ""}),
            ("map[名:值]", {"名": "值"}),
        ],
    )
    def test_go_maps(self, text: str, tags: dict[str, str]) -> None:
        assert parse_go_map(text) == tags

    @pytest.mark.parametrize("wrap", [lambda tags: tags, lambda tags: {"content": tags}])
    def test_tags_as_a_go_map_or_an_object(self, wrap: Callable[[object], object]) -> None:
        agent = api(
            {
                "/v1/global/host/tags": http(wrap({"host-tags": "map[host:n1]"})),
                "/v1/global/election/tags": http(wrap({"election-tags": {"cluster_name_k8s": "c"}})),
            }
        )
        assert agent.host_tags() == {"host": "n1"}
        assert agent.election_tags() == {"cluster_name_k8s": "c"}

    def test_feeds_and_uploads(self) -> None:
        agent = api({"/metrics": http(METRICS)})
        assert agent.feeds() == {
            "prom.etcd": Feed(4, 1234, 1.7e9),
            "prom.etcd.up": Feed(9, 0, 0),
            'weird"name\\,x="y"': Feed(1, 0, 0),
        }
        assert agent.uploads() == {"OK": 500, "Forbidden": 7}

    def test_an_agent_that_does_not_answer(self) -> None:
        pod = Pod(lambda _argv: ExecResult(b"\n000", b"curl: (7) Failed to connect to 127.0.0.1 port 9529\n", 7))
        with pytest.raises(UnreachableError, match="does not answer on node worker-1") as caught:
            pod.agent.version()
        assert "connection refused (Failed to connect" in caught.value.why
        assert caught.value.command.startswith("kubectl -n datakit exec datakit-x -c datakit -- curl -s http://127")

    def test_an_agent_that_refuses(self) -> None:
        agent = api({"/metrics": http({"error_code": "datakit.publicAccessDisabled"}, 403)})
        with pytest.raises(WizardError, match="HTTP 403") as caught:
            agent.feeds()
        assert "publicAccessDisabled" in caught.value.why

    @pytest.mark.parametrize("body", ["<html>", "[]", ""])
    def test_an_answer_of_another_shape(self, body: str) -> None:
        with pytest.raises(WizardError, match="not understood"):
            api({"/v1/ping": http(body)}).version()


class TestFiles:
    @pytest.mark.parametrize("said", ["No such file or directory", "Is a directory", "Not a directory"])
    def test_what_is_not_a_file(self, said: str) -> None:
        assert Pod(lambda _argv: ExecResult(b"", f"cat: /x: {said}\n".encode(), 1)).agent.file("/x") is None

    def test_what_may_not_be_read(self) -> None:
        pod = Pod(lambda _argv: ExecResult(b"", b"cat: /x: Permission denied\n", 1))
        with pytest.raises(WizardError, match="cannot be read") as caught:
            pod.agent.file("/x")
        assert "Permission denied" in caught.value.why

    @pytest.mark.parametrize("path", ["/a/healthcheck-client.key", "/a/kube-node-key.pem", "/a/key.pem", "key"])
    def test_a_key_is_not_even_asked_for(self, path: str) -> None:
        pod = Pod(lambda _argv: ExecResult(b"secret", b"", 0))
        with pytest.raises(WizardError, match="keys are not read"):
            pod.agent.file(path)
        assert pod.asked == []

    def test_a_key_by_another_name_is_not_returned(self) -> None:
        pod = Pod(lambda _argv: ExecResult(b"-----BEGIN EC PRIVATE KEY-----\ns3cr3t", b"", 0))
        with pytest.raises(WizardError) as caught:
            pod.agent.file("/a/bundle.pem")
        assert "s3cr3t" not in str(caught.value)

    def test_a_path_is_an_operand_whatever_it_looks_like(self) -> None:
        pod = Pod(lambda _argv: ExecResult(b"content", b"", 0))
        assert pod.agent.file("-n") == b"content"
        assert pod.asked == [["cat", "--", "-n"]]


class TestScrape:
    def test_the_body_is_kept_byte_for_byte(self) -> None:
        body = b"# TYPE x counter\r\nx 1\n\n\xff\n"
        found = Pod(lambda _argv: ExecResult(body + b"\n200", b"", 0)).agent.scrape("http://127.0.0.1:2381/metrics")
        assert (found.body, found.status, found.error) == (body, 200, "")

    def test_an_error_page_is_an_answer(self) -> None:
        found = Pod(lambda _argv: ExecResult(b"nope\n503", b"", 0)).agent.scrape("http://x")
        assert (found.body, found.status, found.error) == (b"nope", 503, "")

    def test_files_are_handed_to_curl(self) -> None:
        pod = Pod(lambda _argv: ExecResult(b"\n200", b"", 0))
        pod.agent.scrape("https://x", ca="/ca.crt", cert="/a:b.crt", key="/k.key")
        (argv,) = pod.asked
        assert argv[argv.index("--cacert") + 1] == "/ca.crt"
        assert argv[argv.index("--cert") + 1] == "/a\\:b.crt"
        assert argv[argv.index("--key") + 1] == "/k.key"
        assert "-k" not in argv

    def test_without_an_authority_the_server_is_not_verified(self) -> None:
        """As the agent does it with tls_open and no tls_ca (DataKit 1.84.1)."""
        pod = Pod(lambda _argv: ExecResult(b"\n200", b"", 0))
        pod.agent.scrape("https://x", cert="/c.crt", key="/k.key")
        assert "-k" in pod.asked[0]
        assert "--cacert" not in pod.asked[0]

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            (6, "does not resolve"),
            (7, "connection refused"),
            (28, "no answer in time"),
            (35, "handshake failed"),
            (52, "without an answer"),
            (56, "another client certificate"),
            (58, "cannot be used together"),
            (60, "not verified by this CA"),
            (77, "CA file cannot be read"),
            (47, "Too many redirects"),
        ],
    )
    def test_curls_exit_status_in_words(self, code: int, words: str) -> None:
        said = f"curl: ({code}) Too many redirects\n".encode()
        found = Pod(lambda _argv: ExecResult(b"\n000", said, code)).agent.scrape("https://x")
        assert found.body is None
        assert words in found.error
        assert "curl: (" not in found.error

    def test_curl_without_a_word(self) -> None:
        assert "status 2" in Pod(lambda _argv: ExecResult(b"", b"", 2)).agent.scrape("https://x").error


class TestCertificates:
    def node(self, files: dict[str, bytes], curl: ExecResult, unreadable: Sequence[str] = ()) -> Pod:
        def answer(argv: Sequence[str]) -> ExecResult:
            if argv[0] == "test":
                there = argv[2] in files and not (argv[1] == "-r" and argv[2] in unreadable)
                return ExecResult(b"", b"", 0 if there else 1)
            if argv[0] == "cat":
                assert argv[2] in files
                return ExecResult(files[argv[2]], b"", 0)
            return curl

        return Pod(answer)

    def read(self, pod: Pod, url: str = "https://127.0.0.1:2379/health"):  # type: ignore[no-untyped-def]
        return NodeCertificateReader().read(pod.agent, ca="/ca.crt", cert="/c.crt", key="/c.key", url=url)

    def test_bundles_and_text_around_them(self) -> None:
        first, second = Authority("first"), Authority("second")
        files = {"/ca.crt": b"# two\n" + first.pem + second.pem, "/c.crt": first.issue("me").cert, "/c.key": b""}
        pod = self.node(files, http("", 200))
        found = self.read(pod)
        assert [each.subject for each in found.ca.certificates] == ["CN=first", "CN=second"]
        assert found.pair_matches is True
        assert ["cat", "--", "/c.key"] not in pod.asked

    def test_what_is_no_certificate(self) -> None:
        files = {"/ca.crt": b"hello", "/c.crt": b"", "/c.key": b""}
        found = self.read(self.node(files, http("", 200)))
        assert found.ca == CertificateFile("/ca.crt", True, True, (), "not a PEM certificate")
        assert found.cert.problem == "not a PEM certificate"

    def test_unreadable_files_are_not_tried(self) -> None:
        authority = Authority("a")
        files = {"/ca.crt": authority.pem, "/c.crt": authority.issue("me").cert, "/c.key": b""}
        pod = self.node(files, http("", 200), unreadable=["/c.key"])
        found = self.read(pod)
        assert found.key == CertificateFile("/c.key", True, False, (), "not readable")
        assert (found.pair_matches, found.answers) == (None, 0)
        assert not any(argv[0] == "curl" for argv in pod.asked)

    @pytest.mark.parametrize(
        ("curl", "pair", "answers"),
        [
            (http("{}", 200), True, 200),
            (http("", 503), True, 503),
            (ExecResult(b"\n000", b"curl: (7) refused", 7), None, 0),
            (ExecResult(b"\n000", b"curl: (28) late", 28), None, 0),
            (ExecResult(b"\n000", b"curl: (56) alert", 56), True, 0),
            (ExecResult(b"\n000", b"curl: (58) key", 58), False, 0),
            (ExecResult(b"\n000", b"curl: (60) ca", 60), True, 0),
            (ExecResult(b"\n000", b"curl: (77) ca", 77), None, 0),
        ],
    )
    def test_what_the_trial_tells(self, curl: ExecResult, pair: bool | None, answers: int) -> None:
        authority = Authority("a")
        files = {"/ca.crt": authority.pem, "/c.crt": authority.issue("me").cert, "/c.key": b""}
        found = self.read(self.node(files, curl))
        assert (found.pair_matches, found.answers) == (pair, answers)
        assert bool(found.problem) == (answers == 0)

    def test_plain_http_proves_nothing_of_the_pair(self) -> None:
        authority = Authority("a")
        files = {"/ca.crt": authority.pem, "/c.crt": authority.issue("me").cert, "/c.key": b""}
        found = self.read(self.node(files, http("", 200)), url="http://127.0.0.1:2381/health")
        assert (found.pair_matches, found.answers) == (None, 200)

    def test_a_certificate_file_that_holds_a_key(self) -> None:
        authority = Authority("a")
        pair = authority.issue("me")
        files = {"/ca.crt": authority.pem, "/c.crt": pair.cert + pair.key, "/c.key": b""}
        found = self.read(self.node(files, http("", 200)))
        assert "keys are not read" in found.cert.problem
        assert found.cert.certificates == ()
