"""The sections of the configuration that say how a model learns: batches, training, processes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ner.config.base import ConfigSection


class BatchConfig(ConfigSection):
    """How much text makes a batch."""

    unit: Literal["sentences", "words", "pieces"] = "sentences"
    """What size counts; words and pieces count with their padding."""
    size: int | Literal["auto"] = 32
    """Most units of a step, of all processes together; a longer sentence makes a batch of its own. On a GPU auto tries
    out what fits."""
    at_once: int | None = Field(None, ge=1)
    """Most units of one pass through the model; gradients of a larger batch are added up over several, exactly."""
    ahead: int = Field(2, ge=0)
    """Batches that a thread makes ready while the model computes; 0 for none."""

    @model_validator(mode="after")
    def _positive(self) -> BatchConfig:
        if self.size != "auto" and self.size < 1:
            raise ValueError(f"batch.size is at least 1, found {self.size}")
        return self

    @property
    def units(self) -> int:
        """The size as a number.

        Raises:
            ValueError: If it is still ``auto``.
        """
        if self.size == "auto":
            raise ValueError("batch.size=auto is replaced by a number before batches are cut")
        return self.size

    @property
    def units_at_once(self) -> int:
        """Most units of one pass through the model."""
        return min(self.units, self.at_once or self.units)


class FreezeConfig(ConfigSection):
    """How long a part keeps its weights; of both the longer one counts."""

    steps: int = Field(0, ge=0)
    """Steps from the start."""
    epochs: int = Field(0, ge=0)
    """Epochs from the start."""


class PlateauConfig(ConfigSection):
    """What happens when a validation score has stopped to rise (Smith et al., 2018, for the batch)."""

    monitor: str | None = None
    """Score to watch, a path as in training.monitor; by default that one."""
    change: Literal["rate", "batch", "both"] = "rate"
    """Lower the learning rates, enlarge the batch of the following epochs, or both."""
    patience: int = Field(1, ge=0)
    """Epochs without a better score that are waited for."""
    factor: float = Field(0.5, gt=0, lt=1)
    """The rates are multiplied by it, the batch is divided by it."""
    smallest: float = Field(0.01, gt=0, le=1)
    """The rates stay above this share of the configured ones."""
    largest: int = Field(512, ge=1)
    """The batch stays at or below this size."""


class StoppingConfig(ConfigSection):
    """When training ends before its last epoch."""

    monitor: str | None = None
    """Score to watch, a path as in training.monitor; by default that one."""
    patience: int = Field(3, ge=1)
    """Epochs without a better score after which training ends."""


class AveragingConfig(ConfigSection):
    """Weights that are scored and kept in place of the last ones."""

    kind: Literal["ema", "swa"] = "ema"
    """A mean that forgets, taken at each step (Polyak and Juditsky, 1992), or the plain mean of the epochs' last
    weights (Izmailov et al., 2018)."""
    decay: float = Field(0.999, gt=0, lt=1)
    """Of ema: how much of the mean a step keeps; less in the first steps."""
    start: int = Field(0, ge=0)
    """Epochs before averaging begins."""


class AdversarialConfig(ConfigSection):
    """A second gradient, at embeddings moved in the direction that hurts most (Miyato et al., 2017)."""

    kind: Literal["fgm", "pgd"] = "fgm"
    """One move, or several smaller ones with their sum kept within the radius (Madry et al., 2018)."""
    radius: float = Field(1.0, gt=0)
    """Norm of the whole move."""
    steps: int = Field(3, ge=1)
    """Moves of pgd."""
    step_size: float = Field(0.3, gt=0)
    """Norm of a single move of pgd."""


class TrainingConfig(ConfigSection):
    """How the model learns."""

    epochs: int = Field(10, ge=1)
    """Passes over the training file, counted by sentences seen."""
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    """Rule of the update."""
    learning_rate: float | dict[str, float] = 1e-3
    """One rate, or a rate for each part by its path in the model, the longest match winning."""
    layer_decay: float = Field(1.0, gt=0, le=1)
    """Each layer of the encoder learns at this share of the rate of the layer above it."""
    weight_decay: float = Field(0.0, ge=0)
    """Decay of weights other than biases and norms."""
    max_grad_norm: float | None = 5.0
    """Gradients are scaled down to this norm; null or -1 for never."""
    freeze: dict[str, FreezeConfig] = Field({})
    """Parts, by path, that keep their weights for the first steps or epochs."""
    schedule: Literal["constant", "linear", "cosine", "inverse_sqrt"] = "constant"
    """Rate after the warm-up: kept, falling to 0 at the end along a line or a cosine, or with the root of the step."""
    warmup: float = Field(0.0, ge=0, le=1)
    """Share of the training in which the rate rises from 0."""
    warmup_steps: int | None = Field(None, ge=0)
    """The same in steps of the configured batch size."""
    plateau: PlateauConfig | None = None
    """Adapt rate or batch when a validation score has stopped to rise."""
    stopping: StoppingConfig | None = None
    """End early when a validation score has stopped to rise."""
    select: Literal["best", "last"] = "best"
    """Which epoch is kept: the best on the validation file, or the last."""
    monitor: str = "entity.micro.f1"
    """The score that says which epoch is best: the path of a metric, or loss."""
    keep: int = Field(2, ge=1)
    """Checkpoints that are kept; with 2 or more there is one to fall back to."""
    save_every: int | None = Field(None, ge=1)
    """Steps from one checkpoint to the next; by default there is one after each epoch."""
    tensorboard: bool = False
    """Write figures of steps and epochs for TensorBoard too, into <run>/tensorboard (extra tensorboard)."""
    log_every: int = Field(0, ge=0)
    """Steps from one line of the step log to the next; 0 for none."""
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """What follows a loss or gradient that is NaN or infinite: the end of the training, or the next batch."""
    max_skipped: int = Field(10, ge=1)
    """Batches left out by on_nonfinite=skip before training ends all the same."""
    averaging: AveragingConfig | None = None
    """Score and keep averaged weights."""
    adversarial: AdversarialConfig | None = None
    """Learn from worst-case embeddings too; doubles the time of a step, and more with pgd."""
    rdrop: float = Field(0.0, ge=0)
    """Weight of the difference between two passes with other dropout (R-Drop, Liang et al., 2021); doubles the time."""
    compile: bool = False
    """Compile the encoder with torch.compile: a minute of waiting and a C++ compiler for faster steps on GPUs."""
    deterministic: bool = False
    """Compute in a fixed order on GPUs too, so that a resumed run ends in the same bytes; on CPUs it always does."""
    precision: Literal["auto", "float32", "bf16", "fp16"] = "auto"
    """Arithmetic of encoder and context; auto takes bf16 where the GPU has it. The CRF stays in float32."""

    @model_validator(mode="after")
    def _consistent(self) -> TrainingConfig:
        rates = self.learning_rate if isinstance(self.learning_rate, dict) else {"": self.learning_rate}
        if any(rate < 0 for rate in rates.values()):
            raise ValueError("a learning rate is at least 0")
        if self.max_grad_norm is not None and self.max_grad_norm != -1 and self.max_grad_norm <= 0:
            raise ValueError(f"training.max_grad_norm is above 0, or null or -1 for never, found {self.max_grad_norm}")
        if self.warmup and self.warmup_steps is not None:
            raise ValueError("training.warmup and training.warmup_steps say the same thing in two ways; give one")
        return self

    @property
    def watched(self) -> dict[str, str]:
        """Paths of the scores that decide something, by the key that names them."""
        found = {"monitor": self.monitor} if self.select == "best" else {}
        for key in ("plateau", "stopping"):
            section = getattr(self, key)
            if section is not None:
                found[f"{key}.monitor"] = section.monitor or self.monitor
        return found


class ProcessesConfig(ConfigSection):
    """Training in several processes, started by torchrun."""

    timeout: float = Field(300.0, gt=0)
    """Seconds without a sign of life after which a process is given up and named."""
    shard: bool = False
    """Spread the encoder's weights over the processes (FSDP2), for encoders that do not fit on one GPU."""
