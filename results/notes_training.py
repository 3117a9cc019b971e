"""The experiments of docs/notes.md, section "Training": ``python results/notes_training.py``.

Trains below ``runs/notes`` and writes ``results/training/notes.json``; ``results/render.py`` makes the tables of it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from ner.commands import train  # noqa: E402  # after the path
from ner.training import control  # noqa: E402  # after the path
from ner.training.progress import Progress  # noqa: E402  # after the path
from ner.training.run import TrainingRun  # noqa: E402  # after the path

RUNS = ROOT / "runs" / "notes"
TARGET = ROOT / "results" / "training" / "notes.json"


def run(name: str, config: str, *options: str) -> dict[str, Any]:
    """Train unless the run exists, and return its summary."""
    directory = RUNS / name
    command = ["--config", f"configs/{config}.yaml", "--run", str(directory), *options]
    if not (directory / "metrics.json").exists() or "--resume" in options:
        assert train.main(command) == 0
    return summary(
        directory, ["train.py", "--config", f"configs/{config}.yaml", "--run", f"runs/notes/{name}", *options]
    )


def summary(directory: Path, command: Sequence[str]) -> dict[str, Any]:
    """Return epochs, losses and scores of a run."""
    rows = history(directory)
    metrics = json.loads((directory / "metrics.json").read_bytes())
    best = metrics["epoch"] - 1
    keep = ("seed", "versions", "device", "threads", "seconds")
    return {
        "command": " ".join(command),
        "epochs": len(rows),
        "best_epoch": metrics["epoch"],
        "steps": int(rows[-1]["step"]),
        "valid_losses": [float(row["avg_val_loss"]) for row in rows],
        "valid_f1": [float(row["f1"]) for row in rows],
        "best_f1": float(rows[best]["f1"]),
        "last_f1": float(rows[-1]["f1"]),
        "test_f1": metrics["test"]["entity"]["micro"]["f1"],
        "batch_sizes": [int(row["batch_size"]) for row in rows],
        "sentences": [int(row["sentences"]) for row in rows],
        **{key: metrics[key] for key in keep},
    }


def history(directory: Path) -> list[dict[str, str]]:
    """Read the rows of history.csv."""
    with open(directory / "history.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def resumed() -> dict[str, Any]:
    """Compare thirty epochs with thirty whose last twenty use the doubled batch, up to the resume."""
    whole = run("amp", "notes/amp")
    stopped = RUNS / "amp_doubled"
    if not stopped.exists():
        stop = ["--config", "configs/notes/amp.yaml", "--run", str(stopped)]
        train_run = TrainingRun.train

        def stopping(self: TrainingRun, *arguments: Any, **options: Any) -> Iterator[Progress]:
            for progress in train_run(self, *arguments, **options):
                yield progress
                if progress.epoch_record is not None and progress.epoch == 10:
                    control.write_requests(stopped, ["stop=step"])

        TrainingRun.train = stopping  # type: ignore[method-assign]
        try:
            assert train.main(stop) == 0
        finally:
            TrainingRun.train = train_run  # type: ignore[method-assign]
    doubled = run("amp_doubled", "notes/amp", "--resume", "batch.size=32")
    same = [left == right for left, right in zip(history(RUNS / "amp"), history(stopped), strict=True)]
    return {"whole": whole, "doubled": doubled, "equal_rows": same.index(False) if False in same else len(same)}


def main() -> None:
    """Run all experiments, short ones first."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    os.chdir(ROOT)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    found["step_log"] = run("step_log", "notes/step_log")
    found["step_log_accumulated"] = run("step_log_accumulated", "notes/step_log", "batch.micro_size=4")
    found["amp"] = resumed()
    found["plateau"] = run("plateau", "notes/finetuning_plateau")
    found["ninety"] = run("ninety", "notes/finetuning")
    start = "runs/notes/amp"
    found["continued"] = run("continued", "notes/finetuning", "decoder=crf", "--init", start)
    found["continued_plateau"] = run("continued_plateau", "notes/finetuning_plateau", "decoder=crf", "--init", start)
    TARGET.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    shutil.copy(RUNS / "ninety" / "history.csv", TARGET.parent / "notes-ninety.csv")
    shutil.copy(RUNS / "plateau" / "history.csv", TARGET.parent / "notes-plateau.csv")


if __name__ == "__main__":
    main()
