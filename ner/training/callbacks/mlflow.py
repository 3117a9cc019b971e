"""MLflow: configuration, scores of each epoch and final scores as a run; the environment names the server or folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ner.errors import InputError, not_installed
from ner.runtime.nested import flat

if TYPE_CHECKING:
    from ner.training.progress import Progress
    from ner.training.run import TrainingRun


def build() -> MLflow:
    """Return the callback.

    Raises:
        InputError: If MLflow is not installed.
    """
    try:
        import mlflow
    except ImportError:
        raise InputError(not_installed("mlflow", "mlflow-skinny")) from None
    return MLflow(mlflow)


class MLflow:
    """Callback that writes to MLflow; steps are left out, because each would be a request to the server."""

    def __init__(self, mlflow: Any) -> None:
        self.mlflow = mlflow

    def on_start(self, run: TrainingRun) -> None:
        """Start a run with the configuration as parameters."""
        self.mlflow.start_run(run_name=run.directory.name)
        parameters = {key: str(value)[:500] for key, value in flat(run.config.model_dump(mode="json")).items()}
        self.mlflow.log_params({"run_directory": str(run.directory), **parameters})

    def on_step(self, progress: Progress) -> None:
        """Ignore steps."""

    def on_epoch(self, progress: Progress) -> None:
        """Log the row of the history."""
        assert progress.epoch_record is not None, "after an epoch"
        row = progress.epoch_record.history_row()
        self.mlflow.log_metrics({key: float(value) for key, value in row.items()}, step=progress.epoch)

    def on_end(self, scores: Mapping[str, Any] | None) -> None:
        """Log the final test scores and end the run."""
        if scores is not None:
            final = flat(scores, "final")
            self.mlflow.log_metrics({key: float(v) for key, v in final.items() if isinstance(v, (int, float))})
        self.mlflow.end_run("KILLED" if scores is None else "FINISHED")
