"""Texts of all Unicode planes through ``ner predict``: every column and key of the input comes back unchanged."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from ner.commands import predict
from tests.reliability.inputs import Files, accepted, model, predicted, put, run, workspace
from tests.reliability.report import Case, main

PROMISE = "Predictions for 10,000 random texts of all Unicode planes change no byte of the input columns"

TEXTS = 10_000
SPECIAL = "\0\x0b\x0c\x1c\x1f\x7f\x85\xa0\xad\u0300\u061c\u200b\u200d\u2028\u2029\u202e\u3000\ufeff\ufffd\U0001f468"
"""Controls, white space of Unicode, joiners, marks of direction."""


def character(generator: random.Random) -> str:
    """Return a character of any plane but a surrogate; half of them are common or special ones."""
    if generator.random() < 0.5:
        return generator.choice("aZ0.,-#\"'\\<&京é" + SPECIAL)
    while 0xD800 <= (found := generator.randrange(17) << 16 | generator.randrange(1 << 16)) < 0xE000:
        pass
    return chr(found)


def sentences(count: int, seed: int, excluded: str = " \t\r\n") -> list[list[str]]:
    """Return sentences of one to five words."""
    generator = random.Random(seed)
    found = []
    for _ in range(count):
        words = [
            "".join(character(generator) for _ in range(generator.randint(1, 5)))
            .translate(dict.fromkeys(map(ord, excluded)))
            .removeprefix("\ufeff")  # a byte order mark at the start of a file
            for _ in range(generator.randint(1, 5))
        ]
        found.append([word or "x" for word in words])
    return found


def rows_stay(task: str, form: str, content: bytes, *overrides: str) -> None:
    """Check that each line of the input is the beginning of the same line of the output, with the same line end."""
    found = accepted(predicted(task, form, content, *overrides)).output or b""
    for number, (old, new) in enumerate(zip_longest(content.split(b"\n"), found.split(b"\n")), 1):
        assert old is not None, f"line {number}: only in the output"
        assert new is not None, f"line {number}: lost"
        body = old.rstrip(b"\r")
        assert new.startswith(body), f"line {number}: expected {body[:60]!r}, found {new[:60]!r}"
        assert new.endswith(old[len(body) :]), f"line {number}: another line end"


def objects_stay(task: str, objects: Sequence[dict[str, object]], form: str = "jsonl") -> None:
    """Check that each object of the input comes back with additional keys, and each text with its entities."""
    lines = [str(value["text"]) if form == "text" else json.dumps(value) for value in objects]
    found = accepted(predicted(task, form, "".join(f"{line}\n" for line in lines).encode())).output or b""
    new = [json.loads(line) for line in found.decode().split("\n")[:-1]]
    assert len(new) == len(objects), f"expected {len(objects)} lines, found {len(new)}"
    for number, (old, value) in enumerate(zip(objects, new, strict=True), 1):
        assert {key: value[key] for key in old} == old, f"line {number}: expected {old}, found {value}"
        for entity in value.get("entities", []):
            assert value["text"][entity["start"] : entity["end"]] == entity["text"], f"line {number}: {entity}"


def words_stay(task: str, content: Files) -> None:
    """Check the words of slot filling data."""
    target = workspace() / "unicode-slots"
    arguments = ["--run", model(task), "--format", "slot_filling", "--input", put("unicode-words", content)]
    accepted(run(predict.main, [*arguments, "--output", str(target), "data.format.labels=null"]))
    assert isinstance(content, dict)
    assert (target / "seq.in").read_bytes() == content["seq.in"]


def check(task: str, form: str, count: int) -> None:
    """Check a combination of model and form."""
    texts = sentences(count, seed=len(task) * 100 + len(form))
    joined = [" ".join(words) for words in texts]
    end = "\r\n" if "CRLF" in form else "\n"
    if form.startswith("conll"):
        gap = "\t" if "tabs" in form else " "
        text = "".join("".join(f"{word}{gap}x{end}" for word in words) + end for words in texts)
        rows_stay(task, "conll", text.encode())
    elif form.startswith("tsv"):
        mark = ";" if "semicolons" in form else "\t"
        rows = [f"{number % 3}{mark}{text.replace(mark, '')}{end}" for number, text in enumerate(joined)]
        header = [] if "without" in form else [f"label{mark}text_a{end}"]
        options = [] if header else ["data.format.header=false", "data.format.label=0", "data.format.text=1"]
        rows_stay(task, "tsv", "".join(header + rows).encode(), *options, f"data.format.separator='{mark}'")
    elif form == "slot_filling":
        words_stay(task, {"seq.in": "".join(f"{text}\n" for text in joined).encode()})
    elif form == "jsonl of words":
        words = [[*some, "\ud800"] if number % 50 == 0 else some for number, some in enumerate(texts)]
        objects_stay(task, [{"id": number, "words": some} for number, some in enumerate(words)])
    else:
        objects_stay(task, [{"text": text} for text in joined], form.partition(" ")[0])


COMMON = ("text", "jsonl of words", "jsonl of texts")
FORMS = {
    "conll": (*COMMON, "conll", "conll with tabs", "conll with CRLF", "slot_filling"),
    "tsv": (*COMMON, "tsv", "tsv without a header", "tsv with semicolons", "tsv with CRLF"),
}
MODELS = {"words": "conll", "transformer": "bert", "classifier of words": "tsv", "classifier, transformer": "bert-tsv"}


def cases(count: int = TEXTS) -> Iterator[Case]:
    """One case for each combination of model and form."""
    for name, task in MODELS.items():
        for form in FORMS["tsv" if task.endswith("tsv") else "conll"]:
            yield Case(name, form, lambda t=task, f=form: check(t, f, count))  # type: ignore[misc]


if __name__ == "__main__":
    sys.exit(main("unicode", PROMISE, cases()))
