"""seqeval: micro precision, recall and F1 of lists of tags."""

from __future__ import annotations

import warnings
from typing import Any

import worker
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

warnings.simplefilter("ignore")


def prepare(gold: str, times: int, limit: int | None = None) -> Any:
    """Score with the fastest seqeval function that returns all three."""
    wanted, found = worker.tag_lists(gold, times, limit)

    def repeat() -> dict[str, Any]:
        scores = precision_recall_fscore_support(wanted, found, average="micro")
        return {"words": sum(map(len, wanted)), "result": [round(float(score), 9) for score in scores[:3]]}

    return repeat


if __name__ == "__main__":
    worker.serve(prepare, ["seqeval", "numpy"])
