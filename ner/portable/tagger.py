"""Tagger of an export: the model of a run without torch and transformers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import chain, count
from pathlib import Path
from typing import Any, get_args

import numpy as np

from ner.config.base import WordRule, WordSplit
from ner.data import batching
from ner.data.batching import CHUNK
from ner.data.notices import Notice
from ner.data.prefetch import PAUSE, with_pauses
from ner.data.tags import PLAIN, TagSet, encode
from ner.data.vocab import Vocabs
from ner.data.word_splitter import WordSplitter
from ner.errors import InputError
from ner.inference.text_tagger import TextTagger
from ner.model.units import PieceUnits, WordUnits
from ner.portable import crf
from ner.portable.crf import Potentials
from ner.portable.description import GRAPH, LABELS, PARITY, POTENTIALS, WORDS, read_description
from ner.portable.inputs import Arrays, GraphInput, PieceGraphInput, Tokenizer, WordGraphInput, context_arrays
from ner.portable.offline import import_onnxruntime
from ner.runtime import manifest
from ner.runtime.json_files import MAX_ASSET_BYTES, read_bytes
from ner.types import (
    Alternative,
    AnnotatedChunk,
    Annotation,
    Coverage,
    Document,
    Example,
    Span,
    TagProbabilities,
    TagQuery,
)

DISABLED_OPTIMIZERS = ["SkipLayerNormFusion"]
"""Passes over the graph that make it slower: the fused operator of onnxruntime 1.32 takes four times as long on CPUs as
addition and normalization apart."""


class PortableTagger(TextTagger):
    """An exported model; the interface is that of :class:`ner.inference.tagger.Tagger`.

    Several threads may use one tagger.

    Args:
        directory: The export.
        threads: Threads of one call; the number of processors by default.

    Raises:
        InputError: If a file is missing, changed, or does not match the others.
    """

    def __init__(self, directory: str | Path, threads: int = 0) -> None:
        self.directory = Path(directory)
        names = manifest.verify(self.directory)
        self.description = read_description(self.directory)
        try:
            self._load(names, threads)
        except InputError as error:
            if str(self.directory) in str(error):
                raise
            raise InputError(f"{self.directory}: {error}") from error
        except ModuleNotFoundError:
            raise
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # tokenizers raise PanicException, which is no Exception
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(f"{self.directory}: not a valid export ({reason})") from error

    @classmethod
    def load(
        cls, directory: str | Path, device: str = "auto", precision: str = "run", verify: bool = False
    ) -> PortableTagger:
        """Load an export.

        Args:
            directory: The export.
            device: ``auto`` or ``cpu``.
            precision: ``run``; an export has the precision with which it was written.
            verify: Call :meth:`verify`.

        Raises:
            InputError: If the directory is not a complete export, or another device or precision is requested.
        """
        if device not in ("auto", "cpu"):
            raise InputError(f"{directory}: exports run only on the CPU, not on {device}; load the run instead")
        if precision not in ("run", "auto"):
            raise InputError(
                f"{directory}: an export has the precision with which it was written, found precision {precision}; use "
                "ner export --precision"
            )
        tagger = cls(directory)
        if verify:
            tagger.verify()
        return tagger

    def _load(self, names: list[str], threads: int) -> None:
        description = self.description
        for name in (GRAPH, LABELS, *((POTENTIALS,) if description.tags else ())):
            if name not in names:
                raise InputError(f"{self.directory / manifest.MANIFEST}: expected an entry {name}, found none")
        files = {
            name: read_bytes(self.directory / name, MAX_ASSET_BYTES)
            for name in names
            if name.startswith(("encoder/", "unit/"))
        }
        self.model_vocabs = Vocabs.from_bytes(read_bytes(self.directory / LABELS))
        self.splitter = (
            WordSplitter.from_bytes(read_bytes(self.directory / WORDS), self.directory / WORDS)
            if WORDS in names
            else None
        )
        self.inputs: dict[str, GraphInput] = {}
        for encoder in description.encoders:
            prefix = f"encoder/{encoder.key}/" if encoder.key else "encoder/"
            encoder_files = {name.removeprefix(prefix): data for name, data in files.items() if name.startswith(prefix)}
            self.inputs[encoder.key] = (
                WordGraphInput(encoder, encoder_files)
                if encoder.kind == "words"
                else PieceGraphInput(encoder, encoder_files)
            )
        piece_inputs = (entry for entry in self.inputs.values() if isinstance(entry, PieceGraphInput))
        self.batch_planner: GraphInput = next(piece_inputs, next(iter(self.inputs.values())))
        self.units = WordUnits()
        if description.unit is not None:
            self.units = PieceUnits(Tokenizer(files["unit/tokenizer.json"], description.unit), self.scheme)
        if description.tags is not None:
            plain = self.model_vocabs.plain
            self.tags = TagSet(self.model_vocabs.tags if plain else self.model_vocabs.labels, description.tags.scheme)
            self.best, self.distribution = _read_potentials(self.directory / POTENTIALS, len(self.tags))
        self.classes = sorted(self.model_vocabs.classes)
        self.session = _session(self.directory / GRAPH, threads)
        self.graph_inputs = {entry.name for entry in self.session.get_inputs()}
        expected = {*(["emissions"] if description.tags else []), *(["classes"] if description.classes else [])}
        actual = {entry.name for entry in self.session.get_outputs()}
        if actual != expected:
            raise InputError(f"{GRAPH}: expected the outputs {sorted(expected)}, found {sorted(actual)[:8]}")

    @property
    def scheme(self) -> str:
        """See :class:`TextTagger`."""
        return self.model_vocabs.scheme

    @property
    def vocabs(self) -> Vocabs:
        """See :class:`TextTagger`."""
        return self.model_vocabs

    @property
    def decoder_name(self) -> str:
        """See :class:`TextTagger`."""
        return self.description.decoder

    @property
    def outputs(self) -> frozenset[str]:
        """See :class:`TextTagger`."""
        kinds = {"tags": self.description.tags, "labels": self.description.classes}
        return frozenset(kind for kind, output in kinds.items() if output is not None)

    @cached_property
    def data(self) -> Any:
        """See :class:`TextTagger`."""
        from ner.config.data import DataConfig
        from ner.config.parts import validate

        try:
            return validate(DataConfig, self.description.data)
        except InputError as error:
            raise InputError(f"{self.directory}: data: {error}") from None

    @property
    def word_split(self) -> WordSplit:
        """See :class:`TextTagger`."""
        rule: Any = self.description.data.get("word_split")
        split: WordSplit = rule if rule in get_args(WordRule) else self.splitter or "space"
        return split

    def input_warnings(self, document: Document) -> Counter[str]:
        """See :class:`TextTagger`."""
        document = replace(document, examples=self.units.split(document.examples))
        return sum((entry.input_warnings(document) for entry in self.inputs.values()), Counter[str]())

    def annotate(
        self,
        documents: Iterable[Document],
        loss: bool = False,
        probabilities: bool = False,
        *,
        query: TagQuery | None = None,
        interactive: bool = False,
        **options: Any,
    ) -> Iterator[AnnotatedChunk]:
        """Yield annotated documents in chunks.

        Args:
            documents: Read lazily, in chunks of at least ``CHUNK`` examples.
            loss: Not supported, as no gold data are read.
            probabilities: Compute the probabilities of spans and labels.
            query: Alternatives (``n_best``); other probabilities are not supported.
            interactive: Read the documents in a thread, and end a chunk when their source pauses.
            options: Further options of :meth:`ner.inference.tagger.Tagger.annotate`, which an export does not have.

        Raises:
            InputError: If an unsupported option is requested, or the scores of the graph are not finite.
        """
        query = query or TagQuery()
        query_flags = {name: getattr(query, name) for name in ("tokens", "uncertainty", "gold")}
        unsupported = [name for name, value in {"loss": loss, **query_flags, **options}.items() if value]
        if unsupported:
            raise InputError(f"{self.directory}: an export does not compute {', '.join(unsupported)}; use the run")
        for chunk in batching.chunks(with_pauses(documents, PAUSE, CHUNK) if interactive else documents, CHUNK):
            yield self._annotate(chunk, probabilities, query.n_best)

    def _annotate(self, documents: list[Document], probabilities: bool, n_best: int) -> AnnotatedChunk:
        in_units = [replace(d, examples=self.units.split(d.examples), source_lines=None) for d in documents]
        examples = [example for document in in_units for example in document.examples]
        groups = batching.group_documents(in_units, self.batch_planner.plan)
        annotations: dict[int, Annotation] = {}
        windows = 0
        for batch in batching.sorted_batches(groups, self.description.measure, self.description.batch_size):
            ranges = batching.example_ranges(groups[batch])
            batch_groups = [[examples[number] for number in numbers] for numbers in ranges]
            batch_annotations, num_rows = self._decode(batch_groups, probabilities, n_best)
            windows += num_rows
            annotations.update(zip(chain.from_iterable(ranges), batch_annotations, strict=True))
        numbers = count()
        chunk = AnnotatedChunk(documents, [])
        words = [word for document in documents for example in document.examples for word in example.words]
        chunk.coverage = Coverage(
            sentences=len(examples),
            words=len(words),
            characters=sum(map(len, words)),
            windows=windows,
            without_piece=sum(self.input_warnings(document)[Notice.NO_PIECES] for document in documents),
        )
        for document, units in zip(documents, in_units, strict=True):
            predicted = [example.with_prediction(annotations[next(numbers)]) for example in units.examples]
            chunk.predicted.append(replace(document, examples=self.units.merge(document.examples, predicted)))
        return chunk

    def graph_arrays(self, groups: list[list[Example]]) -> Arrays:
        """Return the inputs of the graph for a batch: examples in units, in groups that are read together."""
        arrays: Arrays = {}
        for key, graph_input in self.inputs.items():
            for name, array in graph_input.arrays(groups).items():
                arrays[name if name == "mask" or not key else f"{key}.{name}"] = array
        mask = arrays["mask"]
        if not mask.size:  # a graph needs a column, and a piece that is read
            arrays["mask"] = mask = np.zeros((len(mask), 1), dtype=bool)
            shapes = dict.fromkeys(("positions", "words", "segment_positions"), mask.shape)
            shapes["bigram_ids"] = (*mask.shape, 2)
            shapes |= dict.fromkeys(("word_pieces", "piece_words", "piece_weights"), (1,))
            for name, array in arrays.items():
                if (base_name := name.rpartition(".")[2]) in shapes:
                    arrays[name] = np.zeros(shapes[base_name], dtype=array.dtype)
        return {**arrays, **(context_arrays(mask) if self.description.has_context else {})}

    def _decode(self, groups: list[list[Example]], probabilities: bool, n_best: int) -> tuple[list[Annotation], int]:
        """Return the annotation of each example of a batch, and the number of rows."""
        arrays = self.graph_arrays(groups)
        mask = arrays["mask"]
        outputs = self._run(arrays)
        lengths = mask.sum(1)
        annotations = [Annotation() for _ in range(len(mask))]
        if self.description.tags is not None:
            emissions = outputs["emissions"][:, : mask.shape[1]]
            if emissions.shape != (*mask.shape, len(self.tags)):
                raise InputError(
                    f"{self.directory / GRAPH}: scores of {emissions.shape}, expected {len(self.tags)} tags"
                )
            annotations = self._tagged(emissions, lengths, probabilities, n_best)
        if self.description.classes is not None:
            if outputs["classes"].shape[:2] != (len(mask), len(self.classes)):
                shape = outputs["classes"].shape
                raise InputError(f"{self.directory / GRAPH}: scores of {shape}, expected {len(self.classes)} classes")
            for annotation, scores in zip(annotations, outputs["classes"].astype(np.float64), strict=True):
                self._classify(annotation, scores, probabilities)
        row_counts = (len(array) for name, array in arrays.items() if name.rpartition(".")[2] == "pieces")
        return annotations, next(row_counts, len(mask))

    def _run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        names = [entry.name for entry in self.session.get_outputs()]
        feed = {name: arrays[name] for name in self.graph_inputs if name in arrays}
        if missing := self.graph_inputs - feed.keys():
            raise InputError(
                f"{self.directory / GRAPH}: the graph requires inputs that this version does not provide: "
                f"{sorted(missing)[:8]}"
            )
        try:
            return dict(zip(names, self.session.run(names, feed), strict=True))
        except MemoryError:
            raise
        except Exception as error:
            reason = str(error).splitlines()[0][:200]
            raise InputError(f"{self.directory / GRAPH}: the graph failed on this input ({reason})") from error

    def _tagged(self, emissions: np.ndarray, lengths: np.ndarray, probabilities: bool, n_best: int) -> list[Annotation]:
        paths = crf.best_paths(emissions, lengths, self.best)
        annotations = []
        for path, length in zip(paths, lengths.tolist(), strict=True):
            tags, spans, raw_tags = self.tags.decode_ids(path[:length].tolist())
            annotations.append(Annotation(tags=tags, spans=spans, raw_tags=raw_tags))
        if probabilities and self.tags.scheme != PLAIN:
            span_rows = [(row, span) for row, annotation in enumerate(annotations) for span in annotation.spans]
            span_scores = iter(self._probabilities(emissions, lengths, span_rows))
            for annotation in annotations:
                annotation.spans = [replace(span, score=next(span_scores)) for span in annotation.spans]
        if n_best:
            self._set_alternatives(annotations, emissions, lengths, paths, n_best)
        return annotations

    def _set_alternatives(
        self, annotations: list[Annotation], emissions: np.ndarray, lengths: np.ndarray, paths: np.ndarray, n_best: int
    ) -> None:
        """Set the probability of the predicted tags and the alternatives, see ``ner.model.tag_probabilities``."""
        assert self.description.tags is not None, "only tags have alternatives"
        emissions = emissions.astype(np.float64) / self.description.tags.temperature
        log_partition = crf.forward_backward(emissions, lengths, self.distribution).log_partition
        log_probabilities = crf.path_scores(emissions, lengths, self.distribution, paths) - log_partition
        best_paths, scores = crf.k_best_paths(emissions, lengths, self.distribution, n_best)
        probabilities = np.minimum(1, np.exp(scores - log_partition[:, None]))
        for row, annotation in enumerate(annotations):
            annotation.probabilities = TagProbabilities(float(log_probabilities[row]))
            for rank in np.flatnonzero(np.isfinite(scores[row])).tolist():
                tags, spans, _ = self.tags.decode_ids(best_paths[row, rank, : lengths[row]].tolist())
                annotation.probabilities.n_best.append(Alternative(tags, spans, float(probabilities[row, rank])))

    def _probabilities(self, emissions: np.ndarray, lengths: np.ndarray, spans: list[tuple[int, Span]]) -> list[float]:
        assert self.description.tags is not None, "only tags have spans"
        emissions = emissions.astype(np.float64) / self.description.tags.temperature
        if self.description.tags.independent:
            log_softmax = emissions - emissions.max(-1, keepdims=True)
            log_softmax -= np.log(np.exp(log_softmax).sum(-1, keepdims=True))
            probabilities = []
            for row, span in spans:
                names = encode([Span(0, span.end - span.start, span.label)], span.end - span.start, self.tags.scheme)
                ids = [self.tags.ids[name] for name in names]
                probabilities.append(float(np.exp(log_softmax[row, range(span.start, span.end), ids].sum())))
            return probabilities
        positions = [(row, span.start, span.end, self.tags.labels.index(span.label)) for row, span in spans]
        return crf.span_probabilities(emissions, lengths, self.distribution, positions, *self.tags.span_masks())

    def _classify(self, annotation: Annotation, scores: np.ndarray, probabilities: bool) -> None:
        assert self.description.classes is not None, "only classifiers have classes"
        if not np.isfinite(scores).all():
            raise InputError(f"{self.directory / GRAPH}: the scores are not finite; copy the export again")
        exponentials = np.exp(scores - scores.max(-1, keepdims=True))
        softmax = exponentials / exponentials.sum(-1, keepdims=True)
        multi_label = self.description.classes.multi_label
        class_probabilities = (softmax[:, 1] if multi_label else softmax).tolist()
        ranked = sorted(zip(self.classes, class_probabilities, strict=True), key=lambda pair: -pair[1])
        threshold = self.description.classes.threshold if multi_label else -1.0
        labels = [label for label, value in ranked if value > threshold]
        annotation.labels = labels if multi_label else labels[:1]
        annotation.scores = dict(ranked) if probabilities else {}

    def verify(self) -> None:
        """Tag the sentences of ``parity.jsonl`` and compare with the model in torch.

        Raises:
            InputError: If fewer sentences are equal, or a probability differs more, than at the time of the export.
        """
        equal, difference, total = self.compare()
        expected = self.description.parity
        min_equal = expected.equal if self.description.precision == "fp32" else expected.equal - 0.02
        if equal < min_equal * total or difference > 2 * expected.difference + 1e-4:
            raise InputError(
                f"{self.directory / PARITY}: expected {min_equal:.1%} equal sentences and probabilities within "
                f"{2 * expected.difference + 1e-4:.1e}, found {equal} of {total} and {difference:.1e}"
            )

    def compare(self) -> tuple[int, float, int]:
        """Return the number of equal sentences of ``parity.jsonl``, the largest difference and their number."""
        lines = read_bytes(self.directory / PARITY).decode().splitlines()
        try:
            records = [json.loads(line) for line in lines]
            documents = [Document([Example(list(map(str, record["words"])))], scheme=self.scheme) for record in records]
            examples = (
                [document.examples[0] for document in self.tag(documents, probabilities=True)] if documents else []
            )
            equal, difference = 0, 0.0
            for example, record in zip(examples, records, strict=True):
                actual = parity_record(example)
                same = all(_without_scores(actual[key]) == _without_scores(record[key]) for key in ("spans", "labels"))
                equal += same
                if same:
                    pairs = zip(
                        [*actual["spans"], *actual["labels"]], [*record["spans"], *record["labels"]], strict=True
                    )
                    difference = max([difference, *(abs(a[-1] - b[-1]) for a, b in pairs if a[-1] is not None)])
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            raise InputError(f"{self.directory / PARITY}: not a valid parity file ({error})") from None
        return equal, difference, len(records)


def parity_record(example: Example) -> dict[str, Any]:
    """Return the words, spans and labels of an example with their probabilities, as in ``parity.jsonl``."""
    spans = [[span.start, span.end, span.label, span.score] for span in example.spans]
    labels = [[label, example.scores.get(label)] for label in example.labels or []]
    return {"words": example.words, "tags": example.tags, "spans": spans, "labels": labels}


def _without_scores(values: list[list[Any]]) -> list[list[Any]]:
    return [value[:-1] for value in values]


def _read_potentials(path: Path, num_tags: int) -> tuple[Potentials, Potentials]:
    """Return the chains of the best path and of probabilities."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tables = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, OverflowError) as error:
        raise InputError(f"{path}: not a safetensors file ({error})") from None
    chains = []
    for chain_name in ("best", "distribution"):
        arrays = []
        for name, shape in (("first", (num_tags,)), ("transitions", (num_tags, num_tags)), ("last", (num_tags,))):
            table = tables.get(f"{chain_name}.{name}")
            if table is None or table.shape != shape or np.isnan(table).any() or (table == np.inf).any():
                raise InputError(f"{path}: expected numbers of shape {shape} for {chain_name}.{name}")
            arrays.append(table.astype(np.float64))
        chains.append(Potentials(*arrays))
    return chains[0], chains[1]


def _session(path: Path, threads: int) -> Any:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or _threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    onnxruntime.set_default_logger_severity(4)
    try:
        return onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=DISABLED_OPTIMIZERS
        )
    except Exception as error:
        raise InputError(
            f"{path}: not a graph that onnxruntime can run ({str(error).splitlines()[0][:200]})"
        ) from error


def _threads() -> int:
    """Return the number of threads in ``OMP_NUM_THREADS``, which torch obeys too, or 0 for all processors."""
    import os

    value = os.environ.get("OMP_NUM_THREADS", "")
    return int(value) if value.isdecimal() else 0
