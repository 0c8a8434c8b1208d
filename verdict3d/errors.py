"""Errors a user can act on: what, where, what is allowed, what to do."""


class Verdict3DError(Exception):
    """A problem the user can solve; commands print its message and exit with status 1."""


class ItemFailure(Verdict3DError):
    """One item cannot be processed; the run goes on and records the reason.

    Args:
        reason: Short snake_case code that reports count by, such as ``empty_structure``.
        message: What happened, for people.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type["ItemFailure"], tuple[str, str]]:
        return type(self), (self.reason, str(self))
