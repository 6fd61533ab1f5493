"""Traps of an etcd.conf: settings that DataKit 1.84.1 reads, and that do something else than they seem to say."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from urllib.parse import urlsplit

from tui.core import durations
from tui.core.conf_places import ERROR, INFO, WARNING, View
from tui.core.etcd_presets import LOST_VALUES
from tui.core.prom import patterns, toml
from tui.core.prom import urls as go_urls
from tui.core.prom.conf import MAX_INTERVAL_NS, MIN_INTERVAL_NS, MIN_TIMEOUT_NS, PromInput, Rule
from tui.core.prom.naming import name_of
from tui.core.topology import is_loopback
from tui.i18n import _

METRIC_TYPES = ("counter", "gauge", "histogram", "summary", "untyped", "info")
_OLD_TLS = ("tls_ca", "tls_cert", "tls_key")
_BASE64_TLS = ("ca_certs_base64", "cert_base64", "cert_key_base64")
_NEW_TLS = ("ca_certs", "cert", "cert_key", *_BASE64_TLS, "insecure_skip_verify", "server_name")
_HISTOGRAM_WORDS = ("duration", "round_trip", "latency", "handling_seconds", "_bucket")


def _addresses(view: View) -> list[tuple[str, str, int | None]]:
    """(key, URL, place in the list) of what is scraped."""
    listed = view.list("urls")
    if listed:
        return [("urls", url, number) for number, url in enumerate(listed)]
    return [("url", view.string("url"), None)] if view.string("url") else []


def _without_variables(url: str) -> str:
    """The URL with a stand-in for what DataKit fills in from the environment."""
    return re.sub(r"\$\{\w+\}|\$\w+", "variable", url, flags=re.ASCII)


def _is_http(url: str) -> bool:
    return url.lower().startswith(("http://", "https://"))


def _elected(view: View) -> bool:
    return view.values.get("election", True) is not False


def _targets(view: View) -> None:
    found = _addresses(view)
    if not found and not view.values.get("urls") and not view.values.get("url"):
        message = _("There is no URL: the block is loaded and does nothing.")
        view.add("no-url", ERROR, "urls", message, _('Write urls = ["http://127.0.0.1:2381/metrics"].'))
    if view.string("url"):
        if view.list("urls"):
            view.add("url-ignored", WARNING, "url", _("url is ignored, because urls is there."), _("Take url out."))
        else:
            view.add("deprecated", INFO, "url", _("url is the old key."), _("Write urls = […]."))
    seen: set[str] = set()
    for key, url, number in found:
        if url in seen:
            message = _("This URL is listed twice; it would be scraped twice.")
            view.add("same-url-twice", WARNING, key, message, _("Take one out."), item=number)
        seen.add(url)
        _target(view, key, _without_variables(url), number)


def _target(view: View, key: str, url: str, number: int | None) -> None:
    try:
        parts = go_urls.parse(url)
    except ValueError as error:
        shown = _("This URL cannot be read") if "@" in url or "=" in url else str(error)  # it may hold a password
        message = _("{error}: DataKit gives up the whole block.").format(error=shown)
        view.add("bad-url", ERROR, key, message, _("Begin it with http:// or https://."), item=number)
        return
    if not _is_http(url):
        if url.startswith(("/", "./", "../")):
            message = _("This is no http address: DataKit reads it as a file of its container.")
            view.add("file", INFO, key, message, item=number)
        else:
            message = _("This URL has no http:// or https:// in front: DataKit opens it as a file.")
            view.add("bad-url", ERROR, key, message, _("Begin it with http:// or https://."), item=number)
        return
    if not parts.host:
        message = _("This URL names no host.")
        view.add("bad-url", ERROR, key, message, _("Write the member's address."), item=number)
    elif re.fullmatch(r"[^:]+://[^/?#]*/?(?:[?#].*)?", url):
        message = _("This URL has no path; etcd serves its metrics at /metrics.")
        view.add("no-path", WARNING, key, message, _("Add /metrics."), item=number)


def _election(view: View) -> None:
    if not _addresses(view):
        return
    remote = [item for item in _addresses(view) if _is_http(item[1]) and not is_loopback(item[1])]
    local = [item for item in _addresses(view) if _is_http(item[1]) and is_loopback(item[1])]
    key = "election" if "election" in view.values else "urls"
    if _elected(view):
        for where, _url, number in local[:1]:
            message = _(
                "The elected DataKit alone collects, and this URL is its own node: a member only if etcd runs there."
            )
            view.add("loopback-elected", WARNING, where, message, _("Write election = false."), item=number)
        tags = view.values.get("tags")
        names = set(tags) if isinstance(tags, dict) else set()
        if "cluster_name_k8s" not in names:
            message = _(
                "With election the points get the election tags, not the host's: without cluster_name_k8s "
                "the view's filter stays empty."
            )
            remedy = _('Write cluster_name_k8s = "…" below [inputs.prom.tags].')
            view.add("no-cluster-tag", WARNING, "tags" if names else key, message, remedy)
        return
    fixed = [item for item in remote if "$" not in item[1]]
    for where, _url, number in fixed[:1]:
        message = _("Without election every node scrapes this URL, and the points arrive once for each node.")
        view.add("not-elected", WARNING, where, message, _("Write election = true, or a loopback URL."), item=number)
    tags = view.values.get("tags")
    if local and not (isinstance(tags, dict) and "instance" in tags):
        message = _("All members would be tagged instance={host} and merge into one.")
        remedy = _('Write instance = "${{ENV_K8S_NODE_NAME}}:{port}" below [inputs.prom.tags].')
        try:
            parts = urlsplit(_without_variables(local[0][1]))
            port = parts.port or 80
        except ValueError:
            return
        view.add("same-instance", WARNING, "tags", message.format(host=parts.netloc), remedy.format(port=port))


def _timing(view: View) -> None:
    for key, least in (("interval", MIN_INTERVAL_NS), ("timeout", MIN_TIMEOUT_NS)):
        value = view.values.get(key)
        if isinstance(value, bool) or not isinstance(value, int | str) or isinstance(value, toml.Moment):
            continue
        if isinstance(value, int):
            message = _("A number without a unit is taken as nanoseconds.")
            view.add("nanoseconds", WARNING, key, message, _('Write it with a unit, such as "60s".'))
            continue
        try:
            nanoseconds = durations.parse_ns(value)
        except ValueError:
            continue
        if nanoseconds < least:
            message = _("{key} is raised to {least}.").format(key=key, least=durations.exact(least / 1e9))
            severity = WARNING if key == "interval" else INFO
            view.add("out-of-range", severity, key, message, _("Write what you mean."))
        elif key == "interval" and nanoseconds > MAX_INTERVAL_NS:
            message = _("interval is cut to 5m, which is the most that DataKit waits.")
            view.add("out-of-range", WARNING, key, message, _("Write 5m or less."))


def _tls(view: View) -> None:
    given = [key for key in _OLD_TLS if view.string(key)]
    newer = [key for key in _NEW_TLS if key in view.values]
    tls_open = view.values.get("tls_open") is True
    if newer:
        for key in [*given, *(["tls_open"] if tls_open else [])]:
            message = _("{key} is ignored, because {newer} is there: one newer key switches all tls_… keys off.")
            remedy = _("Use either tls_open, tls_ca, tls_cert and tls_key, or ca_certs, cert and cert_key.")
            severity = ERROR if key in given else WARNING
            view.add("mixed-tls", severity, key, message.format(key=key, newer=newer[0]), remedy)
        _newer_tls(view, newer)
        return
    if tls_open:
        if not view.string("tls_ca"):
            message = _("Without tls_ca the server's certificate is not verified at all.")
            remedy = _('Write tls_ca = "…/ca.crt", the CA beside the client\'s certificate.')
            view.add("no-ca", WARNING, "tls_open", message, remedy)
        _pair(view, "tls_cert", "tls_key")
        return
    for key in given:
        message = _("{key} is ignored as long as tls_open is not true.").format(key=key)
        view.add("tls-closed", WARNING, key, message, _("Write tls_open = true, or take it out."))
    for key, url, number in _addresses(view):
        if url.lower().startswith("https://") and not given:
            message = _("This URL is https, but no certificates are set: etcd will refuse the connection.")
            remedy = _("Write tls_open, tls_ca, tls_cert and tls_key, or use the http:// metrics address.")
            view.add("no-tls", WARNING, key, message, remedy, item=number)
            break


def _newer_tls(view: View, newer: list[str]) -> None:
    base64 = any(key in newer for key in _BASE64_TLS)
    if not view.list("ca_certs_base64" if base64 else "ca_certs"):
        message = _("Without a CA the server's certificate is not verified, whatever insecure_skip_verify says.")
        view.add("no-ca", WARNING, newer[0], message, _('Write ca_certs = ["…/ca.crt"].'))
    elif view.values.get("insecure_skip_verify") is True:
        message = _("insecure_skip_verify = true: the server's certificate is not verified.")
        view.add("no-ca", WARNING, "insecure_skip_verify", message, _("Take it out."))
    if base64:
        _pair(view, "cert_base64", "cert_key_base64")
    else:
        _pair(view, "cert", "cert_key")


def _pair(view: View, cert: str, key: str) -> None:
    for one, other in ((cert, key), (key, cert)):
        if view.string(one) and not view.string(other):
            message = _("{one} without {other}: no client certificate is sent, and etcd refuses.")
            remedy = _("Set both, or take it out.")
            view.add("half-pair", ERROR, one, message.format(one=one, other=other), remedy)
    if re.search(r"/(?:peer|server)(?:-cert)?\.(?:crt|pem)$", view.string(cert)):
        message = _("This certificate can do more than read: it speaks for a member of etcd.")
        view.add("strong-certificate", INFO, cert, message, _("healthcheck-client.crt is enough."))


def _filter(view: View) -> None:
    for key in ("metric_name_filter", "metric_name_filter_ignore"):
        for number, pattern in enumerate(view.list(key)):
            _pattern(view, key, pattern, number)
    listed = view.list("metric_name_filter")
    if listed and not any(patterns.compile_filter(pattern) for pattern in listed):
        message = _("No entry is a regular expression, so nothing is filtered: every metric is collected.")
        view.add("filters-nothing", WARNING, "metric_name_filter", message, _("Mend the entries."))


def _pattern(view: View, key: str, pattern: str, number: int) -> None:
    matcher = patterns.compile_filter(pattern)
    if matcher is None:
        remedy = _("Go's regular expressions know no look-ahead, look-behind or back-references.")
        if pattern.startswith(("*", "?", "+")):
            remedy = _("This is a regular expression, not a file pattern: write {plain}.")
            remedy = remedy.format(plain=re.escape(pattern.strip("*?+")) or "…")
        message = _("{pattern!r} is no regular expression for DataKit; the entry is left out.")
        view.add("bad-regex", ERROR, key, message.format(pattern=pattern), remedy, item=number)
        return
    ignore = key.endswith("_ignore")
    if matcher(""):
        message = (
            _("{pattern!r} is found in every name: it drops everything.")
            if ignore
            else _("{pattern!r} is found in every name: it lets everything through.")
        )
        severity = ERROR if ignore else WARNING
        view.add("matches-all", severity, key, message.format(pattern=pattern), _("Take it out."), item=number)
    elif re.search(r"(?:_bucket|_sum)\$?\)?\$?$", pattern):
        message = _("Names are compared without _bucket, _sum and _count: this matches no histogram.")
        plain = re.sub(r"(?:_bucket|_sum)(?=\$?\)?\$?$)", "", pattern)
        view.add("bucket", WARNING, key, message, _("Write {plain}.").format(plain=plain), item=number)
    elif re.search(r"[A-Za-z0-9_]\*", pattern):
        message = _("Here * means: the character before it, any number of times.")
        view.add(
            "star", INFO, key, message, _("The name of a family need not be complete; leave the * out."), item=number
        )


def _types(view: View) -> None:
    listed = view.list("metric_types")
    words = [word.lower() for word in listed]
    for number, word in enumerate(words):
        if word not in METRIC_TYPES:
            near = get_close_matches(word, METRIC_TYPES, 1, 0.6)
            message = _("{word!r} is no type of metrics: it matches nothing.").format(word=listed[number])
            remedy = _("Did you mean {near}?").format(near=near[0]) if near else " ".join(METRIC_TYPES)
            view.add("unknown-type", WARNING, "metric_types", message, remedy, item=number)
    if words and not set(words) & set(METRIC_TYPES):
        message = _("No entry is a type of metrics: nothing is collected.")
        view.add("drops-all", ERROR, "metric_types", message, " ".join(METRIC_TYPES))
    if words and "histogram" not in words:
        for number, pattern in enumerate(view.list("metric_name_filter")):
            if any(word in pattern for word in _HISTOGRAM_WORDS) and patterns.compile_filter(pattern):
                message = _("This asks for a histogram, but metric_types lacks histogram: it is dropped.")
                remedy = _('Add "histogram" to metric_types.')
                view.add("needs-histogram", WARNING, "metric_name_filter", message, remedy, item=number)


def _names(view: View) -> None:
    """What etcd's metrics will be called, as far as the tutorial's view depends on it."""
    rules = view.values.get("measurements")
    tables = rules if isinstance(rules, list) and all(isinstance(rule, dict) for rule in rules) else []
    lowered = [{key.lower(): value for key, value in rule.items()} for rule in tables]
    settings = PromInput(
        measurement_prefix=view.string("measurement_prefix"),
        measurement_name=view.string("measurement_name"),
        measurements=tuple(Rule(str(rule.get("prefix", "")), str(rule.get("name", ""))) for rule in lowered),
        keep_exist_metric_name=view.values.get("keep_exist_metric_name") is True,
    )
    for number, rule in enumerate(lowered):
        if "pattern" in rule:
            message = _("pattern is read and never used; only prefix decides.")
            offset = view.rule_offset(number, "pattern")
            view.add_at(offset, "no-effect", INFO, "measurements.pattern", message, _("Use prefix."))
        if not rule.get("prefix"):
            message = _("A rule without prefix matches nothing.")
            offset = view.rule_offset(number, "prefix")
            view.add_at(offset, "empty-rule", WARNING, "measurements.prefix", message, _("Write a prefix."))
    key = "measurements" if lowered else "measurement_name" if settings.measurement_name else "source"
    name = name_of(settings, "etcd_server_has_leader")
    if _kept(view, "etcd_server_has_leader") and (name.measurement, name.field) != ("etcd", "server_has_leader"):
        message = _(
            "etcd_server_has_leader becomes {field} of {measurement}; the view expects server_has_leader of etcd."
        )
        message = message.format(field=name.field, measurement=name.measurement)
        remedy = _('Write [[inputs.prom.measurements]] with prefix = "etcd_" and name = "etcd".')
        view.add("other-names", WARNING, "measurement_prefix" if settings.measurement_prefix else key, message, remedy)
    lost = [m for m in LOST_VALUES if _kept(view, m) and name_of(settings, m).field == m.removeprefix("etcd_")]
    if lost:
        message = _("The value of {names} is lost: the field gets the name of the metric's own label.")
        remedy = _("Put {pattern} into metric_name_filter_ignore.").format(
            pattern="'^etcd_(server_version|cluster_version|server_id|server_go_version)$'"
        )
        where = "metric_name_filter" if view.list("metric_name_filter") else key
        view.add("value-lost", WARNING, where, message.format(names=", ".join(lost)), remedy)


def _kept(view: View, metric: str) -> bool:
    """Whether the filters let a gauge of this name through."""
    types = [word.lower() for word in view.list("metric_types")]
    white = patterns.matchers(tuple(view.list("metric_name_filter")))
    black = patterns.matchers(tuple(view.list("metric_name_filter_ignore")))
    if (types and "gauge" not in types) or any(search(metric) for search in black):
        return False
    return not white or any(search(metric) for search in white)


def _elsewhere(view: View) -> None:
    """Settings that keep the points from arriving as metrics, and the authorisation that makes DataKit crash."""
    if view.string("output"):
        message = _("With output the metrics are written to a file and not sent.")
        view.add("not-sent", WARNING, "output", message, _("Take it out."))
    logging = view.values.get("as_logging")
    if isinstance(logging, dict) and logging.get("enable") is True:
        message = _("With as_logging the metrics are sent as logs; no view shows them.")
        view.add("not-sent", WARNING, "as_logging.enable", message, _("Take it out."))
    auth = view.values.get("auth")
    if isinstance(auth, dict) and auth:
        if "type" not in auth:
            message = _("[inputs.prom.auth] without type makes the input crash, and after six times it is given up.")
            view.add("auth-type", ERROR, "auth", message, _('Write type = "bearer_token".'))
        elif auth["type"] != "bearer_token":
            message = _("The only type of auth is bearer_token.")
            view.add("auth-type", WARNING, "auth.type", message, _('Write type = "bearer_token".'))
    if "source" in view.values and view.string("source") != "etcd":
        message = _("The view finds whether etcd answers by job=etcd, which comes from source.")
        view.add("source", INFO, "source", message, _('Write source = "etcd".'))


TRAPS: tuple[Callable[[View], None], ...] = (_targets, _election, _timing, _tls, _filter, _types, _names, _elsewhere)


def _etcd_input(view: View) -> None:
    """What the dedicated etcd input does otherwise than the tutorial's `[[inputs.prom]]`."""
    message = _("[[inputs.etcd]] keeps the full names: the view expects server_has_leader, not etcd_server_has_leader.")
    view.add("other-names", WARNING, "", message, _("Use [[inputs.prom]], as the tutorial does."))
    tags = view.values.get("tags")
    if _elected(view) and not (isinstance(tags, dict) and "cluster_name_k8s" in tags):
        message = _("With election the points get the election tags, not the host's: cluster_name_k8s may be missing.")
        remedy = _('Write cluster_name_k8s = "…" below [inputs.etcd.tags].')
        view.add("no-cluster-tag", WARNING, "election" if "election" in view.values else "", message, remedy)
    for key in ("source", "measurement_name"):
        if key in view.values:
            message = _("{key} has no effect: [[inputs.etcd]] always takes etcd.").format(key=key)
            view.add("no-effect", INFO, key, message, _("Take it out."))
    interval = view.values.get("interval")
    try:
        nanoseconds = durations.parse_ns(interval) if isinstance(interval, str) else interval
    except ValueError:
        return  # said where its type is judged
    if isinstance(nanoseconds, int) and not isinstance(nanoseconds, bool) and nanoseconds <= 0:
        message = _("interval must be longer than 0: the input crashes.")
        view.add("out-of-range", ERROR, "interval", message, _('Write "30s".'))


ETCD_TRAPS: tuple[Callable[[View], None], ...] = (_targets, _tls, _etcd_input)
"""The traps of a block `[[inputs.etcd]]`."""
