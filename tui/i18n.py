"""Messages in the person's language: gettext with English msgids, one catalogue a language.

Strings that a person sees are written `_("…")`, with placeholders filled afterwards by `str.format`; constants at
module level are marked `N_("…")` and translated where they are shown. The language is chosen once, at start.
"""

from __future__ import annotations

import gettext as _gettext
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

DOMAIN = "datakit-wizard"
LANGUAGES = ("en", "zh")

_catalogue: _gettext.NullTranslations = _gettext.NullTranslations()
_language = "en"
_override: ContextVar[_gettext.NullTranslations | None] = ContextVar("language", default=None)


def assets() -> Path:
    """The folder of assets: `tui/assets` in an installed wheel, `../assets` in a source tree."""
    installed = Path(__file__).parent / "assets"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "assets"


def language_of(environ: Mapping[str, str]) -> str:
    """The language that the locale variables ask for, by gettext's order; English where none is ours or for C/POSIX."""
    locale = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    name, _dot, codeset = locale.partition(".")
    codeset = codeset.partition("@")[0].lower().replace("-", "")
    if name in ("", "C", "POSIX") or codeset not in ("", "utf8"):
        return "en"
    for wanted in [*environ.get("LANGUAGE", "").split(":"), locale]:
        code = wanted.split("_")[0].split("-")[0].split(".")[0].lower()
        if code in LANGUAGES:
            return code
    return "en"


def use_language(language: str) -> None:
    """Translate from now on into `language` (one of LANGUAGES); a missing catalogue leaves the English msgids."""
    global _catalogue, _language
    _language = language
    _catalogue = _load(language)


def _load(language: str) -> _gettext.NullTranslations:
    return _gettext.translation(DOMAIN, assets() / "locale", [language], fallback=True)


@contextmanager
def writing_in(language: str) -> Iterator[None]:
    """Translate into `language` inside the block: for texts that are kept, whoever reads the screen meanwhile."""
    token = _override.set(_load(language))
    try:
        yield
    finally:
        _override.reset(token)


def _current() -> _gettext.NullTranslations:
    return _override.get() or _catalogue


def language() -> str:
    """The language in use, one of LANGUAGES."""
    return _language


def _(message: str) -> str:
    """`message` in the language in use."""
    return _current().gettext(message)


def ngettext(singular: str, plural: str, n: int) -> str:
    """The form of the message for the count `n`, in the language in use."""
    return _current().ngettext(singular, plural, n)


def N_(message: str) -> str:  # noqa: N802 - the name that gettext's tools extract
    """Mark `message` for translation and return it unchanged."""
    return message
