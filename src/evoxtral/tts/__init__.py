"""Text to speech: tagged text in, samples with word and tag times out. Knows no corpora, models or servers."""

from typing import Any

from evoxtral.errors import VoiceError
from evoxtral.tts.speech_engine import Speech, SpeechEngine, TimedTag, TimedWord, Voice

__all__ = ["Speech", "SpeechEngine", "TimedTag", "TimedWord", "Voice", "load_speech_engine", "speak"]


def load_speech_engine(name: str = "local", **options: Any) -> SpeechEngine:
    """The engine `local` or `elevenlabs`; `options` go to its class.

    Raises:
        VoiceError: there is no such engine, or it lacks something (the hint says what).
    """
    if name == "local":
        from evoxtral.tts.local import LocalEngine

        return LocalEngine(**options)
    if name == "elevenlabs":
        from evoxtral.tts.elevenlabs import ElevenLabsEngine

        return ElevenLabsEngine(**options)
    raise VoiceError(f"there is no speech engine {name!r}", "choose local or elevenlabs")


def speak(text: str, voice: str | None = None, seed: int = 0, engine: str = "local") -> Speech:
    """Speak one text; see `SpeechEngine.speak`."""
    return load_speech_engine(engine).speak(text, voice=voice, seed=seed)
