"""Who a request comes from: the client certificate of its connection.

A certificate that is expired or of another CA must not end the TLS handshake: a real API server completes it and
answers 401, so the decision is made here.
"""

from __future__ import annotations

import contextlib
import hashlib
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tui.lab.apiserver.call import ANONYMOUS, User
from tui.lab.apiserver.errors import unauthorized

_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which the ssl module has no name for
_HANDSHAKE, _CERTIFICATE = 22, 11  # the TLS content type and the message in it


def server_context(cert: Path, key: Path, client_ca: Path) -> ssl.SSLContext:
    """TLS that asks for a client certificate and takes any."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(client_ca))
    context.load_cert_chain(cert, key)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME) | ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols(["http/1.1"])
    if hasattr(context, "_msg_callback"):
        # The one way in which Python's ssl lets a certificate of an unknown CA pass: to trust it when it is presented.
        # That grants nothing: Authenticator decides by its own CA alone.
        setattr(context, "_msg_callback", _Presented(context))  # noqa: B010
    return context


class _Presented:
    """Lets the handshake go on for whatever client certificate a Certificate message holds."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._seen: set[bytes] = set()

    def __call__(self, _: Any, direction: str, version: int, content: int, message: int, data: bytes) -> None:
        if direction != "read" or content != _HANDSHAKE or message != _CERTIFICATE:
            return
        at = 4
        if version == ssl.TLSVersion.TLSv1_3:
            at += 1 + data[at]  # the request context
        if not int.from_bytes(data[at : at + 3], "big"):
            return
        size = int.from_bytes(data[at + 3 : at + 6], "big")
        der = data[at + 6 : at + 6 + size]
        if der not in self._seen:
            with contextlib.suppress(ssl.SSLError):  # one that cannot be read fails the handshake anyway
                self._context.load_verify_locations(cadata=der)
            self._seen.add(der)


class Authenticator:
    """Turns client certificates into users, against one CA."""

    def __init__(self, client_ca: Path) -> None:
        from cryptography import x509

        self._authorities = x509.load_pem_x509_certificates(client_ca.read_bytes())
        self._known: dict[bytes, tuple[User, datetime, datetime]] = {}

    def user_of(self, certificate: bytes | None, headers: Mapping[str, str]) -> User:
        """The user of a connection; anonymous without credentials, ApiError 401 with wrong ones."""
        if certificate:
            return self._user_of_certificate(certificate)
        if "Authorization" in headers:
            raise unauthorized()  # no tokens are issued here, so none is valid
        return ANONYMOUS

    def _user_of_certificate(self, certificate: bytes) -> User:
        if certificate not in self._known:
            self._known[certificate] = self._read(certificate)
        user, begins, ends = self._known[certificate]
        if not begins <= datetime.now(UTC) <= ends:
            raise unauthorized()
        return user

    def _read(self, der: bytes) -> tuple[User, datetime, datetime]:
        from cryptography import x509
        from cryptography.exceptions import InvalidSignature
        from cryptography.x509.oid import NameOID

        certificate = x509.load_der_x509_certificate(der)
        for authority in self._authorities:
            try:
                certificate.verify_directly_issued_by(authority)
                break
            except (InvalidSignature, ValueError, TypeError):
                continue
        else:
            raise unauthorized()

        def texts(oid: Any) -> tuple[str, ...]:
            return tuple(str(each.value) for each in certificate.subject.get_attributes_for_oid(oid))

        names = texts(NameOID.COMMON_NAME)
        if not names:
            raise unauthorized()
        groups = (*texts(NameOID.ORGANIZATION_NAME), "system:authenticated")
        extra = {"authentication.kubernetes.io/credential-id": ("X509SHA256=" + hashlib.sha256(der).hexdigest(),)}
        user = User(names[0], groups, extra)
        return user, certificate.not_valid_before_utc, certificate.not_valid_after_utc
