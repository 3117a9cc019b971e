"""Train a model from a configuration and score it on train, valid and test."""

from __future__ import annotations

import argparse
import csv
import io
import json
import shlex
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner import cli
from ner.types import InputError

if TYPE_CHECKING:
    from ner.config import RunConfig
    from ner.model import Model
    from ner.predict import Evaluation
    from ner.types import Document


def main(argv: Sequence[str] | None = None) -> int:
    """``ner train`` and ``python train.py``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, metavar="FILE", help="YAML file, see configs/")
    parser.add_argument("--run", metavar="DIR", help="where the run goes; default runs/<config>/<time>")
    parser.add_argument("--init", metavar="RUN", help="start from the weights of another run (not yet possible)")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run (not yet possible)")
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value", help="change a key of the configuration")
    return cli.run(parser, _train, argv)


def _train(arguments: argparse.Namespace) -> None:
    from ner.config_file import load_config

    for option in ("init", "resume"):
        if getattr(arguments, option):
            raise InputError(f"--{option} is not possible yet; leave it out to train from the start")
    config, notes = load_config(arguments.config, arguments.overrides)
    directory = Path(arguments.run) if arguments.run else _new_directory(arguments.config)
    if (directory / "manifest.json").exists():
        raise InputError(f"{directory}: holds a trained model already; give another --run, or remove it")

    from loguru import logger

    from ner import files, runtime

    runtime.set_up_log(sys.stdout, directory / "train.log")
    for note in notes:
        logger.info(note)
    logger.info("run directory: {}", directory)
    started = time.monotonic()
    runtime.set_seed(config.seed)
    device = runtime.choose_device(config.device)
    with cli.loading():
        documents = {split: _read(config, split) for split in ("train", "valid", "test")}
        _check_kinds(documents)
        model = _build(config, documents["train"], device)
    kernel = model.kernel(device)
    _describe(model, documents)
    if kernel:
        logger.info("kernel of the decoder: {}", kernel)
    history = _loop(model, config, documents, device, directory)
    scores = _finish(config, directory, history, documents["test"])
    seconds = time.monotonic() - started
    about = {"seconds": seconds, "command": _command(arguments), "seed": config.seed, "data": _checksums(config)}
    report = {**scores, **about, **runtime.describe(device), "kernel": kernel}
    files.write_bytes(directory / "metrics.json", json.dumps(report, indent=2, ensure_ascii=False).encode())
    logger.info("done in {:.0f} s", seconds)
    run = shlex.quote(str(directory))
    logger.info("next:")
    logger.info("  python evaluate.py --run {} --split test", run)
    logger.info("  echo '{}' | ner predict --run {} --format text", _some_text(documents), run)


def _new_directory(config: str) -> Path:
    """``runs/<path of the config below configs/>/<time>``."""
    path = Path(config).with_suffix("")
    parts = path.parts
    below = parts[len(parts) - parts[::-1].index("configs") :] if "configs" in parts[:-1] else parts[-1:]
    directory = Path("runs", *below, time.strftime("%Y-%m-%dT%H-%M-%S"))
    number = 1
    while directory.exists():
        number += 1
        directory = directory.with_name(f"{time.strftime('%Y-%m-%dT%H-%M-%S')}-{number}")
    return directory


def _read(config: RunConfig, split: str) -> list[Document]:
    from ner.config import component

    path = getattr(config.data, split)
    if path is None:
        return []
    reader = component("formats", config.data.format.name)
    return list(reader.read(path, config.data.format, config.data.words, keep=split == "test"))


def _check_kinds(documents: dict[str, list[Document]]) -> None:
    """Plain tags in one file and entities in another cannot be scored against each other."""
    from ner.tags import PLAIN

    kinds = {split: found[0].scheme == PLAIN for split, found in documents.items() if found}
    for split, plain in kinds.items():
        if plain != kinds["train"]:
            names = {True: "plain tags", False: "entity tags"}
            raise InputError(
                f"{documents[split][0].source}: expected {names[not plain]} as in {documents['train'][0].source}, "
                f"found {names[plain]}; set data.format.scheme if that was recognised wrongly"
            )


def _build(config: RunConfig, documents: list[Document], device: Any) -> Model:
    from ner.model import build

    return build(config, documents).to(device)


def _describe(model: Model, documents: dict[str, list[Document]]) -> None:
    """What there is to learn, what is unusual about it, and the size of the model."""
    from loguru import logger

    from ner.tags import flatten

    known = model.vocabs.tags if model.vocabs.plain else model.vocabs.labels
    for split, found in documents.items():
        if not found:
            continue
        examples = [example for document in found for example in document.examples]
        labels = Counter(span.label for example in examples for span in example.spans)
        tags = Counter(tag for example in examples for tag in example.tags or ()) if model.vocabs.plain else labels
        entities = ", ".join(f"{label} {count}" for label, count in sorted(labels.items()))
        logger.info(
            "{}: {} documents, {} sentences, {} words{}",
            split,
            len(found),
            len(examples),
            sum(len(example.words) for example in examples),
            f", {labels.total()} entities ({entities})" if labels else "",
        )
        unseen = {label: count for label, count in sorted(tags.items()) if label not in known}
        if unseen:
            listed = ", ".join(f"{label} {count}" for label, count in unseen.items())
            logger.warning("{}: labels that training never had, each counts as a miss: {}", split, listed)
        overlapping = sum(len(example.spans) - len(flatten(example.spans)) for example in examples)
        if overlapping:
            logger.warning("{}: {} entities overlap a longer one and cannot be tagged", split, overlapping)
        coverage = sum((model.encoder.coverage(model.split(document)) for document in found), Counter[str]())
        for reason, count in sorted(coverage.items()):
            logger.info("{}: {} {}", split, count, reason)
    for module in model.modules():
        for name, value in getattr(module, "report", {}).items():
            logger.info("{}: {}", name, f"{value:.1%}" if isinstance(value, float) else value)
    logger.info("{:,} parameters are trained", model.num_parameters)


def _loop(
    model: Model, config: RunConfig, documents: dict[str, list[Document]], device: Any, directory: Path
) -> list[dict[str, Any]]:
    """Train, log and save; gives a row of history per epoch, the best ones marked."""
    from loguru import logger

    from ner import runtime, training
    from ner.model import save

    history: list[dict[str, Any]] = []
    timings: list[dict[str, Any]] = []
    progress = training.train(
        model,
        documents["train"],
        documents["valid"] or None,
        config.training,
        config.batch,
        config.metrics,
        config.seed,
        device,
    )
    with runtime.progress(unit="step") as bar:
        for now in progress:
            bar.total = now.steps
            bar.set_postfix(refresh=False, epoch=f"{now.epoch}/{config.training.epochs}", loss=f"{now.loss:.3f}")
            bar.update()
            if not now.evaluations:
                continue
            logger.info("epoch [{}/{}]", now.epoch, config.training.epochs)
            for split, evaluation in now.evaluations.items():
                for line in evaluation.lines(split):
                    logger.info(line)
            row: dict[str, Any] = {"epoch": now.epoch, "step": now.step, "best": int(now.best)}
            row |= {f"learning_rate.{name}": rate for name, rate in now.learning_rates.items()}
            for split, evaluation in now.evaluations.items():
                row |= _flatten(evaluation, split)
            history.append({**row, "evaluations": now.evaluations})
            timings.append({"epoch": now.epoch, **now.timing})
            _write_table(directory / "history.csv", history)
            _write_table(directory / "timing.csv", timings)
            last = directory / "last"
            if now.best:
                save(model, config, directory)
                shutil.rmtree(last, ignore_errors=True)  # the kept model is that of the last epoch
            else:
                save(model, config, last)
    return history


def _flatten(evaluation: Evaluation, split: str) -> dict[str, float]:
    """Every figure under its path, in full precision."""
    found = {f"{split}.loss": evaluation.loss}

    def walk(path: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, below in value.items():
                walk(f"{path}.{key}", below)
        else:
            found[path] = value

    walk(split, evaluation.scores)
    return found


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    from ner import files

    columns = list(dict.fromkeys(key for row in rows for key in row if key != "evaluations"))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write_bytes(path, text.getvalue().encode())


def _finish(config: RunConfig, directory: Path, history: list[dict[str, Any]], test: list[Document]) -> dict[str, Any]:
    """Score the kept model on test, as it lies on disk, and write predictions; gives the scores of all splits."""
    from loguru import logger

    from ner.config import component
    from ner.predict import Scorer, Tagger

    kept = [row for row in history if row["best"]][-1]
    evaluations = dict(kept["evaluations"])
    logger.info("kept: epoch {}", kept["epoch"])
    if test:
        tagger = Tagger.load(directory, config.device)
        scorer = Scorer(config.metrics)
        predicted = []
        for chunk in tagger.annotate(test, loss=True):
            scorer.add_chunk(chunk)
            predicted += chunk.predicted
        evaluations["test"] = scorer.result()
        for line in evaluations["test"].lines("test"):
            logger.info(line)
        form = component("formats", config.data.format.name)
        path = directory / "predictions" / f"test.{form.extension}"
        form.write(str(path), predicted, config.data.format)
        logger.info("predictions: {}", path)
    return {"epoch": kept["epoch"], **{split: found.to_json(split) for split, found in evaluations.items()}}


def _command(arguments: argparse.Namespace) -> str:
    """What was typed, less the place of the run."""
    return shlex.join(["python", "train.py", "--config", arguments.config, *arguments.overrides])


def _checksums(config: RunConfig) -> dict[str, str]:
    """SHA-256 of the files of data by split."""
    from ner import files

    paths = {split: getattr(config.data, split) for split in ("train", "valid", "test")}
    return {split: files.sha256(Path(path)) for split, path in paths.items() if path and path != "-"}


def _some_text(documents: dict[str, list[Document]]) -> str:
    """The first sentence with an entity of the data, for the command to try next."""
    for found in (documents["test"], documents["valid"], documents["train"]):
        for document in found:
            for example in document.examples:
                if example.spans and all("'" not in word for word in example.words):
                    return (example.text or " ".join(example.words))[:80]
    return "..."


if __name__ == "__main__":
    sys.exit(main())
