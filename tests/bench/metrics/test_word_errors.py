import jiwer
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bench_texts import plain_words
from evoxtral.bench.formulas import error_rate
from evoxtral.bench.metrics.word_errors import character_errors, word_errors


@given(st.lists(st.tuples(plain_words, plain_words), min_size=1, max_size=5))
def test_agrees_with_jiwer(pairs):
    references, hypotheses = [" ".join(r) for r, _ in pairs], [" ".join(h) for _, h in pairs]
    words = np.sum([word_errors(r, h) for r, h in zip(references, hypotheses, strict=True)], axis=0)
    characters = np.sum([character_errors(r, h) for r, h in zip(references, hypotheses, strict=True)], axis=0)
    assert error_rate(*words) == jiwer.wer(references, hypotheses)
    assert error_rate(*characters) == jiwer.cer(references, hypotheses)


def test_by_hand():
    # went -> was (substituted), home (deleted), today (inserted)
    assert word_errors("we went  straight home", "today we was straight") == (3, 4)
    assert character_errors("abc d", "abd") == (2, 5)
