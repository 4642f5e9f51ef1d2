"""The GPU's kernels, run by Triton's interpreter (see `conftest.py`): a Llama of transformers says what is right."""

from typing import Any, get_args

import pytest

pytest.importorskip("triton", reason="Triton is made for Linux only")

import torch
from torch.nn import functional
from transformers import LlamaConfig, LlamaModel

from evoxtral.inference.engines.torch.decode_kernels import Attention, OneRow
from evoxtral.inference.engines.torch.greedy_decoder import GreedyDecoder
from evoxtral.inference.engines.torch.rounded_weights import Precision, round_weight

VOCABULARY, HIDDEN, END, POSITIONS = 96, 48, 0, 160


@pytest.fixture(scope="module")
def llama() -> Any:
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=80,
        num_hidden_layers=2,
        num_attention_heads=6,  # three share a key, which is no power of two
        num_key_value_heads=2,
        head_dim=16,
        initializer_range=0.3,
    )
    return LlamaModel(config).eval()


@pytest.fixture(scope="module")
def head() -> torch.nn.Linear:
    torch.manual_seed(4)
    return torch.nn.Linear(HIDDEN, VOCABULARY, bias=False)


@torch.no_grad()
def follow(llama: Any, head: torch.nn.Linear, prompt: torch.Tensor, count: int) -> list[int]:
    """Greedy, the whole text read anew for each token."""
    written: list[int] = []
    while len(written) < count and (not written or written[-1] != END):
        tokens = llama.embed_tokens(torch.tensor([written], dtype=torch.long))
        read = llama(inputs_embeds=torch.cat([prompt[None], tokens], dim=1)).last_hidden_state
        written.append(int(head(read[0, -1]).argmax()))
    return [token for token in written if token != END]


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("length", [1, 60])  # 60 and the text reach over the first 64 positions
def test_a_decoder_with_kernels_writes_what_the_model_says(
    llama: Any, head: torch.nn.Linear, rows: int, length: int
) -> None:
    # One more than there are places.
    prompts = torch.randn(rows + 1, length, HIDDEN, generator=torch.Generator().manual_seed(rows)) * 0.3
    decoder = GreedyDecoder(llama, head, end_token=END, positions=POSITIONS)
    state = decoder._take_state(rows)
    decoder._add_kernels(state)
    decoder._states[rows] = state
    assert (state.one_row is not None) == (rows == 1)
    texts = dict(decoder.decode([prompts], 7, rows=rows))
    heard = [texts[row] for row in range(rows + 1)]
    assert [row.tokens for row in heard] == [follow(llama, head, prompt, 7) for prompt in prompts]
    assert len({tuple(row.tokens) for row in heard}) == rows + 1


@pytest.mark.parametrize("filled", [(0, 159), (63, 1), (64, 65), (128, 128)])
def test_attention_hears_what_is_filled_in_each_row_and_itself(filled: tuple[int, int]) -> None:
    rows, heads, kv_heads, head_dim = 2, 6, 2, 16
    random = torch.Generator().manual_seed(filled[0])
    keys, values = torch.randn(2, rows, kv_heads, POSITIONS, head_dim, generator=random)
    qkv = torch.randn(rows, (heads + 2 * kv_heads) * head_dim, generator=random)
    angles = torch.rand(POSITIONS, head_dim // 2, generator=random).repeat(1, 2)
    cosine, sine = angles.cos(), angles.sin()
    # What stands behind the filled positions must not be heard, whatever it is.
    for row, at in enumerate(filled):
        keys[row, :, at:] = values[row, :, at:] = float("nan")

    def turned(vectors: torch.Tensor, at: int) -> torch.Tensor:
        first, second = vectors.chunk(2, dim=-1)
        return vectors * cosine[at] + torch.cat([-second, first], dim=-1) * sine[at]

    expected, all_keys, all_values = [], [], []
    for row, at in enumerate(filled):
        query, key, value = torch.split(qkv[row].view(-1, head_dim), [heads, kv_heads, kv_heads])
        all_keys.append(torch.cat([keys[row, :, :at], turned(key, at)[:, None]], dim=1))
        all_values.append(torch.cat([values[row, :, :at], value[:, None]], dim=1))
        heard = functional.scaled_dot_product_attention(
            turned(query, at)[None, :, None], all_keys[-1][None], all_values[-1][None], enable_gqa=True
        )
        expected.append(heard.reshape(-1))

    attention = Attention(rows, heads=heads, kv_heads=kv_heads, head_dim=head_dim, positions=POSITIONS, like=qkv)
    for _ in range(2):  # what joins the chunks counts them anew each time
        heard = attention(qkv, cosine, sine, torch.tensor(filled), keys, values)
        torch.testing.assert_close(heard, torch.stack(expected), atol=1e-5, rtol=1e-4)
    for row, at in enumerate(filled):
        torch.testing.assert_close(keys[row, :, : at + 1], all_keys[row])
        torch.testing.assert_close(values[row, :, : at + 1], all_values[row])


@pytest.mark.parametrize("precision", get_args(Precision))
def test_rounded_weights_are_read_as_they_are(precision: Precision) -> None:
    random = torch.Generator().manual_seed(6)
    norm, vector = torch.randn(2, HIDDEN, generator=random)
    gate_up = round_weight(torch.randn(2 * 80, HIDDEN, generator=random), precision)
    down = round_weight(torch.randn(HIDDEN, 80, generator=random), precision)
    attention = Attention(1, heads=6, kv_heads=2, head_dim=16, positions=POSITIONS, like=vector)
    head = torch.zeros(VOCABULARY, HIDDEN)
    kernels = OneRow([(norm, gate_up, gate_up, norm, gate_up, down)], norm, head, epsilon=1e-5, attention=attention)
    gated, hidden = torch.empty(80), vector.clone()
    kernels.multiply(gate_up, vector, gated, norm=norm, gated=True)
    kernels.multiply(down, gated, hidden, residual=True)

    gate, up = (
        functional.rms_norm(vector, (HIDDEN,), norm, 1e-5) @ (gate_up.values.float() * gate_up.scale[:, None]).T
    ).chunk(2)
    torch.testing.assert_close(gated, functional.silu(gate) * up, atol=1e-4, rtol=1e-4)
    expected = vector + (down.values.float() * down.scale[:, None]) @ gated
    torch.testing.assert_close(hidden, expected, atol=1e-3, rtol=1e-4)
