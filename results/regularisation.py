"""Comparison of regularization methods on Weibo: ``python results/regularisation.py --data DIR``.

The BiLSTM-CRF of ``configs/chinese.yaml`` over characters, a few seeds; to ``results/training/regularisation.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from ner.commands import train  # noqa: E402  # after the path

TARGET = ROOT / "results" / "training" / "regularisation.json"
SOFTMAX = "decoder={name: softmax}"
VARIANTS = {
    "none": ["context.dropout=0"],
    "dropout 0.5": [],
    "word dropout 0.1": ["encoder.word_dropout=0.1"],
    "EMA 0.99": ["training.averaging={kind: ema, decay: 0.99}"],
    "SWA from epoch 6": ["training.averaging={kind: swa, start: 5}"],
    "FGM 0.5": ["training.adversarial={kind: fgm, epsilon: 0.5}"],
    "softmax": [SOFTMAX],
    "softmax, label smoothing 0.1": ["decoder={name: softmax, label_smoothing: 0.1}"],
}
"""Name -> overrides. All except the first use dropout 0.5."""


def main() -> None:
    """Train each variant with each seed, except those with a recorded result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder of train.conll, valid.conll and test.conll of Weibo")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    found = json.loads(TARGET.read_bytes()) if TARGET.exists() else {}
    for seed in range(1, arguments.seeds + 1):
        for name, options in VARIANTS.items():
            key = f"{name}, seed {seed}"
            if key in found:
                continue
            run = ROOT / "runs" / "regularisation" / key.replace(" ", "_")
            data = [f"data.{split}={arguments.data}/{split}.conll" for split in ("train", "valid", "test")]
            changes = [*options, f"training.epochs={arguments.epochs}", f"seed={seed}"]
            assert train.main(["--config", "configs/chinese.yaml", "--run", str(run), *data, *changes]) == 0
            metrics = json.loads((run / "metrics.json").read_bytes())
            scores = {split: metrics[split]["entity"]["micro"]["f1"] for split in ("train", "valid", "test")}
            keep = ("seed", "versions", "device", "threads", "seconds", "data", "epoch")
            command = " ".join(["train.py", "--config", "configs/chinese.yaml", *changes])
            found[key] = {"name": name, "command": command, **scores, **{key: metrics[key] for key in keep}}
            TARGET.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
