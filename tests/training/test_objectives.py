import math
from pathlib import Path

import numpy as np
import pytest
import torch

from evoxtral.training.adapters import add_adapter
from evoxtral.training.batches import IGNORED, TokenLogits
from evoxtral.training.losses import divergence
from evoxtral.training.objectives import PairPreference, TokenCrossEntropy
from evoxtral.training.packing import Window
from evoxtral.training.recipe import Lora
from tiny_models import tone, trainee_of


def windows(*texts: str) -> list[Window]:
    return [Window((tone(400, 1) * 32767).astype(np.int16), text) for text in texts]


def test_cross_entropy_counts_and_sums_target_tokens() -> None:
    targets = torch.tensor([[0, 1], [IGNORED, 1]])
    logits = torch.log(torch.tensor([[[0.5, 0.5], [0.75, 0.25]], [[0.1, 0.9], [0.5, 0.5]]]))
    objective = TokenCrossEntropy()
    assert objective.count({"labels": targets}) == 3
    total = objective.total(TokenLogits(logits, targets), {})
    assert total.item() == pytest.approx(math.log(2) + math.log(4) + math.log(2), abs=1e-6)


def test_pairs_are_first_and_second_half() -> None:
    targets = torch.zeros(4, 1, dtype=torch.long)
    probabilities = torch.tensor([0.5, 0.8, 0.25, 0.2])  # chosen 0 and 1, rejected 0 and 1
    logits = torch.stack([probabilities, 1 - probabilities], dim=1).log()[:, None]
    objective = PairPreference(lambda chosen, rejected: chosen - rejected)
    assert objective.count({"labels": targets}) == 2
    expected = math.log(0.5 / 0.25) + math.log(0.8 / 0.2)
    assert objective.total(TokenLogits(logits, targets), {}).item() == pytest.approx(expected, abs=1e-6)


def test_divergence_of_a_hand_worked_case() -> None:
    base = torch.tensor([[[0.5, 0.5]]]).log()
    model = torch.tensor([[[0.75, 0.25]]]).log() + 3  # logits may have any offset
    expected = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert divergence(model, base).item() == pytest.approx(expected, abs=1e-6)
    assert divergence(base, base).item() == pytest.approx(0, abs=1e-6)


def test_anchor_adds_the_divergence_on_plain_windows_only() -> None:
    torch.manual_seed(0)
    logits, base = torch.randn(3, 4, 7), torch.randn(3, 4, 7)
    targets = torch.tensor([[1, 2, 3, IGNORED]] * 3)
    batch = {"labels": targets, "plain": torch.tensor([True, False, True])}
    without = TokenCrossEntropy().total(TokenLogits(logits, targets), batch)
    found = TokenCrossEntropy(anchor=0.5).total(TokenLogits(logits, targets, base[batch["plain"]]), batch)
    expected = sum(divergence(logits[row : row + 1, :3], base[row : row + 1, :3]).sum() for row in (0, 2))
    assert (found - without).item() == pytest.approx(0.5 * float(expected), rel=1e-4)


def test_base_logits_are_those_of_the_untouched_model_on_plain_windows(tiny_whisper: Path) -> None:
    family = trainee_of(tiny_whisper)
    batch = family.collate(windows("Hi", "[sad] Oh", ""))
    assert batch["plain"].tolist() == [True, False, False]
    expected = family.token_logits(family.model.eval(), batch, None).logits.detach()
    model = add_adapter(family, Lora(dropout=0.5))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    model.train()
    output = family.token_logits(model, batch, None, with_base=True)
    assert output.base_logits is not None
    torch.testing.assert_close(output.base_logits, expected[:1])
    assert not output.base_logits.requires_grad
    assert output.logits.requires_grad
    assert (output.logits - expected).abs().max() > 0.1
    assert model.training


def test_base_logits_of_voxtral_are_of_plain_windows_with_all_their_chunks(tiny_voxtral: Path) -> None:
    family = trainee_of(tiny_voxtral)
    long = Window(np.tile((tone(400, 1) * 3000).astype(np.int16), 31), "Hello there")
    batch = family.collate([*windows("[sad] Oh"), long, *windows("[sighs]")])
    model = add_adapter(family, Lora()).eval()
    alone = family.token_logits(model, family.collate([long]), None).logits.detach()
    output = family.token_logits(model, batch, None, with_base=True)
    assert output.base_logits is not None
    assert len(output.base_logits) == 1
    # The adapter is still zero: base and model agree, and what was kept of the longest row is its whole target.
    torch.testing.assert_close(output.base_logits[0, -alone.shape[1] :], alone[0], atol=1e-4, rtol=1e-3)
