"""Decoding speed of the `torch` engine at Voxtral-Mini-3B's shape with random weights, beside plain `generate`.

    python benchmarks/torch_speed.py [--batches 1 64 256] [--output benchmarks/results/torch_speed.json]
    python benchmarks/torch_speed.py --tiny   # the same of a toy in float32, on a processor too: whether it runs

Needs a CUDA GPU with 40 GB and no download: weights are random, which changes no time. Clips are 30 s of noise; for
each 100 tokens are written, or (`varied`) 20 to 180, 100 in the mean. Plain `generate` has a dynamic cache, as the
public scripts call it. The engine's figures begin with samples and end with texts, with two schedules: `batches`, of
which each is read, then decoded until its longest text ends; and `continuous`, in which texts join as others end, and
prompts are read meanwhile. The fastest variant is measured with both, and with rounded weights; with 64 clips and more
there is a profile of it by kernel. First, with a tiny model in float32, the tokens of the engine's recorded steps are
compared with those of `generate`.
"""

import argparse
import gc
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention
from torch.profiler import ProfilerActivity, profile
from transformers import VoxtralConfig, VoxtralForConditionalGeneration, WhisperFeatureExtractor

from evoxtral.inference.engines.protocol import Hypothesis
from evoxtral.inference.engines.torch import writers
from evoxtral.inference.engines.torch.kv_cache import DecodeState, Prefilled
from evoxtral.inference.engines.torch.rounded_weights import round_linears
from evoxtral.models.families.voxtral import VoxtralModel

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CLIP_S = 30
NEW_TOKENS = 100
SHORTEST_TEXT, LONGEST_TEXT = 20, 180
ROWS = 64
HEAD, AUDIO_TOKENS, TAIL = [1, 3, 25], 375, [4, 9909, 1058, 1262, 34]
AUDIO = 24
KERNELS_SHOWN = 15


def main() -> None:
    global NEW_TOKENS, SHORTEST_TEXT, LONGEST_TEXT, ROWS
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64, 256])
    parser.add_argument("--variants", nargs="+", default=["generate", "engine", "compiled"])
    parser.add_argument("--precisions", nargs="+", default=["bf16", "fp8", "int8"], choices=["bf16", "fp8", "int8"])
    parser.add_argument("--places", type=int, default=ROWS, help="texts that are decoded at a time")
    parser.add_argument("--prompts", type=int, default=writers._GROUP_ON_GPU, help="read at a time on a GPU")
    parser.add_argument("--tiny", action="store_true", help="a toy in float32; says nothing of speed")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    ROWS, writers._GROUP_ON_GPU = arguments.places, arguments.prompts
    if arguments.tiny:
        NEW_TOKENS, SHORTEST_TEXT, LONGEST_TEXT, ROWS = 6, 2, 10, 2
    writers._MAX_NEW_TOKENS = LONGEST_TEXT  # what a place has room for
    same = {
        name: writes_what_generate_writes(name == "compiled")
        for name in ("engine", "compiled")
        if name in arguments.variants
    }
    print("tokens of a tiny model in float32 are generate's:", same, flush=True)
    results: dict[str, Any] = {
        "gpu": torch.cuda.get_device_name() if DEVICE == "cuda" else None,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "tiny": arguments.tiny,
        "new_tokens": NEW_TOKENS,
        "varied_tokens": [SHORTEST_TEXT, LONGEST_TEXT],
        "places": ROWS,
        "prompts_at_once": arguments.prompts,
        "clip_s": CLIP_S,
        "float32_tokens_as_generate": same,
        "rows": [],
        "attention_ms": {},
        "tokens_as_bf16": {},
        "profiles": {},
    }

    def note() -> None:
        if arguments.output:
            arguments.output.parent.mkdir(parents=True, exist_ok=True)
            arguments.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")

    def note_row(figures: dict[str, Any]) -> None:
        results["rows"].append(figures)
        print(figures, flush=True)
        note()

    if DEVICE == "cuda":
        results["attention_ms"] = attention_times_ms()
        print(results["attention_ms"], flush=True)
    clips = noise(min(4, ROWS))
    exact: Tensor | None = None
    for precision in arguments.precisions:
        model = random_voxtral(arguments.tiny)
        if precision == "bf16":
            exact = torch.tensor(generate(model, clips), device=DEVICE)
        else:
            round_linears(model, precision, kept=model.lm_head)
            if exact is not None:
                results["tokens_as_bf16"][precision] = round(share_agreed(model, clips, exact), 3)
                print(results["tokens_as_bf16"], flush=True)
        fastest = arguments.variants[-1]
        for name in arguments.variants if precision == "bf16" else [fastest]:
            if name == "generate":
                for batch in (batch for batch in arguments.batches if batch <= ROWS):
                    windows = noise(batch)
                    seconds = measure(lambda: generate(model, windows))  # noqa: B023
                    note_row(row(name, precision, "one batch", batch, NEW_TOKENS * batch, seconds))
                continue
            kinds: dict[str, type[writers.LlamaWriter]] = {"continuous": writers.LlamaWriter}
            if precision == "bf16" and name == fastest:
                kinds = {"batches": BatchByBatch} | kinds
            for schedule, kind in kinds.items():
                writer = kind(speech_of(model), compiled=name == "compiled" and DEVICE == "cuda")
                for batch in arguments.batches:
                    for figures in engine_rows(writer, name, precision, schedule, batch):
                        note_row(figures)
                    if batch >= ROWS and schedule == "continuous" and name == fastest:
                        windows = noise(batch)
                        profiled = by_kernel(lambda: run(writer, windows))  # noqa: B023
                        results["profiles"][f"{name}, {precision}, {batch} clips"] = profiled
                        note()
                writer.forget_buffers()
                empty_cache()


class BatchByBatch(writers.LlamaWriter):
    """Reads all prompts of a batch, then decodes until its longest text ends, and only then begins the next batch."""

    def __init__(self, speech: Any, *, compiled: bool = False) -> None:
        super().__init__(speech, compiled=compiled)
        self._encoded_at_once, self._group = self._group, ROWS

    def transcribe(
        self, windows: Sequence[NDArray[np.float32]], language: str, *, rows: int, keywords: Sequence[str] = ()
    ) -> Iterator[tuple[int, Hypothesis]]:
        for first in range(0, len(windows), rows):
            for number, heard in super().transcribe(windows[first : first + rows], language, rows=rows):
                yield first + number, heard

    def _prompts(self, windows: Sequence[NDArray[np.float32]], language: str) -> Tensor:
        most = self._encoded_at_once
        return torch.cat(
            [
                super(BatchByBatch, self)._prompts(windows[first : first + most], language)
                for first in range(0, len(windows), most)
            ]
        )


class Lengths:
    """While it is used, texts end after so many tokens, in the order of their beginning: random weights end none."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self._lengths = lengths

    def __enter__(self) -> None:
        self._most, writers._MAX_NEW_TOKENS = writers._MAX_NEW_TOKENS, max(self._lengths)
        self._join = join = DecodeState.join
        rest = iter(self._lengths)

        def join_limited(state: DecodeState, places: Sequence[int], prompts: Prefilled, end_token: int) -> None:
            lengths = torch.tensor([next(rest) for _ in places], pin_memory=DEVICE == "cuda")
            index = torch.tensor(places, pin_memory=DEVICE == "cuda").to(DEVICE, non_blocking=True)
            state.limit[index] = lengths.to(DEVICE, non_blocking=True)
            join(state, places, prompts, end_token)

        DecodeState.join = join_limited  # type: ignore[method-assign, assignment]

    def __exit__(self, *_: object) -> None:
        writers._MAX_NEW_TOKENS = self._most
        DecodeState.join = self._join  # type: ignore[method-assign]


def run(writer: writers.LlamaWriter, windows: Sequence[NDArray[np.float32]], lengths: Sequence[int] = ()) -> list[Any]:
    with Lengths(lengths or [NEW_TOKENS] * len(windows)):
        return list(writer.transcribe(windows, "en", rows=ROWS))


def engine_rows(
    writer: writers.LlamaWriter, name: str, precision: str, schedule: str, batch: int
) -> Iterator[dict[str, Any]]:
    """Figures of texts of one length, and for several texts of varied ones."""
    windows = noise(batch)
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()
    begin = time.perf_counter()
    run(writer, windows)
    first_s = time.perf_counter() - begin
    repeat = 3 if batch == 1 else 2
    whole_s = measure(lambda: run(writer, windows), repeat)
    figures = row(name, precision, schedule, batch, NEW_TOKENS * batch, whole_s)
    if batch <= ROWS:
        start_s = measure(lambda: run(writer, windows, [2] * batch), repeat)
        figures["ms_a_token"] = round(1000 * (whole_s - start_s) / (NEW_TOKENS - 2), 2)
        figures["until_second_token_s"] = round(start_s, 3)
    yield figures | {"first_call_s": round(first_s, 1)}
    if batch > 1:
        lengths = np.random.default_rng(2).integers(SHORTEST_TEXT, LONGEST_TEXT, batch, endpoint=True).tolist()
        varied_s = measure(lambda: run(writer, windows, lengths), repeat)
        yield row(name, precision, f"{schedule}, varied", batch, sum(lengths), varied_s)


def by_kernel(work: Callable[[], object]) -> dict[str, Any]:
    """Where the time goes: milliseconds of the kernels that take most, of one run after one that does not count."""
    work()
    synchronise()
    on_gpu = DEVICE == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as profiled:
        begin = time.perf_counter()
        work()
        synchronise()
        wall_s = time.perf_counter() - begin

    def busy_us(event: Any) -> float:
        return float(event.self_device_time_total if on_gpu else event.self_cpu_time_total)

    events = [
        event
        for event in profiled.key_averages()
        if not on_gpu or event.device_type.name != "CPU"  # what launches kernels is none
    ]
    events.sort(key=busy_us, reverse=True)
    kernels = [
        {"name": event.key[:120], "calls": event.count, "ms": round(busy_us(event) / 1000, 2)}
        for event in events[:KERNELS_SHOWN]
    ]
    figures = {
        "wall_ms": round(1000 * wall_s, 1),
        "all_kernels_ms": round(sum(map(busy_us, events)) / 1000, 1),  # more than the wall's where streams overlap
        "kernels": kernels,
    }
    print(json.dumps(figures, indent=1), flush=True)
    return figures


def attention_times_ms() -> dict[str, float]:
    """One layer's attention of 16 clips in the encoder, and of their prompts, with each kernel that PyTorch has."""
    times: dict[str, float] = {}
    shapes = {"encoder": (20, 20, 1500, 64, False), "prompts": (32, 8, 383, 128, True)}
    for part, (heads, kv_heads, length, head_dim, causal) in shapes.items():
        query, key, value = (
            torch.randn(16, number, length, head_dim, device="cuda", dtype=torch.bfloat16)
            for number in (heads, kv_heads, kv_heads)
        )
        for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.EFFICIENT_ATTENTION):

            def attend() -> None:
                for _ in range(20):
                    scaled_dot_product_attention(query, key, value, is_causal=causal, enable_gqa=causal)  # noqa: B023

            try:
                with sdpa_kernel(backend):
                    times[f"{part}, {backend.name}"] = round(1000 * measure(attend) / 20, 3)
            except RuntimeError as error:  # this kernel does not take these shapes
                print(part, backend.name, str(error).splitlines()[0], flush=True)
    return times


def noise(clips: int) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, CLIP_S * 16_000).astype(np.float32) for _ in range(clips)]


def speech_of(model: Any) -> VoxtralModel:
    return VoxtralModel("random", model=model, processor=fake_processor())


def writes_what_generate_writes(compiled: bool) -> bool:
    """Whether the engine's tokens are those of `generate`, with a tiny model in float32."""
    model = random_voxtral(tiny=True)
    windows = noise(4)
    writer = writers.LlamaWriter(speech_of(model), compiled=compiled and DEVICE == "cuda")
    writer._group = 1
    same = True
    for clips, rows in ((4, 4), (4, 2), (2, 1)):  # all at a time, joining, and by the kernels of a single row
        with Lengths([NEW_TOKENS] * clips):
            heard = dict(writer.transcribe(windows[:clips], "en", rows=rows))
        tokens = [[int(token) for token in heard[number].text.split()] for number in range(clips)]
        same &= tokens == generate(model, windows[:clips])
    return same


def voxtral_config(tiny: bool = False) -> VoxtralConfig:
    """Voxtral-Mini-3B-2507's shape, or a toy's with the same vocabulary."""
    return VoxtralConfig(
        audio_config={
            "hidden_size": 64 if tiny else 1280,
            "intermediate_size": 256 if tiny else 5120,
            "num_hidden_layers": 2 if tiny else 32,
            "num_attention_heads": 1 if tiny else 20,
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
            "rms_norm_eps": 1e-5,
            "rope_theta": 100_000_000.0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 11,
            "tie_word_embeddings": False,
        },
        audio_token_id=AUDIO,
        projector_hidden_act="gelu",
    )


def random_voxtral(tiny: bool = False) -> Any:
    """Voxtral-Mini-3B-2507's shape, 4.7 billion weights in bfloat16, or a toy in float32; all made on the GPU."""
    config = voxtral_config(tiny)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float32 if tiny else torch.bfloat16)
    with torch.device(DEVICE):
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
    features = extractor(windows, sampling_rate=16_000, return_tensors="pt").input_features
    ids = torch.tensor([[*HEAD, *([AUDIO] * AUDIO_TOKENS), *TAIL]] * len(windows), device=DEVICE)
    written = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        input_features=features.to(DEVICE, model.dtype),
        max_new_tokens=NEW_TOKENS,
        min_new_tokens=NEW_TOKENS,
        do_sample=False,
        pad_token_id=11,
        eos_token_id=-1,
    )
    tokens: list[list[int]] = written[:, ids.shape[1] :].tolist()
    return tokens


@torch.no_grad()
def share_agreed(model: Any, windows: list[NDArray[np.float32]], tokens: Tensor) -> float:
    """Of tokens that another model wrote, how many this one would write after the same beginnings."""
    features = fake_processor().feature_extractor(windows, sampling_rate=16_000, return_tensors="pt").input_features
    prompts = torch.tensor([[*HEAD, *([AUDIO] * AUDIO_TOKENS), *TAIL]] * len(windows), device=DEVICE)
    read = torch.cat([prompts, tokens[:, :-1]], dim=1)
    logits = model(input_ids=read, input_features=features.to(DEVICE, model.dtype)).logits
    likeliest = logits[:, prompts.shape[1] - 1 :].argmax(-1)
    return float((likeliest == tokens).float().mean())


def measure(work: Callable[[], object], repeat: int = 3) -> float:
    """Seconds of the best of a few runs after one that does not count."""
    work()
    times = []
    for _ in range(repeat):
        synchronise()
        begin = time.perf_counter()
        work()
        synchronise()
        times.append(time.perf_counter() - begin)
    return min(times)


def empty_cache() -> None:
    gc.collect()
    if DEVICE == "cuda":
        torch.cuda.empty_cache()


def synchronise() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def row(name: str, precision: str, schedule: str, batch: int, tokens: int, seconds: float) -> dict[str, Any]:
    return {
        "name": name,
        "precision": precision,
        "schedule": schedule,
        "batch": batch,
        "seconds": round(seconds, 3),
        "ms_a_token": round(1000 * seconds * min(batch, ROWS) / tokens, 2),  # of each place, reading included
        "times_real_time": round(batch * CLIP_S / seconds),
        "peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 1) if DEVICE == "cuda" else None,
    }


if __name__ == "__main__":
    main()
