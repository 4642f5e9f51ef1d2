"""Short contexts and sounds taught to a tiny Whisper: its encoder and loss against transformers', a killed run."""

import argparse
import importlib.util
import json
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

from tiny_edge import save_tiny_edge

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

_FILE = Path(__file__).parents[2] / "recipes" / "edge" / "short-contexts" / "teach_short_contexts.py"
RATE_HZ = 16_000


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    spec = importlib.util.spec_from_file_location(_FILE.stem, _FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_edge(tmp_path_factory.mktemp("tiny"), multilingual=True).parent / "hf"


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips of noise of three speakers, one of them kept for validation, one German; a seventh is a test clip."""
    folder = tmp_path_factory.mktemp("pack")
    rng = np.random.default_rng(2)
    rows = []
    for number in range(6):
        speaker = ("amy", "ben", "emodb/03")[number % 3]
        name = f"{'emodb' if number % 3 == 2 else 'plain'}/{number}.flac"
        (folder / name).parent.mkdir(exist_ok=True)
        length_s = 1.0 + number / 4
        soundfile.write(folder / name, rng.normal(0, 0.1, int(length_s * RATE_HZ)), RATE_HZ)
        split = "validation" if speaker == "ben" else "train"
        rows.append(
            {
                "id": name,
                "kind": "plain",
                "split": split,
                "speaker": speaker,
                "duration": length_s,
                "text": "[sighs] Yes.",
            }
        )
    # Nobody may read it: it does not exist.
    rows.append({"id": "plain/test.flac", "kind": "plain", "split": "test", "speaker": "amy", "duration": 2.0})
    (folder / "clips.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def no_sounds(recipe: ModuleType) -> Any:
    return recipe.Composer([], {}, {}, fits=lambda example: True)


def options(output: Path, steps: int) -> argparse.Namespace:
    output.mkdir(exist_ok=True)
    return argparse.Namespace(output=output, steps=steps, seconds=1e9, batch=2)


def test_at_30_s_the_encoder_gives_what_transformers_gives(recipe: ModuleType, whisper: Path) -> None:
    from transformers import WhisperFeatureExtractor

    pair = recipe.Pair(whisper, "cpu")
    sound = (np.random.default_rng(1).normal(0, 3000, 2 * RATE_HZ)).astype(np.int16)
    features = WhisperFeatureExtractor.from_pretrained(whisper)(
        sound.astype(np.float32) / 32767, sampling_rate=RATE_HZ, return_tensors="pt"
    ).input_features
    with torch.no_grad():
        theirs = pair.whisper.model.encoder(features).last_hidden_state
        ours = pair.encode(pair.samples([sound], 30.0))
        short = pair.encode(pair.samples([sound], 3.01))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert short.shape[1] == 151  # whole frames of 20 ms


def test_clips_of_a_split_are_read_with_their_languages_and_joined_within_speakers(
    recipe: ModuleType, pack: Path
) -> None:
    examples = recipe.read_examples(pack, "train", most=None, workers=1)
    assert sorted(example.language for example in examples[:4]) == ["de", "de", "en", "en"]
    lengths_s = [example.length_s for example in examples[:4]]
    assert len(examples) > 4
    for joined in examples[4:]:
        assert max(lengths_s) < joined.length_s <= sum(sorted(lengths_s)[-2:]) + 0.8
        assert joined.reference.split() == ["[sighs]", "Yes."] * 2


def test_a_student_learns_its_teachers_probabilities_and_goes_on_after_a_kill(
    recipe: ModuleType, whisper: Path, pack: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    pair = recipe.Pair(whisper, "cpu")
    examples = recipe.read_examples(pack, "train", most=None, workers=1)[:2]
    logged: list[str] = []
    recipe.write_teachers_texts(pair, examples, tmp_path / "texts.jsonl", 2, logged.append)
    for example in examples:
        example.tokens = example.tokens[:5]  # a random model never ends

    def loss() -> float:
        with torch.no_grad():
            generator = torch.Generator().manual_seed(2)
            return float(recipe.distil(pair, examples[:1], examples[0].length_s + 0.5, generator))

    before = loss()
    recipe.train(pair, examples, no_sounds(recipe), options(tmp_path, 6), logged.append)
    assert loss() < before
    again = recipe.Pair(whisper, "cpu")
    recipe.train(again, examples, no_sounds(recipe), options(tmp_path, 6), logged.append)  # nothing is left to do
    assert any("goes on from step 6" in line for line in logged)
    for name, value in recipe.trainable(pair).items():
        torch.testing.assert_close(recipe.trainable(again)[name], value)
    recipe.write_teachers_texts(again, examples, tmp_path / "texts.jsonl", 2, logged.append)
    assert f"{len(examples)} were there" in logged[-1]


@pytest.mark.parametrize("tag", [range(0), range(1, 3), range(4)], ids=["none", "between", "all"])
def test_a_tag_and_what_follows_it_are_learnt_from_the_text_alone(
    recipe: ModuleType, whisper: Path, tag: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a student that still is its teacher only the text's loss is left, here by hand."""
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

    monkeypatch.setattr(recipe, "_CHANGED_SHARE", 0.0)
    pair = recipe.Pair(whisper, "cpu")
    sound = np.random.default_rng(1).normal(0, 3000, 2 * RATE_HZ).astype(np.int16)
    tokens = [11, 12, 13, 14]
    example = recipe.Example(sound, "en", "", tokens, tag=tag)
    with torch.no_grad():
        found = float(recipe.distil(pair, [example], 30.0, torch.Generator()))

    names = ["<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]
    written = [*pair.tokenizer.convert_tokens_to_ids(names), *tokens]
    features = WhisperFeatureExtractor.from_pretrained(whisper)(
        sound.astype(np.float32) / 32767, sampling_rate=RATE_HZ, return_tensors="pt"
    ).input_features
    plain = WhisperForConditionalGeneration.from_pretrained(whisper)
    with torch.no_grad():
        logits = plain(input_features=features, decoder_input_ids=torch.tensor([written])).logits[0]
    following = torch.tensor([*written[1:], pair.end])
    surprise = torch.nn.functional.cross_entropy(logits, following, reduction="none")
    # Three tokens of the prompt, four of the text, the end; the text's n-th is predicted in the third place from n.
    weights = torch.full((8,), 0.3)
    if tag:
        weights[3 + tag.start : 3 + tag.stop + 1] = 1.3
    assert found == pytest.approx(float((weights * surprise).mean()), rel=1e-3)


def test_a_tag_that_is_composed_becomes_likelier_than_it_was(
    recipe: ModuleType, whisper: Path, pack: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    pair = recipe.Pair(whisper, "cpu")
    tags = pair.tag_tokens()
    assert {name: pair.text(tokens) for name, tokens in tags.items()} == {
        name: f"[{name}]" for name in ("laughs", "crying", "sighs", "gasps")
    }
    examples = [
        example for example in recipe.read_examples(pack, "train", most=None, workers=1) if example.language == "en"
    ]
    for example in examples:
        example.tokens = [20, 21, 22]
    laugh = np.random.default_rng(3).normal(0, 2000, RATE_HZ // 2).astype(np.int16)
    composer = recipe.Composer(examples, {"laughs": [laugh]}, tags, fits=lambda example: True)
    composed = composer.draw(random.Random(1), "laughs")
    assert composed.tag

    def chance() -> float:
        """Of the tag's first token, in its place."""
        written = [*pair.prompt("en"), *composed.tokens[: composed.tag.start]]
        with torch.no_grad():
            encoded = pair.encode(pair.samples([composed.samples], 10.0))
            logits = pair.logits(encoded, torch.tensor([written]))[0, -1]
        return float(logits.log_softmax(-1)[composed.tokens[composed.tag.start]])

    before = chance()
    logged: list[str] = []
    recipe.train(pair, examples, composer, options(tmp_path, 6), logged.append)
    assert chance() > before


def test_the_merged_model_is_one_that_the_edge_engine_loads(recipe: ModuleType, whisper: Path, tmp_path: Path) -> None:
    from evoxtral.inference.engines.edge import EdgeEngine

    pair = recipe.Pair(whisper, "cpu")
    torch.save({name: value.half() for name, value in recipe.trainable(pair).items()}, tmp_path / "adapter.pt")
    logged: list[str] = []
    recipe.merge(pair, tmp_path / "adapter.pt", whisper, tmp_path, logged.append)
    engine = EdgeEngine(tmp_path / "ct2", model="tiny")
    (heard,) = engine.transcribe_windows([np.zeros(RATE_HZ, np.float32)])
    assert heard.no_speech_probability is not None
    assert [len(output) for _, output in engine._heard] == [250]  # 5 s, which it was taught


@pytest.mark.parametrize(
    ("truth", "guess", "expected"),
    [("Yes, I do.", "yes I do", (0, 3)), ("one two three", "two three four", (2, 3)), ("", "uh", (1, 0))],
)
def test_word_errors(recipe: ModuleType, truth: str, guess: str, expected: tuple[int, int]) -> None:
    assert recipe.errors(truth, guess) == expected
