"""Word and character error rates, raw and normalised, of the texts without tags and emphasis.

Unknown where no clip's words are scored.

WER = (substitutions + deletions + insertions) / reference words,  summed over clips before dividing
"""

import numpy as np

from evoxtral.bench import edit_distance
from evoxtral.bench.counts import Counts, Floats, Totals
from evoxtral.bench.formulas import error_rate
from evoxtral.bench.metrics.metric import ClipTexts, Figure, FigureRow, Metric
from evoxtral.bench.normalization import normalise_english


def word_errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """Substituted, deleted and inserted words, and reference words; words are what white space separates.

    The least number of such edits, as in jiwer.
    """
    words = reference.split()
    return edit_distance.distance(words, hypothesis.split()), len(words)


def character_errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """The same over characters, a space between words counting as one."""
    words = reference.split()
    return edit_distance.character_distance(words, hypothesis.split()), len(" ".join(words))


def count(clip: ClipTexts) -> Counts:
    if not clip.has_words:
        return {}
    counts: Counts = {"word/clips": 1}
    raw = clip.reference.plain_text, clip.hypothesis.plain_text
    normalised = normalise_english(raw[0]), normalise_english(raw[1])
    for form, texts in (("", raw), ("normalised ", normalised)):
        counts[f"{form}word/errors"], counts[f"{form}word/reference"] = word_errors(*texts)
        counts[f"{form}character/errors"], counts[f"{form}character/reference"] = character_errors(*texts)
    return counts


def _error_rate(what: str) -> Figure:
    def figure(totals: Totals) -> Floats:
        found = error_rate(totals[f"{what}/errors"], totals[f"{what}/reference"])
        return np.where(totals["word/clips"] == 0, np.nan, found)

    return figure


METRIC = Metric(
    definition="WER and CER: substituted, deleted and inserted words (characters) for each one of the reference over "
    "all clips, tags and emphasis taken out; raw on the bare text, normalised after Whisper's English normaliser.",
    count=count,
    figures={
        "wer_normalized": FigureRow(_error_rate("normalised word"), "WER, normalised", percent=True, by_slice=True),
        "wer": FigureRow(_error_rate("word"), "WER, raw", percent=True, by_slice=True),
        "cer": FigureRow(_error_rate("character"), "CER, raw", percent=True),
        "cer_normalized": FigureRow(_error_rate("normalised character"), percent=True),
    },
)
