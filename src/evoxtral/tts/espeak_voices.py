"""Base voices of espeak-ng, which every installation has. Knows the binding; nothing of tags or delivery."""

from collections.abc import Sequence
from pathlib import Path

from evoxtral.errors import VoiceError
from evoxtral.findings import Finding
from evoxtral.models import ModelStore
from evoxtral.tts import espeak
from evoxtral.tts.plain_speech import SAMPLE_WORDS, PlainSpeech, count_voices
from evoxtral.tts.speech_engine import Voice


class EspeakBase:
    """A voice of espeak-ng."""

    engine = "local/espeak"

    def __init__(self, voice: espeak.EspeakVoice) -> None:
        self._voice = voice

    def speak_words(self, words: Sequence[str]) -> PlainSpeech:
        return espeak.speak_words(words, self._voice)

    def sample(self) -> PlainSpeech:
        return self.speak_words(SAMPLE_WORDS)


def voices(store: ModelStore) -> list[Voice]:
    return [Voice(f"espeak/{voice.name}", f"{voice.description} (espeak-ng)") for voice in espeak.VOICES.values()]


def load(name: str, store: ModelStore, cache_folder: Path | None) -> EspeakBase:
    if name not in espeak.VOICES:
        raise VoiceError(f"there is no voice espeak/{name}", "evoxtral speak --list-voices")
    return EspeakBase(espeak.VOICES[name])


def probe(store: ModelStore) -> Finding:
    return Finding("espeak", True, count_voices(len(espeak.VOICES)))
