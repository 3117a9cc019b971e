"""Largest error of CRF marginals against float64, compared with pytorch-crf."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import torch
from extras import keep
from torchcrf import CRF

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from ner.model.kernels import crf  # noqa: E402  # after the path
from ner.model.kernels.chain import Chain  # noqa: E402  # after the path

warnings.simplefilter("ignore")


def autograd_marginals(emissions: torch.Tensor, scores: list[torch.Tensor]) -> torch.Tensor:
    """Return the gradient of the log-partition of pytorch-crf, in the dtype of the emissions."""
    model = CRF(len(scores[0]), batch_first=True).to(emissions.dtype)
    for parameter, score in zip(model.parameters(), (scores[0], scores[2], scores[1]), strict=True):
        parameter.data.copy_(score)
    emissions = emissions.clone().requires_grad_()
    tags = torch.zeros(emissions.shape[:2], dtype=torch.long)
    mask = torch.ones_like(tags, dtype=torch.bool)
    model(emissions, tags, mask=mask, reduction="sum").backward()
    assert emissions.grad is not None, "the emissions were differentiated"
    gradient = -emissions.grad
    gradient[..., 0] += 1  # contribution of the tags themselves
    return gradient


def main() -> None:
    """Measure the errors at W = 512 and 4096, scale 1 and 20."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    rows = []
    for words in (512, 4096):
        for scale in (1, 20):
            torch.manual_seed(1)
            emissions = torch.randn(8, words, 9) * scale
            scores = [torch.randn(9), torch.randn(9, 9), torch.randn(9)]
            exact = autograd_marginals(emissions.double(), scores)
            mask = torch.ones(8, words, dtype=torch.bool)
            errors = [float((autograd_marginals(emissions, scores).double() - exact).abs().max())]
            for kernel in ("torch", "numba"):
                found = crf.token_marginals(emissions, mask, Chain(*scores), kernel)  # type: ignore[arg-type]  # a name
                errors.append(float((found.double() - exact).abs().max()))
            rows.append([f"W = {words}, scale {scale}", *(f"{error:.1e}" for error in errors)])
    keep(
        "accuracy",
        title="Largest error of a token marginal",
        command="python benchmarks/accuracy.py",
        note="Float32 emissions, S = 8, K = 9, against pytorch-crf in float64; our backends sum in float64 for "
        "any dtype of the emissions. Goal at W = 4096, scale 20: 2e-5.",
        columns=["what", "pytorch-crf in float32", "torch", "numba"],
        rows=rows,
    )


if __name__ == "__main__":
    main()
