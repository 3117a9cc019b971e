"""Checks of the settings of a training before it starts, reported as findings like those of the data."""

from __future__ import annotations

from ner.config.schema import RunConfig
from ner.data.findings import Finding
from ner.errors import counted

MIN_STEPS = 100
"""Steps of a whole training below which a model rarely learns."""
PRETRAINED_LIMIT = 2e-4
"""Learning rate above which a pretrained encoder usually diverges or collapses."""
RATES = (1e-7, 0.05)
"""Range of the learning rates that work, except of ``sgd``."""
SGD_RATES = (1e-4, 5.0)
"""Range of the learning rates that work with the optimizer ``sgd``."""


def check_settings(config: RunConfig, sentences: int) -> list[Finding]:
    """Check learning rates and batch sizes against what usually works.

    Args:
        config: Configuration of the run.
        sentences: Number of training sentences.
    """
    return [*_learning_rates(config), *_steps(config, sentences)]


def check_warmup(config: RunConfig, sentences: int) -> list[Finding]:
    """Check that the training is longer than its warm-up, by an estimate of its steps; a training itself counts them.

    Args:
        config: Configuration of the run.
        sentences: Number of training sentences.
    """
    steps = _steps_per_epoch(config, sentences) * config.training.epochs
    warmup = config.training.warmup_steps or 0
    if not 0 < steps < warmup:
        return []
    message = f"training.warmup_steps={warmup} exceeds all {counted(steps, 'step')}"
    return [Finding("warm-up", "warning", message, "Lower it, or use training.warmup_ratio.")]


def _learning_rates(config: RunConfig) -> list[Finding]:
    training = config.training
    rates = training.learning_rate if isinstance(training.learning_rate, dict) else {"": training.learning_rate}
    findings = []
    if rates and not any(rates.values()):
        findings.append(
            Finding("learning-rate", "error", "every learning rate is 0", "Set training.learning_rate above 0.")
        )
    for path, rate in rates.items():
        is_encoder = path.split(".")[0] == "encoder" or (path == "" and "encoder" not in rates)
        is_pretrained = config.encoder.pretrained_model and getattr(config.encoder, "freeze", 0) != "all"
        low, high = SGD_RATES if training.optimizer == "sgd" else RATES
        consequence, advice = "training usually diverges", "Lower it."
        if is_encoder and is_pretrained and training.optimizer != "sgd":
            high, consequence = PRETRAINED_LIMIT, "a pretrained encoder usually diverges or collapses"
            advice = "Use 1e-5 to 5e-5 for the encoder and a higher rate for the rest."
        setting = f"training.learning_rate{f'.{path}' if path else ''}={rate:g}"
        if rate > high:
            findings.append(Finding("learning-rate", "warning", f"{setting}: above {high:g}, {consequence}", advice))
        elif 0 < rate < low:
            findings.append(
                Finding("learning-rate", "warning", f"{setting}: below {low:g}, nothing is learned", "Raise it.")
            )
    return findings


def _steps(config: RunConfig, sentences: int) -> list[Finding]:
    steps, epochs = _steps_per_epoch(config, sentences), config.training.epochs
    if not 0 < steps * epochs < MIN_STEPS:
        return []
    return [
        Finding(
            "steps",
            "warning",
            f"{counted(steps, 'step')} an epoch, {steps * epochs} in all, from {counted(sentences, 'sentence')} with "
            f"batch.size={config.batch.size} and training.epochs={epochs}",
            "Reduce batch.size or raise training.epochs; models rarely learn in fewer than a few hundred steps.",
            steps * epochs,
        )
    ]


def _steps_per_epoch(config: RunConfig, sentences: int) -> int:
    """Return the steps of an epoch; 0 if they depend on the lengths of the sentences or the memory of a device."""
    size = config.batch.size
    return -(-sentences // size) if isinstance(size, int) and config.batch.measure == "sentences" else 0
