"""Experiment of ``docs/scores.md``: wrong labels that are put into CoNLL-2003 on purpose and found by ``ner suspects``.

``python results/suspects.py corrupt`` writes the corrupted training file, ``train`` trains the models of the folds, and
``rank`` writes ``results/scores/suspects.json``. Three folds of four epochs take about half an hour on one core.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from ner.data import tags  # noqa: E402  # this checkout, not an installed package
from ner.types import Span  # noqa: E402

LABELS = ("LOC", "MISC", "ORG", "PER")
SHARE = 0.05
FOLDS = 3
EPOCHS = 4
SHARES = (0.02, 0.05, 0.1, 0.2)
"""Parts of the ranking in which changed annotations are counted."""


def corrupt(source: Path, folder: Path, seed: int = 1) -> None:
    """Change one gold span in 5 % of the sentences: its type, its boundary or its presence, a third each."""
    draw = random.Random(seed)
    lines = source.read_text(encoding="utf-8").splitlines()
    sentences: list[list[int]] = [[]]
    for number, line in enumerate(lines):
        if not line.strip() or line.startswith("-DOCSTART-"):
            sentences.append([])
        else:
            sentences[-1].append(number)
    sentences = [sentence for sentence in sentences if sentence]
    tagged = [sentence for sentence in sentences if any(not lines[n].endswith(" O") for n in sentence)]
    chosen = draw.sample(tagged, round(SHARE * len(sentences)))
    changes = []
    for position, sentence in enumerate(chosen):
        words, names = zip(*(lines[number].split(" ") for number in sentence), strict=True)
        spans = tags.decode(names)
        old = draw.choice(spans)
        others = [span for span in spans if span is not old]
        kind = ("type", "boundary", "removed")[position % 3]
        new: Span | None = None
        if kind == "type":
            new = Span(old.start, old.end, draw.choice([label for label in LABELS if label != old.label]))
        elif kind == "boundary":
            moved = [
                Span(old.start + left, old.end + right, old.label)
                for left, right in ((-1, 0), (1, 0), (0, -1), (0, 1))
                if 0 <= old.start + left < old.end + right <= len(words)
            ]
            moved = [s for s in moved if all(s.end <= other.start or other.end <= s.start for other in others)]
            if not moved:
                kind = "removed"  # a sentence of one word
            else:
                new = draw.choice(moved)
        spans = sorted([*others, *([new] if new else [])])
        for number, word, tag in zip(sentence, words, tags.encode(spans, len(words)), strict=True):
            lines[number] = f"{word} {tag}"
        place = new or old
        changes.append({"line": sentence[0] + 1, "kind": kind, "start": place.start, "end": place.end})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.conll").write_text("\n".join(lines) + "\n", encoding="utf-8")
    counts = {"sentences": len(sentences), "seed": seed, "changes": changes}
    (folder / "changes.json").write_text(json.dumps(counts) + "\n", encoding="utf-8")


def train(folder: Path) -> int:
    """Train a model without each fold."""
    from ner.commands import suspects

    return suspects.main(arguments_of(folder))


def measure(folder: Path, seconds: float) -> dict[str, object]:
    """Rank all annotations, and count the changed ones within the first 10 %."""
    from ner.commands.suspects import rank
    from ner.config.load import load_config
    from ner.training.out_of_fold import fold_config

    config, _ = load_config(arguments_of(folder)[1], arguments_of(folder)[6:])
    ranking = rank(fold_config(config), folder / "found", FOLDS)
    truth = json.loads((folder / "changes.json").read_bytes())
    changes = {change["line"]: change for change in truth["changes"]}
    ranks: dict[int, int] = {}
    for number, suspect in enumerate(ranking):
        change = changes.get(suspect.example.line)
        if change is None or suspect.example.line in ranks:
            continue
        place, (start, end) = suspect.place, (change["start"], change["end"])
        if change["kind"] == "removed":
            hit = suspect.gold is None and place.start < end and start < place.end
        else:
            hit = suspect.gold is not None and (place.start, place.end) == (start, end)
        if hit:
            ranks[suspect.example.line] = number
    first = len(ranking) // 10
    kinds = {}
    for kind in ("type", "boundary", "removed"):
        lines = [line for line, change in changes.items() if change["kind"] == kind]
        within = {share: sum(ranks.get(line, 10**9) < len(ranking) * share for line in lines) for share in SHARES}
        kinds[kind] = {"changed": len(lines), **{f"within_{share:.0%}": found for share, found in within.items()}}
    total = {name: sum(counts[name] for counts in kinds.values()) for name in kinds["type"]}
    return {
        "experiment": "python results/suspects.py",
        "data": "CoNLL-2003 train, all sentences",
        "sentences": truth["sentences"],
        "seed": truth["seed"],
        "folds": FOLDS,
        "epochs": EPOCHS,
        "config": "configs/conll2003/bilstm_crf.yaml",
        "annotations": len(ranking),
        "first_tenth": first,
        "kinds": kinds,
        "total": total,
        "found": total["within_10%"] / total["changed"],
        "seconds_of_training": round(seconds),
    }


def training_seconds(folder: Path) -> float:
    """Return the sum of the seconds of all epochs."""
    rows = [row for path in folder.glob("found/fold-*/timing.csv") for row in csv.DictReader(path.open(newline=""))]
    return sum(float(row["seconds"]) for row in rows)


def arguments_of(folder: Path) -> list[str]:
    """Return the arguments of ``ner suspects``."""
    config = str(ROOT / "configs" / "conll2003" / "bilstm_crf.yaml")
    options = [f"data.train={folder / 'train.conll'}", f"training.epochs={EPOCHS}"]
    return ["--config", config, "--folds", str(FOLDS), "--output", str(folder / "found"), *options]


def main() -> int:
    """Parse the command line and run a part of the experiment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["corrupt", "train", "rank"])
    parser.add_argument(
        "--source", type=Path, default=ROOT / "data/conll2003/train.txt", help="two-column training file"
    )
    parser.add_argument("--folder", type=Path, default=Path("runs/suspects"), help="folder of the experiment")
    arguments = parser.parse_args()
    if arguments.part == "corrupt":
        corrupt(arguments.source, arguments.folder)
        return 0
    if arguments.part == "train":
        return train(arguments.folder)
    result = measure(arguments.folder, training_seconds(arguments.folder))
    target = ROOT / "results" / "scores" / "suspects.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["total"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
