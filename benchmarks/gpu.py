"""Benchmarks on a GPU, each with its baseline on the same GPU.

``python benchmarks/gpu.py [SECTION ...] --conll DIR`` runs all sections, or some.

Sections: ``crf`` (kernels against pytorch-crf), ``step`` (share of the CRF in a training step), ``finetuning`` (against
Trainer, and against the matrix products of the GPU), ``tagging`` (against pipeline), ``bilstm`` (against a plain loop).
Encoders have random weights in the shape of BERT-base, so nothing is fetched but the tokenizer of the bundled encoder.
``--device cpu`` runs all of it small, to see that it runs.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
import transformers
from torch import nn
from torchcrf import CRF

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks" / "systems")]

import hf  # noqa: E402  # after the path
import ours  # noqa: E402  # after the path
import pytorch_crf_loop  # noqa: E402  # after the path

from ner.inference.tagger import Tagger  # noqa: E402  # after the path
from ner.model.kernels import crf  # noqa: E402  # after the path
from ner.model.kernels.chain import Chain  # noqa: E402  # after the path
from ner.model.pretrained import resolve  # noqa: E402  # after the path

torch.set_num_threads(max(1, torch.get_num_threads() // 2))
SIZES = [(32, 128, 9), (32, 512, 9), (256, 64, 9), (16, 512, 37), (4, 4096, 9)]
LIMITS = {"loss and gradient": 1.0, "decoding": 0.5}
"""Goals in milliseconds at (32, 512, 9)."""
TIMES = 30.0
"""Required speed-up over pytorch-crf at (32, 512, 9)."""
LAYERS = 85_054_464
"""Parameters in the twelve layers of BERT-base; training takes 6 operations per word piece and parameter."""
BASE = {"vocab_size": 30522}
TINY = {
    "vocab_size": 30522,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}


class Setting:
    """Device and size of the benchmarks.

    Args:
        device: ``cuda``, or ``cpu`` to try it out.
        conll: Directory of train.txt, valid.txt and test.txt.
        tokenizer: A model whose tokenizer the encoders get.
        folder: For the encoders.
    """

    def __init__(self, device: str, conll: str, tokenizer: str, folder: Path) -> None:
        self.device = torch.device(device)
        self.small = device == "cpu"
        self.precision: Any = "fp32" if self.small else "bf16"
        self.train, self.test = f"{conll}/train.txt", f"{conll}/test.txt"
        self.shape = TINY if self.small else BASE
        self.encoder = str(folder / "encoder")
        names = transformers.AutoTokenizer.from_pretrained(resolve(tokenizer))
        names.save_pretrained(self.encoder)
        torch.manual_seed(1)
        transformers.BertModel(transformers.BertConfig(**self.shape)).save_pretrained(self.encoder)

    def milliseconds(self, work: Callable[[], object], rounds: int) -> float:
        """Return the median time, synchronized with the device before and after."""
        times = []
        for _ in range(rounds + 1):
            started = ours.now(self.device)
            work()
            times.append(ours.now(self.device) - started)
        return 1000 * median(times[1:])


def kernels(setting: Setting) -> Iterator[list[str]]:
    """Measure loss with gradient and decoding, after comparing the results of the kernels."""
    device = setting.device
    for size in [(4, 16, 9)] if setting.small else SIZES:
        sentences, words, num_tags = size
        torch.manual_seed(1)
        emissions = torch.randn(size, device=device, requires_grad=True)
        tags = torch.randint(num_tags, (sentences, words), device=device)
        lengths = torch.randint(words // 2, words + 1, (sentences, 1), device=device)
        lengths[0] = words
        mask = torch.arange(words, device=device) < lengths
        theirs = CRF(num_tags, batch_first=True).to(device)
        tables = [theirs.start_transitions, theirs.transitions, theirs.end_transitions]
        chain = Chain(*tables)

        def loss(kernel: Any = "auto", _: Any = (emissions, tags, mask, chain)) -> list[torch.Tensor]:
            emissions, tags, mask, chain = _
            total = crf.log_likelihood(emissions, tags, mask, chain, kernel).sum()
            return [total.detach(), *torch.autograd.grad(total, [emissions, *chain[:3]])]

        def decode(kernel: Any = "auto", _: Any = (emissions, mask, chain)) -> torch.Tensor:
            return crf.best_path(*_, kernel)[0]

        def their_loss(_: Any = (theirs, emissions, tags, mask, tables)) -> None:
            theirs, emissions, tags, mask, tables = _
            torch.autograd.grad(theirs(emissions, tags, mask=mask, reduction="sum"), [emissions, *tables])

        def their_decode(_: Any = (theirs, emissions, mask)) -> None:
            with torch.no_grad():
                _[0].decode(_[1], mask=_[2])

        for left, right in zip([*loss("torch"), decode("torch")], [*loss(), decode()], strict=True):
            torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-5)
        for what, work, peer in (("loss and gradient", loss, their_loss), ("decoding", decode, their_decode)):
            found, other = setting.milliseconds(work, 20), setting.milliseconds(peer, 1 if words > 1000 else 4)
            named = size == (32, 512, 9)
            goal = f"at least {TIMES:g} times, at most {LIMITS[what]:g} ms" if named else ""
            yield [f"{what} at {size}", f"{found:.2f} ms", f"pytorch-crf {other:.1f} ms", f"{other / found:.1f}", goal]


def step(setting: Setting) -> Iterator[list[str]]:
    """Measure the fraction of the CRF in a bf16 training step of BERT-base over 32 rows of 128 word pieces."""
    device = setting.device
    config = transformers.BertConfig(**setting.shape)
    encoder = transformers.BertModel(config, add_pooling_layer=False).to(device)
    head = nn.Linear(config.hidden_size, 9).to(device)
    tables = nn.ParameterList([nn.Parameter(torch.randn(*shape) * 0.1) for shape in ((9,), (9, 9), (9,))]).to(device)
    parameters = [*encoder.parameters(), *head.parameters(), *tables.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-5, fused=True)
    pieces = torch.randint(1, config.vocab_size, (32, 128), device=device)
    tags, mask = pieces % 9, torch.ones_like(pieces, dtype=torch.bool)

    def one(with_crf: bool) -> None:
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

    rounds = 2 if setting.small else 60
    turns = [[setting.milliseconds(lambda flag=flag: one(flag), 1) for flag in (False, True)] for _ in range(rounds)]
    without, whole = (median(side) for side in zip(*turns, strict=True))
    share = (whole - without) / whole
    what = "share of the CRF, loss and decoding, in a training step over 32 x 128 pieces"
    yield [what, f"{whole:.2f} ms", f"cross-entropy instead {without:.2f} ms", f"{share:.1%}", "at most 3%"]


def finetuning(setting: Setting) -> Iterator[list[str]]:
    """Measure bf16 training in words per second and as a fraction of the matrix-product throughput."""
    peak = _peak(setting)
    for size in (4,) if setting.small else (32, 1024):
        steps = 3 if setting.small else 50 if size == 32 else 39  # three epochs of 14 large steps
        options = {"train": setting.train, "steps": steps, "device": setting.device.type}
        changed = [f"encoder.model={setting.encoder}", f"batch.size={size}", f"training.precision={setting.precision}"]
        repeat = ours.prepare_training("configs/conll2003/bert_crf.yaml", overrides=changed, **options)
        peer = hf.prepare_training(setting.encoder, setting.train, steps, True, size, gpu=not setting.small)
        rates: list[list[float]] = [[], []]
        for _ in range(2):
            for number, work in enumerate((repeat, peer)):
                done = work()
                rates[number].append(done["words"] / done["seconds"])
        (found, other), share = (max(side) for side in rates), pieces_per_word(setting)
        reached = found * share * 6 * LAYERS / peak
        what = f"fine-tuning in the shape of BERT-base, {size} sentences a step, words per second"
        cells = [f"{found:,.0f}", f"Trainer, grouped by length, {other:,.0f}", f"{found / other:.2f}"]
        yield [what, *cells, "at least 1.2"]
        yield [
            f"the same as a share of {peak / 1e12:.0f} TFLOP/s, a product of 8192 x 8192 in bf16", f"{reached:.0%}",
            f"Trainer {other * share * 6 * LAYERS / peak:.0%}", "", "at least 40%",
        ]  # fmt: skip


def pieces_per_word(setting: Setting) -> float:
    """Count the word pieces of the training file, without special tokens."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(setting.encoder)
    sentences = [words for words, _ in hf.worker.read_columns(setting.train)]
    encoded = tokenizer(sentences, is_split_into_words=True, add_special_tokens=False)["input_ids"]
    return sum(map(len, encoded)) / sum(map(len, sentences))


def _peak(setting: Setting) -> float:
    size = 256 if setting.small else 8192
    left, right = (torch.randn(size, size, device=setting.device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / (setting.milliseconds(lambda: left @ right, 10) / 1000)


def tagging(setting: Setting) -> Iterator[list[str]]:
    """Measure tagging in words per second, with all tags O; the pipeline gets sorted texts and its best batch size."""
    limit = 50 if setting.small else None
    config = ours._configuration(
        "configs/conll2003/bert_crf.yaml", setting.train, [f"encoder.model={setting.encoder}", "batch.size=256"]
    )
    documents = ours._read(config)[:20]
    model = ours.build(config, documents)
    with torch.no_grad():
        model.decoder.emissions.weight.zero_()
        model.decoder.emissions.bias.copy_(torch.tensor([30.0 * (name == "O") for name in model.decoder.tags.names]))
    repeat = ours.tagging(Tagger(model, config, setting.device.type, setting.precision), setting.test, limit)
    best = max((done["words"] / done["seconds"] for done in (repeat() for _ in range(3))), default=0.0)
    labels = model.decoder.tags.names
    names = dict(enumerate(labels))
    network = transformers.AutoModelForTokenClassification.from_pretrained(
        setting.encoder, num_labels=len(labels), id2label=names, label2id={label: n for n, label in names.items()}
    )
    with torch.no_grad():
        network.classifier.weight.zero_()
        network.classifier.bias.copy_(torch.tensor([30.0 * (name == "O") for name in labels]))
    tokenizer = transformers.AutoTokenizer.from_pretrained(setting.encoder)
    network.to(torch.float32 if setting.small else torch.bfloat16)
    rates = {}
    for size in (8,) if setting.small else (32, 128, 512):
        peer = hf.pipeline_over(network, tokenizer, setting.test, size, limit, True, device=setting.device)
        for _ in range(2):
            started = time.perf_counter()
            words = peer()["words"]
            rates[size] = max(rates.get(size, 0.0), words / (time.perf_counter() - started))
    size = max(rates, key=rates.__getitem__)
    other = f"pipeline, sorted, bf16, batches of {size}, {rates[size]:,.0f}"
    what = "tagging the test file in the shape of BERT-base, bf16, words per second"
    yield [what, f"{best:,.0f}", other, f"{best / rates[size]:.2f}", "at least 2"]


def bilstm(setting: Setting) -> Iterator[list[str]]:
    """Measure a float32 BiLSTM-CRF over words in words per second."""
    steps = 3 if setting.small else 60
    bare = ["encoder.characters.kind=none", "encoder.shape_dimension=0", "training.precision=fp32"]
    bare.append("training.adversarial=null")  # as in the plain loop
    config = "configs/conll2003/bilstm_crf.yaml"
    for size in (4,) if setting.small else (32, 256):
        repeat = ours.prepare_training(
            config, setting.train, steps, [*bare, f"batch.size={size}"], device=setting.device.type
        )
        plain = pytorch_crf_loop.prepare(setting.train, min(steps, 14041 // size), size, device=setting.device.type)
        rates: list[list[float]] = [[], []]
        for _ in range(2):
            done = repeat()
            rates[0].append(done["words"] / done["seconds"])
            started = time.perf_counter()
            rates[1].append(plain()["words"] / (time.perf_counter() - started))
        found, other = map(max, rates)
        what = f"training a BiLSTM-CRF over words, {size} sentences a step, words per second"
        yield [what, f"{found:,.0f}", f"plain loop with pytorch-crf {other:,.0f}", f"{found / other:.2f}", ""]
    whole = ours._configuration(config, setting.train, [])
    model = ours.build(whole, ours._read(whole))
    repeat = ours.tagging(
        Tagger(model, whole, setting.device.type, "fp32"), setting.test, 50 if setting.small else None
    )
    best = max(done["words"] / done["seconds"] for done in (repeat() for _ in range(3)))
    yield ["tagging the test file with characters, shape, BiLSTM and CRF, words per second", f"{best:,.0f}", "", "", ""]


SECTIONS = {"crf": kernels, "step": step, "finetuning": finetuning, "tagging": tagging, "bilstm": bilstm}


def main() -> None:
    """Print and store the rows with the name of the GPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", default=list(SECTIONS), help=", ".join(SECTIONS))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--conll", default="data/conll2003")
    parser.add_argument("--tokenizer", default="all-MiniLM-L6-v2", help="a model name or a directory")
    parser.add_argument("--output", default=str(ROOT / "results" / "benchmarks"), help="directory")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(arguments.device, arguments.conll, arguments.tokenizer, Path(folder))
        for section in arguments.sections:
            started = time.perf_counter()
            rows = []
            for row in SECTIONS[section](setting):
                print(" | ".join(row), flush=True)
                rows.append(row)
            print(f"{section}: {time.perf_counter() - started:.0f} s", flush=True)
            if not setting.small:
                keep(section, rows, Path(arguments.output))


def keep(section: str, rows: list[list[str]], folder: Path) -> None:
    """One file a section, which ``render.py`` makes a table of."""
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}"
    driver = f"CUDA {torch.version.cuda}"
    kept = {
        "title": f"On a GPU: {section}",
        "command": f"python benchmarks/gpu.py {section} --conll DIR",
        "note": f"{torch.cuda.get_device_name()}, {driver}, {versions}; better of two rounds, median for kernels.",
        "columns": ["what", "this project", "peer", "ratio", "goal"],
        "rows": rows,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"gpu-{section}.extra.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
