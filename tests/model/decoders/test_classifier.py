from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ner.config.parts import ConfigError, parse_component
from ner.contracts import IGNORED
from ner.data.vocab import Vocabs
from ner.errors import InputError
from ner.model.decoders.classifier import ClassifierDecoder, Config, build
from ner.model.kernels.chain import BadExampleError
from ner.types import Encoding, Example

WIDTH = 6
CLASSES = Counter({"good": 30, "bad": 10, "mixed": 20})
LABELS = [["good"], ["bad"], ["bad"], ["mixed"]]


def decoder(**options: Any) -> ClassifierDecoder:
    torch.manual_seed(0)
    return build(Config(**{"dropout": 0.0, **options}), WIDTH, Vocabs(classes=CLASSES))


def encoding(*lengths: int, summary: Tensor | None = None) -> Encoding:
    torch.manual_seed(1)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return Encoding(torch.randn(*mask.shape, WIDTH) * mask[..., None], mask, summary)


def examples(labels: list[list[str]] = LABELS) -> list[Example]:
    return [Example(["w"], labels=own) for own in labels]


def lost(model: ClassifierDecoder, logits: Tensor, labels: list[list[str]] = LABELS) -> float:
    targets, _ = model.targets(examples(labels))
    mask = torch.ones(len(labels), 1, dtype=torch.bool)
    return float(model.loss({"classes": logits}, targets, mask)["classes"])


def test_one_class_has_a_score_each_and_several_a_distribution_each() -> None:
    found = encoding(3, 0, 2)
    assert decoder()(found)["classes"].shape == (3, 3)
    scores = decoder(multi_label=True)(found)["classes"]
    assert scores.shape == (3, 3, 2)
    assert (scores[..., 0] == 0).all()
    torch.testing.assert_close(scores.softmax(-1)[..., 1], scores[..., 1].sigmoid())


@pytest.mark.parametrize("hidden", [0, 4])
def test_the_mean_is_that_of_the_words(hidden: int) -> None:
    model, found = decoder(hidden_size=hidden), encoding(3, 1)
    for row, length in enumerate((3, 1)):
        mean = found.words[row, :length].mean(0)
        torch.testing.assert_close(model(found)["classes"][row], model.output(model.enter(mean)))
    assert isinstance(model.enter, torch.nn.Identity) == (hidden == 0)


def test_attention_weighs_words_by_what_they_are() -> None:
    model, found = decoder(pooling="attention"), encoding(3, 1, 5)
    scores = model(found)["classes"]
    for row, length in enumerate((3, 1, 5)):
        words = found.words[row, :length]
        weights = model.attention(words).softmax(0)  # (length, 1)
        torch.testing.assert_close(scores[row], model.output((weights * words).sum(0)))
    order = torch.tensor([2, 0, 1])
    turned = Encoding(found.words[:1, order], found.mask[:1, :3])
    torch.testing.assert_close(model(turned)["classes"][0], scores[0])


def test_a_summary_stands_for_the_text() -> None:
    model, summary = decoder(pooling="cls"), torch.randn(2, WIDTH)
    scores = model(encoding(3, 0, summary=summary))["classes"]
    torch.testing.assert_close(scores, model.output(summary))


def test_a_missing_summary_is_one_sentence() -> None:
    with pytest.raises(
        InputError, match=r"config.decoder.pooling: cls is .* \(context=null\); choose mean or attention"
    ):
        decoder(pooling="cls")(encoding(3))


@pytest.mark.parametrize("pooling", ["mean", "attention"])
@pytest.mark.parametrize("multi_label", [False, True])
def test_a_text_without_words_is_answered_from_nothing(pooling: str, multi_label: bool) -> None:
    model = decoder(pooling=pooling, multi_label=multi_label)
    alone = Encoding(torch.zeros(1, 0, WIDTH), torch.zeros(1, 0, dtype=torch.bool))
    beside = encoding(0, 4)
    wanted = model.output.bias
    for found in (alone, beside):
        scores = model(found)["classes"][0]
        torch.testing.assert_close(scores[..., 1] if multi_label else scores, wanted)
        assert len(model.decode(model(found), found.mask)) == len(found.mask)
    nobody = Encoding(torch.zeros(0, 0, WIDTH), torch.zeros(0, 0, dtype=torch.bool))
    assert model.decode(model(nobody), nobody.mask) == []
    targets, counts = model.targets([])
    assert model.loss(model(nobody), targets, nobody.mask)["classes"].item() == counts["classes"] == 0


def test_classes_are_sorted_and_unknown_or_missing_ones_take_no_part() -> None:
    model = decoder()
    targets, counts = model.targets(examples([["good"], ["new"], [], ["bad", "good"]]))
    assert model.classes == ["bad", "good", "mixed"]
    assert targets["classes"].tolist() == [1, IGNORED, IGNORED, 0]
    assert counts == {"classes": 2}
    logits = torch.randn(3, 3)
    some = lost(model, logits, [["good"], ["new"], []])
    assert some == pytest.approx(lost(model, logits[:1], [["good"]]))


def test_with_several_no_class_is_an_answer_and_an_unknown_one_is_not() -> None:
    model = decoder(multi_label=True)
    targets, counts = model.targets(examples([["good", "bad"], [], ["new", "bad"]]))
    assert targets["classes"].tolist() == [[1, 1, 0], [0, 0, 0], [IGNORED] * 3]
    assert counts == {"classes": 2}


def test_the_loss_of_one_class_is_that_of_torch() -> None:
    logits, gold = torch.randn(4, 3), torch.tensor([1, 0, 0, 2])
    assert lost(decoder(), logits) == pytest.approx(float(F.cross_entropy(logits, gold, reduction="sum")))
    smoothed = float(F.cross_entropy(logits, gold, reduction="sum", label_smoothing=0.2))
    model = decoder(label_smoothing=0.2)
    assert lost(model, logits) == pytest.approx(smoothed)
    assert lost(model.eval(), logits) == pytest.approx(lost(decoder(), logits))


def test_the_loss_of_several_classes_is_that_of_torch() -> None:
    found, gold = torch.randn(2, 3), torch.tensor([[1.0, 1, 0], [0, 0, 0]])
    logits = torch.stack([torch.zeros_like(found), found], -1)
    labels: list[list[str]] = [["good", "bad"], []]
    plain = F.binary_cross_entropy_with_logits(found, gold, reduction="sum")
    assert lost(decoder(multi_label=True), logits, labels) == pytest.approx(float(plain))
    softer = F.binary_cross_entropy_with_logits(found, gold * 0.8 + 0.1, reduction="sum")
    assert lost(decoder(multi_label=True, label_smoothing=0.2), logits, labels) == pytest.approx(float(softer))
    weights = torch.tensor([3.0, 1, 1])
    weighed = F.binary_cross_entropy_with_logits(found, gold, reduction="sum", weight=weights)
    model = decoder(multi_label=True, class_weights={"bad": 3})
    assert lost(model, logits, labels) == pytest.approx(float(weighed))


def test_weights_multiply_the_terms_and_belong_to_training() -> None:
    logits, gold = torch.randn(4, 3), torch.tensor([1, 0, 0, 2])
    model = decoder(class_weights={"bad": 3, "mixed": 0.5})
    weights = torch.tensor([3, 1, 0.5])
    assert lost(model, logits) == pytest.approx(float(F.cross_entropy(logits, gold, weights, reduction="sum")))
    assert lost(model.eval(), logits) == pytest.approx(lost(decoder(), logits))
    assert model.targets(examples())[1] == {"classes": 4}
    assert "class_weights" not in model.state_dict()


def test_balanced_weights_make_all_classes_count_the_same_and_have_the_mean_1() -> None:
    model = decoder(class_weights="balanced")
    counts = torch.tensor([CLASSES[label] for label in model.classes])
    totals = counts * model.class_weights
    assert totals.tolist() == pytest.approx([20, 20, 20])
    assert float(totals.sum() / counts.sum()) == pytest.approx(1)


def test_classes_that_look_like_numbers_can_be_weighed() -> None:
    config = parse_component("decoders", {"name": "classifier", "class_weights": {0: 2, "1": 0.5}})
    assert config.class_weights == {"0": 2, "1": 0.5}
    assert parse_component("decoders", config.model_dump()) == config


def test_a_weight_of_an_unknown_class_names_those_that_there_are() -> None:
    with pytest.raises(InputError) as caught:
        decoder(class_weights={"god": 2})
    assert str(caught.value) == (
        "config.decoder.class_weights: the training data have no class 'god'; known classes: bad, good, mixed"
    )


@pytest.mark.parametrize("options", [{"class_weights": {"bad": 0}}, {"class_weights": "even"}, {"threshold": 1}])
def test_settings_without_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"config.{next(iter(options))}"):
        parse_component("decoders", {"name": "classifier", **options})


def test_data_without_classes_are_refused() -> None:
    with pytest.raises(InputError, match="classifier requires labels of whole texts, and the training data have none"):
        build(Config(), WIDTH, Vocabs())


def test_the_best_class_is_given_with_all_probabilities_when_asked_for() -> None:
    logits = torch.tensor([[0.0, 2, 1], [3, 0, 0]])
    mask = torch.ones(2, 1, dtype=torch.bool)
    plain = decoder().decode({"classes": logits}, mask)
    assert [(found.labels, found.scores) for found in plain] == [(["good"], {}), (["bad"], {})]
    scored, _ = decoder().decode({"classes": logits}, mask, probabilities=True)
    assert list(scored.scores) == ["good", "mixed", "bad"]
    assert sum(scored.scores.values()) == pytest.approx(1)
    assert scored.scores["good"] == pytest.approx(math.exp(2) / (1 + math.e + math.exp(2)))
    assert scored.tags is None
    assert scored.spans == []


@pytest.mark.parametrize(
    ("threshold", "labels"), [(0.5, ["good", "mixed"]), (0.8, ["good"]), (0.9, []), (0.1, ["good", "mixed", "bad"])]
)
def test_several_classes_are_those_above_the_threshold_best_first(threshold: float, labels: list[str]) -> None:
    odds = torch.tensor([[0.25, 0.85, 0.6]]).logit()
    logits = torch.stack([torch.zeros_like(odds), odds], -1)
    model = decoder(multi_label=True, threshold=threshold)
    (found,) = model.decode({"classes": logits}, torch.ones(1, 1, dtype=torch.bool), probabilities=True)
    assert found.labels == labels
    assert found.scores == pytest.approx({"good": 0.85, "mixed": 0.6, "bad": 0.25})


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_scores_that_are_not_finite_are_named_by_their_text(value: float) -> None:
    logits = torch.zeros(3, 3)
    logits[1, 2] = value
    with pytest.raises(BadExampleError) as caught:
        decoder().decode({"classes": logits}, torch.ones(3, 1, dtype=torch.bool))
    assert caught.value.position == 1


def test_half_precision_is_no_matter_to_the_loss() -> None:
    logits = torch.randn(4, 3)
    assert lost(decoder(), logits.bfloat16()) == pytest.approx(lost(decoder(), logits.bfloat16().float()))
    targets, _ = decoder().targets(examples())
    found = decoder().loss({"classes": logits.bfloat16()}, targets, torch.ones(4, 1, dtype=torch.bool))
    assert found["classes"].dtype == torch.float


def test_a_class_can_be_learned_from_a_word() -> None:
    model = decoder(pooling="attention")
    words = F.one_hot(torch.tensor([[0, 3], [1, 3], [3, 0], [3, 1]]), WIDTH).float()
    found = Encoding(words, torch.ones(4, 2, dtype=torch.bool))
    labels = [["good"], ["bad"], ["good"], ["bad"]]
    targets, counts = model.targets(examples(labels))
    optimizer = torch.optim.Adam(model.parameters(), 0.1)
    for _ in range(40):
        optimizer.zero_grad()
        (model.loss(model(found), targets, found.mask)["classes"] / counts["classes"]).backward()
        optimizer.step()
    assert [answer.labels for answer in model.decode(model(found), found.mask)] == labels
