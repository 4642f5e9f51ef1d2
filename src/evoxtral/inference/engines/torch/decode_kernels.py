"""Kernels for a decode step of a Llama on a GPU: attention of any number of rows, and a whole step of one row.

A step is a matter of memory: 6.4 GB of weights pass the processor for each token of a 3B, and every row's keys and
values. The attention is one kernel that reads of the buffers what is filled. For one row, normalisation, activation and
residual are folded into products that read each weight once, and while a kernel ends the next fetches its first
weights (programmatic dependent launch, on Hopper and later). Knows buffers and shapes; nothing of prompts or texts.
Needs Triton, which comes with PyTorch for CUDA.
"""

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from evoxtral.inference.engines.torch.rounded_weights import RoundedWeight, Weight

# Positions that one program attends to, and warps that share the work; by `benchmarks/decode_kernels.py`.
_CHUNK, _ATTENTION_WARPS = 64, 4
# Of a product: rows of the weight that one program has, columns it reads at a time, and warps.
_ROWS, _COLUMNS, _WARPS = 8, 1024, 4
# The smallest product of matrices that the hardware has.
_LEAST_ROWS = 16


class Attention:
    """Attention of one new token of each row to all before it, with the buffers that it works in.

    Args:
        rows: how many texts are decoded at a time.
        heads, kv_heads, head_dim: of the attention; heads / kv_heads query heads share a kv head.
        positions: length of the kv cache.
        like: a tensor of the device and the precision.
    """

    def __init__(self, rows: int, *, heads: int, kv_heads: int, head_dim: int, positions: int, like: Tensor) -> None:
        self._rows, self._kv_heads, self._shared, self._head_dim = rows, kv_heads, heads // kv_heads, head_dim
        self._splits = triton.cdiv(positions, _CHUNK)
        self._heard = torch.empty((rows, heads * head_dim), dtype=like.dtype, device=like.device)
        self._partial = torch.empty((rows, heads, self._splits, head_dim), device=like.device)
        self._most = torch.empty((rows, heads, self._splits), device=like.device)
        self._total = torch.empty((rows, heads, self._splits), device=like.device)
        self._arrived = torch.zeros((rows, kv_heads), dtype=torch.int32, device=like.device)
        self.launch = _early_launch(like)

    def __call__(
        self, qkv: Tensor, cosine: Tensor, sine: Tensor, position: Tensor, keys: Tensor, values: Tensor
    ) -> Tensor:
        """Attend, and keep the new keys and values.

        Args:
            qkv: queries, keys and values of the new tokens, before rotation, shape
                (rows, (heads + 2 kv_heads) * head_dim).
            cosine, sine: of the rotary embedding, shape (positions, head_dim).
            position: where the token of each row stands, shape (rows,); so many positions of its buffers are filled.
            keys, values: the kv cache, shape (rows, kv_heads, positions, head_dim).

        Returns:
            What was heard, shape (rows, heads * head_dim); overwritten by the next call.
        """
        _attend[(self._rows * self._kv_heads, self._splits)](
            qkv,
            cosine,
            sine,
            position,
            keys,
            values,
            keys.stride(0),
            keys.stride(1),
            self._partial,
            self._most,
            self._total,
            self._arrived,
            self._heard,
            self._head_dim**-0.5,
            KV_HEADS=self._kv_heads,
            SHARED=self._shared,
            HEAD_DIM=self._head_dim,
            CHUNK=_CHUNK,
            SPLITS=self._splits,
            HEADS=max(_LEAST_ROWS, triton.next_power_of_2(self._shared)),
            SHARED_PADDED=triton.next_power_of_2(self._shared),
            SPLITS_PADDED=triton.next_power_of_2(self._splits),
            EARLY=bool(self.launch),
            num_warps=_ATTENTION_WARPS,
            **self.launch,
        )
        return self._heard


class OneRow:
    """A step of one row. Rounded weights are read as they are; the vectors are never rounded to fp8 here.

    Args:
        layers: of each layer the weights (norm, query-key-value, output, norm, gate-up, down).
        norm: the weight of the last normalisation.
        head: weight over the vocabulary, shape (vocabulary, hidden).
        epsilon: of the normalisations.
        attention: of one row.
    """

    def __init__(
        self, layers: Sequence[Sequence[Any]], norm: Tensor, head: Tensor, *, epsilon: float, attention: Attention
    ) -> None:
        self._layers, self._norm, self._head = layers, norm, head
        self._epsilon, self._attention = epsilon, attention

        def buffer(size: int, dtype: torch.dtype = head.dtype) -> Tensor:
            return torch.empty(size, dtype=dtype, device=head.device)

        self._hidden = buffer(head.shape[1])
        self._qkv = buffer(layers[0][1].shape[0])
        self._gated = buffer(layers[0][5].shape[1])
        self._logits = buffer(head.shape[0], torch.float32)
        self.launch = _early_launch(head)

    def logits(
        self,
        hidden: Tensor,
        cosine: Tensor,
        sine: Tensor,
        position: Tensor,
        keys: Sequence[Tensor],
        values: Sequence[Tensor],
    ) -> Tensor:
        """The scores of the next token, float32, shape (vocabulary,); overwritten by the next call.

        Args:
            hidden: embedding of the last token, shape (hidden,).
            cosine, sine, position: see `Attention`.
            keys, values: of each layer.
        """
        stream = self._hidden
        stream.copy_(hidden)
        for (norm, qkv, out, second_norm, gate_up, down), layer_keys, layer_values in zip(
            self._layers, keys, values, strict=True
        ):
            self.multiply(qkv, stream, self._qkv, norm=norm)
            heard = self._attention(self._qkv, cosine, sine, position, layer_keys, layer_values)
            self.multiply(out, heard, stream, residual=True)
            self.multiply(gate_up, stream, self._gated, norm=second_norm, gated=True)
            self.multiply(down, self._gated, stream, residual=True)
        self.multiply(self._head, stream, self._logits, norm=self._norm)
        return self._logits

    def multiply(
        self,
        weight: Weight,
        vector: Tensor,
        result: Tensor,
        *,
        norm: Tensor | None = None,
        gated: bool = False,
        residual: bool = False,
    ) -> None:
        """`result` = `weight` @ `vector`; see the kernel for what may be folded in."""
        count, columns = len(result), weight.shape[1]
        rows = _divisor(count, _ROWS // 2 if gated else _ROWS)
        values, scale = weight if isinstance(weight, RoundedWeight) else (weight, vector)
        _multiply[(count // rows,)](
            values,
            scale,
            vector,
            vector if norm is None else norm,
            result,
            self._epsilon,
            count=count,
            columns=columns,
            ROWS=rows,
            COLUMNS=_divisor(columns, _COLUMNS),
            NORMED=norm is not None,
            GATED=gated,
            RESIDUAL=residual,
            SCALED=isinstance(weight, RoundedWeight),
            EARLY=bool(self.launch),
            num_warps=_WARPS,
            **self.launch,
        )


def can_run(device: torch.device) -> bool:
    """Whether a GPU has products of bfloat16 matrices: Nvidia's since Ampere, and AMD's that PyTorch knows."""
    return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)


def _early_launch(like: Tensor) -> dict[str, Any]:
    """Options of a launch that may begin before the kernel before it has ended, where the GPU can do that."""
    is_nvidia = like.is_cuda and torch.version.hip is None
    return {"launch_pdl": True} if is_nvidia and torch.cuda.get_device_capability(like.device)[0] >= 9 else {}


def _divisor(size: int, most: int) -> int:
    """The largest power of two that divides `size` and is at most `most`."""
    return min(most, size & -size)


@triton.jit
def _multiply(
    weight,
    scale,
    vector,
    norm,
    result,
    epsilon,
    count: tl.constexpr,
    columns: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    NORMED: tl.constexpr,
    GATED: tl.constexpr,
    RESIDUAL: tl.constexpr,
    SCALED: tl.constexpr,
    EARLY: tl.constexpr,
):
    """Some rows of a product in each program.

    NORMED: the vector is RMS-normalised (arXiv 1910.07467) and multiplied by `norm` first; as the normalisation is one
    factor, it is applied to the sums. GATED: the weight has `count` rows of gates, then as many that SiLU of them
    multiplies (arXiv 2002.05202). RESIDUAL: the product is added to what `result` holds. SCALED: each row of the weight
    is to be multiplied by its `scale`.
    """
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    lane = tl.arange(0, COLUMNS)
    at = weight + row.to(tl.int64)[:, None] * columns + lane[None, :]
    # The first weights are on their way before the vector is there.
    first = tl.load(at, eviction_policy="evict_first")
    first_up = first
    if GATED:
        first_up = tl.load(at + count * columns, eviction_policy="evict_first")
    if EARLY:
        gdc_wait()
        gdc_launch_dependents()
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    total_up = tl.zeros((ROWS, COLUMNS), tl.float32)
    square = tl.zeros((COLUMNS,), tl.float32)
    for start in tl.static_range(0, columns, COLUMNS):
        part = tl.load(vector + start + lane).to(tl.float32)
        if NORMED:
            square += part * part
            part *= tl.load(norm + start + lane).to(tl.float32)
        if start == 0:
            total += first.to(tl.float32) * part[None, :]
            if GATED:
                total_up += first_up.to(tl.float32) * part[None, :]
        else:
            total += tl.load(at + start, eviction_policy="evict_first").to(tl.float32) * part[None, :]
            if GATED:
                up = tl.load(at + count * columns + start, eviction_policy="evict_first")
                total_up += up.to(tl.float32) * part[None, :]
    product = tl.sum(total, 1)
    product_up = tl.sum(total_up, 1)
    if SCALED:
        product *= tl.load(scale + row)
        if GATED:
            product_up *= tl.load(scale + count + row)
    if NORMED:
        factor = 1 / tl.sqrt(tl.sum(square, 0) / columns + epsilon)
        product *= factor
        if GATED:
            product = product * tl.sigmoid(product) * (product_up * factor)
    if RESIDUAL:
        product += tl.load(result + row).to(tl.float32)
    tl.store(result + row, product.to(result.dtype.element_ty))


@triton.jit
def _attend(
    qkv,
    cosine,
    sine,
    position,
    keys,
    values,
    row_stride,
    kv_head_stride,
    partial,
    most,
    total,
    arrived,
    heard,
    scale,
    KV_HEADS: tl.constexpr,
    SHARED: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    CHUNK: tl.constexpr,
    SPLITS: tl.constexpr,
    HEADS: tl.constexpr,
    SHARED_PADDED: tl.constexpr,
    SPLITS_PADDED: tl.constexpr,
    EARLY: tl.constexpr,
):
    """Rotate queries and the new key (arXiv 2104.09864), attend, and keep the new key and value.

    A program has the heads that share a key, of one row, and one chunk of positions; the last of them to end joins the
    chunks, as in Flash-Decoding. The new token's own key is never read from the buffer: no program waits for another.
    """
    row, kv_head, split = tl.program_id(0) // KV_HEADS, tl.program_id(0) % KV_HEADS, tl.program_id(1)
    at = tl.load(position + row)
    active = at // CHUNK + 1
    lane = tl.arange(0, HEAD_DIM)
    place = split * CHUNK + tl.arange(0, CHUNK)
    start = row.to(tl.int64) * row_stride + kv_head * kv_head_stride
    buffer = start + place[:, None] * HEAD_DIM + lane[None, :]
    key = tl.load(keys + buffer, mask=(place < at)[:, None], other=0.0)
    value = tl.load(values + buffer, mask=(place < at)[:, None], other=0.0)
    if EARLY:
        gdc_wait()
        gdc_launch_dependents()
    if split < active:
        cos = tl.load(cosine + at * HEAD_DIM + lane).to(tl.float32)
        sin = tl.load(sine + at * HEAD_DIM + lane).to(tl.float32)
        sin = tl.where(lane < HEAD_DIM // 2, -sin, sin)
        other = (lane + HEAD_DIM // 2) % HEAD_DIM
        queries = qkv + row * (KV_HEADS * (SHARED + 2)) * HEAD_DIM
        new_key = queries + (KV_HEADS * SHARED + kv_head) * HEAD_DIM
        fresh_key = tl.load(new_key + lane).to(tl.float32) * cos + tl.load(new_key + other).to(tl.float32) * sin
        fresh_key = fresh_key.to(key.dtype)
        fresh_value = tl.load(new_key + KV_HEADS * HEAD_DIM + lane)
        if split == active - 1:
            tl.store(keys + start + at * HEAD_DIM + lane, fresh_key)
            tl.store(values + start + at * HEAD_DIM + lane, fresh_value)
        key = tl.where((place == at)[:, None], fresh_key[None, :], key)
        value = tl.where((place == at)[:, None], fresh_value[None, :], value)
        head = tl.arange(0, HEADS)
        real = head < SHARED
        query_at = queries + (kv_head * SHARED + head)[:, None] * HEAD_DIM
        query = tl.load(query_at + lane[None, :], mask=real[:, None], other=0.0).to(tl.float32) * cos[None, :]
        turned = tl.load(query_at + other[None, :], mask=real[:, None], other=0.0).to(tl.float32) * sin[None, :]
        query = (query + turned).to(key.dtype)
        scores = tl.dot(query, tl.trans(key), input_precision="ieee") * scale
        scores = tl.where((place <= at)[None, :], scores, float("-inf"))
        highest = tl.max(scores, 1)
        chances = tl.exp(scores - highest[:, None])
        sums = tl.dot(chances.to(value.dtype), value, input_precision="ieee")
        slot = ((row * KV_HEADS + kv_head) * SHARED + head) * SPLITS + split
        tl.store(partial + slot[:, None] * HEAD_DIM + lane[None, :], sums, mask=real[:, None])
        tl.store(most + slot, highest, mask=real)
        tl.store(total + slot, tl.sum(chances, 1), mask=real)
        tl.debug_barrier()
        counter = arrived + row * KV_HEADS + kv_head
        if tl.atomic_add(counter, 1, sem="acq_rel", scope="gpu") == active - 1:
            tl.store(counter, 0)
            joined = tl.arange(0, SHARED_PADDED)
            splits = tl.arange(0, SPLITS_PADDED)
            slots = ((row * KV_HEADS + kv_head) * SHARED + joined)[:, None] * SPLITS + splits[None, :]
            there = (joined < SHARED)[:, None] & (splits < active)[None, :]
            mosts = tl.load(most + slots, mask=there, other=float("-inf"), cache_modifier=".cg")
            totals = tl.load(total + slots, mask=there, other=0.0, cache_modifier=".cg")
            peak = tl.where(joined < SHARED, tl.max(mosts, 1), 0.0)
            share = tl.exp(mosts - peak[:, None])
            whole = tl.where(joined < SHARED, tl.sum(totals * share, 1), 1.0)
            parts = tl.load(
                partial + slots[:, :, None] * HEAD_DIM + lane[None, None, :],
                mask=there[:, :, None],
                other=0.0,
                cache_modifier=".cg",
            )
            result = tl.sum(parts * share[:, :, None], 1) / whole[:, None]
            tl.store(
                heard + ((row * KV_HEADS + kv_head) * SHARED + joined)[:, None] * HEAD_DIM + lane[None, :],
                result.to(heard.dtype.element_ty),
                mask=(joined < SHARED)[:, None],
            )
