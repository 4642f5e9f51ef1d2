"""The model card: what the hub reads of it, and that it says nothing that was not recorded."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from evoxtral.errors import HubError
from evoxtral.hub.model_card import BenchOutput, model_card, write_model_card

RECORD: dict[str, Any] = {
    "seed": 7,
    "recipe": {
        "name": "parrot",
        "family": "whisper",
        "base": "openai/whisper-base",
        "language": "en",
        "license": "mit",
        "seed": 7,
        "lora": {"rank": 16, "alpha": 32.0, "dropout": 0.05, "adapt_encoder": True, "merged_at": 0.75},
        "optimisation": {
            "learning_rate": 0.0004,
            "warmup": 0.05,
            "neftune_alpha": 0.0,
            "anchor": 0.5,
            "precision": "bf16",
        },
        "preference": {"method": "simpo", "learning_rate": 1e-05},
        "export": {"quantization": "int8"},
    },
    "stages": {
        "data": {
            "metrics": {
                "sources": [
                    {
                        "role": "train",
                        "path": "data/spoken",
                        "split": "all",
                        "dataset": "someone/spoken",
                        "clips": 40,
                        "too_long": 2,
                        "audio_s": 5400.0,
                        "tagged_clips": 31,
                        "tags": {"sad": 45, "laughs": 12},
                        "sha256": "ab" * 32,
                    },
                    {
                        "role": "validation",
                        "path": "data/read",
                        "split": "validation",
                        "dataset": "someone/read",
                        "clips": 10,
                        "too_long": 0,
                        "audio_s": 360.0,
                        "tagged_clips": 4,
                        "tags": {"gasps": 4},
                        "sha256": "cd" * 32,
                    },
                ]
            }
        },
        "sft": {
            "git_revision": "0123abc",
            "packages": {"torch": "2.13.0"},
            "machine": "1 x NVIDIA H100 80GB HBM3",
            "metrics": {
                "steps": 602,
                "items": 38528,
                "elapsed_s": 270.0,
                "trained_parameters": 8650752,
                "validation": {"wer": 0.0412, "tag_f1": 0.8},
            },
        },
    },
}
SCORES = {
    "wer_normalized": {"value": 0.03837915, "ci": [0.03, 0.048]},
    "tags": {
        "f1": {"value": 0.74890829, "ci": [0.717, 0.78]},
        "macro_f1": {"value": None, "ci": None},
        "per_tag": {
            "calm": {"recall": {"value": 0.115}},
            "sighs": {"recall": {"value": 0.93}},
            "gasps": {"recall": {"value": None}},
        },
    },
}
SUMMARY = "|  | parrot |\n|---|---|\n| WER, normalised | 3.8 % (3.0-4.8) |\n"
BENCH = BenchOutput(SCORES, SUMMARY, "the set in the package")


def text_of(card: Any) -> str:
    """The card's text, with the padding of its lines ignored."""
    return re.sub(r" +", " ", str(card))


def test_front_matter_is_what_the_hub_reads(tmp_path: Path) -> None:
    model_card(RECORD, BENCH, form="adapter", name="someone/parrot").save(tmp_path / "README.md")
    data = ModelCard.load(tmp_path / "README.md").data
    assert data.to_dict()["base_model"] == "openai/whisper-base"
    assert (data.license, data.language, data.library_name, data.pipeline_tag, data.datasets) == (
        "mit",
        "en",
        "peft",
        "automatic-speech-recognition",
        ["someone/spoken"],
    )
    assert data.get("base_model_relation") == "adapter"
    assert {(result.metric_name, result.metric_type, result.metric_value) for result in data.eval_results} == {
        ("WER, normalised", "wer", 0.0384),
        ("Tag F1", "f1", 0.7489),
    }
    assert {result.dataset_name for result in data.eval_results} == {"Evoxtral-Bench, the set in the package"}


@pytest.mark.parametrize(
    ("form", "library", "model"),
    [
        ("adapter", "peft", "openai/whisper-base+runs/x"),
        ("merged", "transformers", "runs/x"),
        ("export", "ctranslate2", "runs/x"),
    ],
)
def test_each_form_says_how_it_is_used(form: Any, library: str, model: str) -> None:
    card = model_card(RECORD, BENCH, form=form, name="runs/x")
    assert card.data.library_name == library
    assert f"    evoxtral transcribe recording.wav --model {model}\n" in str(card)
    examples = re.findall(r"```python\n(.*?)```", str(card), re.DOTALL)
    for code in examples:
        compile(code, "usage", "exec")
    assert f'model="{model}"' in examples[0]
    assert len(examples) == (1 if form == "export" else 2)
    assert ("from peft import PeftModel" in str(card)) == (form == "adapter")
    assert ("not measured by itself" in str(card)) == (form == "export")


def test_settings_and_corpora_are_those_of_the_record() -> None:
    text = text_of(model_card(RECORD, None, form="merged", name="x"))
    for row in (
        "| Adapter | LoRA, rank 16, alpha 32, dropout 0.05, on the decoder's linear layers and the encoder's |",
        "| Steps | 602 (38,528 windows) |",
        "| Learning rate | 0.0004, cosine, warm-up 0.05 |",
        "| Time | 4.5 minutes on 1 x NVIDIA H100 80GB HBM3 |",
        "| someone/spoken | train | 40 (2 too long, left out) | 1.50 | 31 | abababababab |",
        "| someone/read | validation | 10 | 0.10 | 4 | cdcdcdcdcdcd |",
    ):
        assert row in text
    assert "wer 0.041, tag_f1 0.800" in text
    assert "Preference stage" not in text


def test_what_was_not_measured_is_said_to_be_not_measured() -> None:
    without = model_card(RECORD, None, form="merged", name="x")
    assert without.data.eval_results is None
    assert "Not measured by Evoxtral-Bench." in str(without)
    assert "Word error rate, tag F1 and false tags: not measured." in str(without)
    measured = model_card(RECORD, BENCH, form="merged", name="x")
    assert SUMMARY.strip() in str(measured)
    assert "(the round trip) was not measured" in str(measured)
    spoken = BenchOutput(SCORES | {"round_trip": {}}, SUMMARY, "a set")
    assert "round trip" not in str(model_card(RECORD, spoken, form="merged", name="x"))
    bare = {"recipe": RECORD["recipe"] | {"license": None}, "stages": {"sft": RECORD["stages"]["sft"]}}
    card = model_card(bare, None, form="merged", name="x")
    assert "The corpora were not surveyed." in str(card)
    assert card.data.license is None
    assert "license" not in card.data.to_yaml()


def test_limits_are_the_tags_that_were_hardly_heard_or_are_missed() -> None:
    text = str(model_card(RECORD, BENCH, form="merged", name="x"))
    # What the validation clips have is not training.
    assert re.search(r"Not in the training texts: excited, angry, .*gasps, .*pause\.", text)
    assert "Fewer than 30 times in the training texts: laughs (12)." in text
    assert "Missed more often than found: calm (recall 0.12)." in text


def test_a_preference_stage_is_told_and_its_scores_are_the_last() -> None:
    record = copy.deepcopy(RECORD)
    record["stages"]["preference"] = {"metrics": {"steps": 50, "pairs": 400, "validation": {"wer": 0.04}}}
    text = text_of(model_card(record, None, form="merged", name="x"))
    assert "| simpo, 400 pairs of the model's own samples, 50 steps, learning rate 1e-05 |" in text
    assert "without intervals: wer 0.040." in text
    record["stages"]["preference"] = {"metrics": {"steps": 0, "skipped": "tag F1 0.700 is not below 0.6"}}
    assert "not run: tag F1 0.700 is not below 0.6" in str(model_card(record, None, form="merged", name="x"))


def voxtral_record() -> dict[str, Any]:
    record = copy.deepcopy(RECORD)
    record["recipe"] |= {
        "family": "voxtral",
        "base": "mistralai/Voxtral-Mini-3B-2507",
        "bench": {"testset": "sets/mine"},
    }
    return record


@pytest.mark.parametrize("form", ["adapter", "merged", "vllm"])
def test_a_voxtral_is_used_by_vllm_too(form: Any) -> None:
    text = str(model_card(voxtral_record(), None, form=form, name="me/parrot"))
    served = "me/parrot" if form == "vllm" else "for-vllm"
    assert ("evoxtral hub export me/parrot --format vllm" in text) == (form != "vllm")
    assert f"vllm serve {served} --tokenizer-mode mistral --config-format mistral --load-format mistral" in text
    assert ("apply_transcription_request" in text) == (form != "vllm")


def test_a_card_is_written_again_from_the_files_of_its_run(tmp_path: Path) -> None:
    for folder, file in (("adapter", "adapter_config.json"), ("merged", "config.json"), ("bench", "x")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).write_text("{}")
    (tmp_path / "provenance.json").write_text(json.dumps(voxtral_record()))
    (tmp_path / "bench" / "scores.json").write_text(json.dumps(SCORES))
    (tmp_path / "bench" / "summary.md").write_text(SUMMARY)
    path = write_model_card(tmp_path / "adapter", name="me/parrot")
    card = ModelCard.load(path)
    assert card.data.library_name == "peft"
    assert {result.metric_value for result in card.data.eval_results} == {0.0384, 0.7489}
    assert {result.dataset_name for result in card.data.eval_results} == {"Evoxtral-Bench, mine"}
    assert SUMMARY.strip() in str(card)
    assert "--model mistralai/Voxtral-Mini-3B-2507+me/parrot" in str(card)
    # An export that lies elsewhere is told where its run is.
    away = tmp_path / "elsewhere" / "for-vllm"
    away.mkdir(parents=True)
    (away / "params.json").write_text("{}")
    with pytest.raises(HubError, match=r"has no provenance\.json"):
        write_model_card(away)
    assert ModelCard.load(write_model_card(away, run=tmp_path)).data.library_name == "vllm"
    with pytest.raises(HubError, match=r"has no scores\.json"):
        write_model_card(away, run=tmp_path, bench=tmp_path / "merged")
    with pytest.raises(HubError, match="holds no weights"):
        write_model_card(tmp_path / "bench")
