"""What can go wrong with a store."""

from evoxtral.errors import EvoxtralError


class StoreError(EvoxtralError):
    """The store cannot be opened or used."""


class MissingError(Exception):
    """There is no such thing, or it belongs to another key."""


class VersionConflictError(Exception):
    """Somebody else changed the transcript since it was read."""


class JobsFullError(Exception):
    """No further job is accepted now; `of_owner` tells whether only this key has too many."""

    def __init__(self, *, of_owner: bool) -> None:
        super().__init__("too many jobs wait")
        self.of_owner = of_owner
