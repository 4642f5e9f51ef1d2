"""The registry is what everything else reads: names, extras, probes, and no weight before an engine is loaded."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from evoxtral.cli.main import main
from evoxtral.data.corpus_config import SynthesisConfig
from evoxtral.errors import VoiceError
from evoxtral.findings import Finding
from evoxtral.models import ModelStore
from evoxtral.tts import registry
from evoxtral.tts.registry import DEFAULT_ENGINE, SPEECH_ENGINES, EngineEntry, load_speech_engine, probe_speech_engines
from evoxtral.tts.speech_engine import SpeechEngine

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_the_names_are_read_without_numpy_or_an_engine() -> None:
    code = "import evoxtral.tts.registry, sys; print([n for n in ('numpy', 'scipy', 'pydantic') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_extra_is_one_of_the_project() -> None:
    extras = tomllib.loads(PROJECT.read_text("utf-8"))["project"]["optional-dependencies"]
    assert {entry.extra for entry in SPEECH_ENGINES.values()} - {None} <= set(extras)


@pytest.mark.parametrize("name", SPEECH_ENGINES)
def test_every_engine_keeps_the_protocol_under_its_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = load_speech_engine(name)
    assert isinstance(engine, SpeechEngine)
    assert engine.name == name


def test_the_corpus_default_is_an_engine() -> None:
    assert SynthesisConfig().engine == DEFAULT_ENGINE


def test_an_engine_elsewhere_is_refused_offline() -> None:
    with pytest.raises(VoiceError, match="elevenlabs needs the network"):
        load_speech_engine("elevenlabs", store=ModelStore(offline=True))
    load_speech_engine("local", store=ModelStore(offline=True))


def test_a_new_row_is_known_to_loader_command_and_probe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Bell:
        name = "bell"

    row = EngineEntry(
        "bell",
        None,
        False,
        load=lambda store, **options: Bell(),  # type: ignore[arg-type,return-value]
        probe=lambda store: iter([Finding("bell", True, "rings")]),
    )
    monkeypatch.setattr(registry, "SPEECH_ENGINES", {"bell": row})
    assert load_speech_engine("bell").name == "bell"
    assert [finding.detail for finding in probe_speech_engines(ModelStore())] == ["rings"]
    with pytest.raises(VoiceError, match=r"'local'.*choose bell"):
        load_speech_engine("local")


@pytest.mark.parametrize("command", [["speak"], ["corpus", "synthesize"], ["bench", "run"]])
def test_commands_offer_the_engines_of_the_registry(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    assert f"[{'|'.join(SPEECH_ENGINES)}]" in capsys.readouterr().out
