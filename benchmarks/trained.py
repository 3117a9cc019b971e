"""Test F1 of the models from ``make bench-models``, which the tagging benchmarks load."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from extras import keep

ROOT = Path(__file__).parents[1]
TITLES = {
    "bilstm_crf": "this project, conll2003/bilstm_crf",
    "flair": "Flair SequenceTagger, one-hot words, 12 epochs",
    "spacy": "spaCy, blank tok2vec NER",
    "minilm_fast": "this project, conll2003/minilm_fast",
    "minilm_crf": "this project, conll2003/minilm_crf",
    "hf": "Hugging Face Trainer, bundled encoder, 3 epochs",
}


def main() -> None:
    """Read ``metrics.json`` or ``score.json`` of each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="benchmarks/models")
    rows = []
    for name, title in TITLES.items():
        folder = Path(parser.parse_args().models) / name
        if (folder / "metrics.json").is_file():
            metrics = json.loads((folder / "metrics.json").read_bytes())
            f1, seconds = metrics["test"]["entity"]["micro"]["f1"], metrics["seconds"]
        else:
            score = json.loads((folder / "score.json").read_bytes())
            f1, seconds = score["test_f1"], score["seconds"]
        rows.append([title, f"{100 * f1:.2f}", f"{seconds / 60:.1f}"])
    keep(
        "models",
        title="Trained models of the tagging benchmarks",
        command="python benchmarks/trained.py",
        note="Entity F1 on CoNLL-2003 test; minutes with one thread each.",
        columns=["system", "test F1", "minutes of training"],
        rows=rows,
    )


if __name__ == "__main__":
    main()
