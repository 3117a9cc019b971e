from __future__ import annotations

import pytest

from ner.commands.train import example_input, shorten
from ner.types import Document, Example, Span


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" two  words ", "two words"),
        ("word " * 20, " ".join(["word"] * 16)),
        ("字" * 90, "字" * 80),
        (" " + "字" * 90, "字" * 80),
    ],
)
def test_a_shortened_text_has_whole_words(text: str, shown: str) -> None:
    assert shorten(text) == shown


def test_the_example_input_has_an_entity_and_no_quote() -> None:
    entity = [Span(0, 1, "PER")]
    examples = [Example(["No", "entity"]), Example(["Ada", "'s"], spans=entity), Example(["Ada", "won"], spans=entity)]
    documents = {"train": [Document(examples)], "valid": [], "test": []}
    assert example_input(documents) == ("Ada won", "text")
    assert example_input({**documents, "train": []}) == ("...", "text")
