"""What a frozen encoder hears is made once, over epochs and for both texts of a pair; losses stay the same."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from evoxtral.models.checkpoints import load_checkpoint
from evoxtral.training.adapters import add_adapter
from evoxtral.training.batches import Batch
from evoxtral.training.encoder_outputs import KeptEncoderOutputs
from evoxtral.training.losses import mean_log_probabilities
from evoxtral.training.packing import Window
from evoxtral.training.recipe import Augmentation, Lora, load_recipe
from evoxtral.training.stages import run_recipe
from evoxtral.training.trainee import Trainee
from tiny_models import tone, write_corpus


def window(frequency_hz: float, duration_s: float, text: str) -> Window:
    return Window((tone(frequency_hz, duration_s) * 32767).astype(np.int16), text)


def count_windows(trainee: Trainee) -> list[int]:
    """Grows by the windows of each pass through the encoder's first layer."""
    counts: list[int] = []
    trainee.speech.encoder.layers[0].register_forward_pre_hook(lambda module, inputs: counts.append(len(inputs[0])))
    return counts


def losses(trainee: Trainee, model: Any, batch: Batch) -> torch.Tensor:
    output = trainee.token_logits(model, batch, None)
    return mean_log_probabilities(output.logits, output.targets)


@pytest.fixture
def voxtral(tiny_voxtral: Path) -> Trainee:
    return Trainee(load_checkpoint(tiny_voxtral, dtype=torch.float32))


def test_kept_outputs_give_the_losses_and_texts_of_those_made_anew(voxtral: Trainee, tmp_path: Path) -> None:
    windows = [window(500, 2, "[sad] a"), window(700, 31, "b")]
    model = add_adapter(voxtral, Lora(dropout=0.0)).eval()
    plain = voxtral.collate(windows)
    with torch.no_grad():
        expected = losses(voxtral, model, plain)
    texts = voxtral.transcribe(model.get_base_model(), plain, 10)
    voxtral.keep_heard(tmp_path / "heard")
    first = voxtral.collate(windows)
    assert ("samples" in first, "heard" in first) == (True, False)
    heard = count_windows(voxtral)
    with torch.no_grad():
        torch.testing.assert_close(losses(voxtral, model, first), expected)
        torch.testing.assert_close(losses(voxtral, model, voxtral.collate(windows)), expected)
        reversed_rows = losses(voxtral, model, voxtral.collate(windows[::-1]))
        torch.testing.assert_close(reversed_rows.flip(0), expected, atol=1e-4, rtol=1e-4)
    assert heard == [3]  # one window of 30 s and two, once
    again = voxtral.collate(windows)
    assert ("samples" in again, again["heard"].shape) == (False, (3, 1500, 16))
    assert voxtral.transcribe(model.get_base_model(), again, 10) == texts
    assert heard == [3]


def test_names_are_by_the_sound_and_by_the_encoders_weights(voxtral: Trainee, tmp_path: Path) -> None:
    kept = KeptEncoderOutputs(tmp_path, voxtral.speech.encoder)
    samples = window(500, 1, "").samples
    names = kept.keys(samples, 2)
    assert len(set(names)) == 2
    assert KeptEncoderOutputs(tmp_path, voxtral.speech.encoder).keys(samples.copy(), 2) == names
    other = samples.copy()
    other[0] += 1
    assert not set(kept.keys(other, 2)) & set(names)
    with torch.no_grad():
        voxtral.speech.encoder.layers[0].fc1.bias[0] += 1
    assert not set(KeptEncoderOutputs(tmp_path, voxtral.speech.encoder).keys(samples, 2)) & set(names)


def test_what_is_damaged_or_half_there_is_made_again(voxtral: Trainee, tmp_path: Path) -> None:
    kept = KeptEncoderOutputs(tmp_path, voxtral.speech.encoder)
    made = torch.randn(2, 3, 4).to(torch.bfloat16)
    kept.write(["a", "b"], made)
    found = kept.read(["a", "b"])
    assert found is not None
    assert torch.equal(found, made)
    assert kept.read(["a", "c"]) is None
    (tmp_path / "a.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:-1])
    assert kept.read(["a", "b"]) is None


@pytest.mark.parametrize("family", ["voxtral", "whisper"])
def test_a_sound_with_two_texts_is_heard_once_and_its_gradients_are_those_of_both(
    tiny_voxtral: Path, tiny_whisper: Path, family: str
) -> None:
    found = []
    for repeats in (1, 2):
        trainee = Trainee(load_checkpoint(tiny_voxtral if family == "voxtral" else tiny_whisper, dtype=torch.float32))
        torch.manual_seed(0)
        lora = Lora(rank=4, dropout=0.0, adapt_encoder=family == "whisper")
        model = add_adapter(trainee, lora).train()
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "lora_B" in name:  # zero at first, through which nothing would flow to A
                    weight.normal_(0, 0.02)
        sounds = [(500, 1), (800, 2)]
        rows = [window(*sound, text) for text in ("[sad] a", "bcd") for sound in sounds]
        heard = count_windows(trainee)
        batch = trainee.collate(rows, repeats=repeats)
        each = losses(trainee, model, batch)
        (each * torch.tensor([1.0, 2.0, -0.5, -1.5])).sum().backward()
        assert heard == [4 // repeats]
        found.append((each, {n: w.grad for n, w in model.named_parameters() if w.requires_grad}))
    (alone, expected), (together, gradients) = found
    torch.testing.assert_close(together, alone)
    assert any(gradient.abs().max() > 1e-4 for name, gradient in expected.items())
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, atol=1e-5, rtol=1e-4)


def train(folder: Path, base: Path, told: list[str], **changes: object) -> list[float]:
    """The losses of two epochs with a batch of two of three clips."""
    folder.mkdir()
    corpus = {"path": str(write_corpus(folder / "corpus", ["[sad] a", "b", "cd"]))}
    content = {
        "name": "tiny",
        "family": "voxtral",
        "base": "a/b",
        "base_folder": str(base),
        "output": str(folder / "run"),
        "data": {"train": [corpus], "validation": [corpus]},
        "lora": {"rank": 4},
        "optimisation": {"batch_size": 2, "epochs": 2, "precision": "float32"},
        "evaluation": {"max_new_tokens": 2},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content | changes))
    run_recipe(load_recipe(folder / "recipe.yaml"), until="sft", report=told.append)
    state = json.loads(max(folder.glob("run/checkpoints/*/trainer_state.json")).read_text())
    return [entry["loss"] for entry in state["log_history"] if "loss" in entry]


def test_a_run_with_kept_outputs_goes_as_one_without(
    tiny_voxtral: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    kept = train(tmp_path / "kept", tiny_voxtral, told)
    assert f"the encoder's outputs are kept in {tmp_path / 'kept' / 'run' / 'heard'}: about 0.0 GB" in told
    assert len(list((tmp_path / "kept" / "run" / "heard").iterdir())) == 3
    monkeypatch.setattr(Trainee, "keep_heard", lambda self, folder: None)
    assert train(tmp_path / "anew", tiny_voxtral, told) == pytest.approx(kept, rel=1e-5)
    assert not (tmp_path / "anew" / "run" / "heard").exists()
    name = "run/adapter/adapter_model.safetensors"
    expected, found = load_file(tmp_path / "anew" / name), load_file(tmp_path / "kept" / name)
    for weight in expected:
        torch.testing.assert_close(found[weight], expected[weight], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"augmentation": {"gain": 0.5}}, "augmentation changes what is heard"),
        ({"augmentation": {"speed": 0.5}}, "augmentation changes what is heard"),
        ({"packing": {"probability": 0.5}}, "packing puts each clip into another window each time"),
        ({"optimisation": {"batch_size": 3, "precision": "float32"}}, "one epoch hears each clip once"),
    ],
)
def test_outputs_that_would_not_be_used_again_are_not_kept_and_it_is_said_why(
    tiny_voxtral: Path, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    told: list[str] = []
    train(tmp_path / "run", tiny_voxtral, told, **changes)
    assert f"the encoder's outputs are not kept: {reason}" in told
    assert not (tmp_path / "run" / "run" / "heard").exists()


def test_augmented_sound_is_heard_anew(voxtral: Trainee) -> None:
    model = add_adapter(voxtral, Lora(dropout=0.0)).eval()
    batch = voxtral.collate([window(500, 1, "a")])
    torch.manual_seed(0)
    with torch.no_grad():
        first, second = (voxtral.token_logits(model, batch, Augmentation(noise=1.0)).logits.clone() for _ in range(2))
    assert not torch.equal(first, second)
