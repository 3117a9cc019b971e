"""Errors that are shown to the user as one line instead of a traceback."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ner.types import Example


MAX_MESSAGE = 4000
"""Characters of a message that are shown."""
DISTRIBUTIONS = {"ruamel": "ruamel.yaml", "torchcrf": "pytorch-crf"}
"""Packages whose name is not that of their module."""
NEEDS_TORCH = (
    "this needs torch, which is not installed; the runtime without torch can only predict, serve and tag in bulk, "
    "with exports (ner export)"
)
"""Message about torch in the distribution ``ner-crf-runtime``."""


def printable(text: str) -> str:
    """Return a message in one line: control, format and unassigned characters escaped, the middle of a long one cut.

    Messages contain names from files and run directories, which may hold line breaks and terminal codes.
    """
    if len(text) > MAX_MESSAGE:
        text = f"{text[: MAX_MESSAGE // 2]} ... {text[-MAX_MESSAGE // 2 :]}"
    if text.isprintable():
        return text
    kept = "\u200c\u200d"  # joiners belong to words of Persian and Indian scripts, and to emoji
    escaped = {c for c in set(text) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")} - {*kept}
    return text.translate({ord(character): ascii(character)[1:-1] for character in escaped})


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, such as ``1 sentence`` and ``2 sentences``."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def summary(error: BaseException) -> str:
    """Return type and first line of an exception."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def not_installed(module: str, *packages: str) -> str:
    """Return the message about a missing module, with the packages to install; by default, the one of its name."""
    return f"{module} is not installed; pip install {' '.join(packages or (DISTRIBUTIONS.get(module, module),))}"


def unknown_key(key: str, known: Sequence[str]) -> str:
    """Return the message about a key that does not exist, with the most similar one or all keys."""
    import difflib

    similar = difflib.get_close_matches(key, known, n=1)
    return f"unknown key; did you mean '{similar[0]}'?" if similar else f"unknown key; known keys: {', '.join(known)}"


def reason(error: OSError | ValueError) -> str:
    """Return why a path cannot be used, without the path; a ``ValueError`` means a NUL character in it."""
    return getattr(error, "strerror", None) or str(error)


class OutputError(Exception):
    """Standard output that cannot be written."""


class InputError(Exception):
    """User input (file, configuration, run directory) that cannot be used; the message contains the reason."""


class MisalignedSpanError(InputError):
    """A span that begins or ends inside a word of the chosen splitting of raw text; its argument is the problem."""

    def __str__(self) -> str:
        return f"{self.args[0]}; choose another data.word_split, or data.format.on_misaligned=expand, shrink or drop"


class NonFiniteLossError(Exception):
    """A loss or gradient that is NaN or infinite. The step was skipped, so the weights are unchanged.

    Args:
        what: The value that is not finite, such as ``the gradient``.
        step: The step that was skipped; None during prediction, where an earlier step has broken the weights.
        examples: The examples of the batch.
    """

    def __init__(self, what: str, step: int | None, examples: Sequence[Example]) -> None:
        self.examples = list(examples)
        places = ", ".join(example.location for example in self.examples[:5] if example.source)
        more = f" and {len(self.examples) - 5} more" if places and len(self.examples) > 5 else ""
        words = " ".join(self.examples[0].words)[:60] if self.examples else ""
        first = f'("{words}...")' if words else ""
        located = f"{places}{more} {first}".strip()
        sentences = f" Sentences: {located}." if located else ""
        when, remedy = "", "Try precision=fp32, or train again with a lower training.learning_rate"
        if step is not None:
            when = f" at step {step}, which was skipped"
            remedy = "Try a lower training.learning_rate, training.precision=fp32, or training.on_nonfinite=skip"
        super().__init__(f"{what} is not finite{when}.{sentences} {remedy}")


class ProcessLostError(Exception):
    """Another training process that died or stopped responding; the message names it. ``code`` is the exit code."""

    code = 75
