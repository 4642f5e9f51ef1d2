"""The one policy for requests that failed: which are worth another try, how often, and how long to wait before it.

Knows HTTP's statuses and headers; knows no service and no HTTP library.
"""

import email.utils
import random
from dataclasses import dataclass
from datetime import UTC, datetime

# The server is busy, or stumbled over something that passes: the same request may succeed later (RFC 9110; 529 is what
# Anthropic answers when it is overloaded).
TRANSIENT_STATUSES = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})

_MAX_RETRY_AFTER_S = 300.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and when a request is tried again.

    Attributes:
        attempts: how often at most, the first time included.
        first_wait_s: wait after the first failure; doubles with each further one.
        max_wait_s: the longest such wait.
    """

    attempts: int = 6
    first_wait_s: float = 1.0
    max_wait_s: float = 60.0

    def wait_s(self, failures: int, retry_after: str | None = None) -> float:
        """How long to wait after so many failures in a row: what the server asks for, else exponential back-off.

        The later half of a back-off is random, so that clients that failed together do not return together.

        Args:
            failures: 1 after the first.
            retry_after: the answer's Retry-After header.
        """
        asked_s = retry_after_s(retry_after)
        if asked_s is not None:
            return asked_s
        return min(self.max_wait_s, self.first_wait_s * 2.0 ** (failures - 1)) * random.uniform(0.5, 1.0)


def is_transient(status: int | None) -> bool:
    """Whether the same request may succeed later; None stands for no answer at all."""
    return status is None or status in TRANSIENT_STATUSES or status >= 500


def retry_after_s(value: str | None) -> float | None:
    """What a Retry-After header asks for, a number of seconds or a date (RFC 9110), up to 300 s; None if nothing."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = email.utils.parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    return min(seconds, _MAX_RETRY_AFTER_S) if seconds >= 0 else None
