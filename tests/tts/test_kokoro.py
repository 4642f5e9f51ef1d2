"""Kokoro's voices without their weights: where these are looked for, cached phrases, what is said if missing."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from evoxtral.errors import VoiceError
from evoxtral.models import ModelStore
from evoxtral.tts import base_voices, espeak, kokoro
from local_hub import serve_hub

WORDS = ("Hello", "there.")
STYLE = np.arange(3 * 256, dtype="<f4").reshape(3, 1, 256)
HERE = ModelStore()


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As on a machine with the package installed and nothing else set."""
    for variable in ("KOKORO_DIR", "PIPER_DIR", "RECORDINGS_DIR", "SPEECH_CACHE"):
        monkeypatch.delenv(f"EVOXTRAL_{variable}", raising=False)
    monkeypatch.setattr(kokoro, "is_importable", lambda package: True)
    return monkeypatch


def single_file(folder: Path) -> None:
    """Weights as the package's own releases have them."""
    folder.mkdir(exist_ok=True)
    (folder / "kokoro-v1.0.int8.onnx").touch()
    with (folder / "voices-v1.0.bin").open("wb") as file:
        np.savez(file, af_bella=STYLE, bm_lewis=STYLE, zf_other=STYLE)


def hub_export(folder: Path) -> None:
    """Weights as the hub's ONNX export has them."""
    (folder / "onnx").mkdir(parents=True)
    (folder / "onnx" / "model_quantized.onnx").touch()
    (folder / "voices").mkdir()
    for name in ("af_bella", "bm_lewis", "zf_other"):
        STYLE.tofile(folder / "voices" / f"{name}.bin")


@pytest.mark.parametrize("layout", [single_file, hub_export])
def test_voices_are_found_in_both_layouts(
    layout: Callable[[Path], None], tmp_path: Path, packages: pytest.MonkeyPatch
) -> None:
    layout(tmp_path / "kokoro")
    packages.setenv("EVOXTRAL_KOKORO_DIR", str(tmp_path / "kokoro"))
    described = {voice.name: voice.description for voice in kokoro.voices(HERE)}
    assert described == {
        "kokoro/af_bella": "American English, female (Kokoro)",
        "kokoro/bm_lewis": "British English, male (Kokoro)",
    }
    weights = kokoro.find_kokoro(str(tmp_path / "kokoro"), HERE, fetch=False)
    assert weights is not None
    assert np.array_equal(kokoro._style(weights.styles, "bm_lewis"), STYLE)
    assert weights.model.exists()


def test_weights_of_the_hub_lie_in_the_store_and_offline_none_are_fetched(
    tmp_path: Path, packages: pytest.MonkeyPatch
) -> None:
    packages.setenv("EVOXTRAL_KOKORO_DIR", "someone/kokoro")
    store, offline = ModelStore(tmp_path / "models"), ModelStore(tmp_path / "models", offline=True)
    with serve_hub(packages) as hub:
        hub.models["someone/kokoro"] = {
            "onnx/model_quantized.onnx": b"quantized",
            "onnx/model.onnx": b"the large one",
            "voices/af_bella.bin": STYLE.tobytes(),
            "voices/zf_other.bin": STYLE.tobytes(),
        }
        assert kokoro.voices(store) == []  # listing asks no network
        with pytest.raises(VoiceError, match="offline"):
            base_voices.load("kokoro/af_bella", offline)
        assert hub.fetched == []
        base_voices.load("kokoro/af_bella", store)
        assert sorted(path for path in hub.fetched if "/" in path) == [
            "onnx/model_quantized.onnx",
            "voices/af_bella.bin",
        ]
    assert [voice.name for voice in kokoro.voices(offline)] == ["kokoro/af_bella"]
    assert kokoro.voices(ModelStore(tmp_path / "other")) == []
    base_voices.load("kokoro/af_bella", offline)


def test_what_is_no_folder_and_no_hub_id_holds_nothing() -> None:
    assert kokoro.find_kokoro("/no/such/folder", HERE, fetch=True) is None


def test_a_cached_phrase_is_read_and_needs_no_weights(tmp_path: Path, packages: pytest.MonkeyPatch) -> None:
    single_file(tmp_path / "kokoro")
    plain = espeak.speak_words(WORDS, espeak.VOICES["amber"])
    key = hashlib.sha1(b"1.00|Hello there.", usedforsecurity=False).hexdigest()
    (tmp_path / "cache" / "af_bella").mkdir(parents=True)
    soundfile.write(tmp_path / "cache" / "af_bella" / f"{key}.flac", plain.samples, 24_000)
    packages.setenv("EVOXTRAL_KOKORO_DIR", str(tmp_path / "kokoro"))
    spoken = base_voices.load("kokoro/af_bella", HERE, tmp_path / "cache").speak_words(WORDS)
    assert spoken.sample_rate_hz == 24_000
    assert len(spoken.samples) == pytest.approx(len(plain.samples), abs=300)
    assert len(spoken.words) == 2


def test_what_is_missing_is_named_with_its_remedy(tmp_path: Path, packages: pytest.MonkeyPatch) -> None:
    with pytest.raises(VoiceError, match="EVOXTRAL_KOKORO_DIR"):
        base_voices.load("kokoro/af_bella", HERE)
    packages.setenv("EVOXTRAL_KOKORO_DIR", str(tmp_path))
    with pytest.raises(VoiceError, match="no weights of Kokoro"):
        base_voices.load("kokoro/af_bella", HERE)
    single_file(tmp_path)
    kokoro._kokoro_in.cache_clear()
    with pytest.raises(VoiceError, match="kokoro/af_nobody"):
        base_voices.load("kokoro/af_nobody", HERE)
    packages.setattr(kokoro, "is_importable", lambda package: False)
    with pytest.raises(VoiceError, match=r"kokoro-onnx.*evoxtral\[kokoro\]"):
        base_voices.load("kokoro/af_bella", HERE)
