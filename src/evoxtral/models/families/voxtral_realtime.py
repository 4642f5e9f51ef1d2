"""The Voxtral Realtime family: Voxtral-Mini-4B-Realtime, which writes while it hears (arXiv 2602.11298).

Each position of its decoder is a frame of 80 ms: it reads the frame's sound and the token before, added up, and writes
one token, so many frames after it heard what that says (the delay). Between words that is a padding token. Its encoder
is causal and both look back a limited time, so that sound may go on for ever. It finds the language itself: no prompt
names one. Knows this model's frames, silence, tokens and modules; nothing of streams or batches.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evoxtral.errors import ModelError
from evoxtral.models.families.protocol import Dimensions, Family, load_mistral_processor

if TYPE_CHECKING:
    from torch import Tensor

FRAME_MS: Final = 80
MAX_DELAY_MS: Final = 2400
_RATE_HZ: Final = 16_000
# Of what is heard whole: targets of training come from an alignment, which reaches so far. Streams have no end.
_MAX_WINDOW_S: Final = 30.0


class VoxtralRealtimeModel:
    """See `SpeechModel` and `FrameReader`.

    Args:
        base: folder or hub id.
        dtype: of the weights.
        options: for `from_pretrained`.
        model, processor: loaded before, in the place of those of `base`.
    """

    max_window_s: float | None = _MAX_WINDOW_S
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
        self._processor = _processor(base) if processor is None else processor
        self.model = _model_class().from_pretrained(base, dtype=dtype, **(options or {})) if model is None else model
        self.tokenizer: Any = self._processor.tokenizer
        self.end_token: int = self.tokenizer.eos_token_id
        self.control_tokens = frozenset(self.tokenizer.all_special_ids)
        instruct = self.tokenizer.tokenizer.instruct_tokenizer
        self._start: list[int] = instruct.start()
        self._sounds = instruct.audio_encoder
        self._bytes_of = instruct.tokenizer.id_to_byte_piece
        config = self._sounds.audio_config
        if not config.is_streaming or config.n_left_pad_tokens < 1:
            raise ModelError(f"{base}: its tekken.json is not of a streaming model", "copy it from the published model")
        self.padding_token: int = self._sounds.streaming_pad
        self._word_token: int = instruct.tokenizer.get_special_token("[STREAMING_WORD]")
        self.frame_samples: int = config.raw_audio_length_per_tok
        self.window_samples = self.frame_samples
        self.encoder_frames: int = self.model.config.downsample_factor
        self.left_frames: int = config.n_left_pad_tokens
        self.default_delay: int = config.get_num_delay_tokens()
        self.log_mel = LogMel(self._processor.feature_extractor)

    @property
    def encoder(self) -> Any:
        return self.model.model.audio_tower

    @property
    def decoder(self) -> Any:
        return self.model.model.language_model

    def frame_target(self, pieces: Sequence[tuple[str, float]], samples: int) -> tuple[list[int], int]:
        """See `FrameReader`.

        A piece is written from the frame on in which it is over, after the delay; pieces that follow each other without
        padding between them are one group, which begins with the token for words.
        """
        target: list[int] = []
        for text, end_s in pieces:
            due = max(0, math.ceil(end_s * _RATE_HZ / self.frame_samples) - 1)
            if not target or len(target) < due:
                target += [self.padding_token] * (due - len(target))
                target.append(self._word_token)
            target += self.tokenizer.encode(text, add_special_tokens=False)
        # Beside the frames of the sound: those after it in which the last words are written.
        after = self.right_frames(self.default_delay) - self.default_delay - 1
        frames = max(-(-samples // self.frame_samples), len(target) - after)
        target += [self.padding_token] * (frames + after - len(target))
        return target, max(samples, (frames - 1) * self.frame_samples + 1)

    def token_bytes(self, token: int) -> bytes:
        """See `FrameReader`."""
        piece: bytes = self._bytes_of(token)
        return piece

    def right_frames(self, delay: int) -> int:
        """Frames of silence that a recording needs after its end, until its last word is written."""
        return int(self._sounds.audio_config.n_right_pad_tokens(delay * FRAME_MS))

    def opening(self, delay: int) -> list[int]:
        """The tokens that are read before the first is written: for the silence before the sound and for the delay."""
        return [*self._start, *self._sounds.encode_streaming_tokens(delay * FRAME_MS)]

    def prompt(self, windows: int, language: str | None) -> list[int]:
        """The opening with the delay by default; the language is not in it."""
        return self.opening(self.default_delay)

    def encode_target(self, text: str) -> list[int]:
        tokens: list[int] = self.tokenizer.encode(text.strip(), add_special_tokens=False)
        return tokens

    def features(
        self, audio: "Tensor", windows: Sequence[int], change: Callable[["Tensor"], "Tensor"] | None = None
    ) -> "Tensor":
        """Shape (rows, bands, 8 * frames): of each row with the silence before and after it."""
        return self.whole_features(audio if change is None else change(audio), self.default_delay)

    def whole_features(self, audio: "Tensor", delay: int) -> "Tensor":
        """See `FrameReader`."""
        import torch

        right = self.frame_samples * self.right_frames(delay) + -audio.shape[1] % self.frame_samples
        padded = torch.nn.functional.pad(audio, (self.frame_samples * self.left_frames, right))
        features: Tensor = self.log_mel.to(audio.device)(padded)
        return features

    def hear(self, features: "Tensor", **cached: Any) -> "Tensor":
        """See `FrameReader`."""
        model = self.model.model
        hidden = self.encoder(input_features=features, use_cache=False, **cached).last_hidden_state
        joined = hidden.reshape(len(hidden), -1, hidden.shape[-1] * self.model.config.downsample_factor)
        heard: Tensor = model.multi_modal_projector(joined)
        return heard

    def condition(self, delays: "Tensor") -> "Tensor":
        """See `FrameReader`."""
        import torch

        # Written for one delay, it puts cosines and sines of several one below the other.
        cosines, sines = self.model.model.time_embedding(delays[:, None].to(self.model.dtype)).chunk(2)
        return torch.cat([cosines, sines], dim=-1)[:, None]

    def read(self, ids: "Tensor", heard: "Tensor", condition: "Tensor", **cached: Any) -> "Tensor":
        """See `FrameReader`."""
        embedded = self.decoder.embed_tokens(ids) + heard
        hidden = self.decoder(inputs_embeds=embedded, t_cond=condition, use_cache=False, **cached).last_hidden_state
        logits: Tensor = self.model.lm_head(hidden[:, -1])
        return logits.float()

    def logits(self, model: Any, ids: "Tensor", features: "Tensor", first: int) -> "Tensor":
        import torch

        kept = torch.arange(first, ids.shape[1], device=ids.device)
        logits: Tensor = model(
            input_ids=ids,
            input_features=self._of_frames(features, ids.shape[1]),
            num_delay_tokens=self.default_delay,
            logits_to_keep=kept,
            use_cache=False,
        ).logits
        return logits

    def _of_frames(self, features: "Tensor", frames: int) -> "Tensor":
        """The part of so many frames: of features (rows, bands, n), or what an encoder made of them, (rows, n, width).

        Where the encoder's outputs are given in its place, they come as features do.
        """
        if features.shape[-1] == self.model.config.audio_config.hidden_size:
            return features[:, : frames * self.encoder_frames]
        return features[..., : frames * (self.frame_samples // self.log_mel.hop)]

    def generate(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        features: "Tensor",
        max_new_tokens: int,
        decoding: Mapping[str, Any],
    ) -> "Tensor":
        """As many tokens as the sound has frames after the opening; the prompts are openings."""
        import torch
        from transformers import DynamicCache

        heard = self.hear(features)
        ids = torch.tensor([[*prompt] for prompt in prompts], device=features.device)
        condition = self.condition(torch.full((len(ids),), self.default_delay, device=ids.device))
        cache = DynamicCache(config=self.model.config.text_config)
        ended = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
        written: list[Tensor] = []
        start = 0
        for end in range(ids.shape[1], heard.shape[1]):
            logits = self.read(ids, heard[:, start:end], condition, past_key_values=cache)
            if decoding.get("do_sample"):
                token = torch.multinomial((logits / decoding["temperature"]).softmax(-1), 1)[:, 0]
            else:
                token = logits.argmax(dim=-1)
            token = torch.where(ended, self.padding_token, token)
            ended |= token == self.end_token
            written.append(token)
            ids, start = token[:, None], end
        return torch.stack(written, dim=1)

    def save_processor(self, folder: Path) -> None:
        self._processor.save_pretrained(folder)


def delay_frames(delay_ms: int) -> int:
    """A delay in frames.

    Raises:
        ModelError: it is no whole number of frames, or out of what the model was trained with.
    """
    frames, rest = divmod(delay_ms, FRAME_MS)
    if rest or not FRAME_MS <= delay_ms <= MAX_DELAY_MS:
        raise ModelError(
            f"a delay of {delay_ms} ms is not to be had",
            f"it is {FRAME_MS} to {MAX_DELAY_MS} ms in steps of {FRAME_MS}",
        )
    return frames


def _processor(base: str) -> Any:
    from transformers import VoxtralRealtimeProcessor

    return load_mistral_processor(VoxtralRealtimeProcessor, base)


def _model_class() -> Any:
    from transformers import VoxtralRealtimeForConditionalGeneration

    return VoxtralRealtimeForConditionalGeneration


FAMILY: Final = Family(
    name="voxtral_realtime",
    title="Voxtral Realtime",
    model_types=("voxtral_realtime",),
    model_class=_model_class,
    load=VoxtralRealtimeModel,
    dimensions=lambda config: Dimensions(
        encoder_layers=config.audio_config.num_hidden_layers,
        encoder_width=config.audio_config.hidden_size,
        encoder_frames=1500,  # of 30 s
        decoder_layers=config.text_config.num_hidden_layers,
        decoder_width=config.text_config.hidden_size,
        vocabulary=config.text_config.vocab_size,
    ),
    lora_targets=(
        r".*language_model\.(model\.)?layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"
        r"|.*multi_modal_projector\.linear_[12]"
    ),
    adapted_parts="language model and the projector",
    encoder_modules=("model.audio_tower.",),
    max_window_s=_MAX_WINDOW_S,
    audio_positions=424,  # of 30 s, with the silence before and after it
    frozen_in_half=True,
    writes_frames=True,
)
