"""What a report holds of many clips: texts and counts, nothing parsed."""

import gc
import tracemalloc

from evoxtral.bench.scoring import score

TEXT = "[excited] I can't BELIEVE this happened! [laughs] It was absolutely incredible and nobody said a word. "
# Texts, ids and counts; what is parsed takes 80 bytes for each character more.
MOST_BYTES_A_CHARACTER = 40


def test_scoring_holds_little_more_than_the_texts() -> None:
    texts = {str(index): TEXT * 4 for index in range(400)}
    score({"a": TEXT, "b": TEXT}, {"a": TEXT, "b": TEXT}, resamples=10)  # what is loaded once is no part of it
    tracemalloc.start()
    try:
        report = score(texts, texts, resamples=10)
        assert report.figures["tags.f1"].value == 1.0
        gc.collect()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST_BYTES_A_CHARACTER * sum(map(len, texts.values()))
