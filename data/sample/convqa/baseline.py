"""Baselines on the conversational set that ignore the question or the story.

``python data/sample/convqa/baseline.py [DIR]`` reads ``train.json`` and ``test.json`` from DIR (the folder of this file
unless given) and prints exact match and F1 in percent as CoQA counts them: small letters, no punctuation, no articles.
All baselines but the last see the story and the number of the turn, not the question.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import string
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from generate import PATTERNS, candidates

SEED = 7
CONSTANTS = ("yes", "no", "unknown")


@dataclass(frozen=True)
class Example:
    """A question with its story.

    Attributes:
        source: The domain.
        story: The story.
        turn: Number of the turn, from 1.
        question: The question.
        answer: The answer.
        kind: ``span``, ``yes``, ``no`` or ``unknown``.
    """

    source: str
    story: str
    turn: int
    question: str
    answer: str
    kind: str


Guess = Callable[[Example], str]


def read(path: Path) -> list[Example]:
    """Read a file.

    Args:
        path: The file.

    Returns:
        Its turns.
    """
    examples = []
    for entry in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for question, answer in zip(entry["questions"], entry["answers"], strict=True):
            text = answer["input_text"]
            kind = text if text in CONSTANTS else "span"
            examples.append(
                Example(entry["source"], entry["story"], answer["turn_id"], question["input_text"], text, kind)
            )
    return examples


def normal(text: str) -> list[str]:
    """Return the words of an answer as CoQA compares them.

    Args:
        text: The answer.

    Returns:
        Words in small letters without punctuation and articles.
    """
    plain = "".join(" " if char in string.punctuation else char for char in text.lower())
    return [word for word in plain.split() if word not in ("a", "an", "the")]


def overlap(gold: str, guess: str) -> float:
    """F1 of the words of two answers.

    Args:
        gold: The right answer.
        guess: The other one.

    Returns:
        From 0 to 1.
    """
    one, two = normal(gold), normal(guess)
    common = sum((Counter(one) & Counter(two)).values())
    return 2 * common / (len(one) + len(two)) if common else float(one == two)


def score(examples: list[Example], guess: Guess) -> tuple[float, float]:
    """Score a baseline.

    Args:
        examples: The turns.
        guess: The baseline.

    Returns:
        Exact match and F1, from 0 to 1.
    """
    pairs = [(example.answer, guess(example)) for example in examples]
    exact = sum(normal(gold) == normal(answer) for gold, answer in pairs)
    return exact / len(pairs), sum(overlap(gold, answer) for gold, answer in pairs) / len(pairs)


def best(answers: Iterable[str]) -> str:
    """Return the constant answer with the best score on a list of answers.

    Args:
        answers: The answers.

    Returns:
        The most frequent one.
    """
    return Counter(answers).most_common(1)[0][0]


def mentions(example: Example) -> list[str]:
    """Return the candidates of all types.

    Args:
        example: The turn.

    Returns:
        Every mention in the order of the story.
    """
    found = [match for pattern in PATTERNS.values() for match in pattern.finditer(example.story)]
    return [match.group() for match in sorted(found, key=lambda match: match.start())]


def slots(example: Example) -> list[tuple[tuple[str, int], str]]:
    """Return all answers that the story offers, with their positions among those of their type.

    Args:
        example: The turn.

    Returns:
        Type and number, and the answer; negative numbers count from the end.
    """
    found: list[tuple[tuple[str, int], str]] = [((constant, 0), constant) for constant in CONSTANTS]
    for kind in PATTERNS:
        names = candidates(example.story, kind)
        found += [((kind, number), name) for number, name in enumerate(names)]
        found += [((kind, number - len(names)), name) for number, name in enumerate(names)]
    return found


def learned(train: list[Example]) -> Guess:
    """Return the answer of the most frequently correct type and position in training, by turn and domain.

    Args:
        train: The turns of training.

    Returns:
        The baseline.
    """
    sums: dict[tuple[object, ...], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for example in train:
        for slot, answer in slots(example):
            gain = overlap(example.answer, answer)
            for key in ((example.source, example.turn, *slot), (example.turn, *slot)):
                sums[key][0] += gain
                sums[key][1] += 1

    def worth(example: Example, slot: tuple[str, int]) -> float:
        own, every = sums[(example.source, example.turn, *slot)], sums[(example.turn, *slot)]
        gain, count = own if own[1] else every
        return gain / (count + 10)  # rare places have to earn trust

    return lambda example: max(slots(example), key=lambda pair: worth(example, pair[0]))[1]


def wording(question: str) -> str:
    """Return a question without names and numbers.

    Args:
        question: The question.

    Returns:
        Its wording.
    """
    first, _, rest = question.partition(" ")
    return f"{first} " + re.sub(r"(?:the )?\b[A-Z]\w+|\d+", "X", rest)


def from_question(train: list[Example]) -> Guess:
    """Return the most frequent answer to a wording in training, or to its first word.

    Args:
        train: The turns of training.

    Returns:
        The baseline, which does not look at the story.
    """
    answers: dict[str, list[str]] = defaultdict(list)
    for example in train:
        for key in (wording(example.question), example.question.split()[0], ""):
            answers[key].append(example.answer)
    known = {key: best(texts) for key, texts in answers.items()}

    def guess(example: Example) -> str:
        keys = (wording(example.question), example.question.split()[0], "")
        return next(known[key] for key in keys if key in known)

    return guess


def baselines(train: list[Example]) -> dict[str, Guess]:
    """Return the baselines.

    Args:
        train: The turns of training.

    Returns:
        Each baseline by its name.
    """
    rng = random.Random(SEED)
    constant = best(example.answer for example in train)

    def chance(example: Example) -> str:
        offers = [names for kind in PATTERNS if (names := candidates(example.story, kind))]
        return rng.choice(rng.choice(offers))

    return {
        f"constant answer ({constant})": lambda example: constant,
        "random candidate of a random type": chance,
        "most frequent candidate": lambda example: best(mentions(example)),
        "first candidate": lambda example: mentions(example)[0],
        "last candidate": lambda example: mentions(example)[-1],
        "learned from type, place, turn and domain": learned(train),
        "question without story": from_question(train),
    }


def main() -> None:
    """Print the scores and some counts."""
    parser = argparse.ArgumentParser(description="baselines of the conversational question-answering set")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parent)
    folder = parser.parse_args().folder
    splits = {split: read(folder / f"{split}.json") for split in ("train", "valid", "test")}
    print(f"{'baseline on test':45} {'EM':>6} {'F1':>6}")
    for name, guess in baselines(splits["train"]).items():
        exact, f1 = score(splits["test"], guess)
        print(f"{name:45} {100 * exact:6.1f} {100 * f1:6.1f}")
    print()
    for split, examples in splits.items():
        stories = list(dict.fromkeys(example.story for example in examples))
        lengths = [len(story.split()) for story in stories]
        tokens = [len(re.findall(r"\w+|[^\w\s]", story)) for story in stories]
        kinds = Counter(example.kind for example in examples)
        shares = ", ".join(f"{kind} {100 * kinds[kind] / len(examples):.1f} %" for kind in ("span", *CONSTANTS))
        print(f"{split}: {len(stories)} stories, {len(examples)} turns ({len(examples) / len(stories):.1f} a story)")
        print(f"  words a story: {min(lengths)} to {max(lengths)}, mean {sum(lengths) / len(lengths):.0f}; ", end="")
        print(f"tokens a story: at most {max(tokens)}; words in all: {sum(lengths):,}")
        print(f"  {shares}")
        print("  stories by domain: ", end="")
        domains = Counter({example.story: example.source for example in examples}.values())
        print(", ".join(f"{source} {count}" for source, count in sorted(domains.items())))


if __name__ == "__main__":
    main()
