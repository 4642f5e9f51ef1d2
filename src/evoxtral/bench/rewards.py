"""How good one hypothesis is, in one number: what preference pairs are made by and clips are ranked by."""

from evoxtral.bench.counts import Counts
from evoxtral.bench.metrics.metric import ClipTexts
from evoxtral.bench.metrics.registry import count_clip
from evoxtral.tags import parse


def reward(reference: str, hypothesis: str) -> float:
    """From 0 to 1, the higher the better.

    0.4 for the words (1 - normalised WER, not below 0), 0.3 for the tags (presence F1), 0.2 for their places (F1 within
    one word) and 0.1 for emphasis (F1); a part with nothing to find and nothing found counts in full, and so do words
    that are not scored. False tags on a plain clip so cost 0.5.
    """
    texts = ClipTexts(parse(reference), parse(hypothesis))
    return clip_reward(texts, count_clip(texts))


def clip_reward(clip: ClipTexts, counts: Counts) -> float:
    """`reward` of a clip that was counted."""
    tags = len(clip.reference.tags) + len(clip.hypothesis.tags)
    matched = sum(value for name, value in counts.items() if name.startswith("tag/matched/"))
    near = sum(counts.get(f"displacement/{displacement}", 0) for displacement in (-1, 0, 1))
    stressed = counts.get("emphasis/reference", 0) + counts.get("emphasis/hypothesis", 0)
    word_error_rate = counts.get("normalised word/errors", 0) / max(counts.get("normalised word/reference", 0), 1)
    return (
        0.4 * (1 - min(word_error_rate, 1))
        + 0.3 * (2 * matched / tags if tags else 1)
        + 0.2 * (2 * near / tags if tags else 1)
        + 0.1 * (2 * counts.get("emphasis/matched", 0) / stressed if stressed else 1)
    )
