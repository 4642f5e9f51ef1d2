"""A tiny Whisper that CTranslate2 holds as int8, read back: against the first weights, and CTranslate2."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from evoxtral.audio import SAMPLE_RATE_HZ
from tiny_edge import save_tiny_edge

torch = pytest.importorskip("torch")
pytest.importorskip("ctranslate2")

_FILE = Path(__file__).parents[2] / "recipes" / "edge" / "short-contexts" / "whisper_from_ctranslate2.py"
HEADS = [(0, 1)]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location(_FILE.stem, _FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[_FILE.stem] = module
    spec.loader.exec_module(module)
    return module


recipe = _load()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """As transformers keep it, as CTranslate2 keeps it (int8), and read back from that."""
    from evoxtral.training.export import export_ctranslate2

    folder = tmp_path_factory.mktemp("whisper")
    source = save_tiny_edge(folder, multilingual=True, encoder_layers=2).parent / "hf"
    export_ctranslate2(source, folder / "int8", heads=HEADS, quantization="int8")
    recipe.restore(folder / "int8", folder / "restored")
    return source, folder / "int8", folder / "restored"


def test_every_weight_has_its_name_and_is_off_by_half_a_step_at_most(folders: tuple[Path, Path, Path]) -> None:
    from transformers import WhisperForConditionalGeneration

    source, _, restored = folders
    true = WhisperForConditionalGeneration.from_pretrained(source, dtype=torch.float32).state_dict()
    found = WhisperForConditionalGeneration.from_pretrained(restored, dtype=torch.float32).state_dict()
    assert found.keys() == true.keys()
    changed = 0
    for name, weight in true.items():
        assert found[name].shape == weight.shape
        # A row's largest magnitude is 127 steps.
        rows = weight.reshape(len(weight), -1)
        most = rows.abs().amax(1, keepdim=True) / 127 / 2 if weight.ndim > 1 else torch.zeros(1)
        difference = (found[name] - weight).abs().reshape(len(weight), -1)
        assert bool((difference <= most * 1.001 + 1e-6).all()), name
        changed += int(difference.max() > 1e-6)
    assert changed > 10  # what was int8


def test_the_encoder_gives_what_ctranslate2_gives(folders: tuple[Path, Path, Path]) -> None:
    import ctranslate2
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

    source, int8, restored = folders
    sound = np.random.default_rng(1).normal(0, 0.1, 3 * SAMPLE_RATE_HZ).astype(np.float32)
    features = WhisperFeatureExtractor.from_pretrained(restored)(
        sound, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt"
    ).input_features

    def encoded(folder: Path) -> np.ndarray:
        whisper = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        with torch.no_grad():
            return np.asarray(whisper.model.encoder(features).last_hidden_state)

    model = ctranslate2.models.Whisper(str(int8), device="cpu", compute_type="float32")
    theirs = np.array(model.encode(ctranslate2.StorageView.from_array(features.numpy())))
    ours, first = encoded(restored), encoded(source)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)  # the same weights, another arithmetic
    assert np.sqrt(np.mean((ours - first) ** 2)) < 0.1 * first.std()


def test_tokens_languages_and_the_heads_of_alignment_come_with_it(folders: tuple[Path, Path, Path]) -> None:
    from transformers import GenerationConfig, WhisperTokenizerFast

    source, int8, restored = folders
    config = GenerationConfig.from_pretrained(restored)
    assert [tuple(head) for head in config.alignment_heads] == HEADS
    assert sorted(config.lang_to_id.values()) == json.loads((int8 / "config.json").read_text())["lang_ids"]
    text = "Well, [laughs] yes."
    names = ["<|startoftranscript|>", "<|de|>", "<|notimestamps|>", "<|endoftext|>"]
    true, found = (WhisperTokenizerFast.from_pretrained(folder) for folder in (source, restored))
    assert found.encode(text, add_special_tokens=False) == true.encode(text, add_special_tokens=False)
    assert found.convert_tokens_to_ids(names) == true.convert_tokens_to_ids(names)


def test_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes((5).to_bytes(4, "little") + (4).to_bytes(2, "little") + b"Abc\0")
    with pytest.raises(ValueError, match="is a Abc of format 5"):
        recipe.read_arrays(tmp_path / "model.bin")
