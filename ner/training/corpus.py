"""The documents of a run by split, in memory or, for a large training file, as memory-mapped arrays."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ner.config.parts import load_component
from ner.config.schema import RunConfig
from ner.config.training import BatchConfig
from ner.data import batching, seen
from ner.data.statistics import DocumentStatistics
from ner.data.store import cache, reader
from ner.data.tags import PLAIN, flatten
from ner.errors import InputError
from ner.model.model import Model
from ner.runtime import manifest
from ner.runtime.distributed import ProcessGroup
from ner.training import loader
from ner.types import SPLITS, Document

LARGE = 200_000_000
"""Bytes of a training file from which on it is kept as memory-mapped arrays."""


class Corpus:
    """See the file.

    Args:
        config: Of the run.
        process_group: Processes of the training; the first one reads what is kept for all.
        say: For the log.

    Attributes:
        documents: By split; those of files that the configuration does not name are empty.

    Raises:
        InputError: If a file cannot be read, or they are of different kinds.
    """

    def __init__(self, config: RunConfig, process_group: ProcessGroup, say: Callable[[str], None]) -> None:
        self.config, self.process_group = config, process_group
        self.documents: dict[str, Sequence[Document]] = {}
        form = load_component("formats", config.data.format.name)
        options = config.data.format, config.data.words
        for split in SPLITS:
            path = getattr(config.data, split)
            folder = self._store_folder(path) if split == "train" else None
            if folder is None:
                self.documents[split] = list(form.read(path, *options, for_rewriting=split == "test")) if path else []
                continue
            key = {"path": path, "format": options[0].model_dump(mode="json"), "words": options[1]}
            with self._first_alone():
                self.documents[split] = cache.cached(Path(path), key, partial(form.read, path, *options), folder)
            say(f"{split}: kept as memory-mapped arrays in {folder}")
        _check_kinds(self.documents)

    @property
    def train(self) -> Sequence[Document]:
        """To learn from."""
        return self.documents["train"]

    def checksums(self) -> dict[str, str]:
        """SHA-256 of the files by split; a pipe has none."""
        paths = {split: getattr(self.config.data, split) for split in SPLITS}
        return {split: manifest.sha256(Path(path)) for split, path in paths.items() if path and path != "-"}

    def statistics(self, split: str, made: Model) -> dict[str, Any]:
        """How much there is of what in a split: sentences, words, labels, tags, classes, and what is unusual."""
        found = self.documents[split]
        if not isinstance(found, reader.Store):
            return _count(made, found)
        with self._first_alone():
            key = {**self._encoder_key(made), "single": made.single_label_at is not None}
            return cache.saved_values(found, "counts", key, lambda: _count(made, found))

    def hashes(self) -> np.ndarray:
        """Of the sentences to learn from, see :mod:`ner.data.seen`."""
        learned = self.train
        if not isinstance(learned, reader.Store):
            return seen.hashes(learned)

        def make() -> np.ndarray:
            return seen.hashes(learned).view("<i8")[:, None]

        with self._first_alone():
            table = cache.saved_table(learned, "hashes", 1, "q", {}, make)
        return np.ascontiguousarray(table[:, 0]).view("<u8")

    def groups(self, made: Model, batch: BatchConfig) -> batching.GroupTable:
        """Groups to learn from; of a training file in a store made once for each encoder and its windows."""
        learned = self.train
        if not isinstance(learned, reader.Store):
            return loader.group(made, learned, batch)
        key = {**self._encoder_key(made), "limit": loader.group_limit(batch)}
        with self._first_alone():
            table = cache.saved_table(learned, "plan", 6, "i", key, lambda: loader.group(made, learned, batch).table)
        return batching.GroupTable(table)

    def _encoder_key(self, made: Model) -> dict[str, Any]:
        """What decides how documents are read."""
        saved = hashlib.sha256(b"".join(made.encoder.asset_files().values())).hexdigest()
        sections = {"unit", "encoder", "windows"} | ({"decoder"} if made.input_maker is made.decoder else set())
        return {**self.config.model_dump(mode="json", include=sections), "files": saved}

    def _store_folder(self, path: str) -> Path | None:
        """Where a training file is kept in another form, if it is."""
        wanted = self.config.data.store
        if wanted != "auto" or path == "-":
            return Path(wanted) if wanted and path != "-" else None
        source = Path(path)
        large = source.exists() and sum(file.stat().st_size for file in manifest.files_in(source)) >= LARGE
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(cache, "ner-crf") if large else None

    @contextmanager
    def _first_alone(self) -> Iterator[None]:
        """The first process goes through the block before the others."""
        if not self.process_group.is_main:
            self.process_group.broadcast(None)
        yield
        if self.process_group.is_main:
            self.process_group.broadcast(True)


def _count(made: Model, documents: Sequence[Document]) -> dict[str, Any]:
    """See :meth:`Corpus.statistics`; one document after the other."""
    tally, coverage = DocumentStatistics(), Counter[str]()
    sentences = words = overlapping = 0
    for document in documents:
        tally.add(replace(document, examples=made.mark_unlabelled(document.examples)))
        for example in document.examples:
            sentences += 1
            words += len(example.words)
            if example.spans and not example.query_length:  # evidence may hold the answer
                overlapping += len(example.spans) - len(flatten(example.spans))
        coverage += made.input_warnings(document)
    found = {"sentences": sentences, "words": words, "overlapping": overlapping}
    return {**found, **vars(tally), "coverage": coverage}


def _check_kinds(documents: Mapping[str, Sequence[Document]]) -> None:
    """Plain tags in one file and entities in another cannot be scored against each other."""
    kinds = {split: found[0].scheme == PLAIN for split, found in documents.items() if found}
    for split, plain in kinds.items():
        if plain != kinds["train"]:
            names = {True: "plain tags", False: "entity tags"}
            raise InputError(
                f"{documents[split][0].source}: expected {names[not plain]} as in {documents['train'][0].source}, "
                f"found {names[plain]}; set data.format.scheme if that was recognised wrongly"
            )
