"""One optimizer step: forward and backward passes, checks for non-finite values, update, train predictions."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from ner.config.training import TrainingConfig
from ner.errors import InputError, NonFiniteLossError
from ner.inference.annotate import name_bad_example
from ner.model.kernels.chain import BadExampleError
from ner.model.model import Model
from ner.runtime import distributed
from ner.runtime.device import HostCopy, autocast, resolve_precision
from ner.runtime.distributed import ProcessGroup
from ner.training import regularization
from ner.training.loader import StepBatch
from ner.training.optimizer import config_groups, in_module, replace_param_groups
from ner.training.progress import StepTimer
from ner.training.state import State
from ner.types import Batch, Example, Loss, Scores


class NonFiniteGuard(nn.Module):
    """Model wrapper that returns NaN losses where the model raises :class:`BadExampleError`.

    In distributed training, every process must run the backward pass, even if one of its examples is invalid.

    Attributes:
        failed: The example that could not be computed in the last forward pass, or None.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model
        self.failed: Example | None = None

    def forward(self, batch: Batch) -> tuple[Loss, Scores]:
        """Call the model."""
        self.failed = None
        try:
            output: tuple[Loss, Scores] = self.model(batch)
        except BadExampleError as error:
            self.failed = batch.examples[error.position]
            trained = [parameter.sum() for parameter in self.model.parameters() if parameter.requires_grad]
            return dict.fromkeys(batch.counts, torch.stack(trained).sum() * math.nan), {}
        return output


class StepContext:
    """Objects that all steps of a training share: state, device, processes and the wrapped model.

    Args:
        state: Changed in place.
        device: Device of the model.
        process_group: Processes that share each batch.

    Attributes:
        forward_model: The model, or with several processes its DDP wrapper, which synchronizes the gradients.
        perturbable: Embeddings that adversarial training perturbs.
    """

    def __init__(self, state: State, device: torch.device, process_group: ProcessGroup) -> None:
        self.state, self.device, self.process_group = state, device, process_group
        self.precision = resolve_precision(state.training_config.precision, device)
        self.trained = {name for name, parameter in state.model.named_parameters() if parameter.requires_grad}
        self.guard = (
            NonFiniteGuard(state.model) if process_group.size > 1 and not process_group.shards_weights else None
        )
        self.forward_model: nn.Module = state.model
        self.perturbable: list[nn.Parameter] = []
        self._frozen: frozenset[str] | None = None
        self._config: TrainingConfig | None = None

    def apply_settings(self) -> None:
        """Follow changed settings: parameter groups, frozen modules and the DDP wrapper, which depends on them."""
        state = self.state
        if self._config != state.training_config:
            replace_param_groups(state.optimizer, config_groups(state.model, state.training_config, self.trained))
            self._config = state.training_config
        frozen = frozenset(state.frozen_paths())
        if self._frozen != frozen:
            for name, parameter in state.model.named_parameters():
                parameter.requires_grad_(name in self.trained and not any(in_module(name, path) for path in frozen))
                parameter.grad = None
            self._frozen = frozen
            self.perturbable = regularization.adversarial_embeddings(state.model.encoder)
            self.forward_model = self.process_group.wrap_ddp(self.guard) if self.guard else state.model


def train_step(context: StepContext, step_batch: StepBatch, timer: StepTimer) -> float:
    """Accumulate gradients over the micro-batches of a step, update the weights, and score the train predictions.

    A GPU is synchronized once, for losses, gradient norm and predictions together. The update is launched before the
    predictions are decoded, so that both overlap.

    Returns:
        The loss of the step over all processes.

    Raises:
        NonFiniteLossError: Before the update, if the loss or the gradient is not finite.
    """
    state, process_group, device = context.state, context.process_group, context.device
    state.step += 1
    state.optimizer.zero_grad(set_to_none=True)
    if process_group.shards_weights:  # a sharded model needs all processes in each pass
        largest = int(process_group.all_reduce_max([len(step_batch.micro_batches)])[0])
        padding = step_batch.micro_batches[0]._replace(sync_only=True)
        step_batch.micro_batches += [padding] * (largest - len(step_batch.micro_batches))
    own_counts = step_batch.counts()
    names = sorted(own_counts)
    counts = dict(zip(names, process_group.all_reduce_sum([own_counts[name] for name in names]), strict=True))

    sums: dict[str, Tensor] = {}
    predictions: list[dict[str, Tensor]] = []
    failures: list[Example] = []
    passes: list[AbstractContextManager[None]] = [nullcontext()]
    adversarial = state.training_config.adversarial
    if adversarial is not None and context.perturbable:
        tables, synchronizes = context.perturbable, process_group.size > 1
        passes.append(regularization.perturbed(state.model, tables, adversarial.epsilon, synchronizes))
    for gradient_pass, perturbation in enumerate(passes):
        with perturbation:
            for number, micro_batch in enumerate(step_batch.micro_batches, 1):
                batch = micro_batch.batch.to(device)
                weight = 0.0 if micro_batch.sync_only else 1.0
                with process_group.no_sync(context.forward_model, last=number == len(step_batch.micro_batches)):
                    with name_bad_example(batch.examples, state.step), autocast(device, context.precision):
                        losses, scores = context.forward_model(batch)
                        means = [loss / max(1, counts[name]) for name, loss in losses.items()]
                        total = torch.stack(means).sum() * weight * process_group.size
                    if context.guard and context.guard.failed is not None:
                        failures.append(context.guard.failed)
                    with process_group.name_lost_process():
                        state.scaler.scale(total).backward()
                timer.mark("encoder")
                if gradient_pass == 0:  # not the adversarial one
                    for name, loss in losses.items():
                        sums[name] = sums.get(name, 0) + loss.detach() * weight
                    if not micro_batch.sync_only:
                        predictions.append(_predict(state.model, scores, batch, total))
                    timer.mark("decoder")
            process_group.sync_replicated_gradients(list(state.model.parameters()))

    state.scaler.unscale_(state.optimizer)
    # list the parameters after the backward pass only: FSDP replaces them in an evaluation and in a forward pass
    trained = [parameter for parameter in state.model.parameters() if parameter.grad is not None]
    norm = distributed.total_norm([parameter.grad for parameter in trained if parameter.grad is not None])
    numbered = {f"{number}.{name}": t for number, tensors in enumerate(predictions) for name, t in tensors.items()}
    host = HostCopy({**{f"loss.{name}": sums[name] for name in names}, "norm": norm, **numbered}).get()
    timer.mark("decoder")
    own_losses = [float(host[f"loss.{name}"]) for name in names]
    totals = dict(zip(names, process_group.all_reduce_sum(own_losses), strict=True))
    step_loss = sum(total / max(1, counts[name]) for name, total in totals.items())
    _check_finite(state, step_batch, step_loss, own_losses, float(host["norm"]), failures)
    _update_weights(state, trained, norm, float(host["norm"]))
    timer.mark("optimizer")
    state.train_scorer.add_loss(totals, {name: int(count) for name, count in counts.items()})
    outputs = [{name: host[f"{number}.{name}"] for name in tensors} for number, tensors in enumerate(predictions)]
    _score(state, step_batch, outputs)
    timer.mark("scores")
    return step_loss


def _check_finite(
    state: State, step_batch: StepBatch, loss: float, own_losses: list[float], norm: float, failures: list[Example]
) -> None:
    """Check the loss over all processes and the norm of the gradient.

    Raises:
        NonFiniteLossError: If one of them is not finite, except the gradient in fp16, where overflows are expected.
    """
    if not math.isfinite(loss):
        if state.scaler.is_enabled():
            state.scaler.update()  # lowers the scale
        if failures:
            raise NonFiniteLossError("the output of the model", state.step, failures[:1])
        source = "the loss of another process" if all(map(math.isfinite, own_losses)) else "the loss"
        raise NonFiniteLossError(source, state.step, step_batch.examples())
    if not math.isfinite(norm) and not state.scaler.is_enabled():
        raise NonFiniteLossError("the gradient", state.step, step_batch.examples())


def _update_weights(state: State, trained: list[nn.Parameter], norm: Tensor, norm_on_host: float) -> None:
    """Clip the gradients and update weights and averages."""
    limit = state.training_config.max_grad_norm
    if limit is not None and 0 < limit < norm_on_host:  # clip_grad_norm_ would multiply by 1
        distributed.clip(trained, limit, norm)
    state.scaler.step(state.optimizer)  # in fp16 it skips the update after an overflow
    state.scaler.update()
    if state.averaged_weights is not None:
        state.averaged_weights.after_step(state.epoch)


def _score(state: State, step_batch: StepBatch, outputs: list[dict[str, Tensor]]) -> None:
    """Count the predictions of a step, one set of tensors per micro-batch, for the train scores of the epoch."""
    learned = (micro_batch for micro_batch in step_batch.micro_batches if not micro_batch.sync_only)
    for micro_batch, predicted in zip(learned, outputs, strict=True):
        annotations = state.model.decoder.annotations(predicted, micro_batch.batch.inputs["mask"])
        if annotations:  # a generative decoder predicts nothing while it is trained
            pairs = zip(micro_batch.batch.examples, annotations, strict=True)
            in_units = [example.with_prediction(annotation) for example, annotation in pairs]
            merged = state.model.units.merge(micro_batch.gold, in_units)
            state.train_scorer.add(state.model.mark_unlabelled(micro_batch.gold), merged)


@torch.no_grad()
def _predict(model: Model, scores: Scores, batch: Batch, loss: Tensor) -> dict[str, Tensor]:
    """Return the predictions of a forward pass as tensors on the device, without waiting for it.

    If the loss is on the CPU and not finite, the result is empty.
    """
    if loss.device.type == "cpu" and not bool(torch.isfinite(loss.detach())):
        return {}
    detached = {name: tensor.detach() for name, tensor in scores.items()}
    predicted: dict[str, Tensor] = model.decoder.predict(detached, batch.inputs["mask"])
    return predicted


class OutOfMemory(InputError):
    """A step does not fit into the memory of the device."""


def out_of_memory(step_batch: StepBatch, max_micro_size: int) -> OutOfMemory:
    """Return an error that describes the largest micro-batch of a step and suggests a smaller size."""
    batches = [micro_batch.batch for micro_batch in step_batch.micro_batches]
    largest = max(batches, key=lambda batch: batch.inputs["mask"].numel())
    sentences, words = largest.inputs["mask"].shape
    longest = max((mask.shape[1] for mask in largest.piece_masks), default=0)
    pieces = f", {longest} pieces in its longest row" if longest else ""
    return OutOfMemory(
        f"out of memory with {sentences} sentences of up to {words} words{pieces}; "
        f"try batch.micro_size={max(1, max_micro_size // 2)}, which gives the same result"
    )
