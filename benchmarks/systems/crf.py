"""Linear-chain CRFs: loss with gradient, and decoding, of random emissions."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import worker
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))
torch.set_num_threads(1)
warnings.simplefilter("ignore")


def prepare(library: str, what: str, size: list[int], inner: int) -> Any:
    """Run ``what`` (loss or decode) ``inner`` times at ``(S, W, K)``, with lengths from half to the whole width."""
    sentences, words, num_tags = size
    torch.manual_seed(1)
    emissions = torch.randn(sentences, words, num_tags, requires_grad=what == "loss")
    tags = torch.randint(num_tags, (sentences, words))
    lengths = torch.randint(words // 2, words + 1, (sentences,))
    lengths[0] = words
    scores = [torch.randn(shape) * 0.1 for shape in ((num_tags,), (num_tags, num_tags), (num_tags,))]
    work = LIBRARIES[library](what, emissions, tags, lengths, scores)

    def repeat() -> dict[str, Any]:
        for _ in range(inner):
            result = work()
        return {"words": inner * int(lengths.sum()), "result": result}

    return repeat


def ours(kernel: str) -> Callable[..., Callable[[], Any]]:
    def build(what: str, emissions: Tensor, tags: Tensor, lengths: Tensor, scores: list[Tensor]) -> Callable[[], Any]:
        from ner.model.kernels import crf
        from ner.model.kernels.chain import Chain

        mask = torch.arange(tags.shape[1]) < lengths[:, None]
        chain = Chain(*(score.clone().requires_grad_(what == "loss") for score in scores))

        def loss() -> float:
            total = crf.log_likelihood(emissions, tags, mask, chain, kernel).sum()  # type: ignore[arg-type]
            torch.autograd.grad(total, [emissions, *chain[:3]])
            return round(float(total.detach()), 1)

        def decode() -> int:
            path, _ = crf.best_path(emissions, mask, chain, kernel)  # type: ignore[arg-type]
            return sum(map(sum, path.tolist()))

        return loss if what == "loss" else decode

    return build


def pytorch_crf(what: str, emissions: Tensor, tags: Tensor, lengths: Tensor, scores: list[Tensor]) -> Callable[[], Any]:
    from torchcrf import CRF

    mask = torch.arange(tags.shape[1]) < lengths[:, None]
    model = CRF(len(scores[0]), batch_first=True)
    parameters = [model.start_transitions, model.transitions, model.end_transitions]
    for parameter, score in zip(parameters, scores, strict=True):
        parameter.data.copy_(score)

    def loss() -> float:
        total = model(emissions, tags, mask=mask, reduction="sum")
        torch.autograd.grad(total, [emissions, *parameters])
        return round(float(total.detach()), 1)

    def decode() -> int:
        return sum(map(sum, model.decode(emissions, mask=mask)))

    return loss if what == "loss" else decode


def torch_struct(
    what: str, emissions: Tensor, tags: Tensor, lengths: Tensor, scores: list[Tensor]
) -> Callable[[], Any]:
    from torch_struct import LinearChainCRF

    first, transitions, last = (score.clone().requires_grad_(what == "loss") for score in scores)

    def distribution() -> Any:
        potentials = transitions.T + emissions[:, 1:, :, None]  # (S, W - 1, K, K): next tag, previous tag
        start = (first + emissions[:, 0])[:, None, None, :]  # the previous tag of the first step
        potentials = torch.cat([potentials[:, :1] + start, potentials[:, 1:]], 1)
        ends = torch.arange(1, tags.shape[1]) == lengths[:, None] - 1
        potentials = potentials + ends[:, :, None, None] * last[:, None]
        return LinearChainCRF(potentials, lengths=lengths)

    def loss() -> float:
        chain = distribution()
        parts = LinearChainCRF.struct.to_parts(tags, len(scores[0]), lengths=lengths).type_as(emissions)
        total = chain.log_prob(parts).sum()
        torch.autograd.grad(total, [emissions, first, transitions, last])
        return round(float(total.detach()), 1)

    def decode() -> int:
        best = distribution().argmax
        found, _ = LinearChainCRF.struct.from_parts(best)
        return int((found * (torch.arange(tags.shape[1]) < lengths[:, None])).sum())

    return loss if what == "loss" else decode


LIBRARIES = {
    "plain": ours("torch"),
    "compiled": ours("numba"),
    "pytorch-crf": pytorch_crf,
    "torch-struct": torch_struct,
}

if __name__ == "__main__":
    import json

    packages = {"plain": ["ner-crf"], "compiled": ["ner-crf", "numba"]}
    library = json.loads(sys.argv[1])["library"]
    worker.serve(prepare, ["torch", *packages.get(library, [library])])
