"""Entity and tag scores against the rules of the CoNLL shared tasks, against seqeval, and in the columns of a file.

What agrees with what:

- Default counts, any tags in BIO, IOB1 and IO: the rules of the shared tasks (Tjong Kim Sang and De Meulder, 2003), and
  seqeval. Any tags in BIOES, BMES and BILOU: seqeval after renaming the prefixes; the shared tasks have no such tags.
- Strict counts, any tags in BIO, BIOES, BMES and BILOU, and valid tags in IOB1: seqeval with ``mode="strict"`` and the
  scheme. It reads some invalid IOB1 differently, has no IO, and strips hyphens at the end of a label.
- The scores of ``evaluate.py``: the rules of the shared tasks for the columns that it has written.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import random
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from seqeval.metrics import accuracy_score
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support as default_support
from seqeval.metrics.v1 import precision_recall_fscore_support as strict_support
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES

from ner.config.parts import load_component, parse_component
from ner.data import tags
from ner.evaluation.metrics import entity, tag
from ner.types import Document, Example, Span
from tests.reliability.report import ROOT, Case, main

SENTENCES = 1000
PREFIXES = {"bio": "BI", "iob1": "BI", "io": "I", "bioes": "BIES", "bmes": "BMES", "bilou": "BILU"}
SEQEVAL = {"bio": IOB2, "iob1": IOB1, "bioes": IOBES, "bmes": IOBES, "bilou": BILOU}
RENAMED = {"bmes": str.maketrans("M", "I"), "bilou": str.maketrans("LU", "ES")}
LABELS = {"labels": ("PER", "LOC", "ORG"), "hyphens": ("B-x", "I-x", "x-y-z", "-"), "one label": ("X",)}
CONLL = ROOT.parent / "shared" / "data" / "conll2003"
Row = list[str]
Chunk = tuple[int, int, int, str]


def chunks(rows: Sequence[Row]) -> set[Chunk]:
    """Return sentence, first word, last word and type of the chunks of tags, by the rules of the shared tasks.

    A chunk begins at ``B``, and where the word before is outside or of another type. It ends before a word outside,
    before a beginning, and with its sentence. ``S`` and ``U`` are whole chunks; ``E`` and ``L`` end one.
    """
    found = set()
    for number, row in enumerate(rows):
        cells = [("O", "") if cell == "O" else (cell[0], cell[2:]) for cell in row]
        begins = [
            kind != "O" and (kind in "BSU" or not i or cells[i - 1][0] in "OESLU" or cells[i - 1][1] != label)
            for i, (kind, label) in enumerate(cells)
        ]
        for first in (i for i, begin in enumerate(begins) if begin):
            last = first
            while last + 1 < len(row) and cells[last + 1][0] != "O" and not begins[last + 1]:
                last += 1
            found.add((number, first, last, cells[first][1]))
    return found


def counted(gold: set[Chunk], predicted: set[Chunk]) -> Counter[str]:
    """Return the numbers of chunks by kind and type."""
    sides = {"gold": gold, "predicted": predicted, "correct": gold & predicted}
    return Counter(f"{kind} {label}" for kind, side in sides.items() for *_, label in side)


def mode(counts: Counter[str], strict: bool = False) -> Counter[str]:
    """Return the counts of one mode, without its name."""
    found = {key: number for key, number in counts.items() if key != "sentences"}
    kept = {key.removeprefix("strict "): n for key, n in found.items() if key.startswith("strict ") == strict}
    return Counter(kept)


def equal(ours: Any, theirs: Any) -> None:
    """Raise if two results differ."""
    if ours != theirs:
        raise AssertionError(f"expected {theirs}, found {ours}")


def close(ours: Counter[str], theirs: Any, labels: Sequence[str]) -> None:
    """Compare counts with the arrays of seqeval: precision, recall, F1 and number of gold entities by type."""
    by_type = entity.scores(ours)["by_type"]
    equal(sorted(by_type), sorted(labels))
    for position, label in enumerate(sorted(labels)):
        for key, values in zip(("precision", "recall", "f1", "gold"), theirs, strict=True):
            if abs(by_type[label][key] - values[position]) > 1e-9:
                raise AssertionError(f"{key} {label}: seqeval {values[position]}, found {by_type[label][key]}")


def valid(draw: random.Random, scheme: str, labels: Sequence[str]) -> Row:
    """Return a random valid sentence; its entities often touch, except those of one label in IO."""
    spans, position, before = [], 0, ""
    for _ in range(draw.randrange(6)):
        label = draw.choice(labels)
        position += draw.choice((0, 0, 1, 3)) or int(scheme == "io" and label == before)
        spans.append(Span(position, position := position + draw.choice((1, 1, 2, 3, 5)), label))
        before = label
    return tags.encode(spans, position + draw.randrange(3), scheme)


def invalid(draw: random.Random, scheme: str, labels: Sequence[str], length: int) -> Row:
    """Return random tags of a scheme, mostly no valid sequence."""
    names = ["O", "O", *(f"{prefix}-{label}" for prefix in PREFIXES[scheme] for label in labels)]
    return [draw.choice(names) for _ in range(length)]


def pairs(scheme: str, kind: str, labels: Sequence[str], seed: str) -> tuple[list[Row], list[Row]]:
    """Return gold and predicted tags of sentences; half of the predicted sentences differ in some words only."""
    draw = random.Random(f"{scheme} {kind} {labels} {seed}")
    gold, predicted = [], []
    for _ in range(SENTENCES):
        row = valid(draw, scheme, labels)
        other = valid(draw, scheme, labels)
        while kind == "valid" and len(other) != len(row) and draw.random() < 0.9:
            other = valid(draw, scheme, labels)
        if kind != "valid":
            noise = invalid(draw, scheme, labels, len(row))
            rate = draw.choice((0.2, 1.0))
            other = [new if draw.random() < rate else old for old, new in zip(row, noise, strict=True)]
            if kind == "both invalid":
                row = invalid(draw, scheme, labels, len(row))
        gold.append(row)
        predicted.append(other if len(other) == len(row) else row)
    return gold, predicted


def renamed(rows: Sequence[Row], scheme: str) -> list[Row]:
    """Return the tags with the prefixes of BIOES, which are those that seqeval reads by default."""
    table = RENAMED.get(scheme, {})
    return [[cell[0].translate(table) + cell[1:] for cell in row] for row in rows]


def default(scheme: str, kind: str, labels: Sequence[str]) -> None:
    """Compare the default counts with the rules of the shared tasks, and with seqeval."""
    gold, predicted = pairs(scheme, kind, labels, "default")
    ours = entity.count_tags(gold, predicted)
    equal(mode(ours), counted(chunks(gold), chunks(predicted)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = default_support(renamed(gold, scheme), renamed(predicted, scheme), average=None, zero_division=0)
    close(ours, theirs, labels)


def strict(scheme: str, kind: str, labels: Sequence[str]) -> None:
    """Compare the strict counts with those of strict seqeval."""
    gold, predicted = pairs(scheme, kind, labels, "strict")
    ours = mode(entity.count_tags(gold, predicted, scheme), strict=True)
    sides = (gold, predicted)
    if scheme == "bmes":
        sides = renamed(gold, scheme), renamed(predicted, scheme)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = strict_support(*sides, average=None, zero_division=0, scheme=SEQEVAL[scheme])
    close(ours, theirs, labels)


def itself(scheme: str, labels: Sequence[str]) -> None:
    """Score valid gold tags against themselves in both modes, and through examples."""
    gold, _ = pairs(scheme, "valid", labels, "itself")
    for counts in (
        entity.count_tags(gold, gold),
        entity.count_tags(gold, gold, scheme),
        of_examples(gold, gold, scheme),
    ):
        equal(mode(counts), counted(chunks(gold), chunks(gold)))
        equal(mode(counts, strict=True), mode(counts))


def examples(rows: Sequence[Row], scheme: str) -> list[Example]:
    """Return sentences as a reader makes them."""
    found = []
    for row in rows:
        spans, names, raw = tags.normalize(row, scheme)
        found.append(Example([f"w{i}" for i in range(len(row))], spans=spans, tags=names, raw_tags=raw))
    return found


def of_examples(gold: Sequence[Row], predicted: Sequence[Row], scheme: str) -> Counter[str]:
    """Count entities through examples."""
    return entity.count(examples(gold, scheme), examples(predicted, scheme))


def read(scheme: str, kind: str, labels: Sequence[str]) -> None:
    """Compare entity and tag scores of examples with the rules applied to the rows."""
    gold, predicted = pairs(scheme, kind, labels, "read")
    equal(mode(of_examples(gold, predicted, scheme)), counted(chunks(gold), chunks(predicted)))
    sides = examples(gold, scheme), examples(predicted, scheme)
    names = [[example.tags or [] for example in side] for side in sides]
    cells = [(left, right) for pair in zip(*names, strict=True) for left, right in zip(*pair, strict=True)]
    ours = tag.scores(tag.count(*sides))
    equal(round(ours["accuracy"], 9), round(accuracy_score(*names), 9))
    f1 = {}
    for name in {name for cell in cells for name in cell}:
        right = sum(cell == (name, name) for cell in cells)
        f1[name] = 2 * right / sum((cell[0] == name) + (cell[1] == name) for cell in cells)
    equal({name: round(value, 9) for name, value in ours["f1"].items()}, {n: round(v, 9) for n, v in f1.items()})
    weighted = sum(f1[left] for left, _ in cells) / len(cells)
    equal(round(ours["weighted_f1"], 9), round(weighted, 9))


def converted(scheme: str, target: str, labels: Sequence[str]) -> None:
    """Convert tags to another scheme: the same entities, and valid tags return to themselves."""
    gold, predicted = pairs(scheme, "invalid", labels, target)
    if target == "io":  # cannot separate entities that touch
        gold, predicted = ([row for row in side if no_touch(row)] for side in (gold, predicted))
        gold, predicted = gold + predicted, gold + predicted
    there = [[tags.encode(tags.decode(row), len(row), target) for row in side] for side in (gold, predicted)]
    equal(mode(entity.count_tags(there[0], there[1])), counted(chunks(gold), chunks(predicted)))
    for old, new in zip(gold, there[0], strict=True):
        if tags.well_formed(old, tags.entities(old), scheme) == tags.entities(old):
            equal(tags.encode(tags.decode(new), len(new), scheme), old)


def no_touch(row: Row) -> bool:
    """Return whether no two entities of one label touch."""
    found = tags.entities(row)
    return all(a[1] < b[0] or a[2] != b[2] for a, b in pairwise(found))


def written(scheme: str, explicit: bool, form: str) -> None:
    """Read gold tags, write predictions as the last column, and read them back with the rules of the shared tasks."""
    draw = random.Random(f"{scheme} {form}")
    gold = [row for row in (valid(draw, scheme, LABELS["labels"]) for _ in range(SENTENCES)) if row]
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/in", f"{folder}/out"
        if form == "conll":
            lines = ("".join(f"w{i} {cell}\n" for i, cell in enumerate(row)) for row in gold)
            Path(source).write_text("\n".join(lines))
        else:
            Path(source).mkdir()
            Path(source, "seq.in").write_text(
                "".join(" ".join(f"w{i}" for i in range(len(row))) + "\n" for row in gold)
            )
            Path(source, "seq.out").write_text("".join(" ".join(row) + "\n" for row in gold))
            Path(source, "label").write_text("x\n" * len(gold))
        module = load_component("formats", form)
        config: Any = parse_component("formats", {"name": form, **({"scheme": scheme} if explicit else {})})
        documents = list(module.read(source, config, "regex", for_rewriting=True))
        predicted, kept = [], []
        for document in documents:
            new = []
            for example in document.examples:
                spans = tags.decode(valid(draw, "bio", LABELS["labels"]))
                spans = [span for span in spans if span.end <= len(example.words)]
                names = tags.encode(spans, len(example.words))
                new.append(Example(**{**fields(example), "spans": spans, "tags": names}))
                kept.append(new[-1])
            predicted.append(Document(new, document.id, document.source, document.scheme, document.source_lines))
        module.write(target, predicted, config)
        if form == "conll":
            found = columns(Path(target).read_text())
        else:
            found = gold, [line.split(" ") for line in Path(target, "seq.out").read_text().splitlines()]
    equal(found[0], gold)
    read_examples = [example for document in documents for example in document.examples]
    equal(mode(entity.count(read_examples, kept)), counted(chunks(found[0]), chunks(found[1])))


def fields(example: Example) -> dict[str, Any]:
    """Return the fields of an example."""
    return {name: getattr(example, name) for name in Example.__dataclass_fields__}


def columns(text: str, first: int = -2) -> tuple[list[Row], list[Row]]:
    """Return a column of a file, by default the last but one, and the last column, by sentence."""
    sides: tuple[list[Row], list[Row]] = ([], [])
    for block in text.replace("\n-DOCSTART-", "\n\n-DOCSTART-").split("\n\n"):
        cells = [line.split() for line in block.splitlines() if line.strip() and not line.startswith("-DOCSTART-")]
        if cells:
            for side, column in zip(sides, (first, -1), strict=True):
                side.append([row[column] for row in cells])
    return sides


@cache
def run() -> Path:
    """Train a tagger for a moment on the sample, without constraints, so that it predicts invalid sequences."""
    from ner.commands import train

    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    options = ["training.epochs=2", "training.learning_rate=0.02", "decoder.scheme=bio", "decoder.constraints=none"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = train.main(["--config", str(ROOT / "configs/tiny.yaml"), "--run", f"{folder.name}/run", *options])
    equal(code, 0)
    return Path(folder.name) / "run"


def evaluated(scheme: str, source: Path) -> None:
    """Compare the scores of ``evaluate.py`` with the rules of the shared tasks applied to the columns that it writes.

    Args:
        scheme: Scheme to which the tags of the file are converted; an empty string for the file as it is.
        source: Columns, the word first and the tag last.
    """
    from ner.commands import evaluate

    directory = run()
    with tempfile.TemporaryDirectory() as folder:
        if scheme:
            text = source.read_text()
            lines = []
            for words, names in zip(columns(text, 0)[0], columns(text)[1], strict=True):
                spans = tags.decode(names)
                if scheme == "io":
                    spans = spans[:1]
                new = tags.encode(spans, len(names), scheme)
                lines.append("".join(f"{word} {name}\n" for word, name in zip(words, new, strict=True)))
            source = Path(folder) / "some.conll"
            source.write_text("\n".join(lines))
        scores, target = f"{folder}/scores.json", f"{folder}/columns.conll"
        arguments = ["--run", str(directory), "--data", str(source), "--json", scores, "--predictions", target]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as errors:
            equal((evaluate.main(arguments), errors.getvalue()), (0, ""))
        found = columns(Path(target).read_text())
        result = json.loads(Path(scores).read_text())["entity"]["by_type"]
    theirs = counted(chunks(found[0]), chunks(found[1]))
    equal(
        Counter({f"{kind} {label}": int(v[kind]) for label, v in result.items() for kind in entity.KINDS if v[kind]}),
        theirs,
    )
    assert sum(number for key, number in theirs.items() if key.startswith("predicted")) > 100, "too few predictions"


def corpus(path: str, scheme: str) -> None:
    """Score noisy predictions for a file of CoNLL-2003 in all schemes, and its gold tags against themselves."""
    draw, (_, rows) = random.Random(path + scheme), columns((CONLL / path).read_text())
    gold = [tags.encode(tags.decode(row), len(row), scheme) for row in rows]
    labels = LABELS["labels"] + ("MISC",)
    predicted = [
        [
            new if draw.random() < 0.05 else old
            for old, new in zip(row, invalid(draw, scheme, labels, len(row)), strict=True)
        ]
        for row in gold
    ]
    equal(mode(entity.count_tags(gold, predicted)), counted(chunks(gold), chunks(predicted)))
    counts = entity.count_tags(gold, gold)
    equal(mode(counts, strict=True), mode(counts))
    if scheme != "io":  # which merges entities that touch
        equal(mode(counts), counted(chunks(rows), chunks(rows)))
    if scheme in ("bio", "bioes", "bilou"):
        found = strict_support(gold, predicted, average=None, zero_division=0, scheme=SEQEVAL[scheme])
        close(mode(entity.count_tags(gold, predicted), strict=True), found, labels)


def cases() -> Iterator[Case]:
    """Yield the cases; those of CoNLL-2003 only where the corpus is present."""
    for scheme in PREFIXES:
        for names, labels in LABELS.items():
            for kind in ("valid", "invalid", "both invalid"):
                yield Case("default counts", f"{scheme}, {kind}, {names}", partial(default, scheme, kind, labels))
        for names, labels in LABELS.items():
            kinds = ("valid", "invalid", "both invalid") if scheme not in ("iob1", "io") else ("valid",)
            for kind in kinds if scheme != "io" and names != "hyphens" else ():
                yield Case("strict counts", f"{scheme}, {kind}, {names}", partial(strict, scheme, kind, labels))
            yield Case("valid gold against itself", f"{scheme}, {names}", partial(itself, scheme, labels))
        for kind in ("valid", "invalid"):
            yield Case("examples and tags", f"{scheme}, {kind}", partial(read, scheme, kind, LABELS["labels"]))
        for target in PREFIXES:
            yield Case("conversions", f"{scheme} to {target}", partial(converted, scheme, target, LABELS["hyphens"]))
        for form in ("conll", "slot_filling"):
            for explicit in (False, True):
                name = f"{form}, {scheme}, {'named' if explicit else 'detected'}"
                yield Case("columns read back", name, partial(written, scheme, explicit, form))
        yield Case("evaluate.py", scheme, partial(evaluated, scheme, ROOT / "data/sample/en/train.conll"))
    for path in ("four_column_iob1/eng.testa", "four_column_iob1/eng.testb", "four_column_bio2/test.txt"):
        if (CONLL / path).exists():
            for scheme in PREFIXES:
                yield Case("CoNLL-2003", f"{path} in {scheme}", partial(corpus, path, scheme))
            for scheme in ("", *PREFIXES):
                name = f"evaluate.py on {path}{f' in {scheme}' if scheme else ''}"
                yield Case("CoNLL-2003", name, partial(evaluated, scheme, CONLL / path))


if __name__ == "__main__":
    promise = "Entity and tag scores equal those of the CoNLL rules, of seqeval, and of the columns that are written."
    sys.exit(main("scoring", promise, cases()))
