"""Credentials from an exec plugin of the kubeconfig, run without a terminal.

The official client hands such a plugin the real terminal, and goes on as nobody when the plugin fails. Here
it gets no stdin, a session of its own, a deadline, and its failure is an error.
"""

from __future__ import annotations

import atexit
import base64
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tui.core.errors import UnreachableError, UsageError
from tui.i18n import _

API_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
TIMEOUT_S = 60.0
LOGIN_S = 600.0  # a person logs in
_RENEW_BEFORE_S = 5.0  # a token that dies while the request is under way is of no use
_STDERR_SHOWN = 2000

_running: set[subprocess.Popen[bytes]] = set()


@dataclass(frozen=True)
class ExecPlugin:
    """The `exec` part of a kubeconfig user. `cluster` is what provideClusterInfo passes on, None when it is off."""

    command: str
    context: str
    args: tuple[str, ...] = field(default=(), repr=False)
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    api_version: str = API_VERSIONS[0]
    interactive_mode: str = "IfAvailable"
    install_hint: str = ""
    cluster: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """What to call it in a message: the program without its folder."""
        return os.path.basename(self.command)


@dataclass(frozen=True)
class Credential:
    """A bearer token, or a client certificate with its key (PEM); `expires_s` is unix time, 0 where it never does."""

    token: str = field(default="", repr=False)
    cert: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    expires_s: float = 0.0


class NeedsTerminalError(UsageError):
    """The plugin has to ask somebody, which it cannot do while the wizard has the terminal."""

    def __init__(self, plugin: ExecPlugin) -> None:
        super().__init__(
            _("The credential plugin {name} needs a terminal to ask for a login, and the wizard's is taken.").format(
                name=plugin.name
            ),
            object=_("context {context}").format(context=plugin.context),
            why=_("interactiveMode is Always in the kubeconfig."),
            remedy=_(
                "Run it once before, in this terminal; if it keeps its login, set its interactiveMode to "
                "IfAvailable. Otherwise use a context with a token or a certificate."
            ),
            command=f"kubectl --context {plugin.context} auth whoami",
        )
        self.plugin = plugin


# What a person logged in for, for the rest of this process: every client of the context uses it.
_logins: dict[tuple[object, ...], Credential] = {}


def logged_in(plugin: ExecPlugin) -> Credential | None:
    """The credential of a login in the terminal that has not expired."""
    held = _logins.get(_key(plugin))
    return held if held and _lasts(held) else None


def log_in(plugin: ExecPlugin) -> None:
    """Run the plugin with the terminal, so that it can ask; what it gives is kept for this process.

    To be called in the main thread. Raises UnreachableError where it fails, is interrupted by ^C, or does not end
    within LOGIN_S.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ^C gives up the login, and nothing else
    try:
        _logins[_key(plugin)] = run_plugin(plugin, LOGIN_S, terminal=True)
    finally:
        signal.signal(signal.SIGINT, before)


def _key(plugin: ExecPlugin) -> tuple[object, ...]:
    return (plugin.context, plugin.command, plugin.args, plugin.env)


def _lasts(credential: Credential) -> bool:
    return not credential.expires_s or credential.expires_s - _RENEW_BEFORE_S > time.time()


class ExecCredentials:
    """The credential of one plugin, kept until it expires. Safe to call from several threads: the plugin runs once."""

    def __init__(self, plugin: ExecPlugin, timeout_s: float = TIMEOUT_S) -> None:
        self._plugin = plugin
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._credential: Credential | None = None

    def get(self) -> Credential:
        """The credential. Raises UnreachableError when the plugin fails, UsageError when it needs a terminal."""
        with self._lock:
            held = self._credential or logged_in(self._plugin)
            if held and _lasts(held):
                self._credential = held
                return held
            self._credential = run_plugin(self._plugin, self._timeout_s)
            return self._credential

    def drop(self, refused: Credential) -> None:
        """Forget a credential that the API server refused, unless another thread has renewed it already."""
        with self._lock:
            if self._credential is refused:
                self._credential = None
            if _logins.get(_key(self._plugin)) is refused:
                del _logins[_key(self._plugin)]


def run_plugin(plugin: ExecPlugin, timeout_s: float = TIMEOUT_S, *, terminal: bool = False) -> Credential:
    """Run the plugin once and read the ExecCredential that it prints; with `terminal` it may ask there."""
    if plugin.interactive_mode == "Always" and not terminal:
        raise NeedsTerminalError(plugin)
    info: dict[str, Any] = {"kind": "ExecCredential", "apiVersion": plugin.api_version}
    info["spec"] = {"interactive": terminal} | ({"cluster": dict(plugin.cluster)} if plugin.cluster else {})
    environ = {**os.environ, **dict(plugin.env), "KUBERNETES_EXEC_INFO": json.dumps(info)}
    try:
        process = subprocess.Popen(
            [plugin.command, *plugin.args],
            env=environ,
            stdin=None if terminal else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if terminal else subprocess.PIPE,
            start_new_session=not terminal,  # no controlling terminal: it cannot prompt through /dev/tty either
        )
    except OSError as error:
        raise _failed(
            plugin, _("it cannot be started: {reason}").format(reason=error.strerror), plugin.install_hint
        ) from None
    _running.add(process)
    try:
        stdout, stderr = process.communicate(timeout=timeout_s)
    except BaseException as error:
        _kill(process)
        if terminal and isinstance(error, KeyboardInterrupt):
            raise _failed(plugin, _("it was interrupted")) from None
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        raise _failed(plugin, _("it did not end within {seconds:.0f} s").format(seconds=timeout_s)) from None
    finally:
        _running.discard(process)
    said = redact((stderr or b"").decode(errors="replace").strip())[-_STDERR_SHOWN:]
    if process.returncode:
        raise _failed(plugin, _("it ended with status {code}").format(code=process.returncode) + _after(said))
    try:
        return _read(json.loads(stdout), plugin.api_version)
    except ValueError as error:
        why = _("its answer is not JSON") if isinstance(error, json.JSONDecodeError) else str(error)
        raise _failed(plugin, why + _after(said)) from None


def redact(text: str) -> str:
    """`text` without what looks like a token, a password or a private key."""
    text = re.sub(
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", "***", text, flags=re.S
    )
    text = re.sub(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*", "***", text)
    return re.sub(r"(?i)\b(bearer\s+|(?:\w*token|password|secret)[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,]+", r"\1***", text)


def _read(answer: Any, api_version: str) -> Credential:
    """The credential in an ExecCredential object; ValueError says what is wrong with it."""
    if not isinstance(answer, dict) or answer.get("kind") != "ExecCredential":
        raise ValueError(_("its answer is not an ExecCredential"))
    if answer.get("apiVersion") != api_version:
        raise ValueError(
            _("its answer has apiVersion {got}, the kubeconfig asks for {wanted}").format(
                got=answer.get("apiVersion"), wanted=api_version
            )
        )
    status = answer.get("status")
    status = status if isinstance(status, dict) else {}
    token, cert, key = (str(status.get(name) or "") for name in ("token", "clientCertificateData", "clientKeyData"))
    if bool(cert) != bool(key):
        raise ValueError(_("its answer has a certificate or a key, but not both"))
    if not token and not cert:
        raise ValueError(_("its answer has neither a token nor a certificate"))
    expires = status.get("expirationTimestamp")
    try:
        expires_s = datetime.fromisoformat(expires).timestamp() if expires else 0.0
    except (TypeError, ValueError):
        raise ValueError(_("its answer has an expirationTimestamp that is no time")) from None
    return Credential(token, cert, key, expires_s)


def _after(said: str) -> str:
    return f": {said}" if said else ""


def _failed(plugin: ExecPlugin, why: str, hint: str = "") -> UnreachableError:
    remedy = _("If it asks for a login, run it once in a terminal, then start the wizard again.")
    return UnreachableError(
        _("The credential plugin {name} gave no credentials.").format(name=plugin.name),
        object=_("context {context}").format(context=plugin.context),
        why=why,
        remedy=hint.strip() or remedy,
        command=f"kubectl --context {plugin.context} auth whoami",
    )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the plugin's session, helpers that it started included."""
    _end(process)
    with suppress(subprocess.TimeoutExpired, ValueError):
        process.communicate(timeout=1)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill it with its session; one that has our terminal has our session too, and is killed alone."""
    with suppress(ProcessLookupError, PermissionError):
        if os.getpgid(process.pid) == os.getpgrp():
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


@atexit.register
def _kill_running() -> None:
    for process in list(_running):
        _end(process)


def cluster_info(server: str, cluster: Mapping[str, Any], ca: str) -> dict[str, Any]:
    """What `provideClusterInfo: true` tells the plugin of a kubeconfig cluster (KEP 541)."""
    info: dict[str, Any] = {"server": server}
    for name in ("tls-server-name", "insecure-skip-tls-verify", "proxy-url"):
        if cluster.get(name):
            info[name] = cluster[name]
    if ca:
        info["certificate-authority-data"] = base64.b64encode(ca.encode()).decode()
    for extension in cluster.get("extensions") or []:
        if extension.get("name") == "client.authentication.k8s.io/exec":
            info["config"] = extension.get("extension")
    return info
