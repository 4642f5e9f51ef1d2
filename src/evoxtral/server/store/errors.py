"""What can go wrong with a store."""

from evoxtral.errors import EvoxtralError


class StoreError(EvoxtralError):
    """The store cannot be opened or used."""


class MissingError(Exception):
    """There is no such thing, or it belongs to another key."""


class VersionConflictError(Exception):
    """Somebody else changed the transcript since it was read."""


class JobsFullError(Exception):
    """No further job is accepted now."""
