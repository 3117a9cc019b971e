"""Documents of a run by split; a large training file is memory-mapped."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from ner.config.parts import load_component
from ner.config.schema import RunConfig
from ner.config.training import BatchConfig
from ner.data import batching, cache, seen
from ner.data.dataset import IN_MEMORY, digest
from ner.data.statistics import DocumentStatistics
from ner.data.store import Store
from ner.data.tags import PLAIN, flatten
from ner.data.vocab import Vocabs
from ner.data.word_splitter import WordSplitter
from ner.errors import InputError
from ner.model.model import Model
from ner.runtime import manifest, text_files
from ner.runtime.distributed import ProcessGroup
from ner.training import loader
from ner.types import SPLITS, Document

LARGE = 200_000_000
"""Size in bytes from which a training file is memory-mapped."""
MAX_LEARNED = 50_000
"""Sentences from which the splitting of raw text is learned, at most."""


class Corpus:
    """Documents of the train, valid and test files.

    Args:
        config: Configuration of the run.
        process_group: Processes of the training; the main process writes the caches.
        log_info: Writes a line to the log.
        given: Documents by split that are already in memory; their path in the configuration is ``<memory>``.

    Attributes:
        documents: By split; empty without a file.
        checksums: SHA-256 of the files by split, or of the documents in memory.

    Raises:
        InputError: If a file cannot be read, or the files mix plain tags and entity tags.
    """

    def __init__(
        self,
        config: RunConfig,
        process_group: ProcessGroup,
        log_info: Callable[[str], None],
        given: Mapping[str, Sequence[Document]] | None = None,
    ) -> None:
        self.config, self.process_group = config, process_group
        given = given or {}
        self.documents: dict[str, Sequence[Document]] = {}
        format_module = load_component("formats", config.data.format.name)
        options = config.data.format, config.data.word_rule
        paths = {split: path for split in SPLITS if (path := getattr(config.data, split))}
        for split, path in paths.items():
            if process_group.size > 1 and text_files.is_pipe(path):
                raise InputError(f"config.data.{split}: {path} is a pipe, which one process can read; expected a file")
        with text_files.spooled(paths.values()):
            for split in SPLITS:
                path = paths.get(split, "")
                if path == IN_MEMORY:
                    if split not in given:
                        raise InputError(
                            f"config.data.{split}: the documents of this run were in memory; pass them again to "
                            "ner.train, or choose a file"
                        )
                    self.documents[split] = given[split]
                    continue
                folder = self._store_folder(path) if split == "train" else None
                if folder is None:
                    rewrite = split == "test"
                    self.documents[split] = (
                        list(format_module.read(path, *options, for_rewriting=rewrite)) if path else []
                    )
                    continue
                key = {"path": path, "format": options[0].model_dump(mode="json"), "words": options[1]}
                with self._main_process_first():
                    self.documents[split] = cache.cached(
                        Path(path), key, partial(format_module.read, path, *options), folder
                    )
                log_info(f"{split}: memory-mapped in {folder}")
            self.checksums = {
                split: digest(given[split]) if path == IN_MEMORY else file_sha256(path) for split, path in paths.items()
            }
        _check_kinds(self.documents)

    @property
    def train(self) -> Sequence[Document]:
        """Training documents."""
        return self.documents["train"]

    def statistics(self, split: str, model: Model) -> dict[str, Any]:
        """Return the numbers of sentences, words, labels, tags and classes of a split, and its warnings."""
        documents = self.documents[split]

        def count() -> np.ndarray:
            return np.array(json.dumps(_count(model, documents), ensure_ascii=False))

        settings = {"single": model.single_label_at is not None, "counted": self.config.decoder.model_dump(mode="json")}
        found: dict[str, Any] = json.loads(self._derived(documents, "counts", count, model, **settings).item())
        return found

    def hashes(self) -> np.ndarray:
        """Return the hashes of the training sentences, see :mod:`ner.data.seen`."""
        return self._derived(self.train, "hashes", lambda: seen.hashes(self.train))

    def groups(self, model: Model, batch: BatchConfig) -> np.ndarray:
        """Return the groups of the training documents, cached for a store by encoder and windows."""
        settings = {"limit": loader.max_group_size(batch), "columns": batching.GROUP_DTYPE.names}
        make = partial(loader.group_documents, model, self.train, batch)
        return self._derived(self.train, "plan", make, model, **settings)

    def _derived(
        self,
        documents: Sequence[Document],
        kind: str,
        make: Callable[[], np.ndarray],
        model: Model | None = None,
        **settings: Any,
    ) -> np.ndarray:
        """Return an array computed from documents, saved in their store (if any) by the settings and the encoding."""
        if not isinstance(documents, Store):
            return make()
        if model is not None:
            assets = hashlib.sha256(b"".join(model.encoder.asset_files().values())).hexdigest()
            sections = {"unit", "encoder", "windows"} | ({"decoder"} if model.input_maker is model.decoder else set())
            settings |= {**self.config.model_dump(mode="json", include=sections), "files": assets}
        with self._main_process_first():
            return cache.derived(documents, kind, settings, make)

    def _store_folder(self, path: str) -> Path | None:
        """Return the folder of the memory-mapped copy of a training file, or None."""
        wanted = self.config.data.memmap_dir
        if not wanted or text_files.is_pipe(path):
            return None
        if wanted != "auto":
            return Path(wanted)
        if not os.path.exists(path) or sum(s.stat().st_size for s in manifest.files_in(Path(path))) < LARGE:
            return None
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "ner-crf")

    @contextmanager
    def _main_process_first(self) -> Iterator[None]:
        """Let the main process run the block before the others do."""
        if not self.process_group.is_main:
            self.process_group.broadcast(None)
        yield
        if self.process_group.is_main:
            self.process_group.broadcast(True)


def file_sha256(path: str) -> str:
    """Return the SHA-256 of a file, which may be compressed or a pipe, or of a directory."""
    if os.path.isdir(path):
        return manifest.sha256(Path(path))
    digest = hashlib.sha256()
    with text_files.open_bytes(path) as file:
        while block := file.read(text_files.BLOCK_SIZE):
            digest.update(block)
    return digest.hexdigest()


def learn_word_splitter(documents: Sequence[Document]) -> WordSplitter | None:
    """Return a splitter that is learned from the words of training documents; None if they come from raw text."""
    examples = (example for document in documents for example in document.examples)
    first = next(examples, None)
    if first is None or first.text is not None:
        return None
    return WordSplitter.learn(example.words for example in chain([first], islice(examples, MAX_LEARNED)))


def count_vocabs(documents: Sequence[Document]) -> Vocabs:
    """Return the vocabularies of training documents; a store has the counts."""
    scheme = documents[0].scheme
    if isinstance(documents, Store):
        return documents.vocabs(scheme)
    return Vocabs.from_examples((example for document in documents for example in document.examples), scheme)


def check_targets(model: Model, documents: Sequence[Document], source: str) -> None:
    """Check that a model can learn from all labels of training documents; ``source`` is their path.

    Raises:
        InputError: If an example has several labels and the decoder would learn only the first, or if no example has a
            target of the decoder, for example because no answer occurs in its passage.
    """
    if model.single_label_at is not None:
        for example in (example for document in documents for example in document.examples):
            if example.labels and len(example.labels) > 1:
                raise InputError(
                    f"{example.location}: expected one label, found {len(example.labels)} "
                    f"({', '.join(example.labels)}), as {model.single_label_at}.multi_label is false; set it to true, "
                    "or read one label per text (data.format.label_separator=null for tsv, data.format.intents=whole "
                    "for slot_filling)"
                )
    notices: Counter[str] = Counter()
    for document in documents:
        _, counts = model.decoder.targets(model.units.split(document.examples))
        if any(counts.values()):
            return
        notices.update(notice for example in document.examples for notice in example.warnings)
    reasons = ", ".join(f"{count} {notice}" for notice, count in sorted(notices.items()))
    raise InputError(
        f"{source}: no example contains a target of the decoder{f' ({reasons})' if reasons else ''}; "
        "see decoder and data.format"
    )


def _count(model: Model, documents: Sequence[Document]) -> dict[str, Any]:
    """Return the result of :meth:`Corpus.statistics`, from one pass over the documents."""
    statistics, warnings = DocumentStatistics(), Counter[str]()
    sentences = words = overlapping = 0
    for document in documents:
        statistics.add(replace(document, examples=model.mark_unlabelled(document.examples)))
        for example in document.examples:
            sentences += 1
            words += len(example.words)
            if example.spans and not example.query_length:  # the evidence of an answer may contain it
                overlapping += len(example.spans) - len(flatten(example.spans))
        warnings += model.input_warnings(document)
    found = {"sentences": sentences, "words": words, "overlapping": overlapping}
    return {**found, **vars(statistics), "coverage": warnings}


def _check_kinds(documents: Mapping[str, Sequence[Document]]) -> None:
    """Check that all files have plain tags or all have entity tags; scores need one kind."""
    kinds = {split: found[0].scheme == PLAIN for split, found in documents.items() if found}
    for split, plain in kinds.items():
        if plain != kinds["train"]:
            names = {True: "plain tags", False: "entity tags"}
            raise InputError(
                f"{documents[split][0].source}: expected {names[not plain]} as in {documents['train'][0].source}, "
                f"found {names[plain]}; set data.format.scheme if it was detected wrongly"
            )
