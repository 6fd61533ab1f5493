"""What can go wrong, told so that a person can act on it, and the exit status that tells it to a program."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses of the command line (they are an interface: never renumber)."""

    OK = 0
    DECIDED_AGAINST = 1
    USAGE = 2
    UNREACHABLE = 3
    DEADLINE = 4
    REFUSED = 5
    PARTIAL = 6
    INTERRUPTED = 130


class WizardError(Exception):
    """An error that is shown as a page: what failed, on which object, why, and what to do next.

    The texts are already translated and hold no secret. `status` is the exit status of a command that ends with it.
    """

    status: Exit = Exit.REFUSED

    def __init__(self, what: str, *, object: str = "", why: str = "", remedy: str = "", command: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.object = object
        self.why = why
        self.remedy = remedy
        self.command = command

    def lines(self) -> list[str]:
        """The error as lines of plain text, empty parts left out."""
        return [part for part in (self.what, self.object, self.why, self.remedy, self.command) if part]

    def __str__(self) -> str:
        return "\n".join(self.lines())


class UsageError(WizardError):
    """The command line, the answers file or another input of the person's is wrong; nothing was changed."""

    status = Exit.USAGE


class UnreachableError(WizardError):
    """Cluster or studio out of reach, or credentials, key or certificate rejected."""

    status = Exit.UNREACHABLE


class KeyRejectedError(UnreachableError):
    """The studio does not accept the API key on this site."""


class RateLimitedError(UnreachableError):
    """The studio turned a request away because there were too many; the key is fine, and nothing was done."""


class DeadlineError(WizardError):
    """The deadline passed and the outcome is undecided."""

    status = Exit.DEADLINE


class RefusedError(WizardError):
    """Refused: missing rights, no consent, or an object that somebody else holds."""

    status = Exit.REFUSED


class ForbiddenError(RefusedError):
    """The API server denied one verb on one resource (HTTP 403)."""


class NotFoundError(WizardError):
    """The object does not exist (HTTP 404): the wrong cluster, namespace or name was given."""

    status = Exit.USAGE


class StaleError(RefusedError):
    """The object changed since it was reviewed (HTTP 409 without causes)."""


class ConflictError(RefusedError):
    """Server-side apply met fields that other managers own (HTTP 409 with causes)."""

    def __init__(self, what: str, *, conflicts: list[FieldConflict], object: str = "", remedy: str = "") -> None:
        why = "\n".join(f"{c.field}: {c.manager}" for c in conflicts)
        super().__init__(what, object=object, remedy=remedy, why=why)
        self.conflicts = conflicts


class FieldConflict:
    """One field of an object and the manager that owns it, as the API server names them."""

    def __init__(self, field: str, manager: str) -> None:
        self.field = field
        self.manager = manager

    def __repr__(self) -> str:
        return f"FieldConflict({self.field!r}, {self.manager!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldConflict) and (self.field, self.manager) == (other.field, other.manager)

    def __hash__(self) -> int:
        return hash((self.field, self.manager))


class PartialError(WizardError):
    """Only part was done; the receipt says what."""

    status = Exit.PARTIAL


class CancelledError(WizardError):
    """The person stopped it; the receipt says how far it came."""

    status = Exit.INTERRUPTED
