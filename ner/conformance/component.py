"""Subject, sample data and results of the checks of a component against its interface in :mod:`ner.contracts`.

The files beside this one contain the checks of each kind of component. A check is named after a property, such as
``zeros_at_padding``, and its docstring describes what a component with the property does: ``ner contract`` prints both.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ner.config.parts import load_component, parse_component
from ner.data.vocab import Vocabs
from ner.types import Document, Encoding, Example, Span

WIDTH = 8
"""Width of the vectors for context layers and decoders."""
SENTENCES: tuple[list[str], ...] = (
    ["Berlin"],
    ["Washington", "lives", "in", "Berlin", "."],
    ["the", "\u200b", "中", "x-y", "\u3000", "In"],
    [],
    ["in"] * 70,
)
"""Sentences with invisible characters, without words, and longer than a window."""


class Violation(Exception):
    """A property that does not hold; the message names the expected and the actual value."""


@dataclass(frozen=True)
class Component:
    """A component and its configuration.

    Attributes:
        folder: Kind of component, a key of :data:`~ner.config.base.FOLDERS`.
        name: Name in configurations.
        config: Its ``Config``; None for a metric.
    """

    folder: str
    name: str
    config: Any

    @classmethod
    def parse(cls, folder: str, name: str, options: dict[str, Any]) -> Component:
        """Return a component with the given options.

        Raises:
            ConfigError: If there is no such component, or an option is invalid.
        """
        config = None if folder == "metrics" else parse_component(folder, {"name": name, **options})
        return cls(folder, name, config)

    @property
    def module(self) -> ModuleType:
        """Module of the component."""
        return load_component(self.folder, self.name)


Check = Callable[[Component], None]
"""Function that raises :class:`Violation`; its docstring starts with the property."""


@dataclass(frozen=True)
class Result:
    """Outcome of a check: the property, and an explanation if it does not hold."""

    property: str
    problem: str | None


def title(check: Check) -> str:
    """Return the property that a check tests: name and sentence."""
    sentence = (check.__doc__ or "").strip().splitlines()[0]
    return f"{check.__name__.replace('_', ' ')}: {sentence}"


def run(component: Component, checks: Sequence[Check]) -> list[Result]:
    """Run checks, each with the same random seed. An exception in the component is a violation."""
    results = []
    for check in checks:
        torch.manual_seed(0)
        problem = None
        try:
            check(component)
        except Violation as violation:
            problem = str(violation)
        except Exception as error:
            last_frame = traceback.extract_tb(error.__traceback__)[-1]
            message = next(iter(str(error).splitlines()), "")
            problem = f"{type(error).__name__}: {message} ({Path(last_frame.filename).name}:{last_frame.lineno})"
        results.append(Result(title(check), problem))
    return results


def expect(condition: Any, message: str) -> None:
    """Raise a violation if a condition is false."""
    if not condition:
        raise Violation(message)


def expect_close(actual: Tensor, expected: Tensor, message: str) -> None:
    """Raise a violation if two tensors differ by more than rounding."""
    expect(actual.shape == expected.shape, f"{message}: shapes {tuple(actual.shape)} and {tuple(expected.shape)}")
    if not torch.allclose(actual, expected, rtol=1e-5, atol=1e-5):
        difference = (actual.double() - expected.double()).abs().max().item()
        raise Violation(f"{message}: differences of up to {difference:.3g}")


def document() -> Document:
    """Return sentences with spans, tags, labels and answers."""
    examples = []
    for words in SENTENCES:
        spans = [Span(0, 1, "PER")] if words else []
        tags = ["B-PER", *["O"] * (len(words) - 1)] if words else []
        examples.append(Example(list(words), spans, tags, labels=["a"], answers=words[:1], text=" ".join(words)))
    return Document(examples)


def vocabs() -> Vocabs:
    """Return the vocabularies of the sentences."""
    return Vocabs.from_examples(document().examples, "bio")


def random_encoding(lengths: Sequence[int]) -> Encoding:
    """Return random vectors for examples of the given lengths."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return Encoding(torch.randn(*mask.shape, WIDTH) * mask[..., None], mask)
