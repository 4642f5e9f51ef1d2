"""Emotions and vocal sounds apart: two different things to hear, which one F1 over all tags mixes.

    emotion macro-F1 = mean of F1 over the emotion tags that the references have
    recall of sounds = sounds found under their name / sounds of the references
    ... in their gap = sounds found under their name between the right words / sounds of the references

Words are aligned and tags matched as for places (`tag_matching`).
"""

from evoxtral.bench import formulas
from evoxtral.bench.counts import Counts, Floats, Totals
from evoxtral.bench.metrics.metric import ClipTexts, FigureRow, Metric
from evoxtral.bench.tag_matching import match_tags
from evoxtral.tags import Category, lookup


def count(clip: ClipTexts) -> Counts:
    sounds = [tag.category is Category.NON_VERBAL for tag in clip.reference.tags]
    if not any(sounds):
        return {}
    found = [pair for pair in match_tags(clip.reference, clip.hypothesis, clip.alignment) if sounds[pair.reference]]
    return {
        "sound/reference": sum(sounds),
        "sound/found": len(found),
        "sound/in gap": sum(pair.displacement == 0 for pair in found),
    }


def _emotion_macro_f1(totals: Totals) -> Floats:
    names = [name for name in totals.under("tag/reference") if _is_emotion(name)]
    matched, reference, hypothesis = (
        totals.stack([f"tag/{side}/{name}" for name in names]) for side in ("matched", "reference", "hypothesis")
    )
    return formulas.macro(formulas.f1(matched, reference, hypothesis), reference)


def _is_emotion(name: str) -> bool:
    tag_type = lookup(name)
    return tag_type is not None and tag_type.category is Category.EMOTION


METRIC = Metric(
    definition="Emotions and sounds: macro-F1 over the emotion tags that the references have; of the vocal sounds "
    "(laughs, sighs, ...) the share found under their name, and the share found between the right words.",
    count=count,
    figures={
        "emotion.macro_f1": FigureRow(_emotion_macro_f1, "Emotion F1, macro", for_baselines=True, by_slice=True),
        "sounds.recall": FigureRow(
            lambda t: formulas.rate(t["sound/found"], t["sound/reference"]),
            "Sounds found",
            percent=True,
            for_baselines=True,
            by_slice=True,
        ),
        "sounds.recall_in_gap": FigureRow(
            lambda t: formulas.rate(t["sound/in gap"], t["sound/reference"]),
            "Sounds found between the right words",
            percent=True,
            for_baselines=True,
            by_slice=True,
        ),
    },
)
