"""Bandwidth of the decoding kernels at Voxtral-Mini-3B's shape, by tile: what `decode_kernels` has as constants.

    python benchmarks/decode_kernels.py [--output benchmarks/results/decode_kernels.json]

Needs a CUDA GPU with 24 GB. A whole step; the attention over 450 positions, for one row and for 64; each product of a
layer: as CUDA graphs over 30 layers, so that no cache holds the weights. Figures are medians.
"""

import argparse
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import torch
import triton

from evoxtral.inference.engines.torch import decode_kernels
from evoxtral.inference.engines.torch.decode_kernels import Attention, OneRow

LAYERS, HIDDEN, INNER, VOCABULARY = 30, 3072, 8192, 131_072
HEADS, KV_HEADS, HEAD_DIM, POSITIONS, FILLED = 32, 8, 128, 800, 450
TILES = [
    (rows, columns, warps) for rows, (columns, warps) in itertools.product((4, 8, 16), ((512, 4), (1024, 4), (1024, 8)))
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    layers, norm, head = weights()
    attention = attention_of(1)
    kernels = OneRow(layers, norm, head, epsilon=1e-5, attention=attention)
    buffers = [
        torch.randn(1, KV_HEADS, POSITIONS, HEAD_DIM, device="cuda", dtype=torch.bfloat16) for _ in range(2 * LAYERS)
    ]
    keys, values = buffers[:LAYERS], buffers[LAYERS:]
    cosine, sine = torch.randn(2, POSITIONS, HEAD_DIM, device="cuda", dtype=torch.bfloat16)
    position = torch.full((1,), FILLED, device="cuda")
    hidden = torch.randn(HIDDEN, device="cuda", dtype=torch.bfloat16)
    products: dict[str, tuple[float, Callable[[], object]]] = {
        "query-key-value": (
            LAYERS * layers[0][1].numel() * 2,
            lambda: [kernels.multiply(layer[1], hidden, kernels._qkv, norm=layer[0]) for layer in layers],
        ),
        "output": (
            LAYERS * layers[0][2].numel() * 2,
            lambda: [
                kernels.multiply(layer[2], attention._heard[0], kernels._hidden, residual=True) for layer in layers
            ],
        ),
        "gate-up": (
            LAYERS * layers[0][4].numel() * 2,
            lambda: [kernels.multiply(layer[4], hidden, kernels._gated, norm=layer[3], gated=True) for layer in layers],
        ),
        "down": (
            LAYERS * layers[0][5].numel() * 2,
            lambda: [kernels.multiply(layer[5], kernels._gated, kernels._hidden, residual=True) for layer in layers],
        ),
        "vocabulary": (head.numel() * 2, lambda: kernels.multiply(head, hidden, kernels._logits, norm=norm)),
    }
    about = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "triton": triton.__version__}
    results: dict[str, object] = {}

    def note(name: str, ms: float, size: float = 0.0) -> None:
        results[name] = {"ms": round(ms, 4)} | ({"tb_per_s": round(size / ms / 1e9, 3)} if size else {})
        print(name, results[name], flush=True)
        if arguments.output:
            arguments.output.write_text(json.dumps(about | {"results": results}, indent=2) + "\n", encoding="utf-8")

    def step() -> None:
        kernels.logits(hidden, cosine, sine, position, keys, values)

    for launch in [kernels.launch] + [{}] * bool(kernels.launch):
        kernels.launch = attention.launch = launch
        note(f"step {launch}", time_ms(step))
    kernels.launch = attention.launch = decode_kernels._early_launch(head)
    for rows in (1, 64):
        shape = (rows, KV_HEADS, POSITIONS, HEAD_DIM)
        filled = [torch.randn(shape, device="cuda", dtype=torch.bfloat16) for _ in range(2 * LAYERS)]
        qkv = torch.randn(rows, (HEADS + 2 * KV_HEADS) * HEAD_DIM, device="cuda", dtype=torch.bfloat16)
        size = LAYERS * rows * 2 * KV_HEADS * FILLED * HEAD_DIM * 2
        for chunk, warps in itertools.product((32, 64, 128), (2, 4, 8)):
            decode_kernels._CHUNK, decode_kernels._ATTENTION_WARPS = chunk, warps
            attend = attention_of(rows)

            def attend_all() -> None:
                for layer_keys, layer_values in zip(filled[:LAYERS], filled[LAYERS:], strict=True):  # noqa: B023
                    attend(qkv, cosine, sine, position, layer_keys, layer_values)  # noqa: B023

            note(f"30 attentions, rows {rows}, chunk {chunk}, warps {warps}", time_ms(attend_all), size)
    for name, (size, run) in products.items():
        for tile in TILES:
            decode_kernels._ROWS, decode_kernels._COLUMNS, decode_kernels._WARPS = tile
            note(f"{name} {tile}", time_ms(run), size)


def attention_of(rows: int) -> Attention:
    like = torch.empty(0, device="cuda", dtype=torch.bfloat16)
    return Attention(rows, heads=HEADS, kv_heads=KV_HEADS, head_dim=HEAD_DIM, positions=POSITIONS, like=like)


def weights() -> tuple[list[tuple[torch.Tensor, ...]], torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, device="cuda", dtype=torch.bfloat16) * shape[-1] ** -0.5

    qkv = (HEADS + 2 * KV_HEADS) * HEAD_DIM
    layers = [
        (
            random(HIDDEN),
            random(qkv, HIDDEN),
            random(HIDDEN, HEADS * HEAD_DIM),
            random(HIDDEN),
            random(2 * INNER, HIDDEN),
            random(HIDDEN, INNER),
        )
        for _ in range(LAYERS)
    ]
    return layers, random(HIDDEN), random(VOCABULARY, HIDDEN)


def time_ms(run: Callable[[], object]) -> float:
    """Median milliseconds of replays of a recorded run."""
    run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    times = []
    for _ in range(25):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return sorted(times[5:])[10]


if __name__ == "__main__":
    main()
