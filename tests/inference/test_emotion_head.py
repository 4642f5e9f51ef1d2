"""The emotion head: statistics and probabilities worked by hand, and what the packaged weights say of real people."""

import math
from pathlib import Path

import numpy as np
import pytest

from evoxtral.errors import ModelError
from evoxtral.inference.emotion_head import EMOTION_FILE, Emotion, EmotionHead, at_usual_level, pooled

HEAD = EmotionHead(
    layers=2,
    names=("none", "sad", "angry"),
    weights=np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]], np.float32),
    biases=np.array([1, 0, 0], np.float32),
    plain={"en": np.array([1, 2, 0, 0], np.float32), "de": np.array([3, 2, 0, 0], np.float32)},
    threshold=0.6,
)


def test_statistics_are_means_and_standard_deviations() -> None:
    encoded = np.array([[1, 5], [3, 5], [5, 8]], np.float32)
    np.testing.assert_allclose(pooled(encoded), [3, 6, math.sqrt(8 / 3), math.sqrt(2)], rtol=1e-6)


def test_probabilities_are_relative_to_plain_speech_of_the_language() -> None:
    statistics = np.array([3, 2, 0, 0], np.float32)
    # In English 2 more than plain: logits 1, 2, 0. In German that is plain: the biases alone, 1, 0, 0.
    total = math.e + math.e**2 + 1
    np.testing.assert_allclose(
        HEAD.probabilities(statistics, "en"), [math.e / total, math.e**2 / total, 1 / total], rtol=1e-6
    )
    np.testing.assert_allclose(HEAD.probabilities(statistics, "de")[0], math.e / (math.e + 2), rtol=1e-6)
    found = HEAD.emotion_of(statistics, "en")
    assert found is not None
    assert found.name == "sad"
    assert found.probability == pytest.approx(math.e**2 / total)
    assert HEAD.emotion_of(statistics, "de") is None


def test_what_is_not_sure_is_not_told() -> None:
    # Logits 1, 1.5, 0: sad is likeliest, at 0.55.
    assert HEAD.emotion_of(np.array([2.5, 2, 0, 0], np.float32), "en") is None


def test_weights_are_kept_in_a_file(tmp_path: Path) -> None:
    assert EmotionHead.load(tmp_path) is None
    HEAD.save(tmp_path / EMOTION_FILE)
    loaded = EmotionHead.load(tmp_path)
    assert loaded is not None
    assert (loaded.layers, loaded.names, loaded.threshold) == (HEAD.layers, HEAD.names, HEAD.threshold)
    statistics = np.array([1, 9, 3, 4], np.float32)
    assert loaded.emotion_of(statistics, "de") == HEAD.emotion_of(statistics, "de") != None  # noqa: E711
    (tmp_path / EMOTION_FILE).write_bytes((tmp_path / EMOTION_FILE).read_bytes()[:200])
    with pytest.raises(ModelError, match=r"emotion\.npz: is damaged"):
        EmotionHead.load(tmp_path)


@pytest.mark.parametrize("gain", [0.01, 0.1, 10.0])
def test_all_are_heard_at_one_level(gain: float) -> None:
    sound = np.random.default_rng(0).normal(0, 0.05, 16_000).astype(np.float32)
    sound[8000:] *= 1e-3  # a pause counts for nothing
    heard = at_usual_level(sound)
    np.testing.assert_allclose(at_usual_level(sound * np.float32(gain)), heard, rtol=1e-4)
    assert 20 * np.log10(np.sqrt(np.mean(np.square(heard[:7680])))) == pytest.approx(-25, abs=0.1)
    assert not at_usual_level(np.zeros(16_000, np.float32)).any()
    assert Emotion("sad", 0.5) == Emotion("sad", 0.5)
