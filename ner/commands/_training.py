"""Course of a training from its configuration to its final scores, for ``ner train`` and for :func:`ner.train`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ner.commands._display import Display
from ner.commands._prepare import prepare, training_run
from ner.config.schema import RunConfig
from ner.contracts import Callback
from ner.runs.directory import CONFIG, METRICS
from ner.runtime import atomic
from ner.runtime.log import Log, console_log
from ner.training import resume
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
        start_log: See :func:`~ner.commands._prepare.training_run`.
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
            _finish(run, notable, started, options.command)
    return run


def _finish(run: TrainingRun, notable: Mapping[str, dict[str, Any]], started: float, command: str) -> None:
    """Score the kept model and write ``metrics.json``."""
    scores = run.finish()
    scores |= {split: {**scores[split], **counts} for split, counts in notable.items() if split in scores}
    report = {
        **scores,
        **{"seconds": time.monotonic() - started, "command": command, "seed": run.config.seed},
        **{key: run.provenance[key] for key in ("data", "versions", "device", "threads", "processes")},
        "crf_backend": run.backend,
    }
    if run.process_group.is_main:
        atomic.write_bytes(run.directory / METRICS, json.dumps(report, indent=2, ensure_ascii=False).encode())
    run.log_info(f"done in {report['seconds']:.0f} s")
