"""The composition that a corpus aims at (SPEC section 2), as numbers: writers plan by them, gates measure against them.

Knows nothing of how scripts are written or measured.
"""

from collections.abc import Mapping
from typing import TypeVar

from evoxtral.data.records import SliceType

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

# Share of each tag among all tags when dialogue is tagged with no target in mind. An estimate: the design gives factors
# relative to "natural frequency" and no frequencies, so these are the yardstick that its factors are applied to.
NATURAL_TAG_SHARES: Mapping[str, float] = {
    "pause": 0.200,
    "laughs": 0.130,
    "sighs": 0.100,
    "excited": 0.100,
    "sad": 0.060,
    "angry": 0.060,
    "nervous": 0.060,
    "frustrated": 0.060,
    "whispers": 0.060,
    "calm": 0.050,
    "shouts": 0.050,
    "clears throat": 0.025,
    "gasps": 0.015,
    "crying": 0.015,
    "stammers": 0.015,
}
# Share of tagged scripts with a word in capitals, in the same sense.
NATURAL_EMPHASIS_SHARE = 0.5

RARE_TAGS = ("gasps", "stammers", "crying")
RARE_FACTOR = (3.0, 5.0)  # oversampling, both ends included
COMMON_TAG = "pause"
COMMON_FACTOR = 0.5  # undersampling of pauses and capitals
COMMON_TOLERANCE = 0.15

_RARE_AIM = 3.7


def target_tag_shares() -> dict[str, float]:
    """Share of each tag among all tags to aim at: rare tags raised, pauses halved, the rest scaled to fill up to 1."""
    fixed = {tag: NATURAL_TAG_SHARES[tag] * _RARE_AIM for tag in RARE_TAGS}
    fixed[COMMON_TAG] = NATURAL_TAG_SHARES[COMMON_TAG] * COMMON_FACTOR
    rest = sum(share for tag, share in NATURAL_TAG_SHARES.items() if tag not in fixed)
    scale = (1 - sum(fixed.values())) / rest
    return {tag: fixed.get(tag, share * scale) for tag, share in NATURAL_TAG_SHARES.items()}


Key = TypeVar("Key")


def apportion(total: int, shares: Mapping[Key, float]) -> dict[Key, int]:
    """Divide `total` into whole numbers that sum to it exactly (largest remainders; `shares` sum to 1)."""
    counts = {key: int(total * share + 1e-9) for key, share in shares.items()}
    by_remainder = sorted(shares, key=lambda key: counts[key] - total * shares[key])
    for key in by_remainder[: total - sum(counts.values())]:
        counts[key] += 1
    return counts
