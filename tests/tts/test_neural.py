"""Neural base voices without their weights: where these are looked for, cached phrases, what is said if missing."""

import hashlib

import numpy as np
import pytest
import soundfile

from evoxtral.errors import VoiceError
from evoxtral.tts import base_voices, espeak, neural

WORDS = ("Hello", "there.")
STYLE = np.arange(3 * 256, dtype="<f4").reshape(3, 1, 256)


@pytest.fixture
def packages(monkeypatch):
    """As on a machine with both packages installed and nothing else set."""
    for variable in ("EVOXTRAL_KOKORO_DIR", "EVOXTRAL_PIPER_DIR", "EVOXTRAL_RECORDINGS_DIR", "EVOXTRAL_SPEECH_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(base_voices, "_installed", lambda package: True)
    return monkeypatch


def single_file(folder):
    """Weights as the package's own releases have them."""
    folder.mkdir(exist_ok=True)
    (folder / "kokoro-v1.0.int8.onnx").touch()
    with (folder / "voices-v1.0.bin").open("wb") as file:
        np.savez(file, af_bella=STYLE, bm_lewis=STYLE, zf_other=STYLE)


def hub_export(folder):
    """Weights as the hub's ONNX export has them."""
    (folder / "onnx").mkdir(parents=True)
    (folder / "onnx" / "model_quantized.onnx").touch()
    (folder / "voices").mkdir()
    for name in ("af_bella", "bm_lewis", "zf_other"):
        STYLE.tofile(folder / "voices" / f"{name}.bin")


@pytest.mark.parametrize("layout", [single_file, hub_export])
def test_kokoros_voices_are_found_in_both_layouts(layout, tmp_path, packages):
    layout(tmp_path / "kokoro")
    packages.setenv("EVOXTRAL_KOKORO_DIR", str(tmp_path / "kokoro"))
    described = {voice.name: voice.description for voice in base_voices.voices() if voice.name.startswith("kokoro/")}
    assert described == {
        "kokoro/af_bella": "American English, female (Kokoro)",
        "kokoro/bm_lewis": "British English, male (Kokoro)",
    }
    weights = neural.find_kokoro(str(tmp_path / "kokoro"), download=False)
    assert np.array_equal(neural._style(weights.styles, "bm_lewis"), STYLE)
    assert weights.model.exists()


def test_a_hub_id_is_looked_up_in_the_hubs_cache_without_a_network(tmp_path, packages):
    import huggingface_hub.constants

    repository = tmp_path / "models--someone--kokoro"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("a" * 40)
    hub_export(repository / "snapshots" / ("a" * 40))
    packages.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert neural.find_kokoro("someone/kokoro", download=False).voice_names == ("af_bella", "bm_lewis")
    assert neural.find_kokoro("someone/else", download=False) is None
    assert neural.find_kokoro("/no/such/folder", download=True) is None


def test_pipers_voices_are_the_files_of_its_folder(tmp_path, packages):
    (tmp_path / "en_US-joe-medium.onnx").touch()
    packages.setenv("EVOXTRAL_PIPER_DIR", str(tmp_path))
    assert "piper/en_US-joe-medium" in [voice.name for voice in base_voices.voices()]


def test_a_cached_phrase_is_read_and_needs_no_weights(tmp_path, packages):
    single_file(tmp_path / "kokoro")
    plain = espeak.speak_words(WORDS, espeak.VOICES["amber"])
    key = hashlib.sha1(b"1.00|Hello there.", usedforsecurity=False).hexdigest()
    (tmp_path / "cache" / "af_bella").mkdir(parents=True)
    soundfile.write(tmp_path / "cache" / "af_bella" / f"{key}.flac", plain.samples, 24_000)
    packages.setenv("EVOXTRAL_KOKORO_DIR", str(tmp_path / "kokoro"))
    spoken = base_voices.load("kokoro/af_bella", tmp_path / "cache").speak_words(WORDS)
    assert spoken.sample_rate_hz == 24_000
    assert len(spoken.samples) == pytest.approx(len(plain.samples), abs=300)
    assert len(spoken.words) == 2


def test_what_is_missing_is_named_with_its_remedy(tmp_path, packages):
    with pytest.raises(VoiceError, match="EVOXTRAL_KOKORO_DIR"):
        base_voices.load("kokoro/af_bella")
    with pytest.raises(VoiceError, match="EVOXTRAL_PIPER_DIR"):
        base_voices.load("piper/en_US-joe-medium")
    packages.setenv("EVOXTRAL_KOKORO_DIR", str(tmp_path))
    with pytest.raises(VoiceError, match="no weights of Kokoro"):
        base_voices.load("kokoro/af_bella")
    single_file(tmp_path)
    neural._kokoro_in.cache_clear()
    with pytest.raises(VoiceError, match="kokoro/af_nobody"):
        base_voices.load("kokoro/af_nobody")
    packages.setattr(base_voices, "_installed", lambda package: False)
    with pytest.raises(VoiceError, match=r"kokoro-onnx.*evoxtral\[kokoro\]"):
        base_voices.load("kokoro/af_bella")
    with pytest.raises(VoiceError, match=r"piper-tts.*evoxtral\[piper\]"):
        base_voices.load("piper/en_US-joe-medium")
