"""Speech in, expressive speech out: a recording's transcript is spoken again, sentence by sentence.

Stands above `inference` and `tts`, which know nothing of each other. Knows nothing of commands and servers.
"""

from evoxtral.respeaking.sentence_cache import SentenceCache
from evoxtral.respeaking.speaking import Respoken, SpokenSentence, respeak, speak_transcript

__all__ = ["Respoken", "SentenceCache", "SpokenSentence", "respeak", "speak_transcript"]
