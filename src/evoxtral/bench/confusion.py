"""What became of each tag: heard right, taken for another, missed, or written where there was none.

For readers of a report; no figure is made of it. Knows texts and alignments.
"""

from collections import Counter
from collections.abc import Iterable

from evoxtral.bench.metrics.metric import ClipTexts
from evoxtral.bench.tag_matching import match_near, match_tags

# A tag is taken for another one that stands so near.
_NEAR_WORDS = 3

# Indices of a reference tag and of the hypothesis tag that stands for it; None where there is none.
Fate = tuple[int | None, int | None]


def tag_fates(clip: ClipTexts) -> list[Fate]:
    """Each tag of both texts once.

    Tags of one name are matched as for their positions; of the others, tags within three words of each other are
    paired, nearest first, as taken for each other; the rest is missed or superfluous.
    """
    reference, hypothesis, alignment = clip.reference, clip.hypothesis, clip.alignment
    fates: list[Fate] = [(pair.reference, pair.hypothesis) for pair in match_tags(reference, hypothesis, alignment)]
    matched = {fate[0] for fate in fates}, {fate[1] for fate in fates}
    missed = [index for index in range(len(reference.tags)) if index not in matched[0]]
    extra = [index for index in range(len(hypothesis.tags)) if index not in matched[1]]
    near = match_near(
        [reference.tags[index].gap for index in missed],
        [alignment.project_gap(hypothesis.tags[index].gap) for index in extra],
        _NEAR_WORDS,
    )
    fates += [(missed[row], extra[column]) for row, column in near]
    paired = {fate[0] for fate in fates}, {fate[1] for fate in fates}
    fates += [(index, None) for index in missed if index not in paired[0]]
    fates += [(None, index) for index in extra if index not in paired[1]]
    return fates


def confusion(clips: Iterable[ClipTexts]) -> Counter[tuple[str | None, str | None]]:
    """How often each tag of the references was written as each tag; None stands for no tag."""
    counts: Counter[tuple[str | None, str | None]] = Counter()
    for clip in clips:
        for said, heard in tag_fates(clip):
            counts[
                None if said is None else clip.reference.tags[said].name,
                None if heard is None else clip.hypothesis.tags[heard].name,
            ] += 1
    return counts
