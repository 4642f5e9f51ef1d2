"""Edited transcripts: what stayed keeps its times, and nothing is invented."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoxtral.inference.editing import EditedSegment, EditError, with_segments, with_speaker_names
from evoxtral.inference.transcript import Transcript, TranscriptSegment, TranscriptTag, TranscriptWord
from evoxtral.tags import parse

TEXT = "[excited] It WORKS now! [laughs]"
BEFORE = Transcript(
    path="a.wav",
    model="m",
    engine="e",
    language="en",
    duration_s=4.0,
    text=TEXT,
    plain_text="It works now!",
    segments=(TranscriptSegment(0.0, 4.0, TEXT, "It works now!", "SPEAKER_1"),),
    words=(
        TranscriptWord("It", 0.5, 0.75, False, "SPEAKER_1", 0.9, 0, 10, 12),
        TranscriptWord("WORKS", 1.0, 1.5, True, "SPEAKER_1", 0.8, 0, 13, 18),
        TranscriptWord("now!", 1.5, 2.0, False, "SPEAKER_1", 0.7, 0, 19, 23),
    ),
    tags=(
        TranscriptTag("excited", "emotion", "joy", True, 0, 0.5, 2.0, 0.6, 0, 0, 9),
        TranscriptTag("laughs", "non-verbal", "laughter", True, 3, 2.5, 3.5, 0.5, 0, 24, 32),
    ),
)


def edited(*texts: str) -> Transcript:
    return with_segments(BEFORE, [EditedSegment(float(index), index + 1.0, text) for index, text in enumerate(texts)])


def times(transcript: Transcript) -> list[tuple[str, float | None, float | None]]:
    return [(word.word, word.start_s, word.end_s) for word in transcript.words]


def test_the_same_text_is_the_same_transcript() -> None:
    assert with_segments(BEFORE, [EditedSegment(0.0, 4.0, TEXT, "SPEAKER_1")]) == BEFORE


def test_a_word_replaced_one_for_one_keeps_its_span_and_loses_its_confidence() -> None:
    result = edited("[excited] It breaks now! [laughs]")
    assert times(result) == [("It", 0.5, 0.75), ("breaks", 1.0, 1.5), ("now!", 1.5, 2.0)]
    assert [word.confidence for word in result.words] == [0.9, None, 0.7]
    assert result.text == "[excited] It breaks now! [laughs]"
    assert result.plain_text == "It breaks now!"


def test_emphasis_and_punctuation_leave_the_word_as_it_was() -> None:
    word = edited("[excited] It works, now! [laughs]").words[1]
    assert (word.word, word.emphasis, word.start_s, word.confidence) == ("works,", False, 1.0, 0.8)


def test_inserted_words_have_no_times() -> None:
    assert times(edited("[excited] It really WORKS now! [laughs]")) == [
        ("It", 0.5, 0.75),
        ("really", None, None),
        ("WORKS", 1.0, 1.5),
        ("now!", 1.5, 2.0),
    ]
    assert times(edited("It does not work now!"))[1:4] == [
        ("does", None, None),
        ("not", None, None),
        ("work", None, None),
    ]


def test_tags_that_stay_keep_their_times_and_new_ones_have_only_their_words() -> None:
    result = edited("[sad] It WORKS [pause] now! [laughs]")
    assert [(tag.tag, tag.gap, tag.start_s, tag.end_s, tag.confidence) for tag in result.tags] == [
        ("sad", 0, 0.5, 2.0, None),
        ("pause", 2, None, None, None),
        ("laughs", 3, 2.5, 3.5, 0.5),
    ]


def test_a_tag_put_beside_a_replaced_word_does_not_hide_the_replacement() -> None:
    assert times(edited("[excited] It [gasps] breaks now! [laughs]"))[1] == ("breaks", 1.0, 1.5)


def test_segments_are_parted_and_joined_and_places_follow() -> None:
    result = with_segments(
        BEFORE,
        [EditedSegment(0, 1, " [excited] It ", "A"), EditedSegment(1, 1, "  "), EditedSegment(1, 4, "WORKS now!", "B")],
    )
    assert [(segment.text, segment.speaker) for segment in result.segments] == [
        ("[excited] It", "A"),
        ("WORKS now!", "B"),
    ]
    assert [(word.segment, word.start_char, word.end_char, word.speaker) for word in result.words] == [
        (0, 10, 12, "A"),
        (1, 0, 5, "B"),
        (1, 6, 10, "B"),
    ]
    assert times(result) == times(BEFORE)


def test_a_tag_over_two_segments_is_refused() -> None:
    with pytest.raises(EditError, match="closes in the next"):
        edited("It [very", "loud] works")


@pytest.mark.parametrize("bounds", [(2.0, 1.0), (-1.0, 1.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_a_segment_ends_after_it_starts(bounds: tuple[float, float]) -> None:
    with pytest.raises(EditError, match="segment 1"):
        with_segments(BEFORE, [EditedSegment(*bounds, "Yes.")])


def test_speakers_under_other_names() -> None:
    named = with_speaker_names(BEFORE, {"SPEAKER_1": "Ann"})
    assert {segment.speaker for segment in named.segments} | {word.speaker for word in named.words} == {"Ann"}


PIECES = st.sampled_from(
    ["it", "WORKS", "now!", "[laughs]", "[sad]", "...", "—", "\n\n", "[odd", "U.S.", " ", "é", "[pause]"]
)


@given(st.lists(st.lists(PIECES, max_size=6).map(" ".join), max_size=4))
def test_any_edit_keeps_words_tags_and_places_true(texts: list[str]) -> None:
    result = edited(*texts)
    joined = parse(" ".join(segment.text for segment in result.segments))
    assert joined.source == result.text
    assert [word.text for word in joined.words] == [word.word for word in result.words]
    assert [tag.name for tag in joined.tags] == [tag.tag for tag in result.tags]
    for word in result.words:
        assert word.segment is not None
        assert result.segments[word.segment].text[word.start_char : word.end_char] == word.word
    for tag in result.tags:
        assert tag.segment is not None
        assert parse(result.segments[tag.segment].text[tag.start_char : tag.end_char]).tags[0].name == tag.tag
    # No word got a time that no word had.
    known = {(word.start_s, word.end_s) for word in BEFORE.words} | {(None, None)}
    assert {(word.start_s, word.end_s) for word in result.words} <= known
    assert (
        with_segments(result, [EditedSegment(s.start_s, s.end_s, s.text, s.speaker) for s in result.segments]) == result
    )
