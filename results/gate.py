"""Quality gate: test F1 of the sample configurations against thresholds from several seeds.

``python results/gate.py train`` runs the trainings of ``results/gate/sample.json`` (20 minutes) and writes that file;
``python results/gate.py check CONFIG`` fails if the newest run of a configuration is below its threshold on test.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from ner.commands import train  # noqa: E402  # this checkout, not an installed package

RESULT = ROOT / "results" / "gate" / "sample.json"
BERT, BILSTM = "configs/bert_crf.yaml", "configs/bilstm_crf.yaml"
FIXED = {BERT: 0.80}
"""Thresholds that are required rather than measured."""
SEEDS = {BILSTM: (1, 2, 3, 4, 5), BERT: (1,)}
FAULTS = {
    "bilstm_no_dropout": (BILSTM, "no dropout", ["context.dropout=0", "encoder.dropout=0"]),
    "bilstm_constant": (BILSTM, "a constant schedule", ["training.schedule=constant"]),
    "bert_head_rate": (
        BERT,
        "the decoder's learning rate 100 times lower",
        ["training.learning_rate={encoder: 2e-4, decoder: 2e-5}"],
    ),
    "bert_one_rate": (BERT, "one learning rate of 2e-3 for encoder and decoder", ["training.learning_rate=2e-3"]),
}
"""Name -> configuration, description and overrides of a training with one deliberate fault."""


def main() -> int:
    """Parse the command line and run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("train").add_argument("--runs", default="runs/gate", help="directory for the runs")
    checking = commands.add_parser("check")
    checking.add_argument("config", choices=[BERT, BILSTM])
    checking.add_argument("--run", help="by default the newest run of the configuration")
    arguments = parser.parse_args()
    return check(arguments.config, arguments.run) if arguments.command == "check" else measure(Path(arguments.runs))


def check(config: str, directory: str | None) -> int:
    """Compare the test F1 of a run with the threshold of its configuration."""
    run = Path(directory) if directory else max((ROOT / "runs" / Path(config).stem).iterdir())
    reached = f1(json.loads((run / "metrics.json").read_bytes()))
    threshold = json.loads(RESULT.read_bytes())["gates"][config]["threshold"]
    verdict = "passed" if reached >= threshold else "failed"
    print(f"quality gate {verdict}: {config} has a test entity F1 of {reached:.4f}; the threshold is {threshold:.4f}")
    return 0 if reached >= threshold else 1


def measure(runs: Path) -> int:
    """Train what is missing in a directory, then write the thresholds and what they detect."""
    scores = {
        config: [trained(runs / f"{Path(config).stem}_seed{seed}", config, [f"seed={seed}"]) for seed in seeds]
        for config, seeds in SEEDS.items()
    }
    gates: dict[str, Any] = {}
    for config, found in scores.items():
        gates[config] = {"test_f1": found, "threshold": FIXED.get(config) or threshold(found)}
    faults = []
    for name, (config, description, overrides) in FAULTS.items():
        reached = trained(runs / name, config, overrides)
        detected = reached < gates[config]["threshold"]
        faults.append({"config": config, "fault": description, "test_f1": reached, "detected": detected})
    RESULT.write_text(json.dumps({"command": "make gate", "gates": gates, "faults": faults}, indent=1) + "\n")
    return 0


def threshold(scores: list[float]) -> float:
    """Return the mean minus three standard deviations, rounded down to three digits."""
    return int(1000 * (statistics.mean(scores) - 3 * statistics.stdev(scores))) / 1000


def trained(run: Path, config: str, overrides: list[str]) -> float:
    """Return the test F1 of a run, trained first if it does not exist."""
    if not (run / "metrics.json").is_file():
        code = train.main(["--config", config, "--run", str(run), *overrides])
        assert code == 0, f"training failed with exit code {code}"
    return f1(json.loads((run / "metrics.json").read_bytes()))


def f1(metrics: dict[str, Any]) -> float:
    """Return the micro F1 of the entities on test."""
    value: float = metrics["test"]["entity"]["micro"]["f1"]
    return value


if __name__ == "__main__":
    sys.exit(main())
