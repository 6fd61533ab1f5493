"""The etcd.conf that we write: a `[[inputs.prom]]` block for DataKit, with comments that teach."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import urlsplit

from tui.core.answers import Answers, CertificateAnswers
from tui.core.errors import UsageError
from tui.core.etcd_presets import LOST_VALUES, PRESETS, TUTORIAL, TUTORIAL_URL, Preset
from tui.core.platforms import CertificateSet, in_directory
from tui.core.toml_text import literal
from tui.core.topology import Topology, is_loopback
from tui.i18n import _, writing_in

ROOTFS = "/rootfs"  # where DataKit's own manifest mounts the node's file system
SECRET_DIRECTORY = "/etc/datakit-etcd"  # where the Secret with the certificates is mounted
SECRET_FILES = ("ca.crt", "tls.crt", "tls.key")
KEY = "etcd.conf"  # in the ConfigMap datakit-conf
PATH = "/usr/local/datakit/conf.d/etcd/etcd.conf"  # in the container
SOURCE = "etcd"


def from_answers(answers: Answers, topology: Topology) -> str:
    """The etcd.conf that the answers ask for in this cluster; "" with strategy none.

    A text given in the answers is taken as it is. Raises UsageError where the strategy has nothing to scrape.
    """
    etcd = answers.etcd
    if etcd.conf:
        return etcd.conf
    # The comments are in the answers' language, not the screen's: the same answers must always give the same text.
    with writing_in(answers.views.lang):
        return render(
            etcd.strategy,
            etcd.preset,
            urls=etcd.urls or topology.urls(etcd.strategy),
            cluster_name=answers.cluster.name,
            certificates=client_files(answers.certificates, topology),
        )


def client_files(certificates: CertificateAnswers, topology: Topology) -> CertificateSet | None:
    """The client's three files as paths inside the DataKit container; None where none are used."""
    if certificates.source == "none":
        return None
    if certificates.source == "secret":
        return in_directory(SECRET_DIRECTORY, *SECRET_FILES)
    known = topology.certificates[0] if topology.certificates else None
    path = certificates.path.rstrip("/")
    if known is None:
        if not path:
            raise UsageError(
                _("It is not known where this cluster keeps etcd's certificates."),
                object="[certificates] path",
                remedy=_("Name the directory on the nodes, or a Secret, or choose a strategy without certificates."),
            )
        known = in_directory(path, "ca.crt", "healthcheck-client.crt", "healthcheck-client.key")
    elif path:
        known = known.moved(known.directory, path)
    if certificates.source == "rootfs":
        return CertificateSet(*(ROOTFS + name for name in (known.directory, known.ca, known.cert, known.key)))
    return known


def render(
    strategy: str,
    preset: str,
    *,
    urls: Sequence[str],
    cluster_name: str,
    certificates: CertificateSet | None = None,
    interval: str = "60s",
) -> str:
    """The text of etcd.conf; "" with strategy none. Its comments are in the language in use.

    `urls` is what the strategy scrapes (one loopback URL with node-*), `certificates` are paths inside the
    container, used where a URL is https. Strategy tutorial takes the first URL and ignores the rest, as the
    tutorial does. Raises UsageError where a part is missing.
    """
    if strategy == "none":
        return ""
    if not urls:
        raise UsageError(
            _("No etcd member is known, so there is nothing to scrape with strategy {strategy}.").format(
                strategy=strategy
            ),
            object="[etcd] urls",
            remedy=_("Give the members' URLs, or choose another strategy."),
        )
    chosen = PRESETS[preset]
    if strategy == "tutorial":
        return _to_the_letter(urls[0], chosen)
    local = strategy.startswith("node-")
    secure = any(url.startswith("https://") for url in urls)
    if local and not all(is_loopback(url) or "$" in url for url in urls):
        raise UsageError(
            _("With strategy {strategy} every node reads itself, so the URL must be a loopback one.").format(
                strategy=strategy
            ),
            object="[etcd] urls",
            remedy=_("Use an address on 127.0.0.1, or strategy elected for other addresses."),
        )
    if secure and certificates is None:
        raise UsageError(
            _("These URLs are https, and etcd answers only to a client certificate."),
            object="[certificates] from",
            remedy=_("Say where the certificates come from, or choose node-http."),
        )
    parts = [
        _header(strategy, preset),
        _target(urls, local),
        _timing(interval, local),
        _filter(preset, chosen),
        _tls(certificates) if secure and certificates else _no_tls(),
        _rule(chosen),
        _tags(urls, cluster_name, local),
    ]
    return "\n".join(parts)


def _comment(*lines: str, indent: str = "  ") -> str:
    return "".join(f"{indent}## {line}\n" for text in lines for line in text.split("\n"))


def _header(strategy: str, preset: str) -> str:
    return (
        _comment(
            _("Written by DataKit Wizard: strategy {strategy}, preset {preset}.").format(
                strategy=strategy, preset=preset
            ),
            indent="",
        )
        + "[[inputs.prom]]"
    )


def _target(urls: Sequence[str], local: bool) -> str:
    if local:
        why = _("Each node reads the etcd member that runs on it.")
    else:
        why = _("Every etcd member. One DataKit reads them all, one after another.")
    return f'{_comment(why)}  urls = {literal(list(urls))}\n\n{_comment(_source())}  source = "{SOURCE}"\n'


def _source() -> str:
    return _("Alias: the tag job of the measurement collector, whose field up says whether etcd answered.")


def _timing(interval: str, local: bool) -> str:
    if local:
        why = _(
            "false: every DataKit collects, on every node. It must stand above the tables below,\n"
            "or it would be taken for a tag and the whole block would be dropped."
        )
    else:
        why = _(
            "true: only the elected DataKit collects; it needs the certificates on its node.\n"
            "It must stand above the tables below, or the whole block would be dropped."
        )
    return (
        f"{_comment(_('Collection interval, from 1s to 5m.'))}  interval = {literal(interval)}\n\n"
        f"{_comment(why)}  election = {literal(not local)}\n"
    )


def _array(key: str, values: Sequence[str]) -> str:
    if len(literal(list(values))) <= 70:
        return f"  {key} = {literal(list(values))}\n"
    return f"  {key} = [\n" + "".join(f"    {literal(value)},\n" for value in values) + "  ]\n"


def _filter(preset: str, chosen: Preset) -> str:
    text = _comment(_("Types of metrics to keep; empty keeps all. Latency panels need histogram."))
    text += _array("metric_types", chosen.types)
    text += "\n" + _comment(
        _(
            "Names to keep: Go regular expressions, found anywhere in the name of the family\n"
            "(never with _bucket, _sum or _count); empty keeps all."
        )
    )
    if preset == "recommended":
        lost = " ".join(LOST_VALUES)
        text += _comment(_("Left out, since the rule below would lose their values:") + "\n" + lost)
    text += _array("metric_name_filter", chosen.names)
    if chosen.ignore:
        text += "\n" + _comment(
            _("Names to drop, checked first: many series that stay 0, and values the rule below would lose.")
        )
        text += _array("metric_name_filter_ignore", chosen.ignore)
    return text


def _tls(files: CertificateSet) -> str:
    return (
        _comment(
            _("With a CA the server is verified; without one anything would be believed."),
            _("The client's certificate: one that may do no more than read is enough."),
        )
        + "  tls_open = true\n"
        + f"  tls_ca = {literal(files.ca)}\n"
        + f"  tls_cert = {literal(files.cert)}\n"
        + f"  tls_key = {literal(files.key)}\n"
    )


def _no_tls() -> str:
    return f"{_comment(_('Plain HTTP: no certificates.'))}  tls_open = false\n"


def _rule(chosen: Preset) -> str:
    text = ""
    if chosen.measurement:
        text += _comment(_("Measurement of what the rule below does not match, under its full name."))
        text += f"  measurement_name = {literal(chosen.measurement)}\n\n"
    text += _comment(_("etcd_server_has_leader becomes field server_has_leader of measurement etcd."))
    return text + '  [[inputs.prom.measurements]]\n    prefix = "etcd_"\n    name = "etcd"\n'


def _tags(urls: Sequence[str], cluster_name: str, local: bool) -> str:
    if not cluster_name and not local:
        return ""
    text = "  [inputs.prom.tags]\n"
    if cluster_name:
        text += _comment(_("All views filter on this tag."), indent="    ")
        text += f"    cluster_name_k8s = {literal(cluster_name)}\n"
    if local:
        parts = urlsplit(urls[0])
        port = parts.port or (443 if parts.scheme == "https" else 80)
        text += _comment(
            _("Tells the members apart: the loopback address is the same on each.\nDataKit fills in the node's name."),
            indent="    ",
        )
        text += f'    instance = "${{ENV_K8S_NODE_NAME}}:{port}"\n'
    return text


def _to_the_letter(url: str, chosen: Preset) -> str:
    """The tutorial's text with the member's URL, and with another filter only if another preset is chosen."""
    text = TUTORIAL.replace(TUTORIAL_URL, url)
    tutorial = PRESETS["tutorial"]
    if chosen == tutorial:
        return text
    text = text.replace('metric_types = ["counter", "gauge"]', f"metric_types = {literal(list(chosen.types))}")
    names = json.dumps(tutorial.names, separators=(",", ":"))
    old = f"metric_name_filter = {names}"
    new = f"metric_name_filter = {literal(list(chosen.names))}"
    if chosen.ignore:
        new += f"\n  metric_name_filter_ignore = {literal(list(chosen.ignore))}"
    text = text.replace(old, new)
    return text.replace('# measurement_name = "prom"', f"measurement_name = {literal(chosen.measurement)}")


def equivalent(one: str, other: str) -> bool:
    """Whether two texts hold the same values, comments and layout aside; what is no TOML must be equal."""
    import tomllib

    if one == other:
        return True
    try:
        return tomllib.loads(one) == tomllib.loads(other)
    except tomllib.TOMLDecodeError:
        return False
