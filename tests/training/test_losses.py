"""The losses against their papers' formulas, in exact decimal arithmetic that is independent of torch."""

from decimal import Decimal, localcontext

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evoxtral.training.batches import IGNORED
from evoxtral.training.losses import log_odds, mean_log_probabilities, orpo, simpo

log_probabilities = st.floats(-30, -1e-4)


def as_decimal(value: float) -> Decimal:
    return Decimal(torch.tensor(value, dtype=torch.float32).item())


def paper_orpo(chosen: float, rejected: float, weight: float) -> float:
    with localcontext(prec=60):
        odds = [p / (1 - p) for p in (as_decimal(chosen).exp(), as_decimal(rejected).exp())]
        ratio = odds[0] / odds[1]
        sigmoid_of_log_ratio = ratio / (1 + ratio)
        return float(-as_decimal(chosen) - Decimal(weight) * sigmoid_of_log_ratio.ln())


def paper_simpo(chosen: float, rejected: float, beta: float, gamma: float) -> float:
    with localcontext(prec=60):
        difference = Decimal(beta) * as_decimal(chosen) - Decimal(beta) * as_decimal(rejected) - Decimal(gamma)
        return float((1 + (-difference).exp()).ln())


@given(chosen=log_probabilities, rejected=log_probabilities, weight=st.floats(0, 2))
def test_orpo_is_the_papers(chosen: float, rejected: float, weight: float) -> None:
    found = orpo(torch.tensor([chosen]), torch.tensor([rejected]), weight)
    assert found.item() == pytest.approx(paper_orpo(chosen, rejected, weight), rel=1e-3, abs=1e-4)


@given(chosen=log_probabilities, rejected=log_probabilities, beta=st.floats(0.1, 10), gamma=st.floats(0, 5))
def test_simpo_is_the_papers(chosen: float, rejected: float, beta: float, gamma: float) -> None:
    found = simpo(torch.tensor([chosen]), torch.tensor([rejected]), beta, gamma)
    assert found.item() == pytest.approx(paper_simpo(chosen, rejected, beta, gamma), rel=1e-4, abs=1e-5)


def test_losses_of_a_hand_worked_pair() -> None:
    # p(chosen) = 1/2 has odds 1; p(rejected) = 1/4 has odds 1/3: the ratio is 3, its log's sigmoid 3/4.
    chosen, rejected = torch.tensor([0.5]).log(), torch.tensor([0.25]).log()
    assert orpo(chosen, rejected, 0.1).item() == pytest.approx(0.6931 + 0.1 * 0.2877, abs=1e-4)
    # 2 * (ln 1/2 - ln 1/4) - 1 = 0.3863; -log sigmoid of it = 0.5185.
    assert simpo(chosen, rejected, 2.0, 1.0).item() == pytest.approx(0.5185, abs=1e-4)
    # And three times -ln 1/2.
    assert simpo(chosen, rejected, 2.0, 1.0, 3.0).item() == pytest.approx(0.5185 + 2.0794, abs=1e-4)


@pytest.mark.parametrize("certain", [0.0, -1e-9, -1e-7])
def test_certain_sequences_have_finite_losses_and_gradients(certain: float) -> None:
    chosen = torch.tensor([certain, -40.0], requires_grad=True)
    rejected = torch.tensor([-40.0, certain], requires_grad=True)
    loss = orpo(chosen, rejected, 0.1).sum() + simpo(chosen, rejected, 2.0, 1.0).sum()
    loss.backward()
    assert loss.isfinite()
    assert chosen.grad is not None
    assert chosen.grad.isfinite().all()


def test_both_losses_fall_as_the_chosen_text_becomes_likelier() -> None:
    chosen = torch.linspace(-5, -0.01, 50)
    rejected = torch.full_like(chosen, -1.0)
    assert (orpo(chosen, rejected, 0.1).diff() < 0).all()
    assert (simpo(chosen, rejected, 2.0, 1.0).diff() < 0).all()
    assert (log_odds(chosen).diff() > 0).all()


def test_mean_log_probability_counts_targets_only() -> None:
    logits = torch.log(torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05]]]))
    targets = torch.tensor([[0, 1, IGNORED]])
    expected = (torch.tensor(0.5).log() + torch.tensor(0.8).log()) / 2
    assert mean_log_probabilities(logits, targets).item() == pytest.approx(expected.item(), abs=1e-6)
