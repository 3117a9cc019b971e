"""Time and memory of ``ner predict`` on column files of one and ten million words."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from extras import keep

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Write the file, tag it and measure time and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--source", required=True, help="column file that is repeated")
    parser.add_argument("--millions", type=int, nargs="*", default=[1, 10])
    arguments = parser.parse_args()
    with open(arguments.source, encoding="utf-8") as file:
        lines = [line.split()[0] + "\n" if line.strip() else "\n" for line in file]
    words = sum(line != "\n" for line in lines)
    rows = []
    for millions in arguments.millions:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "in.conll"), Path(folder, "out.conll")
            with source.open("w", encoding="utf-8") as file:
                times = -(-millions * 1_000_000 // words)
                for _ in range(times):
                    file.writelines(lines)
            options = ["--format", "conll", "--input", str(source), "--output", str(target)]
            started = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", "ner", "predict", "--run", arguments.run, *options],
                cwd=ROOT,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
            assert status == 0, "ner predict failed"
            assert sum(1 for _ in target.open()) == times * len(lines), "a line in, a line out"
            rate = times * words / seconds
            rows.append([f"{times * words:,}", f"{seconds:.0f}", f"{rate:,.0f}", f"{usage.ru_maxrss / 1024:.0f}"])
    keep(
        "large_file",
        title="Prediction on a large file",
        command="python benchmarks/large_file.py --run RUN --source CONLL/train.txt",
        note="`ner predict --format conll` with the BiLSTM-CRF; the whole command, including reading and writing.",
        columns=["words", "seconds", "words/s", "peak memory, MB"],
        rows=rows,
    )


if __name__ == "__main__":
    main()
