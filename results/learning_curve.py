"""Test scores against the size of the training file: ``python results/learning_curve.py --train FILE --test FILE``.

Documents of CoNLL-2003 are drawn until their sentences are 1 %, 3 %, 10 % and 30 % of the training file. The recipes
run without validation data and keep the last epoch; small files get as many epochs as 300 steps take, as with
``ner init``. Scores go to ``results/training/learning_curve.json``, the picture to ``docs/learning-curve.png``; its
last point is the mean of the recipe's results on the whole file.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from ner.commands import train  # noqa: E402  # after the path
from ner.commands.init import MIN_STEPS  # noqa: E402  # after the path
from ner.config.load import load_config  # noqa: E402  # after the path

TARGET = ROOT / "results" / "training" / "learning_curve.json"
SHARES = (1, 3, 10, 30)
RECIPES = ("conll2003/bilstm_crf", "conll2003/minilm_fast")
COLORS = ("#D55E00", "#0072B2")
LABEL_OFFSETS = (-16, 7)
"""Points between a curve and its figures: the lower curve has them below."""
BOUNDARY = "-DOCSTART-"


def subset(source: Path, share: int, target: Path) -> int:
    """Write random documents with a share of the sentences, in per cent; larger shares contain the smaller ones.

    Returns:
        The number of sentences.
    """
    documents = [f"{BOUNDARY}{text}" for text in source.read_text(encoding="utf-8").split(BOUNDARY)[1:]]
    sentences = [sum(block[:10] != BOUNDARY for block in text.strip().split("\n\n")) for text in documents]
    order = list(range(len(documents)))
    random.Random(0).shuffle(order)
    chosen, count = [], 0
    for index in order:
        if count >= share / 100 * sum(sentences):
            break
        chosen.append(documents[index])
        count += sentences[index]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(chosen), encoding="utf-8")
    return count


def draw(found: dict[str, Any]) -> None:
    """Draw the curves."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 4), layout="constrained")
    axes = figure.subplots()
    for recipe, color, offset in zip(RECIPES, COLORS, LABEL_OFFSETS, strict=True):
        whole = [json.loads(path.read_bytes()) for path in (ROOT / "results").glob(f"{recipe.replace('/', '-')}*.json")]
        scores = [100 * result["test"]["entity"]["micro"]["f1"] for result in whole]
        points = sorted(
            (entry["sentences"], 100 * entry["test"]) for entry in found.values() if entry["config"] == recipe
        )
        points.append((whole[0]["train"]["sentences"], sum(scores) / len(scores)))
        axes.plot(*zip(*points, strict=True), color=color, marker="o", label=recipe)
        for sentences, score in points:
            position = (sentences, score)
            axes.annotate(f"{score:.1f}", position, (0, offset), textcoords="offset points", ha="center", color=color)
    axes.set_xscale("log")
    axes.set_ylim(0, 100)
    axes.set_xlabel("training sentences")
    axes.set_ylabel("test entity F1")
    axes.set_title("CoNLL-2003; one seed without validation data, last point: the recipe", fontsize=11)
    axes.legend(frameon=False, loc="lower right")
    axes.grid(alpha=0.2)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(ROOT / "docs" / "learning-curve.png", dpi=150)


def main() -> None:
    """Train each recipe with each share, except those with a recorded result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", required=True, type=Path)
    parser.add_argument("--test", required=True)
    arguments = parser.parse_args()
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    found = json.loads(TARGET.read_bytes()) if TARGET.exists() else {}
    for share in SHARES:
        for recipe in RECIPES:
            key = f"{recipe}, {share} %"
            if key in found:
                continue
            file = ROOT / "runs" / "learning_curve" / f"train-{share}.txt"
            sentences = subset(arguments.train, share, file)
            path = f"configs/{recipe}.yaml"
            config = load_config(path, [])[0]
            steps = math.ceil(sentences / config.batch.max_size)
            epochs = max(config.training.epochs, math.ceil(MIN_STEPS / steps))
            changes = ["data.valid=null", "training.keep_epoch=last", f"training.epochs={epochs}"]
            run = file.with_name(f"{Path(recipe).name}-{share}")
            data = [f"data.train={file}", f"data.test={arguments.test}"]
            shutil.rmtree(run, ignore_errors=True)  # of an interrupted call
            if train.main(["--config", path, "--run", str(run), *data, *changes]):
                raise SystemExit(f"{run}: the training failed")
            metrics = json.loads((run / "metrics.json").read_bytes())
            keep = ("seed", "versions", "device", "threads", "seconds", "data")
            found[key] = {
                "config": recipe,
                "share": share,
                "sentences": sentences,
                "epochs": epochs,
                "command": " ".join(["train.py", "--config", path, *changes]),
                "test": metrics["test"]["entity"]["micro"]["f1"],
                **{key: metrics[key] for key in keep},
            }
            TARGET.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draw(found)


if __name__ == "__main__":
    main()
