"""Hallucination: tags written in plain clips, those whose reference has no tag.

For each 100 words and each minute of them, and the share of them that got one: of clips that hold a cough or a hum
between words, the share in which a sound was heard that was not there.
"""

from evoxtral.bench.counts import Counts
from evoxtral.bench.formulas import rate
from evoxtral.bench.metrics.metric import ClipTexts, FigureRow, Metric


def count(clip: ClipTexts) -> Counts:
    if clip.reference.tags:
        return {}
    counts: Counts = {
        "plain/clips": 1,
        "plain/clips with tags": bool(clip.hypothesis.tags),
        "plain/words": len(clip.reference.words),
        "plain/tags": len(clip.hypothesis.tags),
    }
    if clip.duration_s is not None:
        counts["plain/seconds"] = clip.duration_s
        counts["plain/timed tags"] = len(clip.hypothesis.tags)
    return counts


METRIC = Metric(
    definition="False tags: tags written in clips whose reference has none, for each 100 words of these clips and for "
    "each minute of them; and the share of these clips that got a tag.",
    count=count,
    figures={
        "hallucination.per_100_words_plain": FigureRow(
            lambda t: rate(t["plain/tags"], t["plain/words"], per=100),
            "False tags per 100 plain words",
            for_baselines=True,
            by_slice=True,
        ),
        "hallucination.per_minute_plain": FigureRow(
            lambda t: rate(t["plain/timed tags"], t["plain/seconds"], per=60),
            "False tags per plain minute",
            for_baselines=True,
        ),
        "hallucination.plain_clips": FigureRow(
            lambda t: rate(t["plain/clips with tags"], t["plain/clips"]),
            "Plain clips with a false tag",
            percent=True,
            for_baselines=True,
            by_slice=True,
        ),
    },
)
