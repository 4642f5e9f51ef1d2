"""Decoding speed of the `torch` engine at Voxtral-Mini-3B's shape with random weights, beside plain `generate`.

    python benchmarks/torch_speed.py [--batches 1 64] [--output benchmarks/results/torch_speed.json]

Needs a CUDA GPU with 24 GB (40 GB for batches of 64) and no download: weights are random, which changes no time. Clips
are 30 s of noise, 100 tokens are written for each. Plain `generate` has a dynamic cache, as the public scripts call it.
The engine's figures begin with samples and end with texts. First, with a tiny model in float32, the tokens of the
engine's recorded steps are compared with those of `generate`. Budgets on an H100: 3.2 ms a token at batch 1; 1,500
times real time at batch 64.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import transformers
from transformers import VoxtralConfig, VoxtralForConditionalGeneration, WhisperFeatureExtractor

from evoxtral.inference.engines.torch import writers
from evoxtral.models.families.voxtral import VoxtralModel

CLIP_S = 30
NEW_TOKENS = 100
HEAD, AUDIO_TOKENS, TAIL = [1, 3, 25], 375, [4, 9909, 1058, 1262, 34]
AUDIO = 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    writers._MAX_NEW_TOKENS = NEW_TOKENS
    same = {name: writes_what_generate_writes(compiled) for name, compiled in (("engine", False), ("compiled", True))}
    print("tokens of a tiny model in float32 are generate's:", same, flush=True)
    model = random_voxtral()
    rng = np.random.default_rng(0)
    rows = []

    def note(row: dict[str, Any]) -> None:
        rows.append(row)
        print(row, flush=True)
        if arguments.output:
            about = {
                "gpu": torch.cuda.get_device_name(),
                "torch": torch.__version__,
                "transformers": transformers.__version__,
                "new_tokens": NEW_TOKENS,
                "clip_s": CLIP_S,
                "float32_tokens_as_generate": same,
                "rows": rows,
            }
            arguments.output.parent.mkdir(parents=True, exist_ok=True)
            arguments.output.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")

    for batch in arguments.batches:
        windows = [rng.normal(0, 0.1, CLIP_S * 16_000).astype(np.float32) for _ in range(batch)]
        note(row("generate", batch, measure(lambda: generate(model, windows)), None))  # noqa: B023
    for compiled in (False, True):
        for batch in arguments.batches:
            windows = [rng.normal(0, 0.1, CLIP_S * 16_000).astype(np.float32) for _ in range(batch)]
            writer = writers.LlamaWriter(speech_of(model), compiled=compiled)
            torch.cuda.reset_peak_memory_stats()
            begin = time.perf_counter()
            writer.transcribe(windows, "en")
            first_s = time.perf_counter() - begin
            whole_s = measure(lambda: writer.transcribe(windows, "en"))  # noqa: B023
            writers._MAX_NEW_TOKENS = 2
            start_s = measure(lambda: writer.transcribe(windows, "en"))  # noqa: B023
            writers._MAX_NEW_TOKENS = NEW_TOKENS
            figures = row("engine, compiled" if compiled else "engine", batch, whole_s, whole_s - start_s)
            note(figures | {"until_second_token_s": round(start_s, 3), "first_call_s": round(first_s, 1)})
            writer.forget_buffers()
            torch.cuda.empty_cache()


def speech_of(model: Any) -> VoxtralModel:
    return VoxtralModel("random", model=model, processor=fake_processor())


def writes_what_generate_writes(compiled: bool) -> bool:
    """Whether the engine's tokens are those of `generate`, with a tiny model in float32."""
    model = random_voxtral(tiny=True)
    windows = [np.random.default_rng(1).normal(0, 0.1, CLIP_S * 16_000).astype(np.float32) for _ in range(4)]
    writer = writers.LlamaWriter(speech_of(model), compiled=compiled)
    same = True
    for batch in (windows, windows[:1]):  # a single row has kernels of its own
        heard = [[int(token) for token in hypothesis.text.split()] for hypothesis in writer.transcribe(batch, "en")]
        same &= heard == generate(model, batch)
    return same


def random_voxtral(tiny: bool = False) -> Any:
    """Voxtral-Mini-3B-2507's shape, 4.7 billion weights in bfloat16, or a toy in float32; all made on the GPU."""
    config = VoxtralConfig(
        audio_config={
            "hidden_size": 64 if tiny else 1280,
            "intermediate_size": 256 if tiny else 5120,
            "num_hidden_layers": 2 if tiny else 32,
            "num_attention_heads": 2 if tiny else 20,
            "num_mel_bins": 128,
            "max_source_positions": 1500,
        },
        text_config={
            "model_type": "llama",
            "vocab_size": 131072,
            "hidden_size": 64 if tiny else 3072,
            "intermediate_size": 128 if tiny else 8192,
            "num_hidden_layers": 2 if tiny else 30,
            "num_attention_heads": 8 if tiny else 32,
            "num_key_value_heads": 2 if tiny else 8,
            "head_dim": 16 if tiny else 128,
            "max_position_embeddings": 131072,
            "rope_theta": 100_000_000.0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 11,
        },
        audio_token_id=AUDIO,
        projector_hidden_act="gelu",
    )
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float32 if tiny else torch.bfloat16)
    with torch.device("cuda"):
        model = VoxtralForConditionalGeneration(config)
    torch.set_default_dtype(torch.float32)
    return model.eval()


def fake_processor() -> Any:
    """What the engine needs of a processor, without the tokenizer's file; no token is the end."""
    request = torch.tensor([[*HEAD, *([AUDIO] * AUDIO_TOKENS), *TAIL]])
    return SimpleNamespace(
        feature_extractor=WhisperFeatureExtractor(feature_size=128),
        apply_transcription_request=lambda **options: {"input_ids": request},
        tokenizer=SimpleNamespace(
            eos_token_id=-1,
            pad_token_id=11,
            batch_decode=lambda rows, **options: [" ".join(map(str, row)) for row in rows],
        ),
    )


@torch.no_grad()
def generate(model: Any, windows: list[np.ndarray]) -> list[list[int]]:
    extractor = fake_processor().feature_extractor
    features = extractor(windows, sampling_rate=16_000, return_tensors="pt", device="cuda").input_features
    ids = torch.tensor([[*HEAD, *([AUDIO] * AUDIO_TOKENS), *TAIL]] * len(windows), device="cuda")
    written = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        input_features=features.to("cuda", model.dtype),
        max_new_tokens=NEW_TOKENS,
        min_new_tokens=NEW_TOKENS,
        do_sample=False,
        pad_token_id=11,
        eos_token_id=-1,
    )
    tokens: list[list[int]] = written[:, ids.shape[1] :].tolist()
    return tokens


def measure(run: Callable[[], object], repeat: int = 3) -> float:
    """Seconds of the best of a few runs after one that does not count."""
    run()
    times = []
    for _ in range(repeat):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return min(times)


def row(name: str, batch: int, seconds: float, decoding_s: float | None) -> dict[str, Any]:
    a_token_s = seconds / NEW_TOKENS if decoding_s is None else decoding_s / (NEW_TOKENS - 2)
    return {
        "name": name,
        "batch": batch,
        "seconds": round(seconds, 3),
        "ms_a_token": round(1000 * a_token_s, 2),
        "times_real_time": round(batch * CLIP_S / seconds),
        "peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 1),
    }


if __name__ == "__main__":
    main()
