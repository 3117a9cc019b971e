"""Write the documents that contain figures of ``results/``: ``python results/render.py [--check]``.

Each module of ``pages/`` makes a page or the tables of one. With ``--check`` nothing is written; the exit code is 1 if
a document is out of date.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from pages import notes, recipes, recorded, reliability, results, scores, training  # after the path

ROOT = recorded.ROOT


def main() -> int:
    """Write the documents, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if a document is out of date")
    check = parser.parse_args().check
    found = recorded.load()
    docs, figures = ROOT / "docs", ROOT / "results"
    experiments = sorted((figures / "reliability").glob("*.json"))
    score_tables = {
        "calibration": scores.calibration,
        "robustness": scores.robustness,
        "suspects": scores.suspects,
    }
    training_tables = {
        "regularisation": training.regularisation,
        "crashes": training.crashes,
        "large": training.large,
        "learning_curve": training.learning_curve,
    }
    documents = {
        docs / "results.md": results.results_page(found, recorded.load(figures / "one_recipe")),
        ROOT / "configs" / "measured.json": recipes.measured(found),
        docs / "notes.md": notes.notes_page(docs / "notes.md", found),
        docs / "training.md": recorded.filled(docs / "training.md", training_tables, figures / "training"),
        docs / "scores.md": recorded.filled(docs / "scores.md", score_tables, figures / "scores"),
        docs / "data.md": recorded.filled(docs / "data.md", {"checks": scores.checks}, figures / "scores"),
        docs / "deploy.md": recorded.filled(
            docs / "deploy.md", {"service": reliability.service}, figures / "reliability"
        ),
        docs / "reliability.md": reliability.reliability_page(
            {path.stem: json.loads(path.read_bytes()) for path in experiments}
        ),
    }
    if check:
        return int(any(not path.exists() or path.read_text("utf-8") != text for path, text in documents.items()))
    for path, text in documents.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
