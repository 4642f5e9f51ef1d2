"""Keys and values of the last positions of many rows, which stand at positions of their own: rings of limited length.

Takes the place of transformers' `Cache` in models whose attention looks back a limited time, so that what a row takes
does not grow with what it has read. Knows tensors and positions; nothing of sound or text.
"""

from typing import Any

import torch
from torch import Tensor

_FIRST_SIZE = 64


class SlidingCache:
    """A ring for each row: position p is kept in slot p modulo the ring's size.

    Args:
        window: how many positions, itself included, a position attends to.
        queries: how many positions of a row are read at most at once.

    Attributes:
        rows, size: how many rows and slots there are; both grow when they are reserved, the slots no further than the
            window needs.
    """

    def __init__(self, window: int, queries: int) -> None:
        self._window = window
        self._most = window + queries - 1
        self.rows = self.size = 0
        self._layers: list[tuple[Tensor, Tensor]] = []
        self._slots: tuple[Tensor, Tensor] | None = None

    def reserve(self, rows: int, positions: int) -> None:
        """Have room for so many rows of so many positions each, as far as the window reaches."""
        size = max(self.size, min(self._most, _FIRST_SIZE))
        while size < min(positions, self._most):
            size = min(2 * size, self._most)
        rows = max(rows, self.rows)
        if (rows, size) != (self.rows, self.size):
            # No ring is full that still grows: its slots are its positions.
            self._layers = [(_grown(keys, rows, size), _grown(values, rows, size)) for keys, values in self._layers]
            self.rows, self.size = rows, size

    def place(self, positions: Tensor) -> Tensor:
        """Where the next keys go.

        Args:
            positions: of the first rows, shape (rows, queries), rising by one.

        Returns:
            what they attend to, as transformers' layers take it: bool (rows, 1, queries, size).
        """
        rows = torch.arange(len(positions), device=positions.device)
        self._slots = rows[:, None], positions % self.size
        last = positions[:, -1:]
        # The position that each slot holds, once these are written.
        held = (last - (last - torch.arange(self.size, device=positions.device)) % self.size)[:, None, None]
        asked = positions[:, None, :, None]
        return (held >= 0) & (held <= asked) & (held > asked - self._window)

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Keep a layer's next keys and values, (rows, heads, queries, width); gives all that its rows hold."""
        assert self._slots is not None
        if layer == len(self._layers):
            self._add_layer(keys[0], values[0])
        rows, slots = self._slots
        held_keys, held_values = (part[: len(keys)] for part in self._layers[layer])
        held_keys[rows, :, slots] = keys.transpose(1, 2)
        held_values[rows, :, slots] = values.transpose(1, 2)
        return held_keys, held_values

    def copy_row(self, positions: int) -> list[tuple[Tensor, Tensor]]:
        """What the first row holds of its first positions."""
        return [(keys[0, :, :positions].clone(), values[0, :, :positions].clone()) for keys, values in self._layers]

    def paste_row(self, row: int, copied: list[tuple[Tensor, Tensor]]) -> None:
        """Begin a row with what `copy_row` gave."""
        if not self._layers:
            for keys, values in copied:
                self._add_layer(keys, values)
        for held, parts in zip(self._layers, copied, strict=True):
            for whole, part in zip(held, parts, strict=True):
                whole[row, :, : part.shape[1]] = part

    def _add_layer(self, keys: Tensor, values: Tensor) -> None:
        """For keys and values of any row, (heads, positions, width)."""
        shapes = ((self.rows, part.shape[0], self.size, part.shape[2]) for part in (keys, values))
        self._layers.append((keys.new_zeros(next(shapes)), values.new_zeros(next(shapes))))

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for layer in self._layers for part in layer)


def _grown(part: Tensor, rows: int, size: int) -> Tensor:
    whole = part.new_zeros(rows, part.shape[1], size, part.shape[3])
    whole[: part.shape[0], :, : part.shape[2]] = part
    return whole
