"""Figures of ``docs/scores.md``: calibration error, thresholds and robustness of a run, without changing it.

``python results/calibration.py --run DIR`` writes ``calibration.json`` and ``robustness.json`` in ``results/scores``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from ner.config.parts import load_component  # noqa: E402  # this checkout, not an installed package
from ner.evaluation.reliability import reliability  # noqa: E402
from ner.evaluation.robustness import PERTURBATIONS, perturb  # noqa: E402
from ner.evaluation.scorer import Scorer  # noqa: E402
from ner.inference.tagger import Tagger  # noqa: E402
from ner.runs.history import read_history  # noqa: E402
from ner.training.temperature import calibrate  # noqa: E402
from ner.types import Document  # noqa: E402

PRECISIONS = (0.9, 0.95, 0.98)


def main() -> int:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    arguments = parser.parse_args()
    tagger = Tagger.load(arguments.run)
    data = tagger.config.data
    assert data.valid, "the run has a validation file"
    assert data.test, "the run has a test file"
    form = load_component("formats", data.format.name)
    valid, test = (list(form.read(path, data.format, data.word_rule)) for path in (data.valid, data.test))
    decoder = tagger.model.tag_decoder
    assert decoder is not None
    decoder.temperature = 1.0
    before, gold = predictions(tagger, test)
    started = time.perf_counter()
    found = calibrate(tagger, valid, "valid")
    seconds = time.perf_counter() - started
    after, _ = predictions(tagger, test)
    thresholds = []
    for precision in PRECISIONS:
        chosen = found.choose_threshold(precision)
        kept = [correct for probability, correct in after if probability >= chosen.probability]
        reached = {"kept": len(kept), "precision": sum(kept) / len(kept), "recall": sum(kept) / gold}
        thresholds.append({**asdict(chosen), **reached})
    result = {
        "experiment": "python results/calibration.py --run DIR",
        "config": "configs/conll2003/bilstm_crf.yaml",
        "epochs": kept_epoch(Path(arguments.run)),
        "temperature": found.temperature,
        "seconds": round(seconds, 1),
        "valid": {"sentences": found.sentences, "before": asdict(found.before), "after": asdict(found.after)},
        "test": {"before": asdict(reliability(before)), "after": asdict(reliability(after))},
        "thresholds": thresholds,
    }
    write("calibration", result)
    changed = {name: list(perturb(test, name)) for name in PERTURBATIONS}
    write("robustness", {name: f1(tagger, documents) for name, documents in {"unchanged": test, **changed}.items()})
    return 0


def kept_epoch(run: Path) -> int:
    """Return the number of epochs of the kept model."""
    return max(int(row["epoch"]) for row in read_history(run / "history.csv") if row["best"])


def write(name: str, content: dict[str, Any]) -> None:
    """Write ``results/scores/<name>.json``."""
    folder = ROOT / "results" / "scores"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def predictions(tagger: Tagger, documents: list[Document]) -> tuple[list[tuple[float, bool]], int]:
    """Return probability and correctness of each predicted entity, and the number of gold entities."""
    found, gold = [], 0
    for chunk in tagger.annotate(documents, probabilities=True):
        for one, other in zip(chunk.gold, chunk.predicted, strict=True):
            for left, right in zip(one.examples, other.examples, strict=True):
                spans = {*left.spans}
                gold += len(spans)
                found += [(span.score or 0.0, span in spans) for span in right.spans]
    return found, gold


def f1(tagger: Tagger, documents: list[Document]) -> float:
    """Return the micro F1 of entities."""
    scorer = Scorer(["entity"])
    for chunk in tagger.annotate(documents):
        scorer.add_chunk(chunk)
    score: float = scorer.result().scores["entity"]["micro"]["f1"]
    return score


if __name__ == "__main__":
    sys.exit(main())
