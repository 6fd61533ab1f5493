"""That looking writes nothing: the cluster as the checks have it, and the practice lab's audit log of a whole check."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from practice import Practice, practice

from tui import backend
from tui.backend.cluster import KubernetesCluster, KubernetesReader
from tui.core import checks, ports
from tui.core.checks import Facts
from tui.core.ports import ExecResult

WRITING = {"apply", "patch", "delete", "create", "update", "replace"}
READING_VERBS = {"get", "list", "watch"}
REVIEWS = {"selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"}
LOOKING = {"curl", "cat", "test", "stat", "ls"}


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_a_reader_has_no_method_that_writes() -> None:
    assert public(ports.Cluster) - public(ports.Reader) == {"apply", "patch", "delete", "wait_rollout", "reader"}
    assert public(KubernetesCluster) - public(KubernetesReader) == {
        "apply",
        "patch",
        "delete",
        "wait_rollout",
        "reader",
    }
    assert not public(ports.Reader) & WRITING
    assert not public(KubernetesReader) & WRITING
    assert not hasattr(KubernetesReader, "_patch")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    folder = tmp_path_factory.mktemp("looking")
    with practice(folder) as running:
        answers = folder / "answers.toml"
        answers.write_text(running.run("answers").out)
        assert running.run("apply", "-f", answers, "--yes").status == 0
        yield running


def audited(lab: Practice, since: int, user: str) -> list[dict[str, Any]]:
    """What a user asked of the control plane, and the tool of the studio, from one line of the audit log on."""
    lines = (Path(lab.ready["folder"]) / "audit.jsonl").read_text().splitlines()[since:]
    found = [json.loads(line) for line in lines]
    return [one for one in found if one["user"] in (user, "api-key")]


def lines(lab: Practice) -> int:
    return len((Path(lab.ready["folder"]) / "audit.jsonl").read_text().splitlines())


def is_reading(entry: dict[str, Any]) -> bool:
    resource = entry["object"].split("/")
    if entry["to"] == "studio":
        return entry["verb"] == "GET" or entry["object"].startswith("/api/v1/df/query_data")
    if entry["verb"] in READING_VERBS:
        return True
    if entry["verb"] != "create":
        return False
    return any(part.split(".")[0] in REVIEWS for part in resource) or resource[-1] in ("exec", "proxy")


@pytest.mark.parametrize("user", ["admin", "viewer"])
def test_a_whole_check_shows_nothing_but_reading_in_the_audit_log(lab: Practice, user: str) -> None:
    before = lines(lab)
    done = lab.run("check", "-o", "json", user=user)
    seen = audited(lab, before, user)
    made = {check["id"] for check in json.loads(done.out)["checks"]}
    assert made >= {check.id for check in checks.chosen(mesh=False)}, done  # this lab has none
    assert {one["to"] for one in seen} == {"control-plane", "studio"}
    assert [one for one in seen if not is_reading(one)] == []
    ran = [one for one in seen if one["object"].endswith("/exec")]
    assert bool(ran) == (user == "admin"), "a viewer may not run commands"


def test_the_audit_log_would_show_a_write(lab: Practice) -> None:
    before = lines(lab)
    assert lab.run("plan", "-f", lab.home.parent / "answers.toml").status == 0
    assert [one["verb"] for one in audited(lab, before, "admin") if not is_reading(one)].count("patch") >= 1


def test_what_runs_in_the_pods_looks_and_no_more(lab: Practice) -> None:
    made = backend.connect(lab.ready["kubeconfig"], lab.ready["time_scale"])
    reader = made.clusters().connect(lab.ready["contexts"]["admin"]).reader()
    assert type(reader) is KubernetesReader
    ran: list[tuple[str, ...]] = []
    run_it = reader.exec

    def noted(namespace: str, pod: str, container: str, argv: Sequence[str], **more: Any) -> ExecResult:
        ran.append((*argv, *(["<stdin>"] if more.get("stdin") else [])))
        return run_it(namespace, pod, container, argv, **more)

    reader.exec = noted  # type: ignore[method-assign]
    checks.run(Facts(made, reader, namespace=lab.ready["namespace"]), wait_s=0.0)
    assert ran
    assert {argv[0] for argv in ran} <= LOOKING
    sends = {"-X", "--request", "-d", "--data", "-T", "-o", "-O", "<stdin>"}
    assert [argv for argv in ran if sends & set(argv)] == []
