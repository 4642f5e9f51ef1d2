"""Transcripts join exactly, keep time, and hold nothing that was not said."""

import io
from collections.abc import Sequence

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from known_speech import Reader
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.errors import AudioError
from evoxtral.inference.engine import Hypothesis
from evoxtral.inference.pipeline import transcribe
from evoxtral.tags import parse


@pytest.mark.parametrize("max_window_s", [6.0, 8.0, 10.0, 15.0, 30.0])
def test_no_word_or_tag_is_lost_repeated_or_halved_at_the_joins(recording, max_window_s: float) -> None:
    reader = Reader(recording, max_window_s=max_window_s)
    transcript = transcribe(recording.samples, engine=reader)
    assert len(set(reader.windows)) >= len(recording.samples) / SAMPLE_RATE_HZ / max_window_s
    assert transcript.text == recording.text


def test_times_are_those_of_the_recording(recording) -> None:
    transcript = transcribe(recording.samples, engine=Reader(recording, max_window_s=8.0))
    for word, truth in zip(transcript.words, recording.words, strict=True):
        assert word.word == truth.text
        assert word.start_s == pytest.approx(truth.start_s, abs=0.1)
        assert word.end_s == pytest.approx(truth.end_s, abs=0.1)
    assert {word.word for word in transcript.words if word.emphasis} == {"LOST"}
    words = transcript.words
    for tag in transcript.tags:
        before_s = words[tag.gap - 1].end_s if tag.gap else 0.0
        if tag.category in ("non-verbal", "pause"):
            assert before_s <= tag.start_s <= tag.end_s <= transcript.duration_s
            assert tag.gap == len(words) or tag.end_s <= words[tag.gap].start_s
        else:
            assert tag.start_s == words[tag.gap].start_s
    excited = next(tag for tag in transcript.tags if tag.tag == "excited")
    floor = next(word for word in words if word.word == "floor!")
    assert excited.end_s == floor.end_s


def test_segments_join_to_the_text_and_follow_one_another(recording) -> None:
    transcript = transcribe(recording.samples, engine=Reader(recording, max_window_s=12.0))
    assert " ".join(segment.text for segment in transcript.segments) == transcript.text
    assert " ".join(segment.plain_text for segment in transcript.segments) == transcript.plain_text
    assert len(transcript.segments) > 4
    edges = [edge for segment in transcript.segments for edge in (segment.start_s, segment.end_s)]
    assert edges == sorted(edges)
    assert edges[0] >= 0
    assert edges[-1] <= transcript.duration_s


def test_a_file_a_stream_and_samples_give_the_same(recording, tmp_path) -> None:
    path = tmp_path / "talk.wav"
    soundfile.write(path, recording.samples, SAMPLE_RATE_HZ, subtype="FLOAT")
    by_samples = transcribe(recording.samples, engine=Reader(recording), name=str(path))
    assert transcribe(path, engine=Reader(recording)) == by_samples
    assert transcribe(io.BytesIO(path.read_bytes()), engine=Reader(recording), name=str(path)) == by_samples
    assert by_samples.path == str(path)
    assert by_samples.engine == "reader"
    assert by_samples.duration_s == pytest.approx(len(recording.samples) / SAMPLE_RATE_HZ, abs=1e-3)


class Babbler:
    """An engine that always has something to say."""

    name = "babbler"
    model = "x"
    max_window_s = 30.0
    batch_size = 2

    def __init__(self, text: str) -> None:
        self.text = text
        self.calls = 0

    def transcribe_windows(self, windows: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Hypothesis]:
        self.calls += 1
        return [Hypothesis(self.text, -0.1, 0.0) for _ in windows]


@pytest.mark.parametrize("level", [0.0, 1e-3, 0.1])
def test_silence_and_noise_give_an_empty_transcript(level: float) -> None:
    samples = np.random.default_rng(0).normal(0, level, 70 * SAMPLE_RATE_HZ).astype(np.float32)
    babbler = Babbler("Thank you for watching! [laughs]")
    transcript = transcribe(samples, engine=babbler)
    assert babbler.calls == 0
    assert (transcript.text, transcript.plain_text) == ("", "")
    assert (transcript.words, transcript.tags, transcript.segments) == ((), (), ())
    assert transcript.duration_s == 70.0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet="ab []\n.!—'\"É…LAUGHS", max_size=40))
def test_any_text_of_an_engine_becomes_a_consistent_transcript(recording, text: str) -> None:
    transcript = transcribe(recording.samples, engine=Babbler(text), times=False)
    parsed = parse(transcript.text)
    assert [word.text for word in parsed.words] == [word.word for word in transcript.words]
    assert [tag.gap for tag in parsed.tags] == [tag.gap for tag in transcript.tags]
    assert transcript.plain_text == parsed.plain_text
    assert all(word.start_s is None and word.confidence is None for word in transcript.words)


def test_progress_rises_to_the_end(recording) -> None:
    told: list[tuple[float, float | None]] = []
    transcribe(
        recording.samples,
        engine=Reader(recording, max_window_s=8.0),
        on_progress=lambda done_s, total_s: told.append((done_s, total_s)),
    )
    duration_s = len(recording.samples) / SAMPLE_RATE_HZ
    assert [done_s for done_s, _ in told] == sorted(done_s for done_s, _ in told)
    assert told[-1] == (duration_s, duration_s)
    assert {total_s for _, total_s in told} == {duration_s}


@pytest.mark.parametrize(
    "samples",
    [np.zeros(0, np.float32), np.zeros((2, 1600), np.float32), np.full(1600, np.nan, np.float32)],
    ids=["empty", "two-dimensional", "NaN"],
)
def test_samples_that_are_no_recording_are_refused(samples: NDArray[np.float32]) -> None:
    with pytest.raises(AudioError, match="mine: "):
        transcribe(samples, engine=Babbler("x"), name="mine")
