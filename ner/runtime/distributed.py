"""Distributed training: process group, collectives, sharded tensors.

Processes exchange JSON and tensors, never pickles. Everything here is free of cost in a single process.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ner.errors import ProcessLostError
from ner.runtime.heartbeat import Heartbeat


class ProcessGroup:
    """The processes that train or evaluate one model.

    Attributes:
        rank: Number of this process; process 0 is the main process, which writes files and logs.
        size: Number of processes.
        local_rank: Number of this process on its machine, which is the number of its GPU.
        shards_weights: True if each process holds a part of the weights (FSDP), so that every process takes part in
            every pass.
    """

    def __init__(self, rank: int = 0, size: int = 1, local_rank: int = 0) -> None:
        self.rank, self.size, self.local_rank = rank, size, local_rank
        self.shards_weights = False
        self._group: Any = None
        self._heartbeat: Heartbeat | None = None

    @classmethod
    def from_environment(cls) -> ProcessGroup:
        """Read the environment variables of torchrun; without them, the process is alone."""
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
        return cls(*(int(os.environ.get(name, default)) for name, default in zip(names, (0, 1, 0), strict=True)))

    @property
    def is_main(self) -> bool:
        """True in the process that writes files and logs."""
        return self.rank == 0

    def start(self, device: torch.device, timeout: float) -> None:
        """Connect to the other processes. Call it before any other method.

        Args:
            device: Selects the backend: NCCL for GPUs, gloo for CPUs.
            timeout: Seconds without a heartbeat after which a process is reported as lost.
        """
        if self.size == 1:
            return
        store = _store(self.rank, self.size)
        collective_timeout = timedelta(days=1)  # the heartbeat finds lost processes, so long work must not be a timeout
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(
            backend,
            store=dist.PrefixStore("group", store),
            rank=self.rank,
            world_size=self.size,
            timeout=collective_timeout,
        )
        self._group = dist.new_group(backend="gloo", timeout=collective_timeout)
        self._heartbeat = Heartbeat(dist.PrefixStore("heartbeat", store), self.rank, self.size, timeout)

    def end(self) -> None:
        """Leave the group; the other processes may continue."""
        if self._heartbeat is not None:
            self._heartbeat.stop()
        if dist.is_initialized():
            dist.destroy_process_group()

    def heartbeat(self, step: int | None = None) -> None:
        """Send a heartbeat, optionally with the current step."""
        if self._heartbeat is not None:
            self._heartbeat.beat(step)

    def keep_alive(self) -> AbstractContextManager[None]:
        """Return a context manager that sends heartbeats during work that cannot send them itself."""
        return nullcontext() if self._heartbeat is None else self._heartbeat.during("busy")

    @contextmanager
    def name_lost_process(self) -> Iterator[None]:
        """Wait for other processes inside the block, and name the lost one if a collective fails.

        Raises:
            ProcessLostError: If another process has died or left.
        """
        if self._heartbeat is None:
            yield
            return
        with self._heartbeat.during("waiting"):
            try:
                yield
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                reason = str(error).splitlines()[0]
                time.sleep(min(5.0, self._heartbeat.timeout))
                lost = self._heartbeat.silent(3 * self._heartbeat.interval) + self._heartbeat.left()
                if not lost:
                    raise
                raise ProcessLostError(
                    f"{' and '.join(lost)} stopped responding ({reason}); continue with --resume"
                ) from error

    def shard(self, items: Any) -> Any:
        """Return the items of this process: every ``size``-th one."""
        return items[self.rank :: self.size]

    def all_gather_object(self, value: Any) -> list[Any]:
        """Return the JSON values of all processes by rank; floats keep all their bits."""
        if self.size == 1:
            return [value]
        data = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        return [json.loads(tensor.numpy().tobytes()) for tensor in self.all_gather_bytes(data)]

    def all_gather_bytes(self, data: Tensor) -> list[Tensor]:
        """Return the byte tensors of all processes by rank, on the CPU."""
        if self.size == 1:
            return [data]
        lengths = [torch.zeros(1, dtype=torch.long) for _ in range(self.size)]
        with self.name_lost_process():
            dist.all_gather(lengths, torch.tensor([len(data)]), group=self._group)
        longest = max(int(length) for length in lengths)
        padded = torch.zeros(longest, dtype=torch.uint8)
        padded[: len(data)] = data
        tensors = [torch.empty(longest, dtype=torch.uint8) for _ in range(self.size)]
        with self.name_lost_process():
            dist.all_gather(tensors, padded, group=self._group)
        return [tensor[: int(length)] for tensor, length in zip(tensors, lengths, strict=True)]

    def broadcast(self, value: Any) -> Any:
        """Return the JSON value of the main process."""
        return self.all_gather_object(value if self.is_main else None)[0]

    def all_reduce_sum(self, values: Sequence[float]) -> list[float]:
        """Return the sums over all processes, computed in float64."""
        return self._all_reduce(values, dist.ReduceOp.SUM)

    def all_reduce_max(self, values: Sequence[float]) -> list[float]:
        """Return the maxima over all processes."""
        return self._all_reduce(values, dist.ReduceOp.MAX)

    def _all_reduce(self, values: Sequence[float], operation: Any) -> list[float]:
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64)
        with self.name_lost_process():
            dist.all_reduce(tensor, operation, group=self._group)
        reduced: list[float] = tensor.tolist()
        return reduced

    def wrap_ddp(self, model: nn.Module) -> nn.Module:
        """Wrap a model in DDP, or return it unchanged if the process is alone or the weights are sharded."""
        if self.size == 1 or self.shards_weights:
            return model
        return DistributedDataParallel(model, process_group=dist.group.WORLD)  # model and batches are on one device

    def fully_shard(self, encoder: nn.Module, layers: Sequence[nn.Module], device: torch.device) -> None:
        """Shard the weights of an encoder layer by layer (FSDP2). Call it before :meth:`wrap_ddp`."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        if self.size == 1:
            return
        self.shards_weights = True
        mesh = init_device_mesh(device.type, (self.size,))
        for layer in layers:
            if layer is not encoder:
                fully_shard(layer, mesh=mesh)
        fully_shard(encoder, mesh=mesh)

    def no_sync(self, model: nn.Module, last: bool) -> AbstractContextManager[None]:
        """Return a context manager that postpones gradient synchronization to the last micro-batch of a step."""
        if last or not isinstance(model, DistributedDataParallel):
            return nullcontext()
        context: AbstractContextManager[None] = model.no_sync()
        return context

    def sync_replicated_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Average the gradients of replicated parameters if others are sharded; DDP does it otherwise."""
        if not self.shards_weights:
            return
        with self.name_lost_process():
            for parameter in parameters:
                if parameter.grad is not None and not is_sharded(parameter):
                    dist.all_reduce(parameter.grad)
                    parameter.grad /= self.size


def is_sharded(tensor: Tensor) -> bool:
    """Return whether a tensor is sharded over processes (a DTensor, whose class takes half a second to import)."""
    return hasattr(tensor, "full_tensor")


def total_norm(gradients: Sequence[Tensor]) -> Tensor:
    """Return the norm of all gradients together, replicated or sharded."""
    norms = [torch.nn.utils.get_total_norm([g for g in gradients if not is_sharded(g)])]
    norms += [full_tensor(gradient.norm()).to(norms[0].device) for gradient in gradients if is_sharded(gradient)]
    return norms[0] if len(norms) == 1 else torch.stack(norms).norm()


def clip(parameters: Sequence[nn.Parameter], limit: float, norm: Tensor) -> None:
    """Scale gradients of a total norm down to a limit."""
    if not any(map(is_sharded, parameters)):
        torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
        return
    factor = limit / (float(norm) + 1e-6)
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.mul_(factor)


def full_tensor(tensor: Tensor) -> Tensor:
    """Return a sharded tensor as a plain one, which all processes must request together."""
    return tensor.full_tensor() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]


def full_cpu_tensor(tensor: Tensor) -> Tensor:
    """Return a copy of a tensor on the CPU; see :func:`full_tensor`."""
    return full_tensor(tensor).detach().cpu().contiguous()


def shard_like(tensor: Tensor, like: Tensor) -> Tensor:
    """Move a plain tensor to the device of another one, and shard it in the same way."""
    tensor = tensor.to(like.device)
    if not is_sharded(like):
        return tensor
    from torch.distributed.tensor import distribute_tensor  # takes half a second, so import it only if needed

    return distribute_tensor(tensor, like.device_mesh, like.placements)  # type: ignore[attr-defined]


def _store(rank: int, size: int) -> Any:
    """Return the key-value store of torchrun, or one that process 0 opens."""
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    uses_agent_store = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    store = dist.TCPStore(host, port, size, is_master=rank == 0 and not uses_agent_store, wait_for_workers=False)
    restart_count = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return dist.PrefixStore(f"ner/{restart_count}", store)
