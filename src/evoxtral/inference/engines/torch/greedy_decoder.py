"""Greedy decoding with a Llama of transformers, without the time between tokens, and without waiting for long texts.

A decode step is one function of buffers only, so that on a GPU it is recorded once as a CUDA graph and replayed for
each token: the processor waits for no Python. The buffers have a number of places; as a text ends, the next prompt
takes its place (continuous batching, as in Orca, OSDI 2022). On a GPU prompts are read while other texts are decoded.
Knows embeddings, tokens and graphs; nothing of audio or texts.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from evoxtral.inference.engines.torch.kv_cache import DecodedRow, DecodeState, Prefilled
from evoxtral.inference.engines.torch.llama_layers import LlamaLayers

# A step attends to the positions up to the next multiple of this, and each multiple has its own graph.
_ATTENDED_STEP = 256
# Looking which rows have ended makes the GPU wait for Python; while prompts are read, the next are begun at a look.
_TOKENS_BETWEEN_LOOKS_ON_GPU, _WHILE_PROMPTS_ARE_READ = 8, 4
# Prompts that have no place yet, the ones being read included. One group at a time is queued: its thousand kernels fill
# the GPU's queue, and with more Python would wait in the midst of them, while no step is queued.
_GROUPS_AHEAD = 2


class GreedyDecoder:
    """Decodes after embedded prompts.

    Memory: for each place, `positions` times the bytes of a token's keys and values (2 * layers * kv heads * head_dim *
    bytes of a number: 123 kB for Voxtral-Mini-3B in bfloat16, 97 MB a place); and the same for each position of the
    prompts that were read and have no place yet, which are one group, on a GPU two.

    Args:
        llama: `LlamaModel`, in evaluation; its projection weights become views of joined ones.
        output_layer: over the vocabulary.
        end_token: its id.
        positions: how many tokens prompt and text have at most, together.
        compiled: also compile the layers of a step of several rows. A single row has kernels of its own
            (`decode_kernels`) in any case.

    Raises:
        ValueError: the model is no Llama; see `LlamaLayers`.
    """

    def __init__(
        self, llama: Any, output_layer: torch.nn.Linear, *, end_token: int, positions: int, compiled: bool = False
    ) -> None:
        self._layers = LlamaLayers(llama, output_layer, compiled=compiled)
        self._end_token = end_token
        self._positions = positions
        self._states: dict[int, DecodeState] = {}
        self._like: Tensor = output_layer.weight
        self._cosine, self._sine = self._layers.rotary(positions, self._like)
        # Prompts are read in the caller's stream, and the small kernels of steps go before their large ones.
        self._stream: Any = None
        if self._like.is_cuda:
            self._stream = torch.cuda.Stream(self._like.device, priority=-1)  # type: ignore[no-untyped-call]

    @torch.inference_mode()
    def decode(self, prompts: Iterable[Tensor], max_new_tokens: int, *, rows: int) -> Iterator[tuple[int, DecodedRow]]:
        """Decode at most `max_new_tokens` tokens after each prompt, the end token included.

        Args:
            prompts: groups of embeddings, each of shape (rows, length, width); the length may differ from group to
                group. A group is taken when there is a place for one of its rows, on a GPU a little earlier.
            rows: how many texts are decoded at a time.

        Yields:
            As texts end: the number of each prompt over all groups, and what was decoded after it.

        Raises:
            ValueError: prompt and text together are longer than the buffers.
        """
        groups = iter(prompts)
        state = self._take_state(rows)
        try:
            with self._decoding():
                state.reset(max_new_tokens)
            free = list(range(rows))[::-1]
            waiting: deque[Prefilled] = deque()
            # Of each taken place: the number of its text, its prompt's length, and its tokens if it has not ended yet.
            taken: dict[int, tuple[int, int]] = {}
            written: dict[int, int] = {}
            begun = 0
            while True:
                is_start = not taken
                # The first texts begin together: side by side, reading and decoding only slow each other down.
                while free and (waiting or ((self._stream is None or is_start) and self._read(groups, waiting))):
                    if not is_start and not waiting[0].is_read:
                        break
                    group = waiting.popleft()
                    count = min(len(free), group.rows)
                    places = [free.pop() for _ in range(count)]
                    self._check_room(group.length, max_new_tokens)
                    self._join(state, places, group.part(slice(0, count)))
                    if count < group.rows:
                        waiting.appendleft(group.part(slice(count, None)))
                    for place in places:
                        taken[place], written[place] = (begun, group.length), 1
                        begun += 1
                if not taken:
                    return
                steps = min(state.tokens_between_looks, max_new_tokens - min(written.values()))
                if waiting:
                    steps = min(steps, _WHILE_PROMPTS_ARE_READ)
                # Silence ends with its first token.
                for _ in range(0 if is_start else steps):
                    self._decode_step(state, max(taken[place][1] + count for place, count in written.items()))
                    written = {place: count + 1 for place, count in written.items()}
                if (
                    self._stream is not None
                    and len(waiting) < _GROUPS_AHEAD
                    and all(group.is_read for group in waiting)
                ):
                    self._read(groups, waiting)
                with self._decoding():
                    has_ended = state.ended.tolist()
                    ended = [place for place in taken if has_ended[place]]
                    texts = state.decoded_rows(ended, self._end_token) if ended else []
                for place, text in zip(ended, texts, strict=True):
                    number, _ = taken.pop(place)
                    del written[place]
                    free.append(place)
                    yield number, text
        finally:
            self._states[state.rows] = state

    @torch.inference_mode()
    def stream(self, prompt: Tensor, max_new_tokens: int) -> Iterator[int]:
        """Decode after one prompt as `decode` does, and give each token when it is there; not the end token.

        Args:
            prompt: embeddings, shape (1, length, width).

        Raises:
            ValueError: prompt and text together are longer than the buffers.
        """
        length = prompt.shape[1]
        self._check_room(length, max_new_tokens)
        state = self._take_state(1)
        try:
            with self._decoding():
                state.reset(max_new_tokens)
            waiting: deque[Prefilled] = deque()
            self._read(iter([prompt]), waiting)
            self._join(state, [0], waiting.popleft())
            for number in range(1, max_new_tokens + 1):
                with self._decoding():
                    token = int(state.token[0])
                if token == self._end_token:
                    return
                yield token
                if number < max_new_tokens:
                    self._decode_step(state, length + number)
        finally:
            self._states[1] = state

    def forget_buffers(self) -> None:
        """Give back the memory of kv caches and graphs."""
        self._states.clear()

    def _check_room(self, length: int, max_new_tokens: int) -> None:
        if length + max_new_tokens > self._positions:
            raise ValueError(f"{length} + {max_new_tokens} tokens are more than {self._positions}")

    def _decoding(self) -> AbstractContextManager[object]:
        """Where steps are queued; nothing may be yielded inside."""
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def _read(self, groups: Iterator[Tensor], waiting: deque[Prefilled]) -> bool:
        """Read the next group of prompts, on a GPU without waiting for it; False if there is none."""
        group = next(groups, None)
        if group is None:
            return False
        prompts = self._layers.prefill(group, self._cosine, self._sine)
        if self._stream is not None:
            event: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record()
            prompts = Prefilled(prompts.keys, prompts.values, prompts.logits, event)
        waiting.append(prompts)
        return True

    def _join(self, state: DecodeState, places: list[int], prompts: Prefilled) -> None:
        with self._decoding():
            if self._stream is not None:
                self._stream.wait_event(prompts.read)
                prompts.is_used_by(self._stream)
            state.join(places, prompts, self._end_token)

    def _take_state(self, rows: int) -> DecodeState:
        """Buffers for at least so many rows, the caller's own until it gives them back to `_states`.

        On a GPU there are some for each power of two, so that few graphs serve all.
        """
        on_gpu = self._stream is not None
        size = 1 << (rows - 1).bit_length() if on_gpu else rows
        if size in self._states:
            return self._states.pop(size)
        if not on_gpu:
            self._states.clear()
        layers = self._layers
        with self._decoding():
            state = DecodeState(
                size,
                self._positions,
                layers=len(layers.weights),
                kv_heads=layers.kv_heads,
                head_dim=layers.head_dim,
                like=self._like,
            )
        state.cosine, state.sine = self._cosine, self._sine
        if on_gpu:
            state.tokens_between_looks = _TOKENS_BETWEEN_LOOKS_ON_GPU
            self._add_kernels(state)
        return state

    def _decode_step(self, state: DecodeState, filled: int) -> None:
        """Decode the next token of each row; at most `filled` positions of a row's cache are filled after it."""
        attended = self._positions  # the kernels look at what is filled alone
        if state.attention is None:
            attended = min(-(-filled // _ATTENDED_STEP) * _ATTENDED_STEP, self._positions)
        if self._stream is None:
            self._advance(state, attended)
            return
        if attended not in state.graphs:
            state.graphs[attended] = self._record(state, attended)
        with self._decoding():
            state.graphs[attended].replay()

    def _record(self, state: DecodeState, attended: int) -> Any:
        """Record one step as a CUDA graph; the buffers are afterwards as they were before."""
        with self._decoding():
            kept = state.copy_of_progress()
            for _ in range(3):
                self._advance(state, attended)
                state.restore_progress(kept)
        graph = torch.cuda.CUDAGraph()
        # Of this stream the graph's kernels have their priority.
        with torch.cuda.graph(graph, stream=self._stream):
            self._advance(state, attended)
        with self._decoding():
            state.restore_progress(kept)
        return graph

    def _advance(self, state: DecodeState, attended: int) -> None:
        logits = self._layers.decode_step(state, attended)
        state.choose(logits, self._end_token)

    def _add_kernels(self, state: DecodeState) -> None:
        try:
            from evoxtral.inference.engines.torch.decode_kernels import Attention, OneRow, can_run
        except ImportError:  # PyTorch for Windows brings no Triton, older releases an older one
            return
        if state.position.is_cuda and not can_run(state.position.device):
            return
        layers = self._layers
        state.attention = Attention(
            state.rows,
            heads=layers.heads,
            kv_heads=layers.kv_heads,
            head_dim=layers.head_dim,
            positions=self._positions,
            like=state.keys[0],
        )
        if state.rows == 1:
            state.one_row = OneRow(
                layers.weights,
                layers.last_norm,
                layers.output_weight,
                epsilon=layers.norm_epsilon,
                attention=state.attention,
            )
