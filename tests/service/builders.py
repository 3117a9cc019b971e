"""Servers for tests: in a thread with any model, or as a process."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn

from ner.service import app, server
from ner.service.schema import Options

ROOT = Path(__file__).parents[2]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(port: int, path: str = "/tag", body: Any = None, timeout: float = 30) -> Answer:
    """Send a request on a connection of its own; a body makes it a ``POST``, and is JSON if it is no bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request("GET" if data is None else "POST", path, data)
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


class FakeModel:
    """A model without entities that waits for ``gate``; the text ``bad`` makes it fail."""

    sha256 = "0" * 64
    has_alternatives = False

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.seen: list[Any] = []

    def version(self) -> dict[str, Any]:
        return {"model": self.sha256}

    def tag(self, items: Sequence[Any], options: Options) -> list[dict[str, Any]]:
        assert self.gate.wait(20)
        self.seen += items
        if "bad" in items:
            raise ValueError("bad")
        coverage = dict.fromkeys(("sentences", "words", "characters", "missing", "without_piece"), 1)
        return [{"entities": [], "coverage": dict(coverage)} for _ in items]


@contextmanager
def in_thread(model: Any, **limits: Any) -> Iterator[tuple[int, app.Service]]:
    """Yield the port and the service of a server in a thread."""
    service = app.Service(lambda: model, app.Limits(**limits))
    listener = server.bind("127.0.0.1", 0)
    running = uvicorn.Server(server.configuration(app.create(service)))
    thread = threading.Thread(target=running.run, args=([listener],))
    thread.start()
    try:
        port = listener.getsockname()[1]
        deadline = time.monotonic() + 20
        while service.phase == "loading" and time.monotonic() < deadline:
            time.sleep(0.01)
        yield port, service
    finally:
        running.should_exit = True
        if isinstance(model, FakeModel):
            model.gate.set()
        thread.join(20)
        listener.close()
    assert not thread.is_alive()


class Process:
    """``ner serve`` as a process on a free port."""

    def __init__(self, run: Path | str, *options: str) -> None:
        command = [sys.executable, "-m", "ner", "serve", "--run", str(run), "--port", "0", *options]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = int(self.wait_for(r"at http://\S+:(\d+)/")[1])

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr:
            self.lines.extend(self.process.stderr)

    def wait_for(self, pattern: str, seconds: float = 60) -> re.Match[str]:
        """Wait for a line of the log."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in self.lines:
                if match := re.search(pattern, line):
                    return match
            if self.process.poll() is not None and not self._reader.is_alive():
                break
            time.sleep(0.01)
        raise AssertionError(f"no line with {pattern!r} in {self.lines}")

    def wait_until_ready(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if ask(self.port, "/readyz").status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.01)
        raise AssertionError(f"not ready: {self.lines}")

    def stop(self, number: int = 15, seconds: float = 60) -> int:
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()
        self._reader.join(20)
