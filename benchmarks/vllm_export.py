"""Whether vLLM reads what `evoxtral hub export --format vllm` writes, at Voxtral-Mini-3B's shape with random weights.

    python benchmarks/vllm_export.py build FOLDER     # base and adapter, and their exports, merged and as an adapter
    python benchmarks/vllm_export.py ours FOLDER      # what transformers and the torch engine write
    python benchmarks/vllm_export.py merged FOLDER    # what vLLM writes with the merged export, beside those
    python benchmarks/vllm_export.py adapter FOLDER   # the same with the adapter, and with one that PEFT named
    python benchmarks/vllm_export.py speed FOLDER [--quantization fp8]

Each command is a process of its own: two engines do not share a GPU. Needs a CUDA GPU with 40 GB, 60 GB of disk, and
for the last three vLLM (0.26 was tried). `--tiny` builds a toy, on a processor too. Weights are random but lively, so
that what is written depends on what is heard; nothing is downloaded. Adds to FOLDER/figures.json.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLIP_S, RATE_HZ = 30, 16_000
CLIPS, NEW_TOKENS = 8, 24
RANK = 64
SPEED_BATCHES, SPEED_TOKENS = (1, 64, 256), 100
# The published checkpoints' names of the parts that transformers names otherwise in memory.
PUBLISHED = {
    "model.language_model.": "language_model.model.",
    "model.audio_tower.": "audio_tower.",
    "model.multi_modal_projector.": "multi_modal_projector.",
    "lm_head.": "language_model.lm_head.",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["build", "ours", "merged", "adapter", "speed"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--quantization", help="for speed: vLLM's, such as fp8")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    begin = time.monotonic()
    if arguments.command == "build":
        build(folder, tiny=arguments.tiny)
    elif arguments.command == "ours":
        note(folder, "ours", write_with_ours(folder))
    elif arguments.command == "merged":
        engine = vllm_engine(folder / "merged")
        note(folder, "merged", beside_ours(folder, write_with_vllm(engine, folder / "merged")))
    elif arguments.command == "adapter":
        note(folder, "adapter", with_adapters(folder))
    else:
        name = f"speed {arguments.quantization or 'bf16'}"
        note(folder, name, speed(folder / "merged", arguments.quantization))
    print(f"{arguments.command}: {time.monotonic() - begin:.0f} s", flush=True)


def note(folder: Path, name: str, figures: Any) -> None:
    path = folder / "figures.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.write_text(json.dumps(known | {name: figures}, indent=2) + "\n", encoding="utf-8")
    if name != "ours":
        print(name, json.dumps(figures, indent=1), flush=True)


def build(folder: Path, *, tiny: bool) -> None:
    """FOLDER/base as a checkpoint is published, FOLDER/lora as training saves it, and what is exported of them."""
    import torch
    from safetensors.torch import save_file
    from torch_speed import voxtral_config
    from transformers import VoxtralForConditionalGeneration

    from evoxtral.hub.exporting import export
    from evoxtral.hub.mistral_layout import sinusoids
    from evoxtral.training.adapters import add_adapter, save_adapter
    from evoxtral.training.recipe import Lora
    from evoxtral.training.trainee import Trainee

    base = folder / "base"
    base.mkdir(parents=True)
    save_processor(base)
    config = voxtral_config(tiny)
    config.dtype, config.architectures = torch.bfloat16, ["VoxtralForConditionalGeneration"]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        model = VoxtralForConditionalGeneration(config)
    torch.set_default_dtype(torch.float32)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.ndim == 2:
                weights.normal_(0, 0.6 / weights.shape[1] ** 0.5)
            if name.endswith("embed_positions.weight"):
                weights.copy_(sinusoids(*weights.shape))
    config.save_pretrained(base)
    state = {published(name): weights.cpu().contiguous() for name, weights in model.state_dict().items()}
    save_file(state, base / "model.safetensors", {"format": "pt"})
    del state, model
    from evoxtral.models.checkpoints import load_checkpoint

    trainee = Trainee(load_checkpoint(base, dtype=torch.bfloat16))
    adapted = add_adapter(trainee, Lora(rank=RANK, alpha=2 * RANK))
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weights in adapted.named_parameters():
            if "lora_B" in name:
                weights.normal_(0, 0.01)
    save_adapter(adapted, str(base), folder / "lora")
    del trainee, adapted
    for output, as_adapter in (("merged", False), ("served", True)):
        begin = time.monotonic()
        export(f"{base}+{folder / 'lora'}", folder / output, form="vllm", as_adapter=as_adapter)
        print(f"exported {output} in {time.monotonic() - begin:.0f} s", flush=True)


def published(name: str) -> str:
    for inner, outer in PUBLISHED.items():
        if name.startswith(inner):
            return outer + name.removeprefix(inner)
    raise ValueError(name)


def save_processor(folder: Path) -> None:
    """Write the processor, with all of Tekken's vocabulary and Voxtral's control tokens."""
    import mistral_common
    from mistral_common.tokens.tokenizers.base import SpecialTokens
    from transformers import VoxtralProcessor, WhisperFeatureExtractor
    from transformers.tokenization_mistral_common import MistralCommonBackend

    tekken = json.loads((Path(mistral_common.__file__).parent / "data" / "tekken_240911.json").read_text("utf-8"))
    specials = int(tekken["config"]["default_num_special_tokens"])
    tekken["config"]["version"] = "v7"
    controls = {0: "<unk>", 1: "<s>", 2: "</s>", 3: "[INST]", 4: "[/INST]", 11: "<pad>", 24: "[AUDIO]"}
    controls |= {25: "[BEGIN_AUDIO]", 34: "[TRANSCRIBE]"}
    others = (token.value for token in SpecialTokens if token.value not in controls.values())
    names = [controls.get(rank) or next(others, f"<SPECIAL_{rank}>") for rank in range(specials)]
    tekken["special_tokens"] = [
        {"rank": rank, "token_str": name, "is_control": True} for rank, name in enumerate(names)
    ]
    tekken["audio"] = {
        "sampling_rate": RATE_HZ,
        "frame_rate": 12.5,
        "chunk_length_s": 30.0,
        "audio_encoding_config": {"num_mel_bins": 128, "hop_length": 160, "window_size": 400},
    }
    tekken.pop("image", None)
    tekken.pop("multimodal", None)
    path = folder / "tekken.json"
    path.write_text(json.dumps(tekken), encoding="utf-8")
    processor = VoxtralProcessor(
        WhisperFeatureExtractor(feature_size=128, sampling_rate=RATE_HZ),
        MistralCommonBackend(tokenizer_path=str(path)),
    )
    processor.save_pretrained(folder)


def clips(count: int, seed: int) -> list[NDArray[np.float32]]:
    """Tones in noise, each another."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(CLIP_S * RATE_HZ) / RATE_HZ
    tones = [np.sin(2 * np.pi * (100 + 300 * rng.random()) * time_s) * rng.random() for _ in range(count)]
    return [(0.1 * tone + 0.02 * rng.standard_normal(len(time_s))).astype(np.float32) for tone in tones]


def write_with_ours(folder: Path) -> dict[str, list[list[int]]]:
    """Tokens of the base, and of base and adapter, by `generate` and by the torch engine's writer."""
    import torch

    from evoxtral.inference.engines.torch import writers
    from evoxtral.models.checkpoints import attach_adapter, load_checkpoint

    device = "cuda" if torch.cuda.is_available() else "cpu"
    writers._MAX_NEW_TOKENS = NEW_TOKENS
    windows = clips(CLIPS, 1)
    found: dict[str, list[list[int]]] = {}
    for name in ("base", "adapter"):
        speech: Any = load_checkpoint(folder / "base", dtype=torch.bfloat16)
        if name == "adapter":
            # As PEFT runs it, float32 adapter beside a bfloat16 base, before it is merged.
            adapted = attach_adapter(speech.model, folder / "lora")
            found["adapter by peft"] = generate(adapted.to(device), speech, windows)
            speech.model = adapted.merge_and_unload()
        speech.model.to(device).eval()
        found[f"{name} by generate"] = generate(speech.model, speech, windows)
        speech.end_token = -1  # random weights end nothing, but may meet the end token
        speech.tokenizer = SimpleNamespace(
            eos_token_id=-1,
            pad_token_id=11,
            batch_decode=lambda rows, **options: [" ".join(map(str, row)) for row in rows],
        )
        heard = dict(writers.LlamaWriter(speech).transcribe(windows, "en", rows=CLIPS))
        found[f"{name} by the engine"] = [list(map(int, heard[clip].text.split())) for clip in range(CLIPS)]
        del speech
    return found


def generate(model: Any, speech: Any, windows: Sequence[NDArray[np.float32]]) -> list[list[int]]:
    import torch

    device = next(model.parameters()).device
    prompt = torch.tensor([speech.prompt(1, "en")] * len(windows), device=device)
    features = speech.features(torch.from_numpy(np.stack(windows)).to(device), [1] * len(windows))
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16):
        written = model.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            input_features=features.to(torch.bfloat16),
            max_new_tokens=NEW_TOKENS,
            min_new_tokens=NEW_TOKENS,
            do_sample=False,
            pad_token_id=11,
            eos_token_id=None,
        )
    tokens: list[list[int]] = written[:, prompt.shape[1] :].tolist()
    return tokens


def vllm_engine(model: Path, **options: Any) -> Any:
    os.environ.setdefault("VLLM_USE_FLASHINFER_SAMPLER", "0")
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from vllm import LLM

    settings: dict[str, Any] = {
        "tokenizer_mode": "mistral",
        "config_format": "mistral",
        "load_format": "mistral",
        "max_model_len": 2048,
        "limit_mm_per_prompt": {"audio": 1},
        "dtype": "bfloat16",
        # Repeated clips would be served from a cache.
        "enable_prefix_caching": False,
        "mm_processor_cache_gb": 0,
        "gpu_memory_utilization": 0.6,
        "enforce_eager": True,
    }
    return LLM(model=str(model), **(settings | options))


def read_tokenizer(model: Path) -> Any:
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    return MistralTokenizer.from_file(str(model / "tekken.json")).instruct_tokenizer


def vllm_prompts(tokenizer: Any, windows: Sequence[NDArray[np.float32]]) -> list[dict[str, Any]]:
    """Mistral's own request."""
    from mistral_common.protocol.transcription.request import TranscriptionRequest
    from mistral_common.tokens.tokenizers.audio import Audio

    prompts = []
    for window in windows:
        audio = Audio(window, RATE_HZ, format="wav").to_base64("wav")
        request = tokenizer.encode_transcription(TranscriptionRequest(model="voxtral", audio=audio, language="en"))
        heard = [(found.audio_array, RATE_HZ) for found in request.audios]
        prompts.append({"prompt_token_ids": request.tokens, "multi_modal_data": {"audio": heard}})
    return prompts


def write_with_vllm(engine: Any, model: Path, **options: Any) -> list[list[int]]:
    from vllm import SamplingParams

    sampling = SamplingParams(max_tokens=NEW_TOKENS, temperature=0, ignore_eos=True)
    written = engine.generate(vllm_prompts(read_tokenizer(model), clips(CLIPS, 1)), sampling, use_tqdm=False, **options)
    return [list(clip.outputs[0].token_ids) for clip in written]


def beside_ours(folder: Path, tokens: list[list[int]]) -> dict[str, Any]:
    """Of each way of ours: clips with the same tokens throughout, and how many agree until the first that differs."""
    ours = json.loads((folder / "figures.json").read_text(encoding="utf-8"))["ours"]
    figures = {}
    for name, texts in ours.items():
        until = [
            next((place for place, (a, b) in enumerate(zip(mine, other, strict=True)) if a != b), NEW_TOKENS)
            for mine, other in zip(texts, tokens, strict=True)
        ]
        figures[name] = {"same": sum(place == NEW_TOKENS for place in until), "of": CLIPS, "agree_until": until}
    return figures


def with_adapters(folder: Path) -> dict[str, Any]:
    from vllm.lora.request import LoRARequest

    served = folder / "served"
    base = served / "base"
    engine = vllm_engine(base, enable_lora=True, max_lora_rank=RANK)
    figures = {"without adapter": beside_ours(folder, write_with_vllm(engine, base))}
    for number, (name, adapter) in enumerate({"ours": served / "adapter", "peft": folder / "lora"}.items(), 1):
        try:
            request = LoRARequest(name, number, str(adapter))
            figures[name] = beside_ours(folder, write_with_vllm(engine, base, lora_request=request))
        except Exception as error:  # PEFT's adapter has weights for the projector
            figures[name] = {"refused": f"{type(error).__name__}: {str(error)[:200]}"}
    return figures


def speed(model: Path, quantization: str | None) -> list[dict[str, Any]]:
    """Samples in, tokens out, prompts made within the time, best of several."""
    from vllm import SamplingParams

    engine = vllm_engine(model, enforce_eager=False, gpu_memory_utilization=0.85, quantization=quantization)
    tokenizer = read_tokenizer(model)
    rows = []
    for batch in SPEED_BATCHES:
        best: dict[int, float] = {}
        for tokens in (2, SPEED_TOKENS):
            sampling = SamplingParams(max_tokens=tokens, temperature=0, ignore_eos=True)
            times = []
            for turn in range(4 if batch < max(SPEED_BATCHES) else 2):
                windows = clips(batch, 1000 * batch + 10 * tokens + turn)
                begin = time.perf_counter()
                engine.generate(vllm_prompts(tokenizer, windows), sampling, use_tqdm=False)
                times.append(time.perf_counter() - begin)
            best[tokens] = min(times)
        rows.append(
            {
                "batch": batch,
                "seconds": round(best[SPEED_TOKENS], 3),
                "until_second_token_s": round(best[2], 3),
                "ms_a_token": round(1000 * (best[SPEED_TOKENS] - best[2]) / (SPEED_TOKENS - 2), 2),
                "times_real_time": round(batch * CLIP_S / best[SPEED_TOKENS]),
            }
        )
        print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main()
