"""Start of a training: processes, log, data and model, with their description in the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner.data.question_answering import ANSWER
from ner.data.tasks import decoder_outputs
from ner.errors import InputError
from ner.runs.directory import LOCK, LOG, remove_directory
from ner.runs.lock import locked
from ner.runtime.device import resolve_device, set_seed
from ner.runtime.distributed import ProcessGroup
from ner.runtime.log import Log, console_log

if TYPE_CHECKING:
    from ner.config.schema import RunConfig
    from ner.model.model import Model
    from ner.training.run import TrainingRun

MAX_CLASSES = 12
"""Number of text labels that a log line lists at most."""


@contextmanager
def training_run(
    config: RunConfig,
    choose_directory: Callable[[], Path],
    start_log: Callable[[Path, bool], Log] = console_log,
    create: Callable[..., TrainingRun] | None = None,
) -> Iterator[TrainingRun]:
    """Start the processes and the log of a training, and end them afterwards.

    Args:
        config: Configuration of the run.
        choose_directory: Returns the run directory; called in the main process only. A directory that contains only
            the log is removed after invalid input.
        start_log: Returns the log for a file; the second argument is true in the main process.
        create: Constructor of the run; by default :class:`~ner.training.run.TrainingRun`.

    Raises:
        InputError: If another training uses the directory.
    """
    from ner.training.run import TrainingRun

    process_group = ProcessGroup.from_environment()
    device = resolve_device(config.device, process_group.local_rank)
    process_group.start(device, config.processes.heartbeat_timeout)
    try:
        chosen = choose_directory() if process_group.is_main else None
        with locked(chosen) if chosen else nullcontext():
            directory = Path(process_group.broadcast(str(chosen)))
            log = start_log(directory / LOG, process_group.is_main)
            try:
                create = create or TrainingRun
                yield create(config, directory, device, process_group, log.info, log.warning)
            except InputError:
                log.close()
                if process_group.is_main and {path.name for path in directory.glob("*")} <= {LOG, LOCK}:
                    remove_directory(directory)
                raise
    finally:
        process_group.end()


def prepare(run: TrainingRun, init: Path | None = None) -> dict[str, dict[str, Any]]:
    """Read the data, build the model and log a description of both.

    Returns:
        The notable counts of each split, see :func:`ner.data.statistics.notable`.
    """
    from ner.contracts import Encoder

    set_seed(run.config.seed)
    with run.process_group.keep_alive():
        run.read()
        model = run.build(init)
    notable = {split: _describe_split(run, model, split) for split, documents in run.documents.items() if documents}
    encoders = (module for module in model.modules() if isinstance(module, Encoder))
    for encoder in encoders:
        for name, value in encoder.report.items():
            run.log_info(f"{name}: {f'{value:.1%}' if isinstance(value, float) else value}")
    run.log_info(f"trainable parameters: {model.num_parameters:,}")
    if run.process_group.is_main:
        _log_checks(run, model)
    if run.backend:
        run.log_info(f"CRF backend: {run.backend}")
    return notable


def _log_checks(run: TrainingRun, model: Model) -> None:
    """Warn about leaks, characters and settings, from what was counted already; ``ner check`` shows the places."""
    from ner.data import checks, config_checks, seen

    sentences = sum(len(document.examples) for document in run.corpus.train)
    findings = config_checks.check_settings(run.config, sentences)
    trained_on = run.corpus.hashes()  # without those of an initial model, which `--init` reports itself
    for split in ("valid", "test"):
        known, total = seen.count(run.documents[split], trained_on)
        if known:
            run.log_info(f"{split}: {known} of {total} sentences ({known / total:.1%}) also occur in train")
    for kind, words in checks.suspicious_words(model.vocabs.words).items():
        run.log_info(f"train: {len(words)} different words contain {kind}")
    for finding in findings:
        log = run.log_info if finding.name == "steps" else run.log_warning  # small samples are often meant
        log(f"{finding.message}. {finding.advice}")


def _describe_split(run: TrainingRun, model: Model, split: str) -> dict[str, Any]:
    """Log the counts of a split and warn about unusual ones, which are returned."""
    from ner.data import statistics

    outputs = decoder_outputs(run.config.decoder.name)
    question_answering = "answers" in outputs
    counts = run.corpus.statistics(split, model)
    labels, classes = counts["labels"], counts["classes"]
    listed = ", ".join(f"{label} {count}" for label, count in sorted(labels.items()))
    entities = f", {sum(labels.values())} entities ({listed})" if labels else ""
    unit = "questions" if question_answering else "sentences"
    marked = f", {labels[ANSWER]} answers in the passage" if question_answering and labels else entities
    number = len(run.documents[split])
    run.log_info(f"{split}: {number} documents, {counts['sentences']} {unit}, {counts['words']} words{marked}")
    if classes:
        frequent = sorted(classes.items(), key=lambda item: (-item[1], item[0]))
        listed = ", ".join(f"{label} {count}" for label, count in frequent[:MAX_CLASSES])
        more = f", {len(frequent) - MAX_CLASSES} more" if len(frequent) > MAX_CLASSES else ""
        run.log_info(f"{split}: {'answer types' if question_answering else 'text labels'}: {listed}{more}")
    if split == "train" and len(classes) == 1 and "labels" in outputs:
        run.log_warning("train: only one class; there is nothing to learn")
    notable: dict[str, Any] = statistics.notable(counts, model.vocabs)
    if "unseen_labels" in notable:
        run.log_warning(f"{split}: {statistics.format_unseen(notable['unseen_labels'])}")
    if counts["overlapping"]:
        run.log_warning(f"{split}: {counts['overlapping']} entities overlap a longer one and cannot be tagged")
    for notice, count in [*notable.get("remarks", {}).items(), *sorted(counts["coverage"].items())]:
        run.log_info(f"{split}: {count} {notice}")
    return notable
