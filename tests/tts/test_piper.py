"""Piper's voices without their weights: the files of a folder, and what is said if something is missing."""

from pathlib import Path

import pytest

from evoxtral.errors import VoiceError
from evoxtral.models import ModelStore
from evoxtral.tts import base_voices, piper

HERE = ModelStore()


def test_voices_are_the_files_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piper, "is_importable", lambda package: True)
    (tmp_path / "en_US-joe-medium.onnx").touch()
    monkeypatch.setenv("EVOXTRAL_PIPER_DIR", str(tmp_path))
    assert [voice.name for voice in piper.voices(HERE)] == ["piper/en_US-joe-medium"]
    assert piper.probe(HERE).detail == "1 voice"


def test_what_is_missing_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVOXTRAL_PIPER_DIR", raising=False)
    monkeypatch.setattr(piper, "is_importable", lambda package: True)
    with pytest.raises(VoiceError, match="EVOXTRAL_PIPER_DIR"):
        base_voices.load("piper/en_US-joe-medium", HERE)
    monkeypatch.setattr(piper, "is_importable", lambda package: False)
    with pytest.raises(VoiceError, match=r"piper-tts.*evoxtral\[piper\]"):
        base_voices.load("piper/en_US-joe-medium", HERE)
