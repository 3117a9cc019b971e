"""Display of a training: progress bars, log lines and TensorBoard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner.errors import InputError, not_installed
from ner.runtime.log import progress as progress_bar

if TYPE_CHECKING:
    from ner.training.progress import Progress
    from ner.training.run import TrainingRun
    from ner.types import Document


class Display:
    """Context manager that shows the progress of a training.

    Args:
        run: Training run that is ready for its first step.
    """

    def __init__(self, run: TrainingRun) -> None:
        self.run = run
        self.epoch_bar = progress_bar(total=run.state.training_config.epochs, unit="epoch", position=0)
        self.sentence_bar = progress_bar(total=run.loader.sentences, unit="sentence", position=1)
        self.pace = Pace(run.state.sentences)
        use_tensorboard = run.config.training.tensorboard and run.process_group.is_main
        self.tensorboard = tensorboard_writer(run.directory / "tensorboard") if use_tensorboard else None

    def __enter__(self) -> Display:
        self.epoch_bar.update(self.run.state.epoch)
        return self

    def __exit__(self, *error: object) -> None:
        self.sentence_bar.close()
        self.epoch_bar.close()
        if self.tensorboard is not None:
            self.tensorboard.close()

    def show(self, progress: Progress) -> None:
        """Show a step or the end of an epoch."""
        state = self.run.state
        self.sentence_bar.set_postfix(refresh=False, step=progress.step, loss=f"{progress.loss:.3f}")
        finished_epochs = (progress.epoch - 1) * self.run.loader.sentences
        self.sentence_bar.update(state.sentences - finished_epochs - self.sentence_bar.n)
        log_every = state.training_config.log_every
        if progress.epoch_record is not None:
            self.pace.after_epoch(state.sentences, progress.timing)
            self._log_epoch(progress)
            self.epoch_bar.total = state.training_config.epochs
            self.epoch_bar.update(progress.epoch - self.epoch_bar.n)
            self.sentence_bar.reset()
        elif log_every and progress.step % log_every == 0:
            rates = ", ".join(f"{name} {rate:.3g}" for name, rate in sorted(progress.learning_rates.items()))
            self.run.log_info(f"Step: {progress.step} Learning rate: {rates} Loss: {progress.loss:.4f}")
        if self.tensorboard is not None:
            for name, value in _scalars(progress).items():
                self.tensorboard.add_scalar(name, value, progress.step)

    def watch(self, documents: Sequence[Document]) -> Iterable[Document]:
        """Return the documents of an evaluation behind a progress bar."""
        watched: Iterable[Document] = progress_bar(documents, unit="document", desc="evaluation", position=2)
        return watched

    def _log_epoch(self, progress: Progress) -> None:
        assert progress.epoch_record is not None, "only after an epoch"
        state, epochs = self.run.state, self.run.state.training_config.epochs
        self.run.log_info(f"epoch [{progress.epoch}/{epochs}]")
        for split, evaluation in progress.epoch_record.evaluations.items():
            for line in evaluation.lines(split):
                self.run.log_info(line)
        for event in state.events:
            if event.step == progress.step and event.kind in ("plateau", "stopping"):
                self.run.log_info(f"{event.kind}: {event.change}")
        if progress.epoch < epochs and not state.ended:
            sentences = epochs * self.run.loader.sentences - state.sentences
            eta = format_duration(self.pace.remaining(sentences, epochs - state.epoch))
            self.run.log_info(f"best epoch so far: {state.best_epoch}; ETA {eta}")


class Pace:
    """Speed of training and evaluation in this process; a resumed run can start in the middle of an epoch.

    Args:
        sentences: Number of sentences that were trained on before this process started.
    """

    def __init__(self, sentences: int) -> None:
        self.before = self.seen = sentences
        self.training_seconds = self.evaluation_seconds = 0.0
        self.epochs = 0

    def after_epoch(self, sentences: int, timing: Mapping[str, float]) -> None:
        """Add an epoch: the number of sentences so far, and :attr:`~ner.training.progress.Progress.timing`."""
        self.seen = sentences
        self.epochs += 1
        self.training_seconds += timing["seconds"]
        self.evaluation_seconds += timing["evaluation_seconds"]

    def remaining(self, sentences: int, epochs: int) -> float:
        """Return the seconds for a number of further sentences, with an evaluation after each of ``epochs``."""
        per_sentence = self.training_seconds / max(1, self.seen - self.before)
        return sentences * per_sentence + epochs * self.evaluation_seconds / self.epochs


def format_duration(seconds: float) -> str:
    """Return a duration such as ``45 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def tensorboard_writer(directory: Path) -> Any:
    """Return a ``SummaryWriter`` of torch.

    Raises:
        InputError: If the package ``tensorboard`` is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(not_installed("tensorboard")) from None
    return SummaryWriter(str(directory))


def _scalars(progress: Progress) -> dict[str, float]:
    """Return loss and learning rates of a step, or the row of ``history.csv`` of an epoch."""
    if progress.epoch_record is None:
        rates = {f"step/rate.{name}": rate for name, rate in progress.learning_rates.items()}
        return {"step/loss": progress.loss, **rates}
    row = progress.epoch_record.history_row()
    return {key.replace(".", "/", 1): float(value) for key, value in row.items()}
