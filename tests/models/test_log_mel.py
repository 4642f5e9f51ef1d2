import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from evoxtral.models.log_mel import LogMel, to_rows, to_whole_windows


@pytest.mark.parametrize("bands", [80, 128])
def test_features_are_those_of_whispers_extractor(bands: int) -> None:
    extractor = WhisperFeatureExtractor(feature_size=bands)
    random = np.random.default_rng(0)
    speechlike = np.cumsum(random.standard_normal((2, 100_000)), axis=1)
    samples = (speechlike / np.abs(speechlike).max(axis=1, keepdims=True) * 20_000).astype(np.int16)
    expected = extractor(list(samples / 32767), sampling_rate=16_000, return_tensors="pt").input_features
    found = LogMel(extractor)(to_whole_windows(torch.from_numpy(samples) / 32767, extractor.n_samples))
    assert found.shape == (2, bands, 3000)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_features_do_not_lose_precision_under_autocast() -> None:
    features = LogMel(WhisperFeatureExtractor())
    audio = torch.randn(1, 16_000)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = features(audio)
    assert torch.equal(found, features(audio))


def test_samples_are_padded_to_whole_windows() -> None:
    samples = torch.ones(2, 250)
    padded = to_whole_windows(samples, 100)
    assert padded.shape == (2, 300)
    assert padded[:, :250].eq(1).all()
    assert padded[:, 250:].eq(0).all()


def test_windows_of_any_length_get_what_whispers_extractor_gives() -> None:
    extractor = WhisperFeatureExtractor(feature_size=80)
    random = np.random.default_rng(1)
    windows = [random.normal(0, 0.1, count).astype(np.float32) for count in (16_000, 480_000, 7)]
    expected = extractor(windows, sampling_rate=16_000, return_tensors="pt").input_features
    rows = to_whole_windows(to_rows(windows, torch.device("cpu")), extractor.n_samples)
    torch.testing.assert_close(LogMel(extractor)(rows), expected, atol=1e-4, rtol=0)
