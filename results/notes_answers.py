"""Comparison of the three context layers of the notes on question answering: ``python results/notes_answers.py``.

Trains ``configs/convqa/minilm.yaml`` with nothing, a BiLSTM and an R-Transformer between encoder and heads, and counts
the parameters of the same networks around a BERT-base. Writes ``results/answers/notes.json``; runs that are there are
taken as they are, and those that were stopped go on. ``results/render.py`` makes the table of it. Arguments are
overrides for all three.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from ner.commands import train  # noqa: E402  # after the path
from ner.config.parts import load_component, parse_component  # noqa: E402  # after the path
from ner.data.vocab import Vocabs  # noqa: E402  # after the path

CONFIG = "configs/convqa/minilm.yaml"
RUNS = ROOT / "runs" / "notes-answers"
TARGET = ROOT / "results" / "answers" / "notes.json"
CONTEXTS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "bilstm": {"name": "bilstm", "hidden_size": 192, "dropout": 0.1},
    "rtransformer": {"name": "rtransformer", "layers": 2},
}
PIECES = 21_128
"""Vocabulary size of a Chinese BERT-base."""


def run(name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Train with a context layer and return a summary of the run."""
    directory = RUNS / name
    context = [] if CONTEXTS[name] is None else [f"context={json.dumps(CONTEXTS[name])}"]
    if not (directory / "metrics.json").exists():
        resume = ["--resume"] if (directory / "checkpoints").exists() else []
        assert train.main(["--config", CONFIG, "--run", str(directory), *resume, *context, *overrides]) == 0
    metrics = json.loads((directory / "metrics.json").read_bytes())
    keep = ("command", "seed", "versions", "device", "threads", "seconds", "epoch", "data", "valid", "test")
    return {**{key: metrics[key] for key in keep}, "base_parameters": base_parameters(name)}


def base_parameters(name: str) -> int:
    """Count the parameters with a Chinese BERT-base, including its pooler, on the meta device."""
    import transformers

    width = 768
    with torch.device("meta"):
        shape = transformers.BertConfig(vocab_size=PIECES, hidden_size=width)
        modules: list[Any] = [transformers.BertModel(shape)]
        context = CONTEXTS[name]
        if context is not None:
            wide = {**context, "hidden_size": width // 2} if "hidden_size" in context else context
            config = parse_component("context", wide)
            modules.append(load_component("context", config.name).build(config, width))
            width = modules[-1].width
        config = parse_component("decoders", "extractive_qa")
        modules.append(load_component("decoders", "extractive_qa").build(config, width, Vocabs()))
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def main() -> None:
    """Train all three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("overrides", nargs="*")
    overrides = parser.parse_args().overrides
    os.chdir(ROOT)
    found = {name: run(name, overrides) for name in CONTEXTS}
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
