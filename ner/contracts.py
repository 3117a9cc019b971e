"""Interfaces of the components. A component is a file; its name in a configuration is the name of the file.

==============  =================================================================================================
``encoders/``   ``Config``, ``build(config, vocabs, windows, files=None) -> Encoder``
``context/``    ``Config``, ``build(config, width) -> Context``
``decoders/``   ``Config``, ``OUTPUTS``: a subset of ``tags``, ``labels``, ``answers``, and
                ``build(config, width, vocabs) -> Decoder``; with ``Config.runs_encoder``, instead of ``build``,
                ``build_on(config, encoder) -> GenerativeDecoder``
``formats/``    ``Config``, ``read``, ``write``, ``output_extension``, ``probabilities``, ``STORES``, and optionally
                ``ROUND_TRIP``, ``export``, ``forbidden_characters``: see :class:`Format`. A format of several files
                may read and write a directory.
``metrics/``    ``count``, ``scores``, ``lines``, ``REQUIRES``: see :class:`Metric`
``callbacks/``  ``build() -> Callback``
==============  =================================================================================================

:mod:`ner.conformance` checks a component against its interface: ``tests/test_contracts.py`` every file of these
folders, ``ner contract my_layer.py`` a component of another package, see :mod:`ner.config.plugins`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from torch import Tensor, nn

from ner.config.base import ComponentConfig
from ner.runtime.device import HostCopy
from ner.types import Annotation, AxisLabels, Document, Encoding, Example, Loss, Scores

if TYPE_CHECKING:
    from numpy.random import Generator

    from ner.config.schema import WindowsConfig
    from ner.training.progress import Progress
    from ner.training.run import TrainingRun


IGNORED = -100
"""Target that a loss excludes, as in torch: an unknown tag or label, or padding."""


INFERENCE_PIECES = 1024
"""Default of ``inference_pieces``; transformers were not faster with more (docs/experiments.md)."""


class Encoder(nn.Module):
    """Module that maps examples to one vector per word; the defaults suit encoders without a maximum length.

    An encoder decides which examples of a document share its rows (``plan``), accepts any such groups as a batch
    (``inputs``) and hides pieces and windows from all later modules (``forward``).

    Attributes:
        width: ``H`` of the result.
        windows: Limits of its rows, or None.
        inference_pieces: Fastest size of a batch of evaluation and prediction on a CPU, in pieces, or in words if there
            are none, padding included. The context layer may have the same attribute; the smaller size applies.
        report: Statistics to log after the construction.
    """

    width: int
    windows: WindowsConfig | None = None
    inference_pieces: int = INFERENCE_PIECES

    def __init__(self) -> None:
        super().__init__()
        self.report: dict[str, Any] = {}

    def plan(self, document: Document, limit: int | None) -> list[tuple[int, int, int]]:
        """Return groups of consecutive examples as ``(start, stop, cost)``, with at most ``limit`` examples each.

        The encoder defines the unit of the cost. By default every example is a group, and the cost counts words.
        """
        return [(position, position + 1, len(example.words)) for position, example in enumerate(document.examples)]

    def inputs(
        self, groups: Sequence[Sequence[Example]], generators: Sequence[Generator] | None = None
    ) -> dict[str, Tensor]:
        """Return the tensors of a batch, among them ``mask (S, W)``.

        Args:
            groups: Groups of :meth:`plan`; their examples in order are the batch.
            generators: Random generators for data augmentation, one per example; None outside training.
        """
        raise NotImplementedError

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoding:
        """Return the encoding with words ``(S, W, width)``."""
        raise NotImplementedError

    def layers(self) -> list[nn.Module]:
        """Return the layers bottom first, for freezing and for learning rates by depth."""
        return [self]

    def asset_files(self) -> dict[str, bytes]:
        """Return the files from which ``build`` can restore the encoder without downloads."""
        return {}

    def axis_labels(self) -> dict[str, AxisLabels]:
        """Return the names of tensor rows, by tensor; a warm start copies rows of the same name."""
        return {}

    def input_warnings(self, document: Document) -> Counter[str]:
        """Return the number of words that are truncated or replaced, by reason (see :mod:`ner.data.notices`)."""
        return Counter()


class Context(Protocol):
    """Module between encoder and decoder."""

    width: int
    """``H`` of the result."""

    def forward(self, encoding: Encoding) -> Encoding:
        """Return contextualized words; ``pooled`` is a vector of the layer itself, or None."""
        ...


class Decoder(nn.Module):
    """Module from vectors to annotations.

    Predictions are computed on the device and converted on the CPU, with a single transfer in between.

    Attributes:
        backend: Backend of the CRF kernels, or None if it uses none.
        single_label: True if it predicts exactly one label per example.
    """

    backend: Any = None
    single_label: bool = False

    def axis_labels(self) -> dict[str, AxisLabels]:
        """Return the names of tensor rows (tags, labels), by tensor; a warm start copies rows of the same name."""
        return {}

    def targets(self, examples: Sequence[Example]) -> tuple[dict[str, Tensor], dict[str, int]]:
        """Return gold tensors of a batch, and for each loss the number of words or examples in its sum."""
        raise NotImplementedError

    def forward(self, encoding: Any) -> Scores:
        """Return named tensors from which ``loss`` and ``predict`` are computed; the argument is an ``Encoding``."""
        raise NotImplementedError

    def loss(self, scores: Scores, targets: Mapping[str, Tensor], mask: Tensor) -> Loss:
        """Return the sums of the losses; the caller divides by the counts of ``targets``."""
        raise NotImplementedError

    def predict(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> dict[str, Tensor]:
        """Return predictions as tensors on the device, without a synchronization.

        Generative decoders return an empty dictionary during training.
        """
        raise NotImplementedError

    def annotations(
        self, predicted: Mapping[str, Tensor], mask: Tensor, probabilities: bool = False
    ) -> list[Annotation]:
        """Convert the result of :meth:`predict`, copied to the CPU as the mask is, to one annotation per example.

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
        """Return how much gold data cannot be predicted, by reason (see :mod:`ner.data.notices`)."""
        return Counter()


class GenerativeDecoder(Decoder):
    """Decoder that runs the encoder itself because it also encodes its own output; there is no context layer.

    Its ``plan``, ``inputs`` and ``input_warnings`` replace those of the encoder, and ``forward`` has the result of
    ``inputs`` as its argument. The encoder is a submodule of the model only, so that its weights are saved once.
    """

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.bind_encoder(encoder)

    def bind_encoder(self, encoder: Any) -> None:
        """Use this encoder from now on."""
        self._encoder = (encoder,)  # a tuple prevents registration as a submodule

    @property
    def encoder(self) -> Any:
        """The encoder in use."""
        return self._encoder[0]


class Format(Protocol):
    """A module of ``formats/``."""

    Config: type[ComponentConfig]
    output_extension: str
    """Suffix of the files that ``write`` creates."""
    probabilities: bool
    """True if ``write`` can store probabilities."""
    STORES: frozenset[str]
    """Outputs that ``write`` can store: ``tags``, ``labels``, ``answers`` (then ``read`` returns questions).
    Decoders with other outputs are rejected, see :mod:`ner.data.tasks`."""
    ROUND_TRIP: Literal["gold", "words", "none"] = "gold"
    """Parts of a written prediction that ``read`` returns as gold. Predictions may have keys of their own (``words``),
    or files another form (``none``)."""
    export: Callable[[str, Iterable[Document], Any], None] | None = None
    """Function that writes gold documents with the arguments of ``write``, so that ``read`` returns them unchanged;
    None if the format cannot store gold data."""

    @staticmethod
    def read(path: str, config: Any, word_split: Any, for_rewriting: bool = False) -> Iterator[Document]:
        """Yield the documents in order.

        Args:
            path: A file, or ``-`` for standard input.
            config: The ``Config`` of the format.
            word_split: Rule by which raw text is split into words.
            for_rewriting: Keep what ``write`` needs to reproduce the source.

        Raises:
            InputError: If the file cannot be read; the message contains file and line.
        """
        ...

    @staticmethod
    def write(path: str, documents: Iterable[Document], config: Any) -> None:
        """Write predicted documents; those read with ``for_rewriting`` keep everything else of their source."""
        ...

    @staticmethod
    def forbidden_characters(config: Any) -> dict[str, str]:
        """Return the characters that the labels of each output cannot contain, by key of ``STORES``."""
        return {}


class Metric(Protocol):
    """A module of ``metrics/``. Counts are integers, so they can be summed over batches and processes."""

    REQUIRES: frozenset[str]
    """Outputs of which the gold data must contain at least one: ``tags``, ``labels``, ``answers``."""

    @staticmethod
    def count(gold: Sequence[Example], predicted: Sequence[Example]) -> Counter[str]:
        """Count the examples of a batch (in training) or a single example (in evaluation)."""
        ...

    @staticmethod
    def scores(counts: Counter[str]) -> dict[str, Any]:
        """Return a nested dictionary of floats; empty counts result in zeros, never NaN."""
        ...

    @staticmethod
    def lines(scores: Mapping[str, Any]) -> list[str]:
        """Return log lines with one score each; the last one is the most important."""
        ...


class Callback(Protocol):
    """Receiver of the progress of a training, in the main process only.

    An exception of ``on_start`` ends the training. After a later one, the callback is left out with a warning.
    """

    def on_start(self, run: TrainingRun) -> None:
        """Receive the run before its first step, or before the first one after a resume."""
        ...

    def on_step(self, progress: Progress) -> None:
        """Receive the report of a step."""
        ...

    def on_epoch(self, progress: Progress) -> None:
        """Receive the report of an epoch, which is saved already."""
        ...

    def on_end(self, scores: Mapping[str, Any] | None) -> None:
        """Receive the final scores, see ``metrics.json``; None if the training was stopped before its end."""
        ...
