"""One training run: reads the data, builds the model, trains, saves, scores the kept model on the test data.

Contents of a run directory::

    config.yaml  model.safetensors  manifest.json ...   the kept model, see ner.model.saving; ``last/``: the last epoch
    checkpoints/                                        see ner.training.checkpoint
    events.jsonl  control/                              see ner.training.control
    history.csv  history.md  timing.csv  train.log      tables and the log
    metrics.json  predictions/                          results of a finished run
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from ner.config.parts import load_component
from ner.config.schema import RunConfig
from ner.contracts import Callback
from ner.data import seen, tasks
from ner.errors import InputError, summary
from ner.model import saving
from ner.model.model import Model
from ner.runs import events, history
from ner.runs.directory import CONFIG, HISTORY, WEIGHTS, config_files, remove_results
from ner.runs.events import Change, Event
from ner.runtime import atomic, manifest
from ner.runtime.device import environment, make_deterministic
from ner.runtime.distributed import ProcessGroup
from ner.runtime.signals import Signals
from ner.training import checkpoint, control, loop, validation, warm_start
from ner.training.batch_size import fits_in_memory, largest_batch
from ner.training.corpus import Corpus
from ner.training.loader import TrainLoader
from ner.training.new_model import new_model
from ner.training.progress import Progress
from ner.training.schedule import warmup_fraction
from ner.training.state import State, initial_state
from ner.types import Document


@dataclass
class TrainingRun:
    """A training and its run directory.

    Call :meth:`read` and :meth:`build`, then :meth:`start` or :func:`~ner.training.resume.resume`, then iterate over
    :meth:`train`, then call
    :func:`ner.training.final_scores.finish`.

    Attributes:
        config: Configuration of the run.
        directory: The run directory.
        device: Device of the model.
        process_group: Processes of the training.
        log_info, log_warning: Write a line to the log.
        given_documents: Documents by split that are not read from files, see :class:`~ner.training.corpus.Corpus`.
        pending_events: Recorded changes that are still to be replayed at their steps.
        trained_on: Hashes of the training sentences, see :mod:`ner.data.seen`.
        backend: Backend of the CRF; empty without one.
        stopped: True if training was stopped before its end.
        exit_code: 128 plus the number of the signal that stopped the training, otherwise 0.
        timings: Rows of ``timing.csv``.
        callbacks: Receivers of progress reports besides those of the configuration, which are appended.
        stop_requested: Set to stop the training after the current report.
        corpus: Documents by split.
        provenance: Checksums of the data, versions, device; saved in checkpoints.
        state, loader: State and batches of the training.
    """

    config: RunConfig
    directory: Path
    device: torch.device
    process_group: ProcessGroup
    log_info: Callable[[str], None]
    log_warning: Callable[[str], None]
    given_documents: Mapping[str, Sequence[Document]] = field(default_factory=dict)
    pending_events: list[Event] = field(default_factory=list)
    trained_on: bytes = b""
    backend: str = ""
    stopped: bool = False
    exit_code: int = 0
    timings: list[Mapping[str, Any]] = field(default_factory=list)
    callbacks: list[Callback] = field(default_factory=list)
    stop_requested: bool = False
    _written_events: list[Event] | None = None

    corpus: Corpus = field(init=False)
    provenance: dict[str, Any] = field(init=False)
    state: State = field(init=False)
    loader: TrainLoader = field(init=False)

    @property
    def documents(self) -> Mapping[str, Sequence[Document]]:
        """Documents by split."""
        return self.corpus.documents

    def read(self) -> None:
        """Read the data.

        Raises:
            InputError: See :class:`~ner.training.corpus.Corpus`; or if decoder, format and metrics are incompatible.
        """
        config = self.config
        if config.training.deterministic and self.device.type == "cuda":
            make_deterministic()
        tasks.check_format(config.decoder.name, config.data.format.name)
        tasks.check_metrics(config.decoder.name, config.metrics)
        self.corpus = Corpus(config, self.process_group, self.log_info, self.given_documents)
        machine = {**environment(self.device), "processes": self.process_group.size}
        self.provenance = {"data": self.corpus.checksums, **machine}

    def build(self, init: Path | None = None) -> Model:
        """Build a new model and everything that the first step needs.

        Args:
            init: Run whose matching weights initialize the model.

        Raises:
            InputError: See :func:`~ner.training.new_model.new_model`; or if a setting does not fit the model.
        """
        config, process_group = self.config, self.process_group
        new = new_model(config, self.documents).to(self.device)
        self.trained_on = seen.to_bytes(self.corpus.hashes())
        if init is not None:
            self._initialize(new, init)
        self.backend = new.crf_backend(self.device)
        if config.processes.fsdp:
            process_group.fully_shard(new.encoder, new.encoder.layers(), self.device)
        batch, plateau = config.batch, config.training.plateau
        if batch.size == "auto":
            batch = batch.model_copy(update={"size": self._automatic_batch_size(new)})
        elif plateau and plateau.adapt != "learning_rate" and batch.max_size / plateau.factor > plateau.max_batch_size:
            self.log_warning(
                f"training.plateau.max_batch_size={plateau.max_batch_size}: a batch of {batch.size} can never grow"
            )
        self.state = initial_state(new, config.training, batch, config.metrics, self.device)
        groups = self.corpus.groups(new, batch)
        self.loader = TrainLoader(new, self.corpus.train, batch, config.seed, process_group, groups)
        if config.batch.size == "auto":
            self.state.record_event("auto", f"batch.size={batch.size}")
        if init is not None:
            self.state.record_event("init", f"{init} {manifest.sha256(init / WEIGHTS)}")
        if process_group.size > 1:
            torch.manual_seed(config.seed + process_group.rank)  # each process has its own dropout
        return new

    def _initialize(self, new: Model, init: Path) -> None:
        """Copy matching weights of another run, and warn if it was trained on sentences of valid or test."""
        trained, _ = saving.load(init)
        for line in warm_start.copy_matching_weights(new, trained.to(self.device)).lines():
            self.log_info(f"--init: {line}")
        trained_on = seen.read(init)
        if trained_on is None:
            self.log_warning(
                f"{init}: no record of its training sentences, so overlap with the evaluation data cannot be checked"
            )
            return
        for split in ("valid", "test"):
            known, total = seen.count(self.documents[split], trained_on)
            if known:
                self.log_warning(f"{split}: {init} was trained on {known} of its {total} sentences")
        self.trained_on = seen.to_bytes(trained_on, seen.from_bytes(self.trained_on))

    def _automatic_batch_size(self, new: Model) -> int:
        """Return the recorded size of a resumed or replayed run, otherwise the largest one that fits into memory."""
        for event in self.pending_events or self.recorded_events():
            if event.kind == "auto":
                return int(Change.parse(event.change).value)
        if self.device.type != "cuda":
            raise InputError("config.batch.size: auto measures the memory of a GPU; expected a number on a CPU")
        size = largest_batch(fits_in_memory(new, self.corpus.train, self.config, self.device))
        return int(self.process_group.broadcast(size)) * self.process_group.size

    def recorded_events(self) -> list[Event]:
        """Read the recorded events in the main process and return them in all processes."""
        values = [asdict(event) for event in events.read(self.directory)] if self.process_group.is_main else []
        return [Event(**event) for event in self.process_group.broadcast(values)]

    def start(self) -> None:
        """Write the configuration and the sentence hashes of a new run.

        Raises:
            InputError: If the directory cannot be written.
        """
        if self.process_group.is_main:
            self._write_start()
        training = self.config.training
        fraction = warmup_fraction(training, self.loader)
        if fraction > 1 + 1e-9:
            steps = (training.warmup_steps or 0) / fraction
            self.log_warning(
                f"training.warmup_steps={training.warmup_steps}: longer than the training ({steps:.0f} steps), so the "
                "learning rates rise until its end"
            )

    def _write_start(self) -> None:
        atomic.write_bytes(self.directory / seen.FILE, self.trained_on)
        for name, data in config_files(self.config).items():
            atomic.write_bytes(self.directory / name, data)

    def train(
        self, stop_at: tuple[int, int] | None = None, watch: loop.Watcher = lambda documents: documents
    ) -> Iterator[Progress]:
        """Train to the end, or until a request, a signal or ``stop_at`` stops the training.

        After each report it saves what is due and applies the changes that are due. ``stopped`` and ``exit_code`` are
        set when it ends.

        Args:
            stop_at: Step and number of finished epochs.
            watch: Wraps the validation documents, for example with a progress bar.
        """
        state, is_main = self.state, self.process_group.is_main
        valid = self.documents["valid"] or None
        outdated = True
        if is_main:
            self.callbacks += [load_component("callbacks", name).build() for name in self.config.training.callbacks]
            for callback in self.callbacks:
                try:
                    callback.on_start(self)
                except Exception as error:
                    raise InputError(f"callback {type(callback).__name__} could not start: {summary(error)}") from error
        with Signals() as signals:
            self.apply_changes()
            settings = self.config.metrics, self.device, self.process_group, watch
            for progress in loop.train(state, self.loader, valid, *settings):
                yield progress
                if outdated and is_main:  # results of the weights before this step
                    remove_results(self.directory, self.config)
                outdated = False
                if progress.epoch_record is not None:
                    self._save_epoch(progress)
                self.notify("on_step" if progress.epoch_record is None else "on_epoch", progress)
                requests = control.read_requests(self.directory, state) if is_main else []
                gathered = self.process_group.all_gather_object([signals.received, [asdict(r) for r in requests]])
                received = max(number for number, _ in gathered)
                applied = self.apply_changes([Event(**request) for request in gathered[0][1]])
                reached = (state.step, state.epoch) == stop_at
                self.stopped = bool(received) or reached or "stop=step" in applied or self.stop_requested
                save, every = self.stopped or "save=now" in applied, state.training_config.save_every
                if save or progress.epoch_record or (every is not None and state.step % every == 0):
                    with self.process_group.keep_alive():
                        if is_main and not (self.directory / CONFIG).is_file():  # the directory was removed
                            self._write_start()
                        path = checkpoint.save(state, self.directory, self.provenance, self.process_group)
                    if save:
                        self.log_info(f"saved: {path}")
                for _ in range(applied.count("evaluate=now")):
                    self._evaluate()
                if self.stopped:
                    self.exit_code = 128 + received if received else 0
                    if not reached:
                        self.log_info("stopped between two steps; continue with --resume")
                    self.notify("on_end", None)
                    return
        for event in self.pending_events:
            self.log_warning(f"{event.change}: not replayed, the run has ended before step {event.step}")
        self.pending_events = []
        self._write_events()

    def notify(self, method: str, *arguments: Any) -> None:
        """Call a method of all callbacks; one that fails is left out from now on, and the training continues."""
        for callback in list(self.callbacks):
            try:
                getattr(callback, method)(*arguments)
            except Exception as error:
                self.callbacks.remove(callback)
                name = type(callback).__name__
                self.log_warning(f"callback {name} failed and is left out from now on: {summary(error)}")

    def apply_changes(self, requests: Sequence[Event] = ()) -> list[str]:
        """Apply the recorded changes that are due, then requested ones, and record both.

        Returns:
            The requested changes that were possible.
        """
        state, applied = self.state, []
        now = (state.step, state.epoch)
        due = [event for event in self.pending_events if (event.step, event.epoch) <= now]
        self.pending_events = [event for event in self.pending_events if (event.step, event.epoch) > now]
        for event, requested in [*((event, False) for event in due), *((event, True) for event in requests)]:
            known = any((event.id, event.change) == (other.id, other.change) for other in state.events)
            if event.kind == "auto" or (event.id and known):
                continue  # repeated in `build`, or applied before a crash
            if (event.step, event.epoch) < now:
                place = f"step {event.step} after epoch {event.epoch}"
                self.log_warning(f"{event.change}: not replayed, the run no longer passes {place}")
                continue
            if event.kind == "resume":
                state.clear_stop()
            elif requested or event.change not in control.ONCE:
                try:
                    description = control.apply_change(state, self.config, event.change)
                except InputError as error:
                    self.log_warning(f"step {state.step}: not changed: {error}")
                    continue
                self.log_info(f"step {state.step}: {'' if requested else 'replayed '}{description}")
            state.events.append(event)
            if requested:
                applied.append(event.change)
        self._write_events()
        if self.process_group.is_main:
            for request in requests:  # after recording them, so that a crash between the two loses nothing
                control.remove_request(self.directory, request.id)
        return applied

    def _write_events(self) -> None:
        """Write the events if they have changed since the last call."""
        recorded = [*self.state.events, *self.pending_events]
        if self.process_group.is_main and recorded != self._written_events:
            events.write(self.directory, recorded)
            self._written_events = recorded

    def _evaluate(self) -> None:
        valid = self.documents["valid"]
        if not valid:
            self.log_warning("evaluate=now: no validation file configured (data.valid)")
            return
        evaluation = validation.evaluate(self.state, valid, self.config.metrics, self.device, self.process_group)
        for line in evaluation.lines("valid"):
            self.log_info(f"step {self.state.step}: {line}")

    def _save_epoch(self, progress: Progress) -> None:
        """Write the tables, and the model of the epoch."""
        record, is_main = progress.epoch_record, self.process_group.is_main
        assert record is not None, "called after an epoch only"
        self._write_events()
        self.timings.append({"epoch": record.epoch, **progress.timing})
        if is_main:
            rows = [record.history_row() for record in self.state.history]
            history.write_csv(self.directory / HISTORY, rows)
            atomic.write_bytes(self.directory / "history.md", history.history_table(rows).encode())
            history.write_csv(self.directory / "timing.csv", self.timings)
        last = self.directory / "last"
        with self.state.evaluation_weights(), self.process_group.keep_alive():
            extra = {seen.FILE: self.trained_on}
            target = self.directory if record.best else last
            weights = saving.full_weights(self.state.model)
            if is_main:
                saving.save(self.state.model, self.config, target, extra, weights)
        if record.best and is_main:
            shutil.rmtree(last, ignore_errors=True)  # the best epoch is the last one
