"""Run a benchmark: ``python benchmarks/run.py NAME [--conll DIR] [--short] [--check]``.

Every system is a process of its own; they work in turns, one round to warm up and then five that count, or three
with ``--short``. Figures go to ``results/benchmarks/NAME.json``; ``benchmarks/render.py`` generates
``docs/performance.md`` from them.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from claims import CLAIMS, Case, Setting, System  # noqa: E402  # after the path

from ner.runtime.device import processor  # noqa: E402  # after the path

NEED_A_RUN = ("encoder_tagging", "startup", "arithmetic")


class Worker:
    """Running worker process of a system."""

    def __init__(self, system: System, environments: Path) -> None:
        python = sys.executable
        if system.environment != "main":
            python = str(environments / system.environment / "bin" / "python")
            if not Path(python).exists():
                raise SystemExit(f"{python}: no such environment; make bench-environments")
        options = json.dumps(system.options).replace('"PYTHON"', json.dumps(sys.executable))
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed by stop
        self.process = subprocess.Popen(
            [python, str(ROOT / "benchmarks" / "systems" / system.script), options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            cwd=ROOT,
            env={**os.environ, **threads, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
        self.system = system
        self.rounds: list[dict[str, Any]] = []
        self.versions = self._answer()["versions"]

    def repeat(self) -> dict[str, Any]:
        """Run one round."""
        assert self.process.stdin is not None, "a pipe"
        self.process.stdin.write("repeat\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None, "a pipe"
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            said = self.errors.read()[-3000:]
            self.stop()
            raise SystemExit(f"{Path(self.system.script).name} stopped:\n{said}")
        return json.loads(line)

    def stop(self) -> None:
        """Stop the process."""
        self.process.communicate()
        self.errors.close()


def compare(case: Case, repetitions: int, environments: Path) -> dict[str, Any]:
    """Run all systems of a case in alternating rounds and return medians and ratios."""
    workers: dict[str, Worker] = {}
    try:
        for name, system in {**case.ours, **case.peers}.items():
            workers[name] = Worker(system, environments)
        for worker in workers.values():
            worker.repeat()
        for _ in range(repetitions):
            for worker in workers.values():
                worker.rounds.append(worker.repeat())
    finally:
        for worker in workers.values():
            if not worker.errors.closed:
                worker.stop()
    return summarise(case, {name: (worker.versions, worker.rounds) for name, worker in workers.items()})


def round_ratios(ours: dict[str, Any], peer: dict[str, Any]) -> list[float]:
    """Return our words per second over those of a peer in each round."""
    rounds = zip(ours["seconds"], ours["words"], peer["seconds"], peer["words"], strict=True)
    return [(theirs / other) / (seconds / words) for seconds, words, theirs, other in rounds]


def summarise(case: Case, found: dict[str, tuple[dict[str, str], list[dict[str, Any]]]]) -> dict[str, Any]:
    """Return medians of seconds per word, and the median ratios of rounds with their goals.

    Raises:
        SystemExit: If systems that should give the same result do not.
    """
    systems = {}
    for name, (versions, rounds) in found.items():
        per_word = median(entry["seconds"] / entry["words"] for entry in rounds)
        extra = {key: value for key, value in rounds[-1].items() if key not in ("seconds", "words")}
        seconds = [round(entry["seconds"], 6) for entry in rounds]
        words = [entry["words"] for entry in rounds]
        systems[name] = {"words_per_second": 1 / per_word, "seconds": seconds, "words": words, "versions": versions}
        systems[name] |= extra
    if case.equal_results:
        results = {name: json.dumps(system.get("result")) for name, system in systems.items()}
        if len(set(results.values())) > 1:
            raise SystemExit(f"{case.title}: results differ: {results}")
    ratios = []
    for ours in case.ours:
        for peer in case.peers:
            ratio = median(round_ratios(systems[ours], systems[peer]))
            ratios.append({"ours": ours, "peer": peer, "ratio": ratio, "goal": case.goal(ours, peer)})
    return {"title": case.title, "ratios": ratios, "systems": systems}


def has_fast_bf16() -> bool:
    """Return whether the processor multiplies bfloat16 numbers itself; torch emulates it on others with AVX-512."""
    import torch

    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def failures(cases: Sequence[dict[str, Any]]) -> list[str]:
    """Return the ratios below half of their goal."""
    return [
        f"{case['title']}: {pair['ours']} is {pair['ratio']:.2f} times {pair['peer']}, goal {pair['goal']}"
        for case in cases
        for pair in case["ratios"]
        if pair["goal"] is not None and pair["ratio"] < pair["goal"] / 2
    ]


def main() -> int:
    """Run the benchmark and write its results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=CLAIMS)
    parser.add_argument(
        "--conll",
        metavar="DIR",
        help="folder of train.txt and test.txt; default the bundled sample, and nothing is kept",
    )
    parser.add_argument("--models", metavar="DIR", default="benchmarks/models", help="of make bench-models")
    parser.add_argument("--environments", metavar="DIR", default="benchmarks/.venv", help="of make bench-environments")
    parser.add_argument("--short", action="store_true", help="small, and with the peers of this environment only")
    parser.add_argument("--check", action="store_true", help="fail where a ratio is below half its goal")
    parser.add_argument("--repetitions", type=int, help="default 5, and 3 with --short")
    arguments = parser.parse_args()
    repetitions = arguments.repetitions or (3 if arguments.short else 5)
    from ner.model.pretrained import resolve
    from ner.runs.directory import newest_run

    files = [f"{arguments.conll}/{split}.txt" for split in ("train", "test")] if arguments.conll else []
    files = files or [f"data/sample/en/{split}.conll" for split in ("train", "test")]
    run = str(newest_run()) if arguments.short and arguments.name in NEED_A_RUN else ""
    setting = Setting(*files, resolve("all-MiniLM-L6-v2"), arguments.models, run, arguments.short, has_fast_bf16())
    cases = []
    for case in CLAIMS[arguments.name](setting):
        found = compare(case, repetitions, Path(arguments.environments).absolute())
        cases.append(found)
        for pair in found["ratios"]:
            goal = "" if pair["goal"] is None else f" (goal {pair['goal']})"
            print(f"{found['title']}: {pair['ours']} is {pair['ratio']:.2f} times {pair['peer']}{goal}", flush=True)
    if not arguments.short and arguments.conll and repetitions >= 5:
        command = shlex.join(
            ["python", "benchmarks/run.py", arguments.name, *(["--conll", "DIR"] * bool(arguments.conll))]
        )
        kept = {"command": command, "processor": processor(), "threads": 1, "repetitions": repetitions}
        target = ROOT / "results" / "benchmarks" / f"{arguments.name}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps({**kept, "cases": cases}, indent=1) + "\n", encoding="utf-8")
    wrong = failures(cases) if arguments.check else []
    for line in wrong:
        print(f"too slow: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
