"""Extractive question answering: the answer is a span of the passage, or yes, no, or unknown.

The start and the end of an answer have a distribution each, over the words of the passage and the three special answers
(Devlin et al., 2019; special answers of Ju et al., 2019). The special answers are scored from an attention-weighted
mean of all words, including the question. If the data contain the evidence of answers, the attention is trained on it,
because yes and no are hard to learn otherwise.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ner.config.base import DecoderConfig
from ner.contracts import IGNORED, Decoder
from ner.data.notices import Notice
from ner.data.question_answering import ANSWER, ANSWER_TYPES, EVIDENCE, SPAN, UNKNOWN
from ner.data.vocab import Vocabs
from ner.model.kernels.chain import check_finite
from ner.types import Annotation, Document, Encoding, Example, Loss, Scores, Span

OUTPUTS = frozenset({"answers"})
SPECIAL_ANSWERS = ANSWER_TYPES[1:]
"""Answers that are no span of the passage; they precede the words in both distributions."""


class Config(DecoderConfig):
    """Extractive question answering: a span of the passage, yes, no, or unknown."""

    name: Literal["extractive_qa"] = "extractive_qa"
    """Name of the file in ner/model/decoders."""
    hidden_size: int | None = Field(None, ge=1)
    """Size of the hidden layer of each output head; null for the input size."""
    max_answer_length: int = Field(30, ge=1)
    """Maximum number of words in an answer."""
    n_best_size: int = Field(5, ge=1)
    """Maximum number of answers if probabilities are requested; answers with equal text are merged."""
    null_threshold: float = 0.0
    """Log-probability by which unknown must exceed the best other answer."""
    evidence_weight: float = Field(1.0, ge=0)
    """Weight of the attention loss on the evidence."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout of the input."""


def build(config: Config, width: int, vocabs: Vocabs) -> ExtractiveQADecoder:
    """Build the decoder for vectors of ``width``; it uses no vocabulary."""
    return ExtractiveQADecoder(config, width)


class ExtractiveQADecoder(Decoder):
    """Extractive question answering, see the module.

    ``Scores`` are ``starts`` and ``ends (S, 3 + W)``, for yes, no, unknown and the words, and ``attention (S, W)``, the
    logarithms of the attention weights.
    """

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        self.config = config
        self.dropout = nn.Dropout(config.dropout)
        self.boundaries, self.attention, self.truth, self.unknown = (
            nn.Sequential(
                nn.Linear(width, config.hidden_size or width), nn.GELU(), nn.Linear(config.hidden_size or width, size)
            )
            for size in (2, 1, 2, 1)
        )

    def input_warnings(self, document: Document) -> Counter[str]:
        """Return the number of gold answers that are too long to be predicted."""
        spans = (span for example in document.examples for span in example.spans if span.label == ANSWER)
        too_long = sum(span.end - span.start > self.config.max_answer_length for span in spans)
        return +Counter[str]({Notice.ANSWER_TOO_LONG: too_long})

    def targets(self, examples: Sequence[Example]) -> tuple[dict[str, Tensor], dict[str, int]]:
        """Return ``starts`` and ``ends (S,)``, positions in the scores, and ``evidence (S, W)``.

        The answer loss counts the examples with a gold answer, the attention loss those with evidence.
        """
        starts = torch.full((len(examples),), IGNORED)
        ends = starts.clone()
        evidence = torch.zeros(len(examples), max((len(e.words) for e in examples), default=0), dtype=torch.bool)
        for row, example in enumerate(examples):
            answer_type = example.labels[0] if example.labels else SPAN
            answer = next((span for span in example.spans if span.label == ANSWER), None)
            if answer_type in SPECIAL_ANSWERS:
                starts[row] = ends[row] = SPECIAL_ANSWERS.index(answer_type)
            elif answer_type == SPAN and answer is not None:
                starts[row], ends[row] = len(SPECIAL_ANSWERS) + answer.start, len(SPECIAL_ANSWERS) + answer.end - 1
            for span in example.spans:
                if span.label == EVIDENCE:
                    evidence[row, span.start : span.end] = True
        counts = {"answers": int((starts != IGNORED).sum()), "evidence": int(evidence.any(1).sum())}
        return {"starts": starts, "ends": ends, "evidence": evidence}, counts

    def forward(self, encoding: Encoding) -> Scores:
        """Return the scores, see the class; words of the question and padding cannot start or end an answer."""
        words, mask = self.dropout(encoding.words), encoding.mask
        question_mask = encoding.question_mask if encoding.question_mask is not None else torch.zeros_like(mask)
        passage = (mask & ~question_mask).unsqueeze(1)  # (S, 1, W)
        boundaries = self.boundaries(words).transpose(1, 2).float()  # (S, 2, W)
        lowest = torch.finfo(boundaries.dtype).min
        attention = self.attention(words).squeeze(-1).float().masked_fill(~mask, lowest).log_softmax(-1)  # (S, W)
        weights = torch.where(mask, attention.exp(), 0.0).to(words.dtype)
        pooled = (weights.unsqueeze(1) @ words).squeeze(1)  # (S, H), zeros where there are no words
        special_scores = torch.cat([self.truth(pooled), self.unknown(pooled)], dim=1).float()  # (S, 3)
        scores = torch.cat(
            [special_scores.unsqueeze(1).expand(-1, 2, -1), boundaries.masked_fill(~passage, lowest)], dim=2
        )
        return {"starts": scores[:, 0], "ends": scores[:, 1], "attention": attention}

    def loss(self, scores: Scores, targets: Mapping[str, Tensor], mask: Tensor) -> Loss:
        """Return the mean cross-entropy of start and end, and -log of the attention weight on the evidence."""
        losses = [
            F.cross_entropy(scores[name].float(), targets[name], ignore_index=IGNORED, reduction="sum")
            for name in ("starts", "ends")
        ]
        evidence = targets["evidence"]
        attention = scores["attention"].float()
        lowest = torch.finfo(attention.dtype).min  # -inf would make the gradient of rows without evidence NaN
        on_evidence = attention.masked_fill(~evidence, lowest).logsumexp(1).masked_fill(~evidence.any(1), 0)
        return {"answers": (losses[0] + losses[1]) / 2, "evidence": -self.config.evidence_weight * on_evidence.sum()}

    def predict(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> dict[str, Tensor]:
        """Return the log-probabilities of special answers and of the B best spans, and the answer types.

        Start and end are independent within the limits of the passage and of ``max_answer_length``.

        Returns:
            ``others (S, 3)``, ``spans (S, B)``, ``types (S, 4)`` (probabilities of span, yes, no, unknown), and
            ``indices (S, B)`` of the spans: start times ``length (1,)`` plus number of words minus 1.
        """
        num_special = len(SPECIAL_ANSWERS)
        starts, ends = (F.log_softmax(scores[name].float(), dim=1) for name in ("starts", "ends"))
        allowed = scores["starts"][:, num_special:] > torch.finfo(torch.float).min / 2  # (S, W)
        start_scores, end_scores = (
            log_probabilities[:, num_special:].masked_fill(~allowed, -torch.inf) for log_probabilities in (starts, ends)
        )
        length = min(self.config.max_answer_length, start_scores.shape[1])
        spans = start_scores  # (S, 0) without words
        if length:
            padded_ends = F.pad(end_scores, (0, length - 1), value=-torch.inf)
            ends_by_length = padded_ends.unfold(1, length, 1)  # (S, W, L): end by length
            spans = (start_scores.unsqueeze(2) + ends_by_length).flatten(1)
        special_scores = starts[:, :num_special] + ends[:, :num_special]
        total = torch.cat([special_scores, spans], dim=1).logsumexp(1, keepdim=True)
        special_scores, spans = special_scores - total, spans - total
        types = torch.cat([spans.logsumexp(1, keepdim=True), special_scores], dim=1).exp()
        best, indices = spans.topk(min(self.config.n_best_size if probabilities else 1, spans.shape[1]), dim=1)
        sizes = torch.tensor([max(1, length)])
        return {"others": special_scores, "spans": best, "indices": indices, "types": types, "length": sizes}

    def annotations(
        self, predicted: Mapping[str, Tensor], mask: Tensor, probabilities: bool = False
    ) -> list[Annotation]:
        """Return the best answer, or the ``n_best_size`` best answers with their probabilities."""
        check_finite(predicted["others"].sum(1))
        length = int(predicted["length"])
        names = ("others", "spans", "indices", "types")
        annotations = []
        for special_scores, best, indices, types in zip(*(predicted[name].tolist() for name in names), strict=True):
            candidates: list[tuple[float, str | Span]] = [
                (
                    log_probability,
                    Span(index // length, index // length + index % length + 1, ANSWER, math.exp(log_probability)),
                )
                for log_probability, index in zip(best, indices, strict=True)
                if log_probability > -math.inf
            ]
            candidates += zip(special_scores, SPECIAL_ANSWERS, strict=True)
            candidates.sort(key=lambda candidate: -candidate[0])
            unknown = next(candidate for candidate in candidates if candidate[1] == UNKNOWN)
            best_known = next(candidate for candidate in candidates if candidate[1] != UNKNOWN)
            _, answer = unknown if unknown[0] - best_known[0] > self.config.null_threshold else best_known
            labels = [SPAN if isinstance(answer, Span) else answer]
            spans = [answer] if isinstance(answer, Span) else []
            if probabilities:
                answers = [answer, *(other for _, other in candidates if other != answer)][: self.config.n_best_size]
                scores = dict(zip(ANSWER_TYPES, types, strict=True))
                annotations.append(Annotation(labels=labels, answers=answers, spans=spans, scores=scores))
            else:
                spans = [replace(span, score=None) for span in spans]
                annotations.append(Annotation(labels=labels, answers=[answer], spans=spans))
        return annotations
