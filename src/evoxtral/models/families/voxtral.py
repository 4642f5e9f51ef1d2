"""The Voxtral family: Voxtral-Mini-3B, Voxtral-Small-24B and any checkpoint of their classes, audio of any length.

Knows Voxtral's transcription request, targets, features and module names. Its audio encoder stays frozen: no adapter
touches it.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evoxtral.models.families.protocol import (
    Dimensions,
    Family,
    StepSpeed,
    load_mistral_processor,
    unknown_language,
)

if TYPE_CHECKING:
    from torch import Tensor

_RATE_HZ: Final = 16_000


class VoxtralModel:
    """See `SpeechModel`.

    Args:
        base: folder or hub id.
        dtype: of the weights.
        options: for `from_pretrained`.
        model, processor: loaded before, in the place of those of `base`.
    """

    max_window_s: float | None = None
    max_positions: int | None = None

    def __init__(
        self,
        base: str,
        *,
        dtype: Any = None,
        options: Mapping[str, Any] | None = None,
        model: Any = None,
        processor: Any = None,
    ) -> None:
        from evoxtral.models.log_mel import LogMel

        self.family = FAMILY
        self.model = _model_class().from_pretrained(base, dtype=dtype, **(options or {})) if model is None else model
        self._processor = _processor(base) if processor is None else processor
        self.tokenizer: Any = self._processor.tokenizer
        self.end_token: int = self.tokenizer.eos_token_id
        self.padding_token: int = self.tokenizer.pad_token_id
        self.window_samples: int = self._processor.feature_extractor.n_samples
        self._log_mel = LogMel(self._processor.feature_extractor)
        self._requests: dict[str | None, tuple[list[int], int, list[int]]] = {}

    @property
    def encoder(self) -> Any:
        return self.model.model.audio_tower

    @property
    def decoder(self) -> Any:
        return self.model.model.language_model

    @property
    def output_layer(self) -> Any:
        return self.model.lm_head

    def prompt(self, windows: int, language: str | None) -> list[int]:
        """The model's own transcription request; each window has as many audio tokens as the first."""
        head, audio, tail = self._request(language)
        return [*head, *[self.model.config.audio_token_id] * (audio * windows), *tail]

    def _request(self, language: str | None) -> tuple[list[int], int, list[int]]:
        """The request for one window: tokens before the audio, how many for the audio, tokens after it."""
        import numpy as np

        if language not in self._requests:
            try:
                request = self._processor.apply_transcription_request(
                    audio=[np.zeros(_RATE_HZ, np.float32)],
                    model_id="voxtral",
                    language=language,
                    sampling_rate=_RATE_HZ,
                    format=["WAV"],
                )
            except ValueError as error:  # mistral-common checks the code
                raise unknown_language(str(language)) from error
            tokens = request["input_ids"][0].tolist()
            audio = self.model.config.audio_token_id
            first, count = tokens.index(audio), tokens.count(audio)
            self._requests[language] = tokens[:first], count, tokens[first + count :]
        return self._requests[language]

    def encode_target(self, text: str) -> list[int]:
        """Tags are plain text to the tokenizer, and so is what looks like a control token."""
        tokens: list[int] = self.tokenizer.encode(text.strip(), add_special_tokens=False)
        return [*tokens, self.end_token]

    def features(
        self, audio: "Tensor", windows: Sequence[int], change: Callable[["Tensor"], "Tensor"] | None = None
    ) -> "Tensor":
        """Shape (windows of all rows, bands, 3000).

        The loudest point of a whole recording sets the floor of each of its windows, as the model's processor does it.
        """
        import torch

        from evoxtral.models.log_mel import to_whole_windows

        log_mel = self._log_mel.to(audio.device)
        rows = []
        # Rows of one length are heard together; others by themselves, without the silence that fills them up.
        alike = len(set(windows)) == 1
        for row, count in [(audio, windows[0])] if alike else zip(audio[:, None], windows, strict=True):
            samples = to_whole_windows(row[:, : count * self.window_samples], count * self.window_samples)
            spectra = log_mel(samples if change is None else change(samples))
            rows += [torch.stack(spectrum.chunk(count, dim=1)) for spectrum in spectra]
        return torch.cat(rows)

    def logits(self, model: Any, ids: "Tensor", features: "Tensor", first: int) -> "Tensor":
        import torch

        # Logits over 131,072 tokens are made only where they are wanted. No mask is needed for padding on the right:
        # attention is causal, and padded positions carry no loss.
        kept = torch.arange(first, ids.shape[1], device=ids.device)
        logits: Tensor = model(input_ids=ids, input_features=features, logits_to_keep=kept, use_cache=False).logits
        return logits

    def generate(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        features: "Tensor",
        max_new_tokens: int,
        decoding: Mapping[str, Any],
    ) -> "Tensor":
        import torch
        from transformers import GenerationConfig

        longest = max(len(prompt) for prompt in prompts)
        missing = torch.tensor([longest - len(prompt) for prompt in prompts])
        ids = torch.tensor([[self.padding_token] * (longest - len(prompt)) + [*prompt] for prompt in prompts])
        heard = torch.arange(longest) >= missing[:, None]
        written: Tensor = model.generate(
            input_ids=ids.to(features.device),
            attention_mask=heard.long().to(features.device),
            input_features=features,
            generation_config=GenerationConfig(
                max_length=longest + max_new_tokens,
                bos_token_id=self.tokenizer.bos_token_id,
                eos_token_id=self.end_token,
                pad_token_id=self.padding_token,
                **decoding,
            ),
        )
        return written[:, longest:]

    def embed_prompts(self, prompt: Sequence[int], features: "Tensor") -> "Tensor":
        """See `PromptEmbedder`; one window a row."""
        import torch

        audio_token = self.model.config.audio_token_id
        first, count = prompt.index(audio_token), prompt.count(audio_token)
        model = self.model.model
        before, after = (self._embed(tokens) for tokens in (prompt[:first], prompt[first + count :]))
        # Windows are 30 s, filled up with silence: the model was trained on nothing shorter, its positions are those of
        # 30 s, and no mask tells it where the silence begins. So the attention has no padding to leave out.
        encoded = model.audio_tower(features).last_hidden_state
        joined = encoded.reshape(-1, model.config.audio_config.intermediate_size)
        audio = model.multi_modal_projector(joined).view(len(features), count, -1)
        before, after = (part.expand(len(features), -1, -1) for part in (before, after))
        return torch.cat([before, audio, after], dim=1)

    def _embed(self, tokens: Sequence[int]) -> "Tensor":
        import torch

        device = self.model.device
        # From memory that is not pinned, a copy waits for all that the GPU was given to do.
        ids = torch.tensor(tokens, pin_memory=device.type == "cuda").to(device, non_blocking=True)
        embedded: Tensor = self.decoder.embed_tokens(ids)
        return embedded

    def save_processor(self, folder: Path) -> None:
        self._processor.save_pretrained(folder)


def _processor(base: str) -> Any:
    from transformers import VoxtralProcessor

    return load_mistral_processor(VoxtralProcessor, base)


def _model_class() -> Any:
    from transformers import VoxtralForConditionalGeneration

    return VoxtralForConditionalGeneration


FAMILY: Final = Family(
    name="voxtral",
    title="Voxtral",
    model_types=("voxtral",),
    model_class=_model_class,
    load=VoxtralModel,
    dimensions=lambda config: Dimensions(
        encoder_layers=config.audio_config.num_hidden_layers,
        encoder_width=config.audio_config.hidden_size,
        encoder_frames=config.audio_config.max_source_positions,
        decoder_layers=config.text_config.num_hidden_layers,
        decoder_width=config.text_config.hidden_size,
        vocabulary=config.text_config.vocab_size,
    ),
    # Without "language_model" the attention projections of the audio encoder, which have the same names, would match.
    lora_targets=(
        r".*language_model\.(model\.)?layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"
        r"|.*multi_modal_projector\.linear_[12]"
    ),
    adapted_parts="language model and the projector",
    encoder_modules=("model.audio_tower.",),
    audio_positions=375,
    # What is heard stays as inference hears it; transformers' own rule would put the encoder in 4 bits too.
    kept_whole=("model.audio_tower", "model.multi_modal_projector", "lm_head"),
    frozen_in_half=True,
    # A step of 16 clips of 30 s took 0.566 s; steps of 1, 2 and 4 clips with checkpointing took 0.40, 0.38 and 0.40 s
    # (benchmarks/results/train_speed.json).
    step_speed=StepSpeed(tflop_per_s=470.0, s_per_layer=2.2e-3),
)
