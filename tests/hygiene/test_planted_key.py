"""A planted API key, given by environment, file and prompt, appears nowhere: not after a 401, a crash, in no report.

It is looked for in everything that reaches the terminal and in every file that is left, in the clear, as base64 and
percent-encoded.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from practice import Practice, practice
from terminal_harness import Terminal

from tests.screens.drive import driving

COMMAND = str(Path(sys.executable).parent / "datakit-wizard")

CRASHING = """
import sys
from tui import app
from tui.cli import main

def crash(self, status):
    key = self.given.key.reveal()
    assert len(key) > 20
    raise RuntimeError("planted crash")

app.WizardApp.action_ask_quit = crash
sys.exit(main())
"""


@pytest.fixture
def key() -> str:
    """A key like the studio's own, with characters that encodings change."""
    return f"plant+{secrets.token_hex(16)}/x="


def forms(key: str) -> list[bytes]:
    """The key as it could be written somewhere."""
    return [key.encode(), base64.b64encode(key.encode()).rstrip(b"="), quote(key, safe="").encode(), key[4:28].encode()]


def assert_absent(key: str, content: bytes, where: str) -> None:
    for form in forms(key):
        assert form not in content, where


def assert_not_in_files(key: str, folder: Path, given: Path | None = None) -> int:
    """Look through every file below the folder but the one that the person made; how many there were."""
    count = 0
    for path in folder.rglob("*"):
        if path.is_file() and path != given:
            assert_absent(key, path.read_bytes(), str(path))
            assert_absent(key, str(path).encode(), "a file's name")
            count += 1
    return count


def wizard(lab: Practice, *arguments: str, command: list[str] | None = None, **environ: str) -> Terminal:
    flags = ["--kubeconfig", lab.ready["kubeconfig"], "--context", lab.ready["contexts"]["admin"]]
    return Terminal([*(command or [COMMAND]), *flags, *arguments], {**lab.environment(), **environ})


def to_workspace(terminal: Terminal) -> None:
    terminal.wait_for("▸ Choose the cluster")
    terminal.type("\r")
    terminal.wait_for("▸ Look at")
    terminal.type("\r")
    terminal.wait_for("▸ Go on to the workspace")
    terminal.type("\r")


def leave(terminal: Terminal) -> None:
    terminal.type("\x03")
    terminal.wait_for("Leave the wizard?")
    terminal.type("\x03")
    assert terminal.wait_end() == 130


@pytest.mark.parametrize(
    "way", ["environment", pytest.param("file", marks=pytest.mark.slow), pytest.param("prompt", marks=pytest.mark.slow)]
)
def test_in_the_wizard_through_a_401(tmp_path: Path, key: str, way: str) -> None:
    file = tmp_path / "key"
    with practice(tmp_path / "lab") as lab:
        arguments, environ = ["--endpoint", lab.ready["studio"]["endpoint"]], {}
        if way == "environment":
            environ["GUANCE_ACCESS_TOKEN"] = key
        elif way == "file":
            file.write_text(key)
            file.chmod(0o600)
            arguments += ["--api-key-file", str(file)]
        with wizard(lab, *arguments, **environ) as terminal:
            to_workspace(terminal)
            if way == "prompt":
                terminal.wait_for("Give the API key")
                terminal.type(key)
            terminal.wait_for("▸ Check the key")
            terminal.type("\r")
            terminal.wait_for("The studio rejected the API key.")
            terminal.type("w")
            terminal.wait_for("Saved:")
            terminal.type("\x1b")
            terminal.wait_for("▸ Check the key")
            leave(terminal)
        assert_absent(key, bytes(terminal.output), "the terminal")
        assert assert_not_in_files(key, lab.home, file) > 0
        assert_absent(key, (tmp_path / "lab" / "lab.log").read_bytes(), "the lab's log")


def test_in_the_wizard_through_a_crash(tmp_path: Path, key: str) -> None:
    with practice(tmp_path / "lab") as lab:
        environ = {"GUANCE_ACCESS_TOKEN": key, "GUANCE_END_POINT": lab.ready["studio"]["endpoint"]}
        with wizard(lab, command=[sys.executable, "-c", CRASHING], **environ) as terminal:
            terminal.wait_for("▸ Choose the cluster")
            terminal.type("\x03")
            assert terminal.wait_end() == 1
            assert terminal.restored()
        assert b"planted crash" in terminal.output
        assert_absent(key, bytes(terminal.output), "the traceback")
        assert_not_in_files(key, lab.home)


def run_all(lab: Practice, commands: list[tuple[list[str], set[int]]], *flags: str, **environ: str) -> bytes:
    """Everything that the commands say; each must end with one of its statuses."""
    said = []
    for arguments, statuses in commands:
        done = lab.run(*arguments, *flags, studio=False, **environ)
        assert done.status in statuses, (arguments, str(done))
        said.append(done.out + done.err)
    return "".join(said).encode()


def test_on_the_command_line_by_environment(tmp_path: Path, key: str) -> None:
    """The key, and the token of the workspace that stands in the DaemonSet: no diff and no receipt carries it out."""
    with practice(tmp_path / "lab") as lab:
        daemonset = lab.get(f"/apis/apps/v1/namespaces/{lab.ready['namespace']}/daemonsets/datakit")
        token = re.search(r"tkn_[0-9a-f]{32}", json.dumps(daemonset))
        assert token is not None
        answers = tmp_path / "answers.toml"
        answers.write_text(lab.run("answers").out)
        said = run_all(
            lab,
            [
                (["info"], {0}),
                (["plan", "-f", str(answers)], {3}),
                (["apply", "-f", str(answers), "--yes"], {3}),
                (["plan", "-f", str(answers), "-o", "json"], {3}),
                (["apply", "-f", str(answers), "--yes", "--no-views"], {0}),
                (["check", "-o", "text", "--wait", "0s"], {1, 3}),
                (["check", "-o", "json", "--wait", "0s"], {1, 3}),
                (["check", "-o", "junit", "--wait", "0s"], {1, 3}),
                (["views", "create", "etcd", "--yes"], {3}),
                (["undo", "--yes"], {0}),
            ],
            "--endpoint",
            lab.ready["studio"]["endpoint"],
            GUANCE_ACCESS_TOKEN=key,
        )
        plan = lab.run("plan", "-f", answers, "-o", "yaml")
        assert plan.status == 1
        said += (plan.out + plan.err).encode()
        assert b"key" in said.lower()
        assert_absent(key, said, "what the commands say")
        assert token.group().encode() not in said
        assert assert_not_in_files(key, lab.home) > 0
        for path in lab.home.rglob("*"):
            assert not path.is_file() or token.group() not in path.read_text()


def test_on_the_command_line_by_file(tmp_path: Path, key: str) -> None:
    file = tmp_path / "key"
    file.write_text(key)
    file.chmod(0o600)
    with practice(tmp_path / "lab") as lab:
        said = run_all(
            lab,
            [(["info"], {0}), (["check", "-o", "json", "--wait", "0s"], {1, 3}), (["views", "status"], {3})],
            "--endpoint",
            lab.ready["studio"]["endpoint"],
            "--api-key-file",
            str(file),
        )
        assert str(file).encode() in said
        assert_absent(key, said, "what the commands say")
        assert_not_in_files(key, lab.home, file)


async def test_in_a_screenshot_and_the_answers(tmp_path: Path, key: str) -> None:
    async with driving(tmp_path, key="") as drive:
        await drive.to("workspace")
        await drive.type(key)
        masked = drive.app.export_screenshot()
        assert "•" in drive.text or "*" in drive.text
        await drive.press("enter")
        shots = [masked, drive.app.export_screenshot()]
        await drive.press("c")
        shots.append(drive.app.export_screenshot())
    for shot in shots:
        assert_absent(key, shot.encode(), "a screenshot")
    assert_not_in_files(key, tmp_path)
