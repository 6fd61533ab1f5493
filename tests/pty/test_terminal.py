"""The installed command in a real terminal of 80×24: its first frame, its silence, its size on the line, its end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminal_harness import DEADLINE_S, Terminal

COMMAND = str(Path(sys.executable).parent / "datakit-wizard")
# What the terminals of the issue say of themselves.
TERMINALS = {
    "xterm-256color": {"TERM": "xterm-256color", "LANG": "C.UTF-8"},
    "truecolor": {"TERM": "xterm-256color", "LANG": "C.UTF-8", "COLORTERM": "truecolor"},
    "linux": {"TERM": "linux", "LANG": "C.UTF-8"},
    "NO_COLOR": {"TERM": "xterm-256color", "LANG": "C.UTF-8", "NO_COLOR": "1"},
    "LC_ALL=C": {"TERM": "xterm-256color", "LC_ALL": "C", "LANG": "zh_CN.UTF-8"},
    "zh": {"TERM": "xterm-256color", "LANG": "zh_CN.UTF-8", "LC_ALL": "zh_CN.UTF-8"},
}
PLAIN = TERMINALS["xterm-256color"]
CTRL_C = "\x03"
# A second is the promise; the machine that runs the tests may be busy with two others of them.
MOST_LEAVING_S = 3.0
DOWN, UP = "\x1b[B", "\x1b[A"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder for everything that a run leaves on disk; no process of the run may outlive the test."""
    (tmp_path / "tmp").mkdir()
    yield tmp_path
    left = processes(tmp_path)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not left, "processes were left behind"


def environment(place: Path, terminal: dict[str, str]) -> dict[str, str]:
    fixed = {"PATH": os.environ["PATH"], "HOME": str(place / "home"), "TMPDIR": str(place / "tmp")}
    return {**fixed, "XDG_STATE_HOME": str(place / "state"), **terminal}


def processes(place: Path) -> list[int]:
    """The processes that run in this place: they carry its TMPDIR in their environment."""
    mark = f"TMPDIR={place / 'tmp'}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state = (folder / "stat").read_bytes().rpartition(b")")[2].split()[0]
            if state != b"Z" and mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def nothing_left(place: Path) -> None:
    """Wait until no process of the run is there, and assert that none of its files is."""
    deadline = time.monotonic() + DEADLINE_S
    while processes(place):
        assert time.monotonic() < deadline, f"still running: {processes(place)}"
        with contextlib.suppress(subprocess.TimeoutExpired):
            # A wait that ends by itself: nobody tells us when a process that is not our child ends.
            subprocess.run(["tail", f"--pid={processes(place)[0]}", "-f", "/dev/null"], timeout=1)
    assert list((place / "tmp").iterdir()) == []


def demo(place: Path, terminal: dict[str, str], *arguments: str, columns: int = 80, rows: int = 24) -> Terminal:
    return Terminal([COMMAND, "demo", *arguments], environment(place, terminal), columns=columns, rows=rows)


def leave(terminal: Terminal) -> int:
    """Ctrl-C, which asks, and Ctrl-C again."""
    terminal.type(CTRL_C)
    terminal.wait_for("^C", deadline_s=10)
    terminal.wait_quiet(0.3)
    assert terminal.process.poll() is None, "the first Ctrl-C only asks"
    terminal.type(CTRL_C)
    return terminal.wait_end()


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in ("truecolor", "linux"))) for name in TERMINALS],
)
def test_the_first_frame_and_the_end(place: Path, name: str) -> None:
    """In each terminal, from a folder with packages of our names in it."""
    for package in ("tui", "screens", "textual"):
        (place / "here" / package).mkdir(parents=True)
        (place / "here" / package / "__init__.py").write_text("raise SystemExit('not ours')")
    chinese = name == "zh"
    with Terminal([COMMAND, "demo"], environment(place, TERMINALS[name]), cwd=place / "here") as terminal:
        # pyte fills the second column of a wide character with an empty cell.
        first = ("集群", "工作空间") if chinese else ("DataKit Wizard", "practice lab", "Leave")
        terminal.wait_for(lambda text: all(word in text for word in first))
        shown = terminal.text()
        for word in ("Cluster", "Workspace", "etcd.conf", "Certificates", "Review", "ETCD", "Verify", "Done"):
            assert (word in shown) != (chinese and word not in ("etcd.conf", "ETCD")), word
        terminal.wait_for("就绪，用时" if chinese else "ready after")
        assert leave(terminal) == 130
        assert terminal.restored()
    nothing_left(place)
    said = bytes(terminal.output)
    if name in ("LC_ALL=C", "linux"):
        assert said.isascii()
    if name == "NO_COLOR":
        assert not colours(said)
    elif name != "truecolor":
        # Without a word of truecolor no colour of our own is sent: the person's palette fits their background.
        assert colours(said)
        assert not re.search(rb"\x1b\[[0-9;]*[34]8;[25];", said)


def colours(output: bytes) -> set[int]:
    """The parameters of SGR that set a colour."""
    numbers = (int(n or 0) for sent in re.findall(rb"\x1b\[([0-9;]*)m", output) for n in sent.split(b";"))
    return {n for n in numbers if n in (38, 48) or 30 <= n <= 37 or 40 <= n <= 47 or 90 <= n <= 107}


def test_ctrl_c_while_the_lab_starts(place: Path) -> None:
    with demo(place, PLAIN) as terminal:
        terminal.wait_for("Leave")
        assert leave(terminal) == 130
        assert terminal.restored()
    nothing_left(place)


def test_ctrl_c_can_be_taken_back(place: Path) -> None:
    with demo(place, PLAIN) as terminal:
        terminal.wait_for("ready after")
        before = terminal.text()
        terminal.type(CTRL_C)
        terminal.wait_for(lambda text: text != before and "^C" in text and "Esc" in text)
        terminal.type("\x1b")
        terminal.wait_for(lambda text: text == before)
        assert terminal.process.poll() is None
        assert leave(terminal) == 130


def test_a_closed_terminal_ends_all(place: Path) -> None:
    with demo(place, PLAIN) as terminal:
        terminal.wait_for("ready after")
        terminal.hang_up()
        nothing_left(place)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_end_by_signal_ends_all(place: Path, number: signal.Signals) -> None:
    with demo(place, PLAIN) as terminal:
        terminal.wait_for("ready after")
        terminal.process.send_signal(number)
        status = terminal.wait_end()
        if number == signal.SIGTERM:
            assert status == 143
            assert terminal.restored()
        nothing_left(place)


@pytest.mark.parametrize(
    ("size", "term"), [((80, 24), "dumb"), ((80, 24), ""), ((0, 0), "xterm-256color")], ids=["dumb", "none", "0x0"]
)
@pytest.mark.parametrize("verb", [[], ["demo"]], ids=["wizard", "demo"])
def test_a_terminal_that_cannot_draw(place: Path, size: tuple[int, int], term: str, verb: list[str]) -> None:
    environ = environment(place, {"TERM": term, "LANG": "C.UTF-8"})
    with Terminal([COMMAND, *verb], environ) as terminal:
        # The command starts slower than a size is set, so it sees this one.
        terminal.resize(*size) if size == (0, 0) else None
        assert terminal.wait_end() == 2
    told = bytes(terminal.output)
    assert b"\x1b" not in told
    assert told.count(b"\n") == 1
    assert told.startswith(b"datakit-wizard: ")
    nothing_left(place)


def test_a_terminal_below_80x24_is_told_so_until_it_grows(place: Path) -> None:
    with demo(place, PLAIN, columns=70, rows=20) as terminal:
        terminal.wait_for(lambda text: "80" in text and "24" in text)
        terminal.resize(100, 30)
        terminal.wait_for(lambda text: "DataKit Wizard" in text and "Cluster" in text)
        assert leave(terminal) == 130


def test_an_idle_wizard_says_nothing(place: Path) -> None:
    with demo(place, PLAIN) as terminal:
        terminal.wait_for("ready after")
        terminal.wait_quiet(1.5)
        said = len(terminal.output)
        terminal.read(2.0)
        assert len(terminal.output) - said == 0
        assert leave(terminal) == 130


def test_what_a_frame_costs_on_the_line(place: Path) -> None:
    """At 80×24 with 256 colours: the first paint, and moving by one row."""
    with demo(place, PLAIN) as terminal:
        terminal.wait_for("Leave")
        terminal.wait_quiet(0.3)
        first = len(terminal.output)
        assert first <= 26_000
        terminal.wait_for("ready after")
        terminal.type("\r")
        terminal.wait_for("lab-viewer")
        terminal.wait_quiet(0.5)
        costs = []
        for key in (UP, DOWN, UP):  # from the action below the list into it, then by one row and back
            said = len(terminal.output)
            terminal.type(key)
            terminal.wait_for(lambda _text, said=said: len(terminal.output) > said, deadline_s=10)
            terminal.wait_quiet(0.3)
            costs.append(len(terminal.output) - said)
        assert max(costs[1:]) <= 1_000, costs
        assert leave(terminal) == 130


@pytest.mark.parametrize("name", ["zh", pytest.param("xterm-256color", marks=pytest.mark.slow)])
def test_enter_alone_leads_to_a_green_verify(place: Path, name: str) -> None:
    """A person who knows no key but Enter sees every check pass, and is told what was done."""
    passed = "所有必需的检查都已通过" if name == "zh" else "All required checks passed."
    with demo(place, TERMINALS[name]) as terminal:
        terminal.wait_for("选择集群" if name == "zh" else "Choose the cluster")
        for _press in range(60):
            terminal.wait_quiet(0.4)
            if passed in terminal.text():
                break
            assert terminal.process.poll() is None, terminal.text()
            terminal.type("\r")
        else:
            raise AssertionError(f"never green; the screen shows:\n{terminal.text()}")
        for _press in range(10):
            terminal.type("\r")
            terminal.wait_quiet(0.4)
            if terminal.process.poll() is not None:
                break
        assert terminal.wait_end() == 0
        assert terminal.restored()
        assert "datakit-conf" in terminal.text()
    nothing_left(place)


@pytest.mark.parametrize("where", ["connect", "answer"])
def test_leaving_with_a_request_in_flight_returns_the_terminal_within_a_second(place: Path, where: str) -> None:
    """A server that takes the connection and never answers, not even the TLS handshake, or the request itself."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        scheme = "https" if where == "connect" else "http"
        port = server.getsockname()[1]
        kubeconfig = place / "kubeconfig"
        kubeconfig.write_text(
            f'clusters: [{{name: it, cluster: {{server: "{scheme}://127.0.0.1:{port}"}}}}]\n'
            "contexts: [{name: silent, context: {cluster: it, user: me}}]\n"
            "users: [{name: me, user: {token: x}}]\ncurrent-context: silent\n"
        )
        with Terminal([COMMAND, "--kubeconfig", str(kubeconfig)], environment(place, PLAIN)) as terminal:
            terminal.wait_for("Choose the cluster")
            terminal.type("\r")
            terminal.wait_for("Look at silent")
            terminal.type("\r")
            terminal.wait_for("Connecting to silent")
            server.settimeout(20)
            connection, _address = server.accept()  # the request is on its way, and nobody answers
            with connection:
                terminal.type(CTRL_C)
                terminal.wait_for("Leave the wizard?", deadline_s=10)
                began = time.monotonic()
                terminal.type(CTRL_C)
                assert terminal.wait_end() == 130
                took = time.monotonic() - began
            assert terminal.restored()
    print(f"left {took:.2f} s after the key")
    assert took < MOST_LEAVING_S, f"{took:.2f} s"
    nothing_left(place)


LOGIN = """\
import json, sys
print("code: ", end="", file=sys.stderr, flush=True)
code = sys.stdin.readline().strip()
status = {"token": "for-" + code}
print(json.dumps({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": status}))
"""


def login_kubeconfig(place: Path, port: int) -> Path:
    script = place / "my-login"
    script.write_text(f"#!{sys.executable}\n{LOGIN}")
    script.chmod(0o755)
    path = place / "kubeconfig"
    plugin = f"{{command: {script}, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Always}}"
    path.write_text(
        f'clusters: [{{name: it, cluster: {{server: "http://127.0.0.1:{port}"}}}}]\n'
        "contexts: [{name: asking, context: {cluster: it, user: me}}]\n"
        f"users: [{{name: me, user: {{exec: {plugin}}}}}]\ncurrent-context: asking\n"
    )
    return path


def test_a_plugin_that_has_to_ask_gets_the_terminal_and_gives_it_back(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        kubeconfig = login_kubeconfig(place, server.getsockname()[1])
        with Terminal([COMMAND, "--kubeconfig", str(kubeconfig)], environment(place, PLAIN)) as terminal:
            terminal.wait_for("Choose the cluster")
            terminal.type("\r")
            terminal.wait_for("Log in with my-login")
            terminal.type("\r")
            terminal.wait_for("code:")  # the plugin's own question, and no frame around it
            assert "Cluster and namespace" not in terminal.text()
            terminal.type(CTRL_C)  # giving up comes back to the wizard
            terminal.wait_for("What to do")
            assert "gave no credentials" in terminal.text()
            terminal.type("\x1b")
            # The page tells of the button below it, and Enter right behind Esc would be one key, Alt-Enter.
            terminal.wait_for(lambda text: "What to do" not in text and "Log in with my-login" in text)
            terminal.wait_quiet(0.3)
            terminal.type("\r")
            terminal.wait_for("code:")
            terminal.type("4711\r")
            terminal.wait_for("Connecting to asking")
            server.settimeout(20)
            connection, _address = server.accept()
            with connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += connection.recv(65536)
                assert b"authorization: bearer for-4711" in head.lower()
                terminal.type(CTRL_C)
                terminal.wait_for("Leave the wizard?", deadline_s=10)
                terminal.type(CTRL_C)
                assert terminal.wait_end() == 130
            assert terminal.restored()
        assert b"for-4711" not in bytes(terminal.output)
    nothing_left(place)
