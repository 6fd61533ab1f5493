"""Settings of the command line and where each came from: state folder, studio endpoint and API key."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tui.core import sites
from tui.core.errors import UsageError
from tui.i18n import _

# The variables of the vendors' Terraform providers, which people have set already.
ENVIRONMENT = (("GUANCE_END_POINT", "GUANCE_ACCESS_TOKEN"), ("TRUEWATCH_END_POINT", "TRUEWATCH_ACCESS_TOKEN"))
LONGEST_KEY = 512


@dataclass(frozen=True)
class StudioSettings:
    """The studio's address and key, and where each came from; "" where it was not given. The key is not in the repr."""

    endpoint: str = ""
    key: str = field(default="", repr=False)
    endpoint_from: str = ""
    key_from: str = ""


def state_dir(environ: Mapping[str, str]) -> Path:
    """`$XDG_STATE_HOME/datakit-wizard`, else `~/.local/state/datakit-wizard`; a relative one is ignored (XDG)."""
    base = environ.get("XDG_STATE_HOME", "")
    root = Path(base) if base.startswith("/") else Path(environ.get("HOME") or "~").expanduser() / ".local" / "state"
    return root / "datakit-wizard"


def studio_settings(
    environ: Mapping[str, str], *, endpoint: str = "", api_key_file: str = "", answered: str = ""
) -> StudioSettings:
    """The studio to use: flags first, then the answers' endpoint, then the environment (Guance before TrueWatch).

    Raises UsageError where the endpoint is no URL or the key file holds no key.
    """
    found_from, found_key = "", ""
    variables = next(
        (pair for pair in ENVIRONMENT if environ.get(pair[1])),
        next((p for p in ENVIRONMENT if environ.get(p[0])), ("", "")),
    )
    if endpoint:
        found_from = "--endpoint"
    elif answered:
        endpoint, found_from = answered, "answers.toml"
    elif environ.get(variables[0]):
        endpoint, found_from = environ[variables[0]], variables[0]
    if api_key_file:
        key, found_key = read_key(Path(api_key_file)), f"--api-key-file {api_key_file}"
    else:
        key = checked_key(environ.get(variables[1], "").strip(), f"${variables[1]}")
        found_key = variables[1] if key else ""
    return StudioSettings(sites.endpoint(endpoint) if endpoint else "", key, found_from, found_key)


def read_key(path: Path) -> str:
    """The API key in a file: its only line. Raises UsageError where it cannot be read or holds no key."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LONGEST_KEY * 2).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise UsageError(
            _("The API key file cannot be read."),
            object=str(path),
            why=why,
            remedy=_("Put the key alone into a file that only you can read (chmod 600)."),
        ) from None
    if not text:
        raise UsageError(
            _("The API key file is empty."), object=str(path), remedy=_("Put the key alone into it, on one line.")
        )
    return checked_key(text, str(path))


def checked_key(key: str, where: str) -> str:
    """`key` if it can be sent in a header; the message names the place and never the key."""
    if len(key) > LONGEST_KEY or any(not 33 <= ord(char) <= 126 for char in key):
        raise UsageError(
            _("This is no API key: it is too long, has blanks, or characters that no key has."),
            object=where,
            remedy=_("Copy the key from the studio: Management → API Key Management."),
        )
    return key


def readable_by_others(path: Path) -> bool:
    """Whether other users of this machine can read the file."""
    try:
        return bool(os.stat(path).st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False
