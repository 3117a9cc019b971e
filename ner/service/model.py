"""The served model: texts and options in, JSON values out. Nothing here depends on HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ner
from ner.data.notices import Notice
from ner.errors import InputError
from ner.inference.text_tagger import TextTagger
from ner.portable.description import is_export, read_description
from ner.runtime import manifest
from ner.runtime.json_files import read_json
from ner.service.schema import Options
from ner.types import Document, Example, TagQuery

WARM_UP = "Ada Lovelace lived in London."
WEIGHTS = "model.safetensors"


class ServedModel:
    """A run or an export that answers requests.

    Args:
        directory: Run or export.

    Raises:
        InputError: If it cannot be loaded, or its model answers questions.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.is_export = is_export(directory)
        self.tagger: TextTagger = ner.load(directory)
        if self.tagger.answers_questions:
            raise InputError(f"{directory}: expected a model that tags or classifies texts, found one for questions")
        self.one_at_a_time = False
        """True if answers depend on the batch: activations in int8 are scaled by the largest value of a batch."""
        if self.is_export:
            description = read_description(directory)
            self.sha256 = description.model_sha256
            self.one_at_a_time = description.precision == "int8"
        else:
            entries = read_json(directory / manifest.MANIFEST, manifest.ENTRIES, manifest.MAX_BYTES)
            self.sha256 = entries[WEIGHTS]["sha256"]
        self.has_alternatives = "tags" in self.tagger.outputs
        self.tag([WARM_UP], Options())

    def version(self) -> dict[str, Any]:
        """Return :class:`ner.service.schema.VersionAnswer`."""
        vocabs = self.tagger.vocabs
        return {
            "ner": ner.__version__,
            "model": self.sha256,
            "kind": "export" if self.is_export else "run",
            "decoder": self.tagger.decoder_name,
            "labels": sorted(vocabs.tags if vocabs.plain else vocabs.labels),
            "plain": vocabs.plain,
            "classes": sorted(vocabs.classes),
            "n_best": self.has_alternatives,
        }

    def tag(self, items: Sequence[str | list[str]], options: Options) -> list[dict[str, Any]]:
        """Return :class:`ner.service.schema.DocumentAnswer` and the coverage (``coverage``) of each text.

        Answers do not depend on the other texts.

        Args:
            items: Texts, or lists of words.
            options: What to compute.
        """
        documents = [self.tagger.document(item, options.split_into_sentences) for item in items]
        query_options: dict[str, Any] = {"query": TagQuery(n_best=options.n_best)} if options.n_best else {}
        answers = []
        for batch in [[document] for document in documents] if self.one_at_a_time else [documents]:
            for chunk in self.tagger.annotate(batch, probabilities=options.probabilities, **query_options):
                if chunk.coverage.missing:
                    raise RuntimeError(f"{chunk.coverage.missing} words were not read")
                answers += [self._answer(document, options) for document in chunk.predicted]
        return answers

    def _answer(self, document: Document, options: Options) -> dict[str, Any]:
        warnings = self.tagger.input_warnings(document)
        words = [word for example in document.examples for word in example.words]
        answer: dict[str, Any]
        if options.split_into_sentences:
            answer = {"sentences": [_sentence(example, options, True) for example in document.examples]}
        else:
            answer = _sentence(document.examples[0], options, False)
        if warnings:
            answer["warnings"] = {str(reason): count for reason, count in sorted(warnings.items())}
        answer["coverage"] = {
            "sentences": len(document.examples),
            "words": len(words),
            "characters": sum(map(len, words)),
            "missing": 0,
            "without_piece": warnings[Notice.NO_PIECES],
        }
        return answer


def _sentence(example: Example, options: Options, with_position: bool) -> dict[str, Any]:
    """Return :class:`ner.service.schema.SentenceAnswer`."""
    answer = example.prediction_dict()
    if options.words:
        words: list[dict[str, Any]] = [{"text": word} for word in example.words]
        for word, tag in zip(words, example.tags or (), strict=False):
            word["tag"] = tag
        for word, (start, end) in zip(words, example.offsets or (), strict=False):
            word["start"], word["end"] = start, end
        answer["words"] = words
    if with_position and example.offsets:
        answer["start"], answer["end"] = example.offsets[0][0], example.offsets[-1][1]
    return answer


def merge_coverage(answers: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Remove the coverage from each answer and return the sums."""
    coverages = [answer.pop("coverage") for answer in answers]
    return {name: sum(coverage[name] for coverage in coverages) for name in coverages[0]}
