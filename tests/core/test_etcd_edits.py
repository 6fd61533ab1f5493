"""Edits on a person's etcd.conf leave everything else as it is."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.core.errors import UsageError
from tui.core.etcd_edits import (
    add_filter,
    add_rule,
    add_type,
    blocks,
    remove_item,
    remove_key,
    set_key,
    set_tag,
    set_urls,
)
from tui.core.etcd_presets import TUTORIAL
from tui.core.toml_text import literal, scan

MINE = """\
# my own file
[[inputs.prom]] # etcd
  urls = [
    "https://a:2379/metrics", # first
    "https://b:2379/metrics"  # second
  ] # both
  interval = "60s" # minute

  metric_name_filter = [
    # what we want
    'etcd_server', # server
  ]

  [inputs.prom.tags]
    team = "x" # ours

    # end of the tags
  [[inputs.prom.measurements]]
    prefix = "etcd_"
    name = "etcd"

# the second
[[inputs.prom]]
  urls = []
"""


def block(text: str, number: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(text)["inputs"]["prom"][number]
    return found


def changed(before: str, after: str) -> tuple[list[str], list[str]]:
    """(lines that went, lines that came); all others are there in their order."""
    import difflib

    diff = list(difflib.ndiff(before.split("\n"), after.split("\n")))
    return [line[2:] for line in diff if line.startswith("- ")], [line[2:] for line in diff if line.startswith("+ ")]


def test_a_value_is_replaced_in_its_place() -> None:
    after = set_key(MINE, "interval", "30s")
    assert changed(MINE, after) == (['  interval = "60s" # minute'], ['  interval = "30s" # minute'])
    assert block(after)["interval"] == "30s"


def test_a_new_key_comes_below_its_relatives_and_above_the_tables() -> None:
    after = set_key(MINE, "election", False)
    assert changed(MINE, after) == ([], ["  election = false"])
    lines = after.split("\n")
    assert lines[lines.index("  election = false") - 1] == '  interval = "60s" # minute'
    assert block(after)["election"] is False


def test_a_new_key_comes_below_its_own_commented_line() -> None:
    after = set_key(TUTORIAL, "tls_ca", "/pki/ca.crt")
    lines = after.split("\n")
    assert lines[lines.index('  tls_ca = "/pki/ca.crt"') - 1].startswith("  #tls_ca =")
    assert changed(TUTORIAL, after)[0] == []


def test_a_new_key_in_a_block_without_any() -> None:
    after = set_key("[[inputs.prom]]\n\n[inputs.prom.tags]\n a = 'b'\n", "election", True)
    assert after == "[[inputs.prom]]\n  election = true\n\n[inputs.prom.tags]\n a = 'b'\n"


def test_the_second_block() -> None:
    after = set_urls(MINE, ["http://c/metrics"], block=1)
    assert block(after, 1)["urls"] == ["http://c/metrics"]
    assert block(after) == block(MINE)
    after = set_tag(MINE, "a", "b", block=1)
    assert after == MINE + '\n  [inputs.prom.tags]\n    a = "b"\n'


def test_urls() -> None:
    after = set_urls(MINE, ["http://c/metrics"])
    assert block(after) == {**block(MINE), "urls": ["http://c/metrics"]}
    assert '  urls = ["http://c/metrics"] # both\n' in after


def test_a_tag_is_changed_added_or_gets_its_table() -> None:
    assert '    team = "y" # ours\n' in set_tag(MINE, "team", "y")
    after = set_tag(MINE, "cluster_name_k8s", "lab")
    assert '    team = "x" # ours\n    cluster_name_k8s = "lab"\n' in after
    assert changed(MINE, after)[0] == []
    after = set_tag(TUTORIAL, "cluster_name_k8s", "lab")
    assert after == TUTORIAL + '\n\n  [inputs.prom.tags]\n    cluster_name_k8s = "lab"'
    assert block(after)["tags"] == {"cluster_name_k8s": "lab"}


def test_a_tag_beside_dotted_and_inline_ones() -> None:
    dotted = "[[inputs.prom]]\n  tags.a = 'b' # x\n  [[inputs.prom.measurements]]\n"
    assert set_tag(dotted, "c d", "e").split("\n")[1:3] == ["  tags.a = 'b' # x", '  tags."c d" = "e"']
    inline = "[[inputs.prom]]\n  tags = {a = 'b'} # x\n"
    assert block(set_tag(inline, "c", "d"))["tags"] == {"a": "b", "c": "d"}
    assert set_tag(inline, "c", "d").endswith("} # x\n")
    empty = "[[inputs.prom]]\n  [inputs.prom.tags] # none\n"
    assert set_tag(empty, "c", "d") == empty + '    c = "d"\n'


def test_tags_of_another_block_are_not_taken() -> None:
    text = (
        "[[inputs.prom]]\n  source = 'a'\n# two\n[[inputs.prom]]\n  source = 'b'\n  [inputs.prom.tags]\n    x = 'y'\n"
    )
    after = set_tag(text, "x", "z")
    assert (block(after)["tags"], block(after, 1)["tags"]) == ({"x": "z"}, {"x": "y"})
    assert after.index("# two") > after.index('x = "z"')


def test_a_filter_is_added_and_comments_in_the_list_stay() -> None:
    after = add_filter(MINE, "^etcd_disk_")
    assert block(after)["metric_name_filter"] == ["etcd_server", "^etcd_disk_"]
    assert "# what we want" in after
    assert "# server" in after
    assert block(add_filter(TUTORIAL, r"\w"))["metric_name_filter"][-1] == r"\w"
    assert add_filter(MINE, "etcd_server") == MINE


def test_an_empty_whitelist_keeps_all_and_so_stays() -> None:
    assert add_filter("[[inputs.prom]]\n", "x") == "[[inputs.prom]]\n"
    assert add_filter("[[inputs.prom]]\nmetric_name_filter = []\n", "x").endswith("[]\n")
    assert add_type("[[inputs.prom]]\nmetric_types = ['gauge']\n", "histogram").endswith("['gauge', \"histogram\"]\n")


def test_a_key_is_removed_with_its_line() -> None:
    after = remove_key(TUTORIAL, "tls_key")
    assert changed(TUTORIAL, after) == (['  tls_key = "/etc/kubernetes/pki/etcd/peer.key"'], [])
    after = remove_key(MINE, "urls")
    assert "urls" not in block(after)
    assert block(remove_key(MINE, "tags", "team"))["tags"] == {}
    assert remove_key(MINE, "tls_ca") == MINE


def test_line_ends_and_byte_order_mark_stay() -> None:
    text = "\ufeff" + MINE.replace("\n", "\r\n")
    for edit in (
        lambda t: set_key(t, "election", False),
        lambda t: set_tag(t, "a", "b"),
        lambda t: set_tag(t, "a", "b", block=1),
    ):
        after = edit(text)
        assert after.startswith("\ufeff# my own file\r\n")
        assert "\n" not in after.replace("\r\n", "")


def test_keys_in_any_case_are_the_same_key() -> None:
    assert set_key("[[Inputs.Prom]]\nElection = true\n", "election", False) == "[[Inputs.Prom]]\nElection = false\n"


@pytest.mark.parametrize(
    "text", ["", "[[inputs.prom]", "[inputs]\nprom = [{urls = []}]\n", "[[inputs.prom]]\nurls = []\nurls = ['x']\n"]
)
def test_what_cannot_be_edited_is_told_and_unchanged(text: str) -> None:
    with pytest.raises(UsageError) as error:
        set_key(text, "election", False)
    assert error.value.remedy


def test_blocks_end_before_the_comments_of_the_next() -> None:
    first, second = blocks(MINE)
    assert MINE[: first.end].endswith('name = "etcd"')
    assert MINE[second.header.start :].startswith("[[inputs.prom]]\n  urls = []")


names = st.from_regex(r"[a-z_]{1,10}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=15)
blank = st.sampled_from(["", "\n", "  \n\n", "  ## a = 1\n", "# [x]\n", "\t#'''\n", '  #tls_ca = "x"\n'])
trailing = st.sampled_from(["", " # note", "\t# ]", " #'"])


@st.composite
def arrays(draw: st.DrawFn) -> str:
    values = draw(st.lists(texts, max_size=4))
    if draw(st.booleans()):
        return literal(values)
    lines = "".join(f"\n    {literal(value)},{draw(trailing)}" for value in values)
    return f"[{draw(trailing)}{lines}\n  ]"


@st.composite
def confs(draw: st.DrawFn) -> str:
    """Whole confs as people write them: comments, lists of several lines, tables in any order, one or two blocks."""
    text = draw(blank)
    for _ in range(draw(st.integers(1, 2))):
        text += f"[[inputs.prom]]{draw(trailing)}\n"
        for key in draw(st.lists(st.sampled_from(["source", "interval", "tls_ca", "output"]), unique=True)):
            text += f"{draw(blank)}  {key} = {literal(draw(texts))}{draw(trailing)}\n"
        for key in draw(st.lists(st.sampled_from(["urls", "metric_name_filter", "tags_ignore"]), unique=True)):
            text += f"{draw(blank)}  {key} = {draw(arrays())}{draw(trailing)}\n"
        for table in draw(st.permutations(["tags", "measurements", "auth"]))[: draw(st.integers(0, 3))]:
            header = f"[[inputs.prom.{table}]]" if table == "measurements" else f"[inputs.prom.{table}]"
            text += f"{draw(blank)}  {header}{draw(trailing)}\n"
            for name in draw(st.lists(names, unique=True, max_size=3)):
                text += f"{draw(blank)}    {name} = {literal(draw(texts))}{draw(trailing)}\n"
        text += draw(blank)
    return text


def set_in(path: tuple[str, ...], value: Any) -> Callable[[dict[str, Any]], None]:
    def change(found: dict[str, Any]) -> None:
        for name in path[:-1]:
            found = found.setdefault(name, {})
        found[path[-1]] = value

    return change


def append_to(key: str, value: str) -> Callable[[dict[str, Any]], None]:
    def change(found: dict[str, Any]) -> None:
        if found.get(key) and value not in found[key]:
            found[key].append(value)

    return change


@st.composite
def edits(draw: st.DrawFn) -> tuple[tuple[str, ...], Callable[[str], str], Callable[[dict[str, Any]], None]]:
    """The path of a key, an edit of it in the text, and what that should do to the values."""
    value, name = draw(texts), draw(names)
    key = draw(st.sampled_from(["source", "interval", "tls_ca", "election", "tls_open", "measurement_name"]))
    urls = draw(st.lists(texts, max_size=3))
    return draw(
        st.sampled_from(
            [
                ((key,), lambda t: set_key(t, key, value), set_in((key,), value)),
                ((key,), lambda t: set_key(t, key, False), set_in((key,), False)),
                (("tags", name), lambda t: set_tag(t, name, value), set_in(("tags", name), value)),
                (("urls",), lambda t: set_urls(t, urls), set_in(("urls",), urls)),
                (("metric_name_filter",), lambda t: add_filter(t, value), append_to("metric_name_filter", value)),
                ((key,), lambda t: remove_key(t, key), lambda found: found.pop(key, None)),
            ]
        )
    )


@given(confs(), edits())
def test_an_edit_changes_one_value_and_keeps_all_else(
    text: str, edit: tuple[tuple[str, ...], Callable[[str], str], Callable[[dict[str, Any]], None]]
) -> None:
    path, run, change = edit
    expected = tomllib.loads(text)
    change(expected["inputs"]["prom"][0])
    after = run(text)
    assert tomllib.loads(after) == expected
    assert others(after, path, text) == others(text, path, text)
    assert run(after) == after  # a second time changes nothing


def others(text: str, path: tuple[str, ...], original: str) -> list[str]:
    """Every comment, header and entry but the one at `path`, byte for byte with what follows in its line."""
    first = blocks(text)[0]
    new_table = first.table("tags") if not blocks(original)[0].table("tags") else None
    left = [item for item in scan(text) if item not in (first.entry(*path), new_table)]
    return [text[item.start : (text + "\n").index("\n", item.end)] for item in left]


def test_comments_inside_a_list_survive_an_addition() -> None:
    text = "[[inputs.prom]]\nmetric_name_filter = [ # a\n  'x', # b\n  # c\n  'y' # d\n  # e\n] # f\n"
    after = add_filter(text, "z")
    assert block(after)["metric_name_filter"] == ["x", "y", "z"]
    assert [after.index(f"# {mark}") for mark in "abcdef"] == sorted(after.index(f"# {mark}") for mark in "abcdef")
    assert "  'y', # d\n  \"z\"\n" in after


@given(confs(), st.integers(0, 3))
def test_an_item_is_taken_out_and_all_else_stays(text: str, number: int) -> None:
    values = tomllib.loads(text)["inputs"]["prom"][0].get("metric_name_filter", [])
    if number >= len(values):
        assert remove_item(text, "metric_name_filter", "not there") == text
        return
    after = remove_item(text, "metric_name_filter", values[number])
    expected = tomllib.loads(text)
    expected["inputs"]["prom"][0]["metric_name_filter"].remove(values[number])
    assert tomllib.loads(after) == expected
    assert others(after, ("metric_name_filter",), text) == others(text, ("metric_name_filter",), text)
    assert after.count("# note") == text.count("# note")


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        ("['a', 'b', 'c'] # d", "a", "['b', 'c'] # d"),
        ("['a', 'b', 'c'] # d", "b", "['a', 'c'] # d"),
        ("['a', 'b', 'c'] # d", "c", "['a', 'b'] # d"),
        ("['a',] # d", "a", "[] # d"),
        ("[ 'a' ] # d", "a", "[ ] # d"),
        ("[\n  'a',\n  # y\n  'b'\n] # z", "a", "[\n  # y\n  'b'\n] # z"),
        ("[\n  'a', # x\n  # y\n  'b' # z\n]", "a", "[\n  # x\n  # y\n  'b' # z\n]"),
        ("[\n  'a', # x\n  # y\n  'b' # z\n]", "b", "[\n  'a', # x\n  # y\n  # z\n]"),
        ("[\n  'a', 'b', # x\n  'c'\n]", "b", "[\n  'a', # x\n  'c'\n]"),
        ("[\n  'a' # x\n  , 'b']", "a", "[\n  # x\n   'b']"),
    ],
)
def test_an_item_goes_and_the_comments_stay(before: str, value: str, after: str) -> None:
    head = "[[inputs.prom]]\nmetric_name_filter = "
    assert remove_item(head + before, "metric_name_filter", value) == head + after


def test_a_rule_is_added_below_those_that_are_there() -> None:
    after = add_rule(MINE, "grpc_", "etcd")
    assert block(after)["measurements"] == [{"prefix": "etcd_", "name": "etcd"}, {"prefix": "grpc_", "name": "etcd"}]
    assert changed(MINE, after) == (
        [],
        ["  [[inputs.prom.measurements]]", '    prefix = "grpc_"', '    name = "etcd"', ""],
    )
    assert block(add_rule(MINE, "a_", "b", block=1), 1)["measurements"] == [{"prefix": "a_", "name": "b"}]
    with pytest.raises(UsageError):
        add_rule("[[inputs.prom]]\nmeasurements = []\n", "a_", "b")
