"""ElevenLabs v3 as a speech engine, through the official SDK. Knows the service; nothing of corpora."""

from evoxtral.tts.elevenlabs.elevenlabs_engine import elevenlabs_engine
from evoxtral.tts.elevenlabs.voices import STOCK_VOICES

__all__ = ["STOCK_VOICES", "elevenlabs_engine"]
