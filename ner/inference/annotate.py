"""Documents in, annotated documents out: one path for evaluation, prediction and the Python interface."""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, overload

import torch

from ner.config.parts import load_component
from ner.config.schema import RunConfig
from ner.config.training import BatchConfig
from ner.data import batching, tasks
from ner.data.prefetch import prefetch
from ner.data.question_answering import question_example
from ner.data.words import split_words
from ner.errors import InputError, NonFiniteLossError
from ner.model.kernels.chain import BadExampleError
from ner.model.model import Model, load
from ner.runtime.device import HostCopy, autocast, choose_device, choose_precision, has_bf16
from ner.runtime.distributed import World
from ner.types import Annotation, Batch, Document, Example, Span

CHUNK = 2000
"""Examples that are sorted by length together; more documents are read only when these are done."""


@dataclass
class Chunk:
    """Some documents with what the model says of them.

    ``losses`` and ``counts`` are sums over the chunk by part of the loss.
    """

    gold: list[Document]
    predicted: list[Document]
    losses: dict[str, float] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


def annotate(
    model: Model,
    documents: Iterable[Document],
    batch: BatchConfig,
    device: Any,
    precision: Any = None,
    loss: bool = True,
    probabilities: bool = False,
    world: World | None = None,
) -> Iterator[Chunk]:
    """Annotated copies of documents, in order.

    Args:
        model: On ``device``.
        documents: Read lazily, in chunks.
        batch: Size of the batches; it changes nothing but speed and memory.
        device: Where to compute.
        precision: Dtype of autocast, or None.
        loss: Compute the loss of the gold answers too.
        probabilities: Give every span its probability.
        world: Processes that share the work; each of them gets everything.
    """
    training = model.training
    model.eval()
    try:
        for chunk in _chunks(documents):
            yield _annotate(model, chunk, batch, device, precision, loss, probabilities, world or World())
    finally:
        model.train(training)


def _chunks(documents: Iterable[Document]) -> Iterator[list[Document]]:
    chunk: list[Document] = []
    size = 0
    for document in documents:
        chunk.append(document)
        size += max(1, len(document.examples))
        if size >= CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


@contextmanager
def naming(examples: Sequence[Example], step: int | None = None) -> Iterator[None]:
    """Names the sentence when a decoder finds emissions that are not finite.

    Raises:
        NonFiniteLossError: Instead of the decoder's error.
    """
    try:
        yield
    except BadExampleError as error:
        raise NonFiniteLossError("what the model computes", step, [examples[error.position]]) from error


@torch.inference_mode()
def _annotate(
    model: Model,
    documents: list[Document],
    batch: BatchConfig,
    device: Any,
    precision: Any,
    loss: bool,
    probabilities: bool,
    world: World,
) -> Chunk:
    split = [model.split(document) for document in documents]
    groups = batching.group_documents(split, model.reader.plan)
    batches = batching.sorted_batches(groups, batch.unit, batch.units_at_once)

    def made(number: int) -> tuple[int, list[batching.Group], Batch]:
        chosen = [groups[position] for position in batches[number]]
        examples = [split[group.document].examples[group.start : group.stop] for group in chosen]
        return number, chosen, model.batch(examples, targets=loss)

    def read(number: int, tensors: Batch, mask: torch.Tensor, copy: HostCopy) -> None:
        """The answers of a batch, when the device has them."""
        host = copy.get()
        sums = {name.removeprefix("loss."): float(host[name]) for name in host if name.startswith("loss.")}
        for part, value in sums.items():
            if not math.isfinite(value):
                raise NonFiniteLossError(f"the loss of the model's {part}", None, tensors.examples)
        with naming(tensors.examples):
            annotations = said.pop(number, None) or model.decoder.annotations(host, mask)
        found[number] = _Answers(annotations, sums, tensors.counts)
        world.beat()

    mine: Sequence[int] = range(len(batches))
    dealt = world.size > 1 and world.deals
    found: dict[int, _Answers] = {}
    said: dict[int, list[Annotation]] = {}
    waiting: list[tuple[int, Batch, torch.Tensor, HostCopy]] = []
    for number, _, collated in prefetch(map(made, world.share(mine) if dealt else mine), batch.ahead):
        tensors = collated.to(device)
        with naming(tensors.examples), autocast(device, precision):
            losses, scores = model(tensors)
            if probabilities:
                said[number] = model.decoder.decode(scores, tensors.inputs["mask"], probabilities)
                predicted = {}
            else:
                predicted = model.decoder.predict(scores, tensors.inputs["mask"])
        named = {**predicted, **{f"loss.{part}": value for part, value in losses.items()}}
        waiting.append((number, collated, collated.inputs["mask"], HostCopy(named)))
        if len(waiting) > 1:  # a GPU computes the next batch while the answers of this one are read
            read(*waiting.pop(0))
    for last in waiting:
        read(*last)
    if dealt:  # everything to everybody, so that what follows does not depend on the number of processes
        for others in world.exchange([(number, answers.to_json()) for number, answers in found.items()]):
            found.update((number, _Answers.from_json(value)) for number, value in others)
    gold = documents
    if model.single is not None:
        gold = [replace(document, examples=model.marked(document.examples)) for document in documents]
    chunk = Chunk(gold if loss else documents, [])
    answers: list[list[Example | None]] = [[None] * len(document.examples) for document in split]
    for number, positions in enumerate(batches):
        for part, total in found[number].losses.items():
            chunk.losses[part] = chunk.losses.get(part, 0.0) + total
        chunk.counts.update(found[number].counts)
        annotated = iter(found[number].annotations)
        for group in (groups[position] for position in positions):
            for place in range(group.start, group.stop):
                example = split[group.document].examples[place]
                answers[group.document][place] = example.answered(next(annotated))
    for document, own in zip(documents, answers, strict=True):
        merged = model.units.merge(document.examples, [example for example in own if example is not None])
        chunk.predicted.append(replace(document, examples=merged))
    return chunk


@dataclass
class _Answers:
    """What a model says of a batch; processes tell it each other as JSON, which keeps floats as they are."""

    annotations: list[Annotation]
    losses: dict[str, float]
    counts: dict[str, int]

    def to_json(self) -> list[Any]:
        return [[asdict(annotation) for annotation in self.annotations], self.losses, self.counts]

    @classmethod
    def from_json(cls, value: list[Any]) -> _Answers:
        annotations = [
            Annotation(
                **{
                    **annotation,
                    "spans": [Span(**span) for span in annotation["spans"]],
                    "answers": [Span(**item) if isinstance(item, dict) else item for item in annotation["answers"]],
                }
            )
            for annotation in value[0]
        ]
        return cls(annotations, value[1], value[2])


@dataclass
class Evaluation:
    """Scores of a split.

    ``scores`` holds the result of each metric that has counted anything under its name; ``loss`` is the mean over
    what was counted, parts added; ``by`` has scores for the values of fields, where they were asked for.
    """

    loss: float
    sentences: int
    words: int
    scores: dict[str, Any]
    by: dict[str, dict[str, Evaluation]] = field(default_factory=dict)

    def to_json(self, split: str) -> dict[str, Any]:
        """Plain values, for people and programs that read them."""
        found = {"split": split, **self._counts(), "loss": self.loss, **self.scores}
        if self.by:
            found["by"] = {
                name: {value: {**part._counts(), **part.scores} for value, part in parts.items()}
                for name, parts in self.by.items()
            }
        return found

    def _counts(self) -> dict[str, int]:
        return {"sentences": self.sentences, "words": self.words}

    def lines(self, split: str) -> list[str]:
        """What the log says: a line for each value of a field, as a table, then one line per figure."""
        parts = [(f"{name} {value}", part) for name, values in self.by.items() for value, part in values.items()]
        width = max((len(name) for name, _ in parts), default=0)
        digits = max((len(str(part.sentences)) for _, part in parts), default=0)
        found = [f"{split} loss: {self.loss:.4f}"]
        for name, part in parts:
            shown = [load_component("metrics", metric).lines(scores)[-1] for metric, scores in part.scores.items()]
            text = "; ".join(shown) or "nothing to score"
            found.append(f"{split} {name:<{width}} ({part.sentences:>{digits}}): {text}")
        for name, scores in self.scores.items():
            found += [f"{split} {line}" for line in load_component("metrics", name).lines(scores)]
        return found


class Scorer:
    """Adds up counts; divides once.

    Args:
        metrics: Names of files in ``ner/evaluation/metrics``.
        by: Names of fields; examples are counted for each value of such a field, too. Of a list every item counts.
    """

    def __init__(self, metrics: Sequence[str], by: Sequence[str] = ()) -> None:
        self.metrics = {name: load_component("metrics", name) for name in metrics}
        self.by: dict[str, dict[str, Scorer]] = {name: {} for name in by}
        self.totals: dict[str, Counter[str]] = {name: Counter() for name in metrics}
        self.losses: dict[str, float] = {}
        self.counts: Counter[str] = Counter()
        self.sentences = self.words = 0

    def add(self, gold: Sequence[Example], predicted: Sequence[Example]) -> None:
        """Count examples that are scored at once."""
        for name, metric in self.metrics.items():
            self.totals[name].update(metric.count(gold, predicted))
        self.sentences += len(gold)
        self.words += sum(len(example.words) for example in gold)
        for name, scorers in self.by.items():
            for left, right in zip(gold, predicted, strict=True):
                for value in _values(left, name):
                    scorers.setdefault(value, Scorer(list(self.metrics))).add([left], [right])

    def add_loss(self, losses: Mapping[str, float], counts: Mapping[str, int]) -> None:
        """Add sums of the loss, and what they are summed over."""
        for part, loss in losses.items():
            self.losses[part] = self.losses.get(part, 0.0) + loss
        self.counts.update(counts)

    def add_chunk(self, chunk: Chunk) -> None:
        """Count a chunk example by example, so that batches cannot change a score."""
        self.add_loss(chunk.losses, chunk.counts)
        for gold, predicted in zip(chunk.gold, chunk.predicted, strict=True):
            for left, right in zip(gold.examples, predicted.examples, strict=True):
                self.add([left], [right])

    def add_counts(self, other: Mapping[str, Any]) -> None:
        """Add what another scorer of the same metrics has counted, see :meth:`to_json`; losses are not added."""
        for name, totals in self.totals.items():
            totals.update(other["totals"][name])
        self.sentences += other["sentences"]
        self.words += other["words"]

    def to_json(self) -> dict[str, Any]:
        """Everything so far as plain values."""
        kept = {"totals": self.totals, "losses": self.losses, "counts": self.counts}
        return {**kept, "sentences": self.sentences, "words": self.words}

    @classmethod
    def from_json(cls, metrics: Sequence[str], value: Mapping[str, Any]) -> Scorer:
        """The reverse of :meth:`to_json`."""
        scorer = cls(metrics)
        scorer.add_counts(value)
        scorer.losses = dict(value["losses"])
        scorer.counts = Counter(value["counts"])
        return scorer

    def together(self, world: World) -> Scorer:
        """What all processes have counted; the losses are already those of all."""
        mine, *others = world.exchange(self.to_json())
        scorer = Scorer.from_json(list(self.metrics), mine)
        for other in others:
            scorer.add_counts(other)
        return scorer

    def result(self) -> Evaluation:
        """Scores of everything so far; of a metric that has counted nothing there are none."""
        loss = sum(total / max(1, self.counts[part]) for part, total in self.losses.items())
        scores = {name: metric.scores(self.totals[name]) for name, metric in self.metrics.items() if self.totals[name]}
        by = {
            name: {value: scorers[value].result() for value in sorted(scorers, key=_natural)}
            for name, scorers in self.by.items()
        }
        return Evaluation(float(loss), self.sentences, self.words, scores, by)


def _natural(value: str) -> tuple[Any, ...]:
    """Sorts numbers as numbers, before everything else; in other values, runs of digits by their number."""
    if re.fullmatch("[+-]?[0-9]+([.][0-9]+)?", value):
        return (0, float(value), value)
    parts = re.split("([0-9]+)", value)  # text and digits in turn
    parts[1::2] = [digits.lstrip("0") for digits in parts[1::2]]
    return (1, [(len(part) if odd % 2 else 0, part) for odd, part in enumerate(parts)], value)


def _values(example: Example, name: str) -> list[str]:
    """What the field of an example says; nothing where it has no such field."""
    value = example.fields.get(name, [])
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


Precision = Literal["run", "auto", "float32", "bf16", "fp16", "int8"]


def quantized(module: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """A copy whose linear layers and LSTMs are in 8 bits: weights rounded once, inputs as they come.

    Raises:
        InputError: If this is not a CPU, or this torch cannot do it.
    """
    if device.type != "cpu":
        raise InputError(f"precision int8 is for CPUs; on {device.type} choose bf16 or float32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch moves its quantisation to another package, which is not needed yet
        try:
            from torch.ao.quantization import quantize_dynamic
        except ImportError:
            raise InputError(f"torch {torch.__version__} has no dynamic quantisation; choose bf16 or float32") from None
        found: torch.nn.Module = quantize_dynamic(module, {torch.nn.Linear, torch.nn.LSTM}, dtype=torch.qint8)
    return found


def _round_weights(model: Model, precision: torch.dtype | None) -> None:
    """Round the weights of matrix products once; autocast would do the same again for every batch."""
    if precision is None:
        return
    for part in (model.encoder, model.context):
        for module in part.modules():
            if isinstance(module, torch.nn.Linear):
                module.to(precision)


class Tagger:
    """A trained model that answers.

    Args:
        model: In evaluation mode; it may be changed, as ``precision`` says.
        config: Of its run.
        device: ``auto``, ``cpu``, ``cuda`` ...
        precision: ``run`` as in training; ``float32``, ``bf16``, ``fp16``; or ``int8``, on CPUs: weights of matrix
            products are rounded to 8 bits, their inputs as they come.

    Raises:
        InputError: If the device cannot compute like that.
    """

    def __init__(self, model: Model, config: RunConfig, device: str = "auto", precision: Precision = "run") -> None:
        self.config = config
        self.device = choose_device(device)
        if precision == "run":
            precision = config.training.precision  # float32 where that of a GPU cannot be had
            on_cpu = self.device.type == "cpu"
            if on_cpu and (precision == "fp16" or (precision == "bf16" and not has_bf16(self.device))):
                precision = "float32"
        self.model = model.to(self.device)
        if precision == "int8":
            self.precision = None
            self.model.encoder = quantized(self.model.encoder, self.device)
            self.model.context = quantized(self.model.context, self.device)
            if self.model.reader is self.model.decoder:
                self.model.decoder.use(self.model.encoder)
        else:
            self.precision = choose_precision(precision, self.device)
            _round_weights(self.model, self.precision)

    @classmethod
    def load(cls, directory: str | Path, device: str = "auto", precision: Precision = "run") -> Tagger:
        """From a run directory; fetches nothing."""
        return cls(*load(directory), device=device, precision=precision)

    def annotate(
        self,
        documents: Iterable[Document],
        loss: bool = False,
        probabilities: bool = False,
        world: World | None = None,
    ) -> Iterator[Chunk]:
        """Annotated documents in chunks, read lazily; see :func:`annotate`."""
        config = self.config.batch
        batch = config if config.size != "auto" else config.model_copy(update={"size": 32})
        return annotate(self.model, documents, batch, self.device, self.precision, loss, probabilities, world)

    @overload
    def tag(self, text: str | list[str] | Document, probabilities: bool = False) -> Document: ...

    @overload
    def tag(self, text: list[Document] | list[list[str]], probabilities: bool = False) -> list[Document]: ...

    def tag(self, text: Any, probabilities: bool = False) -> Any:
        """Annotated documents.

        Args:
            text: A ``str`` is raw text, split as the model's ``data.words`` says, and the answer has character
                offsets; a list of ``str`` is one sentence in words; a :class:`~ner.types.Document` is itself. A list
                of sentences or of documents gives a list.
            probabilities: Give every span its probability, in ``Span.score``.

        Raises:
            TypeError: If it is none of these, or no Document though the model answers questions.
        """
        if not isinstance(text, (str, Document, Sequence)):
            raise TypeError(f"expected a text, a list of words or a Document, found {type(text).__name__}")
        single = isinstance(text, (str, Document)) or (len(text) > 0 and all(isinstance(word, str) for word in text))
        items: Iterable[Any] = [text] if single else text  # type: ignore[assignment]
        documents = [self._document(item) for item in items]
        found = [
            document for chunk in self.annotate(documents, probabilities=probabilities) for document in chunk.predicted
        ]
        return found[0] if single else found

    @property
    def answers(self) -> bool:
        """Whether the model answers questions, see :meth:`answer`; others are only asked to :meth:`tag`."""
        return "answers" in tasks.gives(self.config.decoder.name)

    def answer(self, question: str, passage: str, history: Sequence[str] = ()) -> Example:
        """What the model answers to a question about a passage.

        Args:
            question: Raw text, split as the model's ``data.words`` says; so are the others.
            passage: What is asked about.
            history: Earlier questions and answers, oldest first, as they stood before the questions it has learned.

        Returns:
            ``answers``, best first; ``labels`` says of what kind the first is (``span``, ``yes``, ``no``,
            ``unknown``); ``scores`` has the probabilities, and ``spans`` the words of an answer in the passage;
            ``remarks`` say what was not read of question and passage.

        Raises:
            TypeError: If the model answers no questions, or something is no text, or no list of texts.
        """
        if not self.answers:
            decoder = self.config.decoder.name
            raise TypeError(f"expected a model that answers questions, found one with the decoder {decoder}; use tag")
        if isinstance(history, str):
            raise TypeError("expected a list of earlier questions and answers as history, found a single text")
        for name, text in (
            ("question", question),
            ("passage", passage),
            *(("turn of history", turn) for turn in history),
        ):
            if not isinstance(text, str):
                raise TypeError(f"expected a text as {name}, found {type(text).__name__}")
        example = question_example([*history, question], passage, self.config.data.words)
        document = Document([example], scheme=self.model.vocabs.scheme)
        answered = self.tag(document, probabilities=True).examples[0]
        remarks = [f"{count} {reason}" for reason, count in sorted(self.model.coverage(document).items())]
        return replace(answered, remarks=remarks)

    def _document(self, item: Any) -> Document:
        if isinstance(item, Document):
            return item
        if self.answers:
            raise TypeError("expected a question, which a text alone is not; use answer(question, passage)")
        scheme = self.model.vocabs.scheme
        if isinstance(item, str):
            words, offsets = split_words(item, self.config.data.words)
            return Document([Example(words, text=item, offsets=offsets)], scheme=scheme)
        if isinstance(item, Sequence) and all(isinstance(word, str) for word in item):
            return Document([Example(list(item))], scheme=scheme)
        raise TypeError(f"expected a text, a list of words or a Document, found {type(item).__name__}")
