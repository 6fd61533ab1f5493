"""What one look of a check found."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Finding:
    """The outcome of one look; texts are translated.

    `needed` is False where a skip takes nothing from the proof, nor a warning; `blocked_by` is the check that a skip
    goes back to.
    A pending one is due in `due_s` seconds: where a run ends before, it is no failure.
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
    due_s: float = 0.0


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
    due_s: float = 0.0,
) -> Finding:
    """Not yet; at the deadline this becomes a failure with these words, unless it is due only later."""
    return Finding(
        "pending",
        looked_at=looked_at,
        found=found,
        causes=causes,
        object=object,
        remedy=remedy,
        command=command,
        due_s=due_s,
    )


def undecided(finding: Finding) -> Finding:
    """What a pending finding is when the run ends: a failure, or undecided where it is not due yet."""
    if finding.due_s <= 0:
        return replace(finding, status="fail")
    return replace(finding, status="skip", skipped_because=finding.found)


def skipped(because: str, *, remedy: str = "", command: str = "") -> Finding:
    """It could not be looked at, and the proof is the poorer for it."""
    return Finding("skip", skipped_because=because, remedy=remedy, command=command)


def not_needed(because: str) -> Finding:
    """There is nothing to look at in this setup."""
    return Finding("skip", skipped_because=because, needed=False)
