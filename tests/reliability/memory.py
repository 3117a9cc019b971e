"""Memory of long sentences, long words and long files, each measured in a new process."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tests.reliability.report import ROOT, Case, main

if TYPE_CHECKING:
    from ner.inference.tagger import Tagger

MODELS = {"BiLSTM-CRF": "bilstm_crf", "MiniLM-CRF": "bert_crf"}
"""Name -> configuration; the weights of decoder and context are random."""
WORDS = 100_000
SENTENCES = 1_000_000
CHILD = "from tests.reliability import memory; memory.measure(*__import__('sys').argv[1:])"
LINE = b"Ada met Bob in Rome .\n"


def tagger(config: str) -> Tagger:
    """Return a tagger with random weights that predicts entities."""
    import torch

    from ner.config.load import load_config
    from ner.config.parts import load_component
    from ner.inference.tagger import Tagger
    from tests.builders import build

    torch.set_num_threads(1)
    torch.manual_seed(0)
    settings, _ = load_config(str(ROOT / "configs" / f"{config}.yaml"))
    form = load_component("formats", settings.data.format.name)
    documents = list(form.read(str(ROOT / settings.data.train), settings.data.format, "space"))
    model = build(settings, documents).eval()
    torch.nn.init.normal_(model.decoder.emissions.weight)
    return Tagger(model, settings, "cpu")


def sentence(found: Tagger) -> str:
    """Annotate a sentence of many words with probabilities."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghij", k=draw.randint(1, 12))) for _ in range(20_000)]
    document = found.tag(draw.choices(words, k=WORDS), probabilities=True)
    (example,) = document.examples
    assert len(example.tags or ()) == WORDS
    assert len(example.spans) > WORDS / 100, "too few entities for a measurement"
    return f", {len(example.spans):,} entities"


def word(found: Tagger) -> str:
    """Annotate a word of 200,000 characters."""
    document = found.tag(["a", "x" * 200_000, "b"], probabilities=True)
    assert len(document.examples[0].tags or ()) == 3
    return ""


def words(found: Tagger) -> str:
    """Annotate 500 different words of 200,000 characters one after another."""
    for number in range(500):
        found.tag([f"{number}" + "x" * 200_000])
    return ""


def stream(found: Tagger) -> str:
    """Annotate 20,000 different texts that are made while they are read, with probabilities."""
    draw = random.Random(0)
    texts = (" ".join(f"{draw.choice('ABCD')}{draw.getrandbits(20):x}" for _ in range(8)) for _ in range(20_000))
    documents = found.stream(texts)
    return f", {sum(len(document.examples[0].spans) for document in documents):,} entities"


TASKS: dict[str, Callable[[Tagger], str]] = {"sentence": sentence, "word": word, "words": words, "stream": stream}


def measure(config: str, task: str) -> None:
    """Run a task in this process, and print the megabytes above the idle tagger at its peak and after it."""
    found = tagger(config)
    found.tag(["a", "b"], probabilities=True)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    idle = memory("VmRSS")
    detail = TASKS[task](found)
    print(json.dumps({"peak": memory("VmHWM") - idle, "kept": memory("VmRSS") - idle, "detail": detail}))


def memory(key: str, process: int | str = "self") -> float:
    """Return megabytes of ``/proc/PROCESS/status``."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) / 1024


def bounded(config: str, task: str, peak: float, kept: float = float("inf")) -> str:
    """Compare the memory of a task with its limits in megabytes, and return it."""
    command = [sys.executable, "-c", CHILD, config, task]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
    assert process.returncode == 0, process.stderr.strip().splitlines()[-1:]
    found = json.loads(process.stdout.splitlines()[-1])
    assert found["peak"] < peak, f"peak of {found['peak']:.0f} MB above idle, at most {peak} expected"
    assert found["kept"] < kept, f"{found['kept']:.0f} MB stay in memory, at most {kept} expected"
    return f"{found['peak']:.0f} MB at the peak, {found['kept']:.0f} MB afterwards{found['detail']}"


@cache
def run() -> Path:
    """Train a small tagger."""
    folder = Path(tempfile.mkdtemp())
    command = [sys.executable, "train.py", "--config", "configs/tiny.yaml", "--run", str(folder / "run")]
    subprocess.run([*command, "training.epochs=1"], cwd=ROOT, capture_output=True, timeout=600, check=True)
    return folder / "run"


def predicted(piped: bool, count: int) -> float:
    """Return the peak in megabytes of ``ner predict`` for a number of short sentences."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in"), Path(folder, "out")
        if not piped:
            with source.open("wb") as file:
                feed(file, count)
        command = [sys.executable, "-m", "ner", "predict", "--run", str(run()), "--format", "text"]
        command += ["--input", "-" if piped else str(source), "--output", str(target)]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdin is not None
        assert process.stderr is not None
        feeder = threading.Thread(target=feed, args=(process.stdin, count if piped else 0))
        feeder.start()
        peak = 0.0
        while process.poll() is None:
            with suppress(StopIteration, FileNotFoundError):  # it has just ended
                peak = max(peak, memory("VmHWM", process.pid))
            time.sleep(0.05)
        feeder.join()
        assert process.returncode == 0, process.stderr.read()[-300:]
        with target.open("rb") as file:
            assert sum(1 for _ in file) == count
    return peak


def feed(file: IO[bytes], count: int) -> None:
    """Write a sentence a number of times and close the file."""
    with file:
        for first in range(0, count, 10_000):
            file.write(LINE * min(10_000, count - first))


def constant(piped: bool) -> str:
    """Compare the peak for a million sentences with that for a tenth, and return both."""
    started = time.monotonic()
    few, many = (predicted(piped, count) for count in (SENTENCES // 10, SENTENCES))
    figure = f"{few:.0f} MB for {SENTENCES // 10:,} sentences, {many:.0f} MB for {SENTENCES:,}"
    assert many < few + 20, figure
    return f"{figure}; {time.monotonic() - started:.0f} s"


def cases() -> Iterator[Case]:
    """Yield the cases."""
    for name, config in MODELS.items():
        yield Case("sentence of 100,000 words", f"{name}, 400 MB", partial(bounded, config, "sentence", 400))
        yield Case("word of 200,000 characters", f"{name}, 100 MB", partial(bounded, config, "word", 100))
        yield Case("500 words of 200,000 characters", f"{name}, 50 MB", partial(bounded, config, "words", 100, 50))
        yield Case("stream of 20,000 texts", f"{name}, 150 MB", partial(bounded, config, "stream", 150))
    for source in ("file", "pipe"):
        yield Case("a million sentences", f"text from a {source}", partial(constant, source == "pipe"))


if __name__ == "__main__":
    promise = "Long sentences, words and files are annotated in bounded memory, above that of the idle tagger."
    sys.exit(main("memory", promise, cases()))
