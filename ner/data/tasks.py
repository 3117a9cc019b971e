"""Tasks: checks that decoder, files and metrics belong to the same task (tagging, classification or questions)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from ner.config.base import ComponentConfig
from ner.config.parts import component_names, load_component
from ner.data.question_answering import answer_type
from ner.data.tags import OUTSIDE, PLAIN
from ner.data.vocab import Vocabs
from ner.errors import InputError
from ner.types import Document, Example

OUTPUTS = {"tags": "tags of words", "labels": "labels of texts", "answers": "answers to questions"}
"""Outputs that decoders predict, formats store and metrics require, with the phrases for messages."""


def decoder_outputs(decoder: str) -> frozenset[str]:
    """Return the kinds of output of a decoder, from :data:`OUTPUTS`."""
    outputs: frozenset[str] = load_component("decoders", decoder).OUTPUTS
    return outputs


def has_gold(example: Example, kind: str) -> bool:
    """Return whether an example has gold of a kind; an answer may consist of its type alone (yes, unknown)."""
    if kind == "answers":
        return bool(example.answers or (example.query_length and answer_type(example)))
    return bool(example.tags if kind == "tags" else example.labels)


def compatible_formats(outputs: Collection[str]) -> list[str]:
    """Return the names of the formats that can store the outputs of a decoder."""
    return [name for name in component_names("formats") if outputs <= load_component("formats", name).STORES]


def check_format(
    decoder: str, format_name: str, key: str = "config.data.format", outputs: Collection[str] | None = None
) -> None:
    """Check that a format can store the outputs of a decoder; ``key`` is the option that selects the format.

    Outputs that are given do not need the file of the decoder, which imports torch.

    Raises:
        InputError: If it cannot; the message lists the formats that can.
    """
    outputs = decoder_outputs(decoder) if outputs is None else outputs
    missing = {*outputs} - load_component("formats", format_name).STORES
    if missing:
        raise InputError(
            f"{key}: the decoder {decoder} predicts {_phrases(outputs)}, but {format_name} files cannot store "
            f"{_phrases(missing, 'or')}; choose {_join(compatible_formats(outputs), 'or')}"
        )


def check_metrics(decoder: str, metrics: Sequence[str]) -> None:
    """Check that every metric applies to an output of a decoder.

    Raises:
        InputError: If one does not; the message lists the metrics that do.
    """
    outputs = decoder_outputs(decoder)
    required = {name: load_component("metrics", name).REQUIRES for name in component_names("metrics")}
    compatible_metrics = [name for name, kinds in required.items() if kinds & outputs]
    for name in metrics:
        if name not in compatible_metrics:
            raise InputError(
                f"config.metrics: {name} requires {_phrases(required[name], 'or')}, but the decoder {decoder} predicts "
                f"{_phrases(outputs)}; choose from {_join(compatible_metrics)}"
            )


def check_gold(decoder: str, documents: Sequence[Document], source: str) -> None:
    """Check that the training documents contain gold for every output of a decoder.

    Raises:
        InputError: If they do not; the message lists the decoders that can learn from the documents. Also if no example
            has a word, or if all words have the same tag.
    """
    outputs = decoder_outputs(decoder)
    missing_kinds = [kind for kind in sorted(outputs) if not _any_gold(documents, [kind])]
    if missing_kinds:
        present_kinds = {kind for kind in OUTPUTS if kind not in missing_kinds and _any_gold(documents, [kind])}
        fitting = [name for name in component_names("decoders") if decoder_outputs(name) <= present_kinds]
        advice = f"choose {_join(fitting, 'or')} as decoder, or see data.format" if fitting else "see data.format"
        absent = "any" if {*missing_kinds} == outputs else _phrases(missing_kinds)
        raise InputError(
            f"{source}: the decoder {decoder} learns {_phrases(outputs)}, but no example has {absent}; {advice}"
        )
    if not any(example.words for document in documents for example in document.examples):
        raise InputError(f"{source}: expected texts with words, found none; see data.word_split and data.format")
    if "tags" in outputs and not any(example.spans for document in documents for example in document.examples):
        tags = (tag for document in documents for example in document.examples for tag in example.tags or ())
        first = next(tags, OUTSIDE)
        if documents[0].scheme != PLAIN or all(tag == first for tag in tags):
            raise InputError(
                f"{source}: every word has the tag {first}, so there is nothing to learn; set data.format.tag to the "
                "column of the tag, or give another file"
            )


def check_scored(decoder: str, metrics: Sequence[str], documents: Sequence[Document], source: str) -> None:
    """Check that documents contain gold for every metric; a tagged file without entities does, plain tags do not.

    Raises:
        InputError: If no example has the gold that a metric requires.
    """
    for name in metrics:
        if name == "entity" and documents[0].scheme == PLAIN:
            raise InputError(
                f"config.metrics: entity has nothing to score in {source}, whose tags are plain tags such as parts of "
                f"speech; set metrics to [tag] and training.monitor to tag.accuracy, or correct data.format.scheme"
            )
        kinds = load_component("metrics", name).REQUIRES & decoder_outputs(decoder)
        if not _any_gold(documents, kinds):
            raise InputError(
                f"config.metrics: {name} has nothing to score in {source}, where no example has "
                f"{_phrases(kinds, 'or')}; choose other metrics, see data.format, or leave the file out"
            )


def check_field(field: str, documents: Iterable[Document], source: str | None, key: str = "config.score_by") -> None:
    """Check that an example has a metadata field by whose values scores are reported.

    Args:
        field: Name of the field.
        documents: Documents, which are read up to the first example with the field.
        source: Path of their file.
        key: Configuration key or option that names the field, for messages.

    Raises:
        InputError: If none has it; the message lists the fields that exist.
    """
    known_fields: set[str] = set()
    for document in documents:
        for example in document.examples:
            known_fields.update(example.metadata)
            if field in known_fields:
                return
    raise InputError(
        f"{key}: no example of {source} has a field '{field}'; there are: {_join(sorted(known_fields)) or 'none'}"
    )


def check_labels(vocabs: Vocabs, config: ComponentConfig, source: object = "the training data") -> None:
    """Check that a format can store the tags and labels of a model: none contains what ends a column or a line.

    Args:
        vocabs: Tags and labels of the model.
        config: Configuration of the format.
        source: Origin of the labels, for messages.

    Raises:
        InputError: If one does.
    """
    format_module = load_component("formats", config.name)
    forbidden = format_module.forbidden_characters(config)
    for kind, names in (("tags", vocabs.tags if vocabs.plain else vocabs.labels), ("labels", vocabs.classes)):
        for name in names:
            if not set(forbidden.get(kind, "")).isdisjoint(name):
                raise InputError(
                    f"config.data.format: {config.name} files cannot store the label {name!r} of {source}, which "
                    "contains a separator of columns or lines; rename the label, or choose the format jsonl"
                )


def checked_questions(
    decoder: str, format_name: str, documents: Iterable[Document], outputs: Collection[str] | None = None
) -> Iterator[Document]:
    """Yield the same documents after checking that they contain questions exactly if the decoder answers questions.

    Raises:
        InputError: If an example of a format that stores texts with and without questions does not fit.
    """
    outputs = decoder_outputs(decoder) if outputs is None else outputs
    answers_questions = "answers" in outputs
    stored_kinds = load_component("formats", format_name).STORES
    may_differ = "answers" in stored_kinds and len(stored_kinds) > 1
    for document in documents:
        for example in document.examples if may_differ else ():
            if answers_questions and not example.query_length:
                raise InputError(
                    f"{example.location}: expected a question about a text, as {decoder} answers, found a text alone"
                )
            if example.query_length and not answers_questions:
                raise InputError(
                    f"{example.location}: expected a text alone, of which the decoder {decoder} predicts "
                    f"{_phrases(outputs)}, found a question about a text; remove the question"
                )
        yield document


def _any_gold(documents: Sequence[Document], kinds: Collection[str]) -> bool:
    return any(has_gold(example, kind) for document in documents for example in document.examples for kind in kinds)


def _phrases(kinds: Collection[str], conjunction: str = "and") -> str:
    return _join([phrase for kind, phrase in OUTPUTS.items() if kind in kinds], conjunction)


def _join(phrases: Sequence[str], conjunction: str = "and") -> str:
    *others, last = phrases or [""]
    return f"{', '.join(others)} {conjunction} {last}" if others else last
