"""Entity F1 on raw text against F1 on words: ``python benchmarks/raw_text.py --run DIR FILE``.

The words of a CoNLL file are joined to sentences as a newspaper prints them. A prediction is correct if its characters
and its label are those of the gold entity.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from extras import keep

import ner
from ner.config.parts import load_component
from ner.types import Example

NO_SPACE_BEFORE = frozenset([*",.;:?!)]}%'", "'s", "'S", "n't", "'re", "'m", "'ve", "'ll", "'d", "..", "...", "...."])
NO_SPACE_AFTER = frozenset("([{$")


def join(words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Return words as a sentence, and the characters of each word."""
    text, offsets = "", []
    glued, quoted = True, False
    for word in words:
        if not glued and word not in NO_SPACE_BEFORE and not (word == '"' and quoted):
            text += " "
        offsets.append((len(text), len(text) + len(word)))
        text += word
        if word == '"':
            quoted = not quoted
        glued = word in NO_SPACE_AFTER or (word == '"' and quoted)
    return text, offsets


def entities(example: Example, offsets: Sequence[tuple[int, int]]) -> set[tuple[int, int, str]]:
    """Return the entities of an example as characters and labels."""
    return {(offsets[span.start][0], offsets[span.end - 1][1], span.label) for span in example.spans}


def f1(pairs: Sequence[tuple[set[tuple[int, int, str]], set[tuple[int, int, str]]]]) -> float:
    """Return the micro F1 of gold and predicted entities."""
    correct = sum(len(gold & predicted) for gold, predicted in pairs)
    return 2 * correct / max(1, sum(len(gold) + len(predicted) for gold, predicted in pairs))


def main() -> None:
    """Write both scores, and the share of words with the same boundaries, to ``results/benchmarks``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, metavar="DIR")
    parser.add_argument("file", type=Path, help="CoNLL file")
    arguments = parser.parse_args()
    tagger = ner.load(arguments.run)
    form = load_component("formats", "conll")
    columns, raw = [], []
    words = found = 0
    for document in form.read(str(arguments.file), tagger.config.data.format, "space"):
        predicted = tagger.tag(document)
        for gold, answer in zip(document.examples, predicted.examples, strict=True):
            text, offsets = join(gold.words)
            columns.append((entities(gold, offsets), entities(answer, offsets)))
            tagged = tagger.tag(text).examples[0]
            assert tagged.offsets is not None, "raw text has offsets"
            raw.append((entities(gold, offsets), entities(tagged, tagged.offsets)))
            words += len(offsets)
            found += len({*offsets} & {*tagged.offsets})
    keep(
        "raw_text",
        title="Entities in raw text",
        command="python benchmarks/raw_text.py --run RUN FILE",
        note=f"The sentences of {arguments.file.name} of CoNLL-2003, joined as a newspaper prints them. The splitting "
        "of raw text is learned from the training words. An entity is correct if its characters and its label are "
        "those of the gold entity. The model is that of configs/conll2003/bilstm_crf.yaml.",
        columns=["words", "words with the same boundaries", "F1 on columns", "F1 on raw text", "difference"],
        rows=[
            [
                f"{words:,}",
                f"{found / words:.2%}".replace("%", " %"),
                f"{f1(columns):.4f}",
                f"{f1(raw):.4f}",
                f"{f1(raw) - f1(columns):+.4f}",
            ]
        ],
    )


if __name__ == "__main__":
    main()
