from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

TEXTS = ["[laughs] Hi.", "No way...", "[sad] Oh [sighs] NO.", "Fine, [pause] go."]


def write_recipe(path: Path, corpus: Path, base: Path, **changes: Any) -> Path:
    content = {
        "name": "tiny",
        "family": "whisper",
        "base": "openai/whisper-base",
        "base_folder": str(base),
        "output": str(path.parent / "run"),
        "data": {"train": [{"path": str(corpus)}], "validation": [{"path": str(corpus)}]},
        "lora": {"rank": 64, "alpha": 128, "adapt_encoder": True, "dropout": 0.0},
        "optimisation": {
            "learning_rate": 3e-3,
            "batch_size": 4,
            "epochs": 60,
            "warmup": 0.1,
            "neftune_alpha": 0,
            "precision": "float32",
        },
        "export": {"quantization": "float32"},
    }
    path.write_text(yaml.safe_dump(content | changes))
    return path


def test_run_ends_in_an_exported_model_that_writes_the_trained_texts(
    tmp_path: Path, make_corpus: Callable[..., Path], tiny_whisper: Path
) -> None:
    from evoxtral.training.recipe import load_recipe
    from evoxtral.training.runner import run_recipe

    corpus = make_corpus(TEXTS)
    recipe = load_recipe(write_recipe(tmp_path / "tiny.yaml", corpus, tiny_whisper))
    record = run_recipe(recipe, report=print)
    print((recipe.output / "predictions.jsonl").read_text())
    assert record.stages["sft"]["metrics"]["validation"]["wer"] == 0
