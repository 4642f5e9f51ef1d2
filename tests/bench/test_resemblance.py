import numpy as np
import pytest

from evoxtral.audio import SAMPLE_RATE_HZ, resample
from evoxtral.bench import mos
from evoxtral.bench.resemblance import MEASURES, Passage, listen, measure, measure_passages
from evoxtral.tts import speak

TEXTS = ("The baker opens his shop before anybody is awake.", "[excited] We found the letters under the floor!")


def spoken(text, voice):
    speech = speak(text, voice=voice)
    return resample(speech.samples, speech.sample_rate_hz, SAMPLE_RATE_HZ)


@pytest.fixture(autouse=True)
def without_mos(monkeypatch):
    monkeypatch.setattr(mos, "is_installed", lambda: False)


def span(samples, offset_s):
    return offset_s, offset_s + len(samples) / SAMPLE_RATE_HZ


def test_passages_measure_as_their_clips_do_wherever_they_stand():
    first, second = (spoken(text, "espeak/amber") for text in TEXTS)
    other_first, other_second = (spoken(text, "espeak/carl") for text in TEXTS)
    gap = np.zeros(SAMPLE_RATE_HZ, np.float32)
    original = np.concatenate([gap, first, gap, gap, second])
    again = np.concatenate([other_first, other_second])
    passages = [
        Passage(span(first, 1.0), span(other_first, 0.0)),
        Passage(span(second, 3.0 + len(first) / SAMPLE_RATE_HZ), span(other_second, len(other_first) / SAMPLE_RATE_HZ)),
    ]
    measures = measure_passages(original, again, passages)
    assert set(measures) == {name for name in MEASURES if not name.startswith("mos")}
    clips = [measure(listen(first), other_first), measure(listen(second), other_second)]
    lengths = [len(first), len(second)]
    for name in ("mcd_db", "f0_correlation", "energy_rmse_db", "pause_error_s"):
        assert measures[name] == pytest.approx(np.average([clip[name] for clip in clips], weights=lengths), rel=1e-3)
    assert 0 < measures["speaker_similarity"] < 0.95


def test_a_recording_is_like_itself():
    samples = spoken(TEXTS[0], "espeak/carl")
    measures = measure_passages(samples, samples, [Passage(span(samples, 0), span(samples, 0))])
    assert measures["mcd_db"] == pytest.approx(0, abs=1e-6)
    assert measures["f0_correlation"] == pytest.approx(1)
    assert measures["speaker_similarity"] == pytest.approx(1, abs=1e-5)


def test_nothing_in_common_has_no_measures():
    samples = np.zeros(SAMPLE_RATE_HZ, np.float32)
    assert measure_passages(samples, samples, []) == {}
    assert measure_passages(samples, samples, [Passage((0.0, 0.1), (0.0, 0.1))]) == {}


def test_of_hours_only_passages_spread_over_them_are_compared(monkeypatch):
    compared = []
    monkeypatch.setattr("evoxtral.bench.resemblance.compare_sounds", lambda *pair: compared.append(pair) or {})
    samples = np.zeros(3600 * 160, np.float32)  # 36 s, of which all passages are
    passages = [Passage((0.0, 10.0), (0.0, 10.0))] * 360
    measure_passages(samples, samples, passages)
    assert len(compared) == 6
