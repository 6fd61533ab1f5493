"""Every message of the code is in every catalogue, translated, with the same placeholders, and nothing else is."""

from __future__ import annotations

import gettext
import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tui.i18n import DOMAIN, LANGUAGES

ROOT = Path(__file__).parents[2]
LOCALE = ROOT / "assets" / "locale"
TRANSLATED = [language for language in LANGUAGES if language != "en"]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("extract_messages", LOCALE / "extract.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


extract = _load()


@cache
def messages() -> list[Any]:
    """The messages of the whole code; reading it all takes seconds, so not while tests are collected."""
    return list(extract.messages())


def catalogue(language: str) -> dict[str, str]:
    return dict(extract.read(LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po"))


def test_messages_are_found_in_every_package() -> None:
    places = {place for message in messages() for place in message.places}
    assert len(messages()) > 500
    assert any(place.startswith("screens/") for place in places)
    assert {"tui/cli.py", "tui/core/plan.py", "tui/backend/cluster.py"} <= places


def test_a_message_put_together_before_translation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tui").mkdir()
    (tmp_path / "screens").mkdir()
    (tmp_path / "tui" / "one.py").write_text('_(f"{name} is missing")\n', encoding="utf-8")
    with pytest.raises(extract.NotConstantError, match=r"tui/one\.py:1"):
        extract.messages(tmp_path)


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_catalogue_is_complete(language: str) -> None:
    translations = catalogue(language)
    missing = [f"{message.places[0]}: {message.text}" for message in messages() if not translations.get(message.text)]
    assert not missing, "run assets/locale/extract.py and translate:\n" + "\n".join(missing)


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_catalogue_holds_nothing_that_the_code_does_not_say(language: str) -> None:
    assert set(catalogue(language)) - {message.text for message in messages()} == set()


@pytest.mark.parametrize("language", TRANSLATED)
def test_placeholders_are_those_of_the_message(language: str) -> None:
    plurals = {message.text: message.plural for message in messages()}
    wrong = []
    for text, translation in catalogue(language).items():
        allowed = (extract.fields(text), extract.fields(plurals.get(text, "")))
        if translation and extract.fields(translation) not in allowed:
            wrong.append((text, translation))
    assert not wrong


@pytest.mark.parametrize("language", TRANSLATED)
def test_what_runs_is_what_the_catalogue_says(language: str) -> None:
    """The compiled catalogue is not kept in version control: an old one would show yesterday's texts."""
    compiled = gettext.translation(DOMAIN, LOCALE, [language])
    stale = [text for text, said in catalogue(language).items() if said and compiled.gettext(text) != said]
    assert not stale, "reinstall (pip install -e .) or run assets/locale/compile.py"
