"""What a part must offer. A part is a file; its name in a configuration is the name of the file.

==============  =================================================================================================
``encoders/``   ``Config``, ``build(config, vocabs, windows, files=None) -> Encoder``
``context/``    ``Config``, ``build(config, width) -> Context``
``decoders/``   ``Config``, ``build(config, width, vocabs) -> Decoder``, or ``attach(config, encoder) -> Writer``;
                ``gives``, of ``tags``, ``labels``, ``answers``: what it learns and what it says
``formats/``    ``Config``, ``read(path, config, words, for_rewriting=False) -> Iterator[Document]``,
                ``write(path, documents, config)``, ``extension``, ``probabilities``, ``holds``; the path ``-`` is a
                pipe, and a format of several files may read and write a directory
``metrics/``    ``count(gold, predicted) -> Counter[str]``, ``scores(counts) -> nested dict of floats``,
                ``lines(scores) -> list[str]`` for the log, the last line being the most telling one,
                ``COLUMNS``, figures of ``history.csv`` by their common names, ``needs``
==============  =================================================================================================

``tests/test_contracts.py`` walks the folders and checks every file, so a new part is tested before it has a test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ner.config.base import ComponentConfig
from ner.types import Annotation, AxisLabels, Document, Encoding, Example, Loss, Scores

if TYPE_CHECKING:
    from numpy.random import Generator
    from torch import Tensor, nn


class Encoder(Protocol):
    """From examples to one vector per word. A module.

    An encoder decides how the examples of a document share its rows (``plan``), accepts any such groups as a batch
    (``inputs``) and hides pieces and windows from everything that follows (``forward``).
    """

    width: int

    def plan(self, document: Document, limit: int | None) -> list[tuple[int, int, int]]:
        """Groups of consecutive examples as ``(start, stop, cost)``: at most ``limit`` examples, cost in own units."""
        ...

    def inputs(
        self, groups: Sequence[Sequence[Example]], generators: Sequence[Generator] | None = None
    ) -> dict[str, Tensor]:
        """Tensors for a batch, ``mask`` ``(S, W)`` among them.

        Args:
            groups: As planned; the examples of the batch in order.
            generators: The randomness of augmentation, one per example; None when not training.
        """
        ...

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoding:
        """``(S, W, width)`` and what belongs to it."""
        ...

    def layers(self) -> list[nn.Module]:
        """Bottom first: for freezing and for learning rates by depth."""
        ...

    def asset_files(self) -> dict[str, bytes]:
        """What must be saved so that ``build`` fetches nothing: handed back to it as ``files``."""
        ...

    def axis_labels(self) -> dict[str, AxisLabels]:
        """Tensors by name whose rows stand for strings: what a model with another table takes over from this one."""
        ...

    def input_warnings(self, document: Document) -> Counter[str]:
        """How many words are read in an unusual way, by reason (a phrase such as ``words without a piece``)."""
        ...


class Context(Protocol):
    """A layer between encoder and decoder. A module."""

    width: int

    def forward(self, encoding: Encoding) -> Encoding:
        """Words with more context; ``summary`` is its own or None."""
        ...


class Decoder(Protocol):
    """From vectors to answers. A module; :class:`~ner.model.decoder.DecoderModule` has ``decode`` and ``coverage``."""

    def axis_labels(self) -> dict[str, AxisLabels]:
        """Tensors by name whose rows stand for tags: what a model with other labels takes over from this one."""
        ...

    def distributions(self) -> dict[str, tuple[str, float]]:
        """Tensors of ``Scores`` whose last dimension is a distribution -> part of the loss, weight: for R-Drop."""
        ...

    def targets(self, examples: Sequence[Example]) -> tuple[dict[str, Tensor], dict[str, int]]:
        """Gold tensors of a batch, and for each part of the loss over how many words or examples it is summed."""
        ...

    def forward(self, encoding: Encoding) -> Scores:
        """Named tensors; enough for ``loss`` and ``decode``."""
        ...

    def loss(self, scores: Scores, targets: Mapping[str, Tensor], mask: Tensor) -> Loss:
        """Sums by part; the caller divides by the counts."""
        ...

    def predict(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> dict[str, Tensor]:
        """Answers as tensors on the device; nothing waits for a GPU. No tensors where a decoder says nothing."""
        ...

    def annotations(
        self, predicted: Mapping[str, Tensor], mask: Tensor, probabilities: bool = False
    ) -> list[Annotation]:
        """The answers of ``predict``, copied to the CPU, one per example."""
        ...

    def input_warnings(self, document: Document) -> Counter[str]:
        """How much gold cannot be given, by reason."""
        ...

    def decode(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> list[Annotation]:
        """One answer per example; ``probabilities`` gives each part of it a score between 0 and 1."""
        ...


class Writer(Protocol):
    """A decoder that runs the encoder itself, as it also reads what it has said so far. A module.

    It plans and reads examples in place of the encoder (``plan``, ``inputs``, ``coverage``, see :class:`Encoder`), and
    its ``axes``, ``targets`` and ``loss`` are those of a :class:`Decoder`. No context can stand before it.
    """

    def use(self, encoder: Any) -> None:
        """Run this encoder from now on; it stays a module of the model alone, so its weights are saved once."""
        ...

    def forward(self, inputs: Mapping[str, Tensor]) -> Scores:
        """Named tensors, a row for each example; enough for ``loss`` and ``decode``."""
        ...

    def decode(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> list[Annotation]:
        """One answer per example; none at all while it is trained, as it would have to search for them."""
        ...


class Format(Protocol):
    """A module of ``formats/``."""

    Config: type[ComponentConfig]
    extension: str
    """Of the files that ``write`` makes."""
    probabilities: bool
    """Whether ``write`` has a place for them."""
    holds: frozenset[str]
    """Of ``tags``, ``labels``, ``answers``: what ``write`` has a place for, and for answers, that ``read`` finds the
    questions. A model that gives anything else is refused, see :mod:`ner.data.tasks`."""

    @staticmethod
    def read(path: str, config: Any, words: Any, for_rewriting: bool = False) -> Iterator[Document]:
        """Documents in order; ``words`` says how raw text is split, ``for_rewriting`` retains what ``write`` needs."""
        ...

    @staticmethod
    def write(path: str, documents: Iterable[Document], config: Any) -> None:
        """Predicted documents; those read with ``for_rewriting`` are written as they stood, with the prediction added."""
        ...


class Metric(Protocol):
    """A module of ``metrics/``: integers that add up; division comes last."""

    COLUMNS: dict[str, str]
    """accuracy, precision, recall, f1 or weighted_f1 -> path of the figure below the metric that the notes call so."""
    needs: frozenset[str]
    """Of ``tags``, ``labels``, ``answers``: gold of any of them is something to count."""

    @staticmethod
    def count(gold: Sequence[Example], predicted: Sequence[Example]) -> Counter[str]:
        """Counts of what is scored at once: a batch in training, a single example in evaluation."""
        ...

    @staticmethod
    def scores(counts: Counter[str]) -> dict[str, Any]:
        """Floats from summed counts; no count at all gives zeros, never NaN."""
        ...

    @staticmethod
    def lines(scores: Mapping[str, Any]) -> list[str]:
        """What the log says of the scores, one figure a line."""
        ...
