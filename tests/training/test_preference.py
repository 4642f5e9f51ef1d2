"""The preference stage on the tiny Whisper: sampling, pairs, and that training on them does what it is for."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
import yaml
from safetensors.torch import load_file

from evoxtral.bench import reward
from evoxtral.data.journal import Journal
from evoxtral.errors import RecipeError
from evoxtral.tags import parse
from evoxtral.training.adapters import load_adapter
from evoxtral.training.batches import Batch
from evoxtral.training.clips import load_clips
from evoxtral.training.losses import mean_log_probabilities
from evoxtral.training.packing import Window
from evoxtral.training.preference import Candidates, Pair, make_pairs
from evoxtral.training.recipe import Bench, Lora, Recipe, Source, load_recipe
from evoxtral.training.stages import run_recipe
from evoxtral.training.trainee import Trainee, load_trainee
from tiny_models import free_port, tone, write_corpus

TEXTS = ["[laughs] Hi.", "No way...", "[sad] Oh.", "Go."]


def length_reward(reference: str, hypothesis: str) -> float:
    """Short is good: a reward that a random model's samples differ in."""
    return 1 - len(hypothesis) / 100


def write_recipe(folder: Path, base: Path, **preference: Any) -> Recipe:
    corpus = write_corpus(folder / "corpus", TEXTS)
    content = {
        "name": "tiny",
        "family": "whisper",
        "base": "openai/whisper-base",
        "base_folder": str(base),
        "output": str(folder / "run"),
        "data": {"train": [{"path": str(corpus)}], "validation": [{"path": str(corpus)}]},
        "lora": {"rank": 8, "dropout": 0.0},
        "optimisation": {"learning_rate": 1e-3, "batch_size": 4, "epochs": 2, "precision": "float32"},
        "evaluation": {"max_new_tokens": 20, "batch_size": 2},
        "preference": {"learning_rate": 1e-3, "margin": 0.01, "candidates": 4, "epochs": 4, "batch_size": 2}
        | preference,
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content))
    return load_recipe(folder / "recipe.yaml")


def log_probabilities(recipe: Recipe, adapter: str | None, pairs: list[Pair]) -> torch.Tensor:
    """Mean log-probability of (chosen, rejected) of each pair, shape (pairs, 2); without an adapter, the base's."""
    family: Trainee = load_trainee(recipe)
    model = family.model.eval() if adapter is None else load_adapter(family, recipe.output / adapter).eval()
    samples = {clip.id: clip.samples for clip in load_clips(recipe.data.train)[0]}
    rows = []
    with torch.no_grad():
        for pair in pairs:
            batch = family.collate([Window(samples[pair.clip], text) for text in (pair.chosen, pair.rejected)])
            output = family.token_logits(model, batch, None)
            rows.append(mean_log_probabilities(output.logits, output.targets))
    return torch.stack(rows)


def read_pairs(recipe: Recipe) -> list[Pair]:
    lines = (recipe.output / "preference" / "pairs.jsonl").read_text().splitlines()
    return [Pair(**json.loads(line)) for line in lines]


@pytest.mark.parametrize("method", ["orpo", "simpo", "raft"])
def test_training_prefers_the_chosen_texts(tiny_whisper: Path, tmp_path: Path, method: str) -> None:
    recipe = write_recipe(tmp_path, tiny_whisper, method=method, if_tag_f1_below=None)
    record = run_recipe(recipe, until="merge", reward=length_reward)
    pairs = read_pairs(recipe)
    assert record.stages["preference"]["metrics"]["pairs"] == len(pairs) == 4
    assert all(len(pair.chosen) < len(pair.rejected) for pair in pairs)
    before, after = (log_probabilities(recipe, name, pairs) for name in ("adapter", "adapter-preference"))
    if method == "raft":
        assert after[:, 0].mean() > before[:, 0].mean()
    else:
        assert (after[:, 0] - after[:, 1]).mean() > (before[:, 0] - before[:, 1]).mean()
    assert record.stages["merge"]["metrics"]["adapter"] == "adapter-preference"


def train_from_the_same(free: Recipe, other: Recipe) -> list[list[Pair]]:
    """Both recipes' preference stages, from the supervised adapter of the first, and the pairs of each."""
    for recipe in (free, other):
        run_recipe(recipe, until="sft")
    shutil.rmtree(other.output / "adapter")
    shutil.copytree(free.output / "adapter", other.output / "adapter")
    for recipe in (free, other):
        run_recipe(recipe, until="preference", resume=True, reward=length_reward)
    return [read_pairs(recipe) for recipe in (free, other)]


def test_an_sft_weight_makes_the_better_text_likelier(tiny_whisper: Path, tmp_path: Path) -> None:
    free = write_recipe(tmp_path, tiny_whisper, method="simpo", if_tag_f1_below=None)
    assert free.preference is not None
    weighted = free.model_copy(
        update={
            "output": tmp_path / "weighted",
            "preference": free.preference.model_copy(update={"sft_weight": 100.0}),
        }
    )
    pairs, same = train_from_the_same(free, weighted)
    assert pairs == same
    without, with_weight = (
        log_probabilities(recipe, "adapter-preference", pairs)[:, 0].mean() for recipe in (free, weighted)
    )
    before = log_probabilities(free, "adapter", pairs)[:, 0].mean()
    assert with_weight - before > 1.5 * (without - before)


def test_raft_stays_near_the_base_by_the_anchor(tiny_whisper: Path, tmp_path: Path) -> None:
    free = write_recipe(tmp_path, tiny_whisper, method="raft", if_tag_f1_below=None)
    optimisation = free.optimisation.model_copy(update={"anchor": 1000.0})
    anchored = free.model_copy(update={"output": tmp_path / "anchored", "optimisation": optimisation})
    distances = []
    for recipe, pairs in zip((free, anchored), train_from_the_same(free, anchored), strict=True):
        plain = [pair for pair in pairs if (text := parse(pair.chosen)).words and not text.tags]
        assert plain  # texts of a random model have hardly a tag
        after = log_probabilities(recipe, "adapter-preference", plain)[:, 0]
        base = log_probabilities(recipe, None, plain)[:, 0]
        distances.append((after - base).abs().mean())
    assert distances[1] < distances[0] / 2


def test_a_good_model_is_left_alone(tiny_whisper: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, tiny_whisper)
    scores = {"wer": 0.1, "tag_f1": 0.6}
    record = run_recipe(recipe, until="merge", reward=length_reward, scorer=lambda *_: scores)
    assert record.stages["preference"]["metrics"]["skipped"] == "tag F1 0.600 is not below 0.6"
    assert not (recipe.output / "adapter-preference").exists()
    assert record.stages["merge"]["metrics"]["adapter"] == "adapter"


def test_without_a_reward_or_a_difference_the_stage_says_so(tiny_whisper: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, tiny_whisper)
    with pytest.raises(RecipeError, match="needs a reward"):
        run_recipe(recipe, until="preference")
    with pytest.raises(RecipeError, match="no clip has two samples that differ enough"):
        run_recipe(recipe, until="preference", resume=True, reward=lambda reference, hypothesis: 0.5)


def test_a_killed_stage_samples_no_clip_twice_and_ends_alike(tiny_whisper: Path, tmp_path: Path) -> None:
    asked: list[str] = []

    def reward(reference: str, hypothesis: str) -> float:
        asked.append(reference)
        return length_reward(reference, hypothesis)

    def kill(line: str) -> None:
        if line == "preference: sampled 2 of 4 clips":
            raise KeyboardInterrupt

    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = write_recipe(tmp_path / "whole", tiny_whisper, if_tag_f1_below=None)
    run_recipe(whole, until="preference", reward=length_reward)
    killed = write_recipe(tmp_path / "killed", tiny_whisper, if_tag_f1_below=None)
    with pytest.raises(KeyboardInterrupt):
        run_recipe(killed, until="preference", reward=reward, report=kill)
    journal = killed.output / "preference" / "candidates-0.jsonl"
    with journal.open("a") as lines:
        lines.write('{"clip": "cut o')
    run_recipe(killed, until="preference", reward=reward, resume=True)
    assert len(asked) == 4 * 4
    expected, found = (
        load_file(recipe.output / "adapter-preference" / "adapter_model.safetensors") for recipe in (whole, killed)
    )
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=1e-5, rtol=1e-4)


def test_samples_with_any_separator_of_lines_are_drawn_once_and_read_whole(
    tiny_whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write_recipe(tmp_path, tiny_whisper, if_tag_f1_below=None)
    texts = [f"one{separator}two" for separator in ("\u2028", "\u0085", "\x0b", "\x1e")]
    asked = 0

    def odd(self: Trainee, model: Any, batch: Batch, *_: Any, temperature: float = 0.0) -> list[str]:
        nonlocal asked
        asked += bool(temperature)
        return [texts[asked % 4] * (1 + asked % 3)] * len(batch["labels"])

    monkeypatch.setattr(Trainee, "transcribe", odd)
    for _ in range(2):
        with pytest.raises(RecipeError, match="no clip has two samples"):
            run_recipe(recipe, until="preference", resume=True, reward=lambda *_: 1.0)
    assert asked == 2 * 4  # two batches of clips, four samples of each, once
    journal = Journal(recipe.output / "preference" / "candidates-0.jsonl", Candidates)
    assert {text for found in journal.read() for text in found.texts} <= {t * n for t in texts for n in (1, 2, 3)}


def test_samples_and_result_have_the_strength_that_is_released(
    tiny_whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write_recipe(tmp_path, tiny_whisper, method="simpo", if_tag_f1_below=None)
    recipe = recipe.model_copy(update={"lora": Lora(rank=8, alpha=32, dropout=0.3, merged_at=0.75)})
    seen: list[tuple[float, float]] = []
    transcribe = Trainee.transcribe

    def watched(self: Trainee, model: Any, *arguments: Any, temperature: float = 0.0) -> list[str]:
        layer = model.model.decoder.layers[0].fc1
        if temperature:
            seen.append((layer.scaling["default"], layer.lora_dropout["default"].p))
        return transcribe(self, model, *arguments, temperature=temperature)

    monkeypatch.setattr(Trainee, "transcribe", watched)
    run_recipe(recipe, until="merge", reward=length_reward)
    assert set(seen) == {(0.75 * 32 / 8, 0.0)}
    folder = recipe.output / "adapter-preference"
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["lora_alpha"], config["lora_dropout"]) == (24, 0.3)
    # Merged as it was saved: nothing scales it once more.
    name = "model.decoder.layers.0.fc1"
    base, merged = (load_file(path / "model.safetensors") for path in (tiny_whisper, recipe.output / "merged"))
    deltas = load_file(folder / "adapter_model.safetensors")
    a, b = (deltas[f"base_model.model.{name}.lora_{side}.weight"] for side in "AB")
    torch.testing.assert_close(merged[f"{name}.weight"] - base[f"{name}.weight"], 3 * b @ a, atol=1e-5, rtol=1e-3)


def test_samples_are_drawn_for_the_sources_that_are_named_and_again_when_asked_otherwise(
    tiny_whisper: Path, tmp_path: Path
) -> None:
    other = write_corpus(tmp_path / "other", ["[sad] b", "a"])
    recipe = write_recipe(tmp_path, tiny_whisper, if_tag_f1_below=None, sources=[{"path": str(other)}])

    def drawn() -> dict[str, list[str]]:
        lines = (recipe.output / "preference" / "candidates-0.jsonl").read_text().splitlines()
        return {line["clip"]: line["texts"] for line in map(json.loads, filter(None, lines))}

    with pytest.raises(RecipeError, match="no clip has two samples"):
        run_recipe(recipe, until="preference", reward=lambda *_: 1.0)
    first = drawn()
    assert set(first) == {f"{other}:train-0", f"{other}:train-1"}
    for changes, count in (({"temperature": 2.0}, 4), ({"candidates": 3}, 3)):
        assert recipe.preference is not None
        changed = recipe.model_copy(update={"preference": recipe.preference.model_copy(update=changes)})
        with pytest.raises(RecipeError, match="no clip has two samples"):
            run_recipe(changed, until="preference", resume=True, reward=lambda *_: 1.0)
        assert {len(texts) for texts in drawn().values()} == {count}
        assert drawn() != first


def test_a_preference_stage_added_to_a_finished_run_makes_its_merged_weights_anew(
    tiny_whisper: Path, tmp_path: Path
) -> None:
    recipe = write_recipe(tmp_path, tiny_whisper, method="simpo", if_tag_f1_below=None)
    run_recipe(recipe.model_copy(update={"preference": None}))
    before = load_file(recipe.output / "merged" / "model.safetensors")
    record = run_recipe(recipe, resume=True, until="preference", reward=length_reward)
    assert "merge" not in record.stages
    record = run_recipe(recipe, resume=True)
    assert record.stages["merge"]["metrics"]["adapter"] == "adapter-preference"
    after = load_file(recipe.output / "merged" / "model.safetensors")
    assert any(not torch.equal(before[name], after[name]) for name in before)


def candidates_of(clip: str, texts: tuple[str, ...], rewards: tuple[float, ...]) -> Candidates:
    return Candidates(clip=clip, temperature=0.7, texts=texts, rewards=rewards)


def test_pairs_are_best_against_worst_where_they_differ_enough() -> None:
    candidates = [
        candidates_of("a", ("x", "y", "z"), (0.2, 0.9, 0.5)),
        candidates_of("b", ("x", "y"), (0.50, 0.55)),
        candidates_of("c", ("same", "same"), (0.0, 1.0)),
    ]
    assert make_pairs(candidates, most=10, margin=0.1, seed=0) == [
        Pair(clip="a", chosen="y", rejected="x", margin=0.9 - 0.2)
    ]
    assert [pair.clip for pair in make_pairs(candidates, most=10, margin=0.04, seed=0)] == ["a", "b"]
    many = [candidates_of(str(n), ("x", "y"), (0.0, 1.0)) for n in range(50)]
    drawn = make_pairs(many, most=20, margin=0.1, seed=1)
    assert len({pair.clip for pair in drawn}) == 20
    assert drawn == make_pairs(many, most=20, margin=0.1, seed=1) != make_pairs(many, most=20, margin=0.1, seed=2)


def test_the_bench_is_run_after_each_training_and_decides(tiny_whisper: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, tiny_whisper).model_copy(update={"bench": Bench()})
    measured: list[tuple[str, str]] = []

    def measure(recipe: Recipe, adapter: Path, folder: Path) -> dict[str, float]:
        measured.append((adapter.name, folder.name))
        return {"tags.f1": 0.59 if len(measured) == 1 else 0.7, "wer": 0.1}

    # The validation clips alone would not ask for the stage.
    scores = {"wer": 0.0, "tag_f1": 0.9}
    record = run_recipe(recipe, reward=length_reward, measure=measure, scorer=lambda *_: scores)
    assert list(record.stages) == ["data", "sft", "bench", "preference", "bench-preference", "merge", "card"]
    assert measured == [("adapter", "bench"), ("adapter-preference", "bench-preference")]
    assert record.stages["bench-preference"]["metrics"]["tags.f1"] == 0.7


def test_two_processes_decide_alike_and_share_the_sampling(tiny_whisper: Path, tmp_path: Path) -> None:
    """From the command line: the bench, which one process runs, decides; rewards are the bench's."""
    testset = tmp_path / "testset"
    testset.mkdir()
    soundfile.write(testset / "0.flac", tone(300, 2), 16_000)
    (testset / "references.jsonl").write_text(json.dumps({"id": "0", "text": "[sad] Oh no", "audio": "0.flac"}) + "\n")
    recipe = write_recipe(tmp_path, tiny_whisper, if_tag_f1_below=1.0, batch_size=1, candidates=12)
    # Of two random bytes, some are a word where nothing is said, and some are not.
    write_corpus(tmp_path / "corpus", ["", ""], split="quiet")
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port())]
    sources = json.dumps([{"path": str(tmp_path / "corpus"), "split": "all"}])
    command += ["-m", "evoxtral.cli.main", "train", str(tmp_path / "recipe.yaml"), "--until", "preference"]
    command += [f"bench.testset={testset}", "data.validation=[]", "evaluation.max_new_tokens=2"]
    subprocess.run(
        [sys.executable, *command, f"preference.sources={sources}"],
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        timeout=300,
    )
    journals = sorted((recipe.output / "preference").glob("candidates-*.jsonl"))
    drawn = [[json.loads(line) for line in path.read_text().splitlines() if line] for path in journals]
    assert [len(lines) for lines in drawn] == [3, 3]
    texts = {clip.id: clip.text for clip in load_clips([Source(path=str(tmp_path / "corpus"), split="all")])[0]}
    assert {line["clip"] for lines in drawn for line in lines} == set(texts)
    for line in (line for lines in drawn for line in lines):
        assert line["rewards"] == [reward(texts[line["clip"]], text) for text in line["texts"]]
    stages = json.loads((recipe.output / "provenance.json").read_text())["stages"]
    assert stages["bench"]["metrics"]["tags.f1"] < 1
    pairs = (recipe.output / "preference" / "pairs.jsonl").read_text().splitlines()
    assert stages["preference"]["metrics"]["pairs"] == len(pairs) > 0
    assert (recipe.output / "adapter-preference" / "adapter_model.safetensors").is_file()
