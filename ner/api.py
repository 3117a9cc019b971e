"""The Python interface: ``ner.read``, ``ner.train`` and the runs that it returns."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ner.config import recipes
from ner.config.base import ComponentConfig, WordRule
from ner.config.load import load_config, read_raw
from ner.config.parts import load_component, parse_component
from ner.config.plugins import load_file
from ner.config.schema import RunConfig
from ner.contracts import Callback
from ner.data import objects, seen
from ner.data.dataset import IN_MEMORY, Dataset, suitable_format
from ner.data.detect import choose_split, detect
from ner.errors import InputError
from ner.evaluation.evaluator import Evaluator, slices_of
from ner.evaluation.scores import Scores
from ner.inference.tagger import Precision, Tagger
from ner.runs import directory as runs
from ner.runs import history
from ner.runs.history import read_history
from ner.runs.record import read_run
from ner.runtime.log import library_log
from ner.runtime.table import Table
from ner.training import trainer
from ner.types import SPLITS, Document, Example


def read(data: Any, format: str = "auto", *, word_split: WordRule | None = None, **options: Any) -> Dataset:
    """Read labelled data from a file or from Python objects; see :func:`ner.read`.

    Raises:
        InputError: If a file cannot be read, or an item is invalid; the message contains its place.
        TypeError: If the object is of no supported type, or an option is unknown.
    """
    if isinstance(data, Dataset):
        return data
    if isinstance(data, (str, Path)):
        path = str(data)
        detected = detect(path, format, options)
        rule = word_split or detected.word_split
        format_module = load_component("formats", detected.format.name)
        return Dataset(format_module.read(path, detected.format, rule or "space"), path, detected.format, rule)
    if format != "auto":
        raise TypeError(f"format={format!r} applies to files; found {type(data).__name__}")
    if isinstance(data, Document):
        return Dataset([data])
    if isinstance(data, Sequence) and data and all(isinstance(item, (Document, Example)) for item in data):
        return Dataset(item if isinstance(item, Document) else Document([item], str(n)) for n, item in enumerate(data))
    scheme = options.pop("scheme", "auto")
    columns = objects.Columns(**options)
    rows = list(data) if isinstance(data, Iterator) else data
    if word_split is not None:
        return Dataset(objects.documents(rows, columns, scheme, word_split), word_split=word_split)
    documents, rule = choose_split(partial(objects.documents, rows, columns, scheme))
    return Dataset(documents, word_split=rule)


KEEP_EPOCH = "training.keep_epoch"
"""Key of the epoch that is kept."""


def train(
    config: str | Path | RunConfig,
    train: Any = None,
    valid: Any = None,
    test: Any = None,
    run: str | Path | None = None,
    *,
    init: str | Path | None = None,
    resume: bool = False,
    verbose: bool = False,
    plugins: Iterable[str | Path] = (),
    callbacks: Sequence[Callback] = (),
    settings: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> Run:
    """Train a model; see :func:`ner.train`.

    Raises:
        InputError: If data, configuration or directory cannot be used.
        NonFiniteLossError: If the loss is not finite.
        KeyboardInterrupt: If the training was interrupted; its state is saved.
    """
    for path in plugins:
        load_file(path)
    data_by_split = {split: data for split, data in zip(SPLITS, (train, valid, test), strict=True) if data is not None}
    data_settings, documents = _data_settings(data_by_split, read_raw(config))
    if "train" in data_by_split:  # the other files of a recipe belong to its own training file
        data_settings = {**{f"data.{split}": None for split in SPLITS}, **data_settings}
    changes = {**(settings or {}), **overrides}
    keeps_last = "train" in data_by_split and valid is None and not {"keep_epoch", KEEP_EPOCH} & changes.keys()
    if keeps_last:
        data_settings[KEEP_EPOCH] = "last"
    resolved_config, notes = load_config(config, settings={**data_settings, **changes})
    if keeps_last:
        notes = [*notes, "no validation data: the last epoch is kept"]

    def choose_directory() -> Path:
        if run is None:
            name = "python" if isinstance(config, RunConfig) else str(recipes.find(config))
            return runs.create_timed(runs.folder_for(name))
        path = Path(run)
        if not (resume and (path / runs.CONFIG).exists()):
            runs.check_unused(path)
        return path

    call_arguments = [
        repr(config if not isinstance(config, RunConfig) else "RunConfig"),
        *(f"{split}=..." for split in data_by_split),
    ]
    call_arguments += [f"{key}={value!r}" for key, value in overrides.items()]
    options = trainer.TrainingOptions(
        choose_directory,
        resume,
        None if init is None else Path(init),
        notes=notes,
        command=f"ner.train({', '.join(call_arguments + ([f'settings={dict(settings)!r}'] if settings else []))})",
        documents=documents,
        start_log=partial(library_log, verbose=verbose),
        callbacks=callbacks,
    )
    training = trainer.train(resolved_config, options)
    if training.exit_code:
        resume_call = f"ner.train(..., run={str(training.directory)!r}, resume=True)"
        raise KeyboardInterrupt(f"the training was stopped between two steps; continue with {resume_call}")
    return Run(training.directory, documents)


class _Source(NamedTuple):
    """Data of a split: a file with its format, or documents in memory."""

    path: str
    format: ComponentConfig | None
    word_split: WordRule | None
    documents: list[Document]


def _source(data: Any, own_format: Any) -> _Source:
    """Return the source of a path, a data set or another object; ``own_format`` of a recipe applies to paths.

    A data set that still equals its file is trained from the file, so that its run is that of the command line.
    """
    if isinstance(data, (str, Path)):
        if own_format is not None:
            return _Source(str(data), parse_component("formats", own_format), None, [])
        detected = detect(str(data))
        return _Source(str(data), detected.format, detected.word_split, [])
    dataset = read(data)
    if dataset.format is not None:
        format_module = load_component("formats", dataset.format.name)
        if list(format_module.read(dataset.source, dataset.format, dataset.word_split or "space")) == dataset.documents:
            return _Source(dataset.source, dataset.format, dataset.word_split, [])
    return _Source(IN_MEMORY, None, dataset.word_split, dataset.documents)


def _data_settings(
    data_by_split: Mapping[str, Any], raw: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, list[Document]]]:
    """Return the settings of the section ``data`` for data from Python, and the documents that are in no file."""
    if not data_by_split:
        return {}, {}
    section = raw.get("data")
    own_format = section.get("format") if isinstance(section, Mapping) else None
    sources = {split: _source(data, own_format) for split, data in data_by_split.items()}
    chosen = next((source.format for source in sources.values() if source.format is not None), None)
    in_memory = [document for source in sources.values() for document in source.documents]
    if in_memory:
        suited = suitable_format(in_memory)
        chosen = chosen if chosen is not None and chosen.name == suited.name else suited
    assert chosen is not None, "every source is a file or in memory"
    settings: dict[str, Any] = {"data.format": chosen.model_dump()}
    rule = next((source.word_split for source in sources.values() if source.word_split is not None), None)
    if rule is not None:
        settings["data.word_split"] = rule
    documents = {}
    for split, source in sources.items():
        if source.format is not None and source.format != chosen:  # a file in another format than the training file
            format_module = load_component("formats", source.format.name)
            reread = list(format_module.read(source.path, source.format, rule or "space"))
            source = _Source(IN_MEMORY, None, rule, reread)
        settings[f"data.{split}"] = source.path
        if source.format is None:
            documents[split] = source.documents
    return settings, documents


def _cell(column: str, value: float) -> int | float:
    """Return a cell of a history; columns of counts hold whole numbers."""
    counts = ("epoch", "step", "sentences", "batch_size", "best", "gold", "predicted", "correct")
    return int(value) if column.rpartition(".")[2] in counts else value


class Run:
    """A run directory: a trained model with its configuration, history and scores.

    Args:
        path: The directory.
        documents: Documents by split that are in no file, for :meth:`evaluate`.

    Raises:
        InputError: If the directory does not contain a run.
    """

    def __init__(self, path: str | Path, documents: Mapping[str, Sequence[Document]] | None = None) -> None:
        self.path = Path(path)
        self.config = runs.read_config(self.path)
        self._documents = documents or {}
        self._tagger: Tagger | None = None

    def __repr__(self) -> str:
        record = read_run(self.path)
        split = record.scored_split
        entity_scores = record.metrics[split].get("entity") if split else None
        score = f", {split} entity F1 {entity_scores['micro']['f1']:.4f}" if entity_scores else ""
        return f"<Run {self.path}: {len(record.history)} epochs{score}>"

    @property
    def history(self) -> Table:
        """Losses, scores and learning rates, one row per epoch."""
        path = self.path / runs.HISTORY
        rows = read_history(path) if path.is_file() else []
        printed = {"epoch", *history.SUMMARY, "batch_size", "step", "best"}
        return Table(({name: _cell(name, value) for name, value in row.items()} for row in rows), printed=printed)

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Contents of ``metrics.json``: the scores of all splits, seconds and versions; empty if it is unfinished."""
        return read_run(self.path).metrics

    def tagger(self, device: str = "auto", precision: Precision = "run") -> Tagger:
        """Load the tagger of the kept epoch.

        Raises:
            InputError: If the directory does not contain a complete model.
        """
        return Tagger.load(self.path, device, precision)

    def evaluate(
        self,
        data: Any = None,
        split: str = "test",
        *,
        by: Sequence[str] = (),
        unseen: bool = False,
        mode: str = "conlleval",
        slices: Sequence[str] | None = None,
        intervals: bool = False,
    ) -> Scores:
        """Score the model.

        Args:
            data: Data as for :func:`ner.read`; a path is read in the format of the run. By default, a split of the run.
            split: ``train``, ``valid`` or ``test``; with ``data``, only a name for the scores.
            by: Metadata fields; each of their values is also scored separately.
            unseen: Score only the sentences that the model was not trained on.
            mode: Rules by which entities are read from invalid tags: ``conlleval``, ``strict`` or ``discard``.
            slices: Names of further entity scores, or ``all``; by default those of the configuration.
            intervals: Add the bounds of bootstrap intervals, as the columns ``f1_low`` and ``f1_high``.

        Raises:
            InputError: If the data cannot be read or contain nothing to score.
        """
        if self._tagger is None:
            self._tagger = self.tagger()
        documents, source = self._to_score(data, split)
        trained_on = seen.read(self.path) if data is not None or split != "train" or unseen else None
        if unseen and trained_on is None:
            raise InputError(f"{self.path}: has no record of its training sentences, so unseen ones are unknown")
        evaluator = Evaluator(
            self.config.metrics,
            self._tagger.model,
            tuple(by),
            trained_on,
            unseen,
            mode=mode,
            slices=slices_of(self.config, slices),
            intervals=intervals,
        )
        deque(evaluator.score(self._tagger.annotate(documents, loss=True)), maxlen=0)
        evaluator.check(source, by)
        if unseen and evaluator.unseen is not None:
            return Scores(evaluator.unseen.result(), f"{split} unseen")
        return Scores(evaluator.result(), split, evaluator.warnings(split))

    def _to_score(self, data: Any, split: str) -> tuple[Iterable[Document], str]:
        """Return the documents to score and a name for messages."""
        assert self._tagger is not None, "loaded before"
        if data is None:
            if split not in SPLITS:
                raise InputError(f"split={split!r}: expected one of {', '.join(SPLITS)}")
            if split in self._documents:
                return self._documents[split], split
            data = getattr(self.config.data, split)
            if data is None or data == IN_MEMORY:
                problem = "were in memory" if data else "do not exist"
                raise InputError(f"config.data.{split}: the documents of the run {problem}; pass data=")
        if isinstance(data, (str, Path)):
            options = self.config.data
            format_module = load_component("formats", options.format.name)
            return format_module.read(str(data), options.format, options.word_rule), str(data)
        dataset = read(data)
        return dataset, dataset.source or split
