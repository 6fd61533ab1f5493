"""What each front door imports: heavy libraries come when they are needed, the wizard's after its first frame."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from terminal_harness import Terminal

ROOT = Path(__file__).parents[2]
TERMINAL_INTERFACE = {"textual", "rich"}
WORLD = {"kubernetes", "httpx", "tomlkit", "yaml", "aiohttp", "cryptography", "re2", "urllib3", "websocket", "plotext"}

LIST_MODULES = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr))
"""

# Opening the world is the first thing after the first frame: what is imported by then is what the frame cost.
AT_FIRST_FRAME = """
import json, sys, types
from pathlib import Path
target = Path(sys.argv.pop(1))

def opened(*_arguments):
    frame = json.dumps(sorted({name.partition(".")[0] for name in sys.modules}))
    from tui.core.errors import WizardError
    target.write_text(frame)
    raise WizardError("The world stays shut.")

backend = types.ModuleType("tui.backend")
backend.connect = opened
sys.modules["tui.backend"] = backend
from tui.commands import wizard
wizard._Lab.start = opened
from tui.cli import main
sys.exit(main())
"""


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "LANG": "C.UTF-8", "TERM": "xterm-256color", **more}


def imported_by(*arguments: str) -> tuple[int, set[str]]:
    """Exit status of the command line in a process of its own, and the top-level modules that it imported."""
    code = f"{LIST_MODULES}\nfrom tui.cli import main\nsys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment(), timeout=60
    )
    return done.returncode, set(json.loads(done.stderr.splitlines()[-1]))


def test_help_and_version_import_nothing_heavy() -> None:
    for argument in ("--help", "--version"):
        status, modules = imported_by(argument)
        assert status == 0
        assert "argparse" in modules
        assert not modules & (TERMINAL_INTERFACE | WORLD), argument


def test_a_usage_error_imports_nothing_heavy() -> None:
    status, modules = imported_by("check", "--no-such-flag")
    assert status == 2
    assert not modules & (TERMINAL_INTERFACE | WORLD)


@pytest.mark.parametrize(
    "arguments",
    [("check",), ("plan", "-f", "{answers}"), ("answers",), ("info",), ("views", "list"), ("undo", "--yes")],
    ids=" ".join,
)
def test_no_command_imports_the_terminal_interface(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Commands run in pipelines and on small machines: what draws screens is not theirs to load."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "dead", "cluster": {"server": "http://127.0.0.1:1"}}],
                "users": [{"name": "nobody", "user": {}}],
                "contexts": [{"name": "dead", "context": {"cluster": "dead", "user": "nobody"}}],
                "current-context": "dead",
            }
        )
    )
    answers = tmp_path / "answers.toml"
    answers.write_text("schema = 1\n")
    words = [word.format(answers=answers) for word in arguments]
    status, modules = imported_by(*words, "--kubeconfig", str(kubeconfig))
    assert status in (0, 1, 2, 3), f"{words} ended with {status}"
    assert "tui.cli".partition(".")[0] in modules
    assert not modules & TERMINAL_INTERFACE


@pytest.mark.parametrize("verb", ["", "demo"])
def test_the_first_frame_comes_before_anything_of_the_world(verb: str, tmp_path: Path) -> None:
    target = tmp_path / "modules.json"
    command = [sys.executable, "-c", AT_FIRST_FRAME, str(target), *([verb] if verb else [])]
    with Terminal(command, environment(COLORTERM="truecolor")) as terminal:
        terminal.wait_for("The world stays shut.")
        modules = set(json.loads(target.read_text()))
    assert "textual" in modules
    assert not modules & WORLD


if importlib.util.find_spec("importlinter"):

    def test_imports_run_one_way() -> None:
        done = subprocess.run(
            [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env=environment(),
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "0 broken" in done.stdout
