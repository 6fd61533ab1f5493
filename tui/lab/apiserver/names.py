"""The forms that names, labels and keys must have, with the texts that Kubernetes 1.36 refuses others with."""

from __future__ import annotations

import re
from collections.abc import Callable

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_KEY = r"[-._a-zA-Z0-9]+"


def _regex_text(text: str, pattern: str, *examples: str) -> str:
    told = " or ".join(f"'{example}', " for example in examples)
    return f"{text} (e.g. {told}regex used for validation is '{pattern}')"


_LABEL_TEXT = _regex_text(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character",
    _LABEL,
    "my-name",
    "123-abc",
)
_SUBDOMAIN_TEXT = _regex_text(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character",
    _SUBDOMAIN,
    "example.com",
)
_QUALIFIED_TEXT = _regex_text(
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character",
    _QUALIFIED,
    "MyName",
    "my.name",
    "123-abc",
)
_VALUE_TEXT = _regex_text(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character",
    rf"({_QUALIFIED})?",
    "MyValue",
    "my_value",
    "12345",
)
_KEY_TEXT = _regex_text(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    _KEY,
    "key.name",
    "KEY_NAME",
    "key-name",
)


def _check(text: str, pattern: str, message: str, limit: int, unit: str = "bytes") -> list[str]:
    problems = [f"must be no more than {limit} {unit}"] if len(text.encode()) > limit else []
    if not re.fullmatch(pattern, text, re.ASCII):
        problems.append(message)
    return problems


def dns_label(text: str) -> list[str]:
    """What is wrong with a DNS label."""
    return _check(text, _LABEL, _LABEL_TEXT, 63)


def dns_subdomain(text: str) -> list[str]:
    """What is wrong with a DNS subdomain."""
    return _check(text, _SUBDOMAIN, _SUBDOMAIN_TEXT, 253, "characters")


_SEARCH = r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SEARCH_TEXT = _regex_text(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must "
    "start and end with an alphanumeric character",
    rf"{_SEARCH}(\.{_SEARCH})*",
    "example.com",
)


def search_domain(text: str) -> list[str]:
    """What is wrong with a domain to search, which may have underscores."""
    return _check(text, rf"{_SEARCH}(\.{_SEARCH})*", _SEARCH_TEXT, 253, "characters")


def path_segment(text: str) -> list[str]:
    """What is wrong with a name that only has to fit into a URL (RBAC objects)."""
    if text in (".", ".."):
        return [f"may not be '{text}'"]
    return [f"may not contain '{sign}'" for sign in "/%" if sign in text]


def label_value(text: str) -> list[str]:
    """What is wrong with the value of a label."""
    return _check(text, rf"({_QUALIFIED})?", _VALUE_TEXT, 63)


def config_key(text: str) -> list[str]:
    """What is wrong with a key of a ConfigMap or Secret."""
    problems = _check(text, _KEY, _KEY_TEXT, 253)
    if text == ".":
        problems.append("must not be '.'")
    elif text == "..":
        problems.append("must not be '..'")
    elif text.startswith(".."):
        problems.append("must not start with '..'")
    return problems


def qualified_name(text: str) -> list[str]:
    """What is wrong with a label or annotation key."""
    prefix, slash, name = text.rpartition("/")
    problems: list[str] = []
    if slash:
        if "/" in prefix:
            return [
                "a valid label key "
                + _QUALIFIED_TEXT.removeprefix("name part ")
                + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ]
        if not prefix:
            problems.append("prefix part must be non-empty")
        else:
            problems += [f"prefix part {problem}" for problem in dns_subdomain(prefix)]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append("name part must be no more than 63 bytes")
    if not re.fullmatch(_QUALIFIED, name, re.ASCII):
        problems.append(_QUALIFIED_TEXT)
    return problems


def port_name(text: str) -> list[str]:
    """What is wrong with the name of a port."""
    problems = ["must be no more than 15 characters"] if len(text) > 15 else []
    if not re.fullmatch(r"[-a-z0-9]+", text, re.ASCII):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search(r"[a-z]", text):
        problems.append("must contain at least one letter (a-z)")
    if "--" in text:
        problems.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return problems


NAME_RULES: dict[str, Callable[[str], list[str]]] = {
    "Namespace": dns_label,
    "Service": dns_label,
    "Role": path_segment,
    "ClusterRole": path_segment,
    "RoleBinding": path_segment,
    "ClusterRoleBinding": path_segment,
}


def object_name(kind: str, text: str) -> list[str]:
    """What is wrong with the name of an object of this kind."""
    return NAME_RULES.get(kind, dns_subdomain)(text)
