"""What became of each tag: heard right, taken for another, missed, or written where there was none.

For readers of a report; no figure is made of it. Knows texts and alignments.
"""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from evoxtral.bench.alignment import Alignment, align
from evoxtral.bench.metrics import least_cost_matching, match_tags, tag_distances
from evoxtral.tags import TaggedText

# A tag is taken for another one that stands so near.
_NEAR_WORDS = 3

# Indices of a reference tag and of the hypothesis tag that stands for it; None where there is none.
Fate = tuple[int | None, int | None]


def tag_fates(reference: TaggedText, hypothesis: TaggedText, alignment: Alignment) -> list[Fate]:
    """Each tag of both texts once.

    Tags of one name are matched as for their positions; of the others, tags within three words of each other are
    paired, nearest first, as taken for each other; the rest is missed or superfluous.
    """
    fates: list[Fate] = [(pair.reference, pair.hypothesis) for pair in match_tags(reference, hypothesis, alignment)]
    missed = [index for index in range(len(reference.tags)) if index not in {fate[0] for fate in fates}]
    extra = [index for index in range(len(hypothesis.tags)) if index not in {fate[1] for fate in fates}]
    if missed and extra:
        distances = np.abs(tag_distances(reference, missed, hypothesis, extra, alignment))
        # Beyond what is near all is equally far, so that nothing near is given up for it.
        far = _NEAR_WORDS * (distances.size + 1)
        for row, column in least_cost_matching(np.where(distances <= _NEAR_WORDS, distances, far).astype(float)):
            if distances[row, column] <= _NEAR_WORDS:
                fates.append((missed[row], extra[column]))
    paired = {fate[0] for fate in fates}, {fate[1] for fate in fates}
    fates += [(index, None) for index in missed if index not in paired[0]]
    fates += [(None, index) for index in extra if index not in paired[1]]
    return fates


def confusion(texts: Iterable[tuple[TaggedText, TaggedText]]) -> Counter[tuple[str | None, str | None]]:
    """How often each tag of the references was written as each tag; None stands for no tag."""
    counts: Counter[tuple[str | None, str | None]] = Counter()
    for reference, hypothesis in texts:
        alignment = align([word.text for word in reference.words], [word.text for word in hypothesis.words])
        for said, heard in tag_fates(reference, hypothesis, alignment):
            counts[
                None if said is None else reference.tags[said].name,
                None if heard is None else hypothesis.tags[heard].name,
            ] += 1
    return counts
