"""The Whisper family: any Whisper checkpoint, in windows of 30 s.

Knows Whisper's prompt, targets, features and module names; nothing of schedules, checkpoints or data sources.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    GenerationMixin,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizerFast,
)

from evoxtral.errors import RecipeError
from evoxtral.models.log_mel import LogMel, to_whole_windows
from evoxtral.training.augment import augment
from evoxtral.training.family import (
    Batch,
    TokenLogits,
    checkpoint_activations,
    decoding,
    make_batch,
    missing_base,
    run_model,
)
from evoxtral.training.packing import Window
from evoxtral.training.recipe import Augmentation


class WhisperFamily:
    """A Whisper checkpoint for training.

    Args:
        base: folder or hub id.
        language: ISO 639-1 code that the prompt names; ignored by English-only checkpoints, which know no languages.
    """

    name = "whisper"

    def __init__(self, base: str, *, language: str | None = "en") -> None:
        try:
            self.model: Any = WhisperForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
            self._extractor = WhisperFeatureExtractor.from_pretrained(base)
            self.tokenizer: Any = WhisperTokenizerFast.from_pretrained(base)
        except (OSError, ValueError) as error:
            raise missing_base(base, error) from error
        # Published checkpoints forbid brackets and an empty text at generation, whatever config `generate` is given.
        generation = self.model.generation_config
        generation.suppress_tokens = generation.begin_suppress_tokens = generation.forced_decoder_ids = None
        # 30 s for every published checkpoint.
        self.max_window_s: float | None = self._extractor.chunk_length
        self._features = LogMel(self._extractor)
        self._end: int = self.tokenizer.convert_tokens_to_ids("<|endoftext|>")
        tokens = ["<|startoftranscript|>", "<|notimestamps|>"]
        if getattr(self.model.generation_config, "is_multilingual", False):
            tokens[1:1] = [f"<|{language or 'en'}|>", "<|transcribe|>"]
        self.prompt: list[int] = self.tokenizer.convert_tokens_to_ids(tokens)

    def encode_target(self, text: str) -> list[int]:
        """Token ids of a target with its end token. Whisper's own transcripts begin with a space, so these do too."""
        text = text.strip()
        tokens: list[int] = self.tokenizer.encode(" " + text, add_special_tokens=False) if text else []
        return [*tokens, self._end]

    def collate(self, windows: Sequence[Window]) -> Batch:
        targets = [self.encode_target(window.text) for window in windows]
        limit = self.model.config.max_target_positions
        for window, target in zip(windows, targets, strict=True):
            if len(self.prompt) + len(target) - 1 > limit:
                raise RecipeError(
                    f"a target of more than {limit} tokens: {window.text[:60]!r}...",
                    "leave the clip out or lower packing.probability",
                )
        return make_batch(windows, [self.prompt] * len(windows), targets, self._end)

    def token_logits(
        self, model: Any, batch: Batch, augmentation: Augmentation | None, *, with_base: bool = False
    ) -> TokenLogits:
        # No mask is needed for padding on the right: attention is causal, and padded positions carry no loss.
        inputs = {
            "input_features": self._input_features(batch["samples"], augmentation),
            "decoder_input_ids": batch["input_ids"],
            "use_cache": False,
        }
        plain, base_inputs = batch["plain"], None
        if with_base and plain.any():
            rows = {name: inputs[name][plain] for name in ("input_features", "decoder_input_ids")}
            base_inputs = inputs | rows
        return run_model(model, inputs, batch["labels"], base_inputs)

    @torch.no_grad()
    def transcribe(self, model: Any, batch: Batch, max_new_tokens: int, temperature: float = 0.0) -> list[str]:
        samples = batch["samples"]
        features = self._input_features(samples, None)
        prompt = torch.tensor(self.prompt, device=samples.device).expand(len(samples), -1)
        config = GenerationConfig(
            max_length=min(len(self.prompt) + max_new_tokens, self.model.config.max_target_positions),
            eos_token_id=self._end,
            pad_token_id=self._end,
            decoder_start_token_id=self.prompt[0],
            **decoding(temperature),
        )
        # The general `generate`, not Whisper's own: windows are whole and prompts fixed, so none of its long-form
        # logic, fallbacks and suppressed tokens (brackets among them) is wanted.
        written = GenerationMixin.generate(
            model,
            inputs=features,
            attention_mask=torch.ones(len(samples), features.shape[-1], device=samples.device),
            decoder_input_ids=prompt,
            generation_config=config,
        )
        texts: list[str] = self.tokenizer.batch_decode(written[:, len(self.prompt) :], skip_special_tokens=True)
        return [text.strip() for text in texts]

    def checkpoint_activations(self) -> None:
        checkpoint_activations(self.model)

    def compile(self) -> None:
        for layers in (self.model.model.encoder.layers, self.model.model.decoder.layers):
            for layer in layers:
                layer.compile()

    def save_processor(self, folder: Path) -> None:
        self._extractor.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def _input_features(self, samples: torch.Tensor, augmentation: Augmentation | None) -> torch.Tensor:
        audio = to_whole_windows(samples, self._extractor.n_samples)
        if augmentation is not None:
            audio = augment(audio, augmentation)
        features: torch.Tensor = self._features.to(samples.device)(audio)
        return features
