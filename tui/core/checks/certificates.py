"""Checks of the client's three files on each node that collects: there, in date, a pair, and the server's own name."""

from __future__ import annotations

from datetime import UTC, datetime

from tui.core.checks.cluster import names, no_exec
from tui.core.checks.etcd import apply_command
from tui.core.checks.facts import Facts
from tui.core.checks.finding import Finding, failed, not_needed, passed, skipped
from tui.core.checks.model import Expiry
from tui.core.errors import WizardError
from tui.core.ports import CertificateFile, NodeCertificates
from tui.core.prom.conf import PromInput
from tui.core.survey import AgentPod
from tui.i18n import _

EXPIRES_SOON_S = 30 * 86400.0


def _each_certificate(facts: Facts) -> list[tuple[AgentPod, PromInput, NodeCertificates]]:
    """One look at the files on each node that collects, for inputs that name files."""
    looks = []
    for pod in facts.collecting_pods:
        for found in facts.etcd_inputs(pod.node):
            if found.files():
                looks += [(pod, found, facts.certificates(pod, found, url)) for url in found.urls[:1]]
    return looks


def _no_certificates(facts: Facts) -> Finding | None:
    """The outcome of a certificate check where there is nothing to look at, else None."""
    if not any(i.files() for i in facts.etcd_inputs()):
        return not_needed(_("The conf names no certificates: plain HTTP."))
    if not facts.may_exec:
        return no_exec(facts)
    if not facts.collecting_pods:
        return skipped(_("No ready DataKit collects etcd."))
    return None


def readable(facts: Facts) -> Finding:
    """The files are there and readable on every node that collects."""
    nothing = _no_certificates(facts)
    if nothing:
        return nothing
    bad = [
        f"{pod.node}: {file.path} ({file.problem or (_('missing') if not file.present else _('not readable'))})"
        for pod, _found, seen in _each_certificate(facts)
        for file in (seen.ca, seen.cert, seen.key)
        if file.path and not (file.present and file.readable)
    ]
    if bad:
        return failed(
            _("not readable: {files}").format(files=names(bad)),
            causes=tuple(bad),
            object=bad[0].split(":")[0],
            remedy=_("Mount the directory, or use the paths below /rootfs."),
            command=apply_command(facts),
        )
    return passed(_("readable on {nodes}").format(nodes=names([pod.node for pod, _f, _s in _each_certificate(facts)])))


def dates(facts: Facts) -> Finding:
    """No certificate is expired, or will be soon."""
    nothing = _no_certificates(facts)
    if nothing:
        return nothing
    now = facts.now()
    expired, soon, newest = [], [], 0.0
    for pod, _found, seen in _each_certificate(facts):
        for file in (seen.ca, seen.cert):
            for certificate in file.certificates:
                day = f"{datetime.fromtimestamp(certificate.not_after_s, UTC):%Y-%m-%d}"
                text = f"{pod.node}: {file.path} {day}"
                newest = max(newest, certificate.not_after_s)
                if certificate.not_after_s < now or certificate.not_before_s > now:
                    expired.append(text)
                elif certificate.not_after_s < now + EXPIRES_SOON_S:
                    soon.append(text)
    if expired:
        return failed(
            _("expired, or not valid yet: {files}").format(files=names(expired)),
            causes=tuple(expired),
            object=expired[0].split(":")[0],
            remedy=_("Renew it (kubeadm certs renew), then restart the DataKit pods: they read files once."),
            command="kubeadm certs check-expiration",
        )
    if soon:
        return failed(
            _("expires within 30 days: {files}").format(files=names(soon)),
            causes=tuple(soon),
            remedy=_("Renew it (kubeadm certs renew), then restart the DataKit pods: they read files once."),
            status="warn",
        )
    if not newest:
        return skipped(_("No certificate could be read."))
    return passed(_("valid until {day}").format(day=f"{datetime.fromtimestamp(newest, UTC):%Y-%m-%d}"))


def expiries(facts: Facts) -> tuple[Expiry, ...]:
    """When each certificate ends that the conf names, on each node that collects; empty where none can be read."""
    try:
        if _no_certificates(facts):
            return ()
        looks = _each_certificate(facts)
    except WizardError:
        return ()
    found = {
        (pod.node, file.path): min(certificate.not_after_s for certificate in file.certificates)
        for pod, _found, seen in looks
        for file in (seen.ca, seen.cert)
        if file.certificates
    }
    return tuple(Expiry(facts.cluster.context, node, path, ends) for (node, path), ends in sorted(found.items()))


def renewed(facts: Facts) -> Finding:
    """DataKit runs with the files as they are now: it reads them once, when the input starts.

    Told by the time of the file, not by notBefore: kubeadm gives what it renews the notBefore of its authority. What
    the agent really holds cannot be asked; a file that was only touched looks like one with another certificate.
    """
    nothing = _no_certificates(facts)
    if nothing:
        return nothing
    stale, known = [], False
    for pod, _found, seen in _each_certificate(facts):
        started = facts.started_s(pod)
        for file in (seen.ca, seen.cert):
            if started is None or file.changed_s is None:
                continue
            known = True
            if file.changed_s > started + 1.0:  # both are whole seconds
                day = f"{datetime.fromtimestamp(file.changed_s, UTC):%Y-%m-%d %H:%M:%S}"
                stale.append(f"{pod.node}: {file.path} {day}")
    if stale:
        return failed(
            _("written after DataKit started: {files}").format(files=names(stale)),
            looked_at=_("the files' times, and when the containers started"),
            causes=(
                _("DataKit reads certificates once: it goes on with the old ones until they expire, and fails then."),
            ),
            object=stale[0].split(":")[0],
            remedy=_("Restart the DataKit pods."),
            command=(
                f"kubectl --context {facts.cluster.context} -n {facts.datakit.namespace} "
                f"rollout restart daemonset/{facts.datakit.name}"
            ),
        )
    if not known:
        return not_needed(_("The files' times are not known."))
    return passed(_("older than DataKit's containers"))


def pair(facts: Facts) -> Finding:
    """Certificate and key belong together, and may be used by a client."""
    nothing = _no_certificates(facts)
    if nothing:
        return nothing
    looks = _each_certificate(facts)
    wrong = [f"{pod.node}: {seen.cert.path}" for pod, _f, seen in looks if seen.pair_matches is False]
    if wrong:
        return failed(
            _("certificate and key do not belong together: {files}").format(files=names(wrong)),
            object=wrong[0].split(":")[0],
            remedy=_("Name a pair that was issued together."),
        )
    servers = [
        f"{pod.node}: {seen.cert.path}"
        for pod, _f, seen in looks
        if seen.cert.certificates and seen.cert.certificates[0].usages and not _is_client(seen.cert)
    ]
    if servers:
        return failed(
            _("not for clients (no clientAuth): {files}").format(files=names(servers)),
            object=servers[0].split(":")[0],
            remedy=_("Use a client certificate, such as healthcheck-client."),
        )
    if any(seen.pair_matches is None for _p, _f, seen in looks):
        return skipped(_("The pair could not be tried."))
    return passed(_("certificate and key belong together"))


def _is_client(file: CertificateFile) -> bool:
    return "clientAuth" in file.certificates[0].usages


def ca(facts: Facts) -> Finding:
    """The server is verified: the conf names a CA."""
    if not any(found.files() for found in facts.etcd_inputs()):
        return not_needed(_("The conf names no certificates: plain HTTP."))
    without = [url for found in facts.etcd_inputs() if found.files() and not found.tls.ca for url in found.urls]
    if without:
        return failed(
            _("not verified: {urls}").format(urls=names(without)),
            object=facts.etcd_conf.path if facts.etcd_conf else "",
            causes=(_("Without tls_ca DataKit shows its client certificate to whoever answers there."),),
            remedy=_("Set tls_ca to etcd's ca.crt, beside the certificate."),
            status="warn",
        )
    return passed(_("the conf names etcd's CA"))


def purpose(facts: Facts) -> Finding:
    """The client's certificate is for clients alone; kubeadm's peer and server certificates can act as a member, too.

    As kubeadm issues them (cmd/kubeadm/app/phases/certs/certlist.go).
    """
    nothing = _no_certificates(facts)
    if nothing:
        return nothing
    serving = [
        f"{pod.node}: {seen.cert.path}"
        for pod, _found, seen in _each_certificate(facts)
        if seen.cert.certificates and "serverAuth" in seen.cert.certificates[0].usages
    ]
    if serving:
        return failed(
            _("may serve as well: {files}").format(files=names(serving)),
            object=serving[0].split(":")[0],
            causes=(_("It is a certificate of etcd's own: whoever has it can act as a member."),),
            remedy=_("Use a certificate for clients alone, such as healthcheck-client."),
            status="warn",
        )
    return passed(_("for clients alone"))


def san(facts: Facts) -> Finding:
    """The server's certificate names the host of the URL, where the server is verified."""
    nothing = _no_certificates(facts)
    if nothing:
        return nothing
    unverified = True
    for pod, found, seen in _each_certificate(facts):
        unverified = unverified and not found.tls.ca
        if found.tls.ca and not seen.answers and _is_name_problem(seen.problem):
            return failed(
                _("the server's certificate does not name the host of {url}").format(url=found.urls[0]),
                object=pod.node,
                causes=(seen.problem,),
                remedy=_("Use an address that the certificate names: kubeadm's name 127.0.0.1 and the node's address."),
            )
    if unverified:
        return not_needed(_("The conf names no CA: the server is not verified at all."))
    return passed(_("the server is who the URL says"))


def _is_name_problem(problem: str) -> bool:
    text = problem.lower()
    return any(word in text for word in ("subject name", "alternative", "hostname", "host name"))
