"""Emotions and sounds apart, worked out by hand."""

import pytest

from evoxtral.bench import score
from evoxtral.bench.rewards import clip_reward
from evoxtral.data.records import Reference

# A laugh in its place, a laugh two words late, a sigh heard as a laugh, a gasp that nobody heard.
SOUNDS = {
    "in place": ("One two. [laughs] Three four.", "One two. [laughs] Three four."),
    "late": ("One two. [laughs] Three four.", "One two. Three four. [laughs]"),
    "other": ("One two. [sighs] Three four.", "One two. [laughs] Three four."),
    "missed": ("One two. [gasps] Three four.", "One two. Three four."),
    "wrong words": ("One two. [laughs] Three four.", "Won too. [laughs] Three for."),
}
# Two sad clips, one found; one angry clip, heard as sad; a neutral one heard as angry.
EMOTIONS = {
    "a": ("[sad] Oh no.", "[sad] Oh no."),
    "b": ("[sad] Oh no.", "Oh no."),
    "c": ("[angry] Oh no.", "[sad] Oh no."),
    "d": ("Oh no.", "[angry] Oh no."),
}


def figures(texts, *names):
    said, heard = ({id: pair[side] for id, pair in texts.items()} for side in (0, 1))
    report = score(said, heard, resamples=10)
    return [report.figures[name].value for name in names]


def test_sounds_are_found_by_name_and_between_the_right_words():
    assert figures(SOUNDS, "sounds.recall", "sounds.recall_in_gap") == [3 / 5, 2 / 5]


def test_other_tags_are_no_sounds():
    assert figures(EMOTIONS, "sounds.recall", "sounds.recall_in_gap") == [None, None]


def test_emotion_macro_f1_is_the_mean_over_the_emotions_of_the_references():
    sad, angry = 2 * 1 / (2 + 2), 2 * 0 / (1 + 1)
    assert figures(EMOTIONS, "emotion.macro_f1") == [pytest.approx((sad + angry) / 2)]
    assert figures(SOUNDS, "emotion.macro_f1") == [None]


def test_the_share_of_plain_clips_with_a_tag():
    texts = {
        "none": ("One two.", "One two."),
        "two tags": ("One two.", "[sad] One [laughs] two."),
        "tagged": ("[sad] One.", "[angry] One."),
    }
    assert figures(texts, "hallucination.plain_clips") == [1 / 2]


def test_words_of_another_language_are_not_scored_and_its_tags_are():
    references = [
        Reference(id="a", text="[angry] Oh nein nein nein.", slice_type="emotion", language="de"),
        Reference(id="b", text="One two.", slice_type="plain"),
    ]
    heard = {"a": "[angry] OH something else.", "b": "One too."}
    report = score(references, heard, resamples=10)
    assert report.figures["wer"].value == 1 / 2
    assert report.figures["emphasis.f1"].value is None
    assert report.figures["tags.f1"].value == 1
    assert clip_reward(report.clips[0].texts, report.clips[0].counts) == pytest.approx(1)
    assert report.slices["emotion"].figures["wer"].value is None
    assert report.slices["emotion"].figures["emotion.macro_f1"].value == 1
