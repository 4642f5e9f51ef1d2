"""A family that only its own module knows: Moonshine, which hears raw samples and has no spectrogram, is trained and
transcribed with, and nothing but the row below says how.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from evoxtral.inference import load_engine
from evoxtral.models.families import registry
from evoxtral.models.families.protocol import Dimensions, Family
from evoxtral.training import load_recipe, plan_recipe, run_recipe
from tiny_models import save_tiny_whisper, write_corpus


def model_class() -> Any:
    from transformers import MoonshineForConditionalGeneration

    return MoonshineForConditionalGeneration


class MoonshineModel:
    """See `SpeechModel`. Windows of 4 s; its tokenizer is the tiny Whisper's."""

    window_samples = 64_000
    max_window_s: float | None = 4.0
    max_positions: int | None = 128

    def __init__(self, base: str, *, dtype: Any) -> None:
        from transformers import WhisperTokenizerFast

        self.family = MOONSHINE
        self.model: Any = model_class().from_pretrained(base, dtype=dtype)
        self.tokenizer: Any = WhisperTokenizerFast.from_pretrained(base)
        self.end_token = self.padding_token = self.model.config.eos_token_id

    @property
    def encoder(self) -> Any:
        return self.model.model.encoder

    @property
    def decoder(self) -> Any:
        return self.model.model.decoder

    def prompt(self, windows: int, language: str | None) -> list[int]:
        return [self.model.config.decoder_start_token_id]

    def encode_target(self, text: str) -> list[int]:
        return [*self.tokenizer.encode(text, add_special_tokens=False), self.end_token]

    def features(
        self,
        audio: torch.Tensor,
        windows: Sequence[int],
        change: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> torch.Tensor:
        whole = torch.nn.functional.pad(audio, (0, self.window_samples - audio.shape[1]))
        return whole if change is None else change(whole)

    def logits(self, model: Any, ids: torch.Tensor, features: torch.Tensor, first: int) -> torch.Tensor:
        logits: torch.Tensor = model(input_values=features, decoder_input_ids=ids, use_cache=False).logits
        return logits[:, first:]

    def generate(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        features: torch.Tensor,
        max_new_tokens: int,
        decoding: Mapping[str, Any],
    ) -> torch.Tensor:
        ids = torch.tensor(prompts, device=features.device)
        written = model.generate(
            input_values=features,
            decoder_input_ids=ids,
            max_new_tokens=max_new_tokens,
            pad_token_id=self.padding_token,
            **decoding,
        )
        new: torch.Tensor = written[:, ids.shape[1] :]
        return new

    def reader(self, features: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        encoded = self.encoder(features)
        cache: Any = None

        def read(tokens: torch.Tensor) -> torch.Tensor:
            nonlocal cache
            output = self.model(
                encoder_outputs=encoded, decoder_input_ids=tokens, past_key_values=cache, use_cache=True
            )
            cache = output.past_key_values
            logits: torch.Tensor = output.logits[:, -1].float()
            return logits

        return read

    def save_processor(self, folder: Path) -> None:
        self.tokenizer.save_pretrained(folder)


MOONSHINE = Family(
    name="moonshine",
    title="Moonshine",
    model_types=("moonshine",),
    model_class=model_class,
    load=MoonshineModel,
    dimensions=lambda config: Dimensions(
        encoder_layers=config.encoder_num_hidden_layers,
        encoder_width=config.hidden_size,
        encoder_frames=165,
        decoder_layers=config.decoder_num_hidden_layers,
        decoder_width=config.hidden_size,
        vocabulary=config.vocab_size,
    ),
    lora_targets=r"model\.decoder\.layers\.\d+\.((self|encoder)_attn\.(q|k|v|o)_proj|mlp\.fc[12])",
    adapted_parts="decoder's linear layers",
    encoder_lora_targets=r"model\.encoder\.layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.fc[12])",
    encoder_modules=("model.encoder.",),
    cross_modules=("encoder_attn.k_proj", "encoder_attn.v_proj"),
    max_window_s=4.0,
)


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    registry.register_family(MOONSHINE)
    yield
    del registry._REGISTERED["moonshine"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import GenerationConfig, MoonshineConfig, WhisperTokenizerFast

    folder = tmp_path_factory.mktemp("moonshine")
    tokenizer = WhisperTokenizerFast.from_pretrained(save_tiny_whisper(tmp_path_factory.mktemp("tokenizer")))
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    torch.manual_seed(0)
    ids = {"bos_token_id": end + 1, "decoder_start_token_id": end + 1, "eos_token_id": end, "pad_token_id": end}
    model = model_class()(
        MoonshineConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            encoder_num_hidden_layers=1,
            decoder_num_hidden_layers=2,
            encoder_num_attention_heads=2,
            decoder_num_attention_heads=2,
            initializer_range=0.2,
            **ids,
        )
    )
    with torch.no_grad():  # padding is the end token here, whose row of zeros could never be written
        model.model.decoder.embed_tokens.weight[end].normal_(0, 0.2)
    model.generation_config = GenerationConfig(**ids)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_family_of_one_module_is_planned_trained_merged_and_transcribed_with(base: Path, tmp_path: Path) -> None:
    texts = ["[sad] Oh.", "Go on"]
    corpus = write_corpus(tmp_path / "corpus", texts)
    content = {
        "name": "tiny",
        "family": "moonshine",
        "base": str(base),
        "output": str(tmp_path / "run"),
        "data": {"train": [{"path": str(corpus)}], "validation": [{"path": str(corpus)}]},
        "lora": {"dropout": 0.0, "adapt_encoder": True},
        "optimisation": {
            "learning_rate": 3e-3,
            "batch_size": 2,
            "epochs": 40,
            "neftune_alpha": 0,
            "anchor": 0.1,
            "precision": "float32",
        },
        "evaluation": {"max_new_tokens": 20},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    recipe = load_recipe(tmp_path / "recipe.yaml")
    plan = plan_recipe(recipe)
    assert plan.lines[-1] == "time: unknown, no step of such a model was measured"
    record = run_recipe(recipe)
    assert plan.estimate is not None
    assert plan.estimate.trained_parameters == record.stages["sft"]["metrics"]["trained_parameters"]
    assert [json.loads(line)["hypothesis"] for line in (recipe.output / "predictions.jsonl").open()] == texts

    import soundfile

    windows = [soundfile.read(corpus / "audio" / f"train-{n}.flac", dtype="float32")[0] for n in range(2)]
    adapter = str(recipe.output / "adapter")
    for engine in (load_engine(str(recipe.output / "merged")), load_engine(str(base), adapter)):
        assert engine.max_window_s == 4.0
        heard = engine.transcribe_windows(windows)
        assert [hypothesis.text for hypothesis in heard] == texts
        assert all(hypothesis.mean_log_probability is not None for hypothesis in heard)
        assert "".join(engine.stream_window(np.asarray(windows[0]))) == texts[0]  # type: ignore[attr-defined]


def test_what_is_not_registered_is_not_known(base: Path) -> None:
    from evoxtral.errors import ModelError

    saved = registry._REGISTERED.pop("moonshine")
    try:
        with pytest.raises(ModelError, match="is a moonshine model"):
            load_engine(str(base))
    finally:
        registry.register_family(saved)
