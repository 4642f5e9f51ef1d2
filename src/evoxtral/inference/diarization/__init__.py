"""Who speaks when: turns of speakers in a recording, and the speakers of words. Knows nothing of texts."""

from importlib.util import find_spec

from evoxtral.inference.diarization.embedded import EmbeddedDiarizer
from evoxtral.inference.diarization.known import name_known, voice_of
from evoxtral.inference.diarization.online import StreamDiarizer
from evoxtral.inference.diarization.pyannote import PYANNOTE_MODEL, PyannoteDiarizer, load_pipeline
from evoxtral.inference.diarization.turns import Diarizer, Turn, speaker_of
from evoxtral.models import HUB_CACHE, ModelStore

__all__ = [
    "PYANNOTE_MODEL",
    "Diarizer",
    "EmbeddedDiarizer",
    "StreamDiarizer",
    "Turn",
    "load_diarizer",
    "name_known",
    "speaker_of",
    "voice_of",
]


def load_diarizer(store: ModelStore = HUB_CACHE) -> Diarizer:
    """pyannote.audio where it is installed and gives its weights, otherwise the embedded way, as the log then says.

    Args:
        store: where the weights are looked up and fetched to.
    """
    if find_spec("pyannote") is None or find_spec("pyannote.audio") is None:
        return EmbeddedDiarizer()
    pipeline = load_pipeline(store)
    return EmbeddedDiarizer() if pipeline is None else PyannoteDiarizer(pipeline)
