"""Whether decoder, files and metrics are about the same: tags of words, labels of texts, or answers to questions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from ner.config.parts import component_names, load_component
from ner.data.question_answering import ANSWER_TYPES
from ner.errors import InputError
from ner.types import Document, Example

WHAT = {"tags": "tags of words", "labels": "labels of texts", "answers": "answers to questions"}
"""What decoders give, files hold and metrics need, for people."""

"""Remark on examples whose label nobody knows: those without any, for a decoder that gives each exactly one."""


def gives(decoder: str) -> frozenset[str]:
    """What the decoder of that name gives, of :data:`WHAT`."""
    found: frozenset[str] = load_component("decoders", decoder).OUTPUTS
    return found


def has(example: Example, kind: str) -> bool:
    """Whether an example has gold of a kind; an answer may be of a kind alone (yes, unknown)."""
    if kind == "answers":
        return bool(example.answers or (example.query_length and set(example.labels) & {*ANSWER_TYPES}))
    return bool(example.tags if kind == "tags" else example.labels)


def formats(decoder: str) -> list[str]:
    """The forms of files that can ask for what a decoder gives, and have a place for it."""
    return [name for name in component_names("formats") if gives(decoder) <= load_component("formats", name).STORES]


def check_format(decoder: str, form: str, key: str = "config.data.format") -> None:
    """That files of a form can ask for what a decoder gives, and have a place for it.

    Args:
        decoder: Name of a file in ``ner/model/decoders``.
        form: Name of a file in ``ner/data/formats``.
        key: Where the form was chosen.

    Raises:
        InputError: If not; it names the forms that can.
    """
    given = gives(decoder)
    missing = given - load_component("formats", form).STORES
    if missing:
        raise InputError(
            f"{key}: the decoder {decoder} gives {_listed(given)}, and {form} files have no place for "
            f"{_listed(missing, 'or')}; choose {_joined(formats(decoder), 'or')}"
        )


def check_metrics(decoder: str, metrics: Sequence[str]) -> None:
    """That each metric counts something that the decoder gives.

    Raises:
        InputError: If not; it names the metrics that do.
    """
    given = gives(decoder)
    fitting = [name for name in component_names("metrics") if load_component("metrics", name).REQUIRES & given]
    for name in metrics:
        if name not in fitting:
            raise InputError(
                f"config.metrics: {name} counts {_listed(load_component('metrics', name).REQUIRES, 'or')}, and the decoder "
                f"{decoder} gives {_listed(given)}; choose of {_joined(fitting)}"
            )


def check_gold(decoder: str, documents: Sequence[Document], source: str) -> None:
    """That of all that a decoder gives there is something to learn.

    Raises:
        InputError: If not; it names the decoders that could learn from the documents.
    """
    missing = [kind for kind in sorted(gives(decoder)) if not _any(documents, [kind])]
    if missing:
        there = {kind for kind in WHAT if kind not in missing and _any(documents, [kind])}
        fitting = [name for name in component_names("decoders") if gives(name) <= there]
        instead = f"choose {_joined(fitting, 'or')} as decoder, or see data.format" if fitting else "see data.format"
        lacking = "any" if {*missing} == gives(decoder) else _listed(missing)
        raise InputError(
            f"{source}: the decoder {decoder} learns {_listed(gives(decoder))}, and no example has {lacking}; {instead}"
        )


def check_scored(decoder: str, metrics: Sequence[str], documents: Sequence[Document], source: str) -> None:
    """That each metric has something to count in documents that are scored; a file without any entity has.

    Raises:
        InputError: If no example has what a metric needs.
    """
    for name in metrics:
        needs = load_component("metrics", name).REQUIRES & gives(decoder)
        if not _any(documents, needs):
            raise InputError(
                f"config.metrics: {name} has nothing to count in {source}, where no example has "
                f"{_listed(needs, 'or')}; choose other metrics, see data.format, or leave the file out"
            )


def asking(decoder: str, form: str, documents: Iterable[Document]) -> Iterator[Document]:
    """The same documents, of a form that holds texts with and without questions.

    Raises:
        InputError: If the decoder gives answers and an example asks nothing, or the other way round.
    """
    answers = "answers" in gives(decoder)
    may_differ = load_component("formats", form).STORES > {"answers"}
    for document in documents:
        for example in document.examples if may_differ else ():
            if answers and not example.query_length:
                raise InputError(
                    f"{example.location}: expected a question about a text, which the decoder {decoder} answers, found a "
                    "text alone"
                )
            if example.query_length and not answers:
                raise InputError(
                    f"{example.location}: expected a text alone, of which the decoder {decoder} gives "
                    f"{_listed(gives(decoder))}, found a question about a text; leave the question out"
                )
        yield document


def _any(documents: Sequence[Document], kinds: Collection[str]) -> bool:
    return any(has(example, kind) for document in documents for example in document.examples for kind in kinds)


def _listed(kinds: Collection[str], word: str = "and") -> str:
    return _joined([what for kind, what in WHAT.items() if kind in kinds], word)


def _joined(phrases: Sequence[str], word: str = "and") -> str:
    *others, last = phrases
    return f"{', '.join(others)} {word} {last}" if others else last
