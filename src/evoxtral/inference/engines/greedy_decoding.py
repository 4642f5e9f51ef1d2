"""Greedy decoding with a Llama of transformers, without the time between tokens.

The keys and values lie in buffers of fixed size and a step is one function of buffers only, so that on a GPU it is
recorded once as a CUDA graph and replayed for each token: the processor waits for no Python. Weights that read the same
input are joined. Knows language models and embeddings; nothing of audio, prompts or texts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

# A step attends to the positions up to the next multiple of this, and each multiple has its own graph.
_REACH_STEP = 256
# More than there are sizes of batches, for several models.
_MOST_COMPILED = 64
# How many tokens are written before the rows are looked at: looking makes the GPU wait for Python.
_TOKENS_BETWEEN_LOOKS = 8


@dataclass(frozen=True, slots=True)
class Written:
    """What was written for one row: token ids without the end token, and the mean log-probability of all of them."""

    tokens: list[int]
    mean_log_probability: float


class GreedyDecoder:
    """Writes after embedded prompts of one length.

    Args:
        llama: `LlamaModel`, in evaluation; its projection weights become views of joined ones.
        head: the output layer over the vocabulary.
        end: id of the end token.
        positions: how many tokens prompt and text have at most, together.
        compiled: also compile the layers of a step of several rows, once for each size of batch. A single row has
            kernels of its own (`step_kernels`) in any case.

    Raises:
        ValueError: the model has biases in its projections or another activation than SiLU, which no Llama has.
    """

    def __init__(self, llama: Any, head: torch.nn.Linear, *, end: int, positions: int, compiled: bool = False) -> None:
        config = llama.config
        if config.attention_bias or config.mlp_bias or config.hidden_act != "silu":
            raise ValueError("not the architecture of a Llama")
        self._llama = llama
        self._head = head
        self._end = end
        self._positions = positions
        self._heads, self._groups = config.num_attention_heads, config.num_key_value_heads
        self._width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self._epsilon = llama.norm.variance_epsilon
        self._layers = [
            (
                layer.input_layernorm.weight,
                _join(layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj),
                layer.self_attn.o_proj.weight,
                layer.post_attention_layernorm.weight,
                _join(layer.mlp.gate_proj, layer.mlp.up_proj),
                layer.mlp.down_proj.weight,
            )
            for layer in llama.layers
        ]
        self._project_step, self._finish_step = self._project, self._finish
        if compiled:
            # All layers share what is compiled of one; each size of batch has its own.
            dynamo: Any = torch._dynamo
            dynamo.config.recompile_limit = max(dynamo.config.recompile_limit, _MOST_COMPILED)
            self._project_step = torch.compile(self._project, dynamic=False, fullgraph=True)
            self._finish_step = torch.compile(self._finish, dynamic=False, fullgraph=True)
        self._states: dict[int, _State] = {}

    @torch.inference_mode()
    def write(self, prompts: Tensor, max_new_tokens: int) -> list[Written]:
        """Write at most `max_new_tokens` tokens after each prompt, the end token included.

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
        self._choose(state, self._read_prompts(state, prompts))
        for number in range(1, max_new_tokens):
            if (number == 1 or number % state.look_every == 0) and bool(state.ended.all()):
                break
            self._step(state, length + number)
        return state.written(rows, self._end)

    @torch.inference_mode()
    def stream(self, prompt: Tensor, max_new_tokens: int) -> Iterator[int]:
        """Write after one prompt as `write` does, and give each token when it is there; not the end token.

        Args:
            prompt: embeddings, shape (1, length, width).

        Raises:
            ValueError: prompt and text together are longer than the buffers.
        """
        length = prompt.shape[1]
        self._check_room(length, max_new_tokens)
        state = self._state(1, prompt)
        # The buffers are this stream's own until it ends: other texts may be written meanwhile.
        del self._states[1]
        try:
            state.reset(length)
            self._choose(state, self._read_prompts(state, prompt))
            for number in range(1, max_new_tokens + 1):
                token = int(state.token[0])
                if token == self._end:
                    return
                yield token
                if number < max_new_tokens:
                    self._step(state, length + number)
        finally:
            self._states[1] = state

    def _check_room(self, length: int, max_new_tokens: int) -> None:
        if length + max_new_tokens > self._positions:
            raise ValueError(f"{length} + {max_new_tokens} tokens are more than {self._positions}")

    def forget_buffers(self) -> None:
        """Give back the memory of keys, values and graphs."""
        self._states.clear()

    def _state(self, rows: int, like: Tensor) -> "_State":
        """Buffers for at least so many rows; on a GPU for powers of two, so that few graphs serve all batches."""
        on_gpu = like.device.type == "cuda"
        size = 1 << (rows - 1).bit_length() if on_gpu else rows
        if size not in self._states:
            if not on_gpu:
                self._states.clear()
            self._states[size] = _State(size, self._positions, len(self._llama.layers), self._groups, self._width, like)
            self._states[size].look_every = _TOKENS_BETWEEN_LOOKS if on_gpu else 1
            if on_gpu:
                self._add_kernels(self._states[size])
            positions = torch.arange(self._positions, device=like.device)[None]
            cosine, sine = self._llama.rotary_emb(like, positions)
            self._states[size].cosine, self._states[size].sine = cosine[0], sine[0]
        return self._states[size]

    def _read_prompts(self, state: "_State", hidden: Tensor) -> Tensor:
        """Fill the buffers with the prompts; gives the logits after each, shape (rows, vocabulary)."""
        length = hidden.shape[1]
        cosine, sine = state.cosine[:length], state.sine[:length]
        for keys, values, layer in zip(state.keys, state.values, self._layers, strict=True):
            hidden = self._read_layer(hidden, cosine, sine, keys[:, :, :length], values[:, :, :length], *layer)
        return self._logits(hidden[:, -1])

    def _step(self, state: "_State", filled: int) -> None:
        """Write the next token of each row; `filled` positions hold keys after it."""
        reach = self._positions  # the kernels look at what is filled alone
        if state.attention is None:
            reach = min(-(-filled // _REACH_STEP) * _REACH_STEP, self._positions)
        if state.keys[0].device.type != "cuda":
            self._advance(state, reach)
            return
        if reach not in state.graphs:
            state.graphs[reach] = self._record(state, reach)
        state.graphs[reach].replay()

    def _record(self, state: "_State", reach: int) -> Any:
        """Record one step as a CUDA graph; the buffers are afterwards as they were before."""
        kept = state.copy_of_progress()
        side: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._advance(state, reach)
                state.restore_progress(kept)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._advance(state, reach)
        state.restore_progress(kept)
        return graph

    def _advance(self, state: "_State", reach: int) -> None:
        """One token for each row, by buffers only: nothing here depends on a value that Python would have to see."""
        position = state.position
        hidden = self._llama.embed_tokens(state.token)
        if state.one_row is not None:
            logits = state.one_row.logits(hidden[0], state.cosine, state.sine, position, state.keys, state.values)[None]
        elif state.attention is not None:
            for keys, values, layer in zip(state.keys, state.values, self._layers, strict=True):
                norm, qkv, *others = layer
                projected = self._project_step(hidden, norm, qkv)
                heard = state.attention(projected, state.cosine, state.sine, position, keys, values)
                hidden = self._finish_step(hidden, heard, *others)
            logits = self._logits(hidden)
        else:
            hidden = hidden[:, None]
            cosine, sine = state.cosine[position], state.sine[position]
            unwritten = torch.arange(reach, device=position.device) > position
            for keys, values, layer in zip(state.keys, state.values, self._layers, strict=True):
                hidden = self._advance_layer(
                    hidden, cosine, sine, position, unwritten, keys[:, :, :reach], values[:, :, :reach], *layer
                )
            logits = self._logits(hidden[:, -1])
        position += 1
        self._choose(state, logits)

    def _add_kernels(self, state: "_State") -> None:
        try:
            from evoxtral.inference.engines.step_kernels import Attention, OneRow, can_run
        except ImportError:  # PyTorch for Windows brings no Triton, older releases an older one
            return
        if state.position.is_cuda and not can_run(state.position.device):
            return
        state.attention = Attention(
            state.rows,
            heads=self._heads,
            groups=self._groups,
            width=self._width,
            positions=self._positions,
            like=state.keys[0],
        )
        if state.rows == 1:
            state.one_row = OneRow(
                self._layers,
                self._llama.norm.weight,
                self._head.weight,
                epsilon=self._epsilon,
                attention=state.attention,
            )

    def _read_layer(
        self, hidden: Tensor, cosine: Tensor, sine: Tensor, keys: Tensor, values: Tensor, *weights: Tensor
    ) -> Tensor:
        """A layer over the prompts; `keys` and `values` are the part of the buffers that they fill."""

        def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            keys.copy_(key)
            values.copy_(value)
            return functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)

        return self._layer(hidden, cosine, sine, attend, *weights)

    def _advance_layer(
        self,
        hidden: Tensor,
        cosine: Tensor,
        sine: Tensor,
        position: Tensor,
        unwritten: Tensor,
        keys: Tensor,
        values: Tensor,
        *weights: Tensor,
    ) -> Tensor:
        """A layer over one new token of each row; `unwritten` says which of the `keys` hold nothing yet."""
        rows = hidden.shape[0]

        def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            keys.index_copy_(2, position, key)
            values.index_copy_(2, position, value)
            # The heads that share a key are rows of one product: keys and values are read once and not repeated.
            shared = query.reshape(rows, self._groups, -1, self._width)
            scores = shared @ keys.transpose(2, 3) * self._width**-0.5
            weights = scores.masked_fill(unwritten, float("-inf")).softmax(-1, dtype=torch.float32).to(scores.dtype)
            heard: Tensor = weights @ values
            return heard.reshape(rows, self._heads, 1, self._width)

        return self._layer(hidden, cosine, sine, attend, *weights)

    def _layer(
        self,
        hidden: Tensor,
        cosine: Tensor,
        sine: Tensor,
        attend: Callable[[Tensor, Tensor, Tensor], Tensor],
        norm: Tensor,
        qkv: Tensor,
        *others: Tensor,
    ) -> Tensor:
        """A layer of Llama (arXiv 2302.13971, section 2.2); `hidden` has shape (rows, positions, width)."""
        rows, length, _ = hidden.shape
        sizes = [self._heads * self._width, self._groups * self._width, self._groups * self._width]
        projected = self._project(hidden, norm, qkv)
        query, key, value = (
            part.view(rows, length, -1, self._width).transpose(1, 2) for part in torch.split(projected, sizes, -1)
        )
        query, key = _rotated(query, cosine, sine), _rotated(key, cosine, sine)
        heard = attend(query, key, value).transpose(1, 2).reshape(rows, length, -1)
        return self._finish(hidden, heard, *others)

    def _project(self, hidden: Tensor, norm: Tensor, qkv: Tensor) -> Tensor:
        return functional.linear(self._normed(hidden, norm), qkv)

    def _finish(
        self, hidden: Tensor, heard: Tensor, out: Tensor, second_norm: Tensor, gate_up: Tensor, down: Tensor
    ) -> Tensor:
        hidden = hidden + functional.linear(heard, out)
        gate, up = functional.linear(self._normed(hidden, second_norm), gate_up).chunk(2, dim=-1)
        result: Tensor = hidden + functional.linear(functional.silu(gate) * up, down)
        return result

    def _normed(self, hidden: Tensor, weight: Tensor) -> Tensor:
        normed: Tensor = functional.rms_norm(hidden, (hidden.shape[-1],), weight, self._epsilon)
        return normed

    def _logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self._head(self._normed(hidden, self._llama.norm.weight))
        return logits.float()

    def _choose(self, state: "_State", logits: Tensor) -> None:
        """Take the likeliest token of each row; a row that has ended goes on with end tokens that do not count."""
        best, token = logits.max(dim=-1)
        chance = best - logits.logsumexp(dim=-1)
        token = torch.where(state.ended, self._end, token)
        state.log_probability += torch.where(state.ended, 0.0, chance)
        state.count += ~state.ended
        state.ended |= token == self._end
        state.text.index_copy_(1, state.written_count, token[:, None])
        state.written_count += 1
        state.token.copy_(token)


class _State:
    """The buffers of a batch: keys and values, and how far each row is."""

    def __init__(self, rows: int, positions: int, layers: int, groups: int, width: int, like: Tensor) -> None:
        device = like.device
        self.rows = rows
        shape = (rows, groups, positions, width)
        self.keys = [torch.zeros(shape, dtype=like.dtype, device=device) for _ in range(layers)]
        self.values = [torch.zeros(shape, dtype=like.dtype, device=device) for _ in range(layers)]
        self.cosine = self.sine = torch.empty(0)
        self.position = torch.zeros(1, dtype=torch.long, device=device)
        self.written_count = torch.zeros(1, dtype=torch.long, device=device)
        self.token = torch.zeros(rows, dtype=torch.long, device=device)
        self.ended = torch.zeros(rows, dtype=torch.bool, device=device)
        self.count = torch.zeros(rows, dtype=torch.long, device=device)
        self.log_probability = torch.zeros(rows, device=device)
        self.text = torch.zeros((rows, positions), dtype=torch.long, device=device)
        self.graphs: dict[int, Any] = {}
        self.attention: Any = None
        self.one_row: Any = None
        self.look_every = 1

    def _progress(self) -> tuple[Tensor, ...]:
        return (
            self.position,
            self.written_count,
            self.token,
            self.ended,
            self.count,
            self.log_probability,
            self.text,
        )

    def reset(self, position: int) -> None:
        for part in self._progress():
            part.zero_()
        self.position.fill_(position)

    def copy_of_progress(self) -> tuple[Tensor, ...]:
        return tuple(part.clone() for part in self._progress())

    def restore_progress(self, kept: Sequence[Tensor]) -> None:
        for part, old in zip(self._progress(), kept, strict=True):
            part.copy_(old)

    def written(self, rows: int, end: int) -> list[Written]:
        counts = self.count[:rows].tolist()
        chances = (self.log_probability / self.count.clamp(min=1))[:rows].tolist()
        tokens = self.text[:rows].tolist()
        return [
            Written([token for token in row[:count] if token != end], chance)
            for row, count, chance in zip(tokens, counts, chances, strict=True)
        ]


def _join(*layers: torch.nn.Linear) -> Tensor:
    """One weight of several layers with the same input; theirs become views of it, so that it takes no memory."""
    joined = torch.cat([layer.weight.data for layer in layers])
    first = 0
    for layer in layers:
        layer.weight.data = joined[first : first + layer.out_features]
        first += layer.out_features
    return joined


def _rotated(vectors: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary position embedding (arXiv 2104.09864), in the order of dimensions that transformers uses."""
    first, second = vectors.chunk(2, dim=-1)
    return vectors * cosine + torch.cat([-second, first], dim=-1) * sine
