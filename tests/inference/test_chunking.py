"""Windows hold all speech, are cut in pauses only, and take constant memory."""

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, resample
from evoxtral.audio.levels import rms_db, to_gain
from evoxtral.inference.chunking import LONG_SILENCE_S, MARGIN_S, Window, cut_windows
from evoxtral.inference.vad import FRAME_SAMPLES, ONSET_PROBABILITY, SpeechDetector
from evoxtral.tts import speak


def in_blocks(samples: NDArray[np.float32], block_s: float = 3.3) -> Iterator[NDArray[np.float32]]:
    step = int(block_s * SAMPLE_RATE_HZ)
    for start in range(0, len(samples), step):
        yield samples[start : start + step]


def silence(duration_s: float) -> NDArray[np.float32]:
    return np.zeros(int(duration_s * SAMPLE_RATE_HZ), np.float32)


def noise(duration_s: float, level: float) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, level, int(duration_s * SAMPLE_RATE_HZ)).astype(np.float32)


def chords(duration_s: float) -> NDArray[np.float32]:
    time_s = np.arange(int(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    notes = [
        np.sin(2 * np.pi * pitch * time_s) * (np.sin(2 * np.pi * (0.7 + index / 9) * time_s) > 0)
        for index, pitch in enumerate((220.0, 277.2, 329.6, 440.0, 554.4))
    ]
    return (0.1 * np.sum(notes, axis=0)).astype(np.float32)


def test_the_detector_does_not_depend_on_the_size_of_blocks(recording) -> None:
    def listen(block: int) -> NDArray[np.float32]:
        detector = SpeechDetector()
        heard = [detector.feed(recording.samples[at : at + block]) for at in range(0, len(recording.samples), block)]
        return np.concatenate([*heard, detector.finish()])

    whole = listen(len(recording.samples))
    assert len(whole) == -(-len(recording.samples) // FRAME_SAMPLES)
    np.testing.assert_allclose(listen(1000), whole, atol=1e-5)


def test_the_detector_agrees_with_faster_whispers(recording) -> None:
    from faster_whisper.vad import get_vad_model

    samples = recording.samples[: len(recording.samples) // FRAME_SAMPLES * FRAME_SAMPLES]
    theirs = np.asarray(get_vad_model()(samples.copy())).reshape(-1)
    # Theirs blanks the end of the last frame.
    np.testing.assert_allclose(SpeechDetector().feed(samples)[:-1], theirs[:-1], atol=1e-4)


@pytest.mark.parametrize(("duration_s", "windows"), [(0.06, 0), (0.2, 1)])
def test_a_blip_of_60_ms_is_no_speech_although_the_detector_hears_one(duration_s: float, windows: int) -> None:
    spoken = speak("Ah, I was far along the path.", voice="espeak/amber")
    vowel = resample(spoken.samples, spoken.sample_rate_hz, SAMPLE_RATE_HZ)[2000:]
    samples = np.concatenate([silence(1), 1.5 * vowel[: int(duration_s * SAMPLE_RATE_HZ)], silence(1)])
    assert (SpeechDetector().feed(samples) > ONSET_PROBABILITY).sum() >= 2
    assert len(list(cut_windows([samples]))) == windows


def test_a_short_recording_is_one_window_with_all_its_samples(recording) -> None:
    samples = recording.samples[: 20 * SAMPLE_RATE_HZ + 77]
    (window,) = cut_windows(in_blocks(samples))
    np.testing.assert_array_equal(window.samples, samples)
    assert (window.start_s, window.end_s) == (0.0, len(samples) / SAMPLE_RATE_HZ)


def test_a_quiet_recording_is_heard_as_loud_as_others(recording) -> None:
    samples = recording.samples[: 20 * SAMPLE_RATE_HZ]
    quiet = samples * np.float32(to_gain(-35.0))
    (usual,), (lifted,) = cut_windows(in_blocks(samples)), cut_windows(in_blocks(quiet))
    np.testing.assert_array_equal(usual.samples, samples)
    assert rms_db(quiet) < -50.0
    assert rms_db(lifted.samples) == pytest.approx(rms_db(usual.samples), abs=6.0)
    np.testing.assert_allclose(lifted.samples / np.abs(lifted.samples).max(), quiet / np.abs(quiet).max(), atol=1e-5)


@pytest.mark.parametrize("max_window_s", [6.0, 8.0, 10.0, 15.0, 30.0])
def test_windows_are_short_enough_hold_everything_and_cut_no_word(recording, max_window_s: float) -> None:
    windows = list(cut_windows(in_blocks(recording.samples), max_window_s))
    assert max(len(window.samples) for window in windows) <= max_window_s * SAMPLE_RATE_HZ
    np.testing.assert_array_equal(np.concatenate([window.samples for window in windows]), recording.samples)
    cuts_s = [window.end_s for window in windows[:-1]]
    assert len(cuts_s) >= len(recording.samples) / SAMPLE_RATE_HZ / max_window_s - 1
    halved = [word for word in recording.words for cut_s in cuts_s if word.start_s + 0.03 < cut_s < word.end_s - 0.03]
    assert not halved


def test_speech_without_pauses_is_still_cut_to_size(recording) -> None:
    words = [
        recording.samples[int(word.start_s * SAMPLE_RATE_HZ) : int(word.end_s * SAMPLE_RATE_HZ)]
        for word in recording.words
    ]
    breathless = np.concatenate(words)
    windows = list(cut_windows(in_blocks(breathless), 3.0))
    assert all(len(window.samples) <= 3.0 * SAMPLE_RATE_HZ for window in windows)
    np.testing.assert_array_equal(np.concatenate([window.samples for window in windows]), breathless)


def test_long_silences_are_left_out_and_times_lead_around_them(recording) -> None:
    speech = recording.samples[: int(4.0 * SAMPLE_RATE_HZ)]
    samples = np.concatenate([silence(12), speech, silence(9), speech, silence(20), speech])
    (window,) = cut_windows(in_blocks(samples))
    assert len(window.spans) == 3
    assert all(before.end < after.start for before, after in zip(window.spans, window.spans[1:], strict=False))
    np.testing.assert_array_equal(
        window.samples, np.concatenate([samples[span.start : span.end] for span in window.spans])
    )
    # Each span keeps a margin around its speech, which begins about 0.4 s and ends 3.6 s after the clip does.
    for span, begin_s in zip(window.spans, (12.0, 25.0, 49.0), strict=True):
        assert span.start / SAMPLE_RATE_HZ == pytest.approx(begin_s + 0.4 - MARGIN_S, abs=0.3)
    first, second = window.spans[0], window.spans[1]
    joint_s = (first.end - first.start) / SAMPLE_RATE_HZ
    assert window.time_in_recording(joint_s, is_end=True) == pytest.approx(first.end / SAMPLE_RATE_HZ)
    assert window.time_in_recording(joint_s) == pytest.approx(second.start / SAMPLE_RATE_HZ)
    assert window.time_in_recording(joint_s + 1) == pytest.approx(second.start / SAMPLE_RATE_HZ + 1)
    assert window.time_in_recording(1e9) == pytest.approx(window.end_s)
    assert window.time_in_recording(-1.0) == pytest.approx(window.start_s)


def test_a_pause_that_may_carry_a_tag_is_kept(recording) -> None:
    speech = recording.samples[: int(4.0 * SAMPLE_RATE_HZ)]
    samples = np.concatenate([speech, silence(LONG_SILENCE_S - 1.5), speech])
    (window,) = cut_windows(in_blocks(samples))
    np.testing.assert_array_equal(window.samples, samples)


@pytest.mark.parametrize(
    "sound",
    [silence(40), noise(40, 1e-3), noise(40, 0.1), np.cumsum(noise(40, 0.001)), chords(40)],
    ids=["silence", "hiss", "loud noise", "rumble", "music"],
)
def test_what_nobody_says_gives_no_window(sound: NDArray[np.float32]) -> None:
    assert list(cut_windows(in_blocks(sound.astype(np.float32)))) == []


def test_memory_stays_constant(recording) -> None:
    speech = recording.samples[: 10 * SAMPLE_RATE_HZ]

    def twenty_minutes() -> Iterator[NDArray[np.float32]]:
        for number in range(120):
            # A minute of silence, a minute of speech, and so on: 77 MB in all.
            yield speech if number // 6 % 2 else silence(10)

    def spoken_s(windows: Iterator[Window]) -> float:
        return sum(window.speech_s for window in windows)

    tracemalloc.start()
    try:
        total_s = spoken_s(cut_windows(twenty_minutes()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 300 < total_s < 600
    assert peak < 15e6
