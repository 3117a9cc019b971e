"""Sections of the configuration for batches, training and distributed processes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ner.config.base import ConfigSection


class BatchConfig(ConfigSection):
    """Batch size and micro-batches."""

    measure: Literal["sentences", "words", "pieces"] = "sentences"
    """Unit of the batch size; words and pieces include padding."""
    size: int | Literal["auto"] = 32
    """Maximum size of a step over all processes; a longer sentence forms its own batch. auto finds the largest size
    that fits into GPU memory."""
    micro_size: int | None = Field(None, ge=1)
    """Maximum size of a micro-batch. Larger batches accumulate gradients with the same result; null for no limit. It
    also limits the batches of prediction, which otherwise contain 1,024 pieces or words on CPUs, and 4,096 words if a
    BiLSTM reads the encoder ``embedding``."""
    prefetch: int | None = Field(None, ge=0)
    """Number of batches prepared by a background thread, 0 for no thread; null for 2 on GPUs and 0 on CPUs, where the
    thread competes with the model."""

    @model_validator(mode="after")
    def _positive(self) -> BatchConfig:
        if self.size != "auto" and self.size < 1:
            raise ValueError(f"batch.size must be at least 1, found {self.size}")
        return self

    def prefetch_depth(self, device_type: str) -> int:
        """Return the number of batches to prepare in advance on a device of a type such as ``cpu``."""
        return self.prefetch if self.prefetch is not None else 0 if device_type == "cpu" else 2

    def inference_batches(self, device_type: str, pieces: int) -> tuple[Literal["sentences", "words", "pieces"], int]:
        """Return measure and size of the batches of evaluation and prediction.

        The best size of a training is smaller than the fastest one of a CPU, whose LSTM needs many sentences at once.
        On a GPU, and with a ``micro_size``, memory may be scarce, and the batches are those of the training.

        Args:
            device_type: Such as ``cpu``.
            pieces: The fastest size on a CPU, see :class:`~ner.contracts.Encoder`.
        """
        if device_type == "cpu" and self.micro_size is None:
            return "pieces", pieces
        return self.measure, self.max_micro_size

    @property
    def max_size(self) -> int:
        """The size as a number."""
        assert self.size != "auto", "a run replaces batch.size=auto by a number before it cuts batches"
        return self.size

    @property
    def max_micro_size(self) -> int:
        """Maximum size of a micro-batch."""
        return min(self.max_size, self.micro_size or self.max_size)


class FreezeConfig(ConfigSection):
    """Period during which a module is frozen; the longer of the two applies."""

    steps: int = Field(0, ge=0)
    """Number of steps from the start."""
    epochs: int = Field(0, ge=0)
    """Number of epochs from the start."""


class PlateauConfig(ConfigSection):
    """Reaction to a validation score that stops improving (for the batch size: Smith et al., 2018)."""

    monitor: str | None = None
    """Path of the monitored score; null for training.monitor."""
    adapt: Literal["learning_rate", "batch_size", "both"] = "learning_rate"
    """Reduce the learning rates, increase the batch size of the following epochs, or both."""
    patience: int = Field(1, ge=0)
    """Number of epochs without improvement that are tolerated."""
    factor: float = Field(0.5, gt=0, lt=1)
    """Factor for the learning rates; the batch size is divided by it."""
    min_lr_scale: float = Field(0.01, gt=0, le=1)
    """Lower bound of the learning rates, relative to the configured ones."""
    max_batch_size: int = Field(512, ge=1)
    """Upper bound of the batch size."""


class EarlyStoppingConfig(ConfigSection):
    """Early stopping."""

    monitor: str | None = None
    """Path of the monitored score; null for training.monitor."""
    patience: int = Field(3, ge=1)
    """Number of epochs without improvement after which training stops."""


class AveragingConfig(ConfigSection):
    """Averaged weights for evaluation and for the saved model."""

    kind: Literal["ema", "swa"] = "ema"
    """Exponential moving average over steps (Polyak and Juditsky, 1992), or stochastic weight averaging over epochs
    (Izmailov et al., 2018)."""
    decay: float = Field(0.999, gt=0, lt=1)
    """Decay of the exponential moving average; smaller during the first steps."""
    start: int = Field(0, ge=0)
    """Number of epochs before averaging starts."""


class AdversarialConfig(ConfigSection):
    """Adversarial training: an additional gradient at perturbed embeddings (Miyato et al., 2017)."""

    kind: Literal["fgm"] = "fgm"
    """Fast gradient method."""
    epsilon: float = Field(1.0, gt=0)
    """L2 norm of the perturbation of each embedding table."""


class TrainingConfig(ConfigSection):
    """Optimization, schedules, checkpoints and model selection."""

    epochs: int = Field(10, ge=1)
    """Number of passes over the training data."""
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    """Optimizer."""
    learning_rate: float | dict[str, float] = 2e-3
    """Learning rate, or a mapping from module path to learning rate. The longest matching path applies. The default
    suits models without a pretrained encoder, which needs a lower one, such as 2e-5."""
    layer_decay: float = Field(1.0, gt=0, le=1)
    """Layer-wise learning rate decay: factor from one encoder layer to the layer below it."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay; biases and normalization layers are excluded."""
    max_grad_norm: float | None = 5.0
    """Maximum norm for gradient clipping; null or -1 disables it."""
    freeze: dict[str, FreezeConfig] = Field({})
    """Modules by path that are frozen during the first steps or epochs."""
    schedule: Literal["constant", "linear", "cosine", "inverse_sqrt"] = "linear"
    """Learning rate schedule after the warm-up. linear and cosine decay to 0 at the end of training, inverse_sqrt with
    the square root of the step."""
    warmup_ratio: float = Field(0.0, ge=0, le=1)
    """Ratio of linear warm-up steps to all steps."""
    warmup_steps: int | None = Field(None, ge=0)
    """Number of linear warm-up steps at the configured batch size, instead of warmup_ratio."""
    plateau: PlateauConfig | None = None
    """Reduce learning rates or increase the batch size when a validation score stops improving."""
    early_stopping: EarlyStoppingConfig | None = None
    """Stop training when a validation score stops improving."""
    keep_epoch: Literal["best", "last"] = "best"
    """Saved model: the epoch with the best validation score, or the last epoch."""
    monitor: str = "entity.micro.f1"
    """Score that selects the best epoch: a path that starts with the name of a metric, or loss."""
    keep_checkpoints: int = Field(2, ge=1)
    """Number of checkpoints to keep; with at least 2, a corrupt checkpoint can be replaced by an earlier one."""
    save_every: int | None = Field(None, ge=1)
    """Number of steps between checkpoints; null for one checkpoint per epoch."""
    tensorboard: bool = False
    """Write TensorBoard events to <run>/tensorboard (extra tensorboard)."""
    callbacks: tuple[str, ...] = ()
    """Receivers of progress reports, such as mlflow and wandb: files of ner/training/callbacks."""
    log_every: int = Field(0, ge=0)
    """Number of steps between lines of the step log; 0 disables it."""
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """Reaction to a NaN or infinite loss or gradient: stop training, or skip the step."""
    max_skipped: int = Field(10, ge=1)
    """Number of skipped steps after which training stops."""
    averaging: AveragingConfig | None = None
    """Evaluate and save averaged weights."""
    adversarial: AdversarialConfig | None = None
    """Adversarial training; doubles the time of a step."""
    compile: bool = False
    """Compile the encoder with torch.compile. Steps are faster on GPUs; the first one takes about a minute longer."""
    deterministic: bool = False
    """Use deterministic algorithms on GPUs, so that a resumed run ends in identical weights. CPUs always do."""
    calibrate: bool = True
    """Calibrate the probabilities of entities on the validation data after training. Predictions do not change."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Precision of encoder and context; auto uses bf16 if the GPU supports it. The CRF computes in float64, and in
    float32 on Apple GPUs."""

    @model_validator(mode="after")
    def _consistent(self) -> TrainingConfig:
        rates = self.learning_rate if isinstance(self.learning_rate, dict) else {"": self.learning_rate}
        for module, rate in rates.items():
            if rate < 0:
                key = ".".join(filter(None, ("training.learning_rate", module)))
                raise ValueError(f"{key} must be at least 0, found {rate}")
        if self.max_grad_norm is not None and self.max_grad_norm != -1 and self.max_grad_norm <= 0:
            raise ValueError(
                f"training.max_grad_norm must be above 0, or null or -1 for no clipping, found {self.max_grad_norm}"
            )
        if self.warmup_ratio and self.warmup_steps is not None:
            raise ValueError("training.warmup_ratio and training.warmup_steps exclude each other; give one")
        return self

    @property
    def watched(self) -> dict[str, str]:
        """Paths of the monitored scores, by the configuration key that names them."""
        paths = {"monitor": self.monitor} if self.keep_epoch == "best" else {}
        for key in ("plateau", "early_stopping"):
            section = getattr(self, key)
            if section is not None:
                paths[f"{key}.monitor"] = section.monitor or self.monitor
        return paths


class ProcessesConfig(ConfigSection):
    """Distributed training with torchrun."""

    heartbeat_timeout: float = Field(300.0, gt=0)
    """Seconds without a heartbeat after which a process is reported as lost."""
    fsdp: bool = False
    """Shard the encoder's weights over the processes (FSDP2), for encoders that do not fit into one GPU."""
