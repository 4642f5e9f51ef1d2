"""Formats: hand-worked cases, other programs' readers, and the conventions of subtitles."""

import csv
import io
import json
import re
from dataclasses import replace
from itertools import pairwise

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoxtral.inference.formats import (
    LINE_CHARACTERS,
    LINES,
    MAX_CUE_S,
    cues,
    to_json,
    to_srt,
    to_tsv,
    to_txt,
    to_vtt,
    without_tags,
)
from evoxtral.inference.pipeline import transcribe
from evoxtral.inference.timing import plain_part
from evoxtral.inference.transcript import Transcript, TranscriptSegment, TranscriptTag, TranscriptWord
from evoxtral.tags import parse
from known_speech import Reader


def spoken(
    *segments: str, word_s: float = 0.4, gap_s: float = 1.0, speakers: tuple[str | None, ...] = ()
) -> Transcript:
    """A transcript whose words last `word_s` each, with a silence between segments; a sound takes half a second."""
    words: list[TranscriptWord] = []
    tags: list[TranscriptTag] = []
    made: list[TranscriptSegment] = []
    now_s = 0.0
    for index, text in enumerate(segments):
        parsed, start_s, before = parse(text), now_s, len(words)
        items = sorted([*parsed.words, *parsed.tags], key=lambda item: item.start)
        for item in items:
            if item in parsed.words:
                words.append(TranscriptWord(item.text, now_s, now_s + word_s, item.emphasis))
                now_s += word_s
            else:
                colours = item.category in ("emotion", "delivery")
                end_s = now_s if colours else now_s + 0.5
                tags.append(
                    TranscriptTag(item.name, item.category, item.group, item.known, before + item.gap, now_s, end_s)
                )
                now_s = end_s
        speaker = speakers[index] if speakers else None
        made.append(TranscriptSegment(start_s, now_s, text, "", speaker))
        now_s += gap_s
    whole = parse(" ".join(segments))
    position = 0
    for index, segment in enumerate(made):
        end = position + len(segment.text)
        made[index] = replace(segment, plain_text=plain_part(whole, position, end))
        position = end + 1
    return Transcript(
        "a.wav", "m", "e", "en", now_s, whole.source, whole.plain_text, tuple(made), tuple(words), tuple(tags)
    )


TWO = spoken("[excited] It WORKS! [laughs]", "Tell me more & <more>.")


def test_txt() -> None:
    assert to_txt(TWO) == "[excited] It WORKS! [laughs] Tell me more & <more>.\n"
    assert to_txt(without_tags(TWO)) == "It works! Tell me more & <more>.\n"


def test_txt_has_a_paragraph_for_each_turn_of_a_speaker() -> None:
    transcript = spoken("One.", "Two. [sighs]", "Three.", "Four.", speakers=("A", "A", "B", None))
    assert to_txt(transcript) == "A: One. Two. [sighs]\nB: Three.\nFour.\n"


def test_json_is_the_object_of_the_specification() -> None:
    data = json.loads(to_json(TWO))
    assert list(data) == [
        "path", "model", "engine", "language", "duration_s", "text", "plain_text", "segments", "words", "tags",
        "notes", "language_probability", "channels",
    ]  # fmt: skip
    assert (data["notes"], data["language_probability"]) == ([], None)
    assert data["segments"][0] == {
        "start_s": 0.0,
        "end_s": 1.3,
        "text": "[excited] It WORKS! [laughs]",
        "plain_text": "It works!",
        "speaker": None,
    }
    assert data["words"][1] == {
        "word": "WORKS!", "start_s": 0.4, "end_s": 0.8, "emphasis": True, "speaker": None, "confidence": None,
        "segment": None, "start_char": None, "end_char": None,
    }  # fmt: skip
    assert data["tags"][1] == {
        "tag": "laughs", "category": "non-verbal", "group": "laughter", "known": True, "gap": 2,
        "start_s": 0.8, "end_s": 1.3, "confidence": None, "segment": None, "start_char": None, "end_char": None,
    }  # fmt: skip


def test_srt() -> None:
    assert to_srt(TWO) == (
        "1\n00:00:00,000 --> 00:00:01,647\n[excited] It WORKS! [laughs]\n"
        "\n2\n00:00:02,300 --> 00:00:03,900\nTell me more & <more>.\n"
    )


def test_vtt_escapes_its_markup_and_names_speakers() -> None:
    transcript = spoken("Tell me more & <more>.", speakers=("SPEAKER_1",))
    assert to_vtt(transcript) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.600\n<v SPEAKER_1>Tell me more &amp; &lt;more&gt;.\n"
    )


def test_srt_names_speakers_within_its_lines() -> None:
    transcript = spoken("I really like that account of himself, better than anything.", "Yes.", speakers=("ANNA", "BO"))
    assert to_srt(transcript) == (
        "1\n00:00:00,000 --> 00:00:04,000\nANNA: I really like that account\nof himself, better than anything.\n"
        "\n2\n00:00:05,000 --> 00:00:06,000\nBO: Yes.\n"
    )


def test_tsv_is_read_back() -> None:
    rows = list(csv.DictReader(io.StringIO(to_tsv(TWO)), delimiter="\t"))
    assert rows == [
        {"start": "0", "end": "1300", "text": "[excited] It WORKS! [laughs]"},
        {"start": "2300", "end": "3900", "text": "Tell me more & <more>."},
    ]


def test_an_hour_is_written_in_full() -> None:
    late = TranscriptSegment(3661.5, 3662.25, "", "")
    words = (TranscriptWord("Late.", 3661.5, 3662.25),)
    transcript = replace(TWO, duration_s=4000.0, segments=(replace(late, text="Late.", plain_text="Late."),))
    assert "01:01:01,500 --> 01:01:02,500" in to_srt(replace(transcript, words=words, tags=()))


@pytest.mark.parametrize("writer", [to_txt, to_srt, to_vtt, to_tsv])
def test_an_empty_transcript_has_no_text(writer) -> None:
    empty = Transcript("a.wav", "m", "e", "en", 3.0, "", "")
    assert writer(empty).strip() in ("", "WEBVTT", "start\tend\ttext")


def test_ffmpeg_reads_the_subtitles(recording, tmp_path) -> None:
    transcript = transcribe(recording.samples, engine=Reader(recording))
    for name, writer in (("a.srt", to_srt), ("a.vtt", to_vtt)):
        path = tmp_path / name
        path.write_text(writer(transcript), encoding="utf-8")
        with av.open(path) as container:
            packets = [packet for packet in container.demux() if packet.size]
        shown = " ".join(bytes(packet).decode().replace("\n", " ") for packet in packets)
        assert shown == transcript.text
        times = [float(packet.pts * packet.time_base) for packet in packets]
        assert times == sorted(times)
        assert times == pytest.approx([cue.start_s for cue in cues(transcript)], abs=0.001)


def test_subtitles_end_with_sentences_and_a_colouring_tag_stays_with_its_words() -> None:
    text = "I opened the old wooden door. [nervous] There was somebody standing in the dark hall of the house, waiting."
    assert [cue.lines for cue in cues(spoken(text, word_s=0.3))] == [
        ("I opened the old wooden door.",),
        ("[nervous] There was somebody standing", "in the dark hall of the house, waiting."),
    ]


def test_a_long_silence_inside_a_segment_ends_a_subtitle() -> None:
    transcript = spoken("One two.")
    words = (transcript.words[0], replace(transcript.words[1], start_s=9.0, end_s=9.4))
    assert [cue.lines for cue in cues(replace(transcript, words=words))] == [("One",), ("two.",)]


def test_without_word_times_a_subtitle_is_a_segment() -> None:
    words = tuple(replace(word, start_s=None, end_s=None) for word in TWO.words)
    assert [(cue.start_s, cue.lines) for cue in cues(replace(TWO, words=words))] == [
        (0.0, ("[excited] It WORKS! [laughs]",)),
        (2.3, ("Tell me more & <more>.",)),
    ]


WORDS = st.sampled_from(
    ["I", "went,", "home.", "extraordinarily", "NEVER!", "[laughs]", "[clears throat]", "[sad]", "[pause]", "a",
     "[strange sound]", "well—yes", "“quoted”", "it's", "—"]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(WORDS, min_size=1, max_size=40).map(" ".join), max_size=3),
    st.sampled_from([0.05, 0.3, 1.1]),
    st.booleans(),
    st.booleans(),
)
def test_subtitles_keep_to_the_conventions_and_lose_nothing(
    segments: list[str], word_s: float, plain: bool, named: bool
) -> None:
    transcript = spoken(*segments, word_s=word_s, speakers=("SPEAKER_1", "SPEAKER_2", "SPEAKER_1") if named else ())
    shown = cues(without_tags(transcript) if plain else transcript, name_speakers=named)
    if named:
        assert all(cue.lines[0].startswith(f"{cue.speaker}: ") for cue in shown)
        shown = [replace(cue, lines=(cue.lines[0].partition(": ")[2], *cue.lines[1:])) for cue in shown]
    for cue in shown:
        assert 0 < len(cue.lines) <= LINES
        assert all(len(line) <= LINE_CHARACTERS for line in cue.lines)
        assert all(line.count("[") == line.count("]") for line in cue.lines)
        assert cue.end_s - cue.start_s <= MAX_CUE_S + 1e-9
    for before, after in pairwise(shown):
        assert before.start_s <= before.end_s <= after.start_s + 1e-9
    text = " ".join(line for cue in shown for line in cue.lines)
    if plain:
        assert re.findall(r"\w+", text) == re.findall(r"\w+", transcript.plain_text)
        assert "[" not in text
    else:
        assert [word.text for word in parse(text).words] == [word.word for word in transcript.words]
        assert [tag.name for tag in parse(text).tags] == [tag.tag for tag in transcript.tags]
