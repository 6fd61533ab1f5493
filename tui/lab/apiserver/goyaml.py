"""YAML as the server writes it: keys sorted, block style, quotes only where a text would read as something else."""

from __future__ import annotations

from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    pass


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    tag = "tag:yaml.org,2002:str"
    if "\n" in text:
        return dumper.represent_scalar(tag, text, style="|")
    plain = dumper.resolve(yaml.ScalarNode, text, (True, False)) == tag  # type: ignore[no-untyped-call]
    return dumper.represent_scalar(tag, text, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def dump(obj: Any) -> str:
    """An object as YAML."""
    return str(
        yaml.dump(obj, Dumper=_Dumper, sort_keys=True, allow_unicode=True, default_flow_style=False, width=10**9)
    )
