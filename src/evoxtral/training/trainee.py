"""The model of a recipe, as the trainer sees it: windows to batches, batches to logits or texts. One for all families.

Knows batches and autocast; what differs between models is known by their families (`evoxtral.models.families`).
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState

from evoxtral.errors import RecipeError
from evoxtral.models.checkpoints import fetch_checkpoint, load_checkpoint
from evoxtral.models.families.protocol import FrameReader, SpeechModel
from evoxtral.training.augment import augment
from evoxtral.training.base_model import check_base
from evoxtral.training.batches import Batch, TokenLogits, make_batch
from evoxtral.training.encoder_outputs import KeptEncoderOutputs, ReusedEncoder
from evoxtral.training.packing import Window
from evoxtral.training.recipe import Augmentation, Recipe
from evoxtral.training.word_ends import timed_pieces

_FULL_SCALE = 32767


class Trainee:
    """A loaded checkpoint for training.

    Args:
        speech: the checkpoint. An encoder that its family never adapts is frozen, and runs as inference runs it: in its
            own precision, and as if in evaluation.
        language: ISO 639-1 code that prompts name; None lets the model find it, where it can.

    Attributes:
        model: the pretrained model, without adapters.
        tokenizer: turns text into ids and back.
        max_window_s: no window may be longer; None where any length goes.
    """

    def __init__(self, speech: SpeechModel, *, language: str | None = "en") -> None:
        self.speech = speech
        self.model: Any = speech.model
        self.tokenizer: Any = speech.tokenizer
        self.max_window_s = speech.max_window_s
        self._language = language
        self._kept: KeptEncoderOutputs | None = None
        frozen = speech.family.encoder_lora_targets is None
        if frozen:
            speech.encoder.requires_grad_(False)
        self._hearing = ReusedEncoder(speech.encoder, frozen=frozen)

    @property
    def heard_bytes(self) -> int | None:
        """What a window of the encoder takes once it is heard; None where its outputs are not kept: where it may be
        trained, or hears sounds whole."""
        if not self._hearing.frozen or self.writes_frames:
            return None
        sizes = self.speech.family.dimensions(self.model.config)
        value_bytes: int = next(self.speech.encoder.parameters()).element_size()
        return sizes.encoder_frames * sizes.encoder_width * value_bytes

    @property
    def writes_frames(self) -> bool:
        """Whether the model writes a token a frame, so that targets need to know when words are over."""
        return isinstance(self.speech, FrameReader)

    def keep_heard(self, folder: Path) -> None:
        """From now on keep what the frozen encoder makes of each sound that is not augmented, and ask it once."""
        assert self._hearing.frozen
        self._kept = KeptEncoderOutputs(folder, self.speech.encoder)

    def prompt(self, windows: int = 1) -> list[int]:
        """Token ids before the text of a recording of so many windows of the encoder."""
        return self.speech.prompt(windows, self._language)

    def collate(self, windows: Sequence[Window], *, repeats: int = 1) -> Batch:
        """Make a batch on the CPU.

        Args:
            repeats: the windows have the same sounds in the same order so many times over, which are then heard once.

        Raises:
            RecipeError: a text is longer than the model's decoder.
        """
        if isinstance(self.speech, FrameReader):
            return self._collate_frames(self.speech, windows, repeats)
        counts = [max(1, -(-len(window.samples) // self.speech.window_samples)) for window in windows]
        prompts = [self.prompt(count) for count in counts]
        targets = [self.speech.encode_target(window.text) for window in windows]
        limit = self.speech.max_positions
        for window, prompt, target in zip(windows, prompts, targets, strict=True):
            if limit is not None and len(prompt) + len(target) - 1 > limit:
                raise RecipeError(
                    f"a target of more than {limit} tokens: {window.text[:60]!r}...",
                    "leave the clip out or lower packing.probability",
                )
        return make_batch(
            windows,
            prompts,
            targets,
            audio_windows=counts,
            padding_token=self.speech.padding_token,
            repeats=repeats,
            kept=self._kept,
        )

    def _collate_frames(self, speech: FrameReader, windows: Sequence[Window], repeats: int) -> Batch:
        """Rows that are heard whole, each as one window of the encoder. All frames after the opening carry loss, those
        between words too: when to wait is what such a model has to know.
        """
        rows, targets = [], []
        for window in windows:
            target, samples = speech.frame_target(timed_pieces(window.text, window.ends_s), len(window.samples))
            targets.append(target)
            rows.append(replace(window, samples=np.pad(window.samples, (0, samples - len(window.samples)))))
        return make_batch(
            rows,
            [self.prompt()] * len(rows),
            targets,
            audio_windows=[1] * len(rows),
            padding_token=self.speech.padding_token,
            repeats=repeats,
        )

    def token_logits(
        self, model: Any, batch: Batch, augmentation: Augmentation | None, *, with_base: bool = False
    ) -> TokenLogits:
        """Run `model`, which wraps this one's, on a batch on its device; `with_base` asks for `base_logits`."""
        ids, first = batch["input_ids"], batch["first_target"]
        plain, base_logits = batch["plain"], None
        asks_base = bool(with_base and plain.any())
        repeats = batch["repeats"]
        sound, given = self._sound(batch, augmentation)
        if repeats > 1 and (asks_base or self._hearing.frozen):
            sound = sound.repeat(repeats, 1, 1)
            repeats = 1
        with given, self._hearing.repeated(repeats):
            if asks_base:
                rows = plain.repeat_interleave(torch.tensor(batch["audio_windows"], device=plain.device))
                with _without_adapter(model) as base:
                    base_logits = self.speech.logits(base, ids[plain], sound[rows], first)
            logits = self.speech.logits(model, ids, sound, first)
        return TokenLogits(logits, batch["labels"][:, first:], base_logits)

    @torch.no_grad()
    def heard_once(self, batch: Batch) -> Batch:
        """The batch with what a frozen encoder makes of it, for those who use it again; any other as it is."""
        return batch | {"heard": self._heard(batch, None)} if self._hearing.frozen else batch

    @torch.no_grad()
    def transcribe(self, model: Any, batch: Batch, max_new_tokens: int, temperature: float = 0.0) -> list[str]:
        """Write what each window of a batch says, greedily or by sampling; the batch's labels are not looked at."""
        # At a temperature, from the whole distribution.
        decoding = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
        prompts = [self.prompt(count) for count in batch["audio_windows"]]
        sound, given = self._sound(batch, None)
        with given:
            written = self.speech.generate(model, prompts, sound, max_new_tokens, decoding)
        texts: list[str] = self.tokenizer.batch_decode(written, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def checkpoint_activations(self) -> None:
        """From now on recompute activations of layers that may be trained in the backward pass."""
        frozen_encoder = self.speech.family.encoder_lora_targets is None
        part = self.speech.decoder if frozen_encoder else self.model
        # The name that this version of transformers has for it.
        enable = getattr(part, "activation_checkpointing_enable", None) or part.gradient_checkpointing_enable
        enable({"use_reentrant": False})

    def compile(self) -> None:
        """From now on run each layer compiled: one graph serves all layers of a kind."""
        for layer in [*self.speech.encoder.layers, *self.speech.decoder.layers]:
            layer.compile()

    def save_processor(self, folder: Path) -> None:
        """Write tokenizer and feature extractor beside saved weights."""
        self.speech.save_processor(folder)

    def _sound(
        self, batch: Batch, augmentation: Augmentation | None
    ) -> tuple[torch.Tensor, AbstractContextManager[None]]:
        """What the model is given of a batch's sounds, and in which context."""
        if self._hearing.frozen:
            return self._heard(batch, augmentation), self._hearing.heard()
        return self._features(batch, augmentation), nullcontext()

    def _heard(self, batch: Batch, augmentation: Augmentation | None) -> torch.Tensor:
        """What the frozen encoder makes of a batch's sounds: found in it, or made, and kept where that is wanted."""
        if "heard" in batch:
            found: torch.Tensor = batch["heard"]
            return found
        heard = self._hearing.hear(self._features(batch, augmentation))
        if self._kept is not None and augmentation is None and "keys" in batch:
            self._kept.write(batch["keys"], heard)
        return heard

    def _features(self, batch: Batch, augmentation: Augmentation | None) -> torch.Tensor:
        audio = batch["samples"].float() / _FULL_SCALE
        change = None if augmentation is None else partial(augment, settings=augmentation)
        return self.speech.features(audio, batch["audio_windows"][: len(audio)], change)


def load_trainee(recipe: Recipe, *, whole: bool = False) -> Trainee:
    """Load the recipe's pretrained model and processor.

    Args:
        whole: load a base in full precision that the recipe trains on in 4 bits.

    Raises:
        ModelError: the base or a needed package is missing or damaged; RecipeError: it is of another family.
    """
    family = check_base(recipe)
    in_half = recipe.optimisation.precision == "bf16" and family.frozen_in_half
    folder = fetch_checkpoint(recipe.base_source)
    four_bit_on = None
    if recipe.lora.four_bit_base and not whole:
        # Of several processes each has a device of its own.
        four_bit_on = PartialState(cpu=not torch.cuda.is_available()).device
    dtype = torch.bfloat16 if in_half else torch.float32
    speech = load_checkpoint(folder, dtype=dtype, four_bit_on=four_bit_on)
    return Trainee(speech, language=recipe.language)


@contextmanager
def _without_adapter(model: Any) -> Iterator[Any]:
    """The base of a `PeftModel` in training, as it was published: no adapter, dropout, noise on embeddings or graph."""
    adapted = getattr(model, "module", model)  # inside DistributedDataParallel
    adapted.eval()
    with torch.no_grad(), adapted.disable_adapter():
        yield adapted
    adapted.train()
