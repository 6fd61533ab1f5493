"""What went wrong at the API server, in words: HTTP statuses and failed connections as errors of the wizard."""

from __future__ import annotations

import json
import re
import socket
import ssl
from typing import Any

import urllib3.exceptions as u3

from tui.core.errors import (
    ConflictError,
    DeadlineError,
    FieldConflict,
    ForbiddenError,
    NotFoundError,
    StaleError,
    UnreachableError,
    WizardError,
)
from tui.core.rights import role_snippet
from tui.i18n import _

_CANNOT = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)" '
    r'in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)
_MANAGER = re.compile(r'^conflict with "(?P<manager>.*?)"(?: with subresource "[^"]*")?(?: using \S+)?$')


class CredentialsRefusedError(UnreachableError):
    """HTTP 401: another credential may be accepted."""


def status_error(status: int, body: bytes | str | None, *, object: str, server: str) -> WizardError:
    """The error for an answer that is not 2xx; `object` names what was asked for, e.g. "configmaps datakit/conf"."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body or ""
    answer = _status_object(text)
    message = str(answer.get("message") or "").strip() if answer else text.strip()[:500]
    details = answer.get("details") if answer else None
    details = details if isinstance(details, dict) else {}
    causes = [cause for cause in details.get("causes") or [] if isinstance(cause, dict)]
    if status == 401:
        return CredentialsRefusedError(
            _("The API server does not accept the credentials: they are expired or wrong."),
            object=server,
            why=message,
            remedy=_("Log in again or get a new kubeconfig; a certificate may have expired."),
        )
    if status == 400 and "HTTP request to an HTTPS server" in text:
        return UnreachableError(
            _("The server speaks HTTPS, the kubeconfig says http."),
            object=server,
            remedy=_("Write https://."),
        )
    if status == 403:
        return _forbidden(message, details, object, server)
    if answer is None and status < 500:
        what = _("What answers at this address is not a Kubernetes API server (HTTP {status}).")
        return UnreachableError(what.format(status=status), object=server, why=message)
    if status == 404:
        return NotFoundError(_("The object does not exist."), object=object, why=message)
    if status == 409:
        return _conflict(message, causes, object)
    if status == 422 and any(cause.get("field") == "metadata.uid" for cause in causes):
        what = _("The object was deleted and made again since it was reviewed.")
        return StaleError(what, object=object, why=message, remedy=_("Look at the plan again."))
    if status == 410:
        return StaleError(_("The API server no longer holds that version."), object=object, why=message)
    if status == 500 and message.startswith("failed to create typed patch object"):
        # A server-side apply with a field that does not exist is answered so (kube-apiserver 1.36).
        return WizardError(_("The API server refuses the object as invalid."), object=object, why=message)
    if status in (429, 500, 502, 503, 504):
        what = _("The API server could not answer (HTTP {status}).").format(status=status)
        return UnreachableError(what, object=object or server, why=message, remedy=_("Try again in a while."))
    what = _("The API server refuses the request (HTTP {status}).").format(status=status)
    return WizardError(what, object=object, why=message)


def _status_object(text: str) -> dict[str, Any] | None:
    try:
        answer = json.loads(text)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) and answer.get("kind") == "Status" else None


def _conflict(message: str, causes: list[dict[str, Any]], object: str) -> WizardError:
    owned = [cause for cause in causes if cause.get("reason") == "FieldManagerConflict"]
    if not owned:
        return StaleError(
            _("The object changed since it was reviewed."),
            object=object,
            why=message,
            remedy=_("Look at the plan again."),
        )
    conflicts = []
    for cause in owned:
        match = _MANAGER.match(str(cause.get("message", "")))
        manager = match["manager"] if match else str(cause.get("message", ""))
        conflicts.append(FieldConflict(str(cause.get("field", "")), manager))
    return ConflictError(
        _("Others own fields that this would change."),
        conflicts=conflicts,
        object=object,
        remedy=_("Ask their owner to change them, or force these fields knowingly."),
    )


def _forbidden(message: str, details: dict[str, Any], object: str, server: str) -> WizardError:
    match = _CANNOT.search(message)
    name = str(details.get("name") or "")
    if match:
        user, verb, group, namespace = match["user"], match["verb"], match["group"], match["namespace"] or ""
        resource = match["resource"]
        if user == "system:anonymous":
            what = _("The API server took us for nobody: the context's credentials were not accepted.")
            return UnreachableError(what, object=server, why=message)
    elif message.endswith("is forbidden:") and details.get("kind") == "pods":
        # exec by websocket needs get and create; without create the text ends here (kube-apiserver 1.36).
        user, verb, group, namespace, resource = "", "get,create", "", _namespace(object), "pods/exec"
    else:
        return ForbiddenError(_("The API server forbids this."), object=object or server, why=message)
    full = (
        resource if not group else f"{resource.partition('/')[0]}.{group}" + resource[len(resource.partition("/")[0]) :]
    )
    if namespace:
        what = _("You lack a right: {verb} {resource} in namespace {namespace}")
    else:
        what = _("You lack a right: {verb} {resource}")
    return ForbiddenError(
        what.format(verb=verb, resource=full, namespace=namespace),
        object=object,
        why=message,
        remedy=_("Ask an administrator for it; this grants it:"),
        command=role_snippet(verb, full, namespace, name if verb not in ("list", "watch", "create") else "", user),
    )


def _namespace(object: str) -> str:
    return object.rpartition(" ")[2].partition("/")[0]


def connection_error(error: Exception, server: str, proxy: str, *, writing: str = "") -> WizardError:
    """The error for a connection that failed.

    `writing` names the object of a change: where its request was sent and no answer came, the outcome is
    unknown, which is a DeadlineError; all else is an UnreachableError.
    """
    reason: BaseException = error
    while isinstance(reason, u3.MaxRetryError) and reason.reason is not None:
        reason = reason.reason

    def unreachable(what: str, why: str = "", remedy: str = "") -> UnreachableError:
        return UnreachableError(what, object=server, why=why, remedy=remedy)

    verification = _certificate_error(reason)
    if isinstance(reason, u3.ProxyError):
        what = _("The proxy {proxy} cannot be used.").format(proxy=proxy or "?")
        return unreachable(what, _cause(reason), _("Look at proxy-url in the kubeconfig and at HTTPS_PROXY, NO_PROXY."))
    if verification is not None:
        return _untrusted(verification, server)
    if isinstance(reason, u3.SSLError | ssl.SSLError):
        what = _("No TLS connection to the API server.")
        return unreachable(what, _cause(reason), _("Does the server speak plain HTTP, or ask for a certificate?"))
    if isinstance(reason, u3.NameResolutionError | socket.gaierror):
        host = re.sub(r":\d+$", "", server.partition("://")[2].partition("/")[0])
        what = _("The name of the API server cannot be resolved: {host}").format(host=host)
        return unreachable(what, remedy=_("Is the VPN up? Is the name right?"))
    if isinstance(reason, u3.NewConnectionError | ConnectionRefusedError):
        what = _("No connection to the API server.")
        return unreachable(what, _cause(reason), _("Is the cluster up, and is this its address?"))
    if isinstance(reason, u3.ConnectTimeoutError):
        what = _("The API server does not answer: no connection in time.")
        return unreachable(what, remedy=_("Is the VPN up? A firewall may drop the packets."))
    if writing:
        return DeadlineError(
            _("The outcome is unknown: the API server did not answer the change."),
            object=writing,
            why=_cause(reason),
            remedy=_("Look at the plan again: it shows whether the change was made."),
        )
    if isinstance(reason, u3.ReadTimeoutError | TimeoutError):
        return unreachable(_("The API server took the request but did not answer in time."))
    return unreachable(_("The connection to the API server broke."), _cause(reason))


def _certificate_error(reason: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """The failed verification somewhere in the chain of an error."""
    for _step in range(6):
        if reason is None or isinstance(reason, ssl.SSLCertVerificationError):
            return reason
        inner = next((arg for arg in reason.args if isinstance(arg, BaseException)), None)
        reason = inner or reason.__cause__ or reason.__context__
    return None


def _untrusted(error: ssl.SSLCertVerificationError, server: str) -> UnreachableError:
    why = error.verify_message or str(error)
    if "ostname mismatch" in why or "IP address mismatch" in why:
        what = _("The API server's certificate is for another name.")
        remedy = _("Use a name that the certificate holds as server, or set tls-server-name in the kubeconfig.")
    elif "expired" in why or "not yet valid" in why:
        what = _("The API server's certificate is out of date, or this machine's clock is wrong.")
        remedy = _("Renew it on the cluster, or set the clock.")
    else:
        what = _("The API server's certificate is not signed by the authority that the kubeconfig names.")
        remedy = _("Get a fresh kubeconfig of this cluster; something may also stand between you and the cluster.")
    return UnreachableError(what, object=server, why=why, remedy=remedy)


def _cause(reason: BaseException) -> str:
    """The innermost words of a connection error, without the pool objects that urllib3 prints."""
    for arg in reason.args:
        if isinstance(arg, OSError) and arg.strerror:
            return arg.strerror
    text = str(reason.args[-1]) if reason.args else type(reason).__name__
    return re.sub(r"<[^>]*>:? ?|^\S*HTTPS?Connection\S*: ", "", text)[:300]
