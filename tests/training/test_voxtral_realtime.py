"""Voxtral Realtime learns to write words when they were heard, on a tiny random model with the real front end."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml

from evoxtral.audio import resample
from evoxtral.errors import RecipeError
from evoxtral.inference import load_engine
from evoxtral.training.batches import IGNORED
from evoxtral.training.clips import TrainingClip
from evoxtral.training.packing import Window, WindowPlan
from evoxtral.training.recipe import Augmentation, Packing, load_recipe
from evoxtral.training.stages import run_recipe
from evoxtral.training.trainee import Trainee
from evoxtral.training.word_ends import timed_pieces
from tiny_models import SPECIALS, save_tiny_realtime, trainee_of

TEXTS = ["[laughs] Hi!", "[sad] Oh NO...", "Fine."]
PADDING, WORD = 32, 33
OPENING = 1 + 4 + 6  # <s>, silence before the sound, the delay of 480 ms


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_realtime(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def trainee(folder: Path) -> Trainee:
    return trainee_of(folder)


def letters(text: str) -> list[int]:
    """Ids of a byte-level tokenizer."""
    return [SPECIALS + byte for byte in text.encode()]


def test_words_are_written_in_the_frame_in_which_they_are_over_after_the_delay(trainee: Trainee) -> None:
    """Worked by hand: the first token after the opening belongs to the first 80 ms of sound."""
    window = Window(np.zeros(32_000, np.int16), "a [sad] bc, d", (0.08, 1.0, 1.0, 1.05))
    batch = trainee.collate([window])
    (labels,) = batch["labels"].tolist()
    assert labels[: OPENING - 1] == [IGNORED] * (OPENING - 1)
    # "a" is over with frame 0, "bc" with frame 12; "d" is over while that is written, and follows it.
    group = [WORD, *letters(" [sad] bc, d")]
    expected = [WORD, *letters("a"), *[PADDING] * 10, *group]
    expected += [PADDING] * (25 + 10 - len(expected))  # the sound's frames, and ten for its last word
    assert labels[OPENING - 1 :] == expected
    (ids,) = batch["input_ids"].tolist()
    assert ids == [1, *[PADDING] * (OPENING - 1), *expected[:-1]]
    assert batch["first_target"] == OPENING - 1


def test_a_text_that_is_too_long_for_its_sound_gets_silence_after_it(trainee: Trainee) -> None:
    window = Window(np.ones(1600, np.int16), "abcdefghijklmnopqrst", (0.1,))
    batch = trainee.collate([window])
    written = batch["labels"][0, OPENING - 1 :].tolist()
    assert written == [PADDING, WORD, *letters(window.text)]
    frames = len(written) - 10
    assert -(-batch["samples"].shape[1] // 1280) == frames
    assert batch["samples"][0].sum() == 1600


def test_pieces_make_up_the_text_and_missing_times_are_told() -> None:
    text = ' "Oh, [laughs] well... [pause] NO." '
    pieces = timed_pieces(text, (0.1, 0.2, 0.3, 0.4, 0.5))
    assert "".join(piece for piece, _ in pieces) == text.strip()
    assert [piece.strip() for piece, _ in pieces][1:] == ["[laughs]", "well...", "[pause]", 'NO."']
    for ends in (None, (0.1,)):
        with pytest.raises(RecipeError, match="its words have no times"):
            timed_pieces(text, ends)


def test_times_move_with_their_clip_into_windows_of_several_and_with_its_speed() -> None:
    clips = [
        TrainingClip(str(number), "a b", np.full(8000, number + 1, np.int16), ends_s=(0.2, 0.5)) for number in range(6)
    ]
    plan = WindowPlan(clips, Packing(probability=1.0, empty=0.0), seed=3, speed_probability=0.5)
    for window in (plan[index] for index in range(len(plan))):
        assert window.ends_s is not None
        # Each second word is over with the last sample of its clip.
        edges = np.flatnonzero(np.diff(np.concatenate([window.samples != 0, [False]]).astype(int)) < 0) + 1
        assert window.ends_s[1::2] == pytest.approx(edges / 16_000, abs=2e-4)


def test_loss_is_what_the_model_says_of_all_frames_at_once(trainee: Trainee, folder: Path) -> None:
    """Teacher forcing through the encoder's outputs is transformers' own forward pass over the padded sound."""
    from transformers import VoxtralRealtimeForConditionalGeneration

    rng = np.random.default_rng(0)
    windows = [
        Window((rng.normal(0, 3000, count)).astype(np.int16), text, ends)
        for count, text, ends in ((20_000, "a b", (0.3, 0.9)), (9_000, "c", (0.4,)))
    ]
    batch = trainee.collate(windows)
    with torch.no_grad():
        output = trainee.token_logits(trainee.model, batch, None)
    plain: Any = VoxtralRealtimeForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    speech: Any = trainee.speech
    features = speech.whole_features(batch["samples"].float() / 32767, 6)
    ids = batch["input_ids"]
    with torch.no_grad():
        expected = plain(
            input_ids=ids, input_features=features[..., : 8 * ids.shape[1]], num_delay_tokens=6, use_cache=False
        ).logits
    torch.testing.assert_close(output.logits, expected[:, OPENING - 1 :], atol=1e-4, rtol=1e-4)


def write_recipe(folder: Path, base: Path, steps: int, **changes: Any) -> Path:
    from evoxtral.tts import speak

    corpus = folder / "corpus"
    corpus.mkdir()
    with (corpus / "clips.jsonl").open("w") as lines:
        for number, text in enumerate(TEXTS):
            speech = speak(text, seed=number)
            soundfile.write(corpus / f"{number}.flac", speech.samples, speech.sample_rate_hz)
            clip = {"id": str(number), "tagged_text": text, "audio": f"{number}.flac", "split": "train"}
            lines.write(json.dumps(clip) + "\n")
    content = {
        "name": "tiny",
        "family": "voxtral_realtime",
        "base": "mistralai/Voxtral-Mini-4B-Realtime-2602",
        "base_folder": str(base),
        "output": str(folder / "run"),
        "data": {"train": [{"path": str(corpus)}], "validation": [{"path": str(corpus)}]},
        "lora": {"dropout": 0.0},
        "optimisation": {
            "learning_rate": 4e-3,
            "batch_size": 3,
            "epochs": steps,
            "warmup": 0.1,
            "precision": "float32",
            "checkpointing": True,
        },
    } | changes
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content))
    return folder / "recipe.yaml"


def test_it_learns_clips_by_heart_and_writes_them_while_it_hears_them(folder: Path, tmp_path: Path) -> None:
    """From a recipe to the merged model behind the engine's streams."""
    recipe = load_recipe(write_recipe(tmp_path, folder, 60))
    run_recipe(recipe, report=print)
    output = tmp_path / "run"
    state = json.loads(next(output.glob("checkpoints/*/trainer_state.json")).read_text())
    losses = [entry["loss"] for entry in state["log_history"] if "loss" in entry]
    assert losses[-1] < 0.1 < losses[0]
    predictions = [json.loads(line) for line in (output / "predictions.jsonl").read_text().splitlines()]
    assert [pair["hypothesis"] for pair in predictions] == TEXTS
    engine: Any = load_engine(str(output / "merged"))
    before_the_end = False
    for number, text in enumerate(TEXTS):
        samples, rate_hz = soundfile.read(tmp_path / "corpus" / f"{number}.flac", dtype="float32")
        samples = resample(samples, rate_hz, 16_000)
        stream, written = engine.new_stream(), []
        for start in range(0, len(samples), 1000):
            piece = samples[start : start + 1000]
            written += engine.write_streams([stream], [piece], [start + 1000 >= len(samples)])
        assert "".join(written).strip() == text
        before_the_end |= any(written[:-1])
        assert engine.transcribe_windows([samples])[0].text == text
    assert before_the_end


def test_the_encoder_is_frozen_and_what_it_hears_is_not_augmented_away(trainee: Trainee) -> None:
    assert not any(weight.requires_grad for weight in trainee.speech.encoder.parameters())
    assert trainee.heard_bytes is None
    window = Window(np.full(16_000, 500, np.int16), "a", (0.5,))
    output = trainee.token_logits(trainee.model, trainee.collate([window]), Augmentation(noise=1.0))
    assert output.logits.shape[1] == output.targets.shape[1]
