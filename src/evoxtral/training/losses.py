"""Losses as pure functions; they know no model, batch or trainer.

In preference losses `chosen` and `rejected` are mean log-probabilities a token of the preferred and the other text,
given the audio: natural logarithms, shape (pairs,), below 0.
"""

import torch
from torch.nn.functional import logsigmoid

from evoxtral.training.batches import IGNORED

# Beyond this, a sequence is as good as certain, and its log-odds would be infinite.
_CERTAIN = -1e-6


def mean_log_probabilities(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean log-probability of each row's targets, shape (rows,); `IGNORED` positions do not count.

    Args:
        logits: (rows, positions, vocabulary), each position's scores for its own target.
        targets: (rows, positions).
    """
    each = torch.nn.functional.cross_entropy(logits.float().mT, targets, ignore_index=IGNORED, reduction="none")
    return -each.sum(dim=1) / (targets != IGNORED).sum(dim=1).clamp(min=1)


def log_odds(log_probability: torch.Tensor) -> torch.Tensor:
    """log(p / (1 - p)) of log p, without ever forming p close to 1."""
    log_probability = log_probability.clamp(max=_CERTAIN)
    # log(1 - e^x): by expm1 near 0 and by log1p far from it (Maechler 2012).
    complement = torch.where(
        log_probability > -0.6931,
        torch.log(-torch.expm1(log_probability)),
        torch.log1p(-torch.exp(log_probability)),
    )
    return log_probability - complement


def orpo(chosen: torch.Tensor, rejected: torch.Tensor, weight: float) -> torch.Tensor:
    """Odds ratio preference optimisation, a loss a pair: arXiv 2403.07691, equations 6 and 7.

    `-chosen` is its supervised part (the mean negative log-likelihood of the preferred text); `weight` is lambda.
    """
    return -chosen - weight * logsigmoid(log_odds(chosen) - log_odds(rejected))


def simpo(
    chosen: torch.Tensor, rejected: torch.Tensor, beta: float, margin: float, sft_weight: float = 0.0
) -> torch.Tensor:
    """Simple preference optimisation, a loss a pair: arXiv 2405.14734, equation 6; `margin` is gamma.

    With a `sft_weight`, that many times the mean negative log-likelihood of the preferred text is added, as contrastive
    preference optimisation has it (arXiv 2401.08417): a loss of differences alone may let both texts become unlikely.
    """
    return -logsigmoid(beta * (chosen - rejected) - margin) - sft_weight * chosen


def divergence(logits: torch.Tensor, base_logits: torch.Tensor) -> torch.Tensor:
    """KL(base || model) of each position in nats, shape (rows, positions): distillation at temperature 1,
    arXiv 1503.02531.
    """
    model, base = logits.float().log_softmax(-1), base_logits.float().log_softmax(-1)
    return torch.nn.functional.kl_div(model, base, log_target=True, reduction="none").sum(-1)
