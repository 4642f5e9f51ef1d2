"""Matrices in eight bits: with one scale an output channel, and what is multiplied with them.

    int8  the weights alone; half the memory of bfloat16, for small GPUs
    fp8   float8_e4m3fn, 3 bits of mantissa (arXiv 2209.05433); the inputs are rounded too, with one scale a row, so
          that the product runs at twice the rate of bfloat16 on GPUs that have it (compute capability 8.9)

Embeddings and the layer over the vocabulary stay as they are: they are a sixth of Voxtral-Mini-3B, and tokens are told
apart there. Knows modules and tensors; nothing of layers or texts.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

Precision = Literal["int8", "fp8"]

_INT8_MOST = 127.0
_FP8_MOST = torch.finfo(torch.float8_e4m3fn).max
# Of channels that are zero.
_LEAST_SCALE = 1e-12


class RoundedWeight(NamedTuple):
    """A matrix of shape (out, in): `values`, int8 or float8_e4m3fn, times `scale`, float32, shape (out,)."""

    values: Tensor
    scale: Tensor

    @property
    def shape(self) -> torch.Size:
        return self.values.shape


Weight = Tensor | RoundedWeight
"""As `torch.nn.Linear` has them, (out, in)."""


def round_weight(weight: Tensor, precision: Precision) -> RoundedWeight:
    most = _INT8_MOST if precision == "int8" else _FP8_MOST
    exact = weight.detach().float()
    scale = exact.abs().amax(dim=1).clamp(min=_LEAST_SCALE) / most
    scaled = (exact / scale[:, None]).clamp(-most, most)
    return RoundedWeight(
        scaled.round().to(torch.int8) if precision == "int8" else scaled.to(torch.float8_e4m3fn), scale
    )


def multiply(inputs: Tensor, weight: Weight) -> Tensor:
    """`inputs` (..., in) times the transposed weight: (..., out), in the precision of `inputs`.

    Where the device multiplies no fp8, the inputs are rounded as there, and the product is one of float32.
    """
    if isinstance(weight, Tensor):
        return functional.linear(inputs, weight)
    values, scale = weight
    if values.dtype is torch.int8:
        return functional.linear(inputs, values.to(inputs.dtype)) * scale.to(inputs.dtype)
    rows = inputs.reshape(-1, inputs.shape[-1])
    row_scale = rows.abs().amax(dim=1, keepdim=True).float().clamp(min=_LEAST_SCALE) / _FP8_MOST
    rounded = (rows / row_scale).clamp(-_FP8_MOST, _FP8_MOST).to(torch.float8_e4m3fn)
    if inputs.is_cuda and inputs.dtype is torch.bfloat16:  # what the kernel with a scale a row gives
        product = torch._scaled_mm(
            rounded, values.t(), scale_a=row_scale, scale_b=scale[None], out_dtype=inputs.dtype, use_fast_accum=True
        )
    else:
        product = (rounded.float() @ values.float().t() * row_scale * scale).to(inputs.dtype)
    return product.view(*inputs.shape[:-1], -1)


class RoundedLinear(torch.nn.Module):
    """In the place of a `torch.nn.Linear`."""

    values: Tensor
    scale: Tensor

    def __init__(self, linear: torch.nn.Linear, precision: Precision) -> None:
        super().__init__()
        rounded = round_weight(linear.weight, precision)
        self.out_features = linear.out_features
        self.register_buffer("values", rounded.values)
        self.register_buffer("scale", rounded.scale)
        self.bias = linear.bias

    def forward(self, inputs: Tensor) -> Tensor:
        product = multiply(inputs, RoundedWeight(self.values, self.scale))
        return product if self.bias is None else product + self.bias


def round_linears(model: torch.nn.Module, precision: Precision, *, kept: torch.nn.Module) -> None:
    """Put a `RoundedLinear` in the place of each `torch.nn.Linear` of a model but one, one after the other."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.Linear) and child is not kept:
                setattr(parent, name, RoundedLinear(child, precision))


def weight_of(layer: torch.nn.Module) -> Weight:
    """The matrix of a linear layer, rounded or not."""
    if isinstance(layer, RoundedLinear):
        return RoundedWeight(layer.values, layer.scale)
    assert isinstance(layer, torch.nn.Linear)
    return layer.weight


def join_weights(*layers: torch.nn.Module) -> Weight:
    """One weight of several layers with the same input; theirs become views of it, so that it takes no memory."""
    first = 0
    if all(isinstance(layer, RoundedLinear) for layer in layers):
        rounded = [layer for layer in layers if isinstance(layer, RoundedLinear)]
        kind = rounded[0].values.dtype
        values = torch.cat([layer.values.view(torch.uint8) for layer in rounded]).view(kind)
        scale = torch.cat([layer.scale for layer in rounded])
        for layer in rounded:
            places = slice(first, first := first + layer.out_features)
            layer.values, layer.scale = values[places], scale[places]
        return RoundedWeight(values, scale)
    plain = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
    joined = torch.cat([layer.weight.data for layer in plain])
    for linear in plain:
        linear.weight.data = joined[first : first + linear.out_features]
        first += linear.out_features
    return joined
