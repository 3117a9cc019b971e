"""Base classes of the decoders.

Predictions are computed on the device and converted to annotations on the CPU, with a single transfer in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from numpy.random import Generator
from torch import Tensor, nn

from ner.model.encoder import PieceEncoder
from ner.model.kernels.crf import Backend
from ner.runtime.device import HostCopy
from ner.types import Annotation, AxisLabels, Document, Example, Scores


class DecoderModule(nn.Module):
    """Base of the decoders, see :class:`~ner.contracts.Decoder`. Subclasses define ``predict`` and ``annotations``.

    Attributes:
        backend: Backend of the CRF kernels, or None if the decoder uses none.
        single_label: Whether the decoder predicts exactly one label per example.
    """

    backend: Backend | None = None
    single_label: bool = False

    def axis_labels(self) -> dict[str, AxisLabels]:
        """Return no labels: no tensor depends on the labels of the training data."""
        return {}

    def predict(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> dict[str, Tensor]:
        """Return the predictions as tensors on the device of the scores, without a synchronization."""
        raise NotImplementedError

    def annotations(
        self, predicted: Mapping[str, Tensor], mask: Tensor, probabilities: bool = False
    ) -> list[Annotation]:
        """Convert the predictions of :meth:`predict` to one annotation per example.

        Args:
            predicted: Tensors on the CPU.
            mask: ``(S, W)`` true on words, on the CPU.
            probabilities: The same value as in :meth:`predict`.

        Raises:
            BadExampleError: If scores are not finite.
        """
        raise NotImplementedError

    def decode(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> list[Annotation]:
        """Return one annotation per example, with scores between 0 and 1 if ``probabilities`` is true.

        Raises:
            BadExampleError: If scores are not finite.
        """
        predicted = HostCopy({**self.predict(scores, mask, probabilities), "mask": mask}).get()
        return self.annotations(predicted, predicted["mask"], probabilities)

    def input_warnings(self, document: Document) -> Counter[str]:
        """Return how much of the gold data cannot be predicted, by reason."""
        return Counter()


class GenerativeDecoder(DecoderModule):
    """Base of decoders that run the encoder themselves and replace its input functions.

    The encoder is not a submodule of the decoder, so that its weights are saved once, with the model.

    Args:
        encoder: See :meth:`bind_encoder`.
    """

    def __init__(self, encoder: PieceEncoder) -> None:
        super().__init__()
        self.bind_encoder(encoder)

    def bind_encoder(self, encoder: PieceEncoder) -> None:
        """Use this encoder from now on."""
        self._encoder = (encoder,)  # a tuple hides the module from torch

    @property
    def encoder(self) -> PieceEncoder:
        """The encoder in use."""
        return self._encoder[0]

    def plan(self, document: Document, limit: int | None) -> list[tuple[int, int, int]]:
        """See :class:`~ner.contracts.Encoder`."""
        raise NotImplementedError

    def inputs(
        self, groups: Sequence[Sequence[Example]], generators: Sequence[Generator] | None = None
    ) -> dict[str, Tensor]:
        """See :class:`~ner.contracts.Encoder`."""
        raise NotImplementedError
