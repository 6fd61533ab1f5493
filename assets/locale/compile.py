"""Build hook: compile the message catalogues (`*.po`) beside their sources, for wheel and editable tree alike.

Run as a script (`python assets/locale/compile.py`) it does the same for a working tree.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po


def compile_catalogues(folder: Path) -> list[Path]:
    """Write a `.mo` beside every `.po` below `folder` and return the written paths.

    Fuzzy entries are left out, as gettext's own msgfmt does.
    """
    written = []
    for po in sorted(folder.glob("*/LC_MESSAGES/*.po")):
        with po.open("rb") as source:
            catalogue = read_po(source)
        target = po.with_suffix(".mo")
        with target.open("wb") as out:
            write_mo(out, catalogue)
        written.append(target)
    return written


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:
    pass
else:

    class CompileCatalogues(BuildHookInterface):
        """Hatchling's custom hook; hatchling finds the one subclass in this file."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            compile_catalogues(Path(self.root) / "assets" / "locale")


if __name__ == "__main__":
    for path in compile_catalogues(Path(__file__).parent):
        print(path)
