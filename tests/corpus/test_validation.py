"""Validation: each fault is found by its measurement, and nothing is listened to twice."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from evoxtral.corpus.validation import ValidationReport, count_errors, validate
from evoxtral.data.corpus_config import ValidationConfig
from evoxtral.data.corpus_folder import CorpusFolder
from evoxtral.data.records import Clip, Domain, SliceType
from evoxtral.errors import CorpusError
from evoxtral.inference.engines.protocol import Hypothesis
from evoxtral.tts import load_speech_engine

RATE_HZ = 16_000
TEXT = "[sad] Red green blue pink grey, [pause] brown black white gold SILVER."


class Listener:
    """Writes the text that belongs to the length of what it hears, which is all that it can tell clips apart by."""

    name = "test"
    max_window_s = 30.0
    batch_size = 4

    def __init__(self, model: str = "first", **texts: str) -> None:
        self.model = model
        self.heard = 0
        self._texts = texts

    def transcribe_windows(self, windows: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Hypothesis]:
        self.heard += len(windows)
        return [Hypothesis(self._texts.get(f"samples_{len(window)}", TEXT)) for window in windows]


def speech_like(duration_s: float = 5.0, level: float = 0.2, fade_s: float = 0.2) -> NDArray[np.float32]:
    """Noise in syllables, four a second, with a fade at the end."""
    times = np.arange(int(duration_s * RATE_HZ)) / RATE_HZ
    sound = np.random.default_rng(0).standard_normal(len(times)) * level * (1 - 0.7 * np.cos(2 * np.pi * 4 * times))
    if fade_s:
        sound *= np.clip((duration_s - times) / fade_s, 0, 1) ** 3
    return np.clip(sound, -0.95, 0.95).astype(np.float32)


def add_clip(corpus: CorpusFolder, name: str, samples: NDArray[np.float32] | None, text: str = TEXT) -> None:
    corpus.audio_path.mkdir(parents=True, exist_ok=True)
    if samples is not None:
        soundfile.write(corpus.audio_path / f"{name}.flac", samples, RATE_HZ)
    corpus.append_clips(
        [
            Clip(
                id=name,
                script_id=name,
                tagged_text=text,
                audio=f"audio/{name}.flac",
                duration_s=0.0 if samples is None else len(samples) / RATE_HZ,
                voice="v",
                engine="test",
                seed=0,
                slice_type=SliceType.LIGHT,
                domain=Domain.PODCAST,
            )
        ]
    )


def reasons(report: ValidationReport) -> dict[str, str]:
    return {clip.id: clip.reason for clip in report.set_aside}


@pytest.fixture
def corpus(tmp_path: Path) -> CorpusFolder:
    return CorpusFolder(tmp_path)


def test_each_fault_is_named_and_good_clips_pass(corpus: CorpusFolder) -> None:
    add_clip(corpus, "good", speech_like())
    add_clip(corpus, "silent", speech_like(level=0.0005))
    add_clip(corpus, "clipped", np.clip(speech_like() * 20, -1, 1).astype(np.float32))
    add_clip(corpus, "too-short", speech_like(1.2))
    add_clip(corpus, "too-long", speech_like(29.0))
    add_clip(corpus, "cut-off", speech_like(4.9, fade_s=0.0))
    add_clip(corpus, "missing", None)
    add_clip(corpus, "truncated", speech_like())
    path = corpus.audio_path / "truncated.flac"
    path.write_bytes(path.read_bytes()[:9_000])
    add_clip(corpus, "garbage", None)
    (corpus.audio_path / "garbage.flac").write_bytes(b'{"error": "quota exceeded"}')

    report = validate(corpus, ValidationConfig(), listener=None)

    assert report.total == report.measured == 9
    assert reasons(report) == {
        "silent": "silent",
        "clipped": "clipped",
        "too-short": "too short",
        "too-long": "too long",
        "cut-off": "cut off",
        "missing": "unreadable",
        "truncated": "unreadable",
        "garbage": "unreadable",
    }
    assert report.wer is None
    assert {clip.id: clip.reason for clip in corpus.read_set_aside()} == reasons(report)


def test_a_listener_that_hears_other_words_sets_clips_aside(corpus: CorpusFolder) -> None:
    # Ten words: five errors are half of them, six are more.
    five = "red green blue pink grey [laughs] x x x x x"
    six = "red green blue pink x x x x x x"
    add_clip(corpus, "exact", speech_like(5.0))
    add_clip(corpus, "five", speech_like(6.0))
    add_clip(corpus, "six", speech_like(7.0))
    add_clip(corpus, "one-word", speech_like(1.0), text="[angry] Never!")
    add_clip(corpus, "no-word", speech_like(2.0), text="[laughs]")
    listener = Listener(samples_96000=five, samples_112000=six, samples_16000="Clever!", samples_32000="[laughs]")

    report = validate(corpus, ValidationConfig(max_wer=0.5), listener=listener)

    assert reasons(report) == {"six": "unintelligible"}
    assert "6 errors in 10 words" in report.set_aside[0].detail
    # (0 + 5 + 6 + 1) errors in (10 + 10 + 10 + 1) words; the clip without words does not count.
    assert report.wer == pytest.approx(12 / 31)


def test_another_threshold_needs_no_second_listening(corpus: CorpusFolder) -> None:
    add_clip(corpus, "a", speech_like(5.0))
    add_clip(corpus, "b", speech_like(6.0))
    listener = Listener(samples_96000="red green blue pink grey brown x x x x")
    assert reasons(validate(corpus, ValidationConfig(max_wer=0.5), listener=listener)) == {}
    again = validate(corpus, ValidationConfig(max_wer=0.3), listener=listener)
    assert reasons(again) == {"b": "unintelligible"}
    assert again.measured == 0
    assert listener.heard == 2


def test_a_killed_run_goes_on_where_it_was(corpus: CorpusFolder) -> None:
    class Killed(Listener):
        def transcribe_windows(
            self, windows: Sequence[NDArray[np.float32]], *, language: str = "en"
        ) -> list[Hypothesis]:
            if self.heard >= 16:
                raise KeyboardInterrupt
            return super().transcribe_windows(windows, language=language)

    for number in range(40):
        add_clip(corpus, f"c{number}", speech_like(3.0 + number / 100))
    with pytest.raises(KeyboardInterrupt):
        validate(corpus, ValidationConfig(workers=2), listener=Killed())
    # The journal's last line may be torn as well.
    journal = corpus.path / "checked.jsonl"
    journal.write_bytes(journal.read_bytes()[:-7])
    listener = Listener()
    done: list[tuple[int, int]] = []
    report = validate(
        corpus, ValidationConfig(workers=2), listener=listener, on_progress=lambda *counts: done.append(counts)
    )
    assert report.measured == listener.heard == 40 - 15
    assert done[-1] == (40, 40)
    assert report.set_aside == ()


def test_a_clip_made_anew_is_measured_anew_and_so_is_one_for_another_listener(corpus: CorpusFolder) -> None:
    add_clip(corpus, "a", speech_like(level=0.0001))
    add_clip(corpus, "b", speech_like())
    assert reasons(validate(corpus, ValidationConfig(), listener=Listener())) == {"a": "silent"}
    soundfile.write(corpus.audio_path / "a.flac", speech_like(), RATE_HZ)
    listener = Listener()
    assert reasons(validate(corpus, ValidationConfig(), listener=listener)) == {}
    assert listener.heard == 1
    other = Listener("second")
    validate(corpus, ValidationConfig(), listener=other)
    assert other.heard == 2


def test_clips_longer_than_a_window_are_cut_for_the_listener(corpus: CorpusFolder) -> None:
    engine = load_speech_engine("local")
    sentence = "The captain wrote it down, and then nobody said a word until the morning. "
    samples = engine.speak(sentence * 9, voice="espeak/amber")
    assert samples.duration_s > 31
    corpus.audio_path.mkdir()
    soundfile.write(corpus.audio_path / "long.flac", samples.samples, samples.sample_rate_hz)
    add_clip(corpus, "long", None, text=sentence * 9)

    class Counting(Listener):
        def transcribe_windows(
            self, windows: Sequence[NDArray[np.float32]], *, language: str = "en"
        ) -> list[Hypothesis]:
            assert all(len(window) <= 30 * RATE_HZ for window in windows)
            self.heard += len(windows)
            return [Hypothesis(sentence * 9 if index == 0 else "") for index, _ in enumerate(windows)]

    listener = Counting()
    assert reasons(validate(corpus, ValidationConfig(), listener=listener)) == {}
    assert listener.heard >= 2


def test_the_local_voice_passes_the_checks_of_the_signal(corpus: CorpusFolder) -> None:
    engine = load_speech_engine("local")
    corpus.audio_path.mkdir()
    texts = [
        "The train was late again, and nobody at the station knew why.",
        "[whispers] Don't wake the baby, [sighs] please.",
        "[shouts] Look out behind you!",
        "[stammers] I never said that. [pause] Or did I? [laughs]",
        "Platform nine.",
    ]
    for number, text in enumerate(texts):
        speech = engine.speak(text, voice="espeak/amber", seed=number)
        soundfile.write(corpus.audio_path / f"c{number}.flac", speech.samples, speech.sample_rate_hz)
        add_clip(corpus, f"c{number}", None, text=text)
    assert reasons(validate(corpus, ValidationConfig(), listener=None)) == {}


def test_a_corpus_without_clips_says_what_to_do(corpus: CorpusFolder) -> None:
    with pytest.raises(CorpusError, match="synthesize"):
        validate(corpus, ValidationConfig(), listener=None)


@pytest.mark.parametrize(
    ("spoken", "heard", "expected"),
    [
        ("It's twenty miles, isn't it?", "it is 20 miles is not it", (0, 7)),
        ("Um, I mean the colour.", "I mean the color", (0, 4)),
        ("red green blue", "red blue pink", (2, 3)),
        ("...", "hello there", (2, 0)),
        ("I... I know", "I I know", (0, 3)),
        ("hello there", "", (2, 2)),
    ],
)
def test_errors_are_counted_between_normalised_words(spoken: str, heard: str, expected: tuple[int, int]) -> None:
    assert count_errors(spoken, heard) == expected
