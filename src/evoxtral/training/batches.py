"""Batches for teacher forcing: what a row reads, what it must write, and what the model says of it.

Knows tensors of samples and tokens; nothing of models.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from evoxtral.tags import parse
from evoxtral.training.encoder_outputs import KeptEncoderOutputs
from evoxtral.training.packing import Window

IGNORED: Final = -100  # label of positions that carry no loss
Batch = dict[str, Any]
"""Tensors that go to the device, and plain numbers and names, which stay.

`samples` (sounds, n) int16, of which the rows have each in turn, `repeats` times over; `input_ids` and `labels`
(rows, length); `plain` (rows,), which says what windows have words and no tags; `audio_windows`, how many windows of
the encoder each row has; `first_target`, the first position that any row carries loss at. Where it is kept what the
encoder hears, either `heard` (windows of the encoder of all sounds, frames, width) in the place of `samples`, or
`keys`, by which to keep it.
"""


@dataclass(frozen=True, slots=True)
class TokenLogits:
    """`logits` (rows, positions, vocabulary) and `targets` (rows, positions); `IGNORED` targets carry no loss.

    `base_logits`, where they were asked for, are what the model without its adapter says of the batch's plain windows:
    shape (plain rows, positions, vocabulary).
    """

    logits: torch.Tensor
    targets: torch.Tensor
    base_logits: torch.Tensor | None = None


def make_batch(
    windows: Sequence[Window],
    prompts: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    *,
    audio_windows: Sequence[int],
    padding_token: int,
    repeats: int = 1,
    kept: KeptEncoderOutputs | None = None,
) -> Batch:
    """A batch of windows: each row reads its prompt and target, and must write the target.

    Args:
        prompts: token ids of each window's prompt.
        targets: token ids of each window's text, with the end token.
        audio_windows: windows of the encoder in each.
        padding_token: fills rows up; it carries no loss.
        repeats: the rows have the same sounds in the same order so many times over.
        kept: what the encoder heard before.
    """
    sounds = windows[: len(windows) // repeats]
    hearing: Batch = {}
    if kept is not None:
        counted = zip(sounds, audio_windows, strict=False)
        keys = [key for window, count in counted for key in kept.keys(window.samples, count)]
        heard = kept.read(keys)
        hearing = {"keys": keys} if heard is None else {"heard": heard}
    # Position i predicts token i + 1: the prompt's last token predicts the first of the text.
    inputs = [[*prompt, *target[:-1]] for prompt, target in zip(prompts, targets, strict=True)]
    labels = [[IGNORED] * (len(prompt) - 1) + [*target] for prompt, target in zip(prompts, targets, strict=True)]
    texts = [parse(window.text) for window in windows]
    return {
        **({} if "heard" in hearing else {"samples": _pad_samples(sounds)}),
        **hearing,
        "input_ids": _pad_rows(inputs, padding_token),
        "labels": _pad_rows(labels, IGNORED),
        "plain": torch.tensor([bool(text.words) and not text.tags for text in texts]),
        "audio_windows": list(audio_windows),
        "repeats": repeats,
        "first_target": min(len(prompt) for prompt in prompts) - 1,
    }


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
