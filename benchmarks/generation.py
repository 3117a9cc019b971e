"""Speed of answer generation with and without cached keys and values.

Both searches run in turns over the same questions in the same batches and must give the same answers. The one without a
memory reads question, passage and everything written so far again for each piece.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from extras import keep
from torch import Tensor

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from ner.config.parts import load_component  # noqa: E402  # after the path
from ner.inference.annotate import annotate  # noqa: E402  # after the path
from ner.model.beam_search import Cache  # noqa: E402  # after the path
from ner.model.decoders.unilm import UniLMDecoder  # noqa: E402  # after the path
from ner.model.saving import load  # noqa: E402  # after the path
from ner.types import Document, Scores  # noqa: E402  # after the path


class Forgetful(UniLMDecoder):
    """Decoder memory without a cache."""

    def step(self, scores: Scores, pieces: Tensor, past: Cache) -> tuple[Tensor, Cache]:
        """Recompute all positions; each prefix is a separate row with its source."""
        size, beams = pieces.shape[:2]
        each = torch.arange(size, device=pieces.device).repeat_interleave(beams)
        inputs = {"pieces": scores["pieces"], "piece_mask": scores["source"], "words": scores["words"]}
        anew = self({name: tensor[each] for name, tensor in inputs.items()})
        written = pieces.flatten(0, 1)[:, None]  # (S * G, 1, P)
        added = torch.cat([written, written.new_full((len(each), 1, 1), self.mask_id)], dim=2)
        place = torch.arange(added.shape[2], device=pieces.device)
        hidden, _ = self._write(anew, added, place, place[:, None] >= place, [])
        logs = self._logs(hidden[:, :, -1], anew)
        return logs.view(size, beams, -1), []


def run(model: Any, config: Any, documents: list[Document]) -> tuple[float, list[list[str]]]:
    """Return seconds and answers."""
    started = time.perf_counter()
    chunks = list(annotate(model, documents, config.batch, torch.device("cpu"), loss=False))
    seconds = time.perf_counter() - started
    return seconds, [e.answers for chunk in chunks for document in chunk.predicted for e in document.examples]


def main() -> None:
    """Measure three alternating rounds after a warm-up round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="of a configuration with the decoder unilm")
    parser.add_argument("--limit", type=int, default=12, help="documents of its test file")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    kept, config = load(arguments.run)
    forgetful, _ = load(arguments.run)
    decoder = Forgetful(config.decoder, forgetful.encoder)
    decoder.load_state_dict(forgetful.decoder.state_dict())
    forgetful.decoder = decoder.eval()
    form = load_component("formats", config.data.format.name)
    documents = list(form.read(config.data.test, config.data.format, config.data.word_rule))[: arguments.limit]
    times: dict[str, list[float]] = {"cached": [], "recomputed": []}
    answers: dict[str, list[list[str]]] = {}
    for _ in range(arguments.rounds + 1):
        for name, model in (("cached", kept), ("recomputed", forgetful)):
            seconds, answers[name] = run(model, config, documents)
            times[name].append(seconds)
    assert answers["cached"] == answers["recomputed"], "the answers differ"
    questions = sum(len(document.examples) for document in documents)
    words = sum(len(answer.split()) for found in answers["cached"] for answer in found)
    typical = {name: median(seconds[1:]) for name, seconds in times.items()}
    rows = [
        [name, f"{questions / seconds:.1f}", f"{words / seconds:.1f}", f"{typical['recomputed'] / seconds:.2f}"]
        for name, seconds in typical.items()
    ]
    keep(
        "generation",
        title="Answer generation",
        command="python benchmarks/generation.py --run RUN",
        note=f"{questions} questions of the bundled conversations, {config.decoder.beam_size} beams, one thread; with "
        "cached keys and values, each further word piece costs two positions; without the cache, all positions are "
        "recomputed. Both generate the same answers.",
        columns=["keys and values", "questions/s", "words/s", "ratio"],
        rows=rows,
    )


if __name__ == "__main__":
    main()
