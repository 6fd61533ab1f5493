"""Patterns of the collector's filters, as Go's regexp package takes them (Go 1.19 built DataKit 1.84.1).

Matching is done by RE2 itself, in linear time. Go's own parser is a port of RE2's, but not its twin: what only one of
the two accepts is told apart here, before RE2 is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

Matcher = Callable[[str], Any]
"""Truthy where the pattern is found anywhere in the text."""

_ONE_BYTE = re.compile(r"\\(?:Q(?:[^\\]|\\(?!E))*(?:\\E|$)|(C)|.)", re.DOTALL)
_GROUP = re.compile(r"\\(?:Q(?:[^\\]|\\(?!E))*(?:\\E|$)|.)|\(\?(?:P<([^>]*)>|(<))", re.DOTALL)
_GROUP_NAME = re.compile("[A-Za-z0-9_]+", re.ASCII)


@lru_cache(maxsize=256)
def compile_filter(pattern: str) -> Matcher | None:
    """A matcher for `pattern`, or None where Go refuses it: DataKit then warns and leaves the entry out."""
    import re2

    if _refused_by_go(pattern):
        return None
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 64 << 20
    try:
        search: Matcher = re2.compile(pattern, options).search
    except re2.error:
        return None
    return search


def _refused_by_go(pattern: str) -> bool:
    """Whether Go refuses what RE2 may accept: `\\C`, groups named `(?<name>…)` or with letters outside of ASCII."""
    if any(match[1] for match in _ONE_BYTE.finditer(pattern)):
        return True
    for match in _GROUP.finditer(pattern):
        if match[2] or (match[1] is not None and not _GROUP_NAME.fullmatch(match[1])):
            return True
    return False


def matchers(patterns: tuple[str, ...]) -> tuple[Matcher, ...]:
    """The matchers of a filter list, entries that are no patterns left out. An empty one filters nothing."""
    return tuple(found for found in map(compile_filter, patterns) if found)
