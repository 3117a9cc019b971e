from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ner.config.parts import parse_component, validate
from ner.config.schema import RunConfig, WindowsConfig
from ner.data.tags import encode
from ner.errors import InputError, NonFiniteLossError
from ner.evaluation.scorer import Scorer
from ner.inference.annotate import annotate
from ner.model.model import Model
from ner.runtime import device
from ner.training import batch_size, loader, loop
from ner.training.state import initial_state
from ner.types import Document, Example, Span
from tests.builders import build

CPU = torch.device("cpu")


def documents() -> list[Document]:
    found = []
    for number in range(12):
        words = ["Ann", "went", "to", ("Rome", "Oslo", "Graz")[number % 3], "."][number % 2 :]
        spans = [Span(3 - number % 2, 4 - number % 2, "LOC")]
        if number % 2 == 0:
            spans.insert(0, Span(0, 1, "PER"))
        tags = encode(spans, len(words))
        found.append(Document([Example(words, spans=spans, tags=tags, source="train.txt", line=10 * number + 1)]))
    return found


def config(**options: Any) -> RunConfig:
    raw: dict[str, Any] = {
        "data": {"train": "a", "valid": "b"},
        "encoder": {"name": "embedding", "dimension": 8, "dropout": 0.1},
        "batch": {"size": 4},
        "training": {"epochs": 3, "learning_rate": 0.05, **options},
    }
    return validate(RunConfig, raw)


def train(configuration: RunConfig, valid: bool = True, model: Model | None = None) -> tuple[Model, list[Any]]:
    device.set_seed(configuration.seed)
    model = model or build(configuration, documents())
    data = loader.TrainLoader(model, documents(), configuration.batch, configuration.seed)
    state = initial_state(model, configuration.training, configuration.batch, configuration.metrics, CPU)
    steps = loop.train(state, data, documents() if valid else None, configuration.metrics, CPU)
    return model, list(steps)


@pytest.mark.slow
def test_the_loss_falls_and_scores_rise() -> None:
    _, steps = train(config(epochs=15))
    ends = [now for now in steps if now.epoch_record]
    assert [now.epoch for now in ends] == list(range(1, 16))
    assert steps[-1].step == 45
    assert len(steps) == 45 + 15
    assert steps[-1].fraction == 1
    assert ends[-1].epoch_record.evaluations["train"].loss < ends[0].epoch_record.evaluations["train"].loss
    assert ends[-1].epoch_record.evaluations["valid"].scores["entity"]["micro"]["f1"] == 1


@pytest.mark.slow
def test_two_runs_of_one_seed_end_in_the_same_weights() -> None:
    states = [train(config())[0].state_dict() for _ in range(2)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["sentences", "words"])
def test_a_batch_in_several_passes_is_the_same_step(unit: str) -> None:
    sure = {"encoder": {"name": "embedding", "dimension": 8, "dropout": 0.0, "singleton_unk_rate": 0.0}}
    found = []
    for at_once in (None, 5, 1):
        batch = {"measure": unit, "size": 12 if unit == "sentences" else 60, "micro_size": at_once}
        raw = config(epochs=2, optimizer="sgd").model_dump() | sure | {"batch": batch}
        model, steps = train(validate(RunConfig, raw))
        found.append((model.state_dict(), [now.loss for now in steps], steps[-1].epoch_record.evaluations["train"]))
    for state, losses, evaluation in found[1:]:
        assert losses == pytest.approx(found[0][1])
        assert evaluation.scores == found[0][2].scores
        for name, tensor in state.items():
            torch.testing.assert_close(tensor, found[0][0][name])


def test_batches_made_ahead_change_nothing() -> None:
    states = []
    for ahead in (0, 3):
        configuration = config(epochs=2)
        batch = configuration.batch.model_copy(update={"prefetch": ahead})
        states.append(train(configuration.model_copy(update={"batch": batch}))[0].state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_time_of_an_epoch_is_told_by_part() -> None:
    _, steps = train(config(epochs=2))
    for now in steps:
        if now.epoch_record is None:
            assert not now.timing
            continue
        shares = [now.timing[part] for part in ("data", "encoder", "context", "decoder", "optimizer", "scores")]
        assert sum(shares) == pytest.approx(1)
        assert all(share > 0 for part, share in zip("de-dos", shares, strict=True) if part != "-")
        assert shares[2] == 0  # there is no context
        words = sum(len(document.examples[0].words) for document in documents())
        assert now.timing["words_per_second"] * now.timing["seconds"] == pytest.approx(words)
        assert 0 < now.timing["padding"] < 0.5
        assert now.timing["peak_memory_mb"] > 10


def test_train_scores_are_those_of_the_forwards_that_trained() -> None:
    _, steps = train(config(epochs=1))
    evaluation = steps[-1].epoch_record.evaluations["train"]
    assert (evaluation.sentences, evaluation.words) == (12, sum(len(d.examples[0].words) for d in documents()))


@pytest.mark.slow
def test_the_best_epoch_is_marked_or_the_last() -> None:
    _, steps = train(config(epochs=6))
    scores = [
        now.epoch_record.evaluations["valid"].scores["entity"]["micro"]["f1"] for now in steps if now.epoch_record
    ]
    best = [now.epoch_record.best for now in steps if now.epoch_record]
    assert best == [all(score > earlier for earlier in scores[:i]) for i, score in enumerate(scores)]
    _, steps = train(config(keep_epoch="last"))
    assert [now.epoch_record.best for now in steps if now.epoch_record] == [True] * 3


class Poison(torch.autograd.Function):
    """Leaves values as they are and makes gradients NaN."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor) -> torch.Tensor:
        return values.clone()

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * float("nan")


@pytest.mark.parametrize("what", ["the loss", "the gradient"])
@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_what_is_not_finite_stops_before_the_step_and_names_the_sentences(what: str, poison: float) -> None:
    model, _ = train(config(epochs=1))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    forward = model.forward

    def spoiled(batch: Any) -> Any:
        loss, scores = forward(batch)
        total = loss["tags"]
        return {"tags": total * poison if what == "the loss" else Poison.apply(total)}, scores

    model.forward = spoiled  # type: ignore[method-assign]
    with pytest.raises(
        NonFiniteLossError, match=rf"{what} is not finite at step 1, .* Sentences: train.txt:\d+1?, "
    ) as caught:
        train(config(epochs=1), model=model)
    assert len(caught.value.examples) == 4
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("monitor", "message"),
    [
        ("entity.mirco.f1", "no score 'entity.mirco.f1'; available instead of 'mirco': micro, macro"),
        ("entity.micro", "'entity.micro' is a group of scores: precision, recall, f1"),
        ("tag.accuracy.x", "no score 'tag.accuracy.x'"),
    ],
)
def test_a_monitored_score_that_does_not_exist_is_refused(monitor: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        train(config(epochs=1, monitor=monitor))


def test_the_loss_may_be_monitored() -> None:
    _, steps = train(config(epochs=3, monitor="loss"))
    assert any(now.epoch_record.best for now in steps if now.epoch_record)


def test_a_processor_without_bf16_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "has_bf16", lambda device: False)
    with pytest.raises(InputError, match=r"config.training.precision: this processor does not support bf16"):
        device.resolve_precision("bf16", CPU)
    assert device.resolve_precision("auto", CPU) is None


@pytest.mark.skipif(not device.has_bf16(CPU), reason="needs a processor with bf16")
def test_bf16_trains_and_the_crf_stays_in_float32() -> None:
    _, steps = train(config(precision="bf16", epochs=10))
    assert steps[-1].epoch_record.evaluations["train"].loss < 1


def test_train_scores_come_from_the_weights_before_each_step() -> None:
    configuration = config(epochs=1, learning_rate=30, max_grad_norm=None, keep_epoch="last")
    whole = configuration.model_copy(
        update={
            "batch": configuration.batch.model_copy(update={"size": 100}),
            "encoder": configuration.encoder.model_copy(update={"dropout": 0.0, "singleton_unk_rate": 0.0}),
        }
    )
    device.set_seed(whole.seed)
    scorer = Scorer(whole.metrics)
    for chunk in annotate(build(whole, documents()), documents(), whole.batch, CPU):
        scorer.add_chunk(chunk)
    _, steps = train(whole)
    assert steps[-1].epoch_record.evaluations["train"].scores == scorer.result().scores
    assert steps[-1].epoch_record.evaluations["train"].loss == pytest.approx(scorer.result().loss)
    assert steps[-1].epoch_record.evaluations["valid"].scores != scorer.result().scores


def test_a_typing_error_in_the_monitored_score_is_found_before_the_first_step() -> None:
    model, _ = train(config(epochs=1))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(InputError, match="training.monitor"):
        train(config(monitor="entity.micro.f2"), model=model)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    train(config(epochs=1, monitor="entity.by_type.LOC.recall"))


def test_weights_that_the_last_step_spoiled_are_noticed_when_the_epoch_is_scored() -> None:
    spoiling = config(epochs=1, learning_rate=1e38, optimizer="sgd", max_grad_norm=None)
    spoiling = spoiling.model_copy(update={"batch": spoiling.batch.model_copy(update={"size": 100})})
    with pytest.raises(NonFiniteLossError, match=r"is not finite\. Sentences: train.txt:\d+"):
        train(spoiling)


def test_sentences_without_any_tag_are_nothing_to_learn_from() -> None:
    with pytest.raises(
        InputError, match="a: the decoder crf learns tags of words, but no example has any; see data.format"
    ):
        build(config(), [Document([Example(["Ann", "went"]), Example([])])])


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["sentence", "document"])
def test_a_transformer_with_dropout_ends_in_the_same_weights_and_moves_all_of_them(tiny_bert: str, unit: str) -> None:
    configuration = config(epochs=1, learning_rate={"encoder": 1e-3, "decoder": 1e-2})
    part = parse_component("encoders", {"name": "transformer", "model": tiny_bert})
    configuration = configuration.model_copy(update={"encoder": part, "windows": WindowsConfig(scope=unit)})
    states = []
    for _ in range(2):
        device.set_seed(configuration.seed)
        model = build(configuration, documents())
        start = {name: tensor.clone() for name, tensor in model.named_parameters() if tensor.requires_grad}
        train(configuration, model=model)
        states.append(model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    still = {name for name, tensor in start.items() if torch.equal(states[1][name], tensor)}
    assert still <= {name for name in start if name.endswith("key.bias")}  # softmax does not see it


def poisoned(model: Model, steps: set[int], factor: float, what: str = "the loss") -> None:
    """Forward passes, counted from 1, whose loss or gradient is spoiled."""
    forward, count = model.forward, [0]

    def spoiled(batch: Any) -> Any:
        losses, scores = forward(batch)
        count[0] += model.training
        if model.training and count[0] in steps:
            spoil = losses["tags"] * factor if what == "the loss" else Poison.apply(losses["tags"])
            losses = {"tags": spoil}
        return losses, scores

    model.forward = spoiled  # type: ignore[method-assign]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["the loss", "the gradient"])
@pytest.mark.parametrize("factor", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("kind", ["bilstm", "bert"])
def test_a_batch_that_is_not_finite_can_be_skipped_so_many_times(
    what: str, factor: float, kind: str, tiny_bert: str
) -> None:
    configuration = config(epochs=3, on_nonfinite="skip", max_skipped=2)
    if kind == "bert":
        encoder = parse_component("encoders", {"name": "transformer", "model": tiny_bert})
        configuration = configuration.model_copy(update={"encoder": encoder})
    device.set_seed(1)
    model = build(configuration, documents())
    poisoned(model, {2, 5}, factor, what)
    _, steps = train(configuration, model=model)
    assert len([now for now in steps if now.epoch_record is None]) == 9
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())
    assert all(
        torch.isfinite(torch.tensor(now.epoch_record.evaluations["train"].loss)) for now in steps if now.epoch_record
    )
    poisoned(model, {1, 2, 3}, factor, what)
    with pytest.raises(NonFiniteLossError, match=rf'{what} is not finite at step 3, .*train.txt:\d+, .*\(".*\.\.\."\)'):
        train(configuration, model=model)
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())


def test_memory_that_does_not_suffice_is_told_with_the_size_to_try() -> None:
    model, _ = train(config(epochs=1))

    def full(batch: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    model.forward = full  # type: ignore[method-assign]
    message = "out of memory with 4 sentences of up to 5 words; try batch.micro_size=2, which gives the same result"
    with pytest.raises(InputError, match=message):
        train(config(epochs=1), model=model)


def test_the_largest_batch_that_fits_is_found() -> None:
    tried = []
    assert batch_size.largest_batch(lambda size: bool(tried.append(size)) or size <= 100) == 64
    assert tried == [8, 16, 32, 64, 128]
    assert batch_size.largest_batch(lambda size: True, largest=64) == 64
    with pytest.raises(InputError, match="not even 8 fit into memory"):
        batch_size.largest_batch(lambda size: False)


def test_trying_sizes_out_leaves_the_model_as_it_was() -> None:
    configuration = config()
    device.set_seed(1)
    model = build(configuration, documents())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    generator = torch.get_rng_state()
    fits = batch_size.fits_in_memory(model, documents(), configuration, CPU)
    assert fits(8)
    assert torch.equal(generator, torch.get_rng_state())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    forward = model.forward

    def small(batch: Any) -> Any:
        if len(batch.examples) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(batch)

    model.forward = small  # type: ignore[method-assign]
    assert not fits(8)
    assert fits(4)


def test_parts_keep_their_weights_for_the_first_steps_or_epochs() -> None:
    configuration = config(epochs=3, freeze={"encoder": {"steps": 4}, "decoder.crf": {"epochs": 2}})
    device.set_seed(1)
    model = build(configuration, documents())
    data = loader.TrainLoader(model, documents(), configuration.batch, 1)
    state = initial_state(model, configuration.training, configuration.batch, configuration.metrics, CPU)
    words, transitions = model.encoder.words.weight, model.decoder.crf.transitions
    first = words.detach().clone(), transitions.detach().clone()
    moved = []
    for now in loop.train(state, data, documents(), configuration.metrics, CPU):
        if now.epoch_record is None:
            moved.append((not torch.equal(first[0], words), not torch.equal(first[1], transitions)))
    assert moved == [(False, False)] * 4 + [(True, False)] * 2 + [(True, True)] * 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"freeze": {"encodr": {"steps": 1}}}, "config.training.freeze: no parameter matches the path 'encodr'"),
        (
            {"early_stopping": {"monitor": "entity.micro.f2"}},
            "config.training.early_stopping.monitor: no score 'entity.micro.f2'",
        ),
        ({"plateau": {"monitor": "tag.accurac"}}, "config.training.plateau.monitor: no score 'tag.accurac'"),
    ],
)
def test_a_path_that_is_none_is_named_before_the_first_step(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train(config(**options))


def test_generators_of_examples_are_made_once_and_depend_on_seed_epoch_and_number() -> None:
    made = loader.ExampleGenerators(3, 1, [7, 4])
    assert len(made) == 2
    assert made[1].random() == np.random.default_rng([3, 1, 4]).random()
    assert made[1].random() != np.random.default_rng([3, 1, 4]).random()  # it continues
    assert len([*made]) == 2
    assert made[0].random() == np.random.default_rng([3, 1, 7]).random()
    assert made[0:1][0] is made[0]
