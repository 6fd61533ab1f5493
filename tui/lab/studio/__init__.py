"""The practice studio: the Open API and the DataWay of a workspace, on loopback, kept in one SQLite file."""

from tui.lab.studio.server import Asked, StudioServer

__all__ = ["Asked", "StudioServer"]
