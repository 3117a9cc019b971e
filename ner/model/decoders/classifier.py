"""Text classification: word vectors are pooled, and a linear layer scores the classes.

A text has exactly one class (softmax), or with ``multi_label`` any number of classes (a sigmoid for each class).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ner.config.base import DecoderConfig
from ner.contracts import IGNORED, Decoder
from ner.data.vocab import Vocabs
from ner.errors import InputError
from ner.model.kernels.chain import check_finite
from ner.types import Annotation, AxisLabels, Encoding, Example, Loss, Scores

OUTPUTS = frozenset({"labels"})

ClassName = Annotated[str, Field(coerce_numbers_to_str=True)]  # YAML reads names such as 0 and 1 as numbers


class Config(DecoderConfig):
    """Text classification."""

    name: Literal["classifier"] = "classifier"
    """Name of the file in ner/model/decoders."""
    multi_label: bool = False
    """Predict any number of labels per text instead of exactly one."""
    pooling: Literal["mean", "attention", "cls"] = "mean"
    """Text vector: mean of the word vectors, attention-weighted mean (Yang et al., 2016), or cls, the pooled output of
    the encoder. cls requires a transformer without a context layer."""
    hidden_size: int = Field(0, ge=0)
    """Size of a tanh layer before the output layer; 0 for none."""
    class_weights: Literal["balanced"] | dict[ClassName, Annotated[float, Field(gt=0)]] | None = None
    """Loss weights of the classes: balanced for inverse frequencies, or a mapping in which missing classes weigh 1."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Label smoothing in training (Szegedy et al., 2016)."""
    threshold: float = Field(0.5, gt=0, lt=1)
    """Minimum probability of a predicted label if multi_label is true."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout of the word vectors and of the text vector."""


class ClassifierDecoder(Decoder):
    """Text classifier.

    ``Scores`` are ``classes (S, N)``, or with ``multi_label`` ``(S, N, 2)``: 0 and the score of each class, so that a
    softmax over the last dimension is a distribution in both cases.

    Raises:
        InputError: If the data have no classes, or ``class_weights`` contains an unknown class.
    """

    class_weights: Tensor

    def __init__(self, config: Config, width: int, vocabs: Vocabs) -> None:
        super().__init__()
        if not vocabs.classes:
            raise InputError(
                "config.decoder: classifier requires labels of whole texts, and the training data have none; "
                "see data.format, or choose another decoder"
            )
        self.config, self.single_label = config, not config.multi_label
        self.classes = sorted(vocabs.classes)
        self.dropout = nn.Dropout(config.dropout)
        if config.pooling == "attention":
            self.attention = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1, bias=False))
        self.enter = (
            nn.Sequential(nn.Linear(width, config.hidden_size), nn.Tanh()) if config.hidden_size else nn.Identity()
        )
        self.output = nn.Linear(config.hidden_size or width, len(self.classes))
        if config.class_weights == "balanced":
            counts = vocabs.classes
            weights = [counts.total() / (len(counts) * counts[label]) for label in self.classes]
        else:
            configured_weights = config.class_weights or {}
            for label in configured_weights:
                if label not in vocabs.classes:
                    known_classes = ", ".join(self.classes[:12]) + (" ..." if len(self.classes) > 12 else "")
                    raise InputError(
                        f"config.decoder.class_weights: the training data have no class '{label}'; "
                        f"known classes: {known_classes}"
                    )
            weights = [configured_weights.get(label, 1.0) for label in self.classes]
        self.register_buffer("class_weights", torch.tensor(weights), persistent=False)

    def axis_labels(self) -> dict[str, AxisLabels]:
        """Return the classes of the output layer."""
        return {"output.weight": (self.classes, None), "output.bias": (self.classes,)}

    def targets(self, examples: Sequence[Example]) -> tuple[dict[str, Tensor], dict[str, int]]:
        """Return ``classes (S,)``, or with ``multi_label`` ``(S, N)`` of 0 and 1, and the number of texts in the loss.

        The target is ``IGNORED`` for a label that is not in the training data, and for a text without a label unless
        ``multi_label`` is set. A single-label decoder uses the first label.
        """
        if self.config.multi_label:
            rows = [
                [int(label in labels) for label in self.classes]
                if labels <= set(self.classes)
                else [IGNORED] * len(self.classes)
                for labels in (set(example.labels or ()) for example in examples)
            ]
            table = torch.tensor(rows, dtype=torch.long).view(len(rows), len(self.classes))
            return {"classes": table}, {"classes": sum(row[0] != IGNORED for row in rows)}
        ids = {label: number for number, label in enumerate(self.classes)}
        class_ids = [ids.get(example.labels[0], IGNORED) if example.labels else IGNORED for example in examples]
        return {"classes": torch.tensor(class_ids, dtype=torch.long)}, {
            "classes": sum(class_id != IGNORED for class_id in class_ids)
        }

    def forward(self, encoding: Encoding) -> Scores:
        """Return the scores of the classes, see the class; the text vector of a text without words is 0, except cls.

        Raises:
            InputError: If ``pooling`` is ``cls`` and the encoder has no pooled output.
        """
        if self.config.pooling == "cls":
            if encoding.pooled is None:
                raise InputError(
                    "config.decoder.pooling: cls is the encoder's own vector of a text, and there is none: only "
                    "the transformer has it, with windows.scope=sentence and without a context layer (context=null); "
                    "choose mean or attention"
                )
            text_vector = self.dropout(encoding.pooled)  # (S, H)
        else:
            words, mask = self.dropout(encoding.words), encoding.mask
            if self.config.pooling == "mean":
                text_vector = words.sum(1) / mask.sum(1, keepdim=True).clamp(min=1).to(words.dtype)  # padding is zero
            else:
                relevance = self.attention(words).squeeze(-1).float()  # (S, W)
                lowest = torch.finfo(relevance.dtype).min
                weights = relevance.masked_fill(~mask, lowest).softmax(-1).to(words.dtype)
                text_vector = (weights.unsqueeze(1) @ words).squeeze(1)
        scores = self.output(self.dropout(self.enter(text_vector)))  # (S, N)
        if self.config.multi_label:
            scores = torch.stack([torch.zeros_like(scores), scores], dim=-1)  # (S, N, 2): without and with the class
        return {"classes": scores}

    def loss(self, scores: Scores, targets: Mapping[str, Tensor], mask: Tensor) -> Loss:
        """Return the cross-entropy in float32, summed over texts with known classes, and over classes if multi-label.

        Class weights multiply the terms. The sum is divided by the number of texts, not by the sum of their weights as
        in torch, so the weight of a text does not depend on its batch. Balanced weights have the mean 1 over the
        training data. Weights and smoothing apply in training only.
        """
        logits, target = scores["classes"].float(), targets["classes"]
        smoothing = self.config.label_smoothing if self.training else 0.0
        weights = self.class_weights if self.training else torch.ones_like(self.class_weights)
        logs = F.log_softmax(logits, dim=-1)
        if self.config.multi_label:
            logs = logs.flatten(0, 1)  # (S * N, 2)
            weights = weights.expand(target.shape).flatten()
            target = target.flatten()
        else:
            weights = weights[target.clamp(min=0)]
        has_target = target != IGNORED
        target_logs = logs.gather(1, target.clamp(min=0).unsqueeze(1)).squeeze(1)
        terms = (1 - smoothing) * target_logs + smoothing * logs.mean(-1)
        return {"classes": -(weights * terms).masked_fill(~has_target, 0).sum()}

    def predict(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> dict[str, Tensor]:
        """Return ``probabilities (S, N)`` and ``total (S,)``, the sum of the scores."""
        logits = scores["classes"].float()
        class_probabilities = logits.softmax(-1)  # (S, N), or (S, N, 2)
        return {
            "probabilities": class_probabilities[..., 1] if self.config.multi_label else class_probabilities,
            "total": logits.flatten(1).sum(1),
        }

    def annotations(
        self, predicted: Mapping[str, Tensor], mask: Tensor, probabilities: bool = False
    ) -> list[Annotation]:
        """Return the best class, or all classes above the threshold, best first, with the scores of all classes."""
        check_finite(predicted["total"])
        threshold = self.config.threshold if self.config.multi_label else -1.0
        annotations = []
        for row in predicted["probabilities"].tolist():
            ranked = sorted(zip(self.classes, row, strict=True), key=lambda pair: -pair[1])
            labels = [label for label, probability in ranked if probability > threshold]
            if self.single_label:
                labels = labels[:1]
            annotations.append(Annotation(labels=labels, scores=dict(ranked) if probabilities else {}))
        return annotations


build = ClassifierDecoder
