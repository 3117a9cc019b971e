"""Seconds for one sentence from Python, see the options of ``python benchmarks/latency.py``.

This project and spaCy tag the first sentences of a file one by one, in alternating rounds and with one thread.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from claims import System
from extras import keep
from run import ROOT, Worker

ROUNDS, SENTENCES = 5, 500


def main() -> None:
    """Measure the 50th and the 99th percentile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="run of conll2003/bilstm_crf")
    parser.add_argument("--export", required=True, help="its export in float32")
    parser.add_argument("--spacy", required=True, help="model of systems/spacy_ner.py")
    parser.add_argument("--test", required=True, help="column file")
    parser.add_argument("--environments", type=Path, default=ROOT / "benchmarks" / ".venv")
    arguments = parser.parse_args()
    shared = {"test": arguments.test, "limit": SENTENCES}
    systems = {
        "this project": System("ours.py", {"task": "tag_one", "run": arguments.run, **shared}),
        "this project, exported": System("ours.py", {"task": "tag_one", "run": arguments.export, **shared}),
        "spaCy": System("spacy_ner.py", {"model": arguments.spacy, "one_by_one": True, **shared}, "spacy"),
    }
    workers = {name: Worker(system, arguments.environments) for name, system in systems.items()}
    latencies: dict[str, list[float]] = {name: [] for name in workers}
    for number in range(ROUNDS + 1):
        for name, worker in workers.items():
            found = worker.repeat()["latencies"]
            if number:  # the first round warms up
                latencies[name] += found
    for worker in workers.values():
        worker.stop()
    percentiles = {
        name: [1000 * sorted(values)[int(share * len(values))] for share in (0.5, 0.99)]
        for name, values in latencies.items()
    }
    peer = percentiles["spaCy"]
    rows = [
        [name, *(f"{value:.2f} ({value / other:.2f})" for value, other in zip(values, peer, strict=True))]
        for name, values in percentiles.items()
    ]
    keep(
        "latency",
        title="One sentence from Python",
        command="python benchmarks/latency.py --run RUN --export EXPORT --spacy MODEL --test CONLL/test.txt",
        note=f"Milliseconds for a sentence of CoNLL-2003 test; {SENTENCES} sentences one by one, {ROUNDS} alternating "
        "rounds, one thread; in parentheses relative to spaCy. `tagger.tag(words)` of the BiLSTM-CRF with characters "
        "and shapes, `nlp(doc)` of spaCy's tok2vec NER.",
        columns=["system", "50th percentile, ms", "99th percentile, ms"],
        rows=rows,
    )


if __name__ == "__main__":
    main()
