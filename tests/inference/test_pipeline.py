"""Transcripts join exactly, keep time, and hold nothing that was not said."""

import io
from collections.abc import Callable, Sequence

import av
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import lfilter

from evoxtral.audio import SAMPLE_RATE_HZ, Hole, resample
from evoxtral.errors import AudioError
from evoxtral.inference.engines.edge import EdgeEngine
from evoxtral.inference.engines.loading import load_packaged_engine
from evoxtral.inference.engines.protocol import AlignedToken, Hypothesis
from evoxtral.inference.formats import without_tags
from evoxtral.inference.hearing import hear_windows
from evoxtral.inference.pipeline import transcribe
from evoxtral.inference.timing import tag_confidences
from evoxtral.tags import parse
from evoxtral.tts.espeak import SAMPLE_RATE_HZ as ESPEAK_RATE_HZ
from evoxtral.tts.espeak import synthesize
from known_speech import Reader, record


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


def test_words_and_tags_are_found_in_their_segments(recording) -> None:
    transcript = transcribe(recording.samples, engine=Reader(recording, max_window_s=12.0))
    texts = [segment.text for segment in transcript.segments]
    assert [texts[word.segment][word.start_char : word.end_char] for word in transcript.words] == [
        word.text for word in recording.words
    ]
    assert [texts[tag.segment][tag.start_char : tag.end_char] for tag in transcript.tags] == [
        f"[{tag.tag}]" for tag in transcript.tags
    ]
    assert {word.segment for word in transcript.words} == set(range(len(texts)))
    plain = without_tags(transcript)
    shown = [plain.segments[word.segment].text[word.start_char : word.end_char] for word in plain.words]
    assert shown == [word.word for word in plain.words]
    assert "lost" in shown


def test_a_tag_is_as_sure_as_its_tokens_together() -> None:
    parsed = parse("[laughs][sad] Yes.")
    # "[laughs", "][", "sad", "] Y", "es."
    tokens = [
        AlignedToken(start, end, 0.0, 1.0, probability)
        for start, end, probability in [(0, 7, 0.5), (7, 9, 0.5), (9, 12, 0.25), (12, 15, 0.5), (15, 18, 1.0)]
    ]
    assert tag_confidences(parsed, tokens) == [0.25, 0.0625]
    assert tag_confidences(parsed, tokens[4:]) == [None, None]


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


def silence(seconds: float) -> NDArray[np.float64]:
    return np.zeros(int(seconds * SAMPLE_RATE_HZ))


def hiss(seconds: float) -> NDArray[np.float64]:
    return np.random.default_rng(1).normal(0, 0.05, int(seconds * SAMPLE_RATE_HZ))


def chords(seconds: float) -> NDArray[np.float64]:
    """Struck chords, two a second."""
    time_s = np.arange(SAMPLE_RATE_HZ // 2) / SAMPLE_RATE_HZ
    roots_hz = np.random.default_rng(2).choice([220.0, 262.0, 294.0, 330.0], int(2 * seconds))
    overtones = [(ratio * number, 1 / number) for ratio in (1.0, 1.25, 1.5) for number in range(1, 6)]
    struck = [sum(level * np.sin(2 * np.pi * root * ratio * time_s) for ratio, level in overtones) for root in roots_hz]
    return np.concatenate(struck) * np.tile(np.exp(-3 * time_s), len(roots_hz)) / 10


def violin(seconds: float) -> NDArray[np.float64]:
    """A gliding tone with vibrato through the resonances of a body, which is much like a voice."""
    time_s = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    glide = np.cumsum(np.random.default_rng(2).normal(0, 1, len(time_s))) * 1.5e-4
    phase = 2 * np.pi * np.cumsum(180 * 2 ** (glide + 0.05 * np.sin(2 * np.pi * 5.5 * time_s))) / SAMPLE_RATE_HZ
    sound = sum(np.sin(number * phase) / number for number in range(1, 20))
    for centre_hz, width_hz in ((600, 80), (1100, 100), (2500, 150)):
        radius = np.exp(-np.pi * width_hz / SAMPLE_RATE_HZ)
        angle = 2 * np.pi * centre_hz / SAMPLE_RATE_HZ
        sound = lfilter([1 - radius], [1, -2 * radius * np.cos(angle), radius**2], sound)
    return 0.7 * sound / np.abs(sound).max()


@pytest.mark.parametrize("make", [silence, hiss, chords, violin], ids=["silence", "hiss", "chords", "violin"])
def test_the_packaged_model_invents_nothing_where_nobody_speaks(make: Callable[[float], NDArray[np.float64]]) -> None:
    transcript = transcribe(make(60).astype(np.float32), engine=load_packaged_engine())
    assert (transcript.text, transcript.tags, transcript.segments) == ("", (), ())


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


def spoken_in(accent: str, text: str) -> NDArray[np.float32]:
    """Speech of an espeak-ng voice of any language, at 16 kHz."""
    samples, _ = synthesize(text, accent)
    return resample(samples, ESPEAK_RATE_HZ, SAMPLE_RATE_HZ)


@pytest.fixture(scope="module")
def packaged() -> EdgeEngine:
    return load_packaged_engine()


def test_the_packaged_model_keeps_a_refrain(packaged: EdgeEngine) -> None:
    line = spoken_in("en-us", "We will not go home.")
    pause = np.zeros(round(0.35 * SAMPLE_RATE_HZ), np.float32)
    song = np.concatenate([*[line, pause] * 6, spoken_in("en-us", "Thank you all for coming tonight.")])
    heard = transcribe(song, engine=packaged).plain_text.lower()
    assert heard.count("we will not go home") == 6
    assert heard.rstrip(".!").endswith("thank you all for coming tonight")


@pytest.mark.parametrize(
    ("accent", "text"),
    [
        ("fr", "Bonjour à tous, la réunion commence à neuf heures dans la grande salle."),
        ("de", "Guten Morgen, die Besprechung beginnt heute um neun Uhr im großen Saal."),
        ("ru", "Доброе утро, собрание начинается в девять часов в большом зале."),
        ("it", "Buongiorno a tutti, la riunione comincia alle nove nella sala grande."),
    ],
)
def test_foreign_speech_is_told_and_not_turned_into_english(packaged: EdgeEngine, accent: str, text: str) -> None:
    transcript = transcribe(spoken_in(accent, text), engine=packaged)
    assert transcript.text == ""
    (note,) = transcript.notes
    assert note.startswith("does not sound like English at 0.0 to ")
    assert transcript.language_probability is not None
    assert transcript.language_probability < 0.3


def test_english_speech_passes_the_guard(packaged: EdgeEngine) -> None:
    transcript = transcribe(spoken_in("en-us", "The meeting begins at nine in the large hall."), engine=packaged)
    assert "meeting begins" in transcript.text
    assert transcript.notes == ()
    assert transcript.language_probability is not None
    assert transcript.language_probability > 0.5


class Looper(Reader):
    """Reads what is said, and goes on with the last three words again and again, as if there were time for it."""

    def transcribe_windows(self, windows: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Hypothesis]:
        self.inside = [super(Looper, self)._inside(window) for window in windows]
        texts = [" ".join(part.text for part in parts) for parts in self.inside]
        return [Hypothesis(" ".join([text, *text.split()[-3:] * 9]), -0.05, 0.0) for text in texts]

    def align_windows(
        self, windows: Sequence[NDArray[np.float32]], texts: Sequence[str], *, language: str = "en"
    ) -> list[list[AlignedToken]]:
        aligned = []
        for window, text in zip(windows, texts, strict=True):
            start_s, at = self._place(window), 0
            tokens, end_s = [], len(window) / SAMPLE_RATE_HZ
            parts = iter(self._inside(window))
            for word in text.split():
                part = next(parts, None)
                at = text.index(word, at)
                span = (end_s, end_s) if part is None else (part.start_s - start_s, part.end_s - start_s)
                tokens.append(AlignedToken(at, at + len(word), *span, 0.99))
                at += len(word)
            aligned.append(tokens)
        return aligned


@pytest.mark.parametrize("times", [True, False])
def test_a_loop_of_any_engine_is_cut_to_what_is_heard(times: bool) -> None:
    talk = record(["The baker opens his shop before anybody else is awake."], [0.3])
    assert transcribe(talk.samples, engine=Looper(talk), times=times).text == talk.text


def test_no_tag_stands_where_sound_is_missing(recording) -> None:
    told = transcribe(recording.samples, engine=Reader(recording))
    laugh = next(tag for tag in told.tags if tag.tag == "laughs")
    sigh = next(tag for tag in told.tags if tag.tag == "sighs")
    hole = Hole(laugh.start_s, laugh.end_s, is_damage=True)
    heard = list(hear_windows([recording.samples], Reader(recording), Reader(recording), holes=[hole]))
    tags = [tag for window in heard for tag in window.parsed.tags]
    words = [word.text for window in heard for word in window.parsed.words]
    assert words == [word.word for word in told.words]
    assert "laughs" not in {tag.name for tag in tags}
    assert abs(sigh.start_s - laugh.end_s) > 1.0
    assert "sighs" in {tag.name for tag in tags}


def test_what_a_file_lacks_is_noted_and_the_rest_is_heard(recording, tmp_path) -> None:
    rate_hz = SAMPLE_RATE_HZ
    samples = recording.samples[: 30 * rate_hz]
    hole = slice(10 * rate_hz, 13 * rate_hz)
    path = tmp_path / "holed.mkv"
    with av.open(path, "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate_hz, layout="mono")
        for start in range(0, len(samples), rate_hz // 10):
            if hole.start <= start < hole.stop:
                continue
            piece = np.round(samples[start : start + rate_hz // 10] * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(piece[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate_hz, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    transcript = transcribe(path, engine=Listener(), times=False)
    assert transcript.duration_s == pytest.approx(30.0, abs=0.05)
    (note,) = transcript.notes
    assert note == "no sound could be decoded for 3.0 s (10.0 to 13.0 s)"
    assert transcript.text


class Listener(Babbler):
    def __init__(self) -> None:
        super().__init__("Something is said here.")
