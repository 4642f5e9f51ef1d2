"""The rows of the model families, and names that hold a password."""

import subprocess
import sys
from pathlib import Path

import pytest

from evoxtral.errors import ModelError
from evoxtral.models import without_credentials
from evoxtral.models.families.registry import families, family_in, find_family
from evoxtral.models.families.whisper import start_of_transcript


def test_families_are_found_without_torch() -> None:
    code = (
        "import sys; from evoxtral.models.families.registry import families;"
        "print([row.name for row in families()], 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == "['voxtral', 'voxtral_realtime', 'whisper'] False False\n"


def test_a_family_is_looked_up_by_name_and_by_its_models_configuration(tmp_path: Path) -> None:
    for row in families():
        assert find_family(row.name) is row
        (tmp_path / "config.json").write_text(f'{{"model_type": "{row.model_types[0]}"}}')
        assert family_in(tmp_path, name="m") is row
    (tmp_path / "config.json").write_text("{}")
    assert family_in(tmp_path, name="m") is None
    with pytest.raises(ModelError, match=r"no model family 'bert' \(families: voxtral, voxtral_realtime, whisper\)"):
        find_family("bert")
    for content in ("{", "[1]", "[" * 100_000):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(ModelError, match=r"config\.json is damaged"):
            family_in(tmp_path, name="m")


def test_whispers_prompt_is_that_of_its_tokenizer() -> None:
    # As WhisperTokenizer.set_prefix_tokens has them, without the times.
    assert start_of_transcript("de", multilingual=True) == ["<|startoftranscript|>", "<|de|>", "<|transcribe|>"]
    assert start_of_transcript("en", multilingual=False) == ["<|startoftranscript|>"]
    with pytest.raises(ModelError, match="no language 'de'"):
        start_of_transcript("de", multilingual=False)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("http://me:secret@host:80/v1#m", "http://***@host:80/v1#m"),
        ("https://se:c@ret@host", "https://***@host"),
        ("http://a/b@host", "http://***@host"),
        ("me:secret@host/v1", "***@host/v1"),
        ("base+ftp://secret@host", "base+ftp://***@host"),
        ("http://host:80/v1#m", "http://host:80/v1#m"),
        ("owner/model@2", "owner/model@2"),
        ("/data/a@b", "/data/a@b"),
    ],
)
def test_user_names_and_passwords_of_addresses_are_not_shown(name: str, shown: str) -> None:
    assert without_credentials(name) == shown
