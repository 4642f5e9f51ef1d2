"""Greedy decoding with a Llama of transformers, without the time between tokens.

A decode step is one function of buffers only, so that on a GPU it is recorded once as a CUDA graph and replayed for
each token: the processor waits for no Python. Knows embeddings, tokens and graphs; nothing of audio, prompts or texts.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from evoxtral.inference.engines.torch.kv_cache import DecodedRow, DecodeState
from evoxtral.inference.engines.torch.llama_layers import LlamaLayers

# A step attends to the positions up to the next multiple of this, and each multiple has its own graph.
_ATTENDED_STEP = 256
# Looking whether all rows have ended makes the GPU wait for Python.
_TOKENS_BETWEEN_LOOKS_ON_GPU = 8


class GreedyDecoder:
    """Decodes after embedded prompts of one length.

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

    @torch.inference_mode()
    def decode(self, prompts: Tensor, max_new_tokens: int) -> list[DecodedRow]:
        """Decode at most `max_new_tokens` tokens after each prompt, the end token included.

        Args:
            prompts: embeddings, shape (rows, length, width).

        Raises:
            ValueError: prompt and text together are longer than the buffers.
        """
        rows, length, _ = prompts.shape
        self._check_room(length, max_new_tokens)
        state = self._state(rows, prompts)
        state.reset(length)
        # Rows are added up to the size of the buffers, and count as ended.
        if state.rows > rows:
            prompts = torch.cat([prompts, prompts[-1:].expand(state.rows - rows, -1, -1)])
        state.ended[rows:] = True
        state.choose(self._layers.prefill(state, prompts), self._end_token)
        for number in range(1, max_new_tokens):
            if (number == 1 or number % state.tokens_between_looks == 0) and bool(state.ended.all()):
                break
            self._decode_step(state, length + number)
        return state.decoded_rows(rows, self._end_token)

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
        state = self._state(1, prompt)
        # The buffers are this stream's own until it ends: other texts may be decoded meanwhile.
        del self._states[1]
        try:
            state.reset(length)
            state.choose(self._layers.prefill(state, prompt), self._end_token)
            for number in range(1, max_new_tokens + 1):
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

    def _state(self, rows: int, like: Tensor) -> DecodeState:
        """Buffers for at least so many rows; on a GPU for powers of two, so that few graphs serve all batches."""
        on_gpu = like.device.type == "cuda"
        size = 1 << (rows - 1).bit_length() if on_gpu else rows
        if size not in self._states:
            if not on_gpu:
                self._states.clear()
            layers = self._layers
            state = DecodeState(
                size,
                self._positions,
                layers=len(layers.weights),
                kv_heads=layers.kv_heads,
                head_dim=layers.head_dim,
                like=like,
            )
            state.cosine, state.sine = layers.rotary(self._positions, like)
            if on_gpu:
                state.tokens_between_looks = _TOKENS_BETWEEN_LOOKS_ON_GPU
                self._add_kernels(state)
            self._states[size] = state
        return self._states[size]

    def _decode_step(self, state: DecodeState, filled: int) -> None:
        """Decode the next token of each row; `filled` positions of the cache are filled after it."""
        attended = self._positions  # the kernels look at what is filled alone
        if state.attention is None:
            attended = min(-(-filled // _ATTENDED_STEP) * _ATTENDED_STEP, self._positions)
        if state.keys[0].device.type != "cuda":
            self._advance(state, attended)
            return
        if attended not in state.graphs:
            state.graphs[attended] = self._record(state, attended)
        state.graphs[attended].replay()

    def _record(self, state: DecodeState, attended: int) -> Any:
        """Record one step as a CUDA graph; the buffers are afterwards as they were before."""
        kept = state.copy_of_progress()
        side: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._advance(state, attended)
                state.restore_progress(kept)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._advance(state, attended)
        state.restore_progress(kept)
        return graph

    def _advance(self, state: DecodeState, attended: int) -> None:
        logits = self._layers.decode_step(state, attended)
        state.position += 1
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
