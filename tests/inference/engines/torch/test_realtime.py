"""A Voxtral Realtime writes, token by token, what plain `generate` writes with the same weights in float32."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.errors import ModelError
from evoxtral.inference import load_engine, transcribe
from evoxtral.inference.engines.protocol import TokenStreamer
from evoxtral.inference.engines.torch.frame_decoder import decode_frames, stream_frames
from evoxtral.inference.engines.torch.sliding_cache import SlidingCache
from evoxtral.models.checkpoints import load_checkpoint
from tiny_models import save_tiny_realtime, save_tiny_voxtral

OPENING = 1 + 4 + 6  # <s>, silence before the sound, the delay of 480 ms


def sounds(*durations_s: float, seed: int = 7) -> list[NDArray[np.float32]]:
    """Bursts of noise and tones between silence; of 16 bits, because mistral-common passes sound on as WAV."""
    rng = np.random.default_rng(seed)
    windows = []
    for duration_s in durations_s:
        count = round(duration_s * SAMPLE_RATE_HZ)
        window = np.zeros(count)
        start = 0
        while start < count:
            end = start + int(rng.integers(600, 5000))
            level = rng.choice([0.0, 0.02, 0.2])
            seconds = np.arange(min(end, count) - start) / SAMPLE_RATE_HZ
            tone = np.sin(2 * np.pi * rng.uniform(100, 4000) * seconds)
            window[start:end] = level * (tone if rng.random() < 0.5 else rng.normal(0, 0.4, len(seconds)))
            start = end
        windows.append((window.clip(-0.49, 0.49) * 32768).round().astype(np.float32) / np.float32(32768))
    return windows


@pytest.fixture(scope="module")
def realtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With windows of 0.8 and 2 seconds, so that short sounds reach beyond them."""
    return save_tiny_realtime(tmp_path_factory.mktemp("realtime"), windows=(40, 25))


def generate(folder: Path, window: NDArray[np.float32], *, delay_ms: float = 480.0) -> list[int]:
    """All tokens after the opening that plain `generate` of transformers writes, with its own processor."""
    from transformers import VoxtralRealtimeForConditionalGeneration, VoxtralRealtimeProcessor

    model: Any = VoxtralRealtimeForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    processor = VoxtralRealtimeProcessor.from_pretrained(folder)
    processor.mistral_common_audio_config.transcription_delay_ms = delay_ms
    inputs = processor(window, return_tensors="pt")
    with torch.no_grad():
        written: list[int] = model.generate(**inputs, do_sample=False)[0].tolist()
    return written[inputs["input_ids"].shape[1] :]


def text_tokens(tokens: list[int]) -> list[int]:
    if 2 in tokens:
        tokens = tokens[: tokens.index(2)]
    return [token for token in tokens if token >= 64]


def text_of(folder: Path, tokens: list[int]) -> str:
    """Of the tokens of text alone: a character's bytes may have padding between them."""
    from transformers import VoxtralRealtimeProcessor

    tokenizer = VoxtralRealtimeProcessor.from_pretrained(folder).tokenizer
    return str(tokenizer.decode(text_tokens(tokens), skip_special_tokens=True)).strip()


def test_rows_of_a_batch_write_what_generate_writes(realtime: Path) -> None:
    windows = sounds(6.0, 3.3, 1.0, 0.01)
    speech: Any = load_checkpoint(realtime, dtype=torch.float32)
    speech.model.eval()
    audio = torch.zeros(len(windows), len(windows[0]))
    for row, window in zip(audio, windows, strict=True):
        row[: len(window)] = torch.from_numpy(window)
    rows = decode_frames(speech, audio, [len(window) for window in windows], speech.default_delay)
    expected = [generate(realtime, window) for window in windows]
    assert [row.tokens for row in rows] == [text_tokens(tokens) for tokens in expected]
    assert len(set(expected[0])) > 8
    for window, tokens in zip(windows, expected, strict=True):
        streamed = stream_frames(speech, torch.from_numpy(window)[None], speech.default_delay)
        assert list(streamed) == text_tokens(tokens)


@pytest.mark.parametrize("delay_ms", [80, 240, 960])
def test_with_another_delay_too(realtime: Path, delay_ms: int) -> None:
    (window,) = sounds(2.0, seed=delay_ms)
    (heard,) = load_engine(str(realtime), delay_ms=delay_ms).transcribe_windows([window])
    expected = generate(realtime, window, delay_ms=delay_ms)
    assert heard.text == text_of(realtime, expected)
    assert heard.text != text_of(realtime, generate(realtime, window))


def test_the_engine_writes_what_generate_writes(realtime: Path) -> None:
    windows = sounds(1.0, 5.0, 2.0, 30.0)
    engine = load_engine(str(realtime))
    assert (engine.name, engine.max_window_s) == ("torch", 30.0)
    expected = [text_of(realtime, generate(realtime, window)) for window in windows]
    assert [heard.text for heard in engine.transcribe_windows(windows)] == expected
    assert isinstance(engine, TokenStreamer)
    assert "".join(engine.stream_window(windows[1])) == expected[1]
    # No prompt names a language: what it is told changes nothing.
    assert [heard.text for heard in engine.transcribe_windows(windows[:1], language="fr")] == expected[:1]


def test_how_sure_it_is_is_told_of_text_alone(realtime: Path) -> None:
    """By transformers' own scores of the tokens that are text."""
    from transformers import VoxtralRealtimeForConditionalGeneration, VoxtralRealtimeProcessor

    (window,) = sounds(2.0)
    model: Any = VoxtralRealtimeForConditionalGeneration.from_pretrained(realtime, dtype=torch.float32).eval()
    inputs = VoxtralRealtimeProcessor.from_pretrained(realtime)(window, return_tensors="pt")
    with torch.no_grad():
        told = model.generate(**inputs, do_sample=False, output_scores=True, return_dict_in_generate=True)
    written = told.sequences[0, OPENING:].tolist()
    scores = [step[0].log_softmax(-1)[token].item() for step, token in zip(told.scores, written, strict=True)]
    kept = [score for score, token in zip(scores, written, strict=True) if token >= 64]
    (heard,) = load_engine(str(realtime)).transcribe_windows([window])
    assert heard.mean_log_probability == pytest.approx(np.mean(kept), abs=1e-4)


def test_silence_is_no_text_and_a_recording_is_transcribed(realtime: Path, tmp_path: Path) -> None:
    engine = load_engine(str(realtime))
    transcript = transcribe(np.zeros(3 * SAMPLE_RATE_HZ, np.float32), engine=engine)
    assert (transcript.text, transcript.model) == ("", str(realtime))


def test_a_delay_is_frames_of_80_ms_of_a_model_that_has_one(
    realtime: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for delay_ms in (0, 100, 2480, -80):
        with pytest.raises(ModelError, match=f"a delay of {delay_ms} ms is not to be had"):
            load_engine(str(realtime), delay_ms=delay_ms)
    voxtral = str(save_tiny_voxtral(tmp_path_factory.mktemp("voxtral")))
    for model in ("edge", voxtral):
        with pytest.raises(ModelError, match="has no delay to choose"):
            load_engine(model, delay_ms=480)


def test_a_ring_holds_the_last_positions_whatever_each_row_stands_at() -> None:
    """Against keys of all positions with the mask of the window written out."""
    window, queries = 5, 3
    torch.manual_seed(0)
    everything = torch.randn(2, 1, 400, 4)
    cache = SlidingCache(window, queries)
    starts = torch.tensor([0, 0])
    for step in range(60):
        positions = starts[:, None] + torch.arange(queries)
        cache.reserve(2, int(positions.max()) + 1)
        mask = cache.place(positions)
        new = torch.stack([everything[row, :, at] for row, at in enumerate(positions)])
        keys, values = cache.update(new, 2 * new, 0)
        assert torch.equal(values, 2 * keys)
        for row in range(2):
            for query in range(queries):
                seen = keys[row, 0, mask[row, 0, query]]
                last = int(positions[row, query])
                expected = everything[row, 0, max(0, last - window + 1) : last + 1]
                assert torch.equal(seen.sort(dim=0).values, expected.sort(dim=0).values)
        # The second row waits at each third step: what it wrote is written again.
        starts = starts + torch.tensor([queries, 0 if step % 3 == 0 else queries])
    assert cache.size == window + queries - 1
