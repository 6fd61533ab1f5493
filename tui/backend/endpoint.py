"""A context of the kubeconfig, resolved: where its API server is, and how we prove who we are."""

from __future__ import annotations

import base64
import binascii
import os
import shlex
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tui.backend.exec_credentials import API_VERSIONS, ExecPlugin, NeedsTerminalError, cluster_info, logged_in
from tui.core.errors import UsageError
from tui.i18n import _

LAB_EXTENSION = "datakit-wizard/lab"  # of a cluster: {"timeScale": 30}; heeded on loopback alone

Entry = dict[str, Any]


@dataclass
class Merged:
    """Several kubeconfig files as one: each entry with the folder of its file, to which its paths are relative."""

    clusters: dict[str, tuple[Entry, Path]] = field(default_factory=dict)
    users: dict[str, tuple[Entry, Path]] = field(default_factory=dict)
    contexts: dict[str, tuple[Entry, Path]] = field(default_factory=dict)
    current: str = ""


@dataclass(frozen=True)
class Impersonation:
    """The `as:` fields of a kubeconfig user: whom the API server is asked to take us for."""

    user: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Endpoint:
    """One context resolved: where the API server is, and how we prove who we are. Secrets are kept out of
    its repr.

    Certificates and keys are PEM text; an empty `ca` stands for the authorities of this machine.
    """

    context: str
    server: str
    cluster: str = ""
    user: str = ""
    namespace: str = "default"
    ca: str = field(default="", repr=False)
    insecure: bool = False
    tls_server_name: str = ""
    proxy: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_file: str = ""
    basic: str = field(default="", repr=False)
    cert: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    plugin: ExecPlugin | None = None
    impersonate: Impersonation | None = None
    time_scale: float = 1.0


def time_scale(cluster: Entry) -> float:
    """How much faster time runs in a practice lab, as its kubeconfig says; 1 for every server not on loopback."""
    host = urlsplit(text_of(cluster, "server")).hostname or ""
    try:
        if not (host == "localhost" or ip_address(host).is_loopback):
            return 1.0
    except ValueError:
        return 1.0
    for extension in cluster.get("extensions") or []:
        if isinstance(extension, dict) and extension.get("name") == LAB_EXTENSION:
            value = (extension.get("extension") or {}).get("timeScale", 1)
            return float(value) if isinstance(value, int | float) and value > 0 else 1.0
    return 1.0


def without_userinfo(url: str) -> str:
    """`url` without the `user:password@` that a server's or a proxy's address may hold."""
    scheme, separator, rest = url.partition("://")
    return scheme + separator + rest.rpartition("@")[2] if separator else url


def resolve(merged: Merged, name: str) -> Endpoint:
    entry, _folder = merged.contexts[name]
    cluster_name, user_name = text_of(entry, "cluster"), text_of(entry, "user")

    def refuse(what: str, why: str = "", remedy: str = "") -> UsageError:
        return UsageError(what, object=_("context {context}").format(context=name), why=why, remedy=remedy)

    if cluster_name not in merged.clusters:
        raise refuse(_("The context names an unknown cluster: {name}.").format(name=cluster_name or '""'))
    if user_name not in merged.users:
        raise refuse(_("The context names an unknown user: {name}.").format(name=user_name or '""'))
    cluster, cluster_folder = merged.clusters[cluster_name]
    user, user_folder = merged.users[user_name]
    server = text_of(cluster, "server").rstrip("/")
    if urlsplit(server).scheme not in ("http", "https") or not urlsplit(server).hostname:
        raise refuse(_("The server of cluster {name} is not an http or https URL.").format(name=cluster_name))
    if user.get("auth-provider"):
        provider = user["auth-provider"]
        raise refuse(
            _("The user {name} logs in by auth-provider {provider}, which kubectl 1.26 gave up.").format(
                name=user_name, provider=text_of(provider, "name") if isinstance(provider, dict) else provider
            ),
            remedy=_("Use an exec credential plugin, e.g. kubelogin for oidc, gke-gcloud-auth-plugin for gcp."),
        )
    ca = _pem(cluster, "certificate-authority", cluster_folder, cluster_name, refuse)
    insecure = cluster.get("insecure-skip-tls-verify") is True
    if ca and insecure:
        raise refuse(
            _("The cluster {name} has a certificate authority and insecure-skip-tls-verify.").format(name=cluster_name),
            remedy=_("Keep one of the two."),
        )
    plugin = _plugin(user, user_folder, cluster, server, ca, name, refuse)
    endpoint = Endpoint(
        context=name,
        server=server,
        cluster=cluster_name,
        user=user_name,
        namespace=text_of(entry, "namespace") or "default",
        ca=ca,
        insecure=insecure,
        tls_server_name=text_of(cluster, "tls-server-name"),
        proxy=text_of(cluster, "proxy-url"),
        token=text_of(user, "token"),
        token_file=str(user_folder / text_of(user, "tokenFile")) if text_of(user, "tokenFile") else "",
        basic=f"{text_of(user, 'username')}:{text_of(user, 'password')}" if text_of(user, "username") else "",
        cert=_pem(user, "client-certificate", user_folder, user_name, refuse),
        key=_pem(user, "client-key", user_folder, user_name, refuse),
        plugin=plugin,
        impersonate=_impersonation(user, user_name, refuse),
        time_scale=time_scale(cluster),
    )
    if bool(endpoint.cert) != bool(endpoint.key):
        raise refuse(_("The user {name} has a client certificate or a key, but not both.").format(name=user_name))
    if endpoint.proxy.startswith("socks"):
        raise refuse(
            _("The proxy of cluster {name} is a SOCKS proxy, which the wizard cannot use.").format(name=cluster_name),
            remedy=_("Use an HTTP proxy, or forward a port with ssh -L and name it as server with tls-server-name."),
        )
    proven = endpoint.token or endpoint.token_file or endpoint.basic or endpoint.cert or endpoint.plugin
    if not proven and server.startswith("https:"):
        # Without this the client would go on as system:anonymous and every answer would be a puzzling 403.
        raise refuse(_("The user {name} has no credentials.").format(name=user_name))
    return endpoint


def _plugin(
    user: Entry, folder: Path, cluster: Entry, server: str, ca: str, context: str, refuse: Any
) -> ExecPlugin | None:
    entry = user.get("exec")
    if not entry or text_of(user, "token") or text_of(user, "tokenFile"):
        return None
    if not isinstance(entry, dict) or not text_of(entry, "command"):
        raise refuse(_("The exec plugin of the user has no command."))
    command = text_of(entry, "command")
    if os.sep in command:
        command = str(folder / command)
    pairs = [pair for pair in entry.get("env") or [] if isinstance(pair, dict)]
    plugin = ExecPlugin(
        command=command,
        context=shlex.quote(context),
        args=tuple(str(arg) for arg in entry.get("args") or []),
        env=tuple((text_of(pair, "name"), text_of(pair, "value")) for pair in pairs),
        api_version=text_of(entry, "apiVersion"),
        interactive_mode=text_of(entry, "interactiveMode") or "IfAvailable",
        install_hint=text_of(entry, "installHint"),
        cluster=cluster_info(server, cluster, ca) if entry.get("provideClusterInfo") is True else None,
    )
    if plugin.api_version not in API_VERSIONS:
        raise refuse(
            _("The credential plugin {name} speaks {version}, which no current kubectl understands.").format(
                name=plugin.name, version=plugin.api_version or '""'
            ),
            remedy=_("Set apiVersion to {version} and update the plugin.").format(version=API_VERSIONS[0]),
        )
    if plugin.interactive_mode == "Always" and not logged_in(plugin):
        raise NeedsTerminalError(plugin)
    return plugin


def _impersonation(user: Entry, name: str, refuse: Any) -> Impersonation | None:
    groups, extra = user.get("as-groups") or [], user.get("as-user-extra") or {}
    impersonated = Impersonation(
        user=text_of(user, "as"),
        uid=text_of(user, "as-uid"),
        groups=tuple(str(group) for group in groups),
        extra=tuple((str(key), str(value)) for key, values in extra.items() for value in values),
    )
    if impersonated == Impersonation(""):
        return None
    if not impersonated.user:
        raise refuse(_("The user {name} impersonates groups, but no user (as).").format(name=name))
    return impersonated


def _pem(entry: Entry, key: str, folder: Path, owner: str, refuse: Any) -> str:
    """PEM text of `key`: inline (`key-data`, which wins) or from the file it names, relative to the kubeconfig."""
    try:
        if data := text_of(entry, f"{key}-data"):
            return base64.b64decode("".join(data.split()), validate=True).decode()
        if path := text_of(entry, key):
            return (folder / path).read_text()
    except (binascii.Error, UnicodeDecodeError):
        raise refuse(_("{key} of {owner} is not base64 of PEM text.").format(key=f"{key}-data", owner=owner)) from None
    except OSError as error:
        raise refuse(
            _("{key} of {owner} cannot be read.").format(key=key, owner=owner),
            why=f"{folder / path}: {error.strerror}",
        ) from None
    return ""


def text_of(entry: Entry, key: str) -> str:
    value = entry.get(key)
    return "" if value is None else str(value)
