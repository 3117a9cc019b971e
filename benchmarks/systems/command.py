"""Time from the start of a program to its first line of output."""

from __future__ import annotations

import os
import subprocess
import time
from typing import Any

import worker


def prepare(command: list[str], text: str) -> Any:
    """Run the command with a line of text on its standard input."""

    def repeat() -> dict[str, Any]:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert process.stdin is not None, "a pipe"
        assert process.stdout is not None, "a pipe"
        process.stdin.write(text + "\n")
        process.stdin.close()
        first = process.stdout.readline()
        seconds = time.perf_counter() - started
        process.stdout.read()
        if process.wait() or not first:
            raise RuntimeError(f"{command[0]} failed")
        return {"words": len(text.split()), "seconds": seconds}

    return repeat


if __name__ == "__main__":
    worker.serve(prepare, [])
