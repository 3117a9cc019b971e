"""Answers to questions: a stretch of the passage, or yes, no, or unknown.

Where an answer begins is one distribution over the words of the passage and the three other kinds, where it ends is
another (Devlin et al., 2019, with the kinds of Ju et al., 2019). The kinds are read from an attention over all words,
those of the question among them; where the data name the evidence of an answer, the attention learns to look there, yes
and no being hard to learn otherwise. Four heads of two layers each.
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

from ner.config.base import ComponentConfig
from ner.data.notices import Notice
from ner.data.question_answering import ANSWER, ANSWER_TYPES, EVIDENCE, SPAN, UNKNOWN
from ner.data.vocab import Vocabs
from ner.model.decoder import DecoderModule
from ner.model.kernels import crf_torch
from ner.types import Annotation, AxisLabels, Document, Encoding, Example, Loss, Scores, Span

gives = frozenset({"answers"})
OTHERS = ANSWER_TYPES[1:]
"""Answers that stand nowhere in the passage; they come before the words in both distributions."""
IGNORED = -100
"""Target of examples whose answer is not known."""


class Config(ComponentConfig):
    """A stretch of the passage, or yes, no, or unknown."""

    name: Literal["span"] = "span"
    """File of ner/model/decoders."""
    hidden: int | None = Field(None, ge=1)
    """Width inside the heads; by default that of the vectors."""
    max_answer_length: int = Field(30, ge=1)
    """Words of the longest answer that is given."""
    n_best_size: int = Field(5, ge=1)
    """Most answers that are given where probabilities are asked for; those that read the same are given once."""
    unknown_threshold: float = 0.0
    """The answer is unknown if its log-probability is by more than this above that of the best other answer."""
    evidence: float = Field(1.0, ge=0)
    """Weight of the loss of an attention that does not look at the evidence."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Of the vectors that come in."""


def build(config: Config, width: int, vocabs: Vocabs) -> SpanDecoder:
    """For vectors of ``width``; the kinds of answers are always the same."""
    return SpanDecoder(config, width)


class SpanDecoder(DecoderModule):
    """See the file.

    ``Scores``: ``starts`` and ``ends (S, 3 + W)``: yes, no, unknown, then the words; ``attention (S, W)``, logarithms
    of the weights.
    """

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        self.config = config
        self.dropout = nn.Dropout(config.dropout)
        self.boundaries, self.attention, self.truth, self.unknown = (
            nn.Sequential(nn.Linear(width, config.hidden or width), nn.GELU(), nn.Linear(config.hidden or width, size))
            for size in (2, 1, 2, 1)
        )

    def axis_labels(self) -> dict[str, AxisLabels]:
        """Nothing depends on the labels of the data."""
        return {}

    def distributions(self) -> dict[str, tuple[str, float]]:
        """See :class:`~ner.contracts.Decoder`."""
        return {"starts": ("answers", 0.5), "ends": ("answers", 0.5)}

    def input_warnings(self, document: Document) -> Counter[str]:
        """Gold answers that are too long to be given."""
        spans = (span for example in document.examples for span in example.spans if span.label == ANSWER)
        too_long = sum(span.end - span.start > self.config.max_answer_length for span in spans)
        return +Counter({Notice.ANSWER_TOO_LONG: too_long})

    def targets(self, examples: Sequence[Example]) -> tuple[dict[str, Tensor], dict[str, int]]:
        """``starts`` and ``ends (S,)`` as positions in the scores, ``evidence (S, W)``.

        The loss of the answers is summed over the examples whose answer is known, that of the attention over those
        with evidence.
        """
        pairs = [_target(example) for example in examples]
        known = sum(start != IGNORED for start, _ in pairs)
        table = torch.tensor(pairs, dtype=torch.long).view(len(pairs), 2)
        evidence = torch.zeros(len(examples), max((len(e.words) for e in examples), default=0), dtype=torch.bool)
        for row, example in enumerate(examples):
            for span in example.spans:
                if span.label == EVIDENCE:
                    evidence[row, span.start : span.end] = True
        targets = {"starts": table[:, 0].contiguous(), "ends": table[:, 1].contiguous(), "evidence": evidence}
        return targets, {"answers": known, "evidence": int(evidence.any(1).sum()) if evidence.numel() else 0}

    def forward(self, encoding: Encoding) -> Scores:
        """See the class; the words of the question, and padding, cannot begin or end an answer."""
        words, mask = self.dropout(encoding.words), encoding.mask
        query = encoding.question_mask if encoding.question_mask is not None else torch.zeros_like(mask)
        passage = (mask & ~query).unsqueeze(1)  # (S, 1, W)
        boundaries = self.boundaries(words).transpose(1, 2).float()  # (S, 2, W)
        lowest = torch.finfo(boundaries.dtype).min
        attention = self.attention(words).squeeze(-1).float().masked_fill(~mask, lowest).log_softmax(-1)  # (S, W)
        weights = torch.where(mask, attention.exp(), 0.0).to(words.dtype)
        summary = (weights.unsqueeze(1) @ words).squeeze(1)  # (S, H), zeros where there are no words
        others = torch.cat([self.truth(summary), self.unknown(summary)], dim=1).float()  # (S, 3)
        scores = torch.cat([others.unsqueeze(1).expand(-1, 2, -1), boundaries.masked_fill(~passage, lowest)], dim=2)
        return {"starts": scores[:, 0], "ends": scores[:, 1], "attention": attention}

    def loss(self, scores: Scores, targets: Mapping[str, Tensor], mask: Tensor) -> Loss:
        """Mean of the cross-entropies of beginning and end; -log of the weight that lies on the evidence."""
        parts = [
            F.cross_entropy(scores[name].float(), targets[name], ignore_index=IGNORED, reduction="sum")
            for name in ("starts", "ends")
        ]
        evidence = targets["evidence"]
        attention = scores["attention"].float()
        lowest = torch.finfo(attention.dtype).min  # -inf would give rows without evidence a gradient that is NaN
        on_evidence = attention.masked_fill(~evidence, lowest).logsumexp(1).masked_fill(~evidence.any(1), 0)
        return {"answers": (parts[0] + parts[1]) / 2, "evidence": -self.config.evidence * on_evidence.sum()}

    def predict(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> dict[str, Tensor]:
        """Log-probabilities ``others (S, 3)`` and ``stretches (S, B)``, the best ones; ``kinds (S, 4)``.

        ``places (S, B)`` count first word and length of a stretch in one, of ``length (1,)`` possible lengths.
        """
        others, spans = self._log_probabilities(scores)
        kinds = torch.cat([spans.flatten(1).logsumexp(1, keepdim=True), others], dim=1).exp()
        size = min(self.config.n_best_size if probabilities else 1, spans[0].numel() if len(spans) else 0)
        stretches, places = spans.flatten(1).topk(size, dim=1)
        length = torch.tensor([max(1, spans.shape[2])])
        return {"others": others, "stretches": stretches, "places": places, "kinds": kinds, "length": length}

    def annotations(
        self, predicted: Mapping[str, Tensor], mask: Tensor, probabilities: bool = False
    ) -> list[Annotation]:
        """The best answer over the whole passage, or the ``n_best_size`` best with their probabilities."""
        crf_torch.check(predicted["others"].sum(1))
        length = int(predicted["length"])
        names = ("others", "stretches", "places", "kinds")
        found = []
        for others, stretches, places, kinds in zip(*(predicted[name].tolist() for name in names), strict=True):
            candidates: list[tuple[float, str, str | Span]] = [
                (log, SPAN, Span(place // length, place // length + place % length + 1, ANSWER, math.exp(log)))
                for log, place in zip(stretches, places, strict=True)
                if log > -math.inf
            ]
            candidates += [(log, kind, kind) for log, kind in zip(others, OTHERS, strict=True)]
            found.append(self._annotation(candidates, dict(zip(ANSWER_TYPES, kinds, strict=True)), probabilities))
        return found

    def _log_probabilities(self, scores: Scores) -> tuple[Tensor, Tensor]:
        """``(S, 3)`` of the other kinds, ``(S, W, L)`` of the stretches by first word and length, less one.

        Beginning and end are independent but for what is possible: the passage, and ``max_answer_length``.
        """
        count = len(OTHERS)
        starts, ends = (F.log_softmax(scores[name].float(), dim=1) for name in ("starts", "ends"))
        allowed = scores["starts"][:, count:] > torch.finfo(torch.float).min / 2  # (S, W)
        first, last = (side[:, count:].masked_fill(~allowed, -torch.inf) for side in (starts, ends))
        length = min(self.config.max_answer_length, first.shape[1])
        if length:
            reached = F.pad(last, (0, length - 1), value=-torch.inf).unfold(1, length, 1)  # (S, W, L)
            spans = first.unsqueeze(2) + reached
        else:
            spans = first.new_zeros((len(first), 0, 0))
        others = starts[:, :count] + ends[:, :count]
        total = torch.cat([others, spans.flatten(1)], dim=1).logsumexp(1)
        return others - total[:, None], spans - total[:, None, None]

    def _annotation(
        self, candidates: list[tuple[float, str, str | Span]], kinds: dict[str, float], probabilities: bool
    ) -> Annotation:
        """What is said of one example; candidates are log-probability, kind and answer."""
        ordered = sorted(candidates, key=lambda candidate: -candidate[0])
        unknown = next(candidate for candidate in ordered if candidate[1] == UNKNOWN)
        known = [candidate for candidate in ordered if candidate[1] != UNKNOWN]
        is_unknown = unknown[0] - known[0][0] > self.config.unknown_threshold
        _, kind, answer = unknown if is_unknown else known[0]
        spans = [answer] if isinstance(answer, Span) else []
        if not probabilities:
            return Annotation(labels=[kind], answers=[answer], spans=[replace(span, score=None) for span in spans])
        answers = [answer, *(other for _, _, other in ordered if other != answer)][: self.config.n_best_size]
        return Annotation(labels=[kind], answers=answers, spans=spans, scores=kinds)


def _target(example: Example) -> tuple[int, int]:
    """Where the answer begins and ends in the scores."""
    spans = [span for span in example.spans if span.label == ANSWER]
    if spans and (not example.labels or example.labels[0] == SPAN):
        return len(OTHERS) + spans[0].start, len(OTHERS) + spans[0].end - 1
    if example.labels and example.labels[0] in OTHERS:
        position = OTHERS.index(example.labels[0])
        return position, position
    return IGNORED, IGNORED
