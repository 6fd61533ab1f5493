"""The command line as an interface: exit statuses, what goes to stdout and stderr, flags before and after the verb."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from tui.cli import main, parser

VIEW_KEYS = ["docker", "kubernetes", "etcd", "istio-mesh", "istio-control-plane", "istio-service", "istio-workload"]
SECRET = "planted4f8a1c0e9b7d4e52a6c3"
KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "dead", "cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [{"name": "nobody", "user": {}}],
    "contexts": [{"name": "dead", "context": {"cluster": "dead", "user": "nobody"}}],
    "current-context": "dead",
}


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str


class Run:
    """The command line in this process; what argparse ends by itself counts like any other end."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: str | Path) -> Said:
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        said = self.capsys.readouterr()
        assert "Traceback" not in said.err
        return Said(status, said.out, said.err)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


@pytest.fixture
def dead_cluster(tmp_path: Path) -> Path:
    """A kubeconfig whose server refuses connections."""
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(KUBECONFIG))
    return path


# -- usage


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["nonsense"], "nonsense"),
        (["--nonsense"], "--nonsense"),
        (["check", "--nonsense"], "--nonsense"),
        (["check", "--wait", "soon"], "--wait"),
        (["check", "--wait", "-5s"], "--wait"),
        (["check", "-o", "xml"], "xml"),
        (["check", "--all-contexts", "--context", "one"], "--all-contexts"),
        (["--context", "one", "--context", "two", "answers"], "--context"),
        (["plan"], "-f"),
        (["apply"], "-f"),
        (["answers", "--strategy", "magic"], "magic"),
        (["answers", "--preset", "magic"], "magic"),
        (["lab", "--nodes", "0"], "--nodes"),
        (["lab", "--nodes", "four"], "four"),
        (["lab", "--interval", "0s"], "--interval"),
        (["lab", "--interval", "2"], "--interval"),
        (["lab", "--fault", "no-such-fault"], "no-such-fault"),
        (["preview"], "CONF"),
        (["preview", "one.conf"], "METRICS"),
        (["preview", "-", "-"], "stdin"),
        (["preview", "one.conf", "metrics", "--host-tag", "novalue"], "novalue"),
        (["preview", "one.conf", "metrics", "--status", "ok"], "--status"),
        (["views"], "action"),
        (["views", "show"], "KEY"),
        (["views", "show", "no-such-view"], "no-such-view"),
        (["views", "create"], "KEY"),
        (["views", "create", "no-such-view", "--yes"], "no-such-view"),
        (["--lang", "fr", "info"], "fr"),
        (["--color", "sometimes", "info"], "sometimes"),
        (["undo", "/no/such/receipt.json", "--yes"], "/no/such/receipt.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_usage_error_is_named_and_ends_with_2(
    run: Run, dead_cluster: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], names: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(dead_cluster))
    said = run(*arguments)
    assert (said.status, said.out) == (2, "")
    assert names in said.err


def parsed(arguments: list[str]) -> argparse.Namespace:
    return parser(arguments).parse_args(arguments)


def test_flags_are_taken_before_and_after_the_verb() -> None:
    flags = {
        "context": (["--context", "one"], ["one"]),
        "kubeconfig": (["--kubeconfig", "file"], "file"),
        "namespace": (["-n", "ns"], "ns"),
        "endpoint": (["--endpoint", "https://studio.example"], "https://studio.example"),
        "api_key_file": (["--api-key-file", "key"], "key"),
        "lang": (["--lang", "zh"], "zh"),
        "color": (["--color", "never"], "never"),
    }
    for verb in (["check"], ["plan", "-f", "x"], ["apply", "-f", "x"], ["undo"], ["views", "list"], ["info"], ["demo"]):
        for name, (words, value) in flags.items():
            assert getattr(parsed([*words, *verb]), name) == value, (verb, words)
            assert getattr(parsed([*verb, *words]), name) == value, (verb, words)
    assert parsed(["-n", "before", "check", "-n", "after"]).namespace == "after"


def test_context_is_repeatable_for_check() -> None:
    assert parsed(["check", "--context", "one", "--context", "two"]).context == ["one", "two"]
    assert parsed(["--context", "one", "--context", "two", "check"]).context == ["one", "two"]


def test_help_goes_to_stdout_in_every_language(run: Run) -> None:
    for language in ("en", "zh"):
        said = run("--help", "--lang", language)
        assert said.status == 0
        assert said.err == ""
        verbs = "demo lab answers check plan apply undo views export preview rbac info"
        for verb in verbs.split():
            assert re.search(rf"^ +{verb} ", said.out, re.MULTILINE), verb


# -- kubeconfig


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "does not exist"),
        ("", "empty"),
        ("{: [", "not YAML"),
        ("- 1\n- 2\n", "kubeconfig"),
        ("apiVersion: v1\nkind: Config\n", "no contexts"),
        (json.dumps({**KUBECONFIG, "contexts": []}), "context"),
        (json.dumps({**KUBECONFIG, "current-context": "gone"}), "context"),
    ],
    ids=["missing", "empty", "not YAML", "a list", "nothing in it", "no contexts", "no current context"],
)
@pytest.mark.parametrize("verb", [["answers"], ["check"], ["undo", "--yes"]], ids=lambda verb: verb[0])
def test_a_kubeconfig_that_cannot_be_used(
    run: Run, tmp_path: Path, content: str | None, says: str, verb: list[str]
) -> None:
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    said = run(*verb, "--kubeconfig", path)
    assert (said.status, said.out) == (2, "")
    assert says in said.err
    assert str(path) in said.err


def test_a_context_that_is_not_there_names_those_that_are(run: Run, dead_cluster: Path) -> None:
    said = run("check", "--kubeconfig", dead_cluster, "--context", "production")
    assert said.status == 2
    assert "production" in said.err
    assert "dead" in said.err


@pytest.mark.parametrize("verb", [["answers"], ["check"], ["undo", "--yes"], ["plan"], ["apply", "--yes"]])
def test_a_dead_server_ends_with_3(run: Run, dead_cluster: Path, tmp_path: Path, verb: list[str]) -> None:
    answers = tmp_path / "answers.toml"
    answers.write_text("schema = 1\n")
    said = run(*verb, *(["-f", str(answers)] if verb[0] in ("plan", "apply") else []), "--kubeconfig", dead_cluster)
    assert said.status == 3
    # check tells it in its report, which is data; the others have nothing but the error.
    assert "http://127.0.0.1:1" in (said.out if verb == ["check"] else said.err)


def test_a_wrong_studio_ends_with_3_and_a_missing_one_with_2(run: Run, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(SECRET)
    key.chmod(0o600)
    create = ["views", "create", "etcd", "--yes", "--cluster-name", "lab"]
    said = run(*create, "--api-key-file", key, "--endpoint", "http://127.0.0.1:1")
    assert said.status == 3
    assert "127.0.0.1:1" in said.err
    assert SECRET not in said.err
    assert run(*create, "--api-key-file", key).status == 2
    assert run(*create, "--endpoint", "http://127.0.0.1:1").status == 2
    assert run(*create, "--api-key-file", key, "--endpoint", "not a url").status == 2


# -- answers


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("schema = 1\n[etcd]\nstrategie = 'none'\n", "strategie"),
        ("schema = 1\n[etcdd]\n", "etcdd"),
        ("schema = 1\nsecret = 'x'\n", "secret"),
        ("schema = 1\n[etcd]\nstrategy = 5\n", "strategy"),
        ("schema = 1\n[etcd]\nstrategy = 'magic'\n", "magic"),
        ("schema = 1\n[views]\ncreate = 'etcd'\n", "create"),
        ("schema = 1\n[views]\ncreate = ['no-such-view']\n", "no-such-view"),
        ("schema = 1\n[istio]\nworkloads = 1\n", "workloads"),
        ("schema = 1\netcd = 'x'\n", "etcd"),
        ("schema = 'one'\n", "schema"),
        ("schema = 2\n", "schema"),
        ("[cluster]\nname = 'x'\n", "schema"),
        ("schema = \n", "line 1"),
    ],
)
@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_wrong_answers_end_with_2_before_any_request(
    run: Run, dead_cluster: Path, tmp_path: Path, verb: str, text: str, names: str
) -> None:
    answers = tmp_path / "answers.toml"
    answers.write_text(text)
    said = run(verb, "-f", answers, "--kubeconfig", dead_cluster, *(["--yes"] if verb == "apply" else []))
    assert (said.status, said.out) == (2, "")
    assert names in said.err


def test_answers_that_are_missing_or_no_text(run: Run, tmp_path: Path) -> None:
    assert run("plan", "-f", tmp_path / "gone.toml").status == 2
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    assert run("plan", "-f", binary).status == 2


def test_answers_from_stdin(run: Run, dead_cluster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("schema = 1\n[etcd]\nnothing = 1\n"))
    said = run("plan", "-f", "-", "--kubeconfig", dead_cluster)
    assert said.status == 2
    assert "nothing" in said.err


# -- what needs no cluster


def test_views_list_names_the_seven(run: Run) -> None:
    said = run("views", "list")
    assert said.status == 0
    assert [line.split("\t")[1] for line in said.out.splitlines()] == VIEW_KEYS
    assert "监控视图" in run("views", "list", "--lang", "zh").out


def test_views_show_and_export_are_the_same_template(run: Run, tmp_path: Path) -> None:
    shown = run("views", "show", "etcd")
    template = json.loads(shown.out)
    assert template["main"]["charts"]
    said = run("views", "export", tmp_path / "new" / "folder")
    assert said.status == 0
    exported = {Path(line).stem: Path(line) for line in said.out.splitlines()}
    assert exported["etcd"].read_text() == shown.out
    for path in exported.values():
        assert json.loads(path.read_text())["main"]["charts"]


def test_views_export_to_a_place_that_is_a_file(run: Run, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("")
    said = run("views", "export", taken)
    assert said.status == 2
    assert str(taken) in said.err


def test_the_role_is_yaml_and_verifying_needs_no_write(run: Run) -> None:
    import yaml

    writes = {"create", "update", "patch", "delete"}
    whole = [one for one in yaml.safe_load_all(run("rbac", "-n", "monitoring").out) if one]
    verify = [one for one in yaml.safe_load_all(run("rbac", "--verify-only").out) if one]

    def changes(documents: list[dict[str, object]]) -> set[str]:
        rules = [rule for one in documents for rule in one.get("rules", [])]  # type: ignore[attr-defined]
        return {r for rule in rules if set(rule["verbs"]) & writes for r in rule["resources"]}

    assert {"configmaps", "daemonsets"} <= changes(whole)
    assert changes(verify) <= {"pods/exec", "selfsubjectaccessreviews", "selfsubjectreviews"}
    assert any(one["metadata"].get("namespace") == "monitoring" for one in whole)


def test_info_says_where_each_setting_came_from_and_no_secret(
    run: Run, dead_cluster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUANCE_ACCESS_TOKEN", SECRET)
    monkeypatch.setenv("GUANCE_END_POINT", "https://openapi.guance.com")
    said = run("info", "--kubeconfig", dead_cluster)
    assert said.status == 0
    assert "GUANCE_ACCESS_TOKEN" in said.out
    assert "https://openapi.guance.com" in said.out
    assert f"{dead_cluster} (--kubeconfig)" in said.out
    assert SECRET not in said.out + said.err


def test_a_key_file_that_others_can_read_is_warned_of(run: Run, dead_cluster: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(SECRET)
    key.chmod(stat.S_IRUSR | stat.S_IROTH)
    said = run("check", "--kubeconfig", dead_cluster, "--api-key-file", key, "--endpoint", "https://openapi.guance.com")
    assert str(key) in said.err
    assert "chmod 600" in said.err


# -- the process


def test_machines_read_english_unless_they_ask(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    answers = tmp_path / "answers.toml"
    answers.write_text("schema = 1\n[etcd]\nnothing = 1\n")
    english = run("plan", "-f", answers, "-o", "json").err
    assert english.isascii() or "nothing" in english
    assert not re.search(r"[\u4e00-\u9fff]", english)
    assert re.search(r"[\u4e00-\u9fff]", run("plan", "-f", answers).err)
    assert re.search(r"[\u4e00-\u9fff]", run("plan", "-f", answers, "-o", "json", "--lang", "zh").err)


def test_a_demo_hands_its_flags_to_its_lab() -> None:
    from tui.arguments import parser
    from tui.commands.wizard import lab_arguments

    flags = ["--nodes", "5", "--control-planes", "3", "--platform", "rke2", "--seed", "7", "--no-mesh"]
    flags += ["--fault", "wrong-port", "--interval", "3s"]
    demo = parser(["demo", *flags]).parse_args(["demo", *flags])
    arguments = lab_arguments(demo)
    lab = parser(arguments).parse_args(arguments)
    for name in ("nodes", "control_planes", "platform", "seed", "mesh", "fault", "interval"):
        assert getattr(lab, name) == getattr(demo, name), name
    assert lab.platform == "rke2"


@pytest.mark.parametrize("verb", [[], ["demo"]], ids=["wizard", "demo"])
def test_without_a_terminal_the_wizard_says_so_in_one_line(verb: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui.cli", *verb],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"},
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "\x1b" not in done.stderr


def test_a_reader_that_goes_away_is_no_error() -> None:
    """`datakit-wizard views show etcd | head -1`"""
    with subprocess.Popen(
        [sys.executable, "-m", "tui.cli", "views", "show", "etcd"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "LANG": "C.UTF-8"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        complaint = process.stderr.read()
        process.wait(60)
    assert b"Traceback" not in complaint
    assert b"BrokenPipe" not in complaint
    assert process.returncode == 0


def test_both_commands_are_installed() -> None:
    """`kubectl datakit` finds its plugin by the name."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert set(project["scripts"]) == {"datakit-wizard", "kubectl-datakit"}
    versions = set()
    for name in project["scripts"]:
        command = Path(sys.executable).parent / name
        versions.add(subprocess.run([command, "--version"], capture_output=True, text=True, timeout=60).stdout.strip())
    assert versions == {project["version"]}
