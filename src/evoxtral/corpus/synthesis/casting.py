"""Casting: which voice speaks which script, with which seed, into which file.

Knows scripts, voices and the configuration; nothing of how speech is made, or what is made already.
"""

import hashlib
import logging
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from evoxtral.data.corpus_config import SynthesisConfig
from evoxtral.data.files import file_stem
from evoxtral.data.records import Script, Turn
from evoxtral.errors import CorpusError
from evoxtral.tts.speech_engine import SpokenTurn

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Take:
    """A clip that is to be made: which voice speaks which script, with which seed, into which file of the folder.

    `turns` are a dialogue's, each with its voice; `voice` is the one that begins.
    """

    clip_id: str
    script: Script
    voice: str
    seed: int
    audio: str
    turns: tuple[Turn, ...] = ()


def cast(scripts: Sequence[Script], voices: Sequence[str], config: SynthesisConfig) -> list[Take]:
    """Give every script its voices, seeds and file names; first takes of all scripts come before second takes.

    A script that names its voice gets that one. The others go round-robin, each round shuffled for itself: the voices
    are used equally often, keep step with no order in the scripts, and stay as they are when scripts are appended or
    `config.takes` grows. The other speaker of a dialogue gets a drawn one.

    Raises:
        CorpusError: a script's id occurs twice, or there are too few voices for `config.max_voice_share`.
    """
    repeated = [name for name, count in Counter(script.id for script in scripts).items() if count > 1]
    if repeated:
        raise CorpusError(f"the script id {repeated[0]!r} occurs twice")
    unassigned = [script for script in scripts if script.voice is None]
    if unassigned and len(set(voices)) * config.max_voice_share < 1 - 1e-9:
        raise CorpusError(
            f"with {len(set(voices))} voices, one would speak more than {config.max_voice_share:.0%} of the clips",
            "name more voices, or raise max_voice_share",
        )
    places = {script.id: divmod(index, len(voices)) for index, script in enumerate(unassigned)}
    takes = []
    for number in range(config.takes):
        for script in scripts:
            voice = script.voice
            if voice is None:
                round_number, place = places[script.id]
                order = random.Random(f"{config.seed}:{round_number}").sample(voices, len(voices))
                voice = order[(place + number) % len(order)]
            clip_id = f"{script.id}-{number}"
            audio = f"audio/{file_stem(clip_id)}.{config.audio_format}"
            seed = _number_from(f"{config.seed}:{clip_id}")
            turns = _cast_turns(script.turns, voice, voices, seed)
            takes.append(Take(clip_id, script, turns[0].voice or voice if turns else voice, seed, audio, turns))
    return takes


def spoken_turns(take: Take) -> tuple[SpokenTurn, ...]:
    """What an engine is to speak of a dialogue."""
    return tuple(SpokenTurn(turn.tagged_text, turn.voice or take.voice) for turn in take.turns)


def _cast_turns(turns: Sequence[Turn], first: str, voices: Sequence[str], seed: int) -> tuple[Turn, ...]:
    """The turns with their voices: `first` for who begins, another for each other speaker where there are enough."""
    named = {turn.speaker: turn.voice for turn in turns if turn.voice}
    free = [voice for voice in random.Random(seed).sample(voices, len(voices)) if voice not in (first, *named.values())]
    cast_as: dict[str, str] = {}
    for turn in turns:
        if turn.speaker not in cast_as:
            other = first if not cast_as or not free else free.pop(0)
            cast_as[turn.speaker] = named.get(turn.speaker) or other
    if len(set(cast_as.values())) < len(cast_as):
        _log.warning("there are too few voices for dialogues: one voice speaks for several people")
    return tuple(turn.model_copy(update={"voice": cast_as[turn.speaker]}) for turn in turns)


def _number_from(text: str) -> int:
    """A 32-bit number that depends on nothing but `text`."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")
