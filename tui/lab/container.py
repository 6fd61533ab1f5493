"""What a container sees: mounts over a folder of its own, and its environment."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tui.lab.nodes import Node


@dataclass(frozen=True)
class Mount:
    """`source` (a real file or folder) appears at `path` inside the container."""

    path: str
    source: Path
    read_only: bool = False


@dataclass(frozen=True)
class Container:
    """A running container: where its files really lie, its environment, and the node on whose network it is."""

    pod: str
    namespace: str
    name: str
    uid: str
    image: str
    node: Node
    folder: Path  # what the image brought, and what the container wrote itself
    mounts: tuple[Mount, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    ip: str = ""  # the pod's own, the node's where it shares that one's network
    working_directory: str = "/"

    def absolute(self, path: str) -> str:
        """`path` as an absolute path without `.` and `..`, read from the working directory."""
        return posixpath.normpath(posixpath.join("/", self.working_directory, path))

    def real(self, path: str) -> Path:
        """Where the container's file `path` really lies (it may not exist): the deepest mount above it wins."""
        absolute = self.absolute(path).lstrip("/")
        absolute = "/" + absolute
        best: Mount | None = None
        for mount in self.mounts:
            inside = mount.path == "/" or absolute == mount.path or absolute.startswith(mount.path + "/")
            if inside and (best is None or len(mount.path) > len(best.path)):
                best = mount
        if best is None:
            return self.folder / absolute.lstrip("/")
        rest = absolute[len(best.path) :].lstrip("/") if best.path != "/" else absolute.lstrip("/")
        return best.source / rest if rest else best.source

    def read(self, path: str) -> bytes:
        """The file's content. Raises OSError as the real file does."""
        return self.real(path).read_bytes()

    def names(self, path: str) -> list[str]:
        """What a directory lists, sorted, mount points included. Raises OSError."""
        return sorted(entry.name for entry in self.real(path).iterdir())

    def files(self, top: str) -> list[str]:
        """Every file below the directory `top` in the order of Go's filepath.Walk; links to directories are
        not followed.
        """
        found: list[str] = []
        try:
            names = self.names(top)
        except OSError:
            return found
        for name in names:
            path = posixpath.join(top, name)
            real = self.real(path)
            if real.is_dir() and not real.is_symlink():
                found += self.files(path)
            else:
                found.append(path)
        return found


def make_mount_point(folder: Path, mounts: tuple[Mount, ...], mount: Mount) -> None:
    """Make what the runtime makes where a mount is to appear and nothing is there: an empty file or
    directory.

    As in real life that happens in whatever lies below: the image's layer, or an earlier mount such as a
    hostPath.
    """
    below = Container("", "", "", "", "", Node("", "", "", folder), folder, mounts)
    point = below.real(mount.path)
    if point.exists():
        return
    if mount.source.is_dir():
        point.mkdir(parents=True, exist_ok=True)
    else:
        point.parent.mkdir(parents=True, exist_ok=True)
        point.touch()
