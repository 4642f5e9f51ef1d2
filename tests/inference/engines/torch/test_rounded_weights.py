"""Eight bits: how far rounded values may be off, and how many tokens of a random model stay the same."""

from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from evoxtral.inference.engines.registry import Weights
from evoxtral.inference.engines.torch import torch_engine
from evoxtral.inference.engines.torch.greedy_decoder import GreedyDecoder
from evoxtral.inference.engines.torch.rounded_weights import (
    Precision,
    RoundedLinear,
    multiply,
    round_linears,
    round_weight,
)
from evoxtral.inference.engines.torch.torch_engine import TorchEngine
from tiny_models import save_tiny_voxtral

NEW_TOKENS = 30
# Of tokens after the same beginnings, in a random model of two layers and width 64, which is sure of no token: 0.738 of
# them stayed the same with fp8. What a trained model loses is measured by its scores.
LEAST_AGREED = {"int8": 0.9, "fp8": 0.7}


@pytest.fixture(scope="module")
def voxtral(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_voxtral(tmp_path_factory.mktemp("voxtral"))


def load(folder: Path, precision: Precision | None = None) -> Any:
    from transformers import VoxtralForConditionalGeneration

    model = VoxtralForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    if precision is not None:
        round_linears(model, precision, kept=model.lm_head)
    return model


def test_a_channel_is_off_by_half_a_step_of_its_own_scale_at_most() -> None:
    # By hand: 127 steps to the largest, of 2.54 / 127 = 0.02.
    rounded = round_weight(torch.tensor([[2.54, 1.015, -0.5], [0.0, 0.0, 0.0]]), "int8")
    assert rounded.values.tolist() == [[127, 51, -25], [0, 0, 0]]
    assert float(rounded.scale[0]) == pytest.approx(0.02)
    random = torch.randn(8, 64, generator=torch.Generator().manual_seed(1)) * torch.logspace(-3, 3, 8)[:, None]
    integers, floats = round_weight(random, "int8"), round_weight(random, "fp8")
    off = (integers.values * integers.scale[:, None] - random).abs()
    assert (off <= integers.scale[:, None] * 0.5001).all()
    # Three bits of mantissa: a sixteenth of the value, or half of the smallest step, 2**-9.
    off = (floats.values.float() * floats.scale[:, None] - random).abs()
    assert (off <= torch.maximum(random.abs() / 16, floats.scale[:, None] * 2.0**-10) * 1.0001).all()


def test_fp8_rounds_the_inputs_too_and_int8_does_not() -> None:
    # 17 lies between 16 and 18, the neighbours that three bits can write; with 448 in its row the scale is one.
    inputs = torch.tensor([[448.0, 17.0]])
    weight = torch.tensor([[0.0, 448.0], [0.0, 127.0]])
    assert multiply(inputs, round_weight(weight[:1], "fp8")).tolist() == [[16.0 * 448]]
    torch.testing.assert_close(multiply(inputs, round_weight(weight[1:], "int8")), torch.tensor([[17.0 * 127]]))


@pytest.mark.parametrize("precision", get_args(Precision))
def test_most_tokens_stay_and_the_fast_decoder_writes_what_the_rounded_model_writes(
    voxtral: Path, precision: Precision
) -> None:
    exact, rounded = load(voxtral), load(voxtral, precision)
    assert isinstance(rounded.model.audio_tower.layers[0].fc1, RoundedLinear)
    assert isinstance(rounded.lm_head, torch.nn.Linear)
    prompts = 0.2 * torch.randn(8, 9, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        written = exact.generate(inputs_embeds=prompts, max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=None)
        text = torch.cat([prompts, exact.model.language_model.embed_tokens(written[:, :-1])], dim=1)
        after = slice(prompts.shape[1] - 1, None)
        tokens, same = (model(inputs_embeds=text).logits[:, after].argmax(-1) for model in (exact, rounded))
        alone = rounded.generate(inputs_embeds=prompts, max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=None)
    assert torch.equal(tokens, written)
    agreed = float((same == written).float().mean())
    assert LEAST_AGREED[precision] <= agreed < 1, agreed
    decoder = GreedyDecoder(rounded.model.language_model, rounded.lm_head, end_token=-1, positions=64)
    texts = dict(decoder.decode([prompts], NEW_TOKENS, rows=3))
    assert [texts[number].tokens for number in range(len(prompts))] == alone.tolist()


def test_what_does_not_fit_is_rounded_before_it_goes_to_the_gpu(voxtral: Path) -> None:
    gb = 1e9
    assert torch_engine._precision_that_fits(9.35 * gb, free_bytes=15.5 * gb) is None
    assert torch_engine._precision_that_fits(9.35 * gb, free_bytes=7.5 * gb) == "int8"
    engine = TorchEngine(Weights(voxtral), model="tiny", precision="int8")
    kinds = [type(module) for module in engine._speech.model.modules()]
    assert kinds.count(torch.nn.Linear) == 1
    assert kinds.count(RoundedLinear) > 10
