"""An etcd.conf as DataKit 1.84.1 reads it: which inputs come out of it, with which settings.

Two kinds of input scrape etcd: `[[inputs.prom]]`, which the tutorial uses, and the dedicated `[[inputs.etcd]]`. A pod's
annotation `datakit/prom.instances` has the first one's form and a loader of its own.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tui.core import durations
from tui.core.prom import decode, toml, urls
from tui.core.prom.decode import Decoder, Rule, WrongTypeError
from tui.core.prom.settings import ANNOTATION, ETCD, PROM, TLS, Loaded, Pod, PromInput
from tui.i18n import _

__all__ = [
    "ETCD_KEYS",
    "KEYS",
    "MAX_INTERVAL_NS",
    "MIN_INTERVAL_NS",
    "MIN_TIMEOUT_NS",
    "TLS",
    "Loaded",
    "Pod",
    "PromInput",
    "Rule",
    "load",
    "load_annotation",
    "substitute",
]

SECOND_NS = durations.NANOSECONDS["s"]
MIN_INTERVAL_NS = SECOND_NS
MAX_INTERVAL_NS = 5 * durations.NANOSECONDS["m"]
MIN_TIMEOUT_NS = 3 * SECOND_NS
DEFAULT_NS = 30 * SECOND_NS  # of interval, in all three forms, and of timeout


def load(text: str, env: Mapping[str, str]) -> Loaded:
    """The inputs of a conf file, as the loader of DataKit 1.84.1 finds them. Never raises.

    `env` are the environment variables of the agent. A syntax error loses the whole file, a value of the wrong type its
    block alone; unknown keys are ignored. First all `[[inputs.prom]]`, then all `[[inputs.etcd]]`: the agent starts
    each of them by itself.
    """
    text = substitute(text.removeprefix("\ufeff"), env).removeprefix("\ufeff")
    try:
        root = toml.parse(text)
    except toml.TomlError as error:
        return Loaded((), str(error), error.line)
    section = root.get("inputs")
    inputs, errors = [], []
    for kind, convert in ((PROM, _prom), (ETCD, _etcd)):
        for number, block in enumerate(_blocks(section, kind), 1):
            try:
                inputs.append(convert(_sound(block)))
            except WrongTypeError as error:
                what = _("block {number} is dropped: {error}")
                if kind == ETCD:
                    what = _("block {number} of [[inputs.etcd]] is dropped: {error}")
                errors.append(what.format(number=number, error=error))
    return Loaded(tuple(inputs), "; ".join(errors))


def _blocks(section: object, name: str) -> Iterable[toml.Table]:
    found = section.get(name) if isinstance(section, dict) else None
    if isinstance(found, dict):
        return [found]
    return found if isinstance(found, toml.TableArray) else []


def load_annotation(text: str, pod: Pod) -> Loaded:
    """The inputs of a pod's annotation `datakit/prom.instances`, as DataKit 1.84.1 reads it. Never raises.

    Here one error loses all blocks: a value of the wrong type, a URL that cannot be read, a file that is missing. The
    four names are replaced wherever they stand, without regard to what follows them; braces are not known.
    """
    text = text.replace("$IP", pod.ip).replace("$NAMESPACE", pod.namespace)
    text = text.replace("$PODNAME", pod.name).replace("$NODENAME", pod.node)
    try:
        root = toml.parse(text)
    except toml.TomlError as error:
        return Loaded((), str(error), error.line)
    try:
        found = decode.fields("annotation", root, {"inputs": _annotated})
        inputs = tuple(_annotation(block, pod) for block in found.get("inputs", {}).get("prom", ()))
    except WrongTypeError as error:
        return Loaded((), _("the annotation is ignored: {error}").format(error=error))
    problem = next((one.problem for one in inputs if one.problem), "")
    return Loaded(tuple(replace(one, problem=problem) for one in inputs))


def _annotated(key: str, value: object) -> Mapping[str, Any]:
    return decode.fields(key, value, {"prom": decode.array})


_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)", re.ASCII)


def substitute(text: str, env: Mapping[str, str]) -> str:
    """Put environment variables in, as DataKit does before it reads the TOML.

    Hits are found once, in the original text; each replaces the first place where its text stands by then. Variables
    that are not set stay as written. Quotes and backslashes in a value are escaped.
    """
    for match in _VARIABLE.finditer(text):
        value = env.get(match[1] or match[2])
        if value is not None:
            text = text.replace(match[0], value.replace("\\", "\\\\").replace('"', '\\"'), 1)
    return text


_NEW_TLS: Mapping[str, Decoder] = {
    "ca_certs": decode.strings,
    "cert": decode.string,
    "cert_key": decode.string,
    "ca_certs_base64": decode.strings,
    "cert_base64": decode.string,
    "cert_key_base64": decode.string,
    "insecure_skip_verify": decode.boolean,
    "server_name": decode.string,
}
_OLD_TLS: Mapping[str, Decoder] = {
    "tls_open": decode.boolean,
    "tls_ca": decode.string,
    "tls_cert": decode.string,
    "tls_key": decode.string,
}
# Keys whose value is the setting of the same name, in `[[inputs.prom]]` and in annotations …
_SHARED: Mapping[str, Decoder] = {
    "source": decode.string,
    "ignore_req_err": decode.boolean,
    "metric_types": decode.strings,
    "metric_name_filter": decode.strings,
    "metric_name_filter_ignore": decode.strings,
    "measurement_prefix": decode.string,
    "measurement_name": decode.string,
    "measurements": decode.rules,
    "uds_path": decode.string,
    "tags_ignore": decode.strings,
    "ignore_tag_kv_match": decode.mapping(decode.strings),
    "http_headers": decode.mapping(decode.string),
    "tags": decode.mapping(decode.string),
    "disable_info_tag": decode.boolean,
    "auth": decode.mapping(decode.string),
}
# … and in `[[inputs.prom]]` alone.
_PLAIN: Mapping[str, Decoder] = {
    **_SHARED,
    "stream_size": decode.integer,
    "keep_exist_metric_name": decode.boolean,
    "honor_timestamps": decode.boolean,
    "output": decode.string,
    "max_file_size": decode.integer,
    "disable_instance_tag": decode.boolean,
    "election": decode.boolean,
}
_COMPUTED: Mapping[str, Decoder] = {
    "interval": decode.duration,
    "timeout": decode.duration,
    "url": decode.string,
    "urls": decode.strings,
    **_OLD_TLS,
    "tags_rename": decode.rename,
    "as_logging": decode.logging,
}
_OTHERS: Mapping[str, Decoder] = {
    "disable_host_tag": decode.boolean,  # decoded, and used nowhere
    "feeder": decode.untouchable,  # fields of the Go struct that no text can fill
    "tagger": decode.untouchable,
}
_ETCD: Mapping[str, Decoder] = {
    "source": decode.string,  # this one and the next are overwritten with "etcd"
    "measurement_name": decode.string,
    "interval": decode.duration,
    "urls": decode.strings,
    **_OLD_TLS,
    "tags_ignore": decode.strings,
    "tags": decode.mapping(decode.string),
    "election": decode.boolean,
    "tagger": decode.untouchable,
}
KEYS = frozenset({*_PLAIN, *_COMPUTED, *_NEW_TLS, *_OTHERS} - {"feeder", "tagger"})
"""Every key that `[[inputs.prom]]` of DataKit 1.84.1 reads, in lower case."""
ETCD_KEYS = frozenset(_ETCD) - {"tagger"}
"""Every key that `[[inputs.etcd]]` reads; `source` and `measurement_name` have no effect."""


def _prom(block: toml.Table) -> PromInput:
    found = decode.fields("prom", block, {**_PLAIN, **_COMPUTED, **_NEW_TLS, **_OTHERS})
    targets = found.get("urls") or ((found["url"],) if found.get("url") else ())
    interval = min(max(found.get("interval", DEFAULT_NS), MIN_INTERVAL_NS), MAX_INTERVAL_NS)
    return _assembled(found, _PLAIN, targets, interval, _tls(found))


def _annotation(block: object, pod: Pod) -> PromInput:
    """One block of an annotation: no limits to the interval, timestamps are never honoured, nothing is elected."""
    known = {**_SHARED, **_COMPUTED, "insecure_skip_verify": decode.boolean, "bearer_token_file": decode.string}
    found = decode.fields("prom", block, known)
    targets = (*found.get("urls", ()), *((found["url"],) if found.get("url") else ()))
    interval = found.get("interval", 0)
    tls = _old_tls(found)
    if tls.ca and found.get("insecure_skip_verify"):
        tls = replace(tls, insecure=True)
    made = _assembled(found, _SHARED, targets, interval if interval > 0 else DEFAULT_NS, tls)
    return replace(
        made,
        kind=ANNOTATION,
        source=found.get("source") or f"{pod.namespace}/{pod.name}",
        bearer_token_file=found.get("bearer_token_file", ""),
        honor_timestamps=False,
        election=False,
    )


def _etcd(block: toml.Table) -> PromInput:
    """One `[[inputs.etcd]]`: it has no filter, reads the whole body at once, and no limit holds for its interval."""
    found = decode.fields("etcd", block, _ETCD)
    interval = found.get("interval", DEFAULT_NS)
    targets = found.get("urls", ())
    crash = _("interval must be longer than 0, or the input crashes") if interval <= 0 else ""
    return PromInput(
        kind=ETCD,
        source="etcd",
        measurement_name="etcd",
        urls=targets,
        interval_s=max(interval, 0) / SECOND_NS,
        timeout_s=MIN_TIMEOUT_NS / SECOND_NS,
        stream_size=0,
        honor_timestamps=False,
        tls=_old_tls(found),
        tags_ignore=found.get("tags_ignore", ()),
        tags=found.get("tags", {}),
        disable_instance_tag=True,
        election=found.get("election", True),
        problem=_url_problem(targets) or crash,
    )


def _assembled(
    found: Mapping[str, Any], plain: Iterable[str], targets: tuple[str, ...], interval_ns: int, tls: TLS
) -> PromInput:
    rename, logging = found.get("tags_rename", {}), found.get("as_logging", {})
    return PromInput(
        **{name: found[name] for name in plain if name in found},
        urls=targets,
        interval_s=interval_ns / SECOND_NS,
        timeout_s=max(found.get("timeout", DEFAULT_NS), MIN_TIMEOUT_NS) / SECOND_NS,
        tls=tls,
        tags_rename=rename.get("mapping", {}),
        overwrite_exist_tags=rename.get("overwrite_exist_tags", False),
        as_logging=logging.get("enable", False),
        logging_service=logging.get("service", ""),
        problem=_url_problem(targets) or _data_problem(tls),
    )


def _sound(block: toml.Table) -> toml.Table:
    if _holds_replacement_character(block):
        # DataKit writes a block out and reads it again; this character survives the first and not the second.
        raise WrongTypeError(_("the character U+FFFD is not allowed"))
    return block


def _holds_replacement_character(value: object) -> bool:
    if isinstance(value, dict):
        return any("\ufffd" in key or _holds_replacement_character(one) for key, one in value.items())
    if isinstance(value, list):
        return any(_holds_replacement_character(one) for one in value)
    return isinstance(value, str) and "\ufffd" in value


def _tls(found: Mapping[str, Any]) -> TLS:
    """Any newer key switches the four old ones off. Without a CA the server is not verified, whatever the conf says."""
    if any(key in found for key in _NEW_TLS):
        ca, ca_base64 = found.get("ca_certs", ()), found.get("ca_certs_base64", ())
        cert_base64, key_base64 = found.get("cert_base64", ""), found.get("cert_key_base64", "")
        has_ca = bool(ca_base64) if (ca_base64 or cert_base64 or key_base64) else bool(ca)
        return TLS(
            insecure=found.get("insecure_skip_verify", False) or not has_ca,
            ca=ca,
            cert=found.get("cert", ""),
            key=found.get("cert_key", ""),
            server_name=found.get("server_name", ""),
            ca_base64=ca_base64,
            cert_base64=cert_base64,
            key_base64=key_base64,
        )
    return _old_tls(found)


def _old_tls(found: Mapping[str, Any]) -> TLS:
    if not found.get("tls_open", False):
        return TLS()
    ca = (found["tls_ca"],) if found.get("tls_ca") else ()
    return TLS(insecure=not ca, ca=ca, cert=found.get("tls_cert", ""), key=found.get("tls_key", ""))


def _url_problem(targets: tuple[str, ...]) -> str:
    for target in targets:
        try:
            urls.parse(target)
        except ValueError as error:
            return str(error)
    return ""


def _data_problem(tls: TLS) -> str:
    """What is wrong with certificates given as base64: as far as it can be told without reading X.509."""
    for text in tls.ca_base64:
        if b"-----BEGIN CERTIFICATE-----" not in (_decoded(text) or b""):
            return _("ca_certs_base64 holds no certificate in base64")
    cert, key = _decoded(tls.cert_base64), _decoded(tls.key_base64)
    if cert is None or key is None:
        return _("cert_base64 or cert_key_base64 is not base64")
    if cert and key and not (b"-----BEGIN CERTIFICATE-----" in cert and b"PRIVATE KEY-----" in key):
        return _("cert_base64 and cert_key_base64 hold no certificate and key")
    return ""


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
    except ValueError:
        return None
