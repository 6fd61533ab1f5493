"""URLs as Go 1.19's net/url and net read them, which built DataKit 1.84.1: what is an error there makes Init fail."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from tui.i18n import _


@dataclass(frozen=True)
class URL:
    """The parts of a URL that the collector looks at. `host` holds the port and an IPv6 address its brackets."""

    scheme: str
    host: str


_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_USER = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
_BAD_ESCAPE = re.compile("%(?![0-9a-fA-F]{2})")
_HOST = re.compile(r"(?:[A-Za-z0-9\-_.~!$&'()*+,;=:\[\]<>\"\x80-\U0010ffff]|%[89a-fA-F][0-9a-fA-F])*")


def parse(text: str) -> URL:
    """The URL that Go's url.Parse makes of `text`. Raises ValueError where it refuses."""
    if re.search("[\x00-\x1f\x7f]", text):
        raise ValueError(_("control character in the URL {url!r}").format(url=shown(text)))
    rest, _hash, fragment = text.partition("#")
    if rest.startswith(":"):
        raise ValueError(_("missing protocol scheme in {url!r}").format(url=shown(text)))
    match = _SCHEME.match(rest)
    scheme = match[1].lower() if match else ""
    rest = (rest[match.end() :] if match else rest).partition("?")[0]
    if not rest.startswith("/"):
        if scheme:
            return URL(scheme, "")
        if ":" in rest.partition("/")[0]:
            raise ValueError(_("{url!r} does not start with http:// or https://").format(url=shown(text)))
    host = ""
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        host = _host(authority, text)
    if _BAD_ESCAPE.search(rest) or _BAD_ESCAPE.search(fragment):
        raise ValueError(_("invalid escape in the URL {url!r}").format(url=shown(text)))
    return URL(scheme, host)


def shown(url: str) -> str:
    """A URL for messages: without user, password and the values of its query."""
    return re.sub(r"([?&][^=&#]*=)[^&#]+", r"\1…", re.sub(r"//[^/?#]*@", "//…@", url))


def _host(authority: str, url: str) -> str:
    user, _at, host = authority.rpartition("@")
    if not _USER.fullmatch(user) or _BAD_ESCAPE.search(user):
        raise ValueError(_("invalid user or password in a URL"))
    bracket = host.rfind("]") if host.startswith("[") else -1
    if host.startswith("["):
        if bracket < 0:
            raise ValueError(_("missing ']' in the URL {url!r}").format(url=shown(url)))
        port = host[bracket + 1 :]
    else:
        colon = host.rfind(":")
        port = host[colon:] if colon >= 0 else ""
    if not re.fullmatch("(?::[0-9]*)?", port):
        raise ValueError(_("invalid port in the URL {url!r}").format(url=shown(url)))
    zone = host.find("%25", 0, bracket) if bracket >= 0 else -1
    checked = host[:zone] + host[bracket:] if zone >= 0 else host
    if not _HOST.fullmatch(checked) or (zone >= 0 and _BAD_ESCAPE.search(host[zone:bracket])):
        raise ValueError(_("invalid character in the host name of {url!r}").format(url=shown(url)))
    return re.sub("(?:%[0-9a-fA-F]{2})+", _unescaped, host)


def _unescaped(match: re.Match[str]) -> str:
    return bytes.fromhex(match[0].replace("%", "")).decode("utf-8", "replace")


def split_host_port(text: str) -> tuple[str, str] | None:
    """Go's net.SplitHostPort: brackets taken off; None where it fails, as it does without a port."""
    match = re.fullmatch(r"\[([^\[\]]*)\]:([^:\[\]]*)|([^:\[\]]*):([^:\[\]]*)", text, re.DOTALL)
    if not match:
        return None
    return (match[1], match[2]) if match[1] is not None else (match[3], match[4])


def host_tag(url: str) -> str | None:
    """The tag `host` that DataKit takes from a URL (or path): none for localhost and loopback addresses."""
    if not url:
        return None
    host = url
    try:
        parsed = parse(url)
    except ValueError:
        parsed = URL("", "")
    if parsed.host:
        host = parsed.host
    pair = split_host_port(host)
    if pair:
        host = pair[0]
    if host == "localhost":
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    mapped = getattr(address, "ipv4_mapped", None) or address
    return None if mapped.is_loopback else host


def up_instance(url: str) -> str:
    """The tag `instance` of the up point: host:port, port 0 where the URL has none, no brackets."""
    host = parse(url).host
    pair = split_host_port(host)
    if not pair:
        return f"{host}:0"
    port = int(pair[1]) if re.fullmatch("[+-]?[0-9]+", pair[1]) else 0
    return f"{pair[0]}:{port}"
