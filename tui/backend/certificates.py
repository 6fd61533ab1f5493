"""The certificates for etcd as a node has them, looked at through its DataKit pod. Keys never leave the node."""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tui.backend.agent import UNUSABLE_PAIR, DataKitAgent
from tui.core.errors import WizardError
from tui.core.ports import Agent, Certificate, CertificateFile, NodeCertificates
from tui.i18n import _

_USAGES = {ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth", ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth"}
# curl loads certificate and key before it shakes hands: these failures come after that.
_AFTER_LOADING = (35, 52, 56, 60)


class NodeCertificateReader:
    """`tui.core.ports.Certificates` by commands in the pod: test, cat of certificates, and curl."""

    def read(self, agent: Agent, *, ca: str, cert: str, key: str, url: str) -> NodeCertificates:
        """Look at three files (paths inside the container) on one node, and try them against `url`.

        The key is only tested for being readable; whether it belongs to the certificate, curl says there.
        """
        if not isinstance(agent, DataKitAgent):
            raise TypeError("certificates are read through a DataKitAgent")
        files = (
            _certificate_file(agent, ca),
            _certificate_file(agent, cert),
            _file(key, agent.access(key)) if key else CertificateFile(key, present=False),
        )
        unusable = [file for file in files if file.path and not file.readable]
        if unusable or not url:
            return NodeCertificates(agent.node, *files, pair_matches=None, answers=0)
        code, answer = agent.fetch(url, ca=ca, cert=cert, key=key)
        pair: bool | None = None
        if code == UNUSABLE_PAIR:
            pair = False
        elif code == 0 or code in _AFTER_LOADING:
            pair = True if url.startswith("https:") else None
        status = answer.status if code == 0 else 0
        return NodeCertificates(agent.node, *files, pair_matches=pair, answers=status, problem=answer.error)


def _file(path: str, access: bool | None) -> CertificateFile:
    if access is None:
        return CertificateFile(path, present=False, problem=_("not there"))
    problem = "" if access else _("not readable")
    return CertificateFile(path, present=True, readable=access, problem=problem)


def _certificate_file(agent: DataKitAgent, path: str) -> CertificateFile:
    if not path:
        return CertificateFile(path, present=False)
    file = _file(path, agent.access(path))
    if not file.readable:
        return file
    try:
        content = agent.file(path)
    except WizardError as error:
        return CertificateFile(path, present=True, problem=" ".join(filter(None, (error.what, error.why))))
    if content is None:
        return CertificateFile(path, present=True, problem=_("a directory, or gone since"))
    try:
        found = tuple(parse_certificate(each) for each in x509.load_pem_x509_certificates(content))
    except ValueError:
        return CertificateFile(path, present=True, readable=True, problem=_("not a PEM certificate"))
    return CertificateFile(path, present=True, readable=True, certificates=found, changed_s=agent.changed_s(path))


def parse_certificate(certificate: x509.Certificate) -> Certificate:
    """What the checks need of an X.509 certificate."""

    def extension(kind: type[x509.ExtensionType]) -> x509.ExtensionType | None:
        try:
            return certificate.extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None

    names = extension(x509.SubjectAlternativeName)
    usages = extension(x509.ExtendedKeyUsage)
    constraints = extension(x509.BasicConstraints)
    return Certificate(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        sans=tuple(str(name.value) for name in names) if isinstance(names, x509.SubjectAlternativeName) else (),
        usages=tuple(_USAGES.get(usage, usage.dotted_string) for usage in usages)
        if isinstance(usages, x509.ExtendedKeyUsage)
        else (),
        not_before_s=certificate.not_valid_before_utc.timestamp(),
        not_after_s=certificate.not_valid_after_utc.timestamp(),
        is_ca=isinstance(constraints, x509.BasicConstraints) and constraints.ca,
    )
