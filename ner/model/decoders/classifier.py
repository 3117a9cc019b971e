"""Classes of whole texts: the words become one vector, a linear layer scores the classes.

Either exactly one class is given (softmax) or as many as apply, none among the possibilities (a sigmoid for each).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor, nn
from torch.nn import functional as F

from ner.config.base import ComponentConfig
from ner.data.vocab import Vocabs
from ner.errors import InputError
from ner.model.decoder import DecoderModule
from ner.model.kernels import crf_torch
from ner.types import Annotation, AxisLabels, Encoding, Example, Loss, Scores

gives = frozenset({"labels"})
IGNORED = -100
"""Target of texts whose class is not known to the model: they take no part in the loss."""


def _named(value: Any) -> Any:
    """Classes such as 0 and 1 are numbers to YAML."""
    return {str(name): weight for name, weight in value.items()} if isinstance(value, Mapping) else value


ClassWeights = Annotated[dict[str, Annotated[float, Field(gt=0)]], BeforeValidator(_named)]


class Config(ComponentConfig):
    """Classes of whole texts."""

    name: Literal["classifier"] = "classifier"
    """File of ner/model/decoders."""
    several: bool = False
    """Whether a text may have several classes, or none, instead of exactly one."""
    pooling: Literal["mean", "attention", "summary"] = "mean"
    """What stands for a text: the mean of its words, a mean whose weights are learned (Yang et al., 2016), or the
    encoder's own vector (the first piece of BERT), which only a transformer has and only without a context layer."""
    hidden: int = Field(0, ge=0)
    """Width of a layer with tanh before the classes; 0 for none."""
    class_weights: Literal["balanced"] | ClassWeights | None = None
    """How much texts of a class count in training: balanced weighs classes by 1 over their frequency, so that all of
    them together count the same; of a mapping, classes that it does not name weigh 1."""
    smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of the gold probability that training spreads evenly over all classes (Szegedy et al., 2016)."""
    threshold: float = Field(0.5, gt=0, lt=1)
    """With several: classes above this probability are given."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Of the vectors that come in, and of that of the text."""


def build(config: Config, width: int, vocabs: Vocabs) -> ClassifierDecoder:
    """For vectors of ``width`` and the classes of the training data.

    Raises:
        InputError: If those have no classes, or ``class_weights`` names others.
    """
    return ClassifierDecoder(config, width, vocabs)


class ClassifierDecoder(DecoderModule):
    """See the file.

    ``Scores``: ``classes (S, N)``; with several ``(S, N, 2)``, for each class a 0 and the score of having it, so that
    the last dimension is a distribution either way.
    """

    class_weights: Tensor

    def __init__(self, config: Config, width: int, vocabs: Vocabs) -> None:
        super().__init__()
        if not vocabs.classes:
            raise InputError(
                "config.decoder: classifier needs labels of whole texts, and the training data have none; "
                "see data.format, or choose another decoder"
            )
        self.config, self.several = config, config.several
        self.classes = sorted(vocabs.classes)
        self.dropout = nn.Dropout(config.dropout)
        if config.pooling == "attention":
            self.attention = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1, bias=False))
        self.enter = nn.Sequential(nn.Linear(width, config.hidden), nn.Tanh()) if config.hidden else nn.Identity()
        self.output = nn.Linear(config.hidden or width, len(self.classes))
        weights = torch.tensor(_weights(config.class_weights, vocabs))
        self.register_buffer("class_weights", weights, persistent=False)

    def axis_labels(self) -> dict[str, AxisLabels]:
        """See :class:`~ner.contracts.Decoder`."""
        return {"output.weight": (self.classes, None), "output.bias": (self.classes,)}

    def distributions(self) -> dict[str, tuple[str, float]]:
        """See :class:`~ner.contracts.Decoder`."""
        return {"classes": ("classes", 1.0)}

    def targets(self, examples: Sequence[Example]) -> tuple[dict[str, Tensor], dict[str, int]]:
        """``classes (S,)``, or with several ``(S, N)`` of 0 and 1; the loss is summed over the texts known.

        A text is not known, ``IGNORED``, if training never had its label or it has none, which with several is an
        answer like others; of several labels the first counts where a text has one class.
        """
        if self.config.several:
            rows = [self._several(example.labels) for example in examples]
            table = torch.tensor(rows, dtype=torch.long).view(len(rows), len(self.classes))
            return {"classes": table}, {"classes": sum(row[0] != IGNORED for row in rows)}
        ids = {label: number for number, label in enumerate(self.classes)}
        found = [ids.get(example.labels[0], IGNORED) if example.labels else IGNORED for example in examples]
        return {"classes": torch.tensor(found, dtype=torch.long)}, {"classes": sum(id != IGNORED for id in found)}

    def _several(self, labels: Sequence[str]) -> list[int]:
        if not set(labels) <= set(self.classes):
            return [IGNORED] * len(self.classes)
        return [int(label in labels) for label in self.classes]

    def forward(self, encoding: Encoding) -> Scores:
        """See the class.

        Raises:
            InputError: If ``pooling`` is ``summary`` and nothing gives one.
        """
        scores = self.output(self.dropout(self.enter(self._pool(encoding))))  # (S, N)
        if self.config.several:
            scores = torch.stack([torch.zeros_like(scores), scores], dim=-1)  # (S, N, 2): not to have it, to have it
        return {"classes": scores}

    def _pool(self, encoding: Encoding) -> Tensor:
        """``(S, H)``; zeros for a text without words, unless the encoder says something of it."""
        if self.config.pooling == "summary":
            if encoding.pooled is None:
                raise InputError(
                    "config.decoder.pooling: summary is the encoder's own vector of a text, and there is none: only "
                    "the transformer has it, with windows.unit=sentence and without a context layer (context=null); "
                    "choose mean or attention"
                )
            return self.dropout(encoding.pooled)
        words, mask = self.dropout(encoding.words), encoding.mask
        if self.config.pooling == "mean":
            return words.sum(1) / mask.sum(1, keepdim=True).clamp(min=1).to(words.dtype)  # padding is zero
        scores = self.attention(words).squeeze(-1).float()  # (S, W)
        weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1).to(words.dtype)
        return (weights.unsqueeze(1) @ words).squeeze(1)

    def loss(self, scores: Scores, targets: Mapping[str, Tensor], mask: Tensor) -> Loss:
        """Cross-entropy in float32, summed over the texts whose classes are known; with several, over classes too.

        Weights of classes multiply the terms, and the sum is still divided by the number of texts, not by the sum of
        their weights as torch does it: a text counts the same in whatever batch it comes, and balanced weights have
        the mean 1 over the training data. Weights and smoothing are for training; a model that is scored has the plain
        cross-entropy.
        """
        logits, wanted = scores["classes"].float(), targets["classes"]
        smoothing = self.config.smoothing if self.training else 0.0
        weights = self.class_weights if self.training else torch.ones_like(self.class_weights)
        logs = F.log_softmax(logits, dim=-1)
        if self.config.several:
            logs = logs.flatten(0, 1)  # (S * N, 2)
            weights = weights.expand(wanted.shape).flatten()
            wanted = wanted.flatten()
        else:
            weights = weights[wanted.clamp(min=0)]
        known = wanted != IGNORED
        gold = logs.gather(1, wanted.clamp(min=0).unsqueeze(1)).squeeze(1)
        terms = (1 - smoothing) * gold + smoothing * logs.mean(-1)
        return {"classes": -(weights * terms).masked_fill(~known, 0).sum()}

    def predict(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> dict[str, Tensor]:
        """``probabilities (S, N)``, and ``total (S,)`` of the scores."""
        logits = scores["classes"].float()
        found = logits.softmax(-1)  # (S, N), or (S, N, 2)
        return {"probabilities": found[..., 1] if self.several else found, "total": logits.flatten(1).sum(1)}

    def annotations(
        self, predicted: Mapping[str, Tensor], mask: Tensor, probabilities: bool = False
    ) -> list[Annotation]:
        """The best class, or all above the threshold, best first; ``probabilities`` are those of all classes."""
        crf_torch.check(predicted["total"])
        least = self.config.threshold if self.several else -1.0
        annotations = []
        for row in predicted["probabilities"].tolist():
            ranked = sorted(zip(self.classes, row, strict=True), key=lambda pair: -pair[1])
            labels = [label for label, probability in ranked if probability > least]
            if not self.several:
                labels = labels[:1]
            annotations.append(Annotation(labels=labels, scores=dict(ranked) if probabilities else {}))
        return annotations


def _weights(given: str | Mapping[str, float] | None, vocabs: Vocabs) -> list[float]:
    """Of each class, in their order."""
    classes = sorted(vocabs.classes)
    if given == "balanced":
        return [vocabs.classes.total() / (len(classes) * vocabs.classes[label]) for label in classes]
    named = given if isinstance(given, Mapping) else {}
    for label in named:
        if label not in vocabs.classes:
            known = ", ".join(classes[:12]) + (" ..." if len(classes) > 12 else "")
            raise InputError(f"config.decoder.class_weights: the data have no class '{label}'; there are: {known}")
    return [float(named.get(label, 1.0)) for label in classes]
