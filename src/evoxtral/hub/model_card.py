"""The model card of a run: a README.md with Hugging Face's front matter, for each folder of weights that it made.

Made of the run's record and of the bench's files, and of nothing else: what was not measured is said to be not
measured. Knows the hub's format, where a run keeps its record and its bench, and no network.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from evoxtral.data.files import write_atomically
from evoxtral.errors import HubError, ModelError
from evoxtral.markdown import escape, table
from evoxtral.models.families.protocol import Family
from evoxtral.models.families.registry import find_family
from evoxtral.tags import TAG_TYPES

Form = Literal["adapter", "merged", "export", "vllm"]

_LIBRARIES: Final[dict[Form, str]] = {
    "adapter": "peft",
    "merged": "transformers",
    "export": "ctranslate2",
    "vllm": "vllm",
}
_RELATIONS: Final[dict[Form, str]] = {
    "adapter": "adapter",
    "merged": "finetune",
    "export": "quantized",
    "vllm": "finetune",
}
_RECORD: Final = "provenance.json"
_TASK: Final = "automatic-speech-recognition"
# Figures of `scores.json` in the model index: their path there, the hub's metric and its name.
_INDEXED: Final = (
    ("wer_normalized", "wer", "WER, normalised"),
    ("wer", "wer", "WER, raw"),
    ("cer", "cer", "CER, raw"),
    ("tags.f1", "f1", "Tag F1"),
    ("tags.precision", "precision", "Tag precision"),
    ("tags.recall", "recall", "Tag recall"),
    ("tags.macro_f1", "f1", "Tag F1, macro"),
    ("position.f1_at_1", "f1", "Tag F1 within 1 word"),
    ("emphasis.f1", "f1", "Emphasis F1"),
    ("hallucination.per_100_words_plain", "false_tags", "False tags per 100 plain words"),
)
_MISSED_MORE_OFTEN_THAN_FOUND: Final = 0.5
_RARELY_HEARD: Final = 30  # times in training


@dataclass(frozen=True, slots=True)
class BenchOutput:
    """What `evoxtral bench` wrote into a folder: its `scores.json` and its `summary.md`, and the set it was run on."""

    scores: Mapping[str, Any]
    summary: str
    testset: str

    @classmethod
    def read(cls, folder: Path, record: Mapping[str, Any]) -> "BenchOutput":
        """The report in a folder, of the set that the recipe of a run's record names."""
        own = (record["recipe"].get("bench") or {}).get("testset")
        testset = "the set in the package" if own is None else Path(own).name
        scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        return cls(scores, (folder / "summary.md").read_text(encoding="utf-8"), testset)


def write_model_card(
    folder: Path, *, name: str | None = None, run: Path | None = None, bench: Path | None = None
) -> Path:
    """Write the README.md of a folder of weights, from what its training and its bench recorded.

    Args:
        folder: an adapter, a merged model or an export.
        name: what users call the weights, such as a hub id; None: as the folder is called.
        run: the training's output folder; None: the folder itself or the one around it.
        bench: the folder of the bench's report; None: the run's own, of its last adapter, if there is one.

    Returns:
        The file.

    Raises:
        HubError: the folder holds no weights; there is no record of their training, or no such report.
        ModelError: huggingface_hub is not installed.
    """
    form = _form_of(folder)
    places = [folder, folder.resolve().parent] if run is None else [run]
    found = next((place for place in places if (place / _RECORD).is_file()), None)
    if found is None:
        raise HubError(f"{places[-1]}: has no {_RECORD}, from which a card is written", "name the run's folder: --run")
    record: Mapping[str, Any] = _read_json(found / _RECORD)
    if bench is None:
        preferred = record["stages"].get("preference", {}).get("metrics", {}).get("steps")
        usual = found / ("bench-preference" if preferred else "bench")
        measured = usual if (usual / "scores.json").is_file() else None
    else:
        measured = bench
        if not (bench / "scores.json").is_file():
            raise HubError(f"{bench}: has no scores.json", "name a folder that evoxtral bench wrote its report into")
    output = None if measured is None else BenchOutput.read(measured, record)
    path = folder / "README.md"
    write_atomically(path, str(model_card(record, output, form=form, name=name or folder.resolve().name)).encode())
    return path


def _form_of(folder: Path) -> Form:
    forms: tuple[tuple[str, Form], ...] = (
        ("adapter_config.json", "adapter"),
        ("params.json", "vllm"),
        ("model.bin", "export"),
        ("config.json", "merged"),
    )
    for file, form in forms:
        if (folder / file).is_file():
            return form
    raise HubError(f"{folder}: holds no weights", "name a folder such as RUN/adapter, RUN/merged or RUN/export")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise HubError(f"{path}: is no JSON", "was it cut off?") from error


def model_card(record: Mapping[str, Any], bench: BenchOutput | None, *, form: Form, name: str) -> Any:
    """A `huggingface_hub.ModelCard`, which can be saved and pushed.

    Args:
        record: content of the run's `provenance.json`.
        bench: of these very weights, or of the adapter that was merged; None where it was not run.
        form: which of the run's folders it is for.
        name: what users call the weights: a hub id, or a folder's name where they are not published.

    Raises:
        ModelError: huggingface_hub is not installed.
    """
    try:
        from huggingface_hub import ModelCard, ModelCardData
    except ImportError:
        raise ModelError("a model card needs huggingface_hub", "pip install 'evoxtral[train]'") from None
    recipe = record["recipe"]
    base = _published(recipe["base"])
    surveys = record["stages"].get("data", {}).get("metrics", {}).get("sources", [])
    learned = {survey["dataset"] for survey in surveys if survey["dataset"] and survey["role"] != "validation"}
    data = ModelCardData(
        base_model=base,
        base_model_relation=_RELATIONS[form],
        datasets=sorted(learned) or None,
        eval_results=None if bench is None else list(_eval_results(bench)) or None,
        language=recipe["language"],
        library_name=_LIBRARIES[form],
        license=recipe["license"],
        model_name=recipe["name"],
        pipeline_tag=_TASK,
        tags=["evoxtral", "audio-tags", "speech", "lora"],
    )
    sections = [
        f"# {escape(recipe['name'])}",
        f"`{base}`, fine-tuned to write speech with inline audio tags. {_form_line(record, form)}",
        _usage(find_family(recipe["family"]), base, form, name),
        _training(record),
        _data(surveys),
        _measured(record, bench, form),
        _limits(record, surveys, bench),
    ]
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(sections) + "\n")


def _eval_results(bench: BenchOutput) -> Iterator[Any]:
    from huggingface_hub import EvalResult

    for path, metric, name in _INDEXED:
        value = _figure(bench.scores, path).get("value")
        if value is not None:
            yield EvalResult(
                task_type=_TASK,
                dataset_type="evoxtral-bench",
                dataset_name=f"Evoxtral-Bench, {bench.testset}",
                metric_type=metric,
                metric_name=name,
                metric_value=round(value, 4),
            )


def _published(base: str) -> str:
    """A base as a card may show it: a hub id, or of a folder on some machine its name alone."""
    return base if base.count("/") <= 1 and not base.startswith((".", "/", "~")) else Path(base).name


def _figure(scores: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    found: Any = scores
    for part in path.split("."):
        found = found.get(part, {})
    return dict(found)


def _form_line(record: Mapping[str, Any], form: Form) -> str:
    recipe = record["recipe"]
    if form == "adapter":
        return "These are the LoRA adapter's weights, to be used with the base."
    if form == "merged":
        return "The adapter is merged: these weights need no other."
    if form == "vllm":
        return "The adapter is merged, and the weights are in Mistral's layout, which vLLM loads."
    return f"The adapter is merged and the weights are converted to CTranslate2, {recipe['export']['quantization']}."


def _usage(family: Family, base: str, form: Form, name: str) -> str:
    parts = ["## Use"]
    if form == "vllm":
        parts.append("In Mistral's layout, for vLLM; Evoxtral's clients reach it through its server.")
    else:
        model = f"{base}+{name}" if form == "adapter" else name
        parts.append(f"""Command line and Python (`pip install 'evoxtral{"" if form == "export" else "[train]"}'`):

    evoxtral transcribe recording.wav --model {model}

```python
from evoxtral.inference import transcribe

print(transcribe("recording.wav", model="{model}").text)
```""")
    if form in ("adapter", "merged"):
        parts.append(_transformers_usage(family, base, form, name))
    if family.name == "voxtral" and form != "export":
        parts.append(_vllm_usage(form, name))
    return "\n\n".join(parts)


def _transformers_usage(family: Family, base: str, form: Form, name: str) -> str:
    """What runs the weights without Evoxtral; a recording of at most 30 s."""
    with_peft = form == "adapter"
    source = base if with_peft else name
    imports = ["from peft import PeftModel"] if with_peft else []
    load = [f'model = PeftModel.from_pretrained(model, "{name}")'] if with_peft else []
    if family.name == "voxtral":
        imports.append("from transformers import AutoProcessor, VoxtralForConditionalGeneration")
        lines = [
            f'processor = AutoProcessor.from_pretrained("{source}")',
            f'model = VoxtralForConditionalGeneration.from_pretrained("{source}", dtype="auto")',
            *load,
            "inputs = processor.apply_transcription_request(",
            f'    audio="recording.wav", model_id="{source}", language="en", return_tensors="pt"',
            ")",
            "inputs = inputs.to(model.device, dtype=model.dtype)",
            "written = model.generate(**inputs, max_new_tokens=500)[:, inputs.input_ids.shape[1] :]",
            "print(processor.batch_decode(written, skip_special_tokens=True)[0])",
        ]
    else:
        imports = ["import soundfile", *imports]
        imports.append("from transformers import AutoProcessor, WhisperForConditionalGeneration")
        lines = [
            f'processor = AutoProcessor.from_pretrained("{source}")',
            f'model = WhisperForConditionalGeneration.from_pretrained("{source}")',
            *load,
            "# Published checkpoints forbid brackets, without which no tag can be written.",
            "model.generation_config.suppress_tokens = None",
            "model.generation_config.begin_suppress_tokens = None",
            'samples, rate_hz = soundfile.read("recording.wav")  # mono, 16 kHz, at most 30 s',
            'features = processor(samples, sampling_rate=rate_hz, return_tensors="pt").input_features',
            "written = model.generate(input_features=features)",
            "print(processor.batch_decode(written, skip_special_tokens=True)[0])",
        ]
    code = "\n".join([*imports, "", *lines])
    return f"transformers{' and peft' if with_peft else ''}, without Evoxtral:\n\n```python\n{code}\n```"


def _vllm_usage(form: Form, name: str) -> str:
    made = [] if form == "vllm" else [f"    evoxtral hub export {name} --format vllm -o for-vllm"]
    folder = name if form == "vllm" else "for-vllm"
    flags = "--tokenizer-mode mistral --config-format mistral --load-format mistral"
    lines = [*made, f"    vllm serve {folder} {flags}"]
    lines.append(f"    evoxtral transcribe recording.wav --model 'http://localhost:8000/v1#{folder}'")
    return "vLLM (in an environment of its own):\n\n" + "\n".join(lines)


def _training(record: Mapping[str, Any]) -> str:
    recipe, stages = record["recipe"], record["stages"]
    lora, choice = recipe["lora"], recipe["optimisation"]
    stage = stages["sft"]
    metrics = stage["metrics"]
    family = find_family(recipe["family"])
    where = family.adapted_parts + (" and the encoder's" if lora["adapt_encoder"] else "")
    facts = {
        "Adapter": f"LoRA, rank {lora['rank']}, alpha {lora['alpha']:g}, dropout {lora['dropout']:g}, on the {where}",
        **({"Base while training": "large layers in 4 bits (NF4)"} if lora.get("four_bit_base") else {}),
        "Share of the adapter's delta that is kept": f"{lora['merged_at']:g}",
        "Trained parameters": f"{metrics['trained_parameters']:,}",
        "Steps": f"{metrics['steps']:,} ({metrics['items']:,} windows)",
        "Learning rate": f"{choice['learning_rate']:g}, cosine, warm-up {choice['warmup']:g}",
        "NEFTune alpha": f"{choice['neftune_alpha']:g}",
        "Weight of the divergence from the base on plain speech": f"{choice['anchor']:g}",
        "Precision": choice["precision"],
        "Time": f"{metrics['elapsed_s'] / 60:.1f} minutes on {stage['machine']}",
        "Seed": str(recipe["seed"]),
        "Code": stage["git_revision"] or "revision not recorded",
        "Packages": ", ".join(f"{package} {version}" for package, version in stage["packages"].items()),
    }
    preferred = stages.get("preference", {}).get("metrics", {})
    if preferred.get("steps"):
        preference = recipe["preference"]
        facts["Preference stage"] = (
            f"{preference['method']}, {preferred['pairs']} pairs of the model's own samples, "
            f"{preferred['steps']} steps, learning rate {preference['learning_rate']:g}"
        )
    elif "skipped" in preferred:
        facts["Preference stage"] = f"not run: {escape(preferred['skipped'])}"
    return "## Training\n\n" + table(("", ""), list(facts.items()))


def _data(surveys: Sequence[Mapping[str, Any]]) -> str:
    if not surveys:
        return "## Data\n\nThe corpora were not surveyed."
    rows = []
    for survey in surveys:
        name = escape(survey["dataset"] or Path(survey["path"]).name)
        left_out = f" ({survey['too_long']} too long, left out)" if survey["too_long"] else ""
        hours = f"{survey['audio_s'] / 3600:.2f}"
        tagged, digest = str(survey["tagged_clips"]), survey["sha256"][:12]
        rows.append((name, survey["role"], f"{survey['clips']}{left_out}", hours, tagged, digest))
    return "## Data\n\n" + table(("corpus", "used for", "clips", "hours", "clips with tags", "SHA-256"), rows)


def _measured(record: Mapping[str, Any], bench: BenchOutput | None, form: Form) -> str:
    parts = ["## Measured"]
    if bench is None:
        parts.append("Not measured by Evoxtral-Bench.")
    else:
        parts += [f"Evoxtral-Bench, {escape(bench.testset)}.", bench.summary.strip()]
        if form == "export":
            parts.append("Measured before the conversion to CTranslate2, which was not measured by itself.")
        if "round_trip" not in bench.scores:
            parts.append("Speech made from the transcripts (the round trip) was not measured.")
    stages = record["stages"]
    trained = "preference" if stages.get("preference", {}).get("metrics", {}).get("steps") else "sft"
    quick = stages[trained]["metrics"].get("validation")
    if quick:
        figures = ", ".join(f"{name} {value:.3f}" for name, value in quick.items())
        parts.append(f"On the validation clips, at the end of training, without intervals: {figures}.")
    return "\n\n".join(parts)


def _limits(record: Mapping[str, Any], surveys: Sequence[Mapping[str, Any]], bench: BenchOutput | None) -> str:
    language = record["recipe"]["language"]
    found = [f"Trained on one language: {language}." if language else "The language is left to the model."]
    if surveys:
        heard = {kind.name: 0 for kind in TAG_TYPES}
        for survey in surveys:
            if survey["role"] == "train":
                for tag, count in survey["tags"].items():
                    heard[tag] = heard.get(tag, 0) + count
        never = [tag for tag, count in heard.items() if not count]
        rarely = [f"{tag} ({count})" for tag, count in heard.items() if 0 < count < _RARELY_HEARD]
        if never:
            found.append(f"Not in the training texts: {', '.join(never)}.")
        if rarely:
            found.append(f"Fewer than {_RARELY_HEARD} times in the training texts: {', '.join(rarely)}.")
    if bench is None:
        found.append("Word error rate, tag F1 and false tags: not measured.")
    else:
        per_tag = bench.scores.get("tags", {}).get("per_tag", {})
        recalls = {tag: figures["recall"]["value"] for tag, figures in per_tag.items()}
        missed = [
            f"{tag} (recall {recall:.2f})"
            for tag, recall in recalls.items()
            if recall is not None and recall < _MISSED_MORE_OFTEN_THAN_FOUND
        ]
        if missed:
            found.append(f"Missed more often than found: {', '.join(missed)}.")
    found.append("Nothing that is not in the tables above was measured.")
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in found)
