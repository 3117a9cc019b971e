"""Time of ``ner check`` on 1,000,000 lines, on one thread: ``python benchmarks/check.py [--json FILE]``.

The file is generated: sentences of 5 to 35 words, 60,000 different words with Zipf-like frequencies, 8 % of them in
entities, 2 % of the sentences repeated. The whole command is timed in a new process, start of Python and import of
torch included; reading and checking are timed apart.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LINES = 1_000_000
REPEATS = 5
CONFIG = """\
data: {train: train.conll}
encoder: {name: embedding, dimension: 50}
training: {keep_epoch: last}
"""


def generate(path: Path, lines: int) -> None:
    """Write a column file with so many lines, blank ones included."""
    random.seed(1)
    vocabulary = [f"word{number}" for number in range(60_000)]
    weights = [1 / (rank + 1) for rank in range(len(vocabulary))]
    pool = iter(random.choices(vocabulary, weights, k=lines))
    written = 0
    sentences: list[list[str]] = []
    with path.open("w", encoding="utf-8") as file:
        while written < lines:
            if sentences and random.random() < 0.02:
                rows = random.choice(sentences)
            else:
                size = min(random.randint(5, 35), lines - written - 1)
                rows, inside = [], False
                for _ in range(max(size, 0)):
                    begins = random.random() < 0.05
                    inside = not begins and inside and random.random() < 0.4
                    tag = "B-PER" if begins else "I-PER" if inside else "O"
                    rows.append(f"{next(pool)} NN {tag}\n")
                    inside = begins or inside
                sentences.append(rows)
            rows = rows[: lines - written - 1]
            file.writelines([*rows, "\n"])
            written += len(rows) + 1


def main() -> int:
    """Generate the file, time the check, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="also write the figures to a file")
    arguments = parser.parse_args()
    from ner.config.base import WordRule  # noqa: F401  (imports pydantic before the clock starts)
    from ner.data.checks import check_documents
    from ner.data.formats import conll

    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    command, reading, checking = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "train.conll")
        generate(path, LINES)
        Path(folder, "config.yaml").write_text(CONFIG, encoding="utf-8")
        for _ in range(REPEATS):
            started = time.perf_counter()
            call = [sys.executable, "-m", "ner", "check", "--config", "config.yaml"]
            subprocess.run(call, cwd=folder, env=environment, check=True, capture_output=True)
            command.append(time.perf_counter() - started)
            started = time.perf_counter()
            documents = list(conll.read(str(path), conll.Config(), "space"))
            reading.append(time.perf_counter() - started)
            started = time.perf_counter()
            check_documents({"train": documents}, one_word_per_line=True)
            checking.append(time.perf_counter() - started)
            del documents
    figures = {
        "lines": LINES,
        "threads": 1,
        "command_seconds": round(statistics.median(command), 2),
        "read_seconds": round(statistics.median(reading), 2),
        "check_seconds": round(statistics.median(checking), 2),
        "repeats": REPEATS,
    }
    print(json.dumps(figures, indent=2))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
