"""Stand-in until the classifier is merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ner.contracts import Part
from ner.types import Annotation, Axes, Encoding, Example, Loss, Scores
from ner.vocab import Vocabs


class Config(Part):
    """Stand-in."""

    name: Literal["classifier"] = "classifier"
    """File of ner/decoders."""
    several: bool = False
    """Stand-in."""
    pooling: Literal["mean", "attention", "summary"] = "mean"
    """Stand-in."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Stand-in."""


def build(config: Config, width: int, vocabs: Vocabs) -> Classifier:
    """Stand-in."""
    return Classifier(config, width, vocabs)


class Classifier(nn.Module):
    """Stand-in."""

    def __init__(self, config: Config, width: int, vocabs: Vocabs) -> None:
        super().__init__()
        self.names = sorted(vocabs.classes)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(width, len(self.names))

    def axes(self) -> dict[str, Axes]:
        """Stand-in."""
        return {"output.weight": (self.names, None), "output.bias": (self.names,)}

    def targets(self, examples: Sequence[Example]) -> tuple[dict[str, Tensor], dict[str, int]]:
        """Stand-in."""
        ids = [self.names.index(e.labels[0]) if e.labels and e.labels[0] in self.names else -100 for e in examples]
        classes = torch.tensor(ids, dtype=torch.long)
        return {"classes": classes}, {"classes": int((classes != -100).sum())}

    def forward(self, encoding: Encoding) -> Scores:
        """Stand-in."""
        mean = encoding.words.sum(1) / encoding.mask.sum(1, keepdim=True).clamp(min=1)
        return {"classes": self.output(self.dropout(mean))}

    def loss(self, scores: Scores, targets: Mapping[str, Tensor], mask: Tensor) -> Loss:
        """Stand-in."""
        return {"classes": F.cross_entropy(scores["classes"].float(), targets["classes"], reduction="sum")}

    def decode(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> list[Annotation]:
        """Stand-in."""
        best = scores["classes"].float().softmax(-1).max(-1)
        found = []
        for p, k in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            found.append(Annotation(labels=[self.names[k]], scores={self.names[k]: p} if probabilities else {}))
        return found
