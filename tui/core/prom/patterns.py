"""Patterns of the collector's filters, as Go's regexp package takes them (Go 1.19 built DataKit 1.84.1).

Matching is done by RE2 itself, in linear time. Go's own parser is a port of RE2's, but not its twin: what RE2 accepts
and Go refuses is found here, before RE2 is asked. The reverse is known of one case only, a program too large for RE2.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

Matcher = Callable[[str], Any]
"""Truthy where the pattern is found anywhere in the text."""

MAX_MEMORY = 64 << 20
_MAX_DEPTH = 1000
_NEW_SCRIPTS = ("Cypro_Minoan", "Old_Uyghur", "Tangsa", "Toto", "Vithkuqi", "Kawi", "Nag_Mundari")
"""Scripts of Unicode 14 and 15: RE2 knows them, Go 1.19 does not."""

_TOKEN = re.compile(
    r"""
      \\Q (?: [^\\] | \\(?!E) )* (?: \\E | \Z )                                # text taken literally
    | (?P<class> \[ \^? \]? (?: \[:\^?\w+:\] | \\. | [^\]\\] )* \] )
    | \\[pP] \{ \^? (?P<script> [^}]* ) \}
    | \\ (?P<escape> . )
    | \(\?P< (?P<name> [^>]* ) >
    | (?P<unnamed> \(\?< )                                                     # a group without P: from Go 1.22 on
    | (?P<flags> \(\? )
    | (?P<open> \( )
    | (?P<close> \) )
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_SCRIPT = re.compile(r"\\[pP]\{\^?([^}]*)\}|\\.", re.DOTALL)


@lru_cache(maxsize=256)
def compile_filter(pattern: str) -> Matcher | None:
    """A matcher for `pattern`, or None where Go refuses it: DataKit then warns and leaves the entry out."""
    import re2

    if _refused_by_go_alone(pattern):
        return None
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_MEMORY
    try:
        search = re2.compile(pattern, options).search
    except re2.error:
        return None
    # The binding takes bytes in half the time: it need not count characters then.
    return lambda text: search(text.encode())


def matchers(patterns: tuple[str, ...]) -> tuple[Matcher, ...]:
    """The matchers of a filter list, entries that are no patterns left out. An empty one filters nothing."""
    return tuple(found for found in map(compile_filter, patterns) if found)


def _refused_by_go_alone(pattern: str) -> bool:
    groups: list[bool] = []  # whether each open group captures: only those count for Go's limit
    depth = 0
    for token in _TOKEN.finditer(pattern):
        scripts = [token["script"]] if token["script"] else _SCRIPT.findall(token["class"] or "")
        if token["escape"] == "C" or token["unnamed"] or any(script in _NEW_SCRIPTS for script in scripts):
            return True
        if token["name"] is not None and not re.fullmatch("[A-Za-z0-9_]+", token["name"]):
            return True
        captures = token["open"] is not None or token["name"] is not None
        if captures or token["flags"]:
            groups.append(captures)
            depth += captures
        elif token["close"] and groups:
            depth -= groups.pop()
        if depth >= _MAX_DEPTH:
            return True
    return False
