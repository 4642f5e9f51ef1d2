"""From sound to tagged text: engines behind one protocol, long audio, times, formats.

Knows the tag language and audio; knows nothing of corpora, training or the server.
"""

from evoxtral.inference.engines.loading import load_engine
from evoxtral.inference.options import TranscribeOptions
from evoxtral.inference.pipeline import transcribe

__all__ = ["TranscribeOptions", "load_engine", "transcribe"]
