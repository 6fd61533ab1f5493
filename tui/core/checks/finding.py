"""What one look of a check found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """The outcome of one look; texts are translated.

    `needed` is False where a skip takes nothing from the proof; `blocked_by` is the check that a skip goes back to.
    """

    status: str
    looked_at: str = ""
    found: str = ""
    causes: tuple[str, ...] = ()
    object: str = ""
    remedy: str = ""
    command: str = ""
    skipped_because: str = ""
    needed: bool = True
    blocked_by: str = ""


def passed(found: str, *, looked_at: str = "", object: str = "") -> Finding:
    """It is as it should be."""
    return Finding("pass", looked_at=looked_at, found=found, object=object)


def failed(
    found: str,
    *,
    looked_at: str = "",
    causes: tuple[str, ...] = (),
    object: str = "",
    remedy: str = "",
    command: str = "",
    status: str = "fail",
) -> Finding:
    """It is not as it should be, and waiting will not change it."""
    return Finding(
        status, looked_at=looked_at, found=found, causes=causes, object=object, remedy=remedy, command=command
    )


def pending(
    found: str,
    *,
    looked_at: str = "",
    causes: tuple[str, ...] = (),
    object: str = "",
    remedy: str = "",
    command: str = "",
) -> Finding:
    """Not yet; at the deadline this becomes a failure with these words."""
    return failed(
        found,
        looked_at=looked_at,
        causes=causes,
        object=object,
        remedy=remedy,
        command=command,
        status="pending",
    )


def skipped(because: str, *, remedy: str = "", command: str = "") -> Finding:
    """It could not be looked at, and the proof is the poorer for it."""
    return Finding("skip", skipped_because=because, remedy=remedy, command=command)


def not_needed(because: str) -> Finding:
    """There is nothing to look at in this setup."""
    return Finding("skip", skipped_because=because, needed=False)
