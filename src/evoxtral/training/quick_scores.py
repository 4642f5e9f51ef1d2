"""Quick scores of transcriptions during training; the bench has the real ones.

A scorer is any function from references and hypotheses (tagged texts, pairwise) to named figures.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

Scorer = Callable[[Sequence[str], Sequence[str]], Mapping[str, float]]


def quick_scores(references: Sequence[str], hypotheses: Sequence[str]) -> dict[str, float]:
    """Corpus word error rate of the plain texts, and micro precision, recall and F1 of the tags of all clips.

    Tags are compared as one multiset of canonical names a clip, wherever they stand. Plain texts are compared in
    lower case without punctuation. `false_tags_per_100_words` counts clips whose reference has no tags.
    """
    import jiwer

    from evoxtral.tags import parse

    pairs = [
        (parse(reference), parse(hypothesis)) for reference, hypothesis in zip(references, hypotheses, strict=True)
    ]
    matched = wanted = written = false_tags = plain_words = 0
    expected, heard = [], []
    for reference, hypothesis in pairs:
        wanted_tags = Counter(tag.name for tag in reference.tags)
        written_tags = Counter(tag.name for tag in hypothesis.tags)
        matched += (wanted_tags & written_tags).total()
        wanted += wanted_tags.total()
        written += written_tags.total()
        if not wanted_tags:
            false_tags += written_tags.total()
            plain_words += len(reference.words)
        text = _spoken(reference.plain_text)
        if text:
            expected.append(text)
            heard.append(_spoken(hypothesis.plain_text))
    precision = matched / written if written else 1.0
    recall = matched / wanted if wanted else 1.0
    return {
        "wer": jiwer.wer(expected, heard) if expected else 0.0,
        "tag_precision": precision,
        "tag_recall": recall,
        "tag_f1": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        "false_tags_per_100_words": 100 * false_tags / plain_words if plain_words else 0.0,
    }


def _spoken(text: str) -> str:
    return " ".join(re.findall(r"[\w']+", text.lower()))
