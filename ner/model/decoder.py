"""What all decoders share: predictions are computed on the device and read on the CPU, with one transfer between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from torch import Tensor, nn

from ner.runtime.device import HostCopy
from ner.types import Annotation, Document, Scores


class DecoderModule(nn.Module):
    """Base of the decoders, see :class:`~ner.contracts.Decoder`. Subclasses have ``predict`` and ``annotations``."""

    def predict(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> dict[str, Tensor]:
        """The answers as tensors on the device of the scores; nothing waits for a GPU."""
        raise NotImplementedError("a decoder predicts")

    def annotations(
        self, predicted: Mapping[str, Tensor], mask: Tensor, probabilities: bool = False
    ) -> list[Annotation]:
        """The answers of :meth:`predict`, one per example.

        Args:
            predicted: On the CPU.
            mask: ``(S, W)`` true on words, on the CPU.
            probabilities: As handed to :meth:`predict`.

        Raises:
            BadExampleError: If scores are not finite.
        """
        raise NotImplementedError("a decoder reads its predictions")

    def decode(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> list[Annotation]:
        """One answer per example; ``probabilities`` gives each part of it a score between 0 and 1.

        Raises:
            BadExampleError: If scores are not finite.
        """
        predicted = HostCopy({**self.predict(scores, mask, probabilities), "mask": mask}).get()
        return self.annotations(predicted, predicted["mask"], probabilities)

    def coverage(self, document: Document) -> Counter[str]:
        """How much of the gold cannot be given, by reason."""
        return Counter()
