"""The composition that a corpus aims at, as numbers: writers plan by them, gates measure against them.

Knows nothing of how scripts are written or measured.
"""

from collections.abc import Mapping
from typing import TypeVar

from evoxtral.data.records import Domain, SliceType
from evoxtral.tags import USES, Frequency

SLICE_SHARES: Mapping[SliceType, float] = {
    SliceType.PLAIN: 0.25,
    SliceType.LIGHT: 0.25,
    SliceType.MODERATE: 0.25,
    SliceType.DENSE: 0.15,
    SliceType.EDGE: 0.10,
}
# How many tags a script of the slice has, both ends included. Edge cases may have any number.
SLICE_TAGS: Mapping[SliceType, tuple[int, int | None]] = {
    SliceType.PLAIN: (0, 0),
    SliceType.LIGHT: (1, 2),
    SliceType.MODERATE: (3, 4),
    SliceType.DENSE: (5, None),
    SliceType.EDGE: (0, None),
}

MAX_DOMAIN_SHARE = 0.25
MIN_TAG_SHARE = 0.03  # of all scripts, for each tag
MAX_ROUGE_L = 0.7  # two scripts must stay below

# Of all tags those that the words do not give away: who learns from them has to listen.
UNTOLD_SHARE = 0.35
UNTOLD_TOLERANCE = 0.10
# Where people talk to each other: of these domains' scripts those with two speakers.
DIALOGUE_DOMAINS = (Domain.CONVERSATION, Domain.INTERVIEW, Domain.ARGUMENT)
DIALOGUE_SHARE = 0.8

# How often people stress a word when they talk, in 1,000 words (ICSI: benchmarks/natural_frequencies.py).
NATURAL_EMPHASIS_RATE = 32.0

RARE_TAGS = tuple(tag for tag, use in USES.items() if use.frequency is Frequency.RAISED)
RARE_FACTOR = (3.0, 5.0)  # of the natural rate, both ends included
# Where five times the natural rate is less than MIN_TAG_SHARE asks for, or nobody knows it: of all scripts.
RARE_SHARE = (MIN_TAG_SHARE, 3 * MIN_TAG_SHARE)
COMMON_TAGS = tuple(tag for tag, use in USES.items() if use.frequency is Frequency.LOWERED)
COMMON_FACTOR = 0.5  # undersampling of pauses and capitals
COMMON_TOLERANCE = 0.15

# Of the scripts that are planned, on average; a test compares them with what the grammar writes.
MEAN_WORDS = 33.0
MEAN_TAGS = 2.36
# A tag that is dealt less often than this misses MIN_TAG_SHARE, some scripts having the same twice.
_LEAST_SHARE = 0.017


def natural_rate(tag: str) -> float | None:
    """How often a rare or common tag comes in 1,000 words of talk; None where its share of scripts is the measure."""
    rate = USES[tag].natural_rate
    if tag in RARE_TAGS and (rate is None or RARE_FACTOR[1] * rate * MEAN_WORDS / 1_000 < MIN_TAG_SHARE):
        return None
    return rate


def target_tag_shares() -> dict[str, float]:
    """Share of each tag among all tags to aim at: rare ones raised, common ones halved, the others by their weights.

    No tag goes below what its share of all scripts needs.
    """
    fixed: dict[str, float] = {}
    for tags, factor in ((RARE_TAGS, sum(RARE_FACTOR) / 2), (COMMON_TAGS, COMMON_FACTOR)):
        for tag in tags:
            rate = natural_rate(tag)
            per_script = sum(RARE_SHARE) / 2 if rate is None else factor * rate * MEAN_WORDS / 1_000
            fixed[tag] = per_script / MEAN_TAGS
    rest = {tag: use.weight for tag, use in USES.items() if tag not in fixed}
    while True:
        scale = (1 - sum(fixed.values())) / sum(rest.values())
        low = [tag for tag, weight in rest.items() if weight * scale < _LEAST_SHARE]
        if not low:
            return {tag: fixed.get(tag, use.weight * scale) for tag, use in USES.items()}
        fixed |= dict.fromkeys(low, _LEAST_SHARE)
        rest = {tag: weight for tag, weight in rest.items() if tag not in fixed}


def emphasis_share() -> float:
    """Share of the tagged scripts that have one or two stressed words (four in three scripts on average)."""
    tagged = 1 - SLICE_SHARES[SliceType.PLAIN]
    return COMMON_FACTOR * NATURAL_EMPHASIS_RATE * MEAN_WORDS / 1_000 / (tagged * 4 / 3)


Key = TypeVar("Key")


def apportion(total: int, shares: Mapping[Key, float]) -> dict[Key, int]:
    """Divide `total` into whole numbers that sum to it exactly (largest remainders; `shares` sum to 1)."""
    counts = {key: int(total * share + 1e-9) for key, share in shares.items()}
    by_remainder = sorted(shares, key=lambda key: counts[key] - total * shares[key])
    for key in by_remainder[: total - sum(counts.values())]:
        counts[key] += 1
    return counts
