"""Several processes that train one model, started by torchrun: who they are, what they tell each other, who is silent.

A process started without torchrun is a world of its own, and everything here costs it nothing. What processes tell
each other is JSON and tensors, never pickles.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ner.errors import ProcessLostError


class World:
    """The processes of a training.

    Attributes:
        rank: The number of this process; 0 names the run, writes and speaks.
        size: How many there are.
        local_rank: Its number on this machine, which is the number of its GPU.
        deals: Whether each process evaluates a share of the batches; not so when weights are spread over processes,
            since then each batch needs all of them.
    """

    def __init__(self, rank: int = 0, size: int = 1, local_rank: int = 0) -> None:
        self.rank, self.size, self.local_rank = rank, size, local_rank
        self.deals = True
        self._group: Any = None
        self._pulse: _Pulse | None = None

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def start(self, device: torch.device, timeout: float) -> None:
        """Find the others; call it once, before anything else of this class.

        Args:
            device: GPUs talk by NCCL, CPUs by gloo.
            timeout: Seconds of silence after which a process is given up.
        """
        if self.size == 1:
            return
        store = _store(self.rank, self.size)
        patience = timedelta(days=1)  # who is silent is known by the pulse, so that long work is no failure
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(
            backend, store=dist.PrefixStore("group", store), rank=self.rank, world_size=self.size, timeout=patience
        )
        self._group = dist.new_group(backend="gloo", timeout=patience)
        self._pulse = _Pulse(dist.PrefixStore("pulse", store), self.rank, self.size, timeout)

    def end(self) -> None:
        """Leave in order; the others may go on without this process."""
        if self._pulse is not None:
            self._pulse.stop()
        if dist.is_initialized():
            dist.destroy_process_group()

    def beat(self, step: int | None = None) -> None:
        """A sign of life, with the step that was reached."""
        if self._pulse is not None:
            self._pulse.beat(step)

    def busy(self) -> AbstractContextManager[None]:
        """Signs of life are given for as long as the block takes: for work that cannot give them itself."""
        return nullcontext() if self._pulse is None else self._pulse.during("busy")

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The block waits for the other processes.

        Raises:
            ProcessLostError: If one of them is gone; it is named.
        """
        if self._pulse is None:
            yield
            return
        with self._pulse.during("waiting"):
            try:
                yield
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                reason = str(error).splitlines()[0]
                time.sleep(min(5.0, self._pulse.timeout))
                gone = self._pulse.silent(3 * self._pulse.interval) + self._pulse.left()
                if not gone:
                    raise
                raise ProcessLostError(f"{' and '.join(gone)} is gone ({reason}); start again with --resume") from error

    def share(self, items: Any) -> Any:
        """What of these falls to this process: every size-th of them."""
        return items[self.rank :: self.size]

    def exchange(self, value: Any) -> list[Any]:
        """A plain value of each process, by rank; goes through JSON, which keeps floats as they are."""
        if self.size == 1:
            return [value]
        data = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        return [json.loads(tensor.numpy().tobytes()) for tensor in self.exchange_bytes(data)]

    def exchange_bytes(self, data: Tensor) -> list[Tensor]:
        """Bytes of each process, by rank, on the CPU."""
        if self.size == 1:
            return [data]
        lengths = [torch.zeros(1, dtype=torch.long) for _ in range(self.size)]
        with self.waiting():
            dist.all_gather(lengths, torch.tensor([len(data)]), group=self._group)
        longest = max(int(length) for length in lengths)
        padded = torch.zeros(longest, dtype=torch.uint8)
        padded[: len(data)] = data
        found = [torch.empty(longest, dtype=torch.uint8) for _ in range(self.size)]
        with self.waiting():
            dist.all_gather(found, padded, group=self._group)
        return [tensor[: int(length)] for tensor, length in zip(found, lengths, strict=True)]

    def tell(self, value: Any) -> Any:
        """The plain value of the first process."""
        return self.exchange(value if self.first else None)[0]

    def add(self, values: Sequence[float]) -> list[float]:
        """Sums over the processes, in float64."""
        return self._reduce(values, dist.ReduceOp.SUM)

    def most(self, values: Sequence[float]) -> list[float]:
        """Maxima over the processes."""
        return self._reduce(values, dist.ReduceOp.MAX)

    def _reduce(self, values: Sequence[float], operation: Any) -> list[float]:
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64)
        with self.waiting():
            dist.all_reduce(tensor, operation, group=self._group)
        found: list[float] = tensor.tolist()
        return found

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model whose gradients are means over the processes; the model itself if it is alone, or sharded."""
        if self.size == 1 or not self.deals:
            return model
        return DistributedDataParallel(model, process_group=dist.group.WORLD)  # it and its batches are on one device

    def shard(self, encoder: nn.Module, layers: Sequence[nn.Module], device: torch.device) -> None:
        """Spread the weights of an encoder over the processes (FSDP2), layer by layer; call it before ``wrap``."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        if self.size == 1:
            return
        self.deals = False
        mesh = init_device_mesh(device.type, (self.size,))
        for layer in layers:
            if layer is not encoder:
                fully_shard(layer, mesh=mesh)
        fully_shard(encoder, mesh=mesh)

    def without_sync(self, model: nn.Module, last: bool) -> AbstractContextManager[None]:
        """Gradients stay with this process until the last pass of a step."""
        if last or not isinstance(model, DistributedDataParallel):
            return nullcontext()
        found: AbstractContextManager[None] = model.no_sync()
        return found

    def sync(self, parameters: Sequence[nn.Parameter]) -> None:
        """Means over the processes of gradients that nobody else has averaged: beside an encoder that is spread."""
        if self.size == 1 or self.deals:
            return
        with self.waiting():
            for parameter in parameters:
                if parameter.grad is not None and not is_spread(parameter):
                    dist.all_reduce(parameter.grad)
                    parameter.grad /= self.size


def is_spread(tensor: Tensor) -> bool:
    """Whether a tensor is spread over processes."""
    return hasattr(tensor, "full_tensor")


def total_norm(gradients: Sequence[Tensor]) -> Tensor:
    """The norm of all gradients together, whole or spread."""
    norms = [torch.nn.utils.get_total_norm([g for g in gradients if not is_spread(g)])]
    norms += [whole(gradient.norm()).to(norms[0].device) for gradient in gradients if is_spread(gradient)]
    return norms[0] if len(norms) == 1 else torch.stack(norms).norm()


def clip(parameters: Sequence[nn.Parameter], limit: float, norm: Tensor) -> None:
    """Scale gradients down from a norm to a limit."""
    if not any(map(is_spread, parameters)):
        torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
        return
    factor = limit / (float(norm) + 1e-6)
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.mul_(factor)


def whole(tensor: Tensor) -> Tensor:
    """A tensor that may be spread over processes as a plain one; then all of them must ask for it."""
    gather = getattr(tensor, "full_tensor", None)
    return tensor if gather is None else gather()


def gathered(tensor: Tensor) -> Tensor:
    """A tensor on the CPU, see :func:`whole`."""
    return whole(tensor).detach().cpu().contiguous()


def spread(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor on the device of another one, and spread over processes as that is."""
    tensor = tensor.to(like.device)
    if not is_spread(like):
        return tensor
    from torch.distributed.tensor import distribute_tensor  # half a second, for nothing where weights are whole

    return distribute_tensor(tensor, like.device_mesh, like.placements)  # type: ignore[attr-defined]


def world() -> World:
    """From the environment that torchrun (or Slurm with the same variables) gives to a process."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    rank, size, local_rank = (
        int(os.environ.get(name, default)) for name, default in zip(names, (0, 1, 0), strict=True)
    )
    return World(rank, size, local_rank)


def _store(rank: int, size: int) -> Any:
    """Where processes leave notes for each other: torchrun's own, or one that the first process opens."""
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    of_torchrun = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    store = dist.TCPStore(host, port, size, is_master=rank == 0 and not of_torchrun, wait_for_workers=False)
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return dist.PrefixStore(f"ner/{attempt}", store)


class _Pulse:
    """Writes this process's signs of life into the store, and watches those of the others.

    A process gives a sign where it gets on, or while it is known to be busy or to wait for the others. So one that
    hangs falls silent although it lives, and one that waits for it does not. A sign is
    ``<count> <step> <busy|waiting|on> <host>``.
    """

    def __init__(self, store: Any, rank: int, size: int, timeout: float) -> None:
        self.store, self.rank, self.size, self.timeout = store, rank, size, timeout
        self.interval = min(1.0, timeout / 10)
        self.beats = self.step = self.said = 0
        self.states: list[str] = []
        self.seen: dict[int, tuple[str, float]] = {}
        self.idle_since: float | None = None
        self.idle_beats = 0
        self.ended = threading.Event()
        self.host = socket.gethostname()
        self._say()
        self.thread = threading.Thread(target=self._work, name="pulse", daemon=True)
        self.thread.start()

    def beat(self, step: int | None) -> None:
        self.beats += 1
        self.step = self.step if step is None else step

    @contextmanager
    def during(self, state: str) -> Iterator[None]:
        self.states.append(state)
        try:
            yield
        finally:
            self.states.pop()
            self.beats += 1

    def stop(self) -> None:
        self.ended.set()
        self.thread.join()
        with suppress(RuntimeError):
            self.store.set(str(self.rank), "left")

    def silent(self, seconds: float) -> list[str]:
        """Who has given no sign for so long."""
        now = time.monotonic()
        return [
            _describe(rank, sign)
            for rank, (sign, since) in sorted(self.seen.items())
            if sign != "left" and now - since > seconds
        ]

    def left(self) -> list[str]:
        """Who has gone in order, although the others still work."""
        return [f"process {rank}" for rank, (sign, _) in sorted(self.seen.items()) if sign == "left"]

    def _say(self) -> None:
        self.said += 1
        state = self.states[-1] if self.states else "on"
        self.store.set(str(self.rank), f"{self.said} {self.step} {state} {self.host}")

    def _work(self) -> None:
        last = 0
        try:
            while not self.ended.wait(self.interval):
                if self.beats != last or self.states:
                    last = self.beats
                    self._say()
                self._look(last)
        except (RuntimeError, OSError):  # the store has gone, and with it torchrun or the first process, who say why
            return

    def _look(self, beats: int) -> None:
        now = time.monotonic()
        for rank in range(self.size):
            if rank != self.rank and self.store.check([str(rank)]):
                sign = self.store.get(str(rank)).decode()
                if self.seen.get(rank, ("", 0.0))[0] != sign:
                    self.seen[rank] = (sign, now)
        lost = self.silent(self.timeout)
        waiting = [sign.split(" ")[2:3] == ["waiting"] for sign, _ in self.seen.values()]
        if not (self.states[-1:] == ["waiting"] and len(waiting) == self.size - 1 and all(waiting)):
            self.idle_since = None
        elif self.idle_since is None or self.idle_beats != beats:
            self.idle_since, self.idle_beats = now, beats
        elif now - self.idle_since > self.timeout:
            lost = ["the network between the processes, which all wait for each other,"]
        if lost:
            sys.stderr.write(
                f"error: {' and '.join(lost)} gave no sign of life for {self.timeout:.0f} s; process {self.rank} on "
                f"{self.host} gives up at step {self.step}. Start again with --resume\n"
            )
            sys.stderr.flush()
            os._exit(ProcessLostError.code)


def _describe(rank: int, sign: str) -> str:
    _, step, _, host = sign.split(" ", 3)
    return f"process {rank} on {host} (last seen at step {step})"
