"""`evoxtral train` as a user runs it, through the bench."""

import json
from pathlib import Path

import pytest
import soundfile
import yaml
from huggingface_hub import ModelCard

from evoxtral.cli.main import main
from tiny_models import tone, write_corpus


def test_one_command_trains_benches_and_merges(
    tiny_voxtral: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = write_corpus(tmp_path / "corpus", ["[sad] a", "b"])
    testset = tmp_path / "testset"
    testset.mkdir()
    soundfile.write(testset / "0.flac", tone(300, 2), 16_000)
    (testset / "references.jsonl").write_text(json.dumps({"id": "0", "text": "[sad] Oh no", "audio": "0.flac"}) + "\n")
    recipe = {
        "name": "tiny",
        "family": "voxtral",
        "base": str(tiny_voxtral),
        "output": str(tmp_path / "run"),
        "data": {"train": [{"path": str(corpus)}]},
        "lora": {"rank": 2},
        "optimisation": {"batch_size": 2, "precision": "float32"},
        "bench": {"testset": str(testset)},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    with pytest.raises(SystemExit, match="0"):
        main(["train", str(tmp_path / "recipe.yaml")])
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / 'run'}\n"
    stages = json.loads((tmp_path / "run" / "provenance.json").read_text())["stages"]
    assert list(stages) == ["data", "sft", "bench", "merge", "card"]
    scores = json.loads((tmp_path / "run" / "bench" / "scores.json").read_text())
    assert scores["wer"]["value"] == stages["bench"]["metrics"]["wer"]
    assert (tmp_path / "run" / "merged" / "model.safetensors").is_file()
    for folder in ("adapter", "merged"):
        card = ModelCard.load(tmp_path / "run" / folder / "README.md")
        (indexed,) = [result for result in card.data.eval_results if result.metric_name == "WER, raw"]
        assert indexed.metric_value == round(scores["wer"]["value"], 4)
        assert indexed.dataset_name == "Evoxtral-Bench, testset"
        assert (tmp_path / "run" / "bench" / "summary.md").read_text().strip() in str(card)
        assert f"--model tiny-voxtral0+{folder}" in str(card) or f"--model {folder}" in str(card)
        assert str(tmp_path) not in str(card)
