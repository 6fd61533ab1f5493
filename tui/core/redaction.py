"""Striking secrets out of what is shown or kept: conf texts, environment variables, URLs."""

from __future__ import annotations

import re
from typing import Any

STRUCK = "***"
_NAMES = r"(?:token|password|passwd|secret|api[_-]?key|access[_-]?key|authorization|credentials?|_base64)"
# A TOML key or a YAML one, alone on its line; `token: true` and `secret:` before a nested block are no secrets.
_LINE = re.compile(
    rf"(?im)^([ +-]*[\"']?[\w.-]*{_NAMES}[\"']?[ \t]*(?:=|:(?=\s)))"
    r"(?![ \t]*(?:$|[\"']{0,3}\*\*\*|[\"']{2}\s*$|(?:true|false)\s*$|[|>]-?\s*$))([ \t]*)(.+)$"
)
# What samples and documents write where a secret goes: it is none, and striking it out would make a text unrestorable.
_PLACEHOLDER = re.compile(r"[\"']?(?:x{3,}|\*{3,}|<[^<>]*>|\$\w+|\$\{\w+\})[\"']?\s*", re.IGNORECASE)
_INLINE = re.compile(rf"(?i)([\w.-]*{_NAMES}[\"']?\s*=\s*)(\"[^\"\n]+\"|'[^'\n]+')")
_QUERY = re.compile(r"(?i)((?:token|ak|sk|api_key)=)[^&\s\"'*,]+")
_USERINFO = re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://[^/\s:@\"']*:)[^/\s@\"']+(@)")
_LOGIN = re.compile(r"([\w.-]+:)[^@\s\"']+(@(?:tcp|unix)\()")  # Go's DSNs: user:password@tcp(host)
_BEARER = re.compile(r"(?i)\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{8,}")
_ENV_NAME = re.compile(r"(?i)(?:TOKEN|PASSWORD|PASSWD|_PWD?|_PW|SECRET|_KEY|CREDENTIALS?|AUTHORIZATION)$")


def strike_secrets(text: str) -> str:
    """`text` with the values of keys that may hold a secret struck out, and tokens and passwords in URLs."""
    text = _LINE.sub(lambda found: _strike(found, found[1] + found[2], found[3]), text)
    text = _INLINE.sub(lambda found: _strike(found, found[1], found[2]), text)
    text = _BEARER.sub(rf"\1\2{STRUCK}", text)
    text = _USERINFO.sub(rf"\1{STRUCK}\2", text)
    text = _LOGIN.sub(rf"\1{STRUCK}\2", text)
    return _QUERY.sub(rf"\1{STRUCK}", text)


def _strike(found: re.Match[str], before: str, value: str) -> str:
    return found[0] if _PLACEHOLDER.fullmatch(value) else f'{before}"{STRUCK}"'


def holds_secret(value: Any) -> bool:
    """Whether any text in `value` would be struck out."""
    return bool(struck(value) != value)


def struck(value: Any) -> Any:
    """Any part of an object with its secrets struck out: texts, and env entries whose name says what they hold."""
    if isinstance(value, str):
        return strike_secrets(value)
    if isinstance(value, list):
        return [struck(item) for item in value]
    if isinstance(value, dict):
        made = {key: struck(inner) for key, inner in value.items()}
        name = value.get("name")
        if isinstance(name, str) and isinstance(value.get("value"), str) and value["value"] and _ENV_NAME.search(name):
            made["value"] = STRUCK
        return made
    return value


_SHORTEST = 6  # a shorter value would strike out words that are no secret
_TOKEN = re.compile(r"(?i)(?:token|ak|sk|api_key)=([^&\s\"'*,]+)")


def secret_values(obj: Any) -> list[str]:
    """The secrets themselves that an object's env entries hold, so that they can be struck out wherever they stand."""
    if isinstance(obj, list):
        return [value for item in obj for value in secret_values(item)]
    if not isinstance(obj, dict):
        return []
    found = [value for inner in obj.values() for value in secret_values(inner)]
    name, value = obj.get("name"), obj.get("value")
    if isinstance(name, str) and isinstance(value, str):
        found += [value] if _ENV_NAME.search(name) else _TOKEN.findall(value)
    return [value for value in found if len(value) >= _SHORTEST]
