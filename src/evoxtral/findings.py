"""What a machine has or lacks, as one line each: what every optional part tells about itself.

Knows how to look for a package without importing it; nothing of any part.
"""

from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that may be there or not.

    Attributes:
        detail: what it is, or what it lacks.
        remedy: the command or variable that adds it or makes it better; None where there is nothing to do.
    """

    name: str
    present: bool
    detail: str
    remedy: str | None = None


def is_importable(module: str) -> bool:
    """Whether a module can be found; it is not imported."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        # Its parent is missing, or it is only half there.
        return False
