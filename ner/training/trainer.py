"""Course of a training from its configuration to its final scores, for ``ner train`` and for :func:`ner.train`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from ner.config.schema import RunConfig
from ner.contracts import Callback
from ner.runs.directory import CONFIG
from ner.runtime.log import Log, console_log
from ner.training import resume
from ner.training.display import Display
from ner.training.final_scores import finish
from ner.training.prepare import prepare, training_run
from ner.training.run import TrainingRun
from ner.types import Document


@dataclass
class TrainingOptions:
    """Everything about a training that its configuration does not contain.

    Attributes:
        choose_directory: Returns the run directory; called in the main process only.
        resume: Continue the run of the directory, if there is one.
        init: Run whose matching weights initialize the model.
        overrides: ``key=value`` arguments of this start; a resumed run applies live settings among them.
        notes: Lines for the beginning of the log.
        command: Call that repeats the training, saved with its scores.
        documents: Documents by split that are not read from files.
        start_log: See :func:`~ner.training.prepare.training_run`.
        start_up: Context of reading and building.
        callbacks: Receivers of progress reports besides those of the configuration.
    """

    choose_directory: Callable[[], Path]
    resume: bool = False
    init: Path | None = None
    overrides: Sequence[str] = ()
    notes: Sequence[str] = ()
    command: str = ""
    documents: Mapping[str, Sequence[Document]] = field(default_factory=dict)
    start_log: Callable[[Path, bool], Log] = console_log
    start_up: Callable[[], AbstractContextManager[None]] = nullcontext
    callbacks: Sequence[Callback] = ()


def train(config: RunConfig, options: TrainingOptions) -> TrainingRun:
    """Train, and score the kept model unless the training was stopped before its end.

    Raises:
        InputError: If the data, the configuration or the directory cannot be used.
        NonFiniteLossError: If the loss is not finite.
    """
    with training_run(config, options.choose_directory, options.start_log) as run:
        started = time.monotonic()
        for note in (*options.notes, f"run directory: {run.directory}"):
            run.log_info(note)
        changes: list[str] = []
        resumed = run.process_group.broadcast(options.resume and (run.directory / CONFIG).exists())
        if resumed:
            run.config, changes = resume.resumed_config(run.directory, config, options.overrides)
        run.given_documents = options.documents
        init = resume.initial_run(run.directory, run.process_group) if resumed else options.init
        with options.start_up():
            notable = prepare(run, init)
        if resumed:
            resume.resume(run, changes)
        else:
            run.start()
        run.callbacks += options.callbacks
        with Display(run) as display:
            for progress in run.train(watch=display.watch):
                display.show(progress)
        if not run.stopped:
            finish(run, notable, options.command, started)
    return run
