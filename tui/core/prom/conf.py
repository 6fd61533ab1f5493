"""An etcd.conf as DataKit 1.84.1 reads it: which inputs come out of it, with which settings."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tui.core import durations
from tui.core.prom import toml, urls
from tui.i18n import _

MIN_INTERVAL_NS = durations.NANOSECONDS["s"]
MAX_INTERVAL_NS = 5 * durations.NANOSECONDS["m"]
MIN_TIMEOUT_NS = 3 * durations.NANOSECONDS["s"]


@dataclass(frozen=True)
class Rule:
    """One `[[inputs.prom.measurements]]`: names that start with `prefix` get the measurement `name`."""

    prefix: str = ""
    name: str = ""


@dataclass(frozen=True)
class TLS:
    """What TLS the collector really does (DataKit merges two generations of keys). Paths are inside the container.

    The defaults are Go's: system roots, the server is verified, no client certificate. The base64 keys hold data in
    place of paths and then all paths are ignored.
    """

    insecure: bool = False
    ca: tuple[str, ...] = ()
    cert: str = ""
    key: str = ""
    server_name: str = ""
    ca_base64: tuple[str, ...] = field(default=(), repr=False)
    cert_base64: str = field(default="", repr=False)
    key_base64: str = field(default="", repr=False)


@dataclass(frozen=True)
class PromInput:
    """One `[[inputs.prom]]` with the settings in force. Durations are seconds.

    `problem` says why Init fails whatever is scraped ("" where it does not); files that are missing make it fail too.
    """

    source: str = "prom"
    urls: tuple[str, ...] = ()
    interval_s: float = 30.0
    timeout_s: float = 30.0
    stream_size: int = 1
    ignore_req_err: bool = False
    metric_types: tuple[str, ...] = ()
    metric_name_filter: tuple[str, ...] = ()
    metric_name_filter_ignore: tuple[str, ...] = ()
    measurement_prefix: str = ""
    measurement_name: str = ""
    measurements: tuple[Rule, ...] = ()
    keep_exist_metric_name: bool = False
    honor_timestamps: bool = True
    output: str = ""
    max_file_size: int = 32 * 1024 * 1024
    uds_path: str = ""
    tls: TLS = TLS()
    tags_ignore: tuple[str, ...] = ()
    tags_rename: Mapping[str, str] = field(default_factory=dict)
    overwrite_exist_tags: bool = False
    as_logging: bool = False
    logging_service: str = ""
    ignore_tag_kv_match: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    http_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tags: Mapping[str, str] = field(default_factory=dict)
    disable_instance_tag: bool = False
    disable_info_tag: bool = False
    auth: Mapping[str, str] = field(default_factory=dict, repr=False)
    election: bool = True
    problem: str = ""

    def files(self) -> tuple[str, ...]:
        """The files that Init reads: where one is missing the input never starts, and says so in its log only."""
        if self.tls.ca_base64 or self.tls.cert_base64 or self.tls.key_base64:
            return ()
        return (*self.tls.ca, *(path for path in (self.tls.cert, self.tls.key) if path))


@dataclass(frozen=True)
class Loaded:
    """What came out of a conf file. `error` says why the file or a block of it was ignored; `line` where, 0 unknown."""

    inputs: tuple[PromInput, ...]
    error: str = ""
    line: int = 0


def load(text: str, env: Mapping[str, str]) -> Loaded:
    """The inputs of a conf file, as the loader of DataKit 1.84.1 finds them. Never raises.

    `env` are the environment variables of the agent. A syntax error loses the whole file, a value of the wrong type its
    block alone; unknown keys are ignored.
    """
    text = substitute(text.removeprefix("\ufeff"), env).removeprefix("\ufeff")
    try:
        root = toml.parse(text)
    except toml.TomlError as error:
        return Loaded((), str(error), error.line)
    section = root.get("inputs")
    blocks = section.get("prom") if isinstance(section, dict) else None
    if isinstance(blocks, dict):
        blocks = toml.TableArray([blocks])
    if not isinstance(blocks, toml.TableArray):
        return Loaded((), "")
    inputs, errors = [], []
    for number, block in enumerate(blocks, 1):
        try:
            inputs.append(_input(block))
        except _TypeError as error:
            errors.append(_("block {number} is dropped: {error}").format(number=number, error=error))
    return Loaded(tuple(inputs), "; ".join(errors))


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


class _TypeError(ValueError):
    """A value of a type that its setting does not take."""


def _refuse(key: str, wanted: str, value: object) -> _TypeError:
    kinds = {str: "string", bool: "boolean", int: "integer", float: "float", dict: "table", list: "array"}
    found = kinds.get(type(value), "array of tables" if isinstance(value, toml.TableArray) else "date or time")
    return _TypeError(_("{key} must be {wanted}, not {found}").format(key=key, wanted=wanted, found=found))


def _string(key: str, value: object) -> str:
    if not isinstance(value, str) or isinstance(value, toml.Moment):
        raise _refuse(key, "string", value)
    return value


def _boolean(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _refuse(key, "boolean", value)
    return value


def _integer(key: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _refuse(key, "integer", value)
    return value


def _duration(key: str, value: object) -> int:
    """Nanoseconds; an integer is taken as such."""
    if isinstance(value, str) and not isinstance(value, toml.Moment):
        try:
            return durations.parse_ns(value)
        except ValueError as error:
            raise _TypeError(f"{key}: {error}") from None
    return _integer(key, value)


def _list(key: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise _refuse(key, "array", value)
    return value


def _strings(key: str, value: object) -> tuple[str, ...]:
    return tuple(_string(key, one) for one in _list(key, value))


def _map(convert: Callable[[str, object], Any]) -> Callable[[str, object], Mapping[str, Any]]:
    """A table of values. What is no table is ignored without a word: so does the decoder."""

    def decode(key: str, value: object) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            return {}
        return {name: convert(f"{key}.{name}", one) for name, one in value.items()}

    return decode


def _rules(key: str, value: object) -> tuple[Rule, ...]:
    decoded = [_fields(key, one, {"pattern": _string, "prefix": _string, "name": _string}) for one in _list(key, value)]
    return tuple(Rule(one.get("prefix", ""), one.get("name", "")) for one in decoded)


def _rename(key: str, value: object) -> Mapping[str, Any]:
    return _fields(key, value, {"overwrite_exist_tags": _boolean, "mapping": _map(_string)})


def _logging(key: str, value: object) -> Mapping[str, Any]:
    return _fields(key, value, {"enable": _boolean, "service": _string})


def _untouchable(key: str, value: object) -> None:
    raise _TypeError(_("{key} cannot be set").format(key=key))


def _fields(where: str, value: object, known: Mapping[str, Callable[[str, object], Any]]) -> dict[str, Any]:
    """The known keys of a table, decoded. Keys are matched without regard to case; others are ignored."""
    if not isinstance(value, dict):
        raise _refuse(where, "table", value)
    found: dict[str, Any] = {}
    for name, one in value.items():
        convert = known.get(name.lower())
        if convert:
            found[name.lower()] = convert(name, one)
    return found


_NEW_TLS: Mapping[str, Callable[[str, object], Any]] = {
    "ca_certs": _strings,
    "cert": _string,
    "cert_key": _string,
    "ca_certs_base64": _strings,
    "cert_base64": _string,
    "cert_key_base64": _string,
    "insecure_skip_verify": _boolean,
    "server_name": _string,
}
_PLAIN: Mapping[str, Callable[[str, object], Any]] = {
    "source": _string,
    "stream_size": _integer,
    "ignore_req_err": _boolean,
    "metric_types": _strings,
    "metric_name_filter": _strings,
    "metric_name_filter_ignore": _strings,
    "measurement_prefix": _string,
    "measurement_name": _string,
    "measurements": _rules,
    "keep_exist_metric_name": _boolean,
    "honor_timestamps": _boolean,
    "output": _string,
    "max_file_size": _integer,
    "uds_path": _string,
    "tags_ignore": _strings,
    "ignore_tag_kv_match": _map(_strings),
    "http_headers": _map(_string),
    "tags": _map(_string),
    "disable_instance_tag": _boolean,
    "disable_info_tag": _boolean,
    "auth": _map(_string),
    "election": _boolean,
}
_OTHERS: Mapping[str, Callable[[str, object], Any]] = {
    "interval": _duration,
    "timeout": _duration,
    "url": _string,
    "urls": _strings,
    "tls_open": _boolean,
    "tls_ca": _string,
    "tls_cert": _string,
    "tls_key": _string,
    "tags_rename": _rename,
    "as_logging": _logging,
    "disable_host_tag": _boolean,  # decoded, and used nowhere
    "feeder": _untouchable,  # fields of the Go struct that no text can fill
    "tagger": _untouchable,
}
KEYS = frozenset({*_PLAIN, *_NEW_TLS, *_OTHERS} - {"feeder", "tagger"})
"""Every key that `[[inputs.prom]]` of DataKit 1.84.1 reads, in lower case."""


def _input(block: toml.Table) -> PromInput:
    if _holds_replacement_character(block):
        # DataKit writes a block out and reads it again; this character survives the first and not the second.
        raise _TypeError(_("the character U+FFFD is not allowed"))
    found = _fields("prom", block, {**_PLAIN, **_NEW_TLS, **_OTHERS})
    settings = {name: found[name] for name in _PLAIN if name in found}
    interval = found.get("interval", 30 * durations.NANOSECONDS["s"])
    timeout = found.get("timeout", 30 * durations.NANOSECONDS["s"])
    rename, logging = found.get("tags_rename", {}), found.get("as_logging", {})
    tls = _tls(found)
    targets = found.get("urls") or ((found["url"],) if found.get("url") else ())
    return PromInput(
        **settings,
        urls=targets,
        interval_s=min(max(interval, MIN_INTERVAL_NS), MAX_INTERVAL_NS) / durations.NANOSECONDS["s"],
        timeout_s=max(timeout, MIN_TIMEOUT_NS) / durations.NANOSECONDS["s"],
        tls=tls,
        tags_rename=rename.get("mapping", {}),
        overwrite_exist_tags=rename.get("overwrite_exist_tags", False),
        as_logging=logging.get("enable", False),
        logging_service=logging.get("service", ""),
        problem=_url_problem(targets) or _data_problem(tls),
    )


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
