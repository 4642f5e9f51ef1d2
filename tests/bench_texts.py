"""Tagged texts for property tests of the bench, and clips of two texts."""

from hypothesis import strategies as st

from evoxtral.bench.metrics.metric import ClipTexts
from evoxtral.tags import TAG_TYPES, insert_tags, parse

plain_words = st.lists(st.sampled_from(["so", "we", "went", "home", "and", "it", "rained."]), max_size=10)
names = st.sampled_from([tag_type.name for tag_type in TAG_TYPES] + ["sings"])


@st.composite
def tagged_texts(draw) -> str:
    words = draw(plain_words)
    return insert_tags(" ".join(words), draw(st.lists(st.tuples(st.integers(0, len(words)), names), max_size=5)))


def clip(reference: str, hypothesis: str) -> ClipTexts:
    return ClipTexts(parse(reference), parse(hypothesis))
