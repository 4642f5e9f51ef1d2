"""The composition that a corpus aims at, as numbers: writers plan by them, gates measure against them.

Knows nothing of how scripts are written or measured.
"""

from collections.abc import Mapping
from typing import TypeVar

from evoxtral.data.records import SliceType
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

# Share of each tag among all tags when people speak; the rows of the taxonomy say where the numbers come from.
_WHOLE = sum(use.share for use in USES.values())
NATURAL_TAG_SHARES: Mapping[str, float] = {tag: use.share / _WHOLE for tag, use in USES.items()}
# Share of tagged scripts with a word in capitals, in the same sense.
NATURAL_EMPHASIS_SHARE = 0.5

RARE_TAGS = tuple(tag for tag, use in USES.items() if use.frequency is Frequency.RAISED)
RARE_FACTOR = (3.0, 5.0)  # oversampling, both ends included
COMMON_TAGS = tuple(tag for tag, use in USES.items() if use.frequency is Frequency.LOWERED)
COMMON_FACTOR = 0.5  # undersampling of pauses and capitals
COMMON_TOLERANCE = 0.15

_RARE_AIM = 3.7
# A tag that is dealt less often than this misses MIN_TAG_SHARE: scripts have 2.6 tags on average, some the same twice.
_LEAST_SHARE = 0.016


def target_tag_shares() -> dict[str, float]:
    """Share of each tag among all tags to aim at: rare tags raised, common ones halved, the rest filling up to 1.

    No tag goes below what its share of all scripts needs.
    """
    fixed = {tag: NATURAL_TAG_SHARES[tag] * _RARE_AIM for tag in RARE_TAGS}
    fixed |= {tag: NATURAL_TAG_SHARES[tag] * COMMON_FACTOR for tag in COMMON_TAGS}
    rest = {tag: share for tag, share in NATURAL_TAG_SHARES.items() if tag not in fixed}
    scale = (1 - sum(fixed.values())) / sum(rest.values())
    while low := [tag for tag, share in rest.items() if share * scale < _LEAST_SHARE]:
        fixed |= dict.fromkeys(low, _LEAST_SHARE)
        rest = {tag: share for tag, share in rest.items() if tag not in fixed}
        scale = (1 - sum(fixed.values())) / sum(rest.values())
    return {tag: fixed.get(tag, share * scale) for tag, share in NATURAL_TAG_SHARES.items()}


Key = TypeVar("Key")


def apportion(total: int, shares: Mapping[Key, float]) -> dict[Key, int]:
    """Divide `total` into whole numbers that sum to it exactly (largest remainders; `shares` sum to 1)."""
    counts = {key: int(total * share + 1e-9) for key, share in shares.items()}
    by_remainder = sorted(shares, key=lambda key: counts[key] - total * shares[key])
    for key in by_remainder[: total - sum(counts.values())]:
        counts[key] += 1
    return counts
