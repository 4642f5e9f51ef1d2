"""Where somebody speaks: Silero's voice activity detector, fed block by block.

The detector's weights come with faster-whisper. Knows nothing of windows or text.
"""

from functools import lru_cache
from importlib.resources import as_file, files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ

FRAME_SAMPLES = 512
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ

# Speech begins at the upper and ends below the lower probability: the thresholds that the detector's authors give.
ONSET_PROBABILITY = 0.5
OFFSET_PROBABILITY = 0.35

_CONTEXT_SAMPLES = 64


class SpeechDetector:
    """Gives each frame of 32 ms its probability of speech; its memory runs on from block to block."""

    def __init__(self) -> None:
        self._session = _session()
        self._rest = np.zeros(0, np.float32)
        self._forget()

    def _forget(self) -> None:
        self._h = np.zeros((1, 1, 128), np.float32)
        self._c = np.zeros((1, 1, 128), np.float32)
        self._context = np.zeros(_CONTEXT_SAMPLES, np.float32)

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities of the frames that these samples complete, shape (frames,)."""
        samples = np.concatenate([self._rest, samples])
        count = len(samples) // FRAME_SAMPLES
        self._rest = samples[count * FRAME_SAMPLES :]
        if count == 0:
            return np.zeros(0, np.float32)
        if not samples.any():
            # Silence that stands for what a file does not hold: there may be hours of it.
            self._forget()
            return np.zeros(count, np.float32)
        frames = samples[: count * FRAME_SAMPLES].reshape(count, FRAME_SAMPLES)
        # Each frame is heard after the last samples of the one before it.
        contexts = np.concatenate([self._context[None], frames[:-1, -_CONTEXT_SAMPLES:]])
        self._context = frames[-1, -_CONTEXT_SAMPLES:].copy()
        inputs = np.concatenate([contexts, frames], axis=1)
        probabilities, self._h, self._c = self._session.run(None, {"input": inputs, "h": self._h, "c": self._c})
        return np.asarray(probabilities, np.float32).reshape(-1)

    def finish(self) -> NDArray[np.float32]:
        """Probability of the last, incomplete frame, filled up with silence; shape (1,) or (0,)."""
        return self.feed(np.zeros(-len(self._rest) % FRAME_SAMPLES, np.float32))


class SpeechGate:
    """Turns probabilities into speech or not, frame by frame, with hysteresis."""

    def __init__(self) -> None:
        self._speaking = False

    def feed(self, probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether each frame is speech, shape (frames,)."""
        speech = np.empty(len(probabilities), np.bool_)
        for index, probability in enumerate(probabilities):
            self._speaking = probability >= (OFFSET_PROBABILITY if self._speaking else ONSET_PROBABILITY)
            speech[index] = self._speaking
        return speech


@lru_cache(maxsize=1)
def _session() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # The network is too small to gain from threads.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    with as_file(files("faster_whisper.assets")) as folder:
        model = next(folder.glob("silero_vad*.onnx"))
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
