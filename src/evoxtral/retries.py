"""How long to wait before a network request is tried again. Knows no service."""

import email.utils
import random
from datetime import UTC, datetime

_FIRST_DELAY_S = 1.0
_MAX_DELAY_S = 60.0
_MAX_RETRY_AFTER_S = 300.0


def backoff_s(failures: int) -> float:
    """Exponential back-off after so many failures: 1, 2, 4 ... up to 60 s, of which the later half is random."""
    return min(_MAX_DELAY_S, _FIRST_DELAY_S * 2.0 ** (failures - 1)) * random.uniform(0.5, 1.0)


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
