"""The cluster gateway against small servers: what it sends, and what a broken connection is called."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from backend_stubs import Asked, Reply, stub, write_kubeconfig

from tui.backend import cluster as gateway
from tui.backend import connect
from tui.core.errors import DeadlineError, NotFoundError, RefusedError, StaleError, UnreachableError, UsageError
from tui.core.ports import CONFIG_MAP, DAEMON_SET, NAMESPACE, POD, Access, Cluster
from tui.lab.pki import Authority, Pair

STATUS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}


def cluster(tmp_path: Path, **parts: Any) -> Cluster:
    return connect(str(write_kubeconfig(tmp_path / "config", **parts))).clusters().connect("")


def ok(_asked: Asked) -> Reply:
    return Reply(body={"gitVersion": "v1.36.2"})


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("test-ca")


def context_of(pair: Pair, tmp_path: Path, ca: Authority | None = None) -> ssl.SSLContext:
    """A server's TLS context; with `ca` it asks for client certificates."""
    cert, key = pair.write(tmp_path, "server")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    if ca:
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(cadata=ca.pem.decode())
    return tls


def data(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


class TestWhatIsSent:
    def test_server_side_apply(self, tmp_path: Path) -> None:
        with stub(
            lambda _asked: Reply(body={"kind": "ConfigMap"}, headers=[("Warning", '299 - "a \\"b\\", c"')])
        ) as it:
            body = {"metadata": {"uid": "u", "resourceVersion": "7"}, "data": {"etcd.conf": "中"}}
            found = cluster(tmp_path, server=it.url).apply(
                CONFIG_MAP, "datakit", "datakit-conf", body, manager="datakit-wizard", dry_run=True
            )
            assert found.warnings == ('a "b", c',)
            (asked,) = it.asked
            assert asked.method == "PATCH"
            assert asked.path == (
                "/api/v1/namespaces/datakit/configmaps/datakit-conf?fieldManager=datakit-wizard"
                "&fieldValidation=Strict&force=false&dryRun=All"
            )
            assert asked.header("content-type") == ["application/apply-patch+yaml"]
            assert json.loads(asked.body) == {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "datakit-conf", "namespace": "datakit", "uid": "u", "resourceVersion": "7"},
                "data": {"etcd.conf": "中"},
            }
            assert asked.header("authorization") == ["Bearer t0ken"]

    def test_a_forced_apply_and_a_patch_for_real(self, tmp_path: Path) -> None:
        with stub(lambda _asked: Reply(body={"kind": "DaemonSet"})) as it:
            target = cluster(tmp_path, server=it.url)
            target.apply(DAEMON_SET, "a", "b", {}, manager="m", dry_run=False, force=True)
            target.patch(DAEMON_SET, "a", "b", {"spec": {}}, manager="old", dry_run=False)
            forced, patched = it.asked
            assert forced.path == "/apis/apps/v1/namespaces/a/daemonsets/b?" + (
                "fieldManager=m&fieldValidation=Strict&force=true"
            )
            assert patched.path == "/apis/apps/v1/namespaces/a/daemonsets/b?fieldManager=old&fieldValidation=Strict"
            assert patched.header("content-type") == ["application/strategic-merge-patch+json"]
            assert json.loads(patched.body) == {"spec": {}}

    def test_delete_holds_the_uid(self, tmp_path: Path) -> None:
        with stub(lambda _asked: Reply(body=STATUS | {"status": "Success"})) as it:
            cluster(tmp_path, server=it.url).delete(CONFIG_MAP, "a", "b", uid="the-uid")
            assert json.loads(it.asked[0].body)["preconditions"] == {"uid": "the-uid"}

    def test_access_reviews(self, tmp_path: Path) -> None:
        def answer(asked: Asked) -> Reply:
            wanted = json.loads(asked.body)["spec"]["resourceAttributes"]
            return Reply(201, {"status": {"allowed": wanted["verb"] == "get"}})

        with stub(answer) as it:
            verdicts = cluster(tmp_path, server=it.url).allowed(
                [
                    Access("get", NAMESPACE, name="datakit"),
                    Access("create", POD, "datakit", subresource="exec"),
                    Access("get", DAEMON_SET, "datakit", "datakit"),
                ]
            )
            assert verdicts == [True, False, True]
            asked = [json.loads(each.body)["spec"]["resourceAttributes"] for each in it.asked]
            assert asked == [
                {"verb": "get", "resource": "namespaces", "namespace": "datakit", "name": "datakit"},
                {"verb": "create", "resource": "pods", "subresource": "exec", "namespace": "datakit"},
                {"verb": "get", "group": "apps", "resource": "daemonsets", "namespace": "datakit", "name": "datakit"},
            ]

    def test_names_are_quoted(self, tmp_path: Path) -> None:
        with stub(lambda _asked: Reply(404, STATUS | {"message": "no"})) as it:
            with pytest.raises(NotFoundError):
                cluster(tmp_path, server=it.url).get(CONFIG_MAP, "a/b", "c?d=e")
            assert it.asked[0].path == "/api/v1/namespaces/a%2Fb/configmaps/c%3Fd%3De"

    def test_impersonation_with_several_groups(self, tmp_path: Path) -> None:
        user = {
            "token": "t",
            "as": "jane",
            "as-uid": "7",
            "as-groups": ["a", "b"],
            "as-user-extra": {"x/y": ["1", "2"]},
        }
        with stub(ok) as it:
            target = cluster(tmp_path, server=it.url, user=user)
            assert target.version() == "v1.36.2"
            (asked,) = it.asked
            assert asked.header("impersonate-user") == ["jane"]
            assert asked.header("impersonate-uid") == ["7"]
            assert asked.header("impersonate-group") == ["a", "b"]
            assert asked.header("impersonate-extra-x%2fy") == ["1", "2"]
            with pytest.raises(RefusedError, match="impersonating"):
                target.exec("a", "b", "c", ["ls"])
            assert len(it.asked) == 1

    def test_a_path_in_the_server_is_kept(self, tmp_path: Path) -> None:
        with stub(ok) as it:
            cluster(tmp_path, server=f"{it.url}/k8s/clusters/c-1/").version()
            assert it.asked[0].path == "/k8s/clusters/c-1/version"

    def test_basic_auth(self, tmp_path: Path) -> None:
        with stub(ok) as it:
            cluster(tmp_path, server=it.url, user={"username": "me", "password": "pw"}).version()
            assert it.asked[0].header("authorization") == ["Basic " + base64.b64encode(b"me:pw").decode()]


class TestLists:
    def test_pages(self, tmp_path: Path) -> None:
        def answer(asked: Asked) -> Reply:
            more = "continue=" not in asked.path
            items = [{"metadata": {"name": "a" if more else "b"}}]
            return Reply(body={"items": items, "metadata": {"continue": "n/e=xt"} if more else {}})

        with stub(answer) as it:
            found = cluster(tmp_path, server=it.url).list(POD, "ns", labels="app=x", fields="spec.nodeName=n")
            assert [(each["kind"], each["apiVersion"], each["metadata"]["name"]) for each in found] == [
                ("Pod", "v1", "a"),
                ("Pod", "v1", "b"),
            ]
            assert it.asked[1].path == (
                "/api/v1/namespaces/ns/pods?labelSelector=app%3Dx&fieldSelector=spec.nodeName%3Dn&limit=500"
                "&continue=n/e%3Dxt"
            )

    def test_an_expired_page_starts_the_list_again(self, tmp_path: Path) -> None:
        answers = iter(
            [
                Reply(body={"items": [{"metadata": {"name": "old"}}], "metadata": {"continue": "t"}}),
                Reply(410, STATUS | {"reason": "Expired", "message": "too old"}),
                Reply(body={"items": None, "metadata": {}}),
            ]
        )
        with stub(lambda _asked: next(answers)) as it:
            assert cluster(tmp_path, server=it.url).list(POD) == []
            assert it.asked[0].path == "/api/v1/pods?limit=500"

    def test_one_that_expires_each_time_is_told(self, tmp_path: Path) -> None:
        with stub(lambda _asked: Reply(410, STATUS | {"reason": "Expired"})) as it:
            with pytest.raises(StaleError):
                cluster(tmp_path, server=it.url).list(POD)
            assert len(it.asked) == 3


class TestCredentials:
    def test_a_refused_plugin_credential_is_renewed_once(self, tmp_path: Path) -> None:
        script = tmp_path / "login"
        script.write_text(
            f"#!{sys.executable}\nimport json, os\n"
            f"open({str(tmp_path / 'n')!r}, 'a').write('x')\n"
            f"n = os.path.getsize({str(tmp_path / 'n')!r})\n"
            "print(json.dumps({'kind': 'ExecCredential', 'apiVersion': 'client.authentication.k8s.io/v1',"
            " 'status': {'token': f'token-{n}'}}))\n"
        )
        script.chmod(0o700)
        plugin = {"command": str(script), "apiVersion": "client.authentication.k8s.io/v1"}

        def answer(asked: Asked) -> Reply:
            good = asked.header("authorization") == ["Bearer token-2"]
            return Reply(body={"gitVersion": "v1"}) if good else Reply(401, STATUS | {"message": "Unauthorized"})

        with stub(answer) as it:
            target = cluster(tmp_path, server=it.url, user={"exec": plugin})
            assert not (tmp_path / "n").exists()
            assert target.version() == "v1"
            assert [each.header("authorization") for each in it.asked] == [["Bearer token-1"], ["Bearer token-2"]]
        with stub(lambda _asked: Reply(401, STATUS | {"message": "Unauthorized"})) as it:
            with pytest.raises(UnreachableError, match="does not accept the credentials"):
                cluster(tmp_path, server=it.url, user={"exec": plugin}).version()
            assert len(it.asked) == 2

    def test_a_rotated_token_file_is_read_again_after_a_401(self, tmp_path: Path) -> None:
        token = tmp_path / "token"
        token.write_text("old\n")

        def answer(asked: Asked) -> Reply:
            if asked.header("authorization") == ["Bearer new"]:
                return Reply(body={"gitVersion": "v1"})
            token.write_text("new\n")
            return Reply(401, STATUS | {"message": "Unauthorized"})

        with stub(answer) as it:
            assert cluster(tmp_path, server=it.url, user={"tokenFile": "token"}).version() == "v1"

    def test_a_missing_token_file(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="token file"):
            cluster(tmp_path, server="http://127.0.0.1:1", user={"tokenFile": "nope"}).version()

    def test_a_failing_plugin_is_never_anonymous(self, tmp_path: Path) -> None:
        plugin = {"command": "/bin/false", "apiVersion": "client.authentication.k8s.io/v1"}
        with stub(ok) as it:
            with pytest.raises(UnreachableError, match="gave no credentials"):
                cluster(tmp_path, server=it.url, user={"exec": plugin}).version()
            assert it.asked == []


class TestTls:
    def user(self, authority: Authority, name: str = "admin") -> dict[str, str]:
        pair = authority.issue(name)
        return {"client-certificate-data": data(pair.cert), "client-key-data": data(pair.key)}

    def test_a_client_certificate_without_a_file_left_behind(
        self, tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(scratch))
        server = authority.issue("api", names=["127.0.0.1"], server=True)
        with stub(ok, context_of(server, tmp_path, authority)) as it:
            cluster_part = {"certificate-authority-data": data(authority.pem)}
            target = cluster(tmp_path, server=it.url, cluster=cluster_part, user=self.user(authority))
            assert target.version() == "v1.36.2"
            assert list(scratch.iterdir()) == []

    def test_another_authority(self, tmp_path: Path, authority: Authority) -> None:
        server = Authority("other").issue("api", names=["127.0.0.1"], server=True)
        with stub(ok, context_of(server, tmp_path)) as it:
            part = {"certificate-authority-data": data(authority.pem)}
            with pytest.raises(UnreachableError, match="not signed by the authority"):
                cluster(tmp_path, server=it.url, cluster=part).version()
            assert it.asked == []

    def test_another_name(self, tmp_path: Path, authority: Authority) -> None:
        server = authority.issue("api", names=["api.internal"], server=True)
        with stub(ok, context_of(server, tmp_path)) as it:
            part = {"certificate-authority-data": data(authority.pem)}
            with pytest.raises(UnreachableError, match="for another name"):
                cluster(tmp_path, server=it.url, cluster=part).version()
            part["tls-server-name"] = "api.internal"
            assert cluster(tmp_path, server=it.url, cluster=part).version() == "v1.36.2"

    def test_out_of_date(self, tmp_path: Path, authority: Authority) -> None:
        expired = datetime.now(UTC) - timedelta(days=2)
        server = authority.issue("api", names=["127.0.0.1"], server=True, not_after=expired)
        with stub(ok, context_of(server, tmp_path)) as it:
            part = {"certificate-authority-data": data(authority.pem)}
            with pytest.raises(UnreachableError, match="out of date"):
                cluster(tmp_path, server=it.url, cluster=part).version()

    def test_insecure_is_honoured_in_silence(
        self, tmp_path: Path, authority: Authority, recwarn: pytest.WarningsRecorder
    ) -> None:
        server = authority.issue("api", names=["elsewhere"], server=True)
        with stub(ok, context_of(server, tmp_path)) as it:
            part = {"insecure-skip-tls-verify": True}
            assert cluster(tmp_path, server=it.url, cluster=part).version() == "v1.36.2"
        assert [str(each.message) for each in recwarn if "Insecure" in type(each.message).__name__] == []

    def test_a_key_of_another_certificate(self, tmp_path: Path, authority: Authority) -> None:
        user = self.user(authority) | {"client-key-data": data(authority.issue("other").key)}
        with pytest.raises(UsageError, match="do not belong together"):
            cluster(tmp_path, user=user).version()

    def test_an_authority_that_is_no_certificate(self, tmp_path: Path) -> None:
        part = {"certificate-authority-data": data(b"hello")}
        with pytest.raises(UsageError, match="not PEM"):
            cluster(tmp_path, cluster=part).version()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


class TestBrokenConnections:
    def test_a_dead_server(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        with pytest.raises(UnreachableError, match="No connection") as caught:
            cluster(tmp_path, server=f"http://127.0.0.1:{port}").version()
        assert "refused" in caught.value.why
        assert caught.value.object == f"http://127.0.0.1:{port}"

    def test_a_name_that_does_not_resolve(self, tmp_path: Path) -> None:
        with pytest.raises(UnreachableError, match=r"cannot be resolved: no-such-host\.invalid"):
            cluster(tmp_path, server="https://no-such-host.invalid:6443").version()

    def test_a_server_that_does_not_answer(
        self, tmp_path: Path, silent_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(gateway, "_TIMEOUT_S", (5, 0.2))
        target = cluster(tmp_path, server=f"http://127.0.0.1:{silent_port}")
        with pytest.raises(UnreachableError, match="did not answer in time"):
            target.version()
        with pytest.raises(UnreachableError):
            target.apply(CONFIG_MAP, "a", "b", {}, manager="m", dry_run=True)
        for write in (
            lambda: target.apply(CONFIG_MAP, "a", "b", {}, manager="m", dry_run=False),
            lambda: target.patch(CONFIG_MAP, "a", "b", {}, manager="m", dry_run=False),
            lambda: target.delete(CONFIG_MAP, "a", "b", uid="u"),
        ):
            with pytest.raises(DeadlineError, match="outcome is unknown") as caught:
                write()
            assert caught.value.object == "configmaps a/b"

    def test_a_write_is_sent_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gateway, "_TIMEOUT_S", (5, 0.2))
        with stub(lambda _asked: None) as it:
            with pytest.raises(DeadlineError):
                cluster(tmp_path, server=it.url).apply(CONFIG_MAP, "a", "b", {}, manager="m", dry_run=False)
            assert len(it.asked) == 1

    def test_a_read_survives_a_connection_that_died(self, tmp_path: Path) -> None:
        """A kept-alive connection that the server closes just as the next request is sent."""
        server = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            first, _address = server.accept()
            first.recv(65536)
            first.close()
            second, _address = server.accept()
            second.recv(65536)
            body = b'{"gitVersion": "v1"}'
            second.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            second.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with server:
            assert cluster(tmp_path, server=f"http://127.0.0.1:{server.getsockname()[1]}").version() == "v1"
            thread.join(5)

    def test_https_where_the_server_speaks_http(self, tmp_path: Path) -> None:
        with stub(ok) as it, pytest.raises(UnreachableError, match="No TLS connection"):
            cluster(tmp_path, server=it.url.replace("http:", "https:")).version()

    def test_http_where_the_server_speaks_https(self, tmp_path: Path) -> None:
        text = b"Client sent an HTTP request to an HTTPS server.\n"
        with (
            stub(lambda _asked: Reply(400, text)) as it,
            pytest.raises(UnreachableError, match="speaks HTTPS"),
        ):
            cluster(tmp_path, server=it.url).version()

    @pytest.mark.parametrize("text", [b"<html>hotel wifi</html>", b"", b"[]", b"null"])
    def test_a_captive_portal(self, tmp_path: Path, text: bytes) -> None:
        with (
            stub(lambda _asked: Reply(200, text)) as it,
            pytest.raises(UnreachableError, match="not a Kubernetes API server"),
        ):
            cluster(tmp_path, server=it.url).version()

    def test_a_proxy_is_used_and_named_when_it_fails(self, tmp_path: Path) -> None:
        with stub(lambda _asked: Reply(407, b"who are you")) as it:
            proxy = it.url.replace("//", "//me:s3cr3t@")
            with pytest.raises(UnreachableError, match="The proxy") as caught:
                cluster(tmp_path, server="https://10.255.255.1:6443", cluster={"proxy-url": proxy}).version()
            assert it.asked[0].method == "CONNECT"
            assert it.asked[0].header("proxy-authorization") == ["Basic " + base64.b64encode(b"me:s3cr3t").decode()]
            assert it.url.removeprefix("http://") in caught.value.what
            assert "s3cr3t" not in str(caught.value)

    def test_no_proxy_of_the_environment_is_heeded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
        with stub(ok) as it:
            assert cluster(tmp_path, server=it.url).version() == "v1.36.2"

    def test_a_busy_server_is_asked_again(self, tmp_path: Path) -> None:
        answers = iter([Reply(429, STATUS, [("Retry-After", "0")]), Reply(503, STATUS), ok])

        def answer(asked: Asked) -> Reply:
            reply = next(answers)
            return reply if isinstance(reply, Reply) else reply(asked)

        with stub(answer) as it:
            assert cluster(tmp_path, server=it.url).version() == "v1.36.2"
        with stub(lambda _asked: Reply(503, STATUS | {"message": "starting"}, [("Retry-After", "0")])) as it:
            with pytest.raises(UnreachableError, match="HTTP 503"):
                cluster(tmp_path, server=it.url).version()
            assert len(it.asked) == 3


def test_a_server_may_not_keep_us_waiting_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "_MOST_RETRY_AFTER_S", 0.01)
    answers = iter([Reply(429, STATUS, [("Retry-After", "3600")]), Reply(body={"gitVersion": "v1"})])
    with stub(lambda _asked: next(answers)) as it:
        assert cluster(tmp_path, server=it.url).version() == "v1"


def test_many_threads_share_one_cluster(tmp_path: Path) -> None:
    found: list[str] = []
    with stub(ok) as it:
        target = cluster(tmp_path, server=it.url)
        threads = [threading.Thread(target=lambda: found.append(target.version())) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert found == ["v1.36.2"] * 16
        assert {each.header("authorization")[0] for each in it.asked} == {"Bearer t0ken"}


def test_the_token_is_in_no_error(tmp_path: Path) -> None:
    with (
        stub(lambda _asked: Reply(500, STATUS | {"message": "boom"})) as it,
        pytest.raises(UnreachableError) as caught,
    ):
        cluster(tmp_path, server=it.url, user={"token": "s3cr3t"}).version()
    assert "s3cr3t" not in str(caught.value) + repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
