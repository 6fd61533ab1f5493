"""Which kubeconfig, which context, and what is wrong with it: kubectl's rules, and bad input."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from backend_stubs import write_kubeconfig

from tui.backend.endpoint import Impersonation
from tui.backend.kubeconfig import Kubeconfig
from tui.core.errors import Exit, UsageError


def pair(name: str, server: str = "https://127.0.0.1:1", **user: Any) -> dict[str, Any]:
    return {
        "clusters": [{"name": f"c-{name}", "cluster": {"server": server}}],
        "users": [{"name": f"u-{name}", "user": user or {"token": f"token-of-{name}"}}],
        "contexts": [{"name": name, "context": {"cluster": f"c-{name}", "user": f"u-{name}"}}],
        "current-context": name,
    }


def write(path: Path, document: Any) -> Path:
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return path


def refusal(kubeconfig: Kubeconfig) -> UsageError:
    with pytest.raises(UsageError) as caught:
        kubeconfig.contexts()
    assert caught.value.status == Exit.USAGE
    return caught.value


def problem(tmp_path: Path, **parts: Any) -> str:
    """What the context list says of a context, which connect must then refuse with the same words."""
    path = write_kubeconfig(tmp_path / "config", **parts)
    (context,) = Kubeconfig(str(path)).contexts()
    with pytest.raises(UsageError) as caught:
        Kubeconfig(str(path)).connect("")
    assert caught.value.what in context.problem
    return context.problem


class TestWhichFile:
    def test_the_flag_wins_over_the_environment_and_home(self, tmp_path: Path) -> None:
        flag = write(tmp_path / "flag", pair("flag"))
        listed = write(tmp_path / "listed", pair("listed"))
        (tmp_path / ".kube").mkdir()
        write(tmp_path / ".kube" / "config", pair("home"))
        environ = {"KUBECONFIG": str(listed), "HOME": str(tmp_path)}
        assert [c.name for c in Kubeconfig(str(flag), environ).contexts()] == ["flag"]
        assert [c.name for c in Kubeconfig("", environ).contexts()] == ["listed"]
        assert [c.name for c in Kubeconfig("", {"HOME": str(tmp_path)}).contexts()] == ["home"]
        assert [c.name for c in Kubeconfig("", {"KUBECONFIG": "", "HOME": str(tmp_path)}).contexts()] == ["home"]

    def test_of_several_files_the_first_wins(self, tmp_path: Path) -> None:
        first, second = pair("one"), pair("two")
        second["users"].append({"name": "u-one", "user": {"token": "of-the-second-file"}})
        second["contexts"].append({"name": "one", "context": {"cluster": "c-two", "user": "u-two"}})
        listed = [write(tmp_path / "a", first), write(tmp_path / "b", second)]
        kubeconfig = Kubeconfig("", {"KUBECONFIG": os.pathsep.join(map(str, listed))})
        assert [(c.name, c.cluster, c.current) for c in kubeconfig.contexts()] == [
            ("one", "c-one", True),
            ("two", "c-two", False),
        ]
        assert kubeconfig.resolve("one").token == "token-of-one"
        assert kubeconfig.resolve("").context == "one"

    def test_an_entry_may_come_from_another_file(self, tmp_path: Path) -> None:
        document = pair("one")
        users = {"users": document.pop("users")}
        listed = [write(tmp_path / "a", document), write(tmp_path / "b", users)]
        environ = {"KUBECONFIG": os.pathsep.join(map(str, listed))}
        assert Kubeconfig("", environ).resolve("one").token == "token-of-one"

    def test_missing_and_empty_files_of_the_list_are_skipped(self, tmp_path: Path) -> None:
        listed = [tmp_path / "missing", write(tmp_path / "empty", ""), write(tmp_path / "c", pair("c"))]
        listed.append(write(tmp_path / "comment", "# nothing\n"))
        environ = {"KUBECONFIG": os.pathsep.join(["", *map(str, listed), ""])}
        assert [c.name for c in Kubeconfig("", environ).contexts()] == ["c"]

    def test_the_files_are_never_written(self, tmp_path: Path) -> None:
        path = write(tmp_path / "config", pair("one"))
        path.chmod(0o400)
        before = (path.read_bytes(), path.stat().st_mtime_ns)
        kubeconfig = Kubeconfig(str(path))
        kubeconfig.contexts()
        kubeconfig.connect("one")
        assert (path.read_bytes(), path.stat().st_mtime_ns) == before
        assert os.listdir(tmp_path) == ["config"]

    def test_in_a_pod_the_service_account_serves(self, tmp_path: Path) -> None:
        account = tmp_path / "account"
        account.mkdir()
        for name, text in {"token": "abc", "ca.crt": "PEM", "namespace": "monitoring"}.items():
            (account / name).write_text(text)
        environ = {"HOME": str(tmp_path), "KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
        kubeconfig = Kubeconfig("", environ, account)
        (context,) = kubeconfig.contexts()
        assert (context.name, context.server, context.namespace, context.current) == (
            "in-cluster",
            "https://[fd00::1]:6443",
            "monitoring",
            True,
        )
        assert kubeconfig.resolve("").token_file == str(account / "token")
        with pytest.raises(UsageError):
            kubeconfig.resolve("another")


class TestBadFiles:
    def test_missing(self, tmp_path: Path) -> None:
        error = refusal(Kubeconfig(str(tmp_path / "nope")))
        assert "does not exist" in error.what
        assert error.object == str(tmp_path / "nope")
        environ = {"KUBECONFIG": f"{tmp_path}/a{os.pathsep}{tmp_path}/b"}
        assert f"{tmp_path}/b" in refusal(Kubeconfig("", environ)).object

    @pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "{}"])
    def test_empty(self, tmp_path: Path, text: str) -> None:
        assert "is empty" in refusal(Kubeconfig(str(write(tmp_path / "config", text)))).what

    def test_no_contexts(self, tmp_path: Path) -> None:
        document = pair("one") | {"contexts": None}
        assert "no contexts" in refusal(Kubeconfig(str(write(tmp_path / "config", document)))).what

    def test_not_yaml_names_the_line_and_shows_no_secret(self, tmp_path: Path) -> None:
        text = 'users:\n- name: u\n  user:\n    token: "s3cr3t-t0ken\n    other: x\n'
        error = refusal(Kubeconfig(str(write(tmp_path / "config", text))))
        assert "not YAML" in error.what
        assert error.object.startswith(f"{tmp_path}/config:")
        assert int(error.object.split(":")[1]) >= 4
        assert "s3cr3t" not in str(error)

    @pytest.mark.parametrize("content", [b"\x00\x01\x02", b"\xff\xfe\x00k", b"token: \xe9\xe9"])
    def test_binary(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "config").write_bytes(content)
        assert "not YAML" in refusal(Kubeconfig(str(tmp_path / "config"))).what

    @pytest.mark.parametrize("text", ["[]", "just words", "42", "contexts: 3", "clusters: {a: b}", "users: [1]"])
    def test_of_another_shape(self, tmp_path: Path, text: str) -> None:
        assert refusal(Kubeconfig(str(write(tmp_path / "config", text)))).object.startswith(f"{tmp_path}/config")

    def test_a_directory(self, tmp_path: Path) -> None:
        error = refusal(Kubeconfig(str(tmp_path)))
        assert "cannot be read" in error.what
        assert "directory" in error.why

    def test_a_name_twice(self, tmp_path: Path) -> None:
        document = pair("one")
        document["users"] *= 2
        assert "twice" in refusal(Kubeconfig(str(write(tmp_path / "config", document)))).what


class TestContexts:
    def test_no_current_context_lists_them_and_asks(self, tmp_path: Path) -> None:
        kubeconfig = Kubeconfig(str(write_kubeconfig(tmp_path / "config", current="")))
        assert [c.current for c in kubeconfig.contexts()] == [False]
        with pytest.raises(UsageError, match="no current context") as caught:
            kubeconfig.connect("")
        assert "ctx" in caught.value.remedy

    def test_an_unknown_context(self, tmp_path: Path) -> None:
        kubeconfig = Kubeconfig(str(write_kubeconfig(tmp_path / "config")))
        with pytest.raises(UsageError, match="no context other") as caught:
            kubeconfig.connect("other")
        assert "ctx" in caught.value.remedy

    def test_what_can_be_known_without_the_network(self, tmp_path: Path) -> None:
        path = write_kubeconfig(tmp_path / "config", server="https://me:pw@10.0.0.1:6443/", namespace="datakit")
        (context,) = Kubeconfig(str(path)).contexts()
        assert context.server == "https://10.0.0.1:6443/"
        assert (context.cluster, context.user, context.namespace) == ("the-cluster", "the-user", "datakit")
        assert context.problem == ""

    @pytest.mark.parametrize("section", ["clusters", "users"])
    def test_a_context_that_names_something_unknown(self, tmp_path: Path, section: str) -> None:
        document = pair("one") | {section: []}
        kubeconfig = Kubeconfig(str(write(tmp_path / "config", document)))
        (context,) = kubeconfig.contexts()
        assert f"unknown {section[:-1]}" in context.problem
        with pytest.raises(UsageError, match=f"unknown {section[:-1]}"):
            kubeconfig.connect("one")

    @pytest.mark.parametrize("server", ["", "10.0.0.1:6443", "ftp://x", "https://", "tcp://1.2.3.4:2375"])
    def test_a_server_that_is_no_url(self, tmp_path: Path, server: str) -> None:
        assert "not an http or https URL" in problem(tmp_path, server=server)

    def test_auth_provider_is_refused_with_advice(self, tmp_path: Path) -> None:
        user = {"auth-provider": {"name": "oidc", "config": {"id-token": "s3cr3t"}}}
        path = write_kubeconfig(tmp_path / "config", user=user)
        with pytest.raises(UsageError, match="auth-provider oidc") as caught:
            Kubeconfig(str(path)).connect("")
        assert "exec credential plugin" in caught.value.remedy
        assert "s3cr3t" not in str(caught.value)

    def test_no_credentials_is_not_anonymous(self, tmp_path: Path) -> None:
        assert "has no credentials" in problem(tmp_path, user={})

    def test_plain_http_needs_no_credentials(self, tmp_path: Path) -> None:
        path = write_kubeconfig(tmp_path / "config", server="http://127.0.0.1:8001", user={})
        assert Kubeconfig(str(path)).contexts()[0].problem == ""

    def test_a_certificate_without_key(self, tmp_path: Path) -> None:
        data = base64.b64encode(b"PEM").decode()
        assert "not both" in problem(tmp_path, user={"client-certificate-data": data})

    def test_two_ways_to_trust(self, tmp_path: Path) -> None:
        cluster = {
            "certificate-authority-data": base64.b64encode(b"PEM").decode(),
            "insecure-skip-tls-verify": True,
        }
        assert "insecure-skip-tls-verify" in problem(tmp_path, cluster=cluster)

    def test_socks(self, tmp_path: Path) -> None:
        assert "SOCKS" in problem(tmp_path, cluster={"proxy-url": "socks5://127.0.0.1:1080"})

    def test_an_old_plugin_version(self, tmp_path: Path) -> None:
        plugin = {"command": "aws", "apiVersion": "client.authentication.k8s.io/v1alpha1"}
        assert "v1alpha1" in problem(tmp_path, user={"exec": plugin})

    def test_a_plugin_that_always_needs_a_terminal(self, tmp_path: Path) -> None:
        plugin = {"command": "login", "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Always"}
        path = write_kubeconfig(tmp_path / "config", user={"exec": plugin}, context="a b")
        with pytest.raises(UsageError, match="needs a terminal") as caught:
            Kubeconfig(str(path)).connect("")
        assert "Run it once before" in caught.value.remedy
        assert caught.value.command == "kubectl --context 'a b' auth whoami"
        (context,) = Kubeconfig(str(path)).contexts()
        assert (context.login, context.problem) == ("login", "")


class TestWhatIsResolved:
    def test_paths_are_relative_to_their_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = tmp_path / "deep"
        folder.mkdir()
        for name in ("ca.crt", "me.crt", "me.key"):
            (folder / name).write_text(f"PEM of {name}")
        path = write_kubeconfig(
            folder / "config",
            cluster={"certificate-authority": "ca.crt"},
            user={
                "client-certificate": "me.crt",
                "client-key": str(folder / "me.key"),
                "tokenFile": "token",
                "exec": {"command": "./bin/login", "apiVersion": "client.authentication.k8s.io/v1"},
            },
        )
        monkeypatch.chdir(tmp_path)
        endpoint = Kubeconfig(str(path)).resolve("")
        assert (endpoint.ca, endpoint.cert, endpoint.key) == ("PEM of ca.crt", "PEM of me.crt", "PEM of me.key")
        assert endpoint.token_file == str(folder / "token")

    def test_a_plugin_with_a_path_is_relative_to_the_file(self, tmp_path: Path) -> None:
        def command(text: str) -> str:
            plugin = {"command": text, "apiVersion": "client.authentication.k8s.io/v1beta1"}
            endpoint = Kubeconfig(str(write_kubeconfig(tmp_path / "config", user={"exec": plugin}))).resolve("")
            assert endpoint.plugin is not None
            return endpoint.plugin.command

        assert command("bin/login") == str(tmp_path / "bin" / "login")
        assert command("login") == "login"
        assert command("/usr/bin/login") == "/usr/bin/login"

    def test_inline_data_wins_over_files(self, tmp_path: Path) -> None:
        encode: Callable[[bytes], str] = lambda text: base64.b64encode(text).decode()  # noqa: E731
        cluster = {"certificate-authority": "missing", "certificate-authority-data": encode(b"inline ca")}
        user = {"client-certificate-data": encode(b"inline cert"), "client-key-data": encode(b"inline key")}
        endpoint = Kubeconfig(str(write_kubeconfig(tmp_path / "config", cluster=cluster, user=user))).resolve("")
        assert (endpoint.ca, endpoint.cert, endpoint.key) == ("inline ca", "inline cert", "inline key")

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        assert f"{tmp_path}/no.crt" in problem(tmp_path, cluster={"certificate-authority": "no.crt"})

    def test_data_that_is_not_base64(self, tmp_path: Path) -> None:
        assert "base64" in problem(tmp_path, cluster={"certificate-authority-data": "%%%"})
        assert "base64" in problem(tmp_path, cluster={"certificate-authority-data": base64.b64encode(b"\xff").decode()})

    def test_impersonation_is_carried(self, tmp_path: Path) -> None:
        user = {"token": "t", "as": "jane", "as-uid": "7", "as-groups": ["a", "b"], "as-user-extra": {"k": ["v"]}}
        endpoint = Kubeconfig(str(write_kubeconfig(tmp_path / "config", user=user))).resolve("")
        assert endpoint.impersonate == Impersonation("jane", "7", ("a", "b"), (("k", "v"),))

    def test_groups_without_a_user_are_refused(self, tmp_path: Path) -> None:
        assert "impersonates groups" in problem(tmp_path, user={"token": "t", "as-groups": ["system:masters"]})

    def test_secrets_are_in_no_repr(self, tmp_path: Path) -> None:
        secret = base64.b64encode(b"s3cr3t").decode()
        user = {"client-certificate-data": secret, "client-key-data": secret, "token": "s3cr3t"}
        user |= {"username": "me", "password": "s3cr3t"}
        endpoint = Kubeconfig(str(write_kubeconfig(tmp_path / "config", user=user))).resolve("")
        assert endpoint.token == "s3cr3t"
        assert "s3cr3t" not in repr(endpoint)

    @pytest.mark.parametrize(
        ("server", "value", "scale"),
        [
            ("https://127.0.0.1:1", 30, 30.0),
            ("https://localhost:1", 1.5, 1.5),
            ("https://[::1]:1", 30, 30.0),
            ("https://10.0.0.1:1", 30, 1.0),
            ("https://example.com", 30, 1.0),
            ("https://127.0.0.1:1", "fast", 1.0),
            ("https://127.0.0.1:1", -1, 1.0),
        ],
    )
    def test_time_is_scaled_for_a_lab_on_loopback_alone(
        self, tmp_path: Path, server: str, value: Any, scale: float
    ) -> None:
        cluster = {"extensions": [{"name": "datakit-wizard/lab", "extension": {"timeScale": value}}]}
        kubeconfig = Kubeconfig(str(write_kubeconfig(tmp_path / "config", server=server, cluster=cluster)))
        assert kubeconfig.contexts()[0].time_scale == scale
        assert kubeconfig.connect("").time_scale == scale
