"""Which emotion an utterance is spoken in: a linear classifier of how an early layer of an encoder hears it.

An utterance is told against plain speech of its language, so that neither the language nor a loud or near voice is
taken for an emotion. Knows statistics of utterances and weights; nothing of words, models or recordings. The weights
are made by recipes/edge/emotion.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio.levels import USUAL_SPEECH_DB, frame_rms, rms, to_gain
from evoxtral.errors import ModelError

EMOTION_FILE = "emotion.npz"
"""The weights' name in a model's folder."""

NO_EMOTION = "none"
LONGEST_S = 5.0
"""Of an utterance its beginning is heard, no more than that."""

# The level of an utterance is that of its frames of 32 ms that are at most so far below the loudest.
_LEVEL_FRAME_SAMPLES, _LEVEL_RANGE_DB = 512, 20.0


@dataclass(frozen=True, slots=True)
class Emotion:
    """An emotion by its tag's name, and how probable it is."""

    name: str
    probability: float


@dataclass(frozen=True, slots=True, eq=False)
class EmotionHead:
    """The classifier.

    Attributes:
        layers: how many of the encoder's layers it hears through.
        names: what it tells apart; the first is `NO_EMOTION`.
        weights: shape (2 * width, names), for statistics as `pooled` gives them; biases: shape (names,).
        plain: by language, the mean statistics of plain speech, shape (2 * width,).
        threshold: how probable an emotion must be to be told.
    """

    layers: int
    names: tuple[str, ...]
    weights: NDArray[np.float32]
    biases: NDArray[np.float32]
    plain: dict[str, NDArray[np.float32]]
    threshold: float

    @classmethod
    def load(cls, folder: Path) -> "EmotionHead | None":
        """The weights of a model's folder; None where it has none.

        Raises:
            ModelError: the file is damaged.
        """
        path = folder / EMOTION_FILE
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                return cls(
                    int(stored["layers"]),
                    tuple(str(name) for name in stored["names"]),
                    stored["weights"],
                    stored["biases"],
                    dict(zip([str(language) for language in stored["languages"]], stored["plain"], strict=True)),
                    float(stored["threshold"]),
                )
        except Exception as error:  # whatever a damaged archive makes numpy raise
            raise ModelError(f"{path}: is damaged: {error}", "copy it again") from error

    def save(self, path: Path) -> None:
        """Write the file that `load` reads."""
        np.savez(
            path,
            layers=np.int64(self.layers),
            names=np.array(self.names),
            weights=self.weights,
            biases=self.biases,
            languages=np.array(list(self.plain)),
            plain=np.stack(list(self.plain.values())),
            threshold=np.float64(self.threshold),
        )

    def probabilities(self, statistics: NDArray[np.float32], language: str) -> NDArray[np.float32]:
        """The probability of each name for an utterance in a language of which plain speech is known (softmax)."""
        logits = (statistics - self.plain[language]) @ self.weights + self.biases
        powers = np.exp(logits - logits.max())
        return np.asarray(powers / powers.sum(), np.float32)

    def emotion_of(self, statistics: NDArray[np.float32], language: str) -> Emotion | None:
        """The likeliest emotion if it is probable enough to be told."""
        probabilities = self.probabilities(statistics, language)
        best = int(np.argmax(probabilities))
        if best == 0 or probabilities[best] < self.threshold:
            return None
        return Emotion(self.names[best], float(probabilities[best]))


def at_usual_level(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """An utterance at the level that all are heard at: how far away the microphone stood says nothing."""
    levels = frame_rms(samples, _LEVEL_FRAME_SAMPLES)
    level = rms(levels[levels >= levels.max(initial=0.0) * to_gain(-_LEVEL_RANGE_DB)])
    return samples if level <= 0 else np.asarray(samples * np.float32(to_gain(USUAL_SPEECH_DB) / level), np.float32)


def pooled(encoded: NDArray[np.float32]) -> NDArray[np.float32]:
    """Outputs of shape (frames, width) to their means and standard deviations, shape (2 * width,)."""
    return np.concatenate([encoded.mean(0), encoded.std(0)])
