"""FLOP/s of the encoder relative to those of a large matrix product, with one thread."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from extras import keep
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from ner.model.pretrained import load_encoder  # noqa: E402  # after the path
from ner.runtime.device import processor  # noqa: E402  # after the path


def seconds(work: Callable[[], object], device: str) -> float:
    """Return the median time of seven calls."""
    times = []
    for _ in range(8):
        started = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return median(times[1:])


def main() -> None:
    """Measure inference and training in float32 and bfloat16."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    encoder = load_encoder("all-MiniLM-L6-v2", 0).to(device)
    pieces = torch.randint(1000, 20000, (32, 32), device=device)
    rows = []
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        size = 2048
        left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
        limit = 2 * size**3 / seconds(lambda a=left, b=right: a @ b, device)
        encoder.train()

        def forward(dtype: torch.dtype = dtype) -> torch.Tensor:
            with torch.autocast(device, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
                return encoder(input_ids=pieces).last_hidden_state

        def infer(run: Callable[[], torch.Tensor] = forward) -> torch.Tensor:
            with torch.inference_mode():
                return run()

        def train(run: Callable[[], torch.Tensor] = forward) -> None:
            run().float().sum().backward()

        for what, work in (("inference", infer), ("training", train)):
            with FlopCounterMode(display=False) as counter:
                work()
            reached = counter.get_total_flops() / seconds(work, device)
            rows.append([what, name, f"{reached / 1e9:.0f}", f"{limit / 1e9:.0f}", f"{reached / limit:.0%}"])
    where = torch.cuda.get_device_name() if device == "cuda" else processor()
    keep(
        f"flops{'-gpu' * (device == 'cuda')}",
        title="Encoder throughput against peak throughput",
        command="python benchmarks/flops.py",
        note="all-MiniLM-L6-v2, 32 rows of 32 pieces; the peak is measured with a 2048 x 2048 matrix product. "
        f"{where}, one thread.",
        columns=["what", "arithmetic", "encoder, GFLOP/s", "matrix product, GFLOP/s", "share"],
        rows=rows,
    )


if __name__ == "__main__":
    main()
