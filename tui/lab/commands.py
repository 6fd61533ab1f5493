"""The commands that a DataKit container understands when something is executed in it.

They work on the container's own files and on its node's network, and answer as coreutils, grep and the
agent's command line do. There is no shell: argv is taken as it is.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
import re
import stat as stat_module
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tui.core.ports import ExecResult
from tui.lab.container import Container
from tui.lab.curl import curl
from tui.lab.network import Network
from tui.lab.settings import COMMIT, VERSION


@dataclass(frozen=True)
class Shell:
    """What a command works on. `check_config` runs the agent's own parser over the container's files, `debug_conf` the
    inputs of one file, round by round, until nobody listens any more.
    """

    container: Container
    network: Network
    check_config: Callable[[], tuple[list[str], bool]]
    debug_conf: Callable[[str], AsyncIterator[str]]


class ExecutableNotFoundError(Exception):
    """The container has no such program: the runtime reports it, no process ever runs."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "error executing command in container: failed to exec in container: failed to start exec: OCI "
            f'runtime exec failed: exec failed: unable to start container process: exec: "{name}": '
            "executable file not found in $PATH"
        )


_ENDLESS_S = 300.0  # nothing in the lab runs longer in a container

Command = Callable[[Shell, Sequence[str], bytes], Awaitable[ExecResult]]


def _ok(text: str | bytes = "") -> ExecResult:
    return ExecResult(text.encode() if isinstance(text, str) else text, b"", 0)


def _fail(code: int, message: str, stdout: bytes = b"") -> ExecResult:
    return ExecResult(stdout, f"{message}\n".encode(), code)


async def run(shell: Shell, argv: Sequence[str], stdin: bytes = b"") -> ExecResult:
    """Run a command to its end. Raises ExecutableNotFoundError."""
    if not argv:
        raise ExecutableNotFoundError("")
    command = _COMMANDS.get(posixpath.basename(argv[0]))
    if command is None:
        raise ExecutableNotFoundError(argv[0])
    return await command(shell, argv[1:], stdin)


def _reason(error: OSError) -> str:
    known = {FileNotFoundError: "No such file or directory", IsADirectoryError: "Is a directory"}
    known |= {NotADirectoryError: "Not a directory", PermissionError: "Permission denied"}
    return known.get(type(error), error.strerror or "Input/output error")


async def _cat(shell: Shell, arguments: Sequence[str], stdin: bytes) -> ExecResult:
    out, errors = b"", []
    for path in [each for each in arguments if each != "--"] or ["-"]:
        if path == "-":
            out += stdin
            continue
        try:
            out += shell.container.read(path)
        except OSError as error:
            errors.append(f"cat: {path}: {_reason(error)}\n")
    return ExecResult(out, "".join(errors).encode(), 1 if errors else 0)


def _options(arguments: Sequence[str], flags: str, valued: str = "") -> tuple[dict[str, str], list[str], str]:
    """Short options, grouped or not: (option -> value or "", operands, first unknown option)."""
    found: dict[str, str] = {}
    rest = list(arguments)
    operands: list[str] = []
    while rest:
        word = rest.pop(0)
        if word == "--":
            return found, [*operands, *rest], ""
        if not word.startswith("-") or word == "-":
            operands.append(word)
            continue
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in valued:
                found[letter] = letters or (rest.pop(0) if rest else "")
                letters = ""
            elif letter in flags:
                found[letter] = ""
            else:
                return found, operands, letter
    return found, operands, ""


async def _ls(shell: Shell, arguments: Sequence[str], stdin: bytes) -> ExecResult:
    options, operands, unknown = _options(arguments, "1aAd")
    if unknown:
        return _fail(2, f"ls: invalid option -- '{unknown}'\nTry 'ls --help' for more information.")
    listed: list[tuple[str, list[str]]] = []
    plain: list[str] = []
    errors = []
    for path in operands or ["."]:
        real = shell.container.real(path)
        try:
            real.lstat()
            if real.is_dir() and "d" not in options:
                names = shell.container.names(path)
                shown = names if options.keys() & {"a", "A"} else [n for n in names if not n.startswith(".")]
                listed.append((path, [".", "..", *shown] if "a" in options else shown))
            else:
                plain.append(path)
        except OSError as error:
            errors.append(f"ls: cannot access '{path}': {_reason(error)}\n")
    blocks = ["".join(f"{name}\n" for name in plain)] if plain else []
    for path, names in listed:
        title = f"{path}:\n" if len(operands) > 1 else ""
        blocks.append(title + "".join(f"{name}\n" for name in names))
    return ExecResult("\n".join(blocks).encode(), "".join(errors).encode(), 2 if errors else 0)


async def _test(shell: Shell, arguments: Sequence[str], stdin: bytes) -> ExecResult:
    if len(arguments) != 2 or arguments[0] not in _TESTS:
        return _fail(2, "test: unknown condition")
    real = shell.container.real(arguments[1])
    return ExecResult(b"", b"", 0 if _TESTS[arguments[0]](real) else 1)


_TESTS: dict[str, Callable[[Path], bool]] = {
    "-e": lambda path: path.exists(),
    "-f": lambda path: path.is_file(),
    "-d": lambda path: path.is_dir(),
    "-s": lambda path: path.exists() and path.stat().st_size > 0,
    "-r": lambda path: os.access(path, os.R_OK),
}


def _filled(values: Mapping[str, str], match: re.Match[str]) -> str:
    return values.get(match[1], "?")


async def _stat(shell: Shell, arguments: Sequence[str], stdin: bytes) -> ExecResult:
    options, operands, unknown = _options(arguments, "L", "c")
    if unknown or "c" not in options or not operands:
        return _fail(1, "stat: only -c FORMAT is known here")
    out, errors = "", []
    for path in operands:
        real = shell.container.real(path)
        try:
            status = real.stat() if "L" in options else real.lstat()
        except OSError as error:
            errors.append(f"stat: cannot statx '{path}': {_reason(error)}\n")
            continue
        kind = "directory" if stat_module.S_ISDIR(status.st_mode) else "regular file"
        kind = "symbolic link" if stat_module.S_ISLNK(status.st_mode) else kind
        if kind == "regular file" and status.st_size == 0:
            kind = "regular empty file"
        values = {
            "%": "%",
            "n": path,
            "s": str(status.st_size),
            "F": kind,
            "a": f"{stat_module.S_IMODE(status.st_mode):o}",
            "A": stat_module.filemode(status.st_mode),
            "U": "root",
            "G": "root",
            "u": "0",
            "g": "0",
            "Y": str(int(status.st_mtime)),
            "i": str(status.st_ino),
        }
        out += re.sub(r"%(.)", partial(_filled, values), options["c"]) + "\n"
    return ExecResult(out.encode(), "".join(errors).encode(), 1 if errors else 0)


async def _wc(shell: Shell, arguments: Sequence[str], stdin: bytes) -> ExecResult:
    options, operands, unknown = _options(arguments, "cl")
    if unknown or len(options) != 1:
        return _fail(1, "wc: only -c or -l is known here")
    out, errors, total = "", [], 0
    for path in operands or ["-"]:
        try:
            content = stdin if path == "-" else shell.container.read(path)
        except OSError as error:
            errors.append(f"wc: {path}: {_reason(error)}\n")
            continue
        count = len(content) if "c" in options else content.count(b"\n")
        total += count
        out += f"{count}\n" if path == "-" else f"{count} {path}\n"
    if len(operands) > 1:
        out += f"{total} total\n"
    return ExecResult(out.encode(), "".join(errors).encode(), 1 if errors else 0)


async def _tail(shell: Shell, arguments: Sequence[str], stdin: bytes) -> ExecResult:
    options, operands, unknown = _options(arguments, "", "nc")
    number = options.get("n", options.get("c", "10"))
    if unknown or not re.fullmatch(r"\d+", number):
        return _fail(1, f"tail: invalid number: '{number}'")
    out, errors = b"", []
    for path in operands or ["-"]:
        try:
            content = stdin if path == "-" else shell.container.read(path)
        except OSError as error:
            errors.append(f"tail: cannot open '{path}' for reading: {_reason(error)}\n")
            continue
        if "c" in options:
            out += content[-int(number) :] if int(number) else b""
        else:
            lines = content.splitlines(keepends=True)
            out += b"".join(lines[-int(number) :]) if int(number) else b""
    return ExecResult(out, "".join(errors).encode(), 1 if errors else 0)


async def _grep(shell: Shell, arguments: Sequence[str], stdin: bytes) -> ExecResult:
    options, operands, unknown = _options(arguments, "EFcinqv", "em")
    if unknown:
        return _fail(2, f"grep: invalid option -- '{unknown}'")
    pattern = options["e"] if "e" in options else (operands.pop(0) if operands else "")
    if "F" in options or "E" not in options:
        pattern = re.escape(pattern) if "F" in options else re.sub(r"(?<!\\)([+?{}()|])", r"\\\1", pattern)
    try:
        compiled = re.compile(pattern, re.I if "i" in options else 0)
    except re.error as error:
        return _fail(2, f"grep: {error}")
    found, out, errors = 0, "", []
    for path in operands or ["-"]:
        try:
            content = stdin if path == "-" else shell.container.read(path)
        except OSError as error:
            errors.append(f"grep: {path}: {_reason(error)}\n")
            continue
        prefix = f"{path}:" if len(operands) > 1 else ""
        hits = [
            (number, line)
            for number, line in enumerate(content.decode(errors="replace").splitlines(), 1)
            if bool(compiled.search(line)) != ("v" in options)
        ]
        hits = hits[: int(options["m"])] if options.get("m", "").isdigit() else hits
        found += len(hits)
        if "c" in options:
            out += f"{prefix}{len(hits)}\n"
        elif "q" not in options:
            out += "".join(f"{prefix}{f'{n}:' if 'n' in options else ''}{line}\n" for n, line in hits)
    code = 2 if errors else 0 if found else 1
    return ExecResult(out.encode(), "".join(errors).encode(), code)


async def _env(shell: Shell, arguments: Sequence[str], stdin: bytes) -> ExecResult:
    values = shell.container.env
    if not arguments:
        return _ok("".join(f"{name}={value}\n" for name, value in values.items()))
    known = [values[name] for name in arguments if name in values]
    text = "".join(f"{value}\n" for value in known)
    return ExecResult(text.encode(), b"", 0 if len(known) == len(arguments) else 1)


async def _timeout(shell: Shell, arguments: Sequence[str], stdin: bytes) -> ExecResult:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", arguments[0]) if arguments else None
    if match is None or len(arguments) < 2:
        return _fail(125, "timeout: invalid time interval")
    seconds = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
    if posixpath.basename(arguments[1]) == "datakit" and list(arguments[2:4]) == ["debug", "--input-conf"]:
        return await _debug_input(shell, arguments[4:], seconds)
    try:
        async with asyncio.timeout(seconds or None):  # 0 is no limit
            return await run(shell, arguments[1:], stdin)
    except TimeoutError:
        return ExecResult(b"", b"", 124)
    except ExecutableNotFoundError:
        return _fail(127, f"timeout: failed to run command '{arguments[1]}': No such file or directory")


async def _datakit(shell: Shell, arguments: Sequence[str], stdin: bytes) -> ExecResult:
    if list(arguments[:1]) == ["version"]:
        lines = [
            f"       Version: {VERSION}",
            f"        Commit: {COMMIT}",
            "        Branch: master",
            " Build At(UTC): 2025-10-29 00:00:00",
            "Golang Version: go version go1.21.9 linux/amd64",
        ]
        return _ok("\n".join(lines) + "\n")
    if list(arguments[:2]) == ["check", "--config"]:
        started = time.monotonic()
        lines, good = shell.check_config()
        lines.append(f"[I] checking config cost {time.monotonic() - started:.6f}s")
        text = "".join(f"{line}\n" for line in lines)
        return ExecResult(text.encode(), b"", 0 if good else 255)
    if list(arguments[:2]) == ["debug", "--input-conf"]:
        return await _debug_input(shell, arguments[2:], _ENDLESS_S)
    known = "`version`, `check --config` and `debug --input-conf FILE`"
    return _fail(255, f"[E] the practice lab's datakit knows {known}, not {list(arguments)}")


async def _debug_input(shell: Shell, arguments: Sequence[str], seconds: float) -> ExecResult:
    """Run a file's inputs until the deadline, as `timeout` ends it: it never ends by itself."""
    if not arguments:
        return _fail(255, "[E] flag needs an argument: --input-conf")
    lines: list[str] = []
    try:
        async with asyncio.timeout(seconds):
            async for line in shell.debug_conf(arguments[0]):
                lines.append(line)
    except TimeoutError:
        return _ended(lines, 124)
    return _ended(lines, 255)


def _ended(lines: Sequence[str], code: int) -> ExecResult:
    return ExecResult("".join(f"{line}\n" for line in lines).encode(), b"", code)


async def _dd(shell: Shell, arguments: Sequence[str], stdin: bytes) -> ExecResult:
    """`dd of=FILE bs=1 count=N`: stdin into a file, of which a mount that is read-only knows nothing."""
    given = dict(word.partition("=")[::2] for word in arguments)
    unknown = given.keys() - {"of", "bs", "count", "conv", "status"}
    if unknown or not given.get("of") or not given.get("bs", "1").isdigit() or not given.get("count", "0").isdigit():
        return _fail(1, "dd: only of=FILE bs=N count=N conv=excl status=none is known here")
    path = given["of"]
    most = int(given.get("bs", "512")) * int(given["count"]) if "count" in given else len(stdin)
    real = shell.container.real(path)
    try:
        real.parent.mkdir(parents=path.startswith("/tmp/"), exist_ok=True)
        with real.open("xb" if "excl" in given.get("conv", "") else "wb") as file:
            file.write(stdin[:most])
    except OSError as error:
        return _fail(1, f"dd: failed to open '{path}': {_reason(error)}")
    return _ok()


async def _rm(shell: Shell, arguments: Sequence[str], stdin: bytes) -> ExecResult:
    options, operands, unknown = _options(arguments, "f")
    if unknown:
        return _fail(1, f"rm: invalid option -- '{unknown}'")
    errors = []
    for path in operands:
        try:
            shell.container.real(path).unlink()
        except FileNotFoundError as error:
            if "f" not in options:
                errors.append(f"rm: cannot remove '{path}': {_reason(error)}\n")
        except OSError as error:
            errors.append(f"rm: cannot remove '{path}': {_reason(error)}\n")
    return ExecResult(b"", "".join(errors).encode(), 1 if errors else 0)


async def _curl(shell: Shell, arguments: Sequence[str], stdin: bytes) -> ExecResult:
    return await curl(shell.container, shell.network, arguments, stdin)


_COMMANDS: dict[str, Command] = {
    "cat": _cat,
    "curl": _curl,
    "datakit": _datakit,
    "dd": _dd,
    "env": _env,
    "grep": _grep,
    "ls": _ls,
    "printenv": _env,
    "rm": _rm,
    "stat": _stat,
    "tail": _tail,
    "test": _test,
    "timeout": _timeout,
    "wc": _wc,
}
