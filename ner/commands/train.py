"""Train a model from a configuration and score it on train, valid and test."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner.data.question_answering import ANSWER
from ner.errors import InputError
from ner.runtime import cli

if TYPE_CHECKING:
    from ner.commands._tensorboard import Board
    from ner.config.schema import RunConfig
    from ner.model.model import Model
    from ner.runtime.distributed import ProcessGroup
    from ner.training.run import TrainingRun
    from ner.training.step import Progress
    from ner.types import Document


def main(argv: Sequence[str] | None = None) -> int:
    """``ner train`` and ``python train.py``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, metavar="FILE", help="YAML file, see configs/")
    help = "where the run goes; default runs/<config>/<time>; torchrun needs the longer name"
    parser.add_argument("--run", "--run-dir", metavar="DIR", help=help)
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--init", metavar="RUN", help="a new run that starts from the weights of another one")
    start.add_argument(
        "--resume", action="store_true", help="go on with the run (--run, or the newest of this configuration)"
    )
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value", help="change a key of the configuration")
    return cli.run(parser, _train, argv)


def _train(arguments: argparse.Namespace) -> int:
    from ner.config.load import load_config

    config, notes = load_config(arguments.config, arguments.overrides)

    from loguru import logger

    from ner.runtime import distributed
    from ner.runtime.device import resolve_device
    from ner.runtime.log import set_up_log

    process_group = distributed.ProcessGroup.from_environment()
    device = resolve_device(config.device, process_group.local_rank)
    process_group.start(device, config.processes.timeout)
    directory = None
    try:
        directory = Path(process_group.broadcast(str(_directory(arguments)) if process_group.is_main else None))
        set_up_log(sys.stdout, directory / "train.log", enabled=process_group.is_main)
        for note in notes:
            logger.info(note)
        return _run(arguments, config, directory, device, process_group)
    except InputError:
        logger.remove()
        if process_group.is_main and directory and [path.name for path in directory.glob("*")] == ["train.log"]:
            shutil.rmtree(directory, ignore_errors=True)  # nothing has begun
        raise
    finally:
        process_group.end()


def _directory(arguments: argparse.Namespace) -> Path:
    """Where the run is or goes.

    Raises:
        InputError: If a new run would overwrite one.
    """
    if arguments.resume:
        if arguments.run:
            return Path(arguments.run)
        started = sorted(_folder(arguments.config).glob("*/config.yaml"), key=lambda path: path.stat().st_mtime_ns)
        return started[-1].parent if started else _new_directory(arguments.config)
    directory = Path(arguments.run) if arguments.run else _new_directory(arguments.config)
    for name, what in (("manifest.json", "a trained model"), ("checkpoints", "checkpoints of a training")):
        if (directory / name).exists():
            raise InputError(
                f"{directory}: holds {what} already; go on with --resume, give another --run, or remove it"
            )
    return directory


def _run(arguments: argparse.Namespace, config: RunConfig, directory: Path, device: Any, process_group: ProcessGroup) -> int:
    """Train in a directory; gives the exit code."""
    from loguru import logger

    from ner.model import model
    from ner.runtime import atomic
    from ner.training import control
    from ner.training.run import TrainingRun, differences, initial_run

    logger.info("run directory: {}", directory)
    started = time.monotonic()
    changes: list[str] = []
    resumed = process_group.broadcast(arguments.resume and (directory / model.CONFIG).exists())
    if resumed:
        saved = model.read_config(directory)
        changes, refused = differences(saved, config)
        typed = [change for change in arguments.overrides if change.startswith(control.LIVE_SETTINGS)]
        changes = [old for old in changes if not any(control.same_setting(old, new) for new in typed)] + typed
        if refused:
            raise InputError(f"{directory}: cannot be resumed with another configuration: {'; '.join(refused)}")
        config = config.model_copy(update={"training": saved.training, "batch": saved.batch})
    one = TrainingRun(config, directory, device, process_group, logger.info, logger.warning)
    init = Path(arguments.init) if arguments.init else None
    unusual = prepare(one, initial_run(directory, process_group) if resumed else init)
    if resumed:
        one.resume()
        one.change(changes)
    else:
        one.start()
    with Display(one) as display:
        code = one.train(display.show, watch=display.watch)
    if one.stopped:
        return code
    scores = one.finish()
    scores |= {split: {**scores[split], **found} for split, found in unusual.items() if split in scores}
    seconds = time.monotonic() - started
    about = {"seconds": seconds, "command": _command(arguments), "seed": config.seed, "data": one.provenance["data"]}
    machine = {key: one.provenance[key] for key in ("versions", "device", "threads", "processes")}
    report = {**scores, **about, **machine, "kernel": one.kernel}
    if process_group.is_main:
        atomic.write_bytes(directory / "metrics.json", json.dumps(report, indent=2, ensure_ascii=False).encode())
    logger.info("done in {:.0f} s", seconds)
    run = shlex.quote(str(directory))
    logger.info("next:")
    split = next(split for split in ("test", "valid", "train") if one.documents[split])
    logger.info("  python evaluate.py --run {} --split {}", run, split)
    logger.info("  echo '{}' | ner predict --run {} --format {}", *_some_input(one.documents, run))
    return 0


def prepare(one: TrainingRun, init: Path | None = None) -> dict[str, dict[str, Any]]:
    """Read the data, build the model, and say what there is; gives what is unusual about the splits."""
    from loguru import logger

    from ner.runtime.device import set_seed

    set_seed(one.config.seed)
    with cli.paused_garbage_collection(), one.process_group.keep_alive():
        one.read()
        model = one.build(init)
    unusual = _describe(one, model)
    if one.kernel:
        logger.info("kernel of the decoder: {}", one.kernel)
    return unusual


class Display:
    """The bar, the step log, and the lines after each epoch.

    Args:
        one: The session that is shown.
    """

    def __init__(self, one: TrainingRun) -> None:
        from ner.runtime.log import progress

        self.one = one
        self.epochs = progress(total=one.state.training_config.epochs, unit="epoch", position=0)
        self.bar = progress(total=one.data.sentences, unit="sentence", position=1)
        self.pace = Pace(one.state.sentences)
        self.board: Board | None = None
        if one.config.training.tensorboard and one.process_group.is_main:
            from ner.commands._tensorboard import Board

            self.board = Board(one.directory / "tensorboard")

    def __enter__(self) -> Display:
        self.epochs.update(self.one.state.epoch)
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()
        self.epochs.close()
        if self.board is not None:
            self.board.close()

    def show(self, now: Progress) -> None:
        """A step, or the end of an epoch."""
        from loguru import logger

        state = self.one.state
        self.bar.set_postfix(refresh=False, step=now.step, loss=f"{now.loss:.3f}")
        self.bar.update(state.sentences - (now.epoch - 1) * self.one.data.sentences - self.bar.n)
        every = state.training_config.log_every
        if now.epoch_record is None and every and now.step % every == 0:
            rates = ", ".join(f"{name} {rate:.3g}" for name, rate in sorted(set(now.learning_rates.items())))
            logger.info("Step: {} Learning rate: {} Loss: {:.4f}", now.step, rates, now.loss)
        if now.epoch_record is not None:
            self.pace.after_epoch(state.sentences, now.timing)
            self._show_epoch(now)
            self.epochs.total = state.training_config.epochs
            self.epochs.update(now.epoch - self.epochs.n)
            self.bar.reset()
        if self.board is not None:
            self.board.add(now.step, self._scalars(now))

    def _scalars(self, now: Progress) -> dict[str, float]:
        """What TensorBoard gets: of a step its loss and rates, of an epoch everything that history.csv has."""
        from ner.training.run import history_row

        if now.epoch_record is None:
            return {"step/loss": now.loss, **{f"step/rate.{name}": rate for name, rate in now.learning_rates.items()}}
        row = history_row(now.epoch_record, self.one.config)
        return {key.replace(".", "/", 1): float(value) for key, value in row.items()}

    def watch(self, documents: Sequence[Document]) -> Iterable[Document]:
        """The documents that are scored, behind a bar."""
        from ner.runtime.log import progress

        found: Iterable[Document] = progress(documents, unit="document", desc="scoring", position=2)
        return found

    def _show_epoch(self, now: Progress) -> None:
        from loguru import logger

        state = self.one.state
        assert now.epoch_record is not None, "asked for by the caller"
        logger.info("epoch [{}/{}]", now.epoch, state.training_config.epochs)
        for split, evaluation in now.epoch_record.evaluations.items():
            for line in evaluation.lines(split):
                logger.info(line)
        for event in state.events:
            if event.step == now.step and event.kind in ("plateau", "stopping"):
                logger.info("{}: {}", event.kind, event.change)
        if now.epoch < state.training_config.epochs and not state.ended:
            epochs = state.training_config.epochs
            left = self.pace.left(epochs * self.one.data.sentences - state.sentences, epochs - state.epoch)
            logger.info("best: epoch {}; about {} left", state.best_epoch, _duration(left))


class Pace:
    """How fast this process trains and evaluates; a resumed one has maybe made a single step of its first epoch.

    Args:
        sentences: Seen before it began.
    """

    def __init__(self, sentences: int) -> None:
        self.before = self.seen = sentences
        self.training = self.evaluating = 0.0
        self.epochs = 0

    def after_epoch(self, sentences: int, timing: Mapping[str, float]) -> None:
        """All sentences seen so far, and the seconds of the epoch (see :class:`~ner.training.loop.Progress`)."""
        self.seen = sentences
        self.epochs += 1
        self.training += timing["seconds"]
        self.evaluating += timing["evaluation_seconds"]

    def left(self, sentences: int, epochs: int) -> float:
        """Seconds for so many more sentences, and an evaluation after each of so many epochs."""
        return sentences * self.training / max(1, self.seen - self.before) + epochs * self.evaluating / self.epochs


def _duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _folder(config: str) -> Path:
    """``runs/<path of the config below configs/>``."""
    path = Path(config).with_suffix("")
    parts = path.parts
    below = parts[len(parts) - parts[::-1].index("configs") :] if "configs" in parts[:-1] else parts[-1:]
    return Path("runs", *below)


def _new_directory(config: str) -> Path:
    """``<folder>/<time>``."""
    now = time.strftime("%Y-%m-%dT%H-%M-%S")
    directory = _folder(config) / now
    number = 1
    while directory.exists():
        number += 1
        directory = directory.with_name(f"{now}-{number}")
    return directory


def _describe(one: TrainingRun, model: Model) -> dict[str, dict[str, Any]]:
    """What there is to learn, what is unusual about it, and the size of the model; gives what is unusual by split."""
    from loguru import logger

    from ner.data import statistics
    from ner.data.tasks import gives

    unusual: dict[str, dict[str, Any]] = {}
    given = gives(one.config.decoder.name)
    asks = "answers" in given
    for split, found in one.documents.items():
        if not found:
            continue
        counts = one.corpus.statistics(split, model)
        labels = counts["labels"]
        if asks:
            spans = f"{labels[ANSWER]} whose answer stands in the passage"
        else:
            entities = ", ".join(f"{label} {count}" for label, count in sorted(labels.items()))
            spans = f"{sum(labels.values())} entities ({entities})"
        logger.info(
            "{}: {} documents, {} {}, {} words{}",
            split,
            len(found),
            counts["sentences"],
            "questions" if asks else "sentences",
            counts["words"],
            f", {spans}" if labels else "",
        )
        classes = counts["classes"]
        if classes:
            most = sorted(classes.items(), key=lambda item: (-item[1], item[0]))
            listed = ", ".join(f"{label} {count}" for label, count in most[:12])
            more = f", {len(most) - 12} more" if len(most) > 12 else ""
            logger.info("{}: {}: {}{}", split, "kinds of answers" if asks else "labels of texts", listed, more)
            if split == "train" and len(classes) == 1 and "labels" in given:
                logger.warning("train: a single label, so there is nothing to tell apart")
        unusual[split] = statistics.notable(counts, model.vocabs)
        if "unseen_labels" in unusual[split]:
            logger.warning("{}: {}", split, statistics.format_unseen(unusual[split]["unseen_labels"]))
        if counts["overlapping"]:
            logger.warning("{}: {} entities overlap a longer one and cannot be tagged", split, counts["overlapping"])
        for remark, count in unusual[split].get("remarks", {}).items():
            logger.info("{}: {} {}", split, count, remark)
        for reason, count in sorted(counts["coverage"].items()):
            logger.info("{}: {} {}", split, count, reason)
    for module in model.modules():
        for name, value in getattr(module, "report", {}).items():
            logger.info("{}: {}", name, f"{value:.1%}" if isinstance(value, float) else value)
    logger.info("{:,} parameters are trained", model.num_parameters)
    return unusual


def _command(arguments: argparse.Namespace) -> str:
    """What was typed, less the place of the run."""
    how = ["--resume"] if arguments.resume else ["--init", arguments.init] if arguments.init else []
    return shlex.join(["python", "train.py", "--config", arguments.config, *how, *arguments.overrides])


def _some_input(documents: Mapping[str, Sequence[Document]], run: str) -> tuple[str, str, str]:
    """What the command to try next reads, the run, and the format: the first sentence with an entity or a label."""
    for found in (documents["test"], documents["valid"], documents["train"]):
        for document in found:
            for example in document.examples:
                if example.query_length and example.text:
                    return '{"question": "...", "text": "..."}', run, "jsonl"
                if (example.spans or example.labels) and all("'" not in word for word in example.words):
                    return _shortened(example.text or " ".join(example.words)), run, "text"
    return "...", run, "text"


def _shortened(text: str) -> str:
    """The first 80 characters; of words between spaces whole ones."""
    return textwrap.shorten(text, 80, placeholder="") or text.strip()[:80]


if __name__ == "__main__":
    sys.exit(main())
