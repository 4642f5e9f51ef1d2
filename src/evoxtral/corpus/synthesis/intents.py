"""Which requests were sent: written down before each, so that what a killed run had under way is found again.

Knows the journal `requests.jsonl` of a corpus folder; nothing of any service.
"""

import hashlib
import time
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from evoxtral.corpus.synthesis.casting import Take, spoken_turns
from evoxtral.data.journal import Journal
from evoxtral.data.records import Id
from evoxtral.tts.speech_engine import LostRequest


class Intent(BaseModel):
    """A request that is about to be sent.

    Attributes:
        clip_id: the clip that it is to become; with `text_sha256`, `voice` and `seed`, all that it depends on.
        sent_unix_s: when, in seconds since 1970 UTC.
    """

    model_config = ConfigDict(frozen=True)

    clip_id: Id
    text_sha256: str
    voice: str
    seed: int
    sent_unix_s: float


class Intents:
    """The journal of a corpus folder."""

    def __init__(self, folder: Path) -> None:
        self._journal = Journal(folder / "requests.jsonl", Intent)
        self._before = self._journal.latest(lambda intent: intent.clip_id)

    def note(self, take: Take) -> None:
        """Write down that a request follows; on disk when this returns."""
        self._journal.append([_intent(take, time.time())])

    def lost(self, takes: Iterable[Take]) -> list[tuple[Take, LostRequest]]:
        """Those of the takes that earlier runs sent, with what they sent."""
        found = []
        for take in takes:
            before = self._before.get(take.clip_id)
            if before is not None and before == _intent(take, before.sent_unix_s):
                found.append(
                    (
                        take,
                        LostRequest(take.script.tagged_text, take.voice, before.sent_unix_s, spoken_turns(take)),
                    )
                )
        return found


def _intent(take: Take, sent_unix_s: float) -> Intent:
    return Intent(
        clip_id=take.clip_id,
        text_sha256=hashlib.sha256(take.script.tagged_text.encode()).hexdigest(),
        voice=" + ".join(dict.fromkeys(turn.voice for turn in spoken_turns(take))) or take.voice,
        seed=take.seed,
        sent_unix_s=sent_unix_s,
    )
