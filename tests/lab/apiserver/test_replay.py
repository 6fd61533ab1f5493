"""Every recording that needs nothing but an API server, replayed against the practice one."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.lab.apiserver.conftest import ADMIN, Authority
from tests.lab.apiserver.replay import DATA, DifferentError, Replayer
from tui.lab.apiserver import watch

FILES = sorted(path.name for path in DATA.glob("[0-9]*.json"))
SCENARIOS, EXCHANGES = 40, 839
USERS = ("nobody", "viewer", "editor", "namedonly", "patchonly")
# What is not yet equal: (file, step) -> why. Strict: an entry that has become equal fails the test.
NOT_YET: dict[tuple[str, int], str] = {}


def _steps(name: str) -> list[dict[str, object]]:
    return list(json.loads((DATA / name).read_text(encoding="utf-8"))["steps"])


def test_all_recordings_are_here(record_property: Callable[[str, object], None]) -> None:
    steps = sum(len(_steps(name)) for name in FILES)
    told = f"{len(FILES)} scenarios, {steps} exchanges, {len(NOT_YET)} not yet equal"
    record_property("figure", f"replayed against the practice control plane: {told}")
    assert len(FILES) >= SCENARIOS
    assert steps >= EXCHANGES


@pytest.fixture(scope="session")
def credentials(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path] | None]:
    foreign = Authority(tmp_path_factory.mktemp("foreign"), "another-ca")
    found: dict[str, tuple[Path, Path] | None] = {name: authority.issue(name) for name in USERS}
    found["admin"] = authority.issue(*ADMIN)
    found["expired"] = authority.issue("viewer", days=(-10, -1), label="expired")
    found["notyet"] = authority.issue("viewer", days=(1, 10), label="notyet")
    found["wrongca"] = foreign.issue("viewer")
    return {**found, "anonymous": None, "badtoken": None, "badjwt": None}


@pytest.fixture
def brief_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorded watches stay open for seconds in which nothing happens any more."""
    monkeypatch.setattr(watch, "SECOND", 0.4)


@pytest.mark.usefixtures("brief_watches")
@pytest.mark.parametrize("name", FILES)
async def test_replay(
    name: str, make_server, authority: Authority, credentials: dict[str, tuple[Path, Path] | None]
) -> None:
    recording = json.loads((DATA / name).read_text(encoding="utf-8"))
    server = make_server()
    url = await server.start()
    problems: list[str] = []
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop)
        sessions = {}
        for user, paths in credentials.items():
            connector = aiohttp.TCPConnector(ssl=authority.context(paths))
            sessions[user] = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        replayer = Replayer(url, sessions)
        for exchange in recording.get("setup", []):
            await replayer.exchange(exchange)
        for exchange in recording["steps"]:
            step = exchange["step"]
            if "compaction" in recording["needs"] and step == 2:
                server.store.compact()
            expected = NOT_YET.get((name, step))
            try:
                await replayer.exchange(exchange)
            except (DifferentError, aiohttp.ClientError) as error:
                if expected is None:
                    problems.append(f"step {step} ({exchange['about']}): {error!s:.1500}")
            else:
                if expected is not None:
                    problems.append(f"step {step} is equal now: take it off the list")
    assert not problems, f"{len(problems)} of {len(recording['steps'])} steps differ\n" + "\n".join(problems)


ROLLOUTS = DATA / "kubectl-rollouts.json"
DAEMON_SET = "/apis/apps/v1/namespaces/datakit/daemonsets/datakit"


async def test_kubectl_applies_while_a_controller_works(make_server, authority: Authority) -> None:
    """01f: what kubectl wrote. The recorded DaemonSet controller is played: its statuses are written as they came.

    What kubectl asked before each write (discovery, schemas) is the other files' matter.
    """
    recording = json.loads(ROLLOUTS.read_text(encoding="utf-8"))["01f"]
    server = make_server()
    url = await server.start()
    connector = aiohttp.TCPConnector(ssl=authority.context(authority.issue(*ADMIN)))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        replayer = Replayer(url, {"admin": session})

        async def control(status: dict[str, Any]) -> None:
            """The controller's part: a status that is not there yet."""
            async with session.get(url + DAEMON_SET) as found:
                item = await found.json()
            if item["status"] == status:
                return
            agent = {"User-Agent": "kube-controller-manager/v1.36.2"}
            async with session.put(f"{url}{DAEMON_SET}/status", json={**item, "status": status}, headers=agent) as put:
                assert put.status == 200

        compared = 0
        for exchange in [*recording["setup"], *recording["steps"]]:
            body = exchange["response"]["body"]
            if exchange["request"]["method"] != "POST" and body["kind"] == "DaemonSet":
                await control(body["status"])
            await replayer.exchange(exchange)
            compared += 1
        assert compared == 19
