"""Trackers, by what they wrote: a run of Weights & Biases without account or network, and TensorBoard's events."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
import yaml

from evoxtral.cli.main import main
from evoxtral.training.recipe import Recipe, load_recipe
from evoxtral.training.stages import run_recipe
from tiny_models import tone, write_corpus

TEXTS = ["[laughs] Hi.", "No way..."]


def write_recipe(folder: Path, base: Path, tracker: str) -> Recipe:
    corpus = write_corpus(folder / "corpus", TEXTS)
    content = {
        "name": "tracked",
        "family": "whisper",
        "base": "openai/whisper-base",
        "base_folder": str(base),
        "output": str(folder / "run"),
        "data": {"train": [{"path": str(corpus)}], "validation": [{"path": str(corpus)}]},
        "lora": {"rank": 4},
        "optimisation": {"batch_size": 2, "epochs": 4, "precision": "float32"},
        "evaluation": {"every_steps": 2, "max_new_tokens": 5, "samples": 1},
        "checkpoints": {"every_steps": 2},
        "tracker": tracker,
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content))
    return load_recipe(folder / "recipe.yaml")


def wandb_records(path: Path) -> Iterator[bytes]:
    """The records of a .wandb file: 7 bytes of header, then LevelDB's log format in blocks of 32 KiB."""
    content, place, record = path.read_bytes(), 7, b""
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        record += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


def logged_in(path: Path) -> dict[str, list[Any]]:
    """All values that a .wandb file logs, by name."""
    from wandb.proto.wandb_internal_pb2 import Record

    logged: dict[str, list[Any]] = {}
    for content in wandb_records(path):
        record = Record()
        record.ParseFromString(content)
        for item in record.history.item:
            logged.setdefault("/".join(item.nested_key) or item.key, []).append(json.loads(item.value_json))
    return logged


@pytest.fixture
def no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """W&B as it is without a key, and an environment that is put back as it was."""
    for name in ("MODE", "API_KEY", "PROJECT", "LOG_MODEL", "DIR"):
        monkeypatch.setenv(f"WANDB_{name}", "")
        monkeypatch.delenv(f"WANDB_{name}")
    for name, value in {"SILENT": "true", "CONSOLE": "off", "X_DISABLE_STATS": "true"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    monkeypatch.setenv("HOME", str(tmp_path))  # no key of this machine's user
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staging"))


@pytest.mark.usefixtures("no_account")
def test_wandb_run_holds_losses_scores_samples_with_audio_and_checkpoints(tiny_whisper: Path, tmp_path: Path) -> None:
    wandb = pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    recipe = write_recipe(tmp_path, tiny_whisper, "wandb")
    told: list[str] = []
    run_recipe(recipe, until="sft", report=told.append)
    wandb.teardown()  # waits for the process that writes the file
    assert any(line.startswith("wandb: no key") for line in told)

    (file,) = (recipe.output / "wandb").rglob("run-*.wandb")
    logged = logged_in(file)
    config: dict[str, Any] = {}
    artifacts = []
    for content in wandb_records(file):
        record = Record()
        record.ParseFromString(content)
        for item in record.run.config.update:
            config[item.key] = json.loads(item.value_json)
        if record.run.project:
            assert (record.run.project, record.run.display_name) == ("evoxtral", "tracked")
        if record.request.log_artifact.artifact.name:
            artifacts.append(record.request.log_artifact.artifact)
        if record.artifact.name:
            artifacts.append(record.artifact)
    assert len(logged["train/loss"]) == 4
    assert len(logged["eval/wer"]) == 2
    assert config["recipe"]["lora"]["rank"] == 4
    assert any("checkpoint_global_step_2" in artifact.aliases for artifact in artifacts)
    tables = [json.loads(path.read_text()) for path in recipe.output.rglob("*.table.json")]
    assert len(tables) == 2
    assert all(table["columns"] == ["said", "written"] and table["data"][0][0] == TEXTS[0] for table in tables)
    sounds = logged["eval/samples/audio"]
    assert [len(evaluation) for evaluation in sounds] == [1, 1]
    assert sounds[0][0]["caption"].startswith("said: [laughs] Hi. | written: ")
    (path,) = recipe.output.rglob(Path(sounds[0][0]["path"]).name)
    samples, rate_hz = soundfile.read(path)
    assert (len(samples), rate_hz) == (16_000, 16_000)


@pytest.mark.usefixtures("no_account")
def test_bench_figures_and_tables_are_kept_beside_the_run_without_an_account(
    tiny_whisper: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wandb = pytest.importorskip("wandb")
    testset = tmp_path / "testset"
    testset.mkdir()
    soundfile.write(testset / "0.flac", tone(300, 2), 16_000)
    (testset / "references.jsonl").write_text(json.dumps({"id": "0", "text": "[sad] Oh no", "audio": "0.flac"}) + "\n")
    recipe = write_recipe(tmp_path, tiny_whisper, "wandb")
    with pytest.raises(SystemExit, match="0"):
        main(["train", str(tmp_path / "recipe.yaml"), "--until", "bench", f"bench.testset={testset}"])
    wandb.teardown()
    runs = [logged_in(path) for path in (recipe.output / "wandb").rglob("run-*.wandb")]
    assert len(runs) == 2
    (bench,) = [run for run in runs if "bench/wer" in run]
    scores = json.loads((recipe.output / "bench" / "scores.json").read_text())
    assert bench["bench/wer"] == [scores["wer"]["value"]]
    assert {"bench/per_tag/nrows", "bench/worst_clips/nrows", "bench/report/path"} <= set(bench)


def test_tensorboard_holds_losses_and_scores(
    tiny_whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "")  # put back what the run sets
    recipe = write_recipe(tmp_path, tiny_whisper, "tensorboard")
    run_recipe(recipe, until="sft")
    events = EventAccumulator(str(recipe.output / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2, 3, 4]
    assert [event.step for event in events.Scalars("eval/wer")] == [2, 4]
