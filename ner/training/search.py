"""Search over settings by validation scores: all combinations, or TPE with pruning (Akiba et al., 2019).

The file ``sweep.json`` records the trials, so that a later start repeats no finished one and continues an interrupted
one. A trial depends on its number and the earlier trials only, so an interrupted sweep ends like an undisturbed one.
Test scores are never used.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter

from ner.errors import InputError, not_installed
from ner.evaluation.evaluation import monitored
from ner.runs.directory import HISTORY
from ner.runs.history import read_history
from ner.runtime import atomic
from ner.runtime.json_files import read_json

if TYPE_CHECKING:
    from ner.training.progress import Progress
    from ner.training.run import TrainingRun

FILE = "sweep.json"


@dataclass(frozen=True)
class Choices:
    """Values of a setting, as typed."""

    values: tuple[str, ...]


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, whole ones if both are whole."""

    low: float
    high: float
    log: bool
    whole: bool


Space = Mapping[str, Choices | Range]
"""Key of the configuration -> its values."""


@dataclass
class Trial:
    """A training of a sweep; ``scores`` are the validation scores of its epochs, higher is better."""

    number: int
    parameters: dict[str, str]
    state: Literal["running", "finished", "pruned", "failed"] = "running"
    scores: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of the run directory."""
        return f"trial-{self.number:03d}"

    @property
    def overrides(self) -> list[str]:
        """Overrides of the configuration."""
        return [f"{key}={value}" for key, value in self.parameters.items()]


@dataclass
class Record:
    """Contents of ``sweep.json``."""

    config: str
    settings: list[str]
    trials: list[Trial]


RECORD = TypeAdapter(Record)


def parse_space(settings: Sequence[str]) -> dict[str, Choices | Range]:
    """Parse ``key=a,b,c`` and ``key=low..high[:log]``; commas inside of brackets and quotes do not separate values.

    Raises:
        InputError: If a setting has another form, or a key is repeated.
    """
    space: dict[str, Choices | Range] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not key or not equals:
            raise InputError(f"{setting}: expected key=a,b,c or key=low..high")
        if key in space:
            raise InputError(f"{setting}: the key {key} is repeated; write all values after one key")
        space[key] = _range(setting, text) if ".." in text else Choices(tuple(_split(text)))
        if isinstance(value := space[key], Choices) and len({*value.values}) < len(value.values):
            raise InputError(f"{setting}: a value is repeated")
    return space


def _range(setting: str, text: str) -> Range:
    bounds, _, scale = text.partition(":")
    low, _, high = bounds.partition("..")
    try:
        numbers = float(low), float(high)
    except ValueError:
        raise InputError(f"{setting}: expected numbers as in 1e-5..1e-3:log") from None
    if scale not in ("", "log") or not numbers[0] < numbers[1] or (scale and numbers[0] <= 0):
        raise InputError(f"{setting}: expected low..high or low..high:log with low < high, and 0 < low for log")
    return Range(*numbers, scale == "log", low.isdigit() and high.isdigit())


def _split(text: str) -> list[str]:
    values, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        depth += (character in "[{") - (character in "]}")
        if character == "," and not depth and not quote:
            values.append("")
        else:
            values[-1] += character
    return values


def first_values(space: Space) -> list[str]:
    """Return overrides with the first value of each setting, to check the configuration before the first trial."""
    first = {key: _text(v.low, v) if isinstance(v, Range) else v.values[0] for key, v in space.items()}
    return [f"{key}={value}" for key, value in first.items()]


def _text(value: Any, values: Choices | Range) -> str:
    if isinstance(values, Choices):
        return str(value)
    if values.whole:
        return str(int(value))
    return repr(min(max(float(f"{value:.4g}"), values.low), values.high))  # four digits are enough to read and repeat


class Watch:
    """Callback that collects the validation scores of a trial and stops it if the pruner decides so."""

    def __init__(self, monitor: str, trial: Any = None) -> None:
        self.monitor, self.trial = monitor, trial
        self.scores: list[float] = []
        self.pruned = False

    def on_start(self, run: TrainingRun) -> None:
        """Report the epochs before an interruption."""
        self.run = run
        for record in run.state.history:
            self._report(monitored(record.evaluations["valid"], self.monitor))

    def on_step(self, progress: Progress) -> None:
        """Ignore steps."""

    def on_epoch(self, progress: Progress) -> None:
        """Report the score of an epoch."""
        assert progress.epoch_record is not None, "after an epoch"
        self._report(monitored(progress.epoch_record.evaluations["valid"], self.monitor))
        if self.trial is not None and self.trial.should_prune() and progress.fraction < 1:
            self.pruned = self.run.stop_requested = True

    def on_end(self, scores: Mapping[str, Any] | None) -> None:
        """Ignore the end."""

    def _report(self, score: float) -> None:
        self.scores.append(score)
        if self.trial is not None:
            self.trial.report(score, len(self.scores))


class Sweep:
    """Trials of a sweep in a folder."""

    def __init__(self, folder: Path, record: Record, space: Space) -> None:
        self.folder, self.record, self.space = folder, record, space
        self._suggested: Any = None

    @classmethod
    def open(cls, folder: Path, config: str, settings: Sequence[str], space: Space) -> Sweep:
        """Open the sweep of a folder, or start one in an empty folder.

        Raises:
            InputError: If the folder contains other files or the sweep of another command.
        """
        path = folder / FILE
        record = Record(config, list(settings), [])
        if path.is_file():
            saved = read_json(path, RECORD)
            if (saved.config, saved.settings) != (record.config, record.settings):
                command = " ".join(["--config", saved.config, *saved.settings])
                raise InputError(f"{path}: belongs to a sweep with {command}; choose another --run")
            record = saved
        elif folder.is_dir() and any(folder.iterdir()):
            raise InputError(f"{folder}: contains other files; choose an empty directory for --run")
        sweep = cls(folder, record, space)
        sweep._write()
        return sweep

    @property
    def trials(self) -> list[Trial]:
        """Trials so far."""
        return self.record.trials

    def next_trial(self, count: int | None = None) -> Trial | None:
        """Return the interrupted trial or the next one; None after the last.

        Args:
            count: Number of trials of a search; None for all combinations.

        Raises:
            InputError: If a range has no number of trials, or Optuna is not installed.
        """
        running = next((trial for trial in self.trials if trial.state == "running"), None)
        number = running.number if running is not None else len(self.trials) + 1
        if count is None:
            combinations = self._combinations()
            if running is None and number > len(combinations):
                return None
            parameters = combinations[number - 1]
        else:
            if running is None and number > count:
                return None
            parameters = self._suggest(number, running)
        if running is not None:
            return running
        self.trials.append(Trial(number, parameters))
        self._write()
        return self.trials[-1]

    def watch(self, trial: Trial, monitor: str, prune: bool) -> Watch:
        """Return the callback for a trial."""
        return Watch(monitor, self._suggested if prune else None)

    def finish(self, trial: Trial, state: Literal["finished", "pruned", "failed"], scores: Sequence[float]) -> None:
        """Record the end of a trial."""
        trial.state, trial.scores = state, list(scores)
        self._write()

    def _combinations(self) -> list[dict[str, str]]:
        for key, values in self.space.items():
            if isinstance(values, Range):
                raise InputError(f"{key}: a range needs a number of trials; give --trials N or values a,b,c")
        lists = [values.values for values in self.space.values() if isinstance(values, Choices)]
        return [dict(zip(self.space, values, strict=True)) for values in itertools.product(*lists)]

    def _suggest(self, number: int, running: Trial | None) -> dict[str, str]:
        """Return the parameters of a trial by TPE; an interrupted trial keeps its own."""
        try:
            import optuna
        except ImportError:
            raise InputError(not_installed("optuna")) from None
        from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        distributions: dict[str, BaseDistribution] = {}
        for key, values in self.space.items():
            if isinstance(values, Choices):
                distributions[key] = CategoricalDistribution(values.values)
            elif values.whole:
                distributions[key] = IntDistribution(int(values.low), int(values.high), log=values.log)
            else:
                distributions[key] = FloatDistribution(values.low, values.high, log=values.log)

        def value(key: str, text: str) -> Any:
            distribution = distributions[key]
            if isinstance(distribution, IntDistribution):
                return int(text)
            return float(text) if isinstance(distribution, FloatDistribution) else text

        study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=number),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
        )
        states = {"finished": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}
        for trial in self.trials:
            if trial.state == "running":
                continue
            study.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState[states[trial.state]],
                    params={key: value(key, text) for key, text in trial.parameters.items()},
                    distributions=distributions,
                    intermediate_values=dict(enumerate(trial.scores, 1)),
                    value=max(trial.scores) if trial.scores else None,
                )
            )
        if running is not None:
            study.enqueue_trial({key: value(key, text) for key, text in running.parameters.items()})
        self._suggested = study.ask(distributions)
        return {key: _text(self._suggested.params[key], values) for key, values in self.space.items()}

    def _write(self) -> None:
        atomic.write_bytes(self.folder / FILE, json.dumps(asdict(self.record), indent=2, ensure_ascii=False).encode())


def validation_scores(directory: Path, monitor: str) -> list[float]:
    """Return the monitored validation score of each epoch of a run; losses are negative."""
    column, sign = ("avg_val_loss", -1.0) if monitor == "loss" else (f"valid.{monitor}", 1.0)
    return [sign * row[column] for row in read_history(directory / HISTORY) if column in row]
