"""The Whisper family: any Whisper checkpoint, in windows of 30 s.

Knows Whisper's prompt, targets, features and module names. The edge engine, which runs Whisper without torch, takes
its prompt from here too.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evoxtral.errors import ModelError
from evoxtral.models.families.protocol import AlignmentHeads, Dimensions, Family, StepSpeed, unknown_language

if TYPE_CHECKING:
    from torch import Tensor

END_OF_TEXT: Final = "<|endoftext|>"
NO_TIMESTAMPS: Final = "<|notimestamps|>"
# Before the text that went before, in which Whisper looks for spellings (arXiv 2212.04356, section 2.3).
START_OF_PREVIOUS: Final = "<|startofprev|>"
MAX_PROMPT_TOKENS: Final = 120
# Published with openai/whisper for each of its checkpoints; fine-tuned checkpoints of the same shape keep them.
_ALIGNMENT_HEADS: Final[dict[str, AlignmentHeads]] = {
    "whisper-tiny.en": ((1, 0), (2, 0), (2, 5), (3, 0), (3, 1), (3, 2), (3, 3), (3, 4)),
    "whisper-tiny": ((2, 2), (3, 0), (3, 2), (3, 3), (3, 4), (3, 5)),
    "whisper-base.en": ((3, 3), (4, 7), (5, 1), (5, 5), (5, 7)),
    "whisper-base": ((3, 1), (4, 2), (4, 3), (4, 7), (5, 1), (5, 2), (5, 4), (5, 6)),
}


def language_tokens(tokens: Mapping[str, int]) -> dict[str, int]:
    """The tokens of all languages that a tokenizer has, by their codes.

    A configuration does not tell them: a fine-tuned checkpoint lists only its own, and would find that in any speech.

    Args:
        tokens: ids by name; ordinary tokens may be among them.
    """
    first, after = tokens.get("<|startoftranscript|>"), tokens.get("<|translate|>")
    if first is None or after is None:
        return {}
    return {name.strip("<|>"): number for name, number in tokens.items() if first < number < after}


def start_of_transcript(language: str, *, multilingual: bool) -> list[str]:
    """The tokens that begin Whisper's prompt, before `NO_TIMESTAMPS` or the times (arXiv 2212.04356, section 2.3).

    Raises:
        ModelError: another language than English, and the model knows no other.
    """
    if multilingual:
        return ["<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>"]
    if language != "en":
        raise unknown_language(language)
    return ["<|startoftranscript|>"]


def keyword_prompt(keywords: Sequence[str]) -> str:
    """Keywords as a text that went before."""
    return f" {', '.join(keywords)}."


class WhisperModel:
    """See `SpeechModel`.

    Args:
        base: folder or hub id.
        dtype: of the weights.
    """

    def __init__(self, base: str, *, dtype: Any) -> None:
        from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizerFast

        from evoxtral.models.log_mel import LogMel

        self.family = FAMILY
        self.model: Any = WhisperForConditionalGeneration.from_pretrained(base, dtype=dtype)
        self._extractor = WhisperFeatureExtractor.from_pretrained(base)
        self.tokenizer: Any = WhisperTokenizerFast.from_pretrained(base)
        self._vocabulary = self.tokenizer.get_vocab()
        if NO_TIMESTAMPS not in self._vocabulary:
            raise ModelError(f"{base}: has no tokenizer of a Whisper", "copy it there from the model it was made from")
        # Published checkpoints forbid brackets, without which no tag can be written, and an empty text, which silence
        # must get, at generation, whatever config `generate` is given.
        generation = self.model.generation_config
        generation.suppress_tokens = generation.begin_suppress_tokens = generation.forced_decoder_ids = None
        self._multilingual = bool(getattr(generation, "is_multilingual", False))
        self._languages = language_tokens(self._vocabulary) if self._multilingual else {}
        # 30 s for every published checkpoint.
        self.max_window_s: float | None = self._extractor.chunk_length
        self.window_samples: int = self._extractor.n_samples
        self.max_positions: int | None = self.model.config.max_target_positions
        self.end_token: int = self.tokenizer.convert_tokens_to_ids(END_OF_TEXT)
        self.padding_token = self.end_token
        self._log_mel = LogMel(self._extractor)

    @property
    def encoder(self) -> Any:
        return self.model.model.encoder

    @property
    def decoder(self) -> Any:
        return self.model.model.decoder

    def prompt(self, windows: int, language: str | None) -> list[int]:
        names = [
            *start_of_transcript("en" if language is None else language, multilingual=self._multilingual),
            NO_TIMESTAMPS,
        ]
        if any(name not in self._vocabulary for name in names):
            raise unknown_language(str(language))
        tokens: list[int] = self.tokenizer.convert_tokens_to_ids(names)
        return tokens

    def keyword_tokens(self, keywords: Sequence[str]) -> list[int]:
        """See `KeywordPrompter`."""
        words: list[int] = self.tokenizer.encode(keyword_prompt(keywords), add_special_tokens=False)
        return [self._vocabulary[START_OF_PREVIOUS], *words[:MAX_PROMPT_TOKENS]]

    def encode_target(self, text: str) -> list[int]:
        # Whisper's own transcripts begin with a space, so these do too.
        text = text.strip()
        tokens: list[int] = self.tokenizer.encode(" " + text, add_special_tokens=False) if text else []
        return [*tokens, self.end_token]

    def features(
        self, audio: "Tensor", windows: Sequence[int], change: Callable[["Tensor"], "Tensor"] | None = None
    ) -> "Tensor":
        from evoxtral.models.log_mel import to_whole_windows

        audio = to_whole_windows(audio, self.window_samples)
        features: Tensor = self._log_mel.to(audio.device)(audio if change is None else change(audio))
        return features

    def logits(self, model: Any, ids: "Tensor", features: "Tensor", first: int) -> "Tensor":
        # No mask is needed for padding on the right: attention is causal, and padded positions carry no loss.
        logits: Tensor = model(input_features=features, decoder_input_ids=ids, use_cache=False).logits
        return logits[:, first:]

    def generate(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        features: "Tensor",
        max_new_tokens: int,
        decoding: Mapping[str, Any],
    ) -> "Tensor":
        import torch
        from transformers import GenerationConfig, GenerationMixin

        assert self.max_positions is not None
        length = len(prompts[0])
        config = GenerationConfig(
            max_length=min(length + max_new_tokens, self.max_positions),
            eos_token_id=self.end_token,
            pad_token_id=self.padding_token,
            decoder_start_token_id=prompts[0][0],
            **decoding,
        )
        # The general `generate`, not Whisper's own: windows are whole and prompts fixed, so none of its long-form
        # logic, fallbacks and suppressed tokens (brackets among them) is wanted.
        written: Tensor = GenerationMixin.generate(
            model,
            inputs=features,
            attention_mask=torch.ones(len(prompts), features.shape[-1], device=features.device),
            decoder_input_ids=torch.tensor(prompts, device=features.device),
            generation_config=config,
        )
        return written[:, length:]

    def reader(self, features: "Tensor") -> Callable[["Tensor"], "Tensor"]:
        """See `StepReader`."""
        encoded = self.encoder(features)
        cache: Any = None

        def read(tokens: "Tensor") -> "Tensor":
            nonlocal cache
            output = self.model(
                encoder_outputs=encoded, decoder_input_ids=tokens, past_key_values=cache, use_cache=True
            )
            cache = output.past_key_values
            logits: Tensor = output.logits[:, -1].float()
            return logits

        return read

    def language_probabilities(self, features: "Tensor") -> list[dict[str, float] | None]:
        """See `LanguageHead`: by the decoder's first step (arXiv 2212.04356, section 2.3)."""
        import torch

        if len(self._languages) < 2:
            return [None] * len(features)
        start: int = self.tokenizer.convert_tokens_to_ids("<|startoftranscript|>")
        first = torch.full((len(features), 1), start, device=features.device)
        tokens = torch.tensor([*self._languages.values()], device=features.device)
        logits = self.logits(self.model, first, features, 0)[:, 0, tokens].float()
        return [dict(zip(self._languages, row, strict=True)) for row in logits.softmax(dim=-1).tolist()]

    def save_processor(self, folder: Path) -> None:
        self._extractor.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def _model_class() -> Any:
    from transformers import WhisperForConditionalGeneration

    return WhisperForConditionalGeneration


FAMILY: Final = Family(
    name="whisper",
    title="Whisper",
    model_types=("whisper",),
    model_class=_model_class,
    load=WhisperModel,
    dimensions=lambda config: Dimensions(
        encoder_layers=config.encoder_layers,
        encoder_width=config.d_model,
        encoder_frames=config.max_source_positions,
        decoder_layers=config.decoder_layers,
        decoder_width=config.d_model,
        vocabulary=config.vocab_size,
    ),
    lora_targets=r"model\.decoder\.layers\.\d+\.((self|encoder)_attn\.(q|k|v|out)_proj|fc[12])",
    adapted_parts="decoder's linear layers",
    encoder_lora_targets=r"model\.encoder\.layers\.\d+\.(self_attn\.(q|k|v|out)_proj|fc[12])",
    encoder_modules=("model.encoder.",),
    cross_modules=("encoder_attn.k_proj", "encoder_attn.v_proj"),
    max_window_s=30.0,
    # Four runs of the edge model, 150 to 480 windows a second, come to 57 to 72 TFLOP a second
    # (benchmarks/results/edge_training.md).
    step_speed=StepSpeed(tflop_per_s=65.0, s_per_layer=1.38e-3),
    alignment_heads=_ALIGNMENT_HEADS,
    to_ctranslate2=True,
)
