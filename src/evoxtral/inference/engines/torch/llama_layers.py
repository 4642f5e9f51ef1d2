"""The layers of a Llama of transformers (arXiv 2302.13971, section 2.2) over a kv cache of fixed size.

Weights that read the same input are joined. Knows weights and tensors; nothing of tokens or of when a text ends.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from evoxtral.inference.engines.torch.kv_cache import DecodeState, Prefilled
from evoxtral.inference.engines.torch.rounded_weights import Weight, join_weights, multiply, weight_of

LayerWeights = tuple[Tensor, Weight, Weight, Tensor, Weight, Weight]
"""(norm, query-key-value, output, norm, gate-up, down)."""

# There are more sizes of batches than PyTorch compiles by default, for several models.
_MOST_COMPILED = 64


class LlamaLayers:
    """Prefill, and decode steps of one token a row.

    Args:
        llama: `LlamaModel`, in evaluation; its projection weights become views of joined ones.
        output_layer: over the vocabulary.
        compiled: also compile what stands around the attention.

    Attributes:
        heads, kv_heads, head_dim: of the attention.
        norm_epsilon: of the normalisations.
        weights: of each layer.

    Raises:
        ValueError: the model has biases in its projections or another activation than SiLU, which no Llama has.
    """

    def __init__(self, llama: Any, output_layer: torch.nn.Linear, *, compiled: bool = False) -> None:
        config = llama.config
        if config.attention_bias or config.mlp_bias or config.hidden_act != "silu":
            raise ValueError("not the architecture of a Llama")
        self._llama = llama
        self._output_layer = output_layer
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.norm_epsilon = llama.norm.variance_epsilon
        self.weights: list[LayerWeights] = [
            (
                layer.input_layernorm.weight,
                join_weights(layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj),
                weight_of(layer.self_attn.o_proj),
                layer.post_attention_layernorm.weight,
                join_weights(layer.mlp.gate_proj, layer.mlp.up_proj),
                weight_of(layer.mlp.down_proj),
            )
            for layer in llama.layers
        ]
        self._project_step, self._finish_step = self._project, self._finish
        self._project_prompts, self._finish_prompts = self._project, self._finish
        if compiled:
            # All layers share what is compiled of one. Prompts have any sizes; each number of places has its own step.
            self._project_prompts = torch.compile(self._project, dynamic=True, fullgraph=True)
            self._finish_prompts = torch.compile(self._finish, dynamic=True, fullgraph=True)
            dynamo: Any = torch._dynamo
            dynamo.config.recompile_limit = max(dynamo.config.recompile_limit, _MOST_COMPILED)
            self._project_step = torch.compile(self._project, dynamic=False, fullgraph=True)
            self._finish_step = torch.compile(self._finish, dynamic=False, fullgraph=True)

    def rotary(self, positions: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines of the rotary embedding, each of shape (positions, head_dim)."""
        cosine, sine = self._llama.rotary_emb(like, torch.arange(positions, device=like.device)[None])
        return cosine[0], sine[0]

    @property
    def last_norm(self) -> Tensor:
        weight: Tensor = self._llama.norm.weight
        return weight

    @property
    def output_weight(self) -> Tensor:
        return self._output_layer.weight

    def prefill(self, hidden: Tensor, cosine: Tensor, sine: Tensor) -> Prefilled:
        """Read embedded prompts.

        Args:
            hidden: shape (rows, length, width).
            cosine, sine: see `rotary`; of at least `length` positions.
        """
        rows, length, _ = hidden.shape
        shape = (len(self.weights), rows, self.kv_heads, length, self.head_dim)
        all_keys, all_values = hidden.new_empty(shape), hidden.new_empty(shape)
        cosine, sine = cosine[:length], sine[:length]
        for keys, values, weights in zip(all_keys, all_values, self.weights, strict=True):
            hidden = self._prefill_layer(hidden, cosine, sine, keys, values, *weights)
        return Prefilled(all_keys, all_values, self._logits(hidden[:, -1]))

    def decode_step(self, state: DecodeState, attended: int) -> Tensor:
        """Read the last token of each row; gives the logits after it, (rows, vocabulary).

        By buffers only: nothing here depends on a value that Python would have to see.

        Args:
            attended: how many positions of the cache are looked at; those that are not filled yet are masked.
        """
        position = state.position
        hidden = self._llama.embed_tokens(state.token)
        if state.one_row is not None:
            logits: Tensor = state.one_row.logits(
                hidden[0], state.cosine, state.sine, position, state.keys, state.values
            )
            return logits[None]
        if state.attention is not None:
            for keys, values, weights in zip(state.keys, state.values, self.weights, strict=True):
                projected = self._project_step(hidden, *weights[:2])
                heard = state.attention(projected, state.cosine, state.sine, position, keys, values)
                hidden = self._finish_step(hidden, heard, *weights[2:])
            return self._logits(hidden)
        hidden = hidden[:, None]
        # Of shapes that go with (rows, heads, 1, head_dim) and (rows, heads, 1, attended).
        cosine, sine = state.cosine[position][:, None, None], state.sine[position][:, None, None]
        is_empty = (torch.arange(attended, device=position.device) > position[:, None])[:, None, None]
        for keys, values, weights in zip(state.keys, state.values, self.weights, strict=True):
            hidden = self._decode_layer(
                hidden, cosine, sine, position, is_empty, keys[:, :, :attended], values[:, :, :attended], *weights
            )
        return self._logits(hidden[:, -1])

    def _prefill_layer(
        self, hidden: Tensor, cosine: Tensor, sine: Tensor, keys: Tensor, values: Tensor, *weights: Any
    ) -> Tensor:
        """A layer over the prompts, which fills `keys` and `values`."""

        def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            keys.copy_(key)
            values.copy_(value)
            return functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)

        return self._layer(hidden, cosine, sine, attend, *weights)

    def _decode_layer(
        self,
        hidden: Tensor,
        cosine: Tensor,
        sine: Tensor,
        position: Tensor,
        is_empty: Tensor,
        keys: Tensor,
        values: Tensor,
        *weights: Any,
    ) -> Tensor:
        """A layer over one new token of each row; `is_empty` says which of the `keys` hold nothing yet."""
        rows = hidden.shape[0]
        row = torch.arange(rows, device=position.device)

        def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            keys[row, :, position] = key[:, :, 0]
            values[row, :, position] = value[:, :, 0]
            # The heads that share a kv head are rows of one product: keys and values are read once and not repeated.
            shared = query.reshape(rows, self.kv_heads, -1, self.head_dim)
            scores = shared @ keys.transpose(2, 3) * self.head_dim**-0.5
            weights = scores.masked_fill(is_empty, float("-inf")).softmax(-1, dtype=torch.float32).to(scores.dtype)
            heard: Tensor = weights @ values
            return heard.reshape(rows, self.heads, 1, self.head_dim)

        return self._layer(hidden, cosine, sine, attend, *weights)

    def _layer(
        self,
        hidden: Tensor,
        cosine: Tensor,
        sine: Tensor,
        attend: Callable[[Tensor, Tensor, Tensor], Tensor],
        norm: Tensor,
        qkv: Weight,
        *others: Any,
    ) -> Tensor:
        """`hidden` has shape (rows, positions, width)."""
        rows, length, _ = hidden.shape
        sizes = [heads * self.head_dim for heads in (self.heads, self.kv_heads, self.kv_heads)]
        project, finish = self._project_prompts, self._finish_prompts
        projected = project(hidden, norm, qkv)
        query, key, value = (
            part.view(rows, length, -1, self.head_dim).transpose(1, 2) for part in torch.split(projected, sizes, -1)
        )
        query, key = _rotated(query, cosine, sine), _rotated(key, cosine, sine)
        heard = attend(query, key, value).transpose(1, 2).reshape(rows, length, -1)
        return finish(hidden, heard, *others)

    def _project(self, hidden: Tensor, norm: Tensor, qkv: Weight) -> Tensor:
        return multiply(self._normed(hidden, norm), qkv)

    def _finish(
        self, hidden: Tensor, heard: Tensor, out: Weight, second_norm: Tensor, gate_up: Weight, down: Weight
    ) -> Tensor:
        hidden = hidden + multiply(heard, out)
        gate, up = multiply(self._normed(hidden, second_norm), gate_up).chunk(2, dim=-1)
        result: Tensor = hidden + multiply(functional.silu(gate) * up, down)
        return result

    def _normed(self, hidden: Tensor, weight: Tensor) -> Tensor:
        normed: Tensor = functional.rms_norm(hidden, (hidden.shape[-1],), weight, self.norm_epsilon)
        return normed

    def _logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self._output_layer(self._normed(hidden, self.last_norm))
        return logits.float()


def _rotated(vectors: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary position embedding (arXiv 2104.09864), in the order of dimensions that transformers uses."""
    first, second = vectors.chunk(2, dim=-1)
    return vectors * cosine + torch.cat([-second, first], dim=-1) * sine
