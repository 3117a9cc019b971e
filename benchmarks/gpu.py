"""The CRF on a GPU: milliseconds of loss with gradient and of decoding, and its share of a BERT-base training step.

``python benchmarks/gpu.py`` where there is a GPU; random weights in the shape of BERT-base, so nothing is fetched.
``--device cpu`` runs it small, to see that it runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import nn
from transformers import BertConfig, BertModel

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from ner.kernels import crf  # noqa: E402  # after the path
from ner.kernels.chain import Chain  # noqa: E402  # after the path

GOALS = {"loss and gradient": 1.0, "decoding": 0.5}


def milliseconds(work: Callable[[], object], device: torch.device, rounds: int) -> float:
    """Median, the device waited for before and after."""
    times = []
    for _ in range(rounds + 3):
        if device.type == "cuda":
            torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return 1000 * median(times[3:])


def crf_rows(device: torch.device, size: tuple[int, int, int], rounds: int) -> list[list[str]]:
    """Loss with gradient, and decoding, by kernel; the numbers of the kernels are compared first."""
    sentences, words, num_tags = size
    torch.manual_seed(1)
    emissions = torch.randn(size, device=device, requires_grad=True)
    tags = torch.randint(num_tags, (sentences, words), device=device)
    lengths = torch.randint(words // 2, words + 1, (sentences, 1), device=device)
    lengths[0] = words
    mask = torch.arange(words, device=device) < lengths
    shapes = ((num_tags,), (num_tags, num_tags), (num_tags,))
    chain = Chain(*(torch.randn(shape, device=device).requires_grad_() for shape in shapes))
    kernels: list[crf.Kernel] = ["plain", crf.choose("auto", device)]
    results = []
    rows = []
    for kernel in dict.fromkeys(kernels):

        def loss(kernel: crf.Kernel = kernel) -> list[torch.Tensor]:
            total = crf.log_likelihood(emissions, tags, mask, chain, kernel).sum()
            return [total.detach(), *torch.autograd.grad(total, [emissions, *chain[:3]])]

        def decode(kernel: crf.Kernel = kernel) -> torch.Tensor:
            return crf.best_path(emissions, mask, chain, kernel)[0]

        results.append([*loss(), decode()])
        for what, work in (("loss and gradient", loss), ("decoding", decode)):
            goal = f"{GOALS[what]:g}" if kernel == "triton" else ""
            rows.append([f"{what} at {size}, {kernel}", f"{milliseconds(work, device, rounds):.2f} ms", goal])
    for left, right in zip(results[0], results[-1], strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-5)
    return rows


def step_row(device: torch.device, layers: int, rounds: int) -> list[str]:
    """The share of the CRF in a bf16 training step of BERT-base over 32 rows of 128 pieces."""
    small = {"vocab_size": 64, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(num_hidden_layers=layers, **({} if layers == 12 else small))
    encoder, head = BertModel(config, add_pooling_layer=False).to(device), nn.Linear(config.hidden_size, 9).to(device)
    tables = nn.ParameterList([nn.Parameter(torch.randn(*shape) * 0.1) for shape in ((9,), (9, 9), (9,))]).to(device)
    parameters = [*encoder.parameters(), *head.parameters(), *tables.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-5, fused=True)
    pieces = torch.randint(1, config.vocab_size, (32, 128), device=device)
    tags, mask = pieces % 9, torch.ones_like(pieces, dtype=torch.bool)

    def step(with_crf: bool) -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            emissions = head(encoder(input_ids=pieces).last_hidden_state)
        if with_crf:
            loss = -crf.log_likelihood(emissions, tags, mask, Chain(*tables)).sum()
            crf.best_path(emissions.detach(), mask, Chain(*tables))
        else:
            loss = nn.functional.cross_entropy(emissions.float().flatten(0, 1), tags.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    without, whole = (milliseconds(lambda flag=flag: step(flag), device, rounds) for flag in (False, True))
    share = (whole - without) / whole
    return [f"CRF in a training step of {whole:.1f} ms, {layers} layers, 32 x 128 pieces", f"{share:.1%}", "3%"]


def main() -> None:
    """Print the rows, keep them with the name of the GPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--output", default=str(ROOT / "results" / "benchmarks" / "gpu.extra.json"))
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    is_gpu = device.type == "cuda"
    rounds = 20 if is_gpu else 2
    rows = crf_rows(device, (32, 512, 9) if is_gpu else (4, 32, 9), rounds)
    rows.append(step_row(device, 12 if is_gpu else 1, rounds))
    print(*rows, sep="\n")
    if is_gpu:
        kept = {
            "title": f"The CRF on a GPU: {torch.cuda.get_device_name()}",
            "command": "python benchmarks/gpu.py",
            "note": f"torch {torch.__version__}, random weights in the shape of BERT-base.",
            "columns": ["what", "measured", "at most"],
            "rows": rows,
        }
        Path(arguments.output).parent.mkdir(parents=True, exist_ok=True)
        Path(arguments.output).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
