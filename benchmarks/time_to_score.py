"""Processor time until the test F1 of a peer is reached: ``python benchmarks/time_to_score.py --conll DIR``.

The peer is the model ``hf`` of ``make bench-models``: ``Trainer`` of transformers over the bundled encoder with three
epochs, grouped by length. The recipe ``conll2003/minilm_fast`` is trained for one epoch, then for one more until it
reaches the peer's score; each training is complete, with a learning rate that decays to 0. Both times are processor
times of whole processes with one thread, from the start to the test score.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from extras import keep

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from ner.runtime.device import processor  # noqa: E402  # after the path

MAX_EPOCHS = 5


def timed(command: list[str], target: Path) -> float:
    """Run a command with one thread and return its processor time in seconds; its output goes beside ``target``."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    log = target.with_suffix(".log")
    with log.open("w") as file:
        code = subprocess.run(command, env=environment, cwd=ROOT, check=False, stdout=file, stderr=file).returncode
    if code:
        raise SystemExit(f"{' '.join(command)} ended with exit code {code}:\n{log.read_text()[-3000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Train both, and write ``results/benchmarks/time_to_score.extra.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conll", required=True, type=Path, help="folder of train.txt, valid.txt and test.txt")
    parser.add_argument("--models", type=Path, default=ROOT / "benchmarks" / "models")
    arguments = parser.parse_args()
    files = {split: str((arguments.conll / f"{split}.txt").resolve()) for split in ("train", "valid", "test")}
    record = json.loads((arguments.models / "hf" / "score.json").read_bytes())
    peer, peer_seconds = record["test_f1"], record["processor_seconds"]
    rows = [["Trainer, grouped by length", "3", f"{100 * peer:.2f}", f"{peer_seconds / 60:.1f}", ""]]
    with tempfile.TemporaryDirectory() as folder:
        for epochs in range(1, MAX_EPOCHS + 1):
            run = Path(folder, f"ours{epochs}")
            command = [sys.executable, "train.py", "--config", "configs/conll2003/minilm_fast.yaml", "--run", str(run)]
            data = [f"data.{split}={path}" for split, path in files.items()]
            seconds = timed([*command, *data, f"training.epochs={epochs}"], run)
            score = json.loads((run / "metrics.json").read_bytes())["test"]["entity"]["micro"]["f1"]
            ratio = f"{peer_seconds / seconds:.2f}"
            rows.append(["this project, minilm_fast", str(epochs), f"{100 * score:.2f}", f"{seconds / 60:.1f}", ratio])
            if score >= peer:
                break
        else:
            rows.append(["this project, minilm_fast", "", "not reached", "", ""])
    keep(
        "time_to_score",
        title="Time until a peer's score is reached",
        command="python benchmarks/time_to_score.py --conll DIR",
        note=f"{processor()}, one thread; complete trainings on CoNLL-2003, seed 1, one "
        "after the other, the peer's by make bench-models. The peer reads all six "
        "layers of the bundled encoder, minilm_fast the lower three with characters, BiLSTM and CRF. Processor time of "
        "each process from its start to the test score; the ratio is that of the peer over ours. Epochs are added "
        "until our test score is at least that of the peer. Goal: 3.",
        columns=["system", "epochs", "test F1", "processor minutes", "ratio"],
        rows=rows,
    )


if __name__ == "__main__":
    main()
