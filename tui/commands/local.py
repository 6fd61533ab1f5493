"""preview, rbac and info: what needs no change anywhere, and mostly no cluster."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

from tui.commands.connection import contexts, say, studio_settings
from tui.core import settings
from tui.core.errors import Exit, UnreachableError, UsageError, WizardError
from tui.i18n import _, assets, language

LARGEST_CONF = 1 << 20  # as much as a ConfigMap holds
SCRAPE_TIMEOUT_S = 30


def _read(name: str, what: str, limit: int) -> bytes:
    """The file, or stdin, up to one byte more than `limit`: who sees that many knows that it is too large."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(limit + 1)
        with Path(name).open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise UsageError(
            _("{what} cannot be read.").format(what=what), object=name, why=error.strerror or type(error).__name__
        ) from None


def _conf(name: str) -> str:
    content = _read(name, _("The conf"), LARGEST_CONF)
    if len(content) > LARGEST_CONF:
        raise UsageError(_("The conf is larger than a ConfigMap can hold."), object=name)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(_("The conf is not UTF-8 text."), object=name, why=str(error.reason)) from None


def preview(options: argparse.Namespace) -> int:
    """Print the points that a conf makes of one scrape; exit status 1 if the conf would not load."""
    from tui.core.prom import preview_report as report
    from tui.core.prom.against import compare
    from tui.core.prom.collector import Scrape
    from tui.core.prom.exposition import MAX_BYTES
    from tui.core.prom.preview import Preview
    from tui.core.prom.preview import preview as previewed
    from tui.core.prom.settings import Pod

    if [options.conf, options.metrics, options.against].count("-") > 1:
        raise UsageError(_("Only one of CONF, METRICS and CONF2 can be stdin."))
    conf = _conf(options.conf)
    conf2 = _conf(options.against) if options.against else ""
    is_url = options.metrics.lower().startswith(("http://", "https://"))
    if is_url:
        body, status = _get(options.metrics, MAX_BYTES)
        scrape = Scrape(body, status)
    else:
        scrape = Scrape(_read(options.metrics, _("The scrape"), MAX_BYTES), options.status)
    env = dict(options.env)
    names = ("IP", "NAMESPACE", "PODNAME", "NODENAME")
    pod = Pod(*(env.get(name, f"${name}") for name in names)) if options.annotation else None
    now_ms = int(time.time() * 1000)

    def made_of(text: str) -> Preview:
        return previewed(
            text,
            lambda _url: scrape,
            url=options.url or (options.metrics if is_url else ""),
            host_tags=dict(options.host_tag),
            election_tags=dict(options.election_tag),
            env=env,
            now_ms=now_ms,
            pod=pod,
        )

    made = made_of(conf)
    difference = compare(made_of(conf2), made) if options.against else None
    if options.output == "json":
        print(json.dumps(report.to_json(made, difference), ensure_ascii=False))
    elif options.output == "lp":
        sys.stdout.write(report.to_line_protocol(made))
    elif difference:
        sys.stdout.write(report.difference_text(difference, options.against, options.conf))
    else:
        sys.stdout.write(report.to_text(made))
    return Exit.OK if made.loaded else Exit.DECIDED_AGAINST


def _get(url: str, limit: int) -> tuple[bytes, int]:
    """One scrape over the network, of at most `limit` bytes and one. Its certificate is verified; a conf's own
    certificates are not used here.
    """
    import http.client
    import urllib.error
    import urllib.request

    from tui.core.prom.urls import shown

    request = urllib.request.Request(url, headers={"User-Agent": "datakit-wizard"})
    try:
        with urllib.request.urlopen(request, timeout=SCRAPE_TIMEOUT_S) as answer:
            return answer.read(limit + 1), answer.status
    except urllib.error.HTTPError as error:
        return error.read(limit + 1), error.code
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        # What the library says of a URL that it cannot read may repeat a password.
        reason = getattr(error, "reason", error) if isinstance(error, OSError) else type(error).__name__
        raise UnreachableError(
            _("The scrape's address does not answer."),
            object=shown(url),
            why=str(reason),
            remedy=_("Save it with curl where it can be reached, and give the file."),
        ) from None


def rbac(options: argparse.Namespace) -> int:
    """Print the Role that suffices, as YAML."""
    from tui.core.rights import role

    sys.stdout.write(role(options.namespace or "datakit", verify_only=options.verify_only))
    return Exit.OK


def info(options: argparse.Namespace) -> int:
    """Print versions, paths, and where each setting came from. It makes no request and shows no secret."""
    sys.stdout.write(info_text(options))
    return Exit.OK


def info_text(options: argparse.Namespace) -> str:
    """What `info` prints."""
    rows = [("datakit-wizard", version("datakit-wizard")), ("Python", platform.python_version())]
    rows += [(name, version(name)) for name in ("textual", "kubernetes", "httpx", "tomlkit", "PyYAML")]
    rows += [
        (_("program"), str(Path(__file__).resolve().parent.parent)),
        (_("assets"), str(assets())),
        (_("receipts and state"), str(settings.state_dir(os.environ))),
        (_("language"), f"{language()} ({'--lang' if options.lang else _('from the locale')})"),
    ]
    source = "--kubeconfig" if options.kubeconfig else "KUBECONFIG" if os.environ.get("KUBECONFIG") else _("default")
    path = options.kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    rows.append(("kubeconfig", f"{path} ({source})"))
    try:
        current = next((c for c in contexts(options) if c.current), None)
        name = (options.context or [current.name if current else "–"])[0]
        rows.append((_("context"), f"{name} ({'--context' if options.context else _('current context')})"))
    except WizardError as error:
        rows.append((_("context"), error.what))
    try:
        found = studio_settings(options)
        rows.append((_("studio"), f"{found.endpoint} ({found.endpoint_from})" if found.endpoint else _("not given")))
        rows.append(
            (_("API key"), _("given by {source}").format(source=found.key_from) if found.key else _("not given"))
        )
    except WizardError as error:
        say(str(error))
    width = max(len(name) for name, _value in rows)
    return "".join(f"{name:<{width}}  {value}\n" for name, value in rows)
