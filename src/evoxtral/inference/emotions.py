"""Emotion tags that the writer of a window left out: before sentences that an engine hears to be spoken in an emotion.

What the writer said about a sentence's emotion or delivery stands. Knows windows, texts with their times, and engines
by their protocol; nothing of how an emotion is heard.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.inference.chunking import Window
from evoxtral.inference.emotion_head import Emotion
from evoxtral.inference.engines.protocol import EmotionListener
from evoxtral.inference.heard_window import HeardWindow
from evoxtral.tags import insert_tags, parse

# Sound around a sentence that is still heard with it.
_PADDING_S = 0.1
# A shorter sentence tells no emotion.
MIN_SENTENCE_S = 1.0


def with_emotions(
    heard: Sequence[tuple[Window, HeardWindow]], listener: EmotionListener, language: str
) -> list[HeardWindow]:
    """The windows with a tag at the start of each sentence that has none and is spoken in an emotion.

    Args:
        heard: windows and what was said in them; those without times stay as they are.
    """
    places: list[tuple[int, int]] = []  # (window, first word) of each sentence that is asked about
    utterances: list[NDArray[np.float32]] = []
    for index, (window, said) in enumerate(heard):
        for first, last in untagged_sentences(said):
            samples = _sentence(window, said, first, last)
            if len(samples) >= MIN_SENTENCE_S * SAMPLE_RATE_HZ:
                places.append((index, first))
                utterances.append(samples)
    emotions = listener.hear_emotions(utterances, language=language) if utterances else []
    found: dict[int, list[tuple[int, Emotion]]] = {}
    for (index, first), emotion in zip(places, emotions, strict=True):
        if emotion is not None:
            found.setdefault(index, []).append((first, emotion))
    return [tagged(said, found.get(index, ())) for index, (_, said) in enumerate(heard)]


def untagged_sentences(said: HeardWindow) -> Iterator[tuple[int, int]]:
    """First and last word (exclusive) of each sentence no word of which an emotion or delivery tag colours."""
    parsed = said.parsed
    coloured = {word for scope in parsed.scopes for word in range(scope.first_word, scope.last_word)}
    first = 0
    while said.words is not None and first < len(parsed.words):
        last = parsed.sentence_ends[first]
        if coloured.isdisjoint(range(first, last)):
            yield first, last
        first = last


def tagged(said: HeardWindow, emotions: Sequence[tuple[int, Emotion]]) -> HeardWindow:
    """The same with a tag before each of these words, in their order; words, times and other tags stay."""
    if not emotions:
        return said
    text = insert_tags(said.text, [(gap, emotion.name) for gap, emotion in emotions])
    parsed = parse(text)
    events, confidences = list(said.events), list(said.tag_confidences)
    for number, (gap, emotion) in enumerate(emotions):
        # Tags that stand before the same word already come first.
        index = sum(tag.gap <= gap for tag in said.parsed.tags) + number
        events.insert(index, None)
        confidences.insert(index, emotion.probability)
    if len(parsed.tags) != len(events) or len(parsed.words) != len(said.parsed.words):
        return said  # a text that means something else with a tag in it stays without
    return replace(said, text=text, parsed=parsed, events=tuple(events), tag_confidences=tuple(confidences))


def _sentence(window: Window, said: HeardWindow, first: int, last: int) -> NDArray[np.float32]:
    assert said.words is not None
    start_s = window.offset_of(said.words[first].start_s) - _PADDING_S
    end_s = window.offset_of(said.words[last - 1].end_s) + _PADDING_S
    return window.samples[max(0, round(start_s * SAMPLE_RATE_HZ)) : max(0, round(end_s * SAMPLE_RATE_HZ))]
