"""What decoders that give each word one tag have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ner.kernels.crf import compress
from ner.tags import PLAIN, TagSet
from ner.types import Annotation, Encoding, Example, Scores
from ner.vocab import Vocabs

TagScheme = Literal["bio", "bioes", "bmes", "bilou", "io"]

IGNORED = -100
"""Target of words whose tag is not known to the model: they take no part in the loss."""


class TagDecoder(nn.Module):
    """A linear layer that scores each tag at each word; subclasses say what is lost and which path is best.

    Args:
        config: With ``scheme``, ``constrain`` and ``dropout``.
        width: ``H`` of the vectors.
        vocabs: Labels, or plain tags, of the training data.
    """

    allowed_first: Tensor
    allowed_transitions: Tensor
    allowed_last: Tensor

    def __init__(self, config: Any, width: int, vocabs: Vocabs) -> None:
        super().__init__()
        self.tags = TagSet(vocabs.tags, PLAIN) if vocabs.plain else TagSet(vocabs.labels, config.scheme)
        self.constrained = config.constrain != "none"
        self.dropout = nn.Dropout(config.dropout)
        self.emissions = nn.Linear(width, len(self.tags))
        first, follow, last = self.tags.allowed()
        self.register_buffer("allowed_first", torch.tensor(first), persistent=False)
        self.register_buffer("allowed_transitions", torch.tensor(follow), persistent=False)
        self.register_buffer("allowed_last", torch.tensor(last), persistent=False)

    @property
    def allowed(self) -> tuple[Tensor, Tensor, Tensor]:
        """``(K,)`` tags that may come first, ``(K, K)`` previous and next tag, ``(K,)`` tags that may come last."""
        return self.allowed_first, self.allowed_transitions, self.allowed_last

    def targets(self, examples: Sequence[Example]) -> tuple[dict[str, Tensor], dict[str, int]]:
        """``tags (S, W)``, ``IGNORED`` where the tag is unknown; the loss is summed over the other words."""
        rows = [self.tags.targets(example, IGNORED) for example in examples]
        tags = torch.full((len(rows), max(map(len, rows), default=0)), IGNORED)
        for position, row in enumerate(rows):
            tags[position, : len(row)] = torch.tensor(row, dtype=torch.long)
        return {"tags": tags}, {"tags": int((tags != IGNORED).sum())}

    def forward(self, encoding: Encoding) -> Scores:
        """``emissions (S, W, K)``."""
        return {"emissions": self.emissions(self.dropout(encoding.words))}

    def best(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """``(S, W)`` tag ids of float32 emissions; words come first in each row."""
        raise NotImplementedError("a tag decoder says which path is best")

    def decode(self, scores: Scores, mask: Tensor) -> list[Annotation]:
        """Tags and spans of the words; ``mask`` may have any pattern."""
        order, packed = compress(mask)
        emissions = scores["emissions"].float()
        emissions = emissions.gather(1, order.unsqueeze(-1).expand_as(emissions))
        with torch.autocast(emissions.device.type, enabled=False):
            rows = self.best(emissions, packed).tolist()
        found = []
        for row, length in zip(rows, packed.sum(1).tolist(), strict=True):
            tags, spans = self.tags.read(row[:length])
            found.append(Annotation(tags=tags, spans=spans))
        return found
