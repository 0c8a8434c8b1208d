"""Errors a user can act on: what, where, what is allowed, what to do."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class Verdict3DError(Exception):
    """A problem the user can solve; commands print its message and exit with status 1."""


class ItemFailure(Verdict3DError):
    """One item cannot be processed; the run goes on and records the reason.

    Args:
        reason: Short snake_case code that reports count by, such as ``empty_structure``.
        message: What happened, for people; what is no Unicode in it, such as a half of a character that a
            server sent, becomes a question mark, so that records can hold it.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message.encode(errors="replace").decode())
        self.reason = reason

    def __reduce__(self) -> tuple[type[ItemFailure], tuple[str, str]]:
        return type(self), (self.reason, str(self))


def missing_extra(extra: str, what: str) -> Verdict3DError:
    """Return the error that a package is missing which an extra of this project brings.

    Args:
        extra: Name in ``pyproject.toml``.
        what: What needs it, and what was missing.
    """
    return Verdict3DError(f"{what}; type {install_extra(extra)}")


def install_extra(extra: str) -> str:
    """Return what to type for an extra, for people: of an installed package, and in a checkout."""
    return f"`pip install 'verdict3d[{extra}]'`, or in a checkout `pip install -e '.[{extra}]'`"


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}


@contextmanager
def one_message() -> Iterator[None]:
    """End the process with one message and status 1 if the block fails for a reason that users can mend.

    Such reasons are a :class:`Verdict3DError`, a full disk and a folder that may not be written. Anything
    else is a bug and keeps its traceback.
    """
    try:
        yield
    except Exception as error:
        message = str(error) if isinstance(error, Verdict3DError) else storage_problem(error)
        if message is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        sys.exit(1)


def storage_problem(error: BaseException) -> str | None:
    """Return a message for people when ``error`` means that a file could not be written, None otherwise.

    Writers below Python (safetensors, SQLite) put the system's words into errors of their own.
    """
    where = getattr(error, "filename", None)
    place = f" ({where})" if where else ""
    number = error.errno if isinstance(error, OSError) else None
    if number in _FULL or "No space left on device" in str(error) or "disk is full" in str(error):
        return f"the disk is full{place}: make room and run again; finished work is kept"
    if number in _IN_THE_WAY and where:
        return f"a file is where a folder should be, or a folder where a file should be{place}: move it away"
    if number == errno.ENAMETOOLONG:
        return f"a name is too long{place}: choose a shorter one"
    if number in _FORBIDDEN or "attempt to write a readonly database" in str(error):
        return f"no permission to write{place}: make it writable for this user, or use another folder"
    return None
