"""What a model family is, to engines and to training: its row, which needs no torch, and a loaded model of it.

Knows tokens, tensors and modules; nothing of windows' origin, schedules, adapters' ranks or how texts are decoded.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from evoxtral.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

AlignmentHeads = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Dimensions:
    """Sizes of a model, from its configuration: layers, widths, frames that the encoder makes of a window, tokens."""

    encoder_layers: int
    encoder_width: int
    encoder_frames: int
    decoder_layers: int
    decoder_width: int
    vocabulary: int


@dataclass(frozen=True, slots=True)
class StepSpeed:
    """How fast training steps were measured to be on one NVIDIA H100 80GB.

    Attributes:
        tflop_per_s: what the arithmetic reaches.
        s_per_layer: launching the kernels of one layer, forward; the backward pass counts twice.
    """

    tflop_per_s: float
    s_per_layer: float


@dataclass(frozen=True, slots=True)
class Family:
    """The row of a family.

    Attributes:
        name: what recipes call it.
        title: what messages call it.
        model_types: what `model_type` in a checkpoint's config.json may be.
        model_class: gives the class of transformers.
        load: gives a `SpeechModel` of a folder or hub id, its weights in the given torch `dtype`; `options` are for
            `from_pretrained`, where `kept_whole` is not None.
        dimensions: reads a configuration.
        lora_targets: regular expression that whole names of adapted modules match.
        adapted_parts: the same in words, for model cards.
        encoder_lora_targets: of the modules that `lora.adapt_encoder` adds; None: the audio encoder stays frozen.
        encoder_modules, cross_modules: prefixes of names in the encoder, and suffixes of names in the decoder of what
            every frame of the encoder goes through; for estimates.
        max_window_s: no window may be longer; None where any length goes.
        audio_positions: how many positions of the decoder a window of the encoder takes; 0 where the decoder hears by
            cross-attention.
        kept_whole: modules that stay whole where the model is loaded in 4 bits; None: it never is.
        frozen_in_half: whether training may keep the frozen base in bfloat16; else it stays float32 under autocast.
        step_speed: None where it was not measured.
        alignment_heads: cross-attention heads, as (layer, head), whose attention follows the words in time, by the name
            of the published checkpoint.
        to_ctranslate2: whether CTranslate2 has a converter for it.
        writes_frames: whether it writes a token for each frame of sound (`FrameReader`).
    """

    name: str
    title: str
    model_types: tuple[str, ...]
    model_class: Callable[[], Any]
    load: Callable[..., "SpeechModel"]
    dimensions: Callable[[Any], Dimensions]
    lora_targets: str
    adapted_parts: str
    encoder_lora_targets: str | None = None
    encoder_modules: tuple[str, ...] = ()
    cross_modules: tuple[str, ...] = ()
    max_window_s: float | None = None
    audio_positions: int = 0
    kept_whole: tuple[str, ...] | None = None
    frozen_in_half: bool = False
    step_speed: StepSpeed | None = None
    alignment_heads: Mapping[str, AlignmentHeads] = field(default_factory=dict)
    to_ctranslate2: bool = False
    writes_frames: bool = False

    def targets(self, *, adapt_encoder: bool) -> str:
        """The regular expression of all modules that an adapter is put on."""
        if adapt_encoder and self.encoder_lora_targets is not None:
            return f"{self.lora_targets}|{self.encoder_lora_targets}"
        return self.lora_targets


class SpeechModel(Protocol):
    """A loaded checkpoint with its processor.

    Attributes:
        family: its row.
        model: the weights, a model of transformers.
        encoder, decoder: its parts that have `layers`.
        tokenizer: turns text into ids and back.
        window_samples: how many samples at 16 kHz a window of the encoder has.
        max_window_s: no recording may be longer; None where any length goes.
        end_token, padding_token: ids.
        max_positions: how many tokens prompt and text may have together; None where memory is the only limit.
    """

    family: Family
    model: Any
    tokenizer: Any
    window_samples: int
    max_window_s: float | None
    end_token: int
    padding_token: int
    max_positions: int | None

    @property
    def encoder(self) -> Any: ...

    @property
    def decoder(self) -> Any: ...

    def prompt(self, windows: int, language: str | None) -> list[int]:
        """Token ids before the text of a recording of so many windows of the encoder.

        Args:
            language: ISO 639-1 code; None lets the model find it, where it can. Voxtral Realtime always finds it.

        Raises:
            ModelError: the model does not know the language.
        """
        ...

    def encode_target(self, text: str) -> list[int]:
        """Token ids of a text, with the end token."""
        ...

    def features(
        self, audio: "Tensor", windows: Sequence[int], change: Callable[["Tensor"], "Tensor"] | None = None
    ) -> "Tensor":
        """What the encoder reads.

        Args:
            audio: float samples in [-1, 1] at 16 kHz on the model's device, shape (rows, n), silence after each row.
            windows: how many windows of the encoder each row has.
            change: made of the rows' samples first, whole windows of them.

        Returns:
            A tensor whose first dimension goes over the windows of all rows.
        """
        ...

    def logits(self, model: Any, ids: "Tensor", features: "Tensor", first: int) -> "Tensor":
        """Logits after teacher forcing.

        Args:
            model: `self.model`, or what wraps it.
            ids: prompts and texts, padded on the right, shape (rows, length).
            first: the first position whose logits are wanted.

        Returns:
            Shape (rows, length - first, vocabulary).
        """
        ...

    def generate(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        features: "Tensor",
        max_new_tokens: int,
        decoding: Mapping[str, Any],
    ) -> "Tensor":
        """New token ids of each row, shape (rows, at most max_new_tokens); `decoding` is for `GenerationConfig`."""
        ...

    def save_processor(self, folder: Path) -> None:
        """Write tokenizer and feature extractor beside saved weights."""
        ...


@runtime_checkable
class StepReader(Protocol):
    """A model that the engine writes with token by token: any decoder with a cache."""

    def reader(self, features: "Tensor") -> Callable[["Tensor"], "Tensor"]:
        """What reads further tokens of each row, shape (rows, n), and gives the logits after them, (rows, vocabulary).

        The first call reads the prompts; what was read is remembered.
        """
        ...


@runtime_checkable
class KeywordPrompter(Protocol):
    """A model whose prompt may hold names and terms that are likely. Voxtral's transcription request has no place."""

    def keyword_tokens(self, keywords: Sequence[str]) -> list[int]:
        """Token ids that go before the prompt."""
        ...


@runtime_checkable
class PromptEmbedder(Protocol):
    """A model whose decoder is a Llama of transformers behind embedded prompts: the engine has a fast decoder for it.

    Attributes:
        output_layer: from the decoder's last hidden states to the vocabulary.
    """

    @property
    def decoder(self) -> Any: ...

    @property
    def output_layer(self) -> Any: ...

    def embed_prompts(self, prompt: Sequence[int], features: "Tensor") -> "Tensor":
        """Embeddings of the prompt for each row, sound included, shape (rows, length, width)."""
        ...


@runtime_checkable
class FrameReader(Protocol):
    """A model that reads sound and text frame by frame and writes one token a frame, some frames after it heard it.

    A recording has `left_frames` of silence before it and `right_frames` after it; a delay is counted in frames.

    Attributes:
        frame_samples: samples of a frame, at 16 kHz.
        encoder_frames: how many frames of the encoder are in it.
        left_frames: frames of silence that come before the sound.
        default_delay: frames between sound and text where nothing else is wanted.
        model, end_token, encoder, decoder: see `SpeechModel`.
        control_tokens: ids that are no text, such as the padding between words.
        log_mel: makes features of samples.
    """

    frame_samples: int
    encoder_frames: int
    left_frames: int
    default_delay: int
    model: Any
    end_token: int
    control_tokens: frozenset[int]
    log_mel: Any

    @property
    def encoder(self) -> Any: ...

    @property
    def decoder(self) -> Any: ...

    def token_bytes(self, token: int) -> bytes:
        """The UTF-8 bytes that a token of text stands for; a character may be spread over several."""
        ...

    def right_frames(self, delay: int) -> int:
        """Frames of silence after a recording's end, in which its last words are written."""
        ...

    def frame_target(self, pieces: Sequence[tuple[str, float]], samples: int) -> tuple[list[int], int]:
        """What is to be written of a recording, with the default delay.

        Args:
            pieces: its text, and the seconds at which each piece of it is over, none before the one before.
            samples: of the recording.

        Returns:
            a token for each frame after the opening, and how many samples the recording needs to have so many: more
            than it has where its text is too long for it, and else as many.
        """
        ...

    def opening(self, delay: int) -> list[int]:
        """The tokens that are read with the first frames; the first token is written with the last of these."""
        ...

    def whole_features(self, audio: "Tensor", delay: int) -> "Tensor":
        """Features of whole recordings (rows, n), with the silence before and after them: (rows, bands, features)."""
        ...

    def hear(self, features: "Tensor", **cached: Any) -> "Tensor":
        """What the decoder reads of features (rows, bands, n): shape (rows, frames, width).

        Args:
            cached: of pieces of a stream, what transformers' encoder takes for them.
        """
        ...

    def condition(self, delays: "Tensor") -> "Tensor":
        """What the decoder is told of the delays of rows (rows,): shape (rows, 1, width)."""
        ...

    def read(self, ids: "Tensor", heard: "Tensor", condition: "Tensor", **cached: Any) -> "Tensor":
        """Logits after the last of further frames, (rows, vocabulary).

        Args:
            ids: tokens (rows, frames).
            heard: the frames of `hear` beside them.
            cached: what transformers' decoder takes for what was read before.
        """
        ...


@runtime_checkable
class LanguageHead(Protocol):
    """A model that tells which language it hears before it writes anything."""

    def language_probabilities(self, features: "Tensor") -> list[dict[str, float] | None]:
        """Of each window the probability of each language by its ISO 639-1 code; None where it knows one only."""
        ...


def load_mistral_processor(kind: Any, base: str) -> Any:
    """A processor of transformers whose tokenizer is Mistral's own. Raises ModelError where its package is missing."""
    try:
        return kind.from_pretrained(base)
    except ImportError as error:
        raise ModelError(
            f"{base}: its tokenizer needs mistral-common", "pip install 'mistral-common[audio]'"
        ) from error


def unknown_language(language: str) -> ModelError:
    """The error for a language that a model does not know."""
    return ModelError(f"the model knows no language {language!r}", "languages are ISO 639-1 codes, such as en")
