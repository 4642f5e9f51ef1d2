"""Whisper from clips to a CTranslate2 model, on a tiny random Whisper with windows of 4 s."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import WhisperForConditionalGeneration

from evoxtral.errors import RecipeError
from evoxtral.models.families.registry import find_family
from evoxtral.training.adapters import merge_adapter
from evoxtral.training.batches import IGNORED
from evoxtral.training.clips import load_clips
from evoxtral.training.export import export_ctranslate2
from evoxtral.training.packing import Window
from evoxtral.training.recipe import Source, load_recipe
from evoxtral.training.stages import run_recipe, stages
from evoxtral.training.trainee import Trainee
from tiny_models import free_port, save_tiny_whisper, tone, trainee_of, write_corpus

TEXTS = ["[laughs] Hi.", "No way...", "[sad] Oh [sighs] NO.", "Go."]


def write_recipe(folder: Path, corpus: Path, base: Path, **changes: Any) -> Path:
    content = {
        "name": "tiny",
        "family": "whisper",
        "base": "openai/whisper-base",
        "base_folder": str(base),
        "output": str(folder / "run"),
        "data": {"train": [{"path": str(corpus)}], "validation": [{"path": str(corpus)}]},
        "lora": {"dropout": 0.0, "adapt_encoder": True},
        "optimisation": {
            "learning_rate": 3e-3,
            "batch_size": 4,
            "epochs": 60,
            "warmup": 0.1,
            "neftune_alpha": 0,
            "precision": "float32",
        },
        "evaluation": {"max_new_tokens": 40},
    }
    folder.mkdir(exist_ok=True)
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(content | changes))
    return path


@pytest.fixture(scope="module")
def run(tiny_whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a finished recipe."""
    folder = tmp_path_factory.mktemp("whisper")
    corpus = write_corpus(folder / "corpus", TEXTS)
    recipe = load_recipe(write_recipe(folder, corpus, tiny_whisper, export={"quantization": "float32"}))
    run_recipe(recipe, report=print)
    return recipe.output


def test_it_learns_to_write_exactly_the_trained_texts(run: Path) -> None:
    pairs = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    assert [pair["hypothesis"] for pair in pairs] == TEXTS
    scores = json.loads((run / "provenance.json").read_text())["stages"]["sft"]["metrics"]["validation"]
    assert (scores["wer"], scores["tag_f1"]) == (0, 1)


def test_exported_model_writes_the_trained_texts(run: Path, tiny_whisper: Path) -> None:
    family = trainee_of(tiny_whisper)
    exported = ctranslate2.models.Whisper(str(run / "export"), device="cpu", compute_type="float32")
    windows = [Window((tone(300 * 1.6**n, 1 + 0.5 * n) * 32767).astype(np.int16), text) for n, text in enumerate(TEXTS)]
    features = family._features(family.collate(windows), None).numpy()
    results = exported.generate(
        ctranslate2.StorageView.from_array(features), [family.prompt()] * len(windows), beam_size=1, max_length=60
    )
    assert [family.tokenizer.decode(result.sequences_ids[0]).strip() for result in results] == TEXTS


def test_exported_folder_is_complete_and_suppresses_nothing(run: Path) -> None:
    names = {path.name for path in (run / "export").iterdir()}
    needed = {"model.bin", "config.json", "vocabulary.json", "tokenizer.json", "preprocessor_config.json"}
    assert names == needed
    config = json.loads((run / "export" / "config.json").read_text())
    assert (config["suppress_ids"], config["suppress_ids_begin"]) == ([], [])
    # Not openai/whisper-base's, in layers that the tiny model does not have: the upper half of its own two.
    assert config["alignment_heads"] == [[1, 0], [1, 1]]


def test_heads_that_the_checkpoint_has_are_kept(run: Path, tmp_path: Path) -> None:
    export_ctranslate2(run / "merged", tmp_path / "export", heads=((0, 1), (1, 0)), quantization="float32")
    config = json.loads((tmp_path / "export" / "config.json").read_text())
    assert config["alignment_heads"] == [[0, 1], [1, 0]]


def test_merged_model_and_its_generation_config_suppress_nothing(run: Path) -> None:
    merged = WhisperForConditionalGeneration.from_pretrained(run / "merged")
    assert not merged.generation_config.suppress_tokens
    assert not merged.generation_config.begin_suppress_tokens


def test_what_is_merged_at_half_is_half_as_strong_everywhere(tiny_whisper: Path, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", TEXTS)
    evaluation = {"every_steps": 30, "max_new_tokens": 40}
    outputs = []
    for merged_at in (1.0, 0.5):
        lora = {"dropout": 0.0, "adapt_encoder": True, "merged_at": merged_at}
        path = write_recipe(tmp_path / str(merged_at), corpus, tiny_whisper, lora=lora, evaluation=evaluation)
        outputs.append(load_recipe(path, {"optimisation.epochs": 30}).output)
        run_recipe(load_recipe(path, {"optimisation.epochs": 30}))
    # The same training; what is saved and merged of it is weaker.
    trained, weaker = (adapter_of(output) for output in outputs)
    assert all(torch.equal(trained[name], weaker[name]) for name in trained)
    alphas = [json.loads((output / "adapter" / "adapter_config.json").read_text())["lora_alpha"] for output in outputs]
    assert alphas == [128, 64]
    base, full, half = (
        load_file(folder / "model.safetensors") for folder in (tiny_whisper, *(out / "merged" for out in outputs))
    )
    assert any(not torch.equal(base[name], full[name]) for name in base)
    for name in base:
        torch.testing.assert_close(half[name], (base[name] + full[name]) / 2, atol=1e-5, rtol=1e-4)
    # The last scores are of what is released.
    merged = trainee_of(outputs[1] / "merged")
    batch = merged.collate([Window(clip.samples, "") for clip in load_clips([Source(path=str(corpus))])[0]])
    written, full_strength = (
        [json.loads(line)["hypothesis"] for line in (output / "predictions.jsonl").read_text().splitlines()]
        for output in reversed(outputs)
    )
    assert merged.transcribe(merged.model.eval(), batch, 40) == written != full_strength
    # An adapter merged at another strength than it was saved at.
    merge_adapter(trainee_of(tiny_whisper), outputs[0] / "adapter", tmp_path / "again", alpha=64)
    again = load_file(tmp_path / "again" / "model.safetensors")
    assert all(torch.equal(half[name], again[name]) for name in half)


def test_record_names_recipe_seed_code_and_packages(run: Path) -> None:
    record = json.loads((run / "provenance.json").read_text())
    assert record["recipe"]["optimisation"]["epochs"] == 60
    assert record["seed"] == 0
    assert set(record["stages"]) == {"data", "sft", "merge", "export", "card"}
    for stage in record["stages"].values():
        assert stage["packages"]["torch"] == torch.__version__
        assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?", stage["git_revision"] or "0" * 40)


def test_a_finished_run_is_neither_overwritten_nor_repeated(run: Path, tmp_path: Path) -> None:
    recipe = load_recipe(run.parent / "tiny.yaml")
    with pytest.raises(RecipeError, match="holds a run already"):
        run_recipe(recipe)
    told: list[str] = []
    run_recipe(recipe, resume=True, report=told.append)
    assert told == [f"{name}: done before" for name in ("data", "sft", "merge", "export", "card")]


@pytest.mark.parametrize("multilingual", [True, False])
def test_labels_are_the_target_and_its_end_and_nothing_else(tmp_path: Path, multilingual: bool) -> None:
    family = trainee_of(save_tiny_whisper(tmp_path / "tiny", multilingual=multilingual))
    ids = family.tokenizer.convert_tokens_to_ids
    windows = [Window(np.zeros(100, dtype=np.int16), text) for text in ("[sad] No", "a", "")]
    batch = family.collate(windows)
    start = ["<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]
    prompt = ids(start if multilingual else [start[0], start[3]])
    end = ids("<|endoftext|>")
    for row, characters in enumerate(("Ġ[sad]ĠNo", "Ġa", "")):  # Ġ is how byte-level tokenizers write a space
        expected = [*ids(list(characters)), end]
        padding = len("Ġ[sad]ĠNo") - len(characters)
        assert batch["input_ids"][row].tolist() == prompt + expected[:-1] + [end] * padding
        assert batch["labels"][row].tolist() == [IGNORED] * (len(prompt) - 1) + expected + [IGNORED] * padding


def test_padding_does_not_change_the_loss_of_a_window(tiny_whisper: Path) -> None:
    family = trainee_of(tiny_whisper)
    family.model.eval()
    short, long = (Window((tone(440, 1) * 32767).astype(np.int16), text) for text in ("Hi", "[sad] a longer text"))

    def losses(windows: list[Window]) -> list[float]:
        batch = family.collate(windows)
        output = family.token_logits(family.model, batch, None)
        each = torch.nn.functional.cross_entropy(
            output.logits.mT, output.targets, ignore_index=IGNORED, reduction="none"
        )
        return each.sum(dim=1).tolist()

    assert losses([short, long]) == pytest.approx([*losses([short]), *losses([long])], rel=1e-4)


def test_a_text_longer_than_the_decoder_is_refused(tiny_whisper: Path) -> None:
    with pytest.raises(RecipeError, match="more than 128 tokens"):
        trainee_of(tiny_whisper).collate([Window(np.zeros(100, dtype=np.int16), "x" * 200)])


@pytest.mark.parametrize(("adapt_encoder", "adapted"), [(False, 2 * 10), (True, 2 * 10 + 6)])
def test_adapters_are_on_all_linear_layers_of_the_chosen_half(
    tiny_whisper: Path, adapt_encoder: bool, adapted: int
) -> None:
    family = trainee_of(tiny_whisper)
    pattern = re.compile(find_family("whisper").targets(adapt_encoder=adapt_encoder))
    names = [name for name, _ in family.model.named_modules() if pattern.fullmatch(name)]
    assert len(names) == adapted
    assert any(".encoder.layers" in name for name in names) == adapt_encoder
    assert all(isinstance(family.model.get_submodule(name), torch.nn.Linear) for name in names)


SHORT = {"learning_rate": 1e-3, "batch_size": 2, "epochs": 4, "precision": "float32"}


def adapter_of(output: Path) -> dict[str, torch.Tensor]:
    return load_file(output / "adapter" / "adapter_model.safetensors")


def test_a_killed_run_continues_to_the_same_weights(tiny_whisper: Path, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", TEXTS)
    changes = {
        "data": {"train": [{"path": str(corpus)}]},
        "lora": {"rank": 4, "dropout": 0.1},
        "optimisation": SHORT,
        "packing": {"probability": 0.3, "empty": 0.2},
        "augmentation": {"gain": 0.5, "noise": 0.5, "reverb": 0.5, "band_limit": 0.5, "speed": 0.5},
        "checkpoints": {"every_steps": 2},
    }
    whole = load_recipe(write_recipe(tmp_path / "whole", corpus, tiny_whisper, **changes))
    steps = run_recipe(whole, until="sft").stages["sft"]["metrics"]["steps"]
    assert steps > 4
    killed = load_recipe(write_recipe(tmp_path / "killed", corpus, tiny_whisper, **changes))

    def kill(line: str) -> None:
        if line.startswith("step 3/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_recipe(killed, until="sft", report=kill)
    assert not (killed.output / "adapter").exists()
    told: list[str] = []
    run_recipe(killed, until="sft", resume=True, report=told.append)
    assert "continuing from checkpoint-2" in told
    expected, found = adapter_of(whole.output), adapter_of(killed.output)
    assert expected.keys() == found.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=1e-6, rtol=1e-5)


def test_a_run_that_is_killed_in_every_stage_does_each_once_and_ends_whole(
    tiny_whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = write_corpus(tmp_path / "corpus", TEXTS)
    changes = {"optimisation": SHORT, "export": {"quantization": "float32"}}
    recipe = load_recipe(write_recipe(tmp_path, corpus, tiny_whisper, **changes))
    # Killed once before each stage, and in the middle of writing merged weights.
    kills = [f"{name}: starting" for name in stages(recipe)]
    save_processor = Trainee.save_processor
    started: list[str] = []

    def report(line: str) -> None:
        if line in kills:
            kills.remove(line)
            raise KeyboardInterrupt
        started.append(line)

    def killed(self: Trainee, folder: Path) -> None:
        monkeypatch.setattr(Trainee, "save_processor", save_processor)
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainee, "save_processor", killed)
    for _ in range(len(kills) + 1):
        with pytest.raises(KeyboardInterrupt):
            run_recipe(recipe, resume=True, report=report)
        assert not (recipe.output / "merged" / "model.safetensors").exists() or len(kills) < 2
    record = run_recipe(recipe, resume=True, report=report)
    assert not kills
    times = Counter(line for line in started if line.endswith(": starting"))
    assert times == {f"{name}: starting": 1 + (name == "merge") for name in stages(recipe)}
    assert tuple(record.stages) == stages(recipe)
    assert {"model.safetensors", "tokenizer.json"} <= {p.name for p in (recipe.output / "merged").iterdir()}


def test_a_begun_run_is_not_continued_with_another_recipe(tiny_whisper: Path, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", TEXTS)
    path = write_recipe(tmp_path, corpus, tiny_whisper, optimisation=SHORT, checkpoints={"every_steps": 1})

    def kill(line: str) -> None:
        if line.startswith("step 2/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_recipe(load_recipe(path), report=kill)
    with pytest.raises(RecipeError, match=r"trained by another recipe: seed 0 -> 3, lora\.rank 64 -> 8 \(undo"):
        run_recipe(load_recipe(path, {"lora.rank": 8, "seed": 3}), resume=True)


def test_a_used_up_clock_ends_the_run_with_its_weights_saved(tiny_whisper: Path, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", TEXTS)
    recipe = load_recipe(write_recipe(tmp_path, corpus, tiny_whisper, optimisation=SHORT | {"max_minutes": 1e-9}))
    assert run_recipe(recipe, until="sft").stages["sft"]["metrics"]["steps"] == 1
    assert adapter_of(recipe.output)


def test_two_processes_reach_the_weights_of_one(tiny_whisper: Path, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", TEXTS)
    changes = {"lora": {"dropout": 0.0}, "optimisation": SHORT | {"neftune_alpha": 0, "batch_size": 4, "epochs": 3}}
    one = load_recipe(write_recipe(tmp_path / "one", corpus, tiny_whisper, **changes))
    run_recipe(one, until="sft")
    changes["optimisation"]["batch_size"] = 2
    recipe = write_recipe(tmp_path / "two", corpus, tiny_whisper, **changes)
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port())]
    subprocess.run(
        [sys.executable, *command, "-m", "evoxtral.cli.main", "train", str(recipe), "--until", "sft"],
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        timeout=300,
    )
    expected, found = adapter_of(one.output), adapter_of(tmp_path / "two" / "run")
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=1e-5, rtol=1e-3)
    metrics = json.loads((tmp_path / "two" / "run" / "provenance.json").read_text())["stages"]["sft"]["metrics"]
    assert (metrics["steps"], metrics["items"]) == (3, 12)
    assert len((tmp_path / "two" / "run" / "predictions.jsonl").read_text().splitlines()) == len(TEXTS)
