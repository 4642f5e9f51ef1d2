"""What a metric is. Knows clips, counts and totals; no particular metric."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from evoxtral.bench.alignment import Alignment, align
from evoxtral.bench.counts import Counts, Floats, Totals
from evoxtral.tags import TaggedText

Figure = Callable[[Totals], Floats]
"""From summed counts to a figure: of one set of totals or of many resampled ones side by side; nan if unknown."""


@dataclass(frozen=True)
class ClipTexts:
    """What was said in one clip and what a system wrote.

    Attributes:
        duration_s: of the audio, None if unknown.
        has_words: whether its words are scored; of a clip in another language than the set's only the tags are.
    """

    reference: TaggedText
    hypothesis: TaggedText
    duration_s: float | None = None
    has_words: bool = True

    @cached_property
    def alignment(self) -> Alignment:
        return align(
            [word.text for word in self.reference.words],
            [word.text for word in self.hypothesis.words],
        )


@dataclass(frozen=True, slots=True)
class FigureRow:
    """One figure of a metric.

    Attributes:
        compute: makes it of totals.
        label: its name in tables; None: it stands in the JSON only.
        percent: whether readers see it as per cent.
        for_baselines: whether it means something for a baseline, which is given the words of the reference.
        by_slice: whether it is also given for each slice of the set.
    """

    compute: Figure
    label: str | None = None
    percent: bool = False
    for_baselines: bool = False
    by_slice: bool = False


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        definition: a sentence or two for readers of a report.
        count: what one clip adds to the totals; absent names are zero.
        figures: by dotted name, which becomes the path in the JSON.
    """

    definition: str
    count: Callable[[ClipTexts], Counts]
    figures: Mapping[str, FigureRow]
