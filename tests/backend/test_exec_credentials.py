"""Exec credential plugins: run without a terminal, and their failure is an error."""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

from tui.backend.exec_credentials import ExecCredentials, ExecPlugin, log_in, logged_in, redact, run_plugin
from tui.core.errors import UnreachableError, UsageError

ANSWER = {"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": {"token": "t0ken"}}


def plugin(tmp_path: Path, code: str, **parts: object) -> ExecPlugin:
    """A plugin that is a Python script; `count` holds a byte for each of its runs."""
    path = tmp_path / "my-login"
    count = tmp_path / "count"
    path.write_text(f"#!{sys.executable}\nimport json, os, sys\nopen({str(count)!r}, 'a').write('x')\n{code}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return ExecPlugin(command=str(path), context="ctx", **parts)  # type: ignore[arg-type]


def runs(tmp_path: Path) -> int:
    return len((tmp_path / "count").read_text())


def printing(**changes: object) -> str:
    return f"print({json.dumps(json.dumps(ANSWER | changes))})"


def failure(given: ExecPlugin, timeout_s: float = 20) -> UnreachableError:
    with pytest.raises(UnreachableError) as caught:
        run_plugin(given, timeout_s)
    assert "my-login gave no credentials" in caught.value.what
    return caught.value


def test_a_token(tmp_path: Path) -> None:
    credential = run_plugin(plugin(tmp_path, printing()))
    assert (credential.token, credential.cert, credential.expires_s) == ("t0ken", "", 0.0)
    assert "t0ken" not in repr(credential)


def test_a_client_certificate(tmp_path: Path) -> None:
    status = {"clientCertificateData": "CERT", "clientKeyData": "KEY"}
    credential = run_plugin(plugin(tmp_path, printing(status=status)))
    assert (credential.token, credential.cert, credential.key) == ("", "CERT", "KEY")


def test_what_the_plugin_is_told(tmp_path: Path) -> None:
    code = f"""
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
told = {{"info": info, "argv": sys.argv[1:], "FOO": os.environ["FOO"], "stdin": sys.stdin.read(),
        "tty": [os.isatty(fd) for fd in (0, 1, 2)], "session": os.getsid(0) == os.getpid()}}
try:
    os.open("/dev/tty", os.O_RDWR)
    told["dev_tty"] = True
except OSError:
    told["dev_tty"] = False
open({str(tmp_path / "told")!r}, "w").write(json.dumps(told))
{printing()}"""
    given = plugin(tmp_path, code, args=("get-token", "a b"), env=(("FOO", "bar"),), cluster={"server": "https://x"})
    run_plugin(given)
    told = json.loads((tmp_path / "told").read_text())
    assert told["info"] == {
        "kind": "ExecCredential",
        "apiVersion": "client.authentication.k8s.io/v1",
        "spec": {"interactive": False, "cluster": {"server": "https://x"}},
    }
    assert told["argv"] == ["get-token", "a b"]
    assert told["FOO"] == "bar"
    assert told["stdin"] == ""
    assert told["tty"] == [False, False, False]
    assert told["dev_tty"] is False
    assert told["session"] is True


def test_a_failing_plugin_is_an_error_with_its_words(tmp_path: Path) -> None:
    code = "print('Please log in: password=hunter2 Bearer abc.def', file=sys.stderr); sys.exit(3)"
    error = failure(plugin(tmp_path, code))
    assert "status 3: Please log in" in error.why
    assert "hunter2" not in str(error)
    assert "abc.def" not in str(error)
    assert "run it once in a terminal" in error.remedy


def test_a_plugin_that_prompts_gets_no_terminal_and_says_so(tmp_path: Path) -> None:
    error = failure(plugin(tmp_path, "input('Password: ')"))
    assert "EOFError" in error.why


def test_a_plugin_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    code = f"""
import subprocess, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open({str(tmp_path / "pids")!r}, "w").write(f"{{os.getpid()}} {{child.pid}}")
time.sleep(60)"""
    given = plugin(tmp_path, code)
    started = time.monotonic()
    error = failure(given, timeout_s=3)
    assert "within 3 s" in error.why
    assert time.monotonic() - started < 20
    end = time.monotonic() + 10
    for pid in map(int, (tmp_path / "pids").read_text().split()):
        while _runs(pid):
            assert time.monotonic() < end, f"{pid} is still there"


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return not Path("/proc/self").exists()
    return state != "Z"


def test_a_missing_program_shows_the_hint(tmp_path: Path) -> None:
    given = ExecPlugin(command=str(tmp_path / "my-login"), context="ctx", install_hint="Install it from the shop.\n")
    error = failure(given)
    assert "cannot be started" in error.why
    assert error.remedy == "Install it from the shop."


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("", "not JSON"),
        ("print('hello')", "not JSON"),
        ("print('[]')", "not an ExecCredential"),
        (printing(kind="Pod"), "not an ExecCredential"),
        (printing(apiVersion="client.authentication.k8s.io/v1beta1"), "v1beta1"),
        (printing(status={}), "neither a token nor a certificate"),
        (printing(status=None), "neither a token nor a certificate"),
        (printing(status={"clientCertificateData": "C"}), "not both"),
        (printing(status={"token": "t", "expirationTimestamp": "soon"}), "no time"),
        (printing(status={"token": "t", "expirationTimestamp": 7}), "no time"),
    ],
)
def test_an_answer_that_is_no_credential(tmp_path: Path, code: str, why: str) -> None:
    assert why in failure(plugin(tmp_path, code)).why


def test_always_interactive_is_refused_without_running(tmp_path: Path) -> None:
    given = plugin(tmp_path, printing(), interactive_mode="Always")
    with pytest.raises(UsageError, match="needs a terminal"):
        run_plugin(given)
    assert not (tmp_path / "count").exists()


def test_a_login_in_the_terminal_is_kept_for_every_client(tmp_path: Path) -> None:
    given = plugin(tmp_path, printing(), interactive_mode="Always")
    assert logged_in(given) is None
    log_in(given)
    assert runs(tmp_path) == 1
    credentials = ExecCredentials(given)
    assert credentials.get().token == ExecCredentials(given).get().token == "t0ken"
    assert runs(tmp_path) == 1
    credentials.drop(credentials.get())  # the API server refused it: somebody has to log in again
    with pytest.raises(UsageError, match="needs a terminal"):
        ExecCredentials(given).get()


def test_a_login_that_expired_is_asked_for_again(tmp_path: Path) -> None:
    status = {"token": "t", "expirationTimestamp": "2001-01-01T00:00:00Z"}
    given = plugin(tmp_path, printing(status=status), interactive_mode="Always")
    log_in(given)
    with pytest.raises(UsageError, match="needs a terminal"):
        ExecCredentials(given).get()


@pytest.mark.parametrize(
    ("expires", "expected_runs"),
    [(None, 1), ("2999-01-01T00:00:00Z", 1), ("2999-01-01T00:00:00.123456789+08:00", 1), ("2001-01-01T00:00:00Z", 2)],
)
def test_a_credential_is_kept_until_it_expires(tmp_path: Path, expires: str | None, expected_runs: int) -> None:
    credentials = ExecCredentials(plugin(tmp_path, printing(status={"token": "t", "expirationTimestamp": expires})))
    assert credentials.get().token == "t"
    assert credentials.get().token == "t"
    assert runs(tmp_path) == expected_runs


def test_many_threads_run_the_plugin_once(tmp_path: Path) -> None:
    credentials = ExecCredentials(plugin(tmp_path, printing()))
    found = []
    threads = [threading.Thread(target=lambda: found.append(credentials.get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 8
    assert runs(tmp_path) == 1


def test_a_refused_credential_is_dropped_once(tmp_path: Path) -> None:
    credentials = ExecCredentials(plugin(tmp_path, printing()))
    refused = credentials.get()
    credentials.drop(refused)
    renewed = credentials.get()
    credentials.drop(refused)  # another thread comes late with the old one
    assert credentials.get() is renewed
    assert runs(tmp_path) == 2


@pytest.mark.parametrize(
    "text",
    [
        "token=s3cr3t",
        "id_token: s3cr3t",
        '"access_token": "s3cr3t"',
        "Authorization: Bearer s3cr3t",
        "got eyJhbGciOi.s3cr3t.sig",
        "-----BEGIN EC PRIVATE KEY-----\ns3cr3t\n-----END EC PRIVATE KEY-----",
        "https://openway.example.com?token=s3cr3t&x=1",
    ],
)
def test_what_is_redacted(text: str) -> None:
    assert "s3cr3t" not in redact(text)
    assert redact("nothing secret here") == "nothing secret here"
