"""Who we are at one API server: the headers and the TLS context of each request, renewed as credentials
expire.

One TLS context serves REST calls and exec streams alike. A client key lies on disk only while it is loaded,
in a private folder, because Python reads keys from files alone.
"""

from __future__ import annotations

import base64
import ssl
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from tui.backend.endpoint import Endpoint
from tui.backend.exec_credentials import Credential, ExecCredentials
from tui.core.errors import UsageError
from tui.i18n import _

_TOKEN_FILE_S = 60.0  # projected service account tokens are rotated; client-go reads them again each minute


class Identity:
    """The credentials of one endpoint. Safe to use from several threads."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._plugin = ExecCredentials(endpoint.plugin) if endpoint.plugin else None
        self._lock = threading.Lock()
        self._tls: ssl.SSLContext | None = None
        self._tls_cert = ""
        self._file_token = ("", 0.0)

    def credential(self) -> Credential:
        """The credential to use now; an exec plugin runs where its last one has expired."""
        endpoint = self.endpoint
        if self._plugin:
            credential = self._plugin.get()
            if credential.cert or not endpoint.cert:
                return credential
            return Credential(credential.token, endpoint.cert, endpoint.key)
        token = self._read_token() if endpoint.token_file else endpoint.token
        return Credential(token, endpoint.cert, endpoint.key)

    def headers(self, credential: Credential) -> list[tuple[str, str]]:
        """Authorization and impersonation headers; a name may come several times."""
        found = []
        if credential.token:
            found.append(("Authorization", f"Bearer {credential.token}"))
        elif self.endpoint.basic:
            found.append(("Authorization", "Basic " + base64.b64encode(self.endpoint.basic.encode()).decode()))
        if as_ := self.endpoint.impersonate:
            found.append(("Impersonate-User", as_.user))
            found += [("Impersonate-Uid", as_.uid)] if as_.uid else []
            found += [("Impersonate-Group", group) for group in as_.groups]
            found += [(f"Impersonate-Extra-{quote(key, safe='')}", value) for key, value in as_.extra]
        return found

    def tls(self, credential: Credential) -> ssl.SSLContext | None:
        """The TLS context, the same object while the client certificate stays the same; None for plain HTTP."""
        if not self.endpoint.server.startswith("https:"):
            return None
        with self._lock:
            if self._tls is None or self._tls_cert != credential.cert:
                self._tls = _context(self.endpoint, credential)
                self._tls_cert = credential.cert
            return self._tls

    def renew(self, refused: Credential) -> bool:
        """After a 401: forget the credential; True where asking again may bring another one."""
        if self._plugin:
            self._plugin.drop(refused)
            return True
        with self._lock:
            self._file_token = ("", 0.0)
        return bool(self.endpoint.token_file) and self._read_token() != refused.token

    def _read_token(self) -> str:
        with self._lock:
            token, read_at = self._file_token
            if time.monotonic() - read_at < _TOKEN_FILE_S and token:
                return token
            try:
                token = Path(self.endpoint.token_file).read_text().strip() or token
            except OSError as error:
                if not (token := token or self.endpoint.token):
                    raise UsageError(
                        _("The token file of the context cannot be read."),
                        object=self.endpoint.token_file,
                        why=error.strerror or "",
                    ) from None
            self._file_token = (token, time.monotonic())
            return token


def _context(endpoint: Endpoint, credential: Credential) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if endpoint.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif endpoint.ca:
        try:
            context.load_verify_locations(cadata=endpoint.ca)
        except (ssl.SSLError, ValueError):
            raise _unusable(endpoint, _("The certificate authority of the cluster is not PEM.")) from None
    else:
        context.load_default_certs()
    if credential.cert:
        try:
            with tempfile.TemporaryDirectory(prefix="datakit-wizard-") as folder:  # mode 0700
                cert, key = Path(folder, "client.crt"), Path(folder, "client.key")
                cert.write_text(credential.cert)
                key.write_text(credential.key)
                # An encrypted key must not make OpenSSL ask for its password on the terminal.
                context.load_cert_chain(cert, key, password=lambda: b"")
        except (ssl.SSLError, ValueError):
            what = _("The client certificate and key of the context do not belong together, or are not PEM.")
            raise _unusable(endpoint, what) from None
    return context


def validity_problem(pem: str) -> str:
    """What is wrong with the dates of a client certificate, which TLS does not tell the client; "" if nothing is."""
    if not pem:
        return ""
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        return ""
    now = datetime.now(UTC)
    if certificate.not_valid_after_utc < now:
        return _("The client certificate expired on {date:%Y-%m-%d}.").format(date=certificate.not_valid_after_utc)
    if certificate.not_valid_before_utc > now:
        return _(
            "The client certificate is valid from {date:%Y-%m-%d %H:%M} UTC on; look at this machine's clock."
        ).format(date=certificate.not_valid_before_utc)
    return ""


def _unusable(endpoint: Endpoint, what: str) -> UsageError:
    return UsageError(what, object=_("context {context}").format(context=endpoint.context))
