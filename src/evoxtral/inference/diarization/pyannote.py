"""Diarization by `pyannote.audio`, where it is installed and the user has a right to its weights.

Knows its pipeline and where the weights come from.
"""

import logging
import os
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.errors import ModelError
from evoxtral.inference.chunking import Window
from evoxtral.inference.diarization.turns import Turn, named
from evoxtral.models import ModelStore

_LOG = logging.getLogger(__name__)

PYANNOTE_MODEL = "pyannote/speaker-diarization-community-1"
_PYANNOTE_TELEMETRY = "PYANNOTE_METRICS_ENABLED"


class PyannoteDiarizer:
    """`pyannote.audio`'s pipeline over the whole recording, whose speech is kept in memory (230 MB an hour).

    Args:
        pipeline: a loaded pipeline of pyannote.audio 4.
    """

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._windows: list[Window] = []

    def hear(self, window: Window) -> None:
        self._windows.append(window)

    def turns(self, min_speakers: int | None = None, max_speakers: int | None = None) -> list[Turn]:
        import torch

        if not self._windows:
            return []
        samples = np.zeros(self._windows[-1].spans[-1].end, np.float32)
        for window in self._windows:
            position = 0
            for span in window.spans:
                length = span.end - span.start
                samples[span.start : span.end] = window.samples[position : position + length]
                position += length
        sound = {"waveform": torch.from_numpy(samples)[None], "sample_rate": SAMPLE_RATE_HZ}
        output = self._pipeline(sound, min_speakers=min_speakers, max_speakers=max_speakers)
        found = getattr(output, "speaker_diarization", output)
        turns = [(turn.start, turn.end, label) for turn, _, label in found.itertracks(yield_label=True)]
        return named([Turn(start_s, end_s, str(label)) for start_s, end_s, label in sorted(turns)])


@lru_cache(maxsize=1)
def load_pipeline(store: ModelStore) -> Any:
    """pyannote.audio's pipeline, loaded once for all recordings; None where it cannot be had, as is said once."""
    # It tells its makers the length of what it hears, unless it is told not to.
    if store.offline or _PYANNOTE_TELEMETRY not in os.environ:
        os.environ[_PYANNOTE_TELEMETRY] = "false"
    try:
        folder = store.fetch_files(PYANNOTE_MODEL, ["*"])
        pipeline = import_module("pyannote.audio").Pipeline.from_pretrained(folder)
        _move_to_gpu(pipeline)
    except ModelError as error:
        cause = str(error)
    except Exception as error:  # its loaders raise whatever torch, a missing file or a missing library make them raise
        cause = " ".join(str(error).split())[:200]
    else:
        return pipeline
    _LOG.warning("speakers are told apart by the embedded way, because pyannote.audio cannot be used: %s", cause)
    return None


def _move_to_gpu(pipeline: Any) -> None:
    import torch

    if torch.cuda.is_available():
        pipeline.to(torch.device("cuda"))
