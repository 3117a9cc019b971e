"""What only a GPU can show; every test here is skipped without one."""

from __future__ import annotations

import hashlib
import traceback
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from ner.config.schema import RunConfig
from ner.inference.tagger import Tagger
from ner.model.kernels import crf
from ner.model.kernels.chain import Chain
from ner.model.kernels.span_probabilities import span_probabilities
from ner.runtime.device import set_seed
from ner.training import batch_size, loader
from ner.training.loop import train
from ner.training.state import initial_state
from ner.training.step import OutOfMemory
from tests.builders import build, documents, make_bert, random_chain, random_mask, settings
from tests.conftest import ROOT, SAMPLE

if not torch.cuda.is_available():
    pytest.skip("needs a GPU", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore:Synchronization debug mode", "ignore:.*Profiler clears events")
GPU, CPU = torch.device("cuda"), torch.device("cpu")


def on_gpu(chain: Chain) -> Chain:
    return Chain(*(None if table is None else table.to(GPU) for table in chain))


def kernels(emissions: torch.Tensor, tags: torch.Tensor, mask: torch.Tensor, chain: Chain) -> list[torch.Tensor]:
    """Everything that a CRF computes of a batch, on the CPU."""
    place = Chain(*(None if table is None else table.detach().clone() for table in chain))
    for table in place[:3]:
        table.requires_grad_()
    given = emissions.detach().clone().requires_grad_()
    likelihood = crf.log_likelihood(given, tags, mask, place)
    gradients = torch.autograd.grad(likelihood.sum(), [given, *place[:3]])
    path, score = crf.best_path(emissions, mask, place)
    found = [likelihood, *gradients, score, crf.token_marginals(emissions, mask, place)]
    found += [crf.entropy(emissions, mask, place), path]
    return [tensor.detach().cpu() for tensor in found]


@pytest.mark.parametrize(
    ("shape", "constrained", "dtype"),
    [
        ((3, 7, 9), False, torch.float32),
        ((32, 128, 9), True, torch.bfloat16),
        ((2, 4096, 9), True, torch.float32),
        ((2, 4096, 9), False, torch.bfloat16),
        ((4, 300, 37), True, torch.float32),
        ((2, 60, 130), False, torch.float32),
    ],
)
def test_the_kernels_compute_what_they_compute_on_a_cpu(
    shape: tuple[int, int, int], constrained: bool, dtype: torch.dtype
) -> None:
    size, words, num_tags = shape
    torch.manual_seed(words)
    emissions = (3 * torch.randn(shape)).to(dtype)
    mask = torch.rand(size, words) < 0.8  # holes anywhere
    chain = random_chain(num_tags, constrained)
    # Gold that the constraints allow: the best path of other emissions.
    tags, _ = crf.best_path(torch.randn(shape), mask, chain)
    there = kernels(emissions.to(GPU), tags.to(GPU), mask.to(GPU), on_gpu(chain))
    here = kernels(emissions, tags, mask, chain)
    for gpu, cpu in zip(there, here, strict=True):
        tolerance = {"rtol": 1e-5, "atol": 1e-5} if gpu.dtype != torch.bfloat16 else {}
        torch.testing.assert_close(gpu, cpu, **tolerance)


def test_span_probabilities_and_best_paths_are_those_of_a_cpu() -> None:
    from ner.data.tags import TagSet

    tags = TagSet(["LOC", "PER"], "bio")
    first, follow, last = (torch.tensor(table) for table in tags.allowed())
    torch.manual_seed(3)
    scores = [torch.randn(shape) for shape in ((5,), (5, 5), (5,))]
    chain = Chain(*scores, first, follow, last)
    emissions, mask = torch.randn(4, 30, 5), random_mask([30, 1, 17, 9])
    spans = [(0, 3, 5, 0), (0, 29, 30, 1), (2, 0, 4, 1), (3, 8, 9, 0)]
    begins, goes_on = (torch.tensor(table) for table in tags.span_masks())
    here = span_probabilities(emissions, mask, chain, spans, begins, goes_on)
    place = emissions.to(GPU), mask.to(GPU), on_gpu(chain)
    there = span_probabilities(*place, spans, begins.to(GPU), goes_on.to(GPU))
    torch.testing.assert_close(there, here, rtol=1e-6, atol=1e-9)
    paths, values = crf.k_best(*place, 4)
    expected, expected_values = crf.k_best(emissions, mask, chain, 4)
    torch.testing.assert_close(values.cpu(), expected_values)
    there_are = torch.isfinite(expected_values)
    assert torch.equal(paths.cpu()[there_are], expected[there_are])


def trained(config: RunConfig, device: torch.device, steps: int | None = None) -> tuple[Any, list[float]]:
    """The state after a training, or its first steps, and the losses."""
    set_seed(config.seed)
    model = build(config, documents()).to(device)
    data = loader.TrainLoader(model, documents(), config.batch, config.seed)
    state = initial_state(model, config.training, config.batch, config.metrics, device)
    losses = []
    for progress in train(state, data, None, config.metrics, device):
        losses.append(progress.loss)
        if steps is not None and len(losses) == steps:
            break
    return state, losses


def still(bert: str | None = None, **options: Any) -> RunConfig:
    """Settings without dropout, so that a GPU and a CPU can be compared."""
    found = settings(bert, **{"encoder__dropout": 0.0, "encoder__word_dropout": 0.0, "decoder__name": "crf", **options})
    if found.context is not None:
        found = settings(bert, **{"encoder__dropout": 0.0, "encoder__word_dropout": 0.0, "context__dropout": 0.0,
                                  "decoder__name": "crf", **options})  # fmt: skip
    return found


@pytest.mark.parametrize("encoder", ["embedding", "transformer"])
def test_a_training_goes_as_on_a_cpu(encoder: str, tmp_path: Path) -> None:
    rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    bert = make_bert(tmp_path, **rates) if encoder == "transformer" else None
    config = still(bert, training__precision="fp32", training__epochs=2)
    (_, here), (_, there) = trained(config, CPU), trained(config, GPU)
    assert there[:8] == pytest.approx(here[:8], rel=2e-3)
    assert there[-1] < there[0]


@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
@pytest.mark.parametrize("encoder", ["embedding", "transformer"])
def test_a_training_in_each_precision(encoder: str, precision: str, tiny_bert: str) -> None:
    config = settings(tiny_bert if encoder == "transformer" else None, training__precision=precision)
    state, losses = trained(config, GPU)
    assert all(loss == loss for loss in losses)
    assert losses[-2] < losses[0]
    assert state.scaler.is_enabled() == (precision == "fp16")


@pytest.mark.parametrize("encoder", ["embedding", "transformer"])
def test_resuming_ends_in_the_same_bytes(encoder: str, tiny_bert: str, tmp_path: Path) -> None:
    from ner.commands import train

    options = ["--config", str(ROOT / "configs" / "tiny.yaml"), "training.epochs=2", "device=cuda"]
    options += [f"data.{split}={SAMPLE / 'en' / 'valid.conll'}" for split in ("train", "valid", "test")]
    if encoder == "transformer":
        options += [f"encoder={{name: transformer, model: {tiny_bert}, word_dropout: 0.1}}", "windows.max_length=60"]
    else:
        options += ["encoder.word_dropout=0.1", "context.dropout=0.2"]
    options += ["training.deterministic=true"]
    found = []
    for name in ("whole", "again", "stopped"):
        run = ["--run", str(tmp_path / name)]
        if name == "stopped":
            assert train.main([*options, *run, "training.epochs=1"]) == 0
            run += ["--resume"]
        assert train.main([*options, *run]) == 0
        found.append(hashlib.sha256((tmp_path / name / "model.safetensors").read_bytes()).hexdigest())
    assert found[0] == found[1]
    assert found[0] == found[2]


def waits(config: RunConfig, steps: int) -> tuple[float, list[str]]:
    """How often a step waits for the GPU, and the places that torch knows of."""
    places: list[str] = []

    def show(message: Any, *rest: Any, **more: Any) -> None:
        if "synchroniz" in str(message):
            frames = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_stack()[:-1]]
            places.append(" < ".join(reversed(frames[-9:])))

    set_seed(config.seed)
    model = build(config, documents()).to(GPU)
    data = loader.TrainLoader(model, documents(), config.batch, config.seed)
    state = initial_state(model, config.training, config.batch, config.metrics, GPU)
    loop = train(state, data, None, config.metrics, GPU)
    for _ in range(2):
        next(loop)
    shown, warnings.showwarning = warnings.showwarning, show
    counts = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = show
            torch.cuda.set_sync_debug_mode("warn")
            next(loop)
            torch.cuda.set_sync_debug_mode("default")
        activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
        for number in (1, 1 + steps):
            with torch.profiler.profile(activities=activities) as profile:
                for _ in range(number):
                    next(loop)
            counts.append(sum(e.count for e in profile.key_averages() if "Synchronize" in e.key))
    finally:
        torch.cuda.set_sync_debug_mode("default")
        warnings.showwarning = shown
        loop.close()
    return (counts[1] - counts[0]) / steps, places


@pytest.mark.parametrize("encoder", ["embedding", "transformer"])
def test_a_step_waits_once_for_the_gpu(encoder: str, tiny_bert: str) -> None:
    config = settings(
        tiny_bert if encoder == "transformer" else None,
        training__max_grad_norm=1.0, batch__prefetch=2, batch__micro_size=None, batch__size=8,
    )  # fmt: skip
    count, places = waits(config, 3)
    assert count == 1, "\n".join([f"{count} a step", *places])


def test_batches_come_in_page_locked_memory() -> None:
    config = settings()
    model = build(config, documents()).to(GPU)
    data = loader.TrainLoader(model, documents(), config.batch, config.seed)
    step_batch = next(iter(data.steps(data.epoch(0, config.batch), 0, config.batch, GPU)))
    batch = step_batch.micro_batches[0].batch
    tensors = [*batch.inputs.values(), *batch.targets.values()]
    assert all(tensor.is_pinned() for tensor in tensors if tensor.numel())
    moved = batch.to(GPU)
    assert all(tensor.is_cuda for tensor in moved.inputs.values())


@pytest.fixture
def little_memory() -> Any:
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, (torch.cuda.memory_reserved() + 1.5e9) / total))
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


def large() -> RunConfig:
    return settings(encoder__dimension=2000, context__hidden_size=1000, batch__micro_size=None, batch__size=4096)


def test_the_largest_batch_that_fits_is_found(little_memory: None) -> None:
    config = large()
    many = documents(4096)
    model = build(config, many).to(GPU)
    found = batch_size.largest_batch(batch_size.fits_in_memory(model, many, config, GPU))
    assert 8 <= found < 4096


def test_a_step_that_does_not_fit_says_what_to_try(little_memory: None) -> None:
    config = large()
    many = documents(4096)
    model = build(config, many).to(GPU)
    data = loader.TrainLoader(model, many, config.batch, config.seed)
    state = initial_state(model, config.training, config.batch, config.metrics, GPU)
    with pytest.raises(OutOfMemory, match=r"out of memory with 4096 sentences .*try batch.micro_size=2048"):
        next(train(state, data, None, config.metrics, GPU))


def test_predictions_are_those_of_a_cpu(tiny_run: Path) -> None:
    taggers = [Tagger.load(tiny_run, device, "fp32") for device in ("cpu", "cuda")]
    texts = [line.split() for line in (SAMPLE / "en" / "test.conll").read_text(encoding="utf-8").split("\n\n")[:60]]
    here, there = (tagger.tag([words for words in texts if words], probabilities=True) for tagger in taggers)
    for left, right in zip(here, there, strict=True):
        spans, others = left.examples[0].spans, right.examples[0].spans
        assert spans == others
        assert [span.score for span in others] == pytest.approx([span.score for span in spans], abs=1e-4)
