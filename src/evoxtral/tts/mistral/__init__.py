"""Voxtral TTS 3 as a speech engine, through Mistral's SDK. Knows the service; nothing of corpora.

Made from the types of the SDK `mistralai` 3.7 and the public documentation (docs.mistral.ai, Studio, Audio; November
2026); it has not met the real service.
"""

from evoxtral.tts.mistral.mistral_engine import mistral_engine
from evoxtral.tts.mistral.mistral_voices import PRESET_VOICES

__all__ = ["PRESET_VOICES", "mistral_engine"]
