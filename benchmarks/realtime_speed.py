"""Streams at a time of a Voxtral Realtime at the shape of Voxtral-Mini-4B-Realtime with random weights.

    python benchmarks/realtime_speed.py [--streams 1 16 64] [--output benchmarks/results/realtime_speed.json]
    python benchmarks/realtime_speed.py --tiny   # the same of a toy in float32, on a processor too: whether it runs

Needs a CUDA GPU with 24 GB (80 GB for many streams), and neither a download nor mistral-common: weights are random,
which changes no time. Every 80 ms each stream sends a frame of noise; a step reads a frame of all of them. As many are
held at real time as the 95th percentile of steps stays below 80 ms. Steps are measured after 28 s of sound, as
utterances have at most, and after 655 s, when the decoder's rings are full. Whole recordings of 30 s are measured too.
First, with a tiny model in float32, tokens are compared with those of transformers' own `generate`.
"""

import argparse
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from transformers import (
    VoxtralRealtimeConfig,
    VoxtralRealtimeFeatureExtractor,
    VoxtralRealtimeForConditionalGeneration,
)

from evoxtral.inference.engines.torch.frame_decoder import decode_frames
from evoxtral.inference.engines.torch.frame_streams import FrameStream, FrameStreams
from evoxtral.models.families.voxtral_realtime import VoxtralRealtimeModel

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RATE_HZ, FRAME, FRAME_MS = 16_000, 1280, 80
LEFT_FRAMES, DELAY, PADDING = 32, 6, 32
CONTEXTS = (388, 8192)  # frames: 28 s of sound with the silence before it, and full rings
CLIP_S = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 8, 32, 64, 96, 128, 192, 256])
    parser.add_argument("--clips", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--steps", type=int, default=40, help="measured of each")
    parser.add_argument("--tiny", action="store_true", help="a toy in float32; says nothing of speed")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    contexts, clip_s = CONTEXTS, CLIP_S
    if arguments.tiny:
        arguments.streams, arguments.clips, arguments.steps = [1, 3], [2], 4
        contexts, clip_s = (50, 100), 2
    same = writes_what_generate_writes()
    print("tokens of a tiny model in float32 are generate's:", same, flush=True)
    results: dict[str, Any] = {
        "gpu": torch.cuda.get_device_name() if DEVICE == "cuda" else None,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "tiny": arguments.tiny,
        "delay_ms": DELAY * FRAME_MS,
        "float32_tokens_as_generate": same,
        "held_at_real_time": {},
        "streams": [],
        "clips": [],
    }

    def note(kind: str, figures: dict[str, Any]) -> None:
        results[kind].append(figures)
        print(figures, flush=True)
        if arguments.output:
            arguments.output.parent.mkdir(parents=True, exist_ok=True)
            arguments.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")

    speech = random_model(arguments.tiny)
    results["weights_gb"] = round(sum(part.nbytes for part in speech.model.parameters()) / 1e9, 2)
    with torch.inference_mode():
        for context in contexts:
            for count in arguments.streams:
                figures = measure_streams(speech, count, context, arguments.steps)
                note("streams", figures)
                if figures.get("step_p95_ms", FRAME_MS + 1) > FRAME_MS:
                    break
                results["held_at_real_time"][f"after {context} frames"] = count
        for count in arguments.clips:
            note("clips", measure_clips(speech, count, clip_s))
    print("held at real time:", results["held_at_real_time"])


def measure_streams(speech: Any, count: int, context: int, steps: int) -> dict[str, Any]:
    """Steps of so many streams that have heard so many frames."""
    empty_cache()
    figures: dict[str, Any] = {"streams": count, "frames_before": context}
    rng = np.random.default_rng(0)
    try:
        streams = FrameStreams(speech)
        all_of_them = [FrameStream(DELAY, speech.opening(DELAY)) for _ in range(count)]

        def step() -> float:
            sounds = [noise(rng, FRAME) for _ in all_of_them]
            synchronise()
            start_s = time.perf_counter()
            streams.write(all_of_them, sounds, [False] * count)
            synchronise()
            return 1000 * (time.perf_counter() - start_s)

        figures["first_ms"] = round(step(), 1)  # with the silence before all sound, which is read once
        for stream in all_of_them:
            skipped = max(0, context - steps - stream.position)
            stream.position += skipped  # what the rings hold changes no time
            stream.heard += skipped * FRAME
        for _ in range(3):
            step()
        times_ms = [step() for _ in range(steps)]
        figures |= {
            "step_ms": round(float(np.median(times_ms)), 2),
            "step_p95_ms": round(float(np.percentile(times_ms, 95)), 2),
            "state_mb_a_stream": round(streams.state_bytes / count / 1e6, 1),
        }
        sounds = [noise(rng, FRAME // 2) for _ in all_of_them]
        start_s = time.perf_counter()
        streams.write(all_of_them, sounds, [True] * count)
        synchronise()
        figures["end_ms"] = round(1000 * (time.perf_counter() - start_s), 1)
        if DEVICE == "cuda":
            figures["peak_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 1)
    except torch.OutOfMemoryError:
        figures["out_of_memory"] = True
    return figures


def measure_clips(speech: Any, count: int, clip_s: int) -> dict[str, Any]:
    """Whole recordings in one batch."""
    empty_cache()
    rng = np.random.default_rng(0)
    audio = torch.from_numpy(np.stack([noise(rng, clip_s * RATE_HZ) for _ in range(count)])).to(DEVICE)
    figures: dict[str, Any] = {"clips": count, "clip_s": clip_s}
    for name in ("first_s", "seconds"):
        start_s = time.perf_counter()
        decode_frames(speech, audio, [audio.shape[1]] * count, DELAY)
        synchronise()
        figures[name] = round(time.perf_counter() - start_s, 2)
    figures["times_real_time"] = round(count * clip_s / figures["seconds"], 1)
    if DEVICE == "cuda":
        figures["peak_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 1)
    return figures


def writes_what_generate_writes() -> bool:
    """Of a tiny model in float32: streams in pieces, whole recordings, and transformers' `generate`."""
    speech = random_model(tiny=True)
    samples = noise(np.random.default_rng(1), 3 * RATE_HZ)
    audio = torch.from_numpy(samples).to(DEVICE)[None]
    with torch.inference_mode():
        (row,) = decode_frames(speech, audio, [len(samples)], DELAY)
        features = speech.whole_features(audio, DELAY)
        opening = torch.tensor([speech.opening(DELAY)], device=DEVICE)
        written = speech.model.generate(
            input_ids=opening, input_features=features, num_delay_tokens=DELAY, do_sample=False
        )
    expected = [token for token in written[0, opening.shape[1] :].tolist() if token not in speech.control_tokens]
    streams, stream = FrameStreams(speech), FrameStream(DELAY, speech.opening(DELAY))
    text = "".join(
        streams.write([stream], [samples[start : start + 3000]], [start + 3000 >= len(samples)])[0]
        for start in range(0, len(samples), 3000)
    )
    return row.tokens == expected and text == "".join(f"{token} " for token in expected)


def random_model(tiny: bool) -> Any:
    """A model with random weights, of the published shape or a toy."""
    rope = {"rope_type": "default", "rope_theta": 1e6}
    audio: dict[str, Any] = {"model_type": "voxtral_realtime_encoder", "sliding_window": 750, "rope_parameters": rope}
    text: dict[str, Any] = {"model_type": "voxtral_realtime_text", "sliding_window": 8192, "rope_parameters": rope}
    if tiny:
        audio |= {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 1}
        audio |= {"head_dim": 16, "sliding_window": 40, "initializer_range": 0.2}
        text |= {"vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
        text |= {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "sliding_window": 64}
        text |= {"initializer_range": 0.2}
    torch.manual_seed(0)
    dtype = torch.float32 if tiny or DEVICE == "cpu" else torch.bfloat16
    torch.set_default_dtype(dtype)
    with torch.device(DEVICE):
        model = VoxtralRealtimeForConditionalGeneration(VoxtralRealtimeConfig(audio_config=audio, text_config=text))
    torch.set_default_dtype(torch.float32)
    model.generation_config.eos_token_id = None
    return VoxtralRealtimeModel("random", model=model.eval(), processor=fake_processor())


def fake_processor() -> Any:
    """What the family asks of a processor, without mistral-common; no token ends a text."""
    audio_encoder = SimpleNamespace(
        audio_config=SimpleNamespace(
            is_streaming=True,
            n_left_pad_tokens=LEFT_FRAMES,
            raw_audio_length_per_tok=FRAME,
            get_num_delay_tokens=lambda: DELAY,
            n_right_pad_tokens=lambda delay_ms: delay_ms // FRAME_MS + 1 + 10,
        ),
        streaming_pad=PADDING,
        encode_streaming_tokens=lambda delay_ms: [PADDING] * (LEFT_FRAMES + delay_ms // FRAME_MS),
    )
    bytes_of = SimpleNamespace(
        id_to_byte_piece=lambda token: f"{token} ".encode(), get_special_token=lambda name: PADDING + 1
    )
    instruct = SimpleNamespace(start=lambda: [1], audio_encoder=audio_encoder, tokenizer=bytes_of)
    tokenizer = SimpleNamespace(
        eos_token_id=-1, all_special_ids=[*range(64)], tokenizer=SimpleNamespace(instruct_tokenizer=instruct)
    )
    return SimpleNamespace(tokenizer=tokenizer, feature_extractor=VoxtralRealtimeFeatureExtractor())


def noise(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    return rng.normal(0, 0.1, count).astype(np.float32)


def empty_cache() -> None:
    if DEVICE == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def synchronise() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
