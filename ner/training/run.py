"""One training from its files to its files: reads the data, makes or resumes the model, trains, saves, scores on test.

What a run directory holds::

    config.yaml  model.safetensors  manifest.json ...   the kept model (ner.model.model); ``last/``: of the last epoch
    checkpoints/                                        see ner.training.checkpoint
    events.jsonl  control/                              see ner.training.control
    history.csv  history.md  timing.csv  train.log      what people look at
    metrics.json  predictions/                          at the end
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from ner.config.load import write_yaml
from ner.config.parts import load_component
from ner.config.schema import RunConfig
from ner.config.training import BatchConfig, PlateauConfig
from ner.data import seen, tasks
from ner.errors import InputError
from ner.evaluation.evaluator import Evaluator
from ner.evaluation.scorer import Evaluation, monitored
from ner.inference.tagger import Tagger
from ner.model import model
from ner.model.model import Model
from ner.runs import events, history
from ner.runs.events import Event
from ner.runtime import atomic, manifest
from ner.runtime.device import environment, make_deterministic
from ner.runtime.distributed import ProcessGroup
from ner.training import batch_size, checkpoint, control, loop, warm_start
from ner.training.corpus import Corpus
from ner.training.loader import TrainLoader
from ner.training.state import State
from ner.training.step import Progress, warmup_share
from ner.types import Document

FREE = ("data.train", "data.valid", "data.test", "data.store", "device", "by", "processes.")
"""Settings that may differ when a run is resumed: they change no result, or checksums watch over them."""


@dataclass
class TrainingRun:
    """See the file.

    Attributes:
        config: Of the run.
        directory: Of the run.
        device: Where to compute.
        process_group: Processes of the training.
        say, warn: For the log; only the first process speaks.
        corpus: Documents by split.
        about: What checkpoints belong to: checksums of the data, versions, processor.
        state, data: See :mod:`ner.training.loop`.
        ahead: Events that are still to be met at their steps.
        trained_on: Hashes of the sentences, see :mod:`ner.data.seen`.
        kernel: What computes the CRF.
        stopped: Whether training was stopped before its end.
        timings: Rows of ``timing.csv``.
    """

    config: RunConfig
    directory: Path
    device: torch.device
    process_group: ProcessGroup
    say: Callable[[str], None]
    warn: Callable[[str], None]
    ahead: list[Event] = field(default_factory=list)
    trained_on: bytes = b""
    kernel: str = ""
    stopped: bool = False
    timings: list[Mapping[str, Any]] = field(default_factory=list)

    corpus: Corpus = field(init=False)
    about: dict[str, Any] = field(init=False)
    state: State = field(init=False)
    data: TrainLoader = field(init=False)

    def read(self) -> None:
        """Read the data.

        Raises:
            InputError: See :class:`~ner.training.corpus.Corpus`; or if decoder, files and metrics do not fit each
                other.
        """
        if self.config.training.deterministic and self.device.type == "cuda":
            make_deterministic()
        tasks.check_format(self.config.decoder.name, self.config.data.format.name)
        tasks.check_metrics(self.config.decoder.name, self.config.metrics)
        self.corpus = Corpus(self.config, self.process_group, self.say)
        about = {**environment(self.device), "processes": self.process_group.size}
        self.about = {"data": self.corpus.checksums(), **about}

    @property
    def documents(self) -> Mapping[str, Sequence[Document]]:
        """By split."""
        return self.corpus.documents

    def _check_growth(self, batch: BatchConfig, plateau: PlateauConfig) -> None:
        if batch.units / plateau.factor > plateau.largest:
            self.warn(f"training.plateau.largest is {plateau.largest}: a batch of {batch.size} will never grow")

    def build(self, init: Path | None = None) -> Model:
        """A new model, with the weights of another run where one is named; everything is ready for the first step.

        Raises:
            InputError: If something pretrained is not found, a setting does not fit the model, or there is nothing to
                learn or to score.
        """
        config = self.config
        made = model.build(config, self.corpus.train).to(self.device)
        for split in ("valid", "test"):
            if self.documents[split]:
                path = getattr(config.data, split)
                tasks.check_scored(config.decoder.name, config.metrics, self.documents[split], path)
        self.trained_on = seen.to_bytes(self.corpus.hashes())
        if init is not None:
            self._take_over(made, init)
        self.kernel = made.crf_backend(self.device)
        if config.processes.shard:
            self.process_group.fully_shard(made.encoder, made.encoder.layers(), self.device)
        batch = config.batch
        plateau = config.training.plateau
        if plateau is not None and plateau.change != "rate" and batch.size != "auto":
            self._check_growth(batch, plateau)
        if batch.size == "auto":
            batch = batch.model_copy(update={"size": self._fitting_size(made)})
        self.state = loop.begin(made, config.training, batch, config.metrics, self.device)
        groups = self.corpus.groups(made, batch)
        self.data = TrainLoader(made, self.corpus.train, batch, config.seed, self.process_group, groups)
        if config.batch.size == "auto":
            self.state.record_event("auto", f"batch.size={batch.size}")
        if init is not None:
            self.state.record_event("init", f"{init} {manifest.sha256(init / model.WEIGHTS)}")
        if self.process_group.size > 1:
            torch.manual_seed(config.seed + self.process_group.rank)  # each process has its own dropout
        return made

    def _take_over(self, made: Model, init: Path) -> None:
        trained, _ = model.load(init)
        for line in warm_start.copy_matching_weights(made, trained.to(self.device)).lines():
            self.say(f"--init: {line}")
        theirs = seen.read(init)
        if theirs is None:
            self.warn(f"{init}: does not say on which sentences it was trained, so scores may be on sentences it knows")
            return
        for split in ("valid", "test"):
            known, total = seen.count(self.documents[split], theirs)
            if known:
                self.warn(f"{split}: {known} of {total} sentences are among those that {init} was trained on")
        self.trained_on = seen.to_bytes(theirs, seen.from_bytes(self.trained_on))

    def _fitting_size(self, made: Model) -> int:
        """Of a batch, tried out on the longest sentences; a resumed or replayed run takes the size it had."""
        recorded = self.ahead or [Event(**event) for event in self.process_group.broadcast(self._recorded())]
        for event in recorded:
            if event.kind == "auto":
                return int(event.change.partition("=")[2])
        if self.device.type != "cuda":
            raise InputError("config.batch.size: auto tries out the memory of a GPU; on a CPU give a number")
        size = batch_size.largest_batch(batch_size.fits_in_memory(made, self.corpus.train, self.config, self.device))
        return int(self.process_group.broadcast(size)) * self.process_group.size

    def resume(self) -> None:
        """Go on from the newest whole checkpoint, or from the beginning if there is none.

        Raises:
            InputError: If data have changed.
        """
        path = self._newest()
        recorded = [Event(**event) for event in self.process_group.broadcast(self._recorded())]
        for request in control.requests(self.directory) if self.process_group.is_main else []:
            if request.key in ("stop", "save", "evaluate"):
                self.say(f"{request.change}: was asked of the run before and is dropped")
                control.remove_request(self.directory, request)
        known_before = seen.read(self.directory)
        if known_before is not None:  # of a run that began with the weights of another one, too
            self.trained_on = seen.to_bytes(known_before, seen.from_bytes(self.trained_on))
        if path is None:
            self.say(f"{self.directory}: no checkpoint to go on from, starting from the beginning")
            self.ahead = _again(control.unreplayed(recorded, self.state))
            self._meet_again()
            return
        differences = checkpoint.load(path, self.state, self.about, self.config.metrics, self.process_group)
        state = self.state
        known = set(state.events)
        self.ahead = _again(control.unreplayed(recorded, state))
        state.events += [event for event in recorded if event.kind == "resume" and event not in known]
        state.record_event("resume", path.name)
        state.clear_stop()
        timings = self.directory / "timing.csv"
        if timings.exists():
            self.timings = [row for row in history.read_history(timings) if row["epoch"] <= state.epoch]
        self.say(f"resumed from {path}: {state.epoch} epochs done, step {state.step}, {state.sentences} sentences seen")
        for sentence in differences:
            self.warn(sentence)
        if state.ended:
            self.say(f"training has ended: {state.ended}; a larger training.epochs goes on")
        self._restore_kept(path)
        self._meet_again()
        if self.ahead:
            self.say(f"{len(self.ahead)} changes after that point will be made again at their steps")

    def _recorded(self) -> list[dict[str, Any]]:
        """The events of the run so far; the first process reads them for all."""
        return [asdict(event) for event in events.read(self.directory)] if self.process_group.is_main else []

    def _newest(self) -> Path | None:
        """The checkpoint to go on from; newer ones that are not whole are named and removed."""
        path, broken = checkpoint.find(self.directory) if self.process_group.is_main else (None, [])
        for other in broken:
            self.warn(f"{other}: not as it was written, so it is removed and the one before it is taken")
            shutil.rmtree(other, ignore_errors=True)
        found = self.process_group.broadcast(None if path is None else str(path))
        return None if found is None else Path(found)

    def _restore_kept(self, path: Path) -> None:
        """The kept model is that of the checkpoint, not of an epoch after it."""
        kept, here = path / checkpoint.KEPT, self.directory / model.WEIGHTS
        if (
            self.process_group.is_main
            and kept.exists()
            and not (here.exists() and manifest.sha256(here) == manifest.sha256(kept))
        ):
            extra = {seen.FILE: self.trained_on}
            model.save(self.state.model, self.config, self.directory, extra, weights=load_file(kept))

    def start(self) -> None:
        """Make the directory of a new run, with what it will keep.

        Raises:
            InputError: If it cannot be written.
        """
        if self.process_group.is_main:
            atomic.write_bytes(self.directory / seen.FILE, self.trained_on)
            atomic.write_bytes(self.directory / model.CONFIG, write_yaml(self.config).encode())
        training = self.config.training
        share = warmup_share(training, self.data)
        if share > 1 + 1e-9:
            self.warn(
                f"training.warmup_steps: {training.warmup_steps} are more than the "
                f"{(training.warmup_steps or 0) / share:.0f} steps of the training, whose rates rise to its end"
            )

    def change(self, changes: Sequence[str]) -> None:
        """Make changes now, as ``ner control`` would; what was asked for of the same settings before is dropped."""
        self.ahead = [
            event for event in self.ahead if not any(control.same_setting(event.change, change) for change in changes)
        ]
        times = sum(event.kind == "resume" for event in self.state.events)
        for change in changes:
            if self._holds(change):
                continue
            self._meet(control.Request(f"resume-{times}", change))

    def _holds(self, change: str) -> bool:
        """Whether a setting is already as it is asked for."""
        now = self.config.model_copy(update={"training": self.state.training_config, "batch": self.state.next_batch_config})
        return control.check(now, change) == now

    def train(
        self,
        show: Callable[[Progress], None],
        until: tuple[int, int] | None = None,
        watch: loop.Watcher = lambda documents: documents,
    ) -> int:
        """Train to the end, or until so many steps and epochs are behind; gives 0, or the exit code of a signal."""
        signals = control.Signals()
        valid = self.documents["valid"] or None
        self._write_events()
        with signals.caught():
            self._meet_again()
            scored = False
            settings = self.config.metrics, self.device, self.process_group, watch
            for now in loop.train(self.state, self.data, valid, *settings):
                show(now)
                if not scored and self.process_group.is_main:  # scores and predictions are those of a model that is left behind
                    (self.directory / "metrics.json").unlink(missing_ok=True)
                    shutil.rmtree(self.directory / "predictions", ignore_errors=True)
                scored = True
                if now.epoch_record is not None:
                    self._keep(now)
                code = self._between_steps(now, signals, (self.state.step, self.state.epoch) == until)
                if code is not None:
                    return code
        for event in self.ahead:
            self.warn(f"{event.change}: cannot be made again, the run has ended before step {event.step}")
        self.ahead = []
        self._write_events()
        return 0

    def _between_steps(self, now: Progress, signals: control.Signals, enough: bool) -> int | None:
        """Meet requests, save if it is time to; gives the exit code when it is time to stop."""
        state = self.state
        before = len(state.events)
        self._meet_again()
        asked = control.requests(self.directory) if self.process_group.is_main else []
        told = self.process_group.all_gather_object([signals.received, [[request.id, request.change] for request in asked]])
        received = max(number for number, _ in told)
        wishes = [self._meet(control.Request(*request)) for request in told[0][1]]
        if len(state.events) > before or now.epoch_record is not None:
            self._write_events()
        every = state.training_config.save_every
        due = now.epoch_record is not None or (every is not None and state.step % every == 0)
        stop = bool(received) or enough or "stop=step" in wishes
        if due or stop or "save=now" in wishes:
            with self.process_group.keep_alive():
                path = checkpoint.save(state, self.directory, self.about, self.process_group)
            if stop or "save=now" in wishes:
                self.say(f"saved: {path}")
        for _ in range(wishes.count("evaluate=now")):
            self._evaluate_now()
        if stop:
            self.stopped = True
            if not enough:
                self.say("stopped between two steps; go on with --resume")
            return 128 + received if received else 0
        return None

    def _meet(self, request: control.Request) -> str:
        """Make a change that was asked for; gives it, or nothing if it was met before or cannot be made."""
        state = self.state
        wish = ""
        if not any(event.id == request.id and event.change == request.change for event in state.events):
            try:
                self.say(f"step {state.step}: {control.apply_change(state, self.config, request.change)}")
                state.record_event("control", request.change, request.id)
                wish = request.change
            except InputError as error:
                self.warn(f"step {state.step}: not changed: {error}")
        if self.process_group.is_main:
            self._write_events()  # before the request goes, so that a kill between them loses nothing
            control.remove_request(self.directory, request)
        return wish

    def _meet_again(self) -> None:
        """Changes of an earlier time, at their steps."""
        now = (self.state.step, self.state.epoch)
        here = [event for event in self.ahead if (event.step, event.epoch) <= now]
        for event in here:
            self.ahead.remove(event)
            if (event.step, event.epoch) < now:
                place = f"step {event.step} after epoch {event.epoch}"
                self.warn(f"{event.change}: cannot be made again, {place} is not reached any more")
                continue
            if event.kind == "resume":
                self.state.clear_stop()
            elif event.change != "stop=step" and event.change.partition("=")[0] not in ("evaluate", "save"):
                self.say(f"step {event.step}, again: {control.apply_change(self.state, self.config, event.change)}")
            self.state.events.append(event)

    def _write_events(self) -> None:
        if self.process_group.is_main:
            events.write(self.directory, [*self.state.events, *self.ahead])

    def _evaluate_now(self) -> None:
        if not self.documents["valid"]:
            self.warn("evaluate=now: there is no validation file")
            return
        found = loop.evaluate(self.state, self.documents["valid"], self.config.metrics, self.device, self.process_group)
        for line in found.lines("valid"):
            self.say(f"step {self.state.step}: {line}")

    def _keep(self, now: Progress) -> None:
        """Tables of the epoch, and its model."""
        assert now.epoch_record is not None, "only after an epoch"
        best, first = now.epoch_record.best, self.process_group.is_main
        self.timings.append({"epoch": now.epoch_record.epoch, **now.timing})
        if first:
            rows = [history_row(row, self.config) for row in self.state.history]
            history.write_csv(self.directory / "history.csv", rows)
            atomic.write_bytes(self.directory / "history.md", history.history_table(rows).encode())
            history.write_csv(self.directory / "timing.csv", self.timings)
        last = self.directory / "last"
        with self.state.evaluation_weights(), self.process_group.keep_alive():
            extra = {seen.FILE: self.trained_on}
            model.save(self.state.model, self.config, self.directory if best else last, extra, write=first)
        if best and first:
            shutil.rmtree(last, ignore_errors=True)  # the kept model is that of the last epoch

    def finish(self) -> dict[str, Any]:
        """Score the kept model on test, as it lies on disk, and write predictions; gives the scores of all splits."""
        kept = self.state.history[self.state.best_epoch - 1]
        evaluations = dict(kept.evaluations)
        self.say(f"kept: epoch {kept.epoch}")
        test = self.documents["test"]
        if test:
            tagger = Tagger.load(self.directory, str(self.device))
            trained_on = seen.from_bytes(self.trained_on)
            evaluator = Evaluator(self.config.metrics, tagger.model, self.config.by, trained_on)
            predicted = list(evaluator.score(tagger.annotate(test, loss=True, process_group=self.process_group)))
            for line in evaluator.warnings("test"):
                self.warn(line)
            evaluations["test"] = evaluator.result()
            for line in evaluations["test"].lines("test"):
                self.say(line)
            form = load_component("formats", self.config.data.format.name)
            path = self.directory / "predictions" / f"test.{form.extension}"
            if self.process_group.is_main:
                form.write(str(path), predicted, self.config.data.format)
            self.say(f"predictions: {path}")
        return {"epoch": kept.epoch, **{split: found.to_json(split) for split, found in evaluations.items()}}


def _again(recorded: Sequence[Event]) -> list[Event]:
    """What is to be met again: not an end, which a run that is resumed has left behind."""
    return [event for event in recorded if event.change != "stop=epoch"]


def parse_init_event(change: str) -> Path:
    """The run that an event of the kind ``init`` names.

    Raises:
        InputError: If its weights are not those of that time.
    """
    name, _, checksum = change.rpartition(" ")
    path = Path(name)
    if not (path / model.WEIGHTS).is_file() or manifest.sha256(path / model.WEIGHTS) != checksum:
        raise InputError(f"{path}: the weights that the run started from are not there any more; it cannot be repeated")
    return path


def history_row(row: checkpoint.Row, config: RunConfig) -> dict[str, Any]:
    """An epoch as a row of ``history.csv``: the columns of the notes first, then every figure under its path."""
    shown = row.evaluations.get("valid") or row.evaluations["train"]
    found: dict[str, Any] = {"epoch": row.epoch, "avg_train_loss": row.evaluations["train"].loss}
    if "valid" in row.evaluations:
        found["avg_val_loss"] = row.evaluations["valid"].loss
    for column in ("accuracy", "precision", "recall", "f1", "weighted_f1"):
        for metric in config.metrics:
            path = load_component("metrics", metric).COLUMNS.get(column)
            if path is not None and metric in shown.scores:
                found[column] = monitored(shown, f"{metric}.{path}")
                break
    found |= {"batch_size": row.batch_size, "step": row.step, "sentences": row.sentences, "best": int(row.best)}
    found |= {f"learning_rate.{name}": rate for name, rate in row.learning_rates.items()}
    for split, evaluation in row.evaluations.items():
        found |= _flat(evaluation, split)
    return found


def _flat(evaluation: Evaluation, split: str) -> dict[str, float]:
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


def differences(saved: RunConfig, given: RunConfig) -> tuple[list[str], list[str]]:
    """How a configuration differs from that of the run to be resumed.

    Returns:
        Changes that can be made while a run goes on, as ``key=value``; and sentences on those that cannot.
    """
    changes, refused = [], []
    before, after = (_paths(config.model_dump(mode="json")) for config in (saved, given))
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old == new or key.startswith(FREE):
            continue
        if key.startswith(control.LIVE_SETTINGS):
            changes.append(f"{key}={json.dumps(new)}")
        else:
            refused.append(f"config.{key}: the run has {old}, found {new}")
    return changes, refused


def _paths(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value or path == "training.learning_rate":
        return {path: value}
    found: dict[str, Any] = {}
    for key, below in value.items():
        found |= _paths(below, f"{path}.{key}" if path else key)
    return found


def initial_run(directory: Path, process_group: ProcessGroup) -> Path | None:
    """The run whose weights a run began with, if it has no checkpoint of its own yet."""
    began = None
    if process_group.is_main:
        began = next((event.change for event in events.read(directory) if event.kind == "init"), None)
        if began is not None and checkpoint.find(directory)[0] is not None:
            began = None
    began = process_group.broadcast(began)
    return None if began is None else parse_init_event(began)
