"""Base class of the decoders that predict one tag per word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ner.config.base import DecoderConfig
from ner.contracts import IGNORED, Decoder
from ner.data.tags import OUTSIDE, PLAIN, TagSet
from ner.data.vocab import Vocabs
from ner.model.kernels import crf
from ner.model.kernels.chain import Chain, check_paths
from ner.model.kernels.span_probabilities import run_probabilities, span_probabilities
from ner.types import Annotation, AxisLabels, Encoding, Example, Scores, Span


class TagDecoderConfig(DecoderConfig):
    """Configuration of a decoder that predicts one tag per word; each adds its ``constraints``."""

    scheme: Literal["bio", "bioes", "bmes", "bilou", "io"] = "bio"
    """Tagging scheme of the model, independent of the files; plain tags are kept."""
    backend: crf.Backend = "auto"
    """Implementation of the CRF and of the sequence search: torch, numba (CPU) or triton (CUDA), with equal results;
    auto selects the fastest installed one."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout of the input."""


class TagDecoder(Decoder):
    """Linear layer that scores each tag at each word; subclasses define the loss and the scores of transitions.

    Args:
        config: A ``TagDecoderConfig`` with ``constraints``.
        width: ``H`` of the input.
        vocabs: Labels, or plain tags, of the training data.

    Attributes:
        temperature: Divisor of all scores in probabilities, see :mod:`ner.training.temperature`. The predicted tags
            do not depend on it.
    """

    temperature: float = 1.0
    allowed_first: Tensor
    allowed_transitions: Tensor
    allowed_last: Tensor

    def __init__(self, config: Any, width: int, vocabs: Vocabs) -> None:
        super().__init__()
        self.tags = TagSet(vocabs.tags, PLAIN) if vocabs.plain else TagSet(vocabs.labels, config.scheme)
        self.constrained = config.constraints != "none"
        self.backend: crf.Backend = config.backend
        self.dropout = nn.Dropout(config.dropout)
        self.emissions = nn.Linear(width, len(self.tags))
        size = len(self.tags)
        transitions = torch.zeros(size, size, dtype=torch.bool)  # first, because its size may be refused
        first, next_tags, last = map(torch.from_numpy, self.tags.allowed())
        self.register_buffer("allowed_first", first, persistent=False)
        self.register_buffer("allowed_transitions", transitions.copy_(next_tags), persistent=False)
        self.register_buffer("allowed_last", last, persistent=False)

    @property
    def allowed(self) -> tuple[Tensor, Tensor, Tensor]:
        """Masks ``(K,)`` of first tags, ``(K, K)`` of previous and next tags, ``(K,)`` of last tags."""
        return self.allowed_first, self.allowed_transitions, self.allowed_last

    def axis_labels(self) -> dict[str, AxisLabels]:
        """Return the tags of the emissions."""
        return {"emissions.weight": (self.tags.names, None), "emissions.bias": (self.tags.names,)}

    def target(self, example: Example) -> list[int]:
        """Return the tag id of each word of an example."""
        return self.tags.targets(example, IGNORED)

    def targets(self, examples: Sequence[Example]) -> tuple[dict[str, Tensor], dict[str, int]]:
        """Return ``tags (S, W)``, ``IGNORED`` where the tag is unknown, and the number of the other words."""
        rows = [self.target(example) for example in examples]
        width = max(map(len, rows), default=0)
        padded = [row + [IGNORED] * (width - len(row)) for row in rows]
        tags = torch.tensor(padded, dtype=torch.long).view(len(rows), width)
        return {"tags": tags}, {"tags": int((tags != IGNORED).sum())}

    def forward(self, encoding: Encoding) -> Scores:
        """Return ``emissions (S, W, K)``."""
        return {"emissions": self.emissions(self.dropout(encoding.words))}

    def chain(self, constrained: bool) -> Chain:
        """Return the scores of transitions, with the constraints of the scheme if ``constrained`` is true."""
        raise NotImplementedError

    def best(self, emissions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(S, W)`` tag ids and ``(S,)`` scores, which are not finite for invalid emissions."""
        return crf.best_path(emissions, mask, self.chain(self.constrained), self.backend)

    def predict(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> dict[str, Tensor]:
        """Return ``path (S, W)``, the tag ids, and ``path_score (S,)``; ``mask`` may have any pattern."""
        emissions = scores["emissions"]
        with torch.autocast(emissions.device.type, enabled=False):
            path, score = self.best(emissions, mask)
        return {"path": path, "path_score": score}

    def annotations(
        self, predicted: Mapping[str, Tensor], mask: Tensor, probabilities: bool = False
    ) -> list[Annotation]:
        """Return tags and spans of the words."""
        check_paths(predicted["path_score"], mask)
        flat = predicted["path"][mask].tolist()
        annotations, start = [], 0
        for length in mask.sum(1).tolist():
            tags, spans, raw_tags = self.tags.decode_ids(flat[start : start + length])
            annotations.append(Annotation(tags=tags, spans=spans, raw_tags=raw_tags))
            start += length
        return annotations

    def decode(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> list[Annotation]:
        """Return tags and spans of the words; with ``probabilities`` spans have scores."""
        annotations = super().decode(scores, mask)
        if not probabilities or self.tags.scheme == PLAIN:
            return annotations
        values = iter(
            self.span_probabilities(scores["emissions"], mask, [annotation.spans for annotation in annotations])
        )
        for annotation in annotations:
            annotation.spans = [replace(span, score=next(values)) for span in annotation.spans]
        return annotations

    def probability_chain(self) -> Chain:
        """Return the chain whose distribution over tag sequences defines probabilities."""
        return self.chain(self.constrained)

    def tempered(self, emissions: Tensor) -> tuple[Tensor, Chain]:
        """Return emissions and chain for probabilities: all scores are divided by the temperature."""
        chain = self.probability_chain()
        if self.temperature == 1:
            return emissions, chain
        first, transitions, last = (score / self.temperature for score in chain[:3])
        return emissions.float() / self.temperature, chain._replace(first=first, transitions=transitions, last=last)

    @torch.no_grad()
    def span_probabilities(self, emissions: Tensor, mask: Tensor, spans: Sequence[Sequence[Span]]) -> list[float]:
        """Return the probability of each span, 0 for labels that the decoder does not have.

        Args:
            emissions: ``(S, W, K)``.
            mask: ``(S, W)`` true on words.
            spans: Spans of each example, predicted or not.
        """
        ids = {label: number for number, label in enumerate(self.tags.labels)}
        positions = [
            (row, span.start, span.end, ids[span.label])
            for row, example_spans in enumerate(spans)
            for span in example_spans
            if span.label in ids
        ]
        with torch.autocast(mask.device.type, enabled=False):
            probabilities = iter(self._span_probabilities(*self.tempered(emissions), mask, positions))
        return [next(probabilities) if span.label in ids else 0.0 for example_spans in spans for span in example_spans]

    @torch.no_grad()
    def outside_probabilities(self, emissions: Tensor, mask: Tensor, spans: Sequence[Sequence[Span]]) -> list[float]:
        """Return the probability that all words of each span are outside of entities; arguments as above."""
        ranges = [(row, span.start, span.end) for row, example_spans in enumerate(spans) for span in example_spans]
        with torch.autocast(mask.device.type, enabled=False):
            emissions, chain = self.tempered(emissions)
            values: list[float] = run_probabilities(emissions, mask, chain, ranges, self.tags.ids[OUTSIDE]).tolist()
        return values

    def _span_probabilities(
        self, emissions: Tensor, chain: Chain, mask: Tensor, positions: Sequence[tuple[int, int, int, int]]
    ) -> list[float]:
        """Return the probabilities of spans given as example, first word, end and label."""
        begins, continues = (torch.tensor(table, device=mask.device) for table in self.tags.span_masks())
        values: list[float] = span_probabilities(emissions, mask, chain, positions, begins, continues).tolist()
        return values
