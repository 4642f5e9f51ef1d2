"""What a model family is to the trainer: how text becomes targets, windows become batches, batches become logits.

Holds the protocol and what both families share; the trainer knows no family by name.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from evoxtral.errors import ModelError
from evoxtral.tags import parse
from evoxtral.training.packing import Window
from evoxtral.training.recipe import Augmentation, Recipe

IGNORED = -100  # label of positions that carry no loss
Batch = dict[str, Any]
"""Tensors that go to the device, and plain numbers, which stay: `samples` (rows, n) int16, `input_ids` and `labels`
(rows, length), and `plain` (rows,), which says what windows have words and no tags."""


@dataclass(frozen=True, slots=True)
class TokenLogits:
    """`logits` (rows, positions, vocabulary) and `targets` (rows, positions); `IGNORED` targets carry no loss.

    `base_logits`, where they were asked for, are what the model without its adapter says of the batch's plain windows:
    shape (plain rows, positions, vocabulary).
    """

    logits: torch.Tensor
    targets: torch.Tensor
    base_logits: torch.Tensor | None = None


class Family(Protocol):
    """One kind of model. An instance belongs to one pretrained checkpoint, whose processor it holds.

    Attributes:
        max_window_s: no window may be longer; None where any length goes.
        name: the recipe's name for it.
        model: the pretrained model, without adapters.
        tokenizer: turns text into ids and back.
    """

    name: str
    max_window_s: float | None
    model: Any
    tokenizer: Any

    def collate(self, windows: Sequence[Window]) -> Batch:
        """Make a batch on the CPU; `labels` (rows, length) are `IGNORED` but on the target text and its end token."""
        ...

    def token_logits(
        self, model: Any, batch: Batch, augmentation: Augmentation | None, *, with_base: bool = False
    ) -> TokenLogits:
        """Run the model on a batch that lies on its device; `with_base` asks for `base_logits` too."""
        ...

    def transcribe(self, model: Any, batch: Batch, max_new_tokens: int, temperature: float = 0.0) -> list[str]:
        """Write what each window of a batch says, greedily or by sampling; the batch's labels are not looked at."""
        ...

    def checkpoint_activations(self) -> None:
        """From now on recompute activations of trained layers in the backward pass."""
        ...

    def compile(self) -> None:
        """From now on run each layer compiled: one graph serves all layers of a kind."""
        ...

    def save_processor(self, folder: Path) -> None:
        """Write tokenizer and feature extractor beside saved weights."""
        ...


def load_family(recipe: Recipe) -> Family:
    """Load the recipe's pretrained model and processor.

    Raises:
        ModelError: the base is missing or of another family.
    """
    if recipe.family == "whisper":
        from evoxtral.training.whisper import WhisperFamily

        return WhisperFamily(recipe.base_source, language=recipe.language)
    from evoxtral.training.voxtral import VoxtralFamily

    dtype = torch.bfloat16 if recipe.optimisation.precision == "bf16" else torch.float32
    return VoxtralFamily.load(recipe.base_source, language=recipe.language, dtype=dtype)


def missing_base(base: str, error: Exception) -> ModelError:
    """The error for a base model that `from_pretrained` could not load."""
    return ModelError(
        f"{base}: cannot be loaded as a pretrained model: {' '.join(str(error).split())[:300]}",
        "set base to a hub id, or base_folder to a folder in Hugging Face format",
    )


def checkpoint_activations(model: Any) -> None:
    """Turn on activation checkpointing, under the name that this version of transformers has for it."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})


def make_batch(
    windows: Sequence[Window], prompts: Sequence[Sequence[int]], targets: Sequence[Sequence[int]], padding: int
) -> Batch:
    """A batch of windows for teacher forcing: each row reads its prompt and target, and must write the target.

    Args:
        prompts: token ids of each window's prompt.
        targets: token ids of each window's text, with the end token.
        padding: token id that fills rows up; it carries no loss.
    """
    # Position i predicts token i + 1: the prompt's last token predicts the first of the text.
    inputs = [[*prompt, *target[:-1]] for prompt, target in zip(prompts, targets, strict=True)]
    labels = [[IGNORED] * (len(prompt) - 1) + [*target] for prompt, target in zip(prompts, targets, strict=True)]
    texts = [parse(window.text) for window in windows]
    return {
        "samples": _pad_samples(windows),
        "input_ids": _pad_rows(inputs, padding),
        "labels": _pad_rows(labels, IGNORED),
        "plain": torch.tensor([bool(text.words) and not text.tags for text in texts]),
    }


def run_model(model: Any, inputs: Batch, targets: torch.Tensor, base_inputs: Batch | None = None) -> TokenLogits:
    """Logits of a model's inputs, and of `base_inputs` those of the model without its adapter."""
    base_logits = None
    if base_inputs is not None:
        with _without_adapter(model) as base:
            base_logits = base(**base_inputs).logits
    return TokenLogits(model(**inputs).logits, targets, base_logits)


@contextmanager
def _without_adapter(model: Any) -> Iterator[Any]:
    """The base of a `PeftModel` in training, as it was published: no adapter, dropout, noise on embeddings or graph."""
    adapted = getattr(model, "module", model)  # inside DistributedDataParallel
    adapted.eval()
    with torch.no_grad(), adapted.disable_adapter():
        yield adapted
    adapted.train()


def decoding(temperature: float) -> dict[str, Any]:
    """Options of `GenerationConfig`: greedy at temperature 0, else sampling from the whole distribution."""
    return {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}


def _pad_rows(rows: Sequence[Sequence[int]], fill: int) -> torch.Tensor:
    """Rows of token ids, padded on the right: int64 (rows, longest)."""
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows])


def _pad_samples(windows: Sequence[Window]) -> torch.Tensor:
    """Samples of all windows, padded with silence on the right: int16 (windows, longest)."""
    padded = torch.zeros(len(windows), max(len(window.samples) for window in windows), dtype=torch.int16)
    for row, window in zip(padded, windows, strict=True):
        row[: len(window.samples)] = torch.from_numpy(window.samples)
    return padded
