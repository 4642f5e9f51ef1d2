"""Keys of a service: which there are, how many requests each takes at once, which can be used no more.

A key is used for as many requests at once as the service allows it (which its answers tell), rests when the service
asks for that, and is set aside for good when it is refused or its quota is used up. Keys appear nowhere but in request
headers: messages call them by number. Knows nothing of requests.
"""

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from evoxtral.errors import VoiceError
from evoxtral.tts.paid.answers import Refusal

_log = logging.getLogger(__name__)

# What the smallest plans allow; answers tell more.
_INITIAL_CONCURRENCY = 2


@dataclass(slots=True, eq=False)
class Key:
    """An API key and what is known of it.

    Attributes:
        label: what messages call it.
        limit: how many requests the service takes at once.
        in_use: how many are under way.
        resting: how many pauses, asked for by the service, have not ended.
        refusals: "too many requests" answers since the last success.
        last_used: turn in which it was last chosen.
        set_aside: why it is not used any more, or None.
    """

    secret: str = field(repr=False)
    label: str
    limit: int = _INITIAL_CONCURRENCY
    in_use: int = 0
    resting: int = 0
    refusals: int = 0
    last_used: int = 0
    set_aside: str | None = None


class KeyRing:
    """All keys.

    Args:
        title: of the service, for messages.
        variable: where the user may set a key; with an S behind it, several.
        secrets: the keys.
    """

    def __init__(self, title: str, variable: str, secrets: Sequence[str]) -> None:
        self._title = title
        self._variable = variable
        self.keys = [Key(secret, f"key {number} of {len(secrets)}") for number, secret in enumerate(secrets, 1)]
        self._turns = itertools.count(1)

    @property
    def usable(self) -> list[Key]:
        """Those that are not set aside."""
        return [key for key in self.keys if key.set_aside is None]

    @property
    def concurrency(self) -> int:
        """Requests that all usable keys together take at once; 1 where there is none, so that the reason comes out."""
        return sum(key.limit for key in self.usable) or 1

    def take(self) -> Key | None:
        """The free key that was not used for longest, with one more request under way; None where none is free."""
        free = [key for key in self.usable if key.in_use < key.limit and not key.resting]
        if not free:
            return None
        key = min(free, key=lambda key: key.last_used)
        key.last_used = next(self._turns)
        key.in_use += 1
        return key

    def learn(self, key: Key, maximum: int, others: int) -> None:
        """Take a key's limit from an answer: what the service takes at once, less what others are using of it."""
        key.limit = max(1, maximum - max(0, others))

    def slow_down(self, key: Key, refusal: Refusal) -> None:
        """Take a key's limit from a "too many requests": what it tells, else one less than were under way."""
        if refusal.maximum is not None:
            key.limit = max(1, refusal.maximum)
        elif refusal.is_crowded:
            key.limit = max(1, key.in_use - 1)
        if not key.resting:
            key.refusals += 1

    def set_aside(self, key: Key, reason: str) -> None:
        """Use a key no more; said once."""
        if key.set_aside is None:
            key.set_aside = reason
            _log.warning("%s %s is set aside: %s (%d left)", self._title, key.label, reason, len(self.usable))

    def none_left(self) -> VoiceError:
        """Why no key can be used."""
        if not self.keys:
            return VoiceError(f"there is no {self._title} key", f"set {self._variable}, or use the engine local")
        reasons = "; ".join(f"{key.label}: {key.set_aside}" for key in self.keys)
        return VoiceError(f"no {self._title} key is left ({reasons})", f"add a key to {self._variable}S")

    def redact(self, text: str) -> str:
        """A message of the service on one line, without the keys in it."""
        for key in self.keys:
            text = text.replace(key.secret, "[key]")
        return " ".join(text.split())


def read_keys(keys_file: str | Path | None, of_environment: Sequence[SecretStr]) -> list[str]:
    """The keys of a file, one a line with notes behind #, or those of the environment; each once, in order.

    Raises:
        VoiceError: the file cannot be read.
    """
    if keys_file is not None:
        try:
            lines = Path(keys_file).expanduser().read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise VoiceError(f"the keys file {keys_file} cannot be read: {type(error).__name__}") from None
        found = [line.partition("#")[0].strip() for line in lines]
    else:
        found = [key.get_secret_value() for key in of_environment]
    return list(dict.fromkeys(key.strip() for key in found if key.strip()))
