"""The voices under the local engine: who can speak a plain phrase on this machine, by name.

A voice's full name is `FAMILY/NAME`. espeak-ng's are always there; the others where their package is installed and an
environment variable says where their weights or recordings lie. A new family is a module with the functions of
`VoiceFamily` and an entry here. Knows nothing of tags or delivery.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from evoxtral.errors import EvoxtralError, VoiceError
from evoxtral.findings import Finding
from evoxtral.models import ModelStore
from evoxtral.tts import espeak_voices, kokoro, piper, recorded
from evoxtral.tts.plain_speech import BaseVoice, VoiceFamily
from evoxtral.tts.speech_engine import Voice

FAMILIES: Mapping[str, VoiceFamily] = {
    "espeak": espeak_voices,
    "kokoro": kokoro,
    "piper": piper,
    "recorded": recorded,
}


def voices(store: ModelStore) -> list[Voice]:
    """The voices that can be used on this machine now, under their full names."""
    return [voice for family in FAMILIES.values() for voice in family.voices(store)]


def load(voice: str, store: ModelStore, cache_folder: Path | None = None) -> BaseVoice:
    """The base voice of that full name; otherwise as `VoiceFamily.load`."""
    kind, _, name = voice.partition("/")
    if kind not in FAMILIES:
        raise VoiceError(f"there is no voice {voice!r}", "evoxtral speak --list-voices")
    return FAMILIES[kind].load(name, store, cache_folder)


def probe(store: ModelStore) -> Iterator[Finding]:
    """What there is of each family; damaged files of one do not keep the others from being told."""
    for kind, family in FAMILIES.items():
        try:
            yield family.probe(store)
        except (EvoxtralError, OSError, ValueError) as error:
            yield Finding(kind, False, f"a voice's files are damaged: {' '.join(str(error).split())[:200]}")
