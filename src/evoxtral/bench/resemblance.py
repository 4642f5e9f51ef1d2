"""How much speech resembles a recording of the same words: all measures of the round trip under their names.

One clip against another, or long recordings passage by passage. Knows samples; nothing of texts, tags or engines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.audio.speaker_encoder import embed_speaker, similarity
from evoxtral.bench import mos
from evoxtral.bench.perceptual import Sound, analyse, compare_sounds

Samples = NDArray[np.float32]

# Of a long recording no more than about this is compared, in passages spread over it.
_MOST_COMPARED_S = 60.0
# Voice and quality are told from so much: their networks take a tenth of the time that they hear, and a third.
_MOST_HEARD_S = 15.0
# Longer passages are left out: aligning takes memory with the square of their length.
_LONGEST_PASSAGE_S = 45.0
# Shorter ones have no contour.
_SHORTEST_PASSAGE_S = 0.3

# For each measure whether more of it is better, and its unit.
MEASURES: Mapping[str, tuple[bool, str]] = {
    "mcd_db": (False, "dB"),
    "f0_correlation": (True, ""),
    "f0_rmse_st": (False, "semitones"),
    "voicing_error": (False, ""),
    "energy_correlation": (True, ""),
    "energy_rmse_db": (False, "dB"),
    "rate_error": (False, "ln"),
    "pause_error_s": (False, "s"),
    "speaker_similarity": (True, "cosine"),
    "mos_overall": (True, "1-5"),
    "mos_signal": (True, "1-5"),
    "mos_background": (True, "1-5"),
}


@dataclass(frozen=True, slots=True)
class Recording:
    """What is compared of a recording: how it sounds, and whose voice it is (an embedding)."""

    sound: Sound
    voice: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Passage:
    """The same words in two recordings: start and end in each, in seconds."""

    original: tuple[float, float]
    spoken: tuple[float, float]


def listen(samples: NDArray[np.float32]) -> Recording:
    """Take from a mono 16 kHz recording what `measure` compares."""
    return Recording(analyse(samples), embed_speaker(samples))


def measure(original: Recording, samples: NDArray[np.float32]) -> dict[str, float | None]:
    """All measures of speech against a recording; none of speech that is empty."""
    if not len(samples):
        return {}
    spoken = listen(samples)
    values = compare_sounds(original.sound, spoken.sound)
    values["speaker_similarity"] = similarity(original.voice, spoken.voice)
    if mos.is_installed():
        values |= mos.predicted_mos(samples)
    return {name: _or_none(value) for name, value in values.items()}


def measure_passages(original: Samples, spoken: Samples, passages: Sequence[Passage]) -> dict[str, float | None]:
    """All measures of long speech against a recording, both mono at 16 kHz, by the passages that they have in common.

    Those that compare contours are means over passages, weighted by their length in the original; the voice and the
    quality are those of 15 s of passages joined. Empty where no passage can be compared.
    """
    chosen = _spread(passages, _MOST_COMPARED_S)
    if not chosen:
        return {}

    def cut(of: Sequence[Passage]) -> list[tuple[Samples, Samples]]:
        return [(_cut(original, passage.original), _cut(spoken, passage.spoken)) for passage in of]

    values: dict[str, list[tuple[float, int]]] = {}
    for first, second in cut(chosen):
        for name, value in compare_sounds(analyse(first), analyse(second)).items():
            if not np.isnan(value):
                values.setdefault(name, []).append((value, len(first)))
    measures: dict[str, float | None] = {name: None for name in MEASURES if not name.startswith(("mos", "speaker"))}
    for name, weighted in values.items():
        found, weights = zip(*weighted, strict=True)
        measures[name] = float(np.average(found, weights=weights))
    heard = [
        np.concatenate(side)[: round(_MOST_HEARD_S * SAMPLE_RATE_HZ)]
        for side in zip(*cut(_spread(chosen, _MOST_HEARD_S)), strict=True)
    ]
    measures["speaker_similarity"] = _or_none(similarity(*map(embed_speaker, heard)))
    if mos.is_installed():
        measures |= {name: _or_none(value) for name, value in mos.predicted_mos(heard[1]).items()}
    return measures


def _spread(passages: Sequence[Passage], most_s: float) -> list[Passage]:
    """Passages that can be compared, all or every so many, so that they last about `most_s`."""
    fitting = [
        passage
        for passage in passages
        if all(
            _SHORTEST_PASSAGE_S <= end - start <= _LONGEST_PASSAGE_S
            for start, end in (passage.original, passage.spoken)
        )
    ]
    total_s = sum(passage.original[1] - passage.original[0] for passage in fitting)
    return fitting[:: max(1, int(np.ceil(total_s / most_s)))]


def _cut(samples: Samples, span: tuple[float, float]) -> Samples:
    return samples[round(span[0] * SAMPLE_RATE_HZ) : round(span[1] * SAMPLE_RATE_HZ)]


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
