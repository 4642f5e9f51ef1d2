"""Text to speech: tagged text in, samples with word and tag times out. Knows no corpora, models or servers."""

from evoxtral.tts.registry import load_speech_engine
from evoxtral.tts.speech_engine import Speech, SpeechEngine, TimedTag, TimedWord, Voice

__all__ = ["Speech", "SpeechEngine", "TimedTag", "TimedWord", "Voice", "load_speech_engine", "speak"]


def speak(text: str, voice: str | None = None, seed: int = 0, engine: str = "local") -> Speech:
    """Speak one text; see `SpeechEngine.speak`."""
    return load_speech_engine(engine).speak(text, voice=voice, seed=seed)
