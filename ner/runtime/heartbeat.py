"""Heartbeats of training processes, which find processes that died or hang."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ner.errors import ProcessLostError

LEFT = "left"


class Heartbeat:
    """Thread that writes the heartbeat of this process into a store and watches those of the others.

    A heartbeat is sent after progress, and continuously inside :meth:`during`, which marks long work and waiting for
    other processes. A process that hangs therefore falls silent, and one that waits for it does not. The format is
    ``<count> <step> <busy|waiting|on> <host>``.

    Args:
        store: Key-value store that all processes share.
        rank: Number of this process.
        size: Number of processes.
        timeout: Seconds without a heartbeat after which this process reports the lost one and exits with code 75.
    """

    def __init__(self, store: Any, rank: int, size: int, timeout: float) -> None:
        self.store, self.rank, self.size, self.timeout = store, rank, size, timeout
        self.interval = min(1.0, timeout / 10)
        self.beats = self.step = self.sent = 0
        self.states: list[str] = []
        self.seen: dict[int, tuple[str, float]] = {}
        self.idle_since: float | None = None
        self.idle_beats = 0
        self.stopped = threading.Event()
        self.host = socket.gethostname()
        self._send()
        self.thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self.thread.start()

    def beat(self, step: int | None = None) -> None:
        """Report progress."""
        self.beats += 1
        self.step = self.step if step is None else step

    @contextmanager
    def during(self, state: str) -> Iterator[None]:
        """Send heartbeats during the block, with the state ``busy`` or ``waiting``."""
        self.states.append(state)
        try:
            yield
        finally:
            self.states.pop()
            self.beats += 1

    def stop(self) -> None:
        """Tell the other processes that this one ends in order."""
        self.stopped.set()
        self.thread.join()
        with suppress(RuntimeError):
            self.store.set(str(self.rank), LEFT)

    def silent(self, seconds: float) -> list[str]:
        """Describe the processes without a heartbeat for so many seconds."""
        now = time.monotonic()
        return [
            _describe(rank, beat)
            for rank, (beat, since) in sorted(self.seen.items())
            if beat != LEFT and now - since > seconds
        ]

    def left(self) -> list[str]:
        """Describe the processes that have ended in order."""
        return [f"process {rank}" for rank, (beat, _) in sorted(self.seen.items()) if beat == LEFT]

    def _send(self) -> None:
        self.sent += 1
        state = self.states[-1] if self.states else "on"
        self.store.set(str(self.rank), f"{self.sent} {self.step} {state} {self.host}")

    def _run(self) -> None:
        last_beats = 0
        try:
            while not self.stopped.wait(self.interval):
                if self.beats != last_beats or self.states:
                    last_beats = self.beats
                    self._send()
                self._check(last_beats)
        except (RuntimeError, OSError):  # the store is gone with torchrun or process 0, which report the reason
            return

    def _check(self, beats: int) -> None:
        """Exit if another process is silent, or if all processes wait for each other without progress."""
        now = time.monotonic()
        for rank in range(self.size):
            if rank != self.rank and self.store.check([str(rank)]):
                beat = self.store.get(str(rank)).decode()
                if self.seen.get(rank, ("", 0.0))[0] != beat:
                    self.seen[rank] = (beat, now)
        lost = self.silent(self.timeout)
        waiting = [beat.split(" ")[2:3] == ["waiting"] for beat, _ in self.seen.values()]
        if not (self.states[-1:] == ["waiting"] and len(waiting) == self.size - 1 and all(waiting)):
            self.idle_since = None
        elif self.idle_since is None or self.idle_beats != beats:
            self.idle_since, self.idle_beats = now, beats
        elif now - self.idle_since > self.timeout:
            lost = ["the network between the processes, which all wait for each other,"]
        if lost:
            sys.stderr.write(
                f"error: {' and '.join(lost)} sent no heartbeat for {self.timeout:.0f} s; process {self.rank} on "
                f"{self.host} exits at step {self.step}. Continue with --resume\n"
            )
            sys.stderr.flush()
            os._exit(ProcessLostError.code)  # the main thread is blocked in a collective and cannot be interrupted


def _describe(rank: int, beat: str) -> str:
    _, step, _, host = beat.split(" ", 3)
    return f"process {rank} on {host} (last seen at step {step})"
