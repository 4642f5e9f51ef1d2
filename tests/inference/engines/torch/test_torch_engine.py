"""The torch engine writes, token by token, what plain `generate` writes with the same weights in float32."""

import logging
import shutil
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.errors import ModelError
from evoxtral.inference import load_engine
from evoxtral.inference.engines.edge import EdgeEngine
from evoxtral.inference.engines.protocol import LanguageDetector, TokenStreamer
from evoxtral.inference.engines.torch.greedy_decoder import GreedyDecoder
from evoxtral.inference.engines.torch.kv_cache import DecodedRow, DecodeState
from evoxtral.inference.engines.torch.torch_engine import TorchEngine
from tiny_edge import save_tiny_edge
from tiny_models import save_tiny_voxtral, save_tiny_whisper

MAX_NEW_TOKENS = 40


@pytest.fixture(autouse=True)
def _short_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random models rarely end by themselves."""
    monkeypatch.setattr("evoxtral.inference.engines.torch.writers._MAX_NEW_TOKENS", MAX_NEW_TOKENS)


def sounds(*durations_s: float) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(7)
    return [rng.normal(0, 0.1, int(seconds * SAMPLE_RATE_HZ)).astype(np.float32) for seconds in durations_s]


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def voxtral(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_voxtral(tmp_path_factory.mktemp("voxtral"))


def decode(decoder: GreedyDecoder, prompts: torch.Tensor, max_new_tokens: int) -> list[DecodedRow]:
    """All texts at a time, after prompts of one length."""
    texts = dict(decoder.decode([prompts], max_new_tokens, rows=len(prompts)))
    return [texts[number] for number in range(len(prompts))]


def generate(folder: Path, windows: list[NDArray[np.float32]], *, adapter: Path | None = None) -> list[str]:
    """Plain `generate` of transformers, one window at a time."""
    from transformers import VoxtralForConditionalGeneration, VoxtralProcessor

    model: Any = VoxtralForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, adapter)
    processor = VoxtralProcessor.from_pretrained(folder)
    texts = []
    for window in windows:
        inputs = processor.apply_transcription_request(
            audio=[window], model_id="any", language="en", sampling_rate=SAMPLE_RATE_HZ, format=["WAV"]
        )
        with torch.no_grad():
            written = model.generate(**inputs, max_new_tokens=MAX_NEW_TOKENS, do_sample=False)
        tokens = written[0, inputs["input_ids"].shape[1] :]
        texts.append(processor.tokenizer.decode(tokens, skip_special_tokens=True).strip())
    return texts


def test_voxtral_writes_what_generate_writes(voxtral: Path) -> None:
    windows = sounds(3.0, 30.0, 1.0)
    engine = load_engine(str(voxtral))
    assert (engine.name, engine.max_window_s) == ("torch", 30.0)
    heard = engine.transcribe_windows(windows)
    expected = generate(voxtral, windows)
    assert [hypothesis.text for hypothesis in heard] == expected
    assert len(set(expected)) > 1
    assert sum(map(len, expected)) > 40


def test_compiling_is_for_gpus_and_needs_no_compiler_elsewhere(voxtral: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("compiled on a processor")

    monkeypatch.setattr(torch, "compile", refuse)
    monkeypatch.setattr(torch.nn.Module, "compile", refuse)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    windows = sounds(1.0)
    heard = load_engine(str(voxtral), compiled=True).transcribe_windows(windows)
    assert [hypothesis.text for hypothesis in heard] == generate(voxtral, windows)


@pytest.fixture(scope="module")
def adapter(voxtral: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from peft import LoraConfig, get_peft_model
    from transformers import VoxtralForConditionalGeneration

    torch.manual_seed(1)
    model = VoxtralForConditionalGeneration.from_pretrained(voxtral, dtype=torch.float32)
    wrapped = get_peft_model(model, LoraConfig(r=4, target_modules=r".*language_model.*\.(q_proj|down_proj)"))
    for name, weight in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2)
    folder = tmp_path_factory.mktemp("adapter")
    wrapped.save_pretrained(folder)
    return folder


def test_an_adapter_is_part_of_the_model_however_it_is_named(voxtral: Path, adapter: Path) -> None:
    windows = sounds(3.0, 5.0)
    expected = generate(voxtral, windows, adapter=adapter)
    assert expected != generate(voxtral, windows)
    for engine in (
        load_engine(str(voxtral), str(adapter)),
        load_engine(f"{voxtral}+{adapter}"),
        load_engine(str(adapter)),  # names its base itself
    ):
        assert [hypothesis.text for hypothesis in engine.transcribe_windows(windows)] == expected


def test_whisper_writes_what_generate_writes(whisper: Path) -> None:
    from transformers import (
        GenerationConfig,
        GenerationMixin,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperTokenizerFast,
    )

    windows = sounds(1.0, 4.0, 2.0)
    heard = load_engine(str(whisper)).transcribe_windows(windows)

    model = WhisperForConditionalGeneration.from_pretrained(whisper, dtype=torch.float32).eval()
    model.generation_config = GenerationConfig(eos_token_id=256, pad_token_id=256)
    tokenizer = WhisperTokenizerFast.from_pretrained(whisper)
    extractor = WhisperFeatureExtractor.from_pretrained(whisper)
    names = ["<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]
    prompt = torch.tensor([tokenizer.convert_tokens_to_ids(names)])
    for window, hypothesis in zip(windows, heard, strict=True):
        features = extractor(window, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt").input_features
        written = GenerationMixin.generate(
            model,
            inputs=features,
            decoder_input_ids=prompt,
            generation_config=GenerationConfig(
                max_length=44, eos_token_id=256, pad_token_id=256, decoder_start_token_id=257
            ),
        )
        expected = tokenizer.decode(written[0, prompt.shape[1] :], skip_special_tokens=True).strip()
        assert hypothesis.text == expected


@pytest.mark.parametrize("family", ["voxtral", "whisper"])
def test_an_unknown_language_is_refused(family: str, request: pytest.FixtureRequest) -> None:
    engine = load_engine(str(request.getfixturevalue(family)))
    for language in ("xx", "english", ""):
        with pytest.raises(ModelError, match=f"no language '{language}'"):
            engine.transcribe_windows(sounds(1.0), language=language)


@pytest.mark.parametrize("family", ["voxtral", "whisper"])
def test_a_text_streams_as_it_is_written_whatever_is_written_meanwhile(
    family: str, request: pytest.FixtureRequest
) -> None:
    engine = load_engine(str(request.getfixturevalue(family)))
    assert isinstance(engine, TokenStreamer)
    windows = sounds(3.0, 1.0)
    expected = [engine.transcribe_windows([window])[0].text for window in windows]
    assert len(set(expected)) > 1
    streams = [engine.stream_window(window) for window in windows]
    pieces: list[list[str]] = [[] for _ in windows]
    for number, round_of_pieces in enumerate(zip_longest(*streams, fillvalue="")):
        for of_stream, piece in zip(pieces, round_of_pieces, strict=True):
            of_stream.append(piece)
        if number == 0:
            engine.transcribe_windows(windows[:1])
    assert ["".join(of_stream) for of_stream in pieces] == expected
    assert max(len([piece for piece in of_stream if piece]) for of_stream in pieces) > 1


def test_a_stream_is_left_at_any_time_and_ends_with_the_end_token(voxtral: Path) -> None:
    from transformers import VoxtralForConditionalGeneration

    model = VoxtralForConditionalGeneration.from_pretrained(voxtral, dtype=torch.float32).eval()
    torch.manual_seed(0)
    prompt = 0.2 * torch.randn(1, 9, 64)
    decoder = GreedyDecoder(model.model.language_model, model.lm_head, end_token=-1, positions=64)
    free = decode(decoder, prompt, 30)[0].tokens
    end = free[6]
    decoder = GreedyDecoder(model.model.language_model, model.lm_head, end_token=end, positions=64)
    stream = decoder.stream(prompt, 30)
    assert next(stream) == free[0]
    stream.close()
    assert list(decoder.stream(prompt, 30)) == free[: free.index(end)]
    assert list(decoder.stream(prompt, 3)) == free[:3]
    with pytest.raises(ValueError, match="more than 64"):
        next(decoder.stream(prompt, 60))


def test_rows_end_by_themselves_and_their_probabilities_are_those_of_their_tokens(voxtral: Path) -> None:
    from transformers import VoxtralForConditionalGeneration

    model = VoxtralForConditionalGeneration.from_pretrained(voxtral, dtype=torch.float32).eval()
    torch.manual_seed(0)
    prompts = 0.2 * torch.randn(5, 9, 64)
    with torch.no_grad():
        free = [
            model.generate(inputs_embeds=row[None], max_new_tokens=30, do_sample=False, eos_token_id=None)[0].tolist()
            for row in prompts
        ]
    # An end token that one row writes early, another late or never.
    end = free[0][6]
    decoder = GreedyDecoder(model.model.language_model, model.lm_head, end_token=end, positions=64)
    for written, tokens, prompt in zip(decode(decoder, prompts, 30), free, prompts, strict=True):
        expected = tokens[: tokens.index(end)] if end in tokens else tokens
        assert written.tokens == expected
        counted = tokens[: len(expected) + 1]
        with torch.no_grad():
            embedded = model.model.language_model.embed_tokens(torch.tensor(counted[:-1], dtype=torch.long))
            logits = model(inputs_embeds=torch.cat([prompt, embedded])[None]).logits[0, len(prompt) - 1 :]
        chances = logits.log_softmax(-1).gather(1, torch.tensor(counted)[:, None])
        assert written.mean_log_probability == pytest.approx(float(chances.mean()), abs=1e-4)


def test_a_decoder_is_used_again_for_other_batches(voxtral: Path) -> None:
    from transformers import VoxtralForConditionalGeneration

    model = VoxtralForConditionalGeneration.from_pretrained(voxtral, dtype=torch.float32).eval()
    decoder = GreedyDecoder(model.model.language_model, model.lm_head, end_token=2, positions=64)
    torch.manual_seed(0)
    prompts = 0.2 * torch.randn(4, 9, 64)
    together = decode(decoder, prompts, 20)
    assert [decode(decoder, prompts[row : row + 1], 20)[0].tokens for row in range(4)] == [
        row.tokens for row in together
    ]
    assert decode(decoder, prompts, 20) == together
    # Texts that nobody waits for any more leave nothing behind.
    next(decoder.decode([prompts[2:], prompts[:2]], 20, rows=4))
    assert decode(decoder, prompts, 20) == together
    with pytest.raises(ValueError, match="more than 64"):
        decode(decoder, prompts, 60)


def test_texts_take_the_places_of_those_that_end_and_are_as_if_each_were_alone(
    voxtral: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import VoxtralForConditionalGeneration

    model = VoxtralForConditionalGeneration.from_pretrained(voxtral, dtype=torch.float32).eval()
    random = torch.Generator().manual_seed(5)
    # Prompts of three lengths, one of them in several groups.
    groups = [
        0.2 * torch.randn(rows, length, 64, generator=random) for rows, length in ((3, 9), (1, 14), (4, 5), (3, 9))
    ]
    prompts = [row for group in groups for row in group]

    def alone(end: int | None) -> list[list[int]]:
        with torch.no_grad():
            return [
                model.generate(inputs_embeds=row[None], max_new_tokens=30, do_sample=False, eos_token_id=end)[
                    0
                ].tolist()
                for row in prompts
            ]

    # An end that some write at once, others in the middle, and others never.
    free = alone(None)
    written = {token for row in free for token in row}
    end = max(sorted(written), key=lambda token: len({row.index(token) for row in free if token in row}))
    ends = [row.index(end) if end in row else None for row in free]
    assert len(set(ends)) > 3
    assert None in ends
    expected = [row[:place] for row, place in zip(free, ends, strict=True)]
    decoder = GreedyDecoder(model.model.language_model, model.lm_head, end_token=end, positions=64)
    steps: list[int] = []
    advance = decoder._advance

    def count(state: DecodeState, attended: int) -> None:
        steps.append(state.rows)
        advance(state, attended)

    monkeypatch.setattr(decoder, "_advance", count)
    for rows in (1, 2, 5, 16):
        order = []
        texts = {}
        for number, text in decoder.decode(iter(groups), 30, rows=rows):
            order.append(number)
            texts[number] = text.tokens
        assert [texts[number] for number in range(len(prompts))] == expected
        assert sorted(order) == list(range(len(prompts)))
        assert rows == 1 or order != sorted(order)
    # Nothing waits for the longest text: with two places there are half as many steps as tokens, nearly.
    tokens = sum(min(29, 30 if place is None else place) for place in ends)
    assert steps.count(1) == tokens
    assert steps.count(2) <= tokens / 2 + 30


def test_a_batch_that_does_not_fit_is_halved_and_said(
    voxtral: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = load_engine(str(voxtral))
    assert isinstance(engine, TorchEngine)
    windows = sounds(2.0, 1.0, 3.0, 1.5, 2.5)
    expected = engine.transcribe_windows(windows)
    whole = engine._writer.transcribe

    def cramped(batch: list[NDArray[np.float32]], language: str, *, rows: int) -> Any:
        # One text is there before memory runs out.
        for number, hypothesis in whole(batch, language, rows=rows):
            yield number, hypothesis
            if rows > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(engine._writer, "transcribe", cramped)
    engine._set_rows(4)
    with caplog.at_level(logging.WARNING):
        again = engine.transcribe_windows(windows)
    assert [hypothesis.text for hypothesis in again] == [hypothesis.text for hypothesis in expected]
    assert engine.batch_size == 2
    assert [record.getMessage() for record in caplog.records] == [
        "out of GPU memory with 4 windows at a time; going on with 2",
        "out of GPU memory with 2 windows at a time; going on with 1",
    ]

    def full(batch: list[NDArray[np.float32]], language: str, *, rows: int) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(engine._writer, "transcribe", full)
    with pytest.raises(ModelError, match="one window does not fit"):
        engine.transcribe_windows(windows)


def test_what_cannot_be_run_is_refused(tmp_path: Path, voxtral: Path) -> None:
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="is a bert model"):
        load_engine(str(tmp_path / "bert"))
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="names no base model"):
        load_engine(str(tmp_path / "adapter"))
    with pytest.raises(ModelError, match="names an adapter already"):
        load_engine(f"{voxtral}+{tmp_path / 'adapter'}", "another")


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"[1]"])
@pytest.mark.parametrize("family", ["voxtral", "whisper", "adapter"])
def test_damaged_files_are_one_line(
    family: str, damage: Callable[[bytes], bytes], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source: Path = request.getfixturevalue(family)
    vital = {"config.json", "model.safetensors", "tekken.json", "tokenizer.json", "preprocessor_config.json"}
    vital |= {"processor_config.json", "adapter_config.json", "adapter_model.safetensors"}
    names = [path.name for path in source.iterdir() if path.name in vital]
    assert len(names) >= 2
    for name in names:
        folder = tmp_path / name.partition(".")[0]
        shutil.copytree(source, folder)
        (folder / name).write_bytes(damage((source / name).read_bytes()))
        with pytest.raises(ModelError, match=f"^{folder}: cannot be loaded: .+") as caught:
            load_engine(*([str(request.getfixturevalue("voxtral"))] if family == "adapter" else []), str(folder))
        assert "\n" not in str(caught.value)


def test_an_adapter_of_other_layers_is_refused(voxtral: Path, adapter: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "renamed"
    shutil.copytree(adapter, folder)
    weights = load_file(folder / "adapter_model.safetensors")
    save_file({f"other.{name}": weight for name, weight in weights.items()}, folder / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="missing adapter keys"):
        load_engine(str(voxtral), str(folder))


def test_a_whisper_without_its_tokenizer_is_refused(whisper: Path, tmp_path: Path) -> None:
    shutil.copytree(whisper, tmp_path / "bare", ignore=shutil.ignore_patterns("tokenizer*"))
    with pytest.raises(ModelError, match="has no tokenizer of a Whisper"):
        load_engine(str(tmp_path / "bare"))


def test_a_whisper_tells_the_languages_that_the_edge_engine_tells_of_the_same_weights(tmp_path: Path) -> None:
    folder = save_tiny_edge(tmp_path, multilingual=True)
    windows = sounds(21.0, 30.0, 25.0)  # shorter ones are encoded in 20 s there
    engine = load_engine(str(tmp_path / "hf"))
    assert isinstance(engine, LanguageDetector)
    expected = EdgeEngine(folder, model="tiny", compute_type="float32").detect_languages(windows)
    for mine, theirs in zip(engine.detect_languages(windows), expected, strict=True):
        assert mine is not None
        assert theirs is not None
        # The configuration of the tiny model names two of them so that CTranslate2 knows them as languages.
        assert set(mine) == set(theirs)
        for language, probability in theirs.items():
            assert mine[language] == pytest.approx(probability, abs=2e-3)


def test_an_adapter_leaves_the_language_to_the_base(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import WhisperForConditionalGeneration

    save_tiny_edge(tmp_path, multilingual=True)
    base = tmp_path / "hf"
    torch.manual_seed(1)
    model: Any = WhisperForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    wrapped = get_peft_model(model, LoraConfig(r=4, target_modules=r".*(decoder|encoder).*\.(q_proj|fc1)"))
    for name, weight in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
    wrapped.save_pretrained(tmp_path / "adapter")
    wrapped.merge_and_unload().save_pretrained(tmp_path / "merged")
    for file in base.glob("*token*"):
        shutil.copy(file, tmp_path / "merged")
    shutil.copy(base / "preprocessor_config.json", tmp_path / "merged")

    windows = sounds(2.0, 3.0)
    adapted, plain = load_engine(f"{base}+{tmp_path / 'adapter'}"), load_engine(str(base))
    merged = load_engine(str(tmp_path / "merged"))
    assert isinstance(adapted, LanguageDetector)
    assert isinstance(plain, LanguageDetector)
    assert isinstance(merged, LanguageDetector)
    before = [hypothesis.text for hypothesis in adapted.transcribe_windows(windows)]
    for own, of_adapted, of_merged in zip(
        *(engine.detect_languages(windows) for engine in (plain, adapted, merged)), strict=True
    ):
        assert own is not None
        assert of_adapted == pytest.approx(own, abs=1e-5)
        assert of_merged != pytest.approx(own, abs=1e-2)
    # The adapter is on again afterwards.
    assert [hypothesis.text for hypothesis in adapted.transcribe_windows(windows)] == before
    assert before != [hypothesis.text for hypothesis in plain.transcribe_windows(windows)]


def test_a_model_of_one_language_and_voxtral_tell_none(whisper: Path, voxtral: Path) -> None:
    for folder in (whisper, voxtral):
        engine = load_engine(str(folder))
        assert isinstance(engine, LanguageDetector)
        assert engine.detect_languages(sounds(1.0, 2.0)) == [None, None]
