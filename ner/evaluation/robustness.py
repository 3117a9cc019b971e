"""Deterministic perturbations of text, which keep the words and their entities in place."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from ner.types import Document, Example

RATE = 0.2
"""Share of the words that typing and recognition errors change."""
OCR = {
    **{"0": "O", "O": "0", "1": "l", "l": "1", "I": "l", "5": "S", "S": "5", "8": "B", "B": "8", "g": "9", "e": "c"},
    **{"m": "rn", "h": "b", "c": "e", "u": "ii", "n": "ri", "d": "cl", "w": "vv", "i": "j", "t": "f", "G": "6"},
}
"""Characters that optical character recognition confuses, and what it reads."""
ZERO_WIDTH = "\u200b"


def typo(word: str, rng: random.Random) -> str:
    """Swap, drop, double or replace one letter of a word of at least two letters."""
    if len(word) < 2 or not any(character.isalpha() for character in word):
        return word
    position = rng.randrange(len(word) - 1)
    match rng.randrange(4):
        case 0:
            return word[:position] + word[position + 1] + word[position] + word[position + 2 :]
        case 1:
            return word[:position] + word[position + 1 :]
        case 2:
            return word[:position] + word[position] + word[position:]
        case _:
            letter = rng.choice(string.ascii_lowercase)
            return word[:position] + (letter.upper() if word[position].isupper() else letter) + word[position + 1 :]


def ocr(word: str, rng: random.Random) -> str:
    """Replace one character by what optical character recognition reads in its place."""
    positions = [position for position, character in enumerate(word) if character in OCR]
    if not positions:
        return word
    position = rng.choice(positions)
    return word[:position] + OCR[word[position]] + word[position + 1 :]


def zero_width(word: str, rng: random.Random) -> str:
    """Insert a zero-width space inside a word."""
    position = rng.randrange(1, len(word)) if len(word) > 1 else len(word)
    return word[:position] + ZERO_WIDTH + word[position:]


def full_width_digits(word: str, rng: random.Random) -> str:
    """Replace the digits by their full-width forms."""
    return word.translate({ord(digit): ord(digit) + 0xFEE0 for digit in string.digits})


def sometimes(change: Callable[[str, random.Random], str]) -> Callable[[str, random.Random], str]:
    """Return a perturbation of a share of the words."""
    return lambda word, rng: change(word, rng) if rng.random() < RATE else word


PERTURBATIONS: dict[str, Callable[[str, random.Random], str]] = {
    "lower_case": lambda word, rng: word.lower(),
    "upper_case": lambda word, rng: word.upper(),
    "typos": sometimes(typo),
    "ocr_noise": sometimes(ocr),
    "zero_width": sometimes(zero_width),
    "full_width_digits": full_width_digits,
}


def perturb(documents: Iterable[Document], name: str, seed: int = 1) -> Iterator[Document]:
    """Yield documents with changed words. The changes of a sentence depend on the seed, its number and nothing else."""
    number = 0
    for document in documents:
        examples = []
        for example in document.examples:
            rng = random.Random(f"{seed} {name} {number}")
            number += 1
            examples.append(_changed(example, PERTURBATIONS[name], rng))
        yield replace(document, examples=examples)


def _changed(example: Example, change: Callable[[str, random.Random], str], rng: random.Random) -> Example:
    words = [change(word, rng) for word in example.words]
    return replace(example, words=words, text=None, offsets=None)
