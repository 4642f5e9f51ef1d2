"""Voxtral from clips to a merged model, on a tiny random Voxtral with the real prompt and audio front end."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from safetensors.torch import load_file
from transformers import VoxtralForConditionalGeneration

from evoxtral.models.families.registry import find_family
from evoxtral.models.families.voxtral import VoxtralModel
from evoxtral.training.adapters import add_adapter, load_adapter
from evoxtral.training.batches import IGNORED, Batch, TokenLogits
from evoxtral.training.losses import mean_log_probabilities
from evoxtral.training.packing import Window
from evoxtral.training.recipe import Lora, load_recipe
from evoxtral.training.stages import run_recipe
from evoxtral.training.trainee import Trainee
from tiny_models import SPECIALS, tone, trainee_of

TEXTS = ["[laughs] Hi!", "[sad] Oh NO...", "Fine."]
STEPS = 20
BASE = "mistralai/Voxtral-Mini-3B-2507"


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus folder in which the local voice says the texts."""
    from evoxtral.tts import speak

    folder = tmp_path_factory.mktemp("spoken")
    with (folder / "clips.jsonl").open("w") as lines:
        for number, text in enumerate(TEXTS):
            speech = speak(text, seed=number)
            soundfile.write(folder / f"{number}.flac", speech.samples, speech.sample_rate_hz)
            lines.write(
                json.dumps({"id": str(number), "tagged_text": text, "audio": f"{number}.flac", "split": "train"})
            )
            lines.write("\n")
    return folder


@dataclass
class Run:
    output: Path
    predictions: list[dict[str, str]]
    loss: float
    model: Any
    """The very model that was trained, as it was left in memory."""


def train(corpus: Path, base: Path, output: Path, steps: int = STEPS) -> Run:
    content = {
        "name": "tiny",
        "family": "voxtral",
        "base": BASE,
        "base_folder": str(base),
        "output": str(output),
        "data": {"train": [{"path": str(corpus)}], "validation": [{"path": str(corpus)}]},
        "lora": {"dropout": 0.0},
        "optimisation": {
            "learning_rate": 4e-3,
            "batch_size": 3,
            "epochs": steps,
            "warmup": 0.1,
            "precision": "float32",
        },
        "evaluation": {"max_new_tokens": 30},
    }
    recipe = output.with_suffix(".yaml")
    recipe.write_text(yaml.safe_dump(content))
    loaded: list[Trainee] = []
    make = Trainee.__init__

    def remembered(self: Trainee, *arguments: Any, **options: Any) -> None:
        loaded.append(self)
        make(self, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainee, "__init__", remembered)
        record = run_recipe(load_recipe(recipe), report=print)
    lines = (output / "predictions.jsonl").read_text().splitlines()
    state = json.loads(next(output.glob("checkpoints/*/trainer_state.json")).read_text())
    losses = [entry["loss"] for entry in state["log_history"] if "loss" in entry]
    assert record.stages["sft"]["metrics"]["steps"] == steps
    return Run(output, [json.loads(line) for line in lines], losses[-1], loaded[0].model)


@pytest.fixture(scope="module")
def run(spoken: Path, tiny_voxtral: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(spoken, tiny_voxtral, tmp_path_factory.mktemp("run") / "out")


def learnt(run: Run) -> bool:
    return run.loss < 0.1 and [pair["hypothesis"] for pair in run.predictions] == TEXTS


@pytest.fixture(scope="module")
def family(tiny_voxtral: Path) -> Trainee:
    return trainee_of(tiny_voxtral)


def test_it_learns_to_write_exactly_the_trained_texts(run: Run) -> None:
    assert learnt(run)


def test_it_does_not_learn_where_the_end_token_is_missing(
    spoken: Path, tiny_voxtral: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = VoxtralModel.encode_target
    monkeypatch.setattr(VoxtralModel, "encode_target", lambda self, text: complete(self, text)[:-1])
    assert not learnt(train(spoken, tiny_voxtral, tmp_path / "out"))


def test_it_does_not_learn_where_labels_are_not_masked(
    spoken: Path, tiny_voxtral: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked = Trainee.collate

    def unmasked(self: Trainee, windows: Sequence[Window]) -> Batch:
        batch = masked(self, windows)
        following = batch["input_ids"][:, 1:]
        prompt = batch["labels"][:, :-1] == IGNORED
        batch["labels"][:, :-1] = torch.where(prompt, following, batch["labels"][:, :-1])
        return batch

    def all_logits(self: Trainee, model: Any, batch: Batch, *_: Any, **__: Any) -> TokenLogits:
        features = self._features(batch, None)
        logits = model(input_ids=batch["input_ids"], input_features=features, use_cache=False).logits
        return TokenLogits(logits, batch["labels"])

    monkeypatch.setattr(Trainee, "collate", unmasked)
    monkeypatch.setattr(Trainee, "token_logits", all_logits)
    result = train(spoken, tiny_voxtral, tmp_path / "out")
    print(result)
    assert not learnt(result)


def test_labels_are_the_target_and_its_end_and_nothing_else(family: Trainee) -> None:
    text = "[sad] No [INST] </s>..."
    long = Window(np.zeros(31 * 16_000, dtype=np.int16), text)
    short = Window(np.zeros(16_000, dtype=np.int16), "Go")
    batch = family.collate([long, short])
    # The tokenizer is of single bytes: byte b has id b, in the order of Tekken's ranks, plus the control tokens' ids.
    rank = {bytes([byte]): family.tokenizer.encode(chr(byte), add_special_tokens=False) for byte in range(32, 127)}
    for row, window, chunks in ((0, long, 2), (1, short, 1)):
        expected = [token for character in window.text for token in rank[character.encode()]] + [2]
        prompt = [1, 3, 25, *[24] * 375 * chunks, 4, *(t for c in "lang:en" for t in rank[c.encode()]), 34]
        ids, labels = batch["input_ids"][row].tolist(), batch["labels"][row].tolist()
        padding = len(ids) - len(prompt) - len(expected) + 1
        assert ids == prompt + expected[:-1] + [11] * padding
        assert labels == [IGNORED] * (len(prompt) - 1) + expected + [IGNORED] * padding


@pytest.mark.parametrize(("duration_s", "tokens"), [(0.5, 375), (30.0, 375), (30.001, 750), (61.0, 1125)])
def test_prompt_is_the_models_own_transcription_request(family: Trainee, duration_s: float, tokens: int) -> None:
    samples = tone(440, duration_s)
    request = family.speech._processor.apply_transcription_request(
        audio=[samples], model_id=BASE, language="en", sampling_rate=16_000, format=["WAV"]
    )
    batch = family.collate([Window((samples * 32767).astype(np.int16), "")])
    prompt = request["input_ids"][0].tolist()
    assert family.prompt(batch["audio_windows"][0]) == prompt == batch["input_ids"][0].tolist()
    assert prompt.count(24) == tokens


@pytest.mark.parametrize(("language", "named"), [("fr", "lang:fr"), (None, "")])
def test_the_request_names_the_recipes_language(tiny_voxtral: Path, language: str | None, named: str) -> None:
    family = trainee_of(tiny_voxtral, language=language)
    after_audio = [token for token in family.prompt() if token >= SPECIALS]
    assert family.tokenizer.decode(after_audio) == named


def test_neftune_shakes_text_embeddings_in_training_and_never_audio_or_evaluation(
    spoken: Path, tiny_voxtral: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise: list[tuple[float, float]] = []
    read: list[torch.Tensor] = []
    logits = Trainee.token_logits

    def watched(self: Trainee, model: Any, *arguments: Any, **options: Any) -> TokenLogits:
        def look(module: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
            clean = torch.nn.functional.embedding(inputs[0], module.weight)
            noise.append(((output - clean).abs().max().item(), 5 / (output.shape[1] * output.shape[2]) ** 0.5))

        def read_by(module: Any, arguments: Any, options: dict[str, Any]) -> None:
            read.append(options["inputs_embeds"].detach().clone())

        hooks = [
            self.model.get_input_embeddings().register_forward_hook(look),
            self.model.model.language_model.register_forward_pre_hook(read_by, with_kwargs=True),
        ]
        model.eval()
        with torch.no_grad():
            logits(self, model, *arguments, **options)
        model.train()
        result = logits(self, model, *arguments, **options)
        for hook in hooks:
            hook.remove()
        return result

    monkeypatch.setattr(Trainee, "token_logits", watched)
    train(spoken, tiny_voxtral, tmp_path / "out", steps=1)
    (in_evaluation, _), (in_training, bound) = noise
    assert in_evaluation == 0
    assert 0.9 * bound < in_training <= bound
    # The audio lies between <s>[INST][BEGIN_AUDIO] and the rest.
    audio = slice(3, 3 + 375)
    assert torch.equal(read[0][:, audio], read[1][:, audio])
    assert not torch.equal(read[0][:, :3], read[1][:, :3])


def test_features_of_a_mixed_batch_are_those_of_the_processor(family: Trainee) -> None:
    # The second recording ends in sound at its very last sample; the first is louder and longer.
    recordings = [0.9 * tone(440, 31), tone(880, 30)]
    windows = [Window((samples * 32767).round().astype(np.int16), "a") for samples in recordings]
    request = family.speech._processor.apply_transcription_request(
        audio=[window.samples.astype(np.float32) / 32767 for window in windows],
        model_id=BASE,
        language="en",
        sampling_rate=16_000,
        format=["WAV", "WAV"],
    )
    features = family._features(family.collate(windows), None)
    assert features.shape == (3, 128, 3000)
    # The processor sends the samples through a 16-bit WAV file, which shows where a spectrum is quiet.
    torch.testing.assert_close(features, request["input_features"], atol=1e-2, rtol=0)


def test_adapters_are_on_language_model_and_projector_only(family: Trainee) -> None:
    pattern = re.compile(find_family("voxtral").targets(adapt_encoder=False))
    adapted = [name for name, _ in family.model.named_modules() if pattern.fullmatch(name)]
    layers = family.model.config.text_config.num_hidden_layers
    assert len(adapted) == 7 * layers + 2
    assert not [name for name in adapted if "audio_tower" in name]


def test_training_leaves_every_weight_of_the_base_as_it_was(run: Run, tiny_voxtral: Path) -> None:
    before = VoxtralForConditionalGeneration.from_pretrained(tiny_voxtral, dtype=torch.float32)
    saved = load_file(run.output / "adapter" / "adapter_model.safetensors")
    assert not [name for name in saved if "audio_tower" in name]
    assert all("lora_" in name for name in saved)
    trained = {name.replace(".base_layer", ""): weight for name, weight in run.model.state_dict().items()}
    for name, weight in before.state_dict().items():
        assert torch.equal(weight, trained[name]), name
    assert {name for name in trained if name not in before.state_dict()} <= {n for n in trained if "lora_" in n}
    after = VoxtralForConditionalGeneration.from_pretrained(run.output / "merged", dtype=torch.float32)
    for name, weight in before.model.audio_tower.state_dict().items():
        assert torch.equal(weight, after.model.audio_tower.state_dict()[name]), name
    moved = before.model.multi_modal_projector.linear_1.weight - after.model.multi_modal_projector.linear_1.weight
    assert moved.abs().max() > 1e-4


def test_adapter_names_the_hub_id_as_its_base(run: Run) -> None:
    config = json.loads((run.output / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == BASE
    assert (config["r"], config["lora_alpha"]) == (64, 128)


def test_merged_model_and_adapter_give_the_same_outputs(run: Run, tiny_voxtral: Path) -> None:
    merged = trainee_of(run.output / "merged")
    base = trainee_of(tiny_voxtral)
    adapted = load_adapter(base, run.output / "adapter").eval()
    batch = base.collate([Window((tone(500, 2) * 32767).astype(np.int16), "[laughs] Hi!")])
    expected = base.token_logits(adapted, batch, None).logits
    torch.testing.assert_close(
        merged.token_logits(merged.model.eval(), batch, None).logits, expected, atol=1e-4, rtol=1e-4
    )
    assert merged.transcribe(merged.model, batch, 20) == base.transcribe(adapted, batch, 20)


def windows_of(*durations_s: float) -> list[Window]:
    return [
        Window((tone(500, duration_s) * 32767).astype(np.int16), f"[sad] {duration_s}") for duration_s in durations_s
    ]


def test_long_and_short_audio_in_one_batch_have_the_losses_they_have_alone(family: Trainee) -> None:
    def losses(windows: list[Window]) -> list[float]:
        with torch.no_grad():
            output = family.token_logits(family.model.eval(), family.collate(windows), None)
        return (-mean_log_probabilities(output.logits, output.targets)).tolist()

    short, long = windows_of(2, 31)
    assert losses([short, long]) == pytest.approx([*losses([short]), *losses([long])], rel=1e-4)


def test_long_and_short_audio_in_one_batch_are_written_as_alone(run: Run) -> None:
    family = trainee_of(run.output / "merged")
    short, long = windows_of(2, 31)

    def written(windows: list[Window]) -> list[str]:
        return family.transcribe(family.model.eval(), family.collate(windows), 12)

    assert written([short, long]) == [*written([short]), *written([long])]


def test_recomputed_activations_give_the_same_gradients(tiny_voxtral: Path) -> None:
    gradients = []
    for checkpointing in (False, True):
        family = trainee_of(tiny_voxtral)
        torch.manual_seed(0)
        model = add_adapter(family, Lora(dropout=0.0)).train()
        if checkpointing:
            family.checkpoint_activations()
        output = family.token_logits(model, family.collate(windows_of(2)), None)
        mean_log_probabilities(output.logits, output.targets).sum().backward()
        gradients.append({name: weight.grad for name, weight in model.named_parameters() if weight.requires_grad})
    assert any(gradient.abs().max() > 0 for gradient in gradients[0].values())
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)
