"""Voxtral from clips to a merged model, on a tiny random Voxtral with the real prompt and audio front end."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from conftest import save_tiny_voxtral, tone

from evoxtral.training.family import IGNORED, Batch
from evoxtral.training.recipe import Lora, load_recipe
from evoxtral.training.runner import run_recipe
from evoxtral.training.voxtral import VoxtralFamily
from evoxtral.training.windows import Window

TEXTS = ["[laughs] Hi!", "[sad] Oh NO...", "Fine."]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus folder in which the local voice says the texts."""
    from evoxtral.tts import speak

    folder = tmp_path_factory.mktemp("spoken")
    with (folder / "clips.jsonl").open("w") as lines:
        for number, text in enumerate(TEXTS):
            speech = speak(text, seed=number)
            soundfile.write(folder / f"{number}.flac", speech.samples, speech.sample_rate_hz)
            lines.write(json.dumps({"id": str(number), "tagged_text": text, "audio": f"{number}.flac", "split": "train"}))
            lines.write("\n")
    return folder


@dataclass
class Run:
    output: Path
    predictions: list[dict[str, str]]
    loss: float


def train(corpus: Path, base: Path, output: Path) -> Run:
    content = {
        "name": "tiny",
        "family": "voxtral",
        "base": "mistralai/Voxtral-Mini-3B-2507",
        "base_folder": str(base),
        "output": str(output),
        "data": {"train": [{"path": str(corpus)}], "validation": [{"path": str(corpus)}]},
        "lora": {"dropout": 0.0},
        "optimisation": {"learning_rate": 4e-3, "batch_size": 3, "epochs": 30, "warmup": 0.1, "precision": "float32"},
        "evaluation": {"max_new_tokens": 30},
    }
    recipe = output.with_suffix(".yaml")
    recipe.write_text(yaml.safe_dump(content))
    record = run_recipe(load_recipe(recipe), report=print)
    lines = (output / "predictions.jsonl").read_text().splitlines()
    state = json.loads(next(output.glob("checkpoints/*/trainer_state.json")).read_text())
    losses = [entry["loss"] for entry in state["log_history"] if "loss" in entry]
    assert record.stages["sft"]["metrics"]["steps"] == 30
    return Run(output, [json.loads(line) for line in lines], losses[-1])


@pytest.fixture(scope="module")
def run(spoken: Path, tiny_voxtral: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(spoken, tiny_voxtral, tmp_path_factory.mktemp("run") / "out")


def test_it_learns_to_write_exactly_the_trained_texts(run: Run) -> None:
    assert run.loss < 0.1
    assert [pair["hypothesis"] for pair in run.predictions] == TEXTS
