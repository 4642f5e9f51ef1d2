"""The edge engine against transformers with the same weights, and models that write a text known beforehand."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, load_audio
from evoxtral.errors import ModelError
from evoxtral.inference import load_engine
from evoxtral.inference.engines.edge import EdgeEngine
from evoxtral.models import resolve_model
from tiny_edge import save_tiny_edge

READING = Path(__file__).parents[3] / "examples" / "reading.opus"
TAGGED = "[excited] It WORKS! [clears throat]"


def sounds(count: int) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(5)
    return [rng.normal(0, 0.1, SAMPLE_RATE_HZ * (2 + index)).astype(np.float32) for index in range(count)]


@pytest.fixture(scope="module", params=[False, True], ids=["english", "multilingual"])
def random_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_edge(tmp_path_factory.mktemp("random"), multilingual=request.param)


@pytest.fixture(scope="module", params=[False, True], ids=["english", "multilingual"])
def writer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_edge(tmp_path_factory.mktemp("writer"), multilingual=request.param, text=TAGGED)


@pytest.fixture
def never_doubts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A random model is unsure of everything: keep it from searching again."""
    monkeypatch.setattr("evoxtral.inference.engines.edge._is_doubtful", lambda found: False)


@pytest.mark.usefixtures("never_doubts")
def test_writes_what_transformers_writes_with_the_same_weights(random_model: Path) -> None:
    import torch
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizerFast

    engine = EdgeEngine(random_model, model="tiny", compute_type="float32")
    windows = [np.tile(sound, 12) for sound in sounds(2)]  # 24 and 36 s: transformers' encoder takes 30 s only
    windows[1] = windows[1][: 30 * SAMPLE_RATE_HZ]
    heard = engine.transcribe_windows(windows)

    source = random_model.parent / "hf"
    whisper = WhisperForConditionalGeneration.from_pretrained(source)
    tokenizer = WhisperTokenizerFast.from_pretrained(source)
    features = WhisperFeatureExtractor.from_pretrained(source)(
        windows, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt"
    ).input_features
    names = ["<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]
    prompt = tokenizer.convert_tokens_to_ids(names if engine.is_multilingual else [names[0], names[-1]])
    for index, hypothesis in enumerate(heard):
        tokens = torch.tensor([prompt])
        with torch.no_grad():
            for _ in range(12):  # greedy search by hand
                logits = whisper(input_features=features[index : index + 1], decoder_input_ids=tokens).logits[0, -1]
                tokens = torch.cat([tokens, logits.argmax().reshape(1, 1)], dim=1)
        written = tokenizer.decode([token for token in tokens[0].tolist() if token < tokenizer.eos_token_id]).strip()
        assert len(written) > 10
        assert hypothesis.text.startswith(written)


def test_tags_and_the_empty_text_can_be_written_though_the_model_forbids_them(tmp_path: Path) -> None:
    for text in (TAGGED, ""):
        folder = save_tiny_edge(tmp_path / (text or "nothing"), text=text)
        config = json.loads((folder / "config.json").read_text())
        assert config["suppress_ids"]
        assert config["suppress_ids_begin"]
        (hypothesis,) = EdgeEngine(folder, model="tiny").transcribe_windows(sounds(1))
        assert hypothesis.text == text
        assert hypothesis.mean_log_probability == (pytest.approx(0, abs=0.01) if text else None)
        assert hypothesis.no_speech_probability is not None


def test_any_number_of_windows_comes_back_in_order(writer: Path) -> None:
    engine = load_engine(str(writer))
    assert engine.name == "ctranslate2"
    assert engine.model == str(writer)
    windows = sounds(engine.batch_size + 3)
    assert [hypothesis.text for hypothesis in engine.transcribe_windows(windows)] == [TAGGED] * len(windows)
    assert engine.transcribe_windows([]) == []


@pytest.mark.usefixtures("never_doubts")
@pytest.mark.parametrize("cores", [1, 2, 4])
@pytest.mark.parametrize("alone_first", [False, True])
def test_a_window_is_heard_the_same_alone_and_in_a_batch(
    random_model: Path, cores: int, alone_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evoxtral.inference.engines.edge.usable_cores", lambda: cores)
    engine = EdgeEngine(random_model, model="tiny", compute_type="float32")
    windows = sounds(engine.batch_size + 1)
    if alone_first:  # another instance of the model then hears single windows
        engine.transcribe_windows(windows[:1])
    together = engine.transcribe_windows(windows)
    aligned = engine.align_windows(windows, [hypothesis.text for hypothesis in together])
    assert len({hypothesis.text for hypothesis in together}) > 1
    for window, hypothesis, tokens in zip(windows, together, aligned, strict=True):
        (alone,) = engine.transcribe_windows([window])
        assert alone.text[:8] == hypothesis.text[:8]
        (aligned_alone,) = engine.align_windows([window], [hypothesis.text])
        assert [token.start_s for token in aligned_alone] == [token.start_s for token in tokens]


@pytest.mark.usefixtures("never_doubts")
def test_windows_of_several_contexts_are_heard_in_one_batch_as_alone(random_model: Path) -> None:
    engine = EdgeEngine(random_model, model="tiny", compute_type="float32")
    lengths_s = (2, 24, 3, 21)
    windows = [
        np.tile(sound, 12)[: length_s * SAMPLE_RATE_HZ] for sound, length_s in zip(sounds(4), lengths_s, strict=True)
    ]
    together = engine.transcribe_windows(windows)
    assert [len(output) for _, output in engine._heard] == [1000, 1500, 1000, 1500]
    aligned = engine.align_windows(windows, [hypothesis.text for hypothesis in together])
    for window, hypothesis, tokens in zip(windows, together, aligned, strict=True):
        (alone,) = engine.transcribe_windows([window])
        assert alone.text[:8] == hypothesis.text[:8]
        (aligned_alone,) = engine.align_windows([window], [hypothesis.text])
        assert [token.start_s for token in aligned_alone] == [token.start_s for token in tokens]


@pytest.mark.usefixtures("never_doubts")
def test_short_contexts_are_for_models_that_were_taught_them(random_model: Path, tmp_path: Path) -> None:
    taught = tmp_path / "taught"
    shutil.copytree(random_model, taught)
    config = json.loads((taught / "config.json").read_text())
    (taught / "config.json").write_text(json.dumps(config | {"least_context_s": 5.0}))
    windows = [np.zeros(length_s * SAMPLE_RATE_HZ, np.float32) for length_s in (2, 5, 6, 15, 16, 21)]

    def encoded_s(folder: Path) -> list[float]:
        return [len(output) / 50 for output in EdgeEngine(folder, model="tiny")._encode(windows)]

    assert encoded_s(random_model) == [20, 20, 20, 20, 20, 30]
    assert encoded_s(taught) == [5, 5, 10, 15, 20, 30]


def test_the_shipped_model_says_that_it_was_taught_short_contexts() -> None:
    engine = EdgeEngine(Path(resolve_model("edge")), model="edge")
    (output,) = engine._encode([np.zeros(2 * SAMPLE_RATE_HZ, np.float32)])
    assert len(output) == 5 * 50


def test_words_have_the_same_times_in_a_short_context(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = load_audio(READING)[: 9 * SAMPLE_RATE_HZ]
    engine = EdgeEngine(Path(resolve_model("edge")), model="edge")
    (heard,) = engine.transcribe_windows([sound])
    (short,) = engine.align_windows([sound], [heard.text])
    monkeypatch.setattr("evoxtral.inference.engines.edge._CONTEXTS_S", (30.0,))
    (whole,) = engine.align_windows([sound.copy()], [heard.text])
    assert len(heard.text.split()) > 12
    differences_s = [abs(one.start_s - other.start_s) for one, other in zip(short, whole, strict=True)]
    assert np.median(differences_s) <= 0.02
    assert np.quantile(differences_s, 0.9) <= 0.1


def test_tokens_are_aligned_in_order_inside_the_window_and_cover_the_text(random_model: Path) -> None:
    engine = EdgeEngine(random_model, model="tiny")
    windows = sounds(3)
    texts = ["Well… it's [laughs] naïve.", "", "Yes."]
    aligned = engine.align_windows(windows, texts)
    assert aligned[1] == []
    for window, text, tokens in zip(windows, texts, aligned, strict=True):
        assert {index for token in tokens for index in range(token.start, token.end)} == set(range(len(text)))
        edges = [edge for token in tokens for edge in (token.start_s, token.end_s)]
        assert edges == sorted(edges)
        assert all(0 <= edge <= len(window) / SAMPLE_RATE_HZ for edge in edges)
        assert all(0 <= token.probability <= 1 for token in tokens)


@pytest.mark.usefixtures("never_doubts")
def test_a_model_that_never_ends_is_stopped(tmp_path: Path) -> None:
    engine = load_engine(str(save_tiny_edge(tmp_path, text="abcdefgh" * 50)))
    (hypothesis,) = engine.transcribe_windows([sounds(1)[0]])  # two seconds
    assert len(hypothesis.text) <= 2 * 12 + 24


def test_what_a_sure_model_repeats_is_given_as_it_is(tmp_path: Path) -> None:
    engine = load_engine(str(save_tiny_edge(tmp_path, text="ha " * 30)))
    (hypothesis,) = engine.transcribe_windows([sounds(7)[6]])
    assert hypothesis.text == " ".join(["ha"] * 30)


def test_languages_are_told_apart_only_where_the_configuration_lists_several(tmp_path: Path) -> None:
    folder = save_tiny_edge(tmp_path, multilingual=True)
    windows = sounds(2)
    found = EdgeEngine(folder, model="tiny").detect_languages(windows)
    for probabilities in found:
        assert probabilities is not None
        assert {"en", "de"} <= set(probabilities)
        assert sum(probabilities.values()) == pytest.approx(1.0, abs=1e-3)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"lang_ids": config["lang_ids"][:1]}))
    assert EdgeEngine(folder, model="tiny").detect_languages(windows) == [None, None]
    english = EdgeEngine(save_tiny_edge(tmp_path / "english"), model="tiny")
    assert english.detect_languages(windows) == [None, None]


def test_what_is_no_model_is_refused(tmp_path: Path, writer: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_engine(str(tmp_path))
    (tmp_path / "model.bin").write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match=r"has no tokenizer\.json"):
        load_engine(str(tmp_path))
    for name in ("model.bin", "config.json", "vocabulary.json"):
        (tmp_path / name).write_bytes((writer / name).read_bytes())
    (tmp_path / "tokenizer.json").write_bytes((writer / "tokenizer.json").read_bytes()[:-50])
    with pytest.raises(ModelError, match=r"tokenizer\.json: is damaged"):
        load_engine(str(tmp_path))
    (tmp_path / "model.bin").write_bytes(b"nothing of the kind")
    (tmp_path / "tokenizer.json").write_bytes((writer / "tokenizer.json").read_bytes())
    with pytest.raises(ModelError, match="is not a CTranslate2 Whisper model"):
        load_engine(str(tmp_path))
    with pytest.raises(ModelError, match="takes no adapter"):
        load_engine(str(writer), "some/adapter")


def test_languages(writer: Path) -> None:
    engine = EdgeEngine(writer, model="tiny")
    if engine.is_multilingual:
        assert engine.transcribe_windows(sounds(1), language="de")[0].text == TAGGED
        with pytest.raises(ModelError, match="no language 'xx'"):
            engine.transcribe_windows(sounds(1), language="xx")
    else:
        with pytest.raises(ModelError, match="English only"):
            engine.transcribe_windows(sounds(1), language="de")
