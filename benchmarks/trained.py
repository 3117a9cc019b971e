"""Test F1 and minutes of training of the systems in the tagging benchmarks: ``python benchmarks/trained.py``.

Ours are the means of the seeds in ``results/`` (``make figures``), the peers those of ``make bench-models``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean
from typing import Any

from extras import keep

ROOT = Path(__file__).parents[1]
OURS = ("bilstm_crf", "minilm_fast", "minilm_crf")
PEERS = {
    "flair": "Flair SequenceTagger, one-hot words, 12 epochs",
    "spacy": "spaCy, blank tok2vec NER",
    "hf": "Hugging Face Trainer, bundled encoder, 3 epochs",
}


def main() -> None:
    """Read the records, and write ``results/benchmarks/models.extra.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=ROOT / "benchmarks" / "models")
    models = parser.parse_args().models
    rows = []
    for name in OURS:
        paths = sorted((ROOT / "results").glob(f"conll2003-{name}*.json"))
        records: list[dict[str, Any]] = [json.loads(path.read_bytes()) for path in paths]
        scores = [record["test"]["entity"]["micro"]["f1"] for record in records]
        seconds = [record["processor_seconds"] for record in records if "processor_seconds" in record]
        rows.append([f"this project, conll2003/{name}", str(len(scores)), mean(scores), mean(seconds)])
    for name, title in PEERS.items():
        record = json.loads((models / name / "score.json").read_bytes())
        rows.append([title, "1", record["test_f1"], record["processor_seconds"]])
    keep(
        "models",
        title="Trained models of the tagging benchmarks",
        command="python benchmarks/trained.py",
        note="Mean entity F1 on CoNLL-2003 test, and mean processor time of the training with one thread.",
        columns=["system", "seeds", "test F1", "minutes of training"],
        rows=[[title, seeds, f"{100 * f1:.2f}", f"{seconds / 60:.1f}"] for title, seeds, f1, seconds in rows],
    )


if __name__ == "__main__":
    main()
