"""How a running lab is spoken to from outside: a loopback port whose address and secret lie in its private folder."""

from __future__ import annotations

import hmac
import json
import os
import secrets
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp import web

from tui.core.errors import UnreachableError, UsageError, WizardError
from tui.i18n import _
from tui.lab.client import ApiStatusError
from tui.lab.etcd import EtcdError
from tui.lab.pki import write_file

PREFIX = "datakit-wizard-lab-"
FILE = "control.json"
PID_FILE = "pid"
_ANSWER_S = 90.0

# Where Linux keeps files in memory, for labs of so many nodes that a disk takes longer to make their folders than all
# the rest takes; and how much must be free there. A container often has 64 MiB.
_MEMORY = Path("/dev/shm")
_LEAST_MEMORY = 512 * 1024 * 1024

Job = Callable[[str, str], Awaitable[dict[str, Any]]]


def make_folder(*, in_memory: bool = False) -> Path:
    """A new private folder (0700) that names this process; folders that killed labs left behind are removed.

    It is among the temporary files, or `in_memory` where this machine can.
    """
    remove_strays()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_MEMORY if in_memory and _has_memory() else None))
    (folder / PID_FILE).write_text(f"{os.getpid()} {_started(os.getpid())}\n")
    return folder


def _has_memory() -> bool:
    try:
        found = os.statvfs(_MEMORY)
    except OSError:
        return False
    return os.access(_MEMORY, os.W_OK) and found.f_bavail * found.f_frsize >= _LEAST_MEMORY


def _folders() -> list[Path]:
    """The folders of this user's labs, the newest first."""
    found = []
    places = {Path(tempfile.gettempdir()), _MEMORY}
    for path in (path for place in places for path in place.glob(f"{PREFIX}*")):
        try:
            status = path.lstat()
        except OSError:
            continue
        if status.st_uid == os.getuid() and path.is_dir() and not path.is_symlink():
            found.append((status.st_ctime, path))
    return [path for _time, path in sorted(found, reverse=True)]


def _started(pid: int) -> str:
    """When a process started (Linux: in clock ticks after boot), so that a number used again is told apart."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "-"


def _is_running(folder: Path) -> bool | None:
    """Whether the lab of a folder runs; None where it does not say whose it is."""
    try:
        pid, _space, started = (folder / PID_FILE).read_text().strip().partition(" ")
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    except (OSError, ValueError):
        return None
    return started in ("-", _started(int(pid)))


def remove_strays() -> None:
    """Remove the folders of this user's labs whose process is gone (it was killed and could not)."""
    for folder in _folders():
        if _is_running(folder) is False:
            shutil.rmtree(folder, ignore_errors=True)


class Control:
    """The lab's side: `job(verb, name)` does what is asked; its WizardError is passed on."""

    def __init__(self, folder: Path, job: Job) -> None:
        self._file = folder / FILE
        self._job = job
        self._token = secrets.token_hex(16)
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen, and write where."""
        app = web.Application()
        app.router.add_post("/{verb}/{name}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        write_file(self._file, json.dumps({"url": url, "token": self._token}).encode(), mode=0o600)

    async def _answer(self, request: web.Request) -> web.Response:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            return web.json_response({"error": "unauthorized"}, status=401)
        try:
            return web.json_response(await self._job(request.match_info["verb"], request.match_info["name"]))
        except WizardError as error:
            body = {"error": error.what, "object": error.object, "why": error.why, "remedy": error.remedy}
            return web.json_response(body, status=409)
        except (ApiStatusError, aiohttp.ClientError, EtcdError, OSError) as error:  # a TimeoutError is an OSError
            text = _("The change was not seen through to its end.")
            why = str(error) or _("DataKit did not get ready on all nodes in time.")
            return web.json_response({"error": text, "why": why}, status=409)

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


def find_lab(folder: str) -> Path:
    """The folder of a running lab: the one that is named (or holds the file that is), else this user's newest."""
    if folder:
        path = Path(folder)
        path = path if path.is_dir() else path.parent
        if not (path / FILE).is_file():
            raise UsageError(_("No practice lab runs there."), object=str(path))
        return path
    for path in _folders():
        if _is_running(path) and (path / FILE).is_file():
            return path
    raise UsageError(
        _("No practice lab of yours is running."), remedy=_("Start one with `datakit-wizard lab`, or name its folder.")
    )


def ask(folder: Path, verb: str, name: str) -> dict[str, Any]:
    """Ask a running lab; returns its answer. Raises WizardError with the lab's own words, or UnreachableError."""
    known = json.loads((folder / FILE).read_text())
    url = f"{known['url']}/{verb}/{quote(name, safe='')}"
    request = urllib.request.Request(url, method="POST", headers={"Authorization": f"Bearer {known['token']}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_ANSWER_S) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        try:
            told = json.load(error)
        except ValueError:
            told = {}
        raise WizardError(
            told.get("error") or _("The practice lab refused."),
            object=told.get("object", ""),
            why=told.get("why", ""),
            remedy=told.get("remedy", ""),
        ) from None
    except OSError as error:
        raise UnreachableError(_("The practice lab does not answer."), object=str(folder), why=str(error)) from None
