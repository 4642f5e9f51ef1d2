"""The windows of a recording, one batch after the other: written by an engine, checked, aligned.

Knows engines, aligners and language detectors by their protocols; nothing of files, speakers or transcripts.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import Hole
from evoxtral.inference.chunking import Window, cut_windows
from evoxtral.inference.early_ends import is_sparse, with_rests
from evoxtral.inference.emotions import with_emotions
from evoxtral.inference.engines.protocol import (
    Aligner,
    EmotionListener,
    Hypothesis,
    KeywordListener,
    TranscriptionEngine,
)
from evoxtral.inference.hallucination_filter import heard_text
from evoxtral.inference.heard_window import HeardWindow, place_words
from evoxtral.inference.holes import are_near, split_at_holes, text_at_holes
from evoxtral.inference.keywords import hear_keywords
from evoxtral.inference.language_guard import LanguageGuard
from evoxtral.inference.loops import without_loops
from evoxtral.inference.second_ear import PACKAGED_BATCH, align_some, find_language_detector


def place_text(window: Window, heard: Hypothesis, aligner: Aligner, *, language: str) -> Iterator[HeardWindow]:
    """A window whose text is written already, with its times; nothing where the text is an invention."""
    if text := heard_text(heard, window.speech_s):
        (tokens,) = align_some(aligner, [window], [text], [0], language)
        yield place_words(window, text, tokens)


def hear_windows(
    blocks: Iterable[NDArray[np.float32]],
    engine: TranscriptionEngine,
    aligner: Aligner,
    *,
    language: str = "en",
    times: bool = True,
    holes: Sequence[Hole] = (),
    languages: LanguageGuard | None = None,
    keywords: Sequence[str] = (),
    on_window: Callable[[Window], None] = lambda window: None,
) -> Iterator[HeardWindow]:
    """Transcribe a recording given block by block; gives each window in which something was said, in order.

    Args:
        aligner: what judges loops and tags at holes, finds sentences to be asked about, and gives times if they are
            wanted (`times`).
        holes: where sound is missing; may grow while blocks are read.
        languages: takes note of the language of each window.
        keywords: as of `TranscribeOptions`; an engine that takes none goes without.
    """
    languages = languages or LanguageGuard(language)
    detector = find_language_detector(engine)
    # The holes of a window are known when it is cut.
    windows = (part for window in cut_windows(blocks, engine.max_window_s) for part in split_at_holes(window, holes))
    # The packaged model still holds its encodings of so many windows, for language and alignment.
    at_once = engine.batch_size if isinstance(engine, Aligner) else PACKAGED_BATCH

    def judge(batch: Sequence[Window], hypotheses: Sequence[Hypothesis]) -> list[str]:
        texts = [heard_text(heard, window.speech_s) for heard, window in zip(hypotheses, batch, strict=True)]
        return languages.leave_out_foreign(texts, hypotheses, batch, detector, also_sure=times)

    def read(window: Window) -> str:
        (text,) = judge([window], engine.transcribe_windows([window.samples], language=language))
        return text

    feels = engine if isinstance(engine, EmotionListener) and engine.hears_emotions_in(language) else None

    align = partial(align_some, aligner, language=language)

    while transcribed := list(islice(windows, engine.batch_size)):
        samples = [window.samples for window in transcribed]
        hypotheses = engine.transcribe_windows(samples, language=language)
        if keywords and isinstance(engine, KeywordListener) and engine.takes_keywords:
            hypotheses = hear_keywords(samples, hypotheses, engine, keywords, language=language)
        for first in range(0, len(transcribed), at_once):
            whole = transcribed[first : first + at_once]
            texts = judge(whole, hypotheses[first : first + at_once])
            batch, texts = without_loops(whole, texts, read, align)
            at_holes = [are_near(holes, window) for window in batch]
            needed = [
                index
                for index, (window, text) in enumerate(zip(batch, texts, strict=True))
                if text and (times or feels is not None or at_holes[index] or is_sparse(window, text))
            ]
            aligned = dict(zip(needed, align(batch, texts, needed), strict=True))
            for index, near in enumerate(at_holes):
                for window, text, tokens in with_rests(batch[index], texts[index], aligned.get(index), read, align):
                    heard = place_words(window, text, tokens)
                    if near and (left := text_at_holes(holes, heard)) != text:
                        again = align([window], [left], [0])[0] if left else None
                        heard = place_words(window, left, again)
                    if feels is not None and not near:
                        (heard,) = with_emotions([(window, heard)], feels, language)
                    if heard.text:
                        yield heard if times else heard.without_times()
                    on_window(window)
