"""The Voxtral family: Voxtral-Mini-3B, Voxtral-Small-24B and any checkpoint of their classes, audio of any length.

Knows Voxtral's transcription request, targets, features and module names; nothing of schedules, checkpoints or data
sources. The audio tower is frozen: no adapter touches it, and it runs without a graph.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from transformers import GenerationConfig, VoxtralForConditionalGeneration, VoxtralProcessor

from evoxtral.models.log_mel import LogMel, to_whole_windows
from evoxtral.training.augment import augment
from evoxtral.training.clips import SAMPLE_RATE_HZ
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

_CHUNK_S: Final = 30


class VoxtralFamily:
    """A Voxtral checkpoint for training.

    Args:
        model: the pretrained model, whose audio tower is run as inference runs it: in its own precision, and as if in
            evaluation.
        processor: its tokenizer and feature extractor.
        request: token ids of the model's own transcription request for 30 s of audio.
    """

    name = "voxtral"
    max_window_s: float | None = None

    def __init__(self, model: Any, processor: Any, request: Sequence[int]) -> None:
        self.model = model
        self.tokenizer: Any = processor.tokenizer
        self._processor = processor
        self._features = LogMel(processor.feature_extractor)
        self._end: int = self.tokenizer.eos_token_id
        self._padding: int = self.tokenizer.pad_token_id
        self._chunk_samples = _CHUNK_S * SAMPLE_RATE_HZ
        audio = model.config.audio_token_id
        first = request.index(audio)
        self._chunk_tokens = request.count(audio)
        self._head, self._tail = list(request[:first]), list(request[first + self._chunk_tokens :])
        tower = model.model.audio_tower
        tower.requires_grad_(False)
        tower.forward = _outside_autocast(tower.forward)

    @classmethod
    def load(cls, base: str, *, language: str | None = "en", dtype: torch.dtype = torch.bfloat16) -> "VoxtralFamily":
        """Load a checkpoint.

        Args:
            base: folder or hub id.
            language: ISO 639-1 code that the transcription request names; None lets the model find it.
            dtype: of the frozen weights.
        """
        try:
            model = VoxtralForConditionalGeneration.from_pretrained(base, dtype=dtype)
            processor: Any = VoxtralProcessor.from_pretrained(base)
        except (OSError, ValueError) as error:
            raise missing_base(base, error) from error
        request = processor.apply_transcription_request(
            audio=[np.zeros(SAMPLE_RATE_HZ, dtype=np.float32)],
            model_id=base,
            language=language,
            sampling_rate=SAMPLE_RATE_HZ,
            format=["WAV"],
        )
        return cls(model, processor, request["input_ids"][0].tolist())

    def prompt(self, samples: int) -> list[int]:
        """The model's own transcription request for audio of so many samples: 375 audio tokens for each 30 s begun."""
        audio = [self.model.config.audio_token_id] * self._chunk_tokens
        return [*self._head, *(audio * self._chunks(samples)), *self._tail]

    def encode_target(self, text: str) -> list[int]:
        """Token ids of a target with its end token. Tags are plain text, and so is what looks like a control token."""
        tokens: list[int] = self.tokenizer.encode(text.strip(), add_special_tokens=False)
        return [*tokens, self._end]

    def collate(self, windows: Sequence[Window]) -> Batch:
        prompts = [self.prompt(len(window.samples)) for window in windows]
        targets = [self.encode_target(window.text) for window in windows]
        chunks = [self._chunks(len(window.samples)) for window in windows]
        return make_batch(windows, prompts, targets, self._padding) | {"chunks": chunks}

    def token_logits(
        self, model: Any, batch: Batch, augmentation: Augmentation | None, *, with_base: bool = False
    ) -> TokenLogits:
        labels = batch["labels"]
        # Logits over 131,072 tokens are made only from where the shortest prompt ends.
        first = len(self._head) + self._chunk_tokens * min(batch["chunks"]) + len(self._tail) - 1
        kept = torch.arange(first, labels.shape[1], device=labels.device)
        # No mask is needed for padding on the right: attention is causal, and padded positions carry no loss.
        inputs = {
            "input_ids": batch["input_ids"],
            "input_features": self._input_features(batch, augmentation),
            "logits_to_keep": kept,
            "use_cache": False,
        }
        plain, base_inputs = batch["plain"], None
        if with_base and plain.any():
            chunks = plain.repeat_interleave(torch.tensor(batch["chunks"], device=plain.device))
            rows = {"input_ids": inputs["input_ids"][plain], "input_features": inputs["input_features"][chunks]}
            base_inputs = inputs | rows
        return run_model(model, inputs, labels[:, first:], base_inputs)

    @torch.no_grad()
    def transcribe(self, model: Any, batch: Batch, max_new_tokens: int, temperature: float = 0.0) -> list[str]:
        prompts = [self.prompt(chunks * self._chunk_samples) for chunks in batch["chunks"]]
        longest = max(len(prompt) for prompt in prompts)
        missing = torch.tensor([longest - len(prompt) for prompt in prompts])
        ids = torch.tensor([[self._padding] * (longest - len(prompt)) + prompt for prompt in prompts])
        heard = torch.arange(longest) >= missing[:, None]
        device = batch["samples"].device
        written = model.generate(
            input_ids=ids.to(device),
            attention_mask=heard.long().to(device),
            input_features=self._input_features(batch, None),
            generation_config=GenerationConfig(
                max_length=longest + max_new_tokens,
                bos_token_id=self.tokenizer.bos_token_id,
                eos_token_id=self._end,
                pad_token_id=self._padding,
                **decoding(temperature),
            ),
        )
        texts: list[str] = self.tokenizer.batch_decode(written[:, longest:], skip_special_tokens=True)
        return [text.strip() for text in texts]

    def checkpoint_activations(self) -> None:
        # The frozen tower keeps no activations anyway.
        checkpoint_activations(self.model.model.language_model)

    def compile(self) -> None:
        for layers in (self.model.model.audio_tower.layers, self.model.model.language_model.layers):
            for layer in layers:
                layer.compile()

    def save_processor(self, folder: Path) -> None:
        self._processor.save_pretrained(folder)

    def _chunks(self, samples: int) -> int:
        return max(1, -(-samples // self._chunk_samples))

    def _input_features(self, batch: Batch, augmentation: Augmentation | None) -> torch.Tensor:
        """Features of shape (30 s chunks of all rows, bands, 3000).

        The loudest point of a whole recording sets the floor of each of its chunks, as the model's processor does it.
        """
        samples, chunks = batch["samples"], batch["chunks"]
        features = self._features.to(samples.device)
        rows = []
        for row, count in zip(samples, chunks, strict=True):
            audio = to_whole_windows(row[None, : count * self._chunk_samples], count * self._chunk_samples)
            if augmentation is not None:
                audio = augment(audio, augmentation)
            rows.append(torch.cat(features(audio).chunk(count, dim=2)))
        return torch.cat(rows)


def _outside_autocast(forward: Any) -> Any:
    """Run a frozen module in the precision of its weights; under autocast its norms would be made in float32."""

    def run(input_features: torch.Tensor, *arguments: Any, **options: Any) -> Any:
        with torch.autocast(input_features.device.type, enabled=False), torch.no_grad():
            return forward(input_features, *arguments, **options)

    return run
