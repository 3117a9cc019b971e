from __future__ import annotations

from typing import Any

import pytest
import torch

from ner.config.parts import ConfigError, load_component, parse_component, validate
from ner.config.schema import RunConfig
from ner.data.vocab import Vocabs
from ner.model.decoders.joint import JointDecoder
from ner.training.warm_start import copy_matching_weights
from ner.types import Document, Encoding, Example, Span
from tests.builders import build

WIDTH = 6
EXAMPLES = [
    Example(["to", "new", "york"], [Span(1, 3, "city")], ["O", "B-city", "I-city"], ["flight"]),
    Example(["fares"], [], ["O"], ["fare"]),
    Example(["never", "seen"], [Span(0, 1, "city")], ["B-city", "O"], ["meal"]),
    Example(["untagged", "words"], labels=["fare"]),
]
KNOWN = Vocabs.from_examples([EXAMPLES[0], EXAMPLES[1]], "bio")


def decoder(**options: Any) -> JointDecoder:
    built = load_component("decoders", "joint").build(
        parse_component("decoders", {"name": "joint", **options}), WIDTH, KNOWN
    )
    assert isinstance(built, JointDecoder)
    return built.eval()


def encoding() -> Encoding:
    mask = torch.arange(3) < torch.tensor([[len(example.words)] for example in EXAMPLES])
    return Encoding(torch.randn(len(EXAMPLES), 3, WIDTH) * mask[..., None], mask)


def test_words_are_counted_for_the_tags_and_examples_for_the_classes() -> None:
    targets, counts = decoder().targets(EXAMPLES)
    assert counts == {"tags": 6, "classes": 3}  # neither words without tags nor labels that training never had
    assert targets["tags"].shape == (4, 3)
    assert len(targets["classes"]) == 4


@pytest.mark.parametrize("tags", ["crf", "softmax"])
def test_losses_are_those_of_the_parts_times_their_weights(tags: str) -> None:
    weighted = decoder(tags=tags, weights={"tags": 0.5, "classes": 3}).requires_grad_(False)
    read = encoding()
    scores, (targets, _) = weighted(read), weighted.targets(EXAMPLES)
    found = weighted.loss(scores, targets, read.mask)
    alone = {
        **weighted.tags.loss(weighted.tags(read), targets, read.mask),
        **weighted.classes.loss(weighted.classes(read), targets, read.mask),
    }
    assert found.keys() == alone.keys() == {"tags", "classes"}
    assert float(found["tags"]) == pytest.approx(0.5 * float(alone["tags"]))
    assert float(found["classes"]) == pytest.approx(3 * float(alone["classes"]))
    assert float(found["tags"]) > 0
    assert float(found["classes"]) > 0


def test_a_part_of_weight_zero_learns_nothing() -> None:
    one_sided = decoder(weights={"classes": 0}).train()
    read = encoding()
    losses = one_sided.loss(one_sided(read), one_sided.targets(EXAMPLES)[0], read.mask)
    sum(losses.values()).backward()
    assert all(not parameter.grad.any() for parameter in one_sided.classes.parameters() if parameter.grad is not None)
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in one_sided.tags.parameters())


def test_an_answer_has_the_tags_of_the_one_part_and_the_labels_of_the_other() -> None:
    both = decoder()
    read = encoding()
    with torch.no_grad():
        scores = both(read)
        assert scores["emissions"].shape == (4, 3, 3)
        found = both.decode(scores, read.mask, probabilities=True)
        tagged = both.tags.decode(scores, read.mask, probabilities=True)
        labelled = both.classes.decode(scores, read.mask, probabilities=True)
        plain = both.decode(scores, read.mask)
    assert any(annotation.spans for annotation in found)
    for annotation, words, whole in zip(found, tagged, labelled, strict=True):
        assert (annotation.tags, annotation.spans) == (words.tags, words.spans)
        assert [span.score for span in annotation.spans] == [span.score for span in words.spans]
        assert all(span.score is not None and 0 < span.score <= 1 for span in annotation.spans)
        assert annotation.labels == whole.labels != []
        assert annotation.scores == whole.scores
        assert 0 < annotation.scores[annotation.labels[0]] <= 1
    assert [(a.spans, a.labels) for a in plain] == [(a.spans, a.labels) for a in found]
    assert all(not a.scores and all(span.score is None for span in a.spans) for a in plain)


def test_rows_of_both_parts_have_names() -> None:
    both = decoder()
    axes, state = both.axis_labels(), both.state_dict()
    assert axes["tags.emissions.weight"][0] == ["O", "B-city", "I-city"]
    assert all(len(names) == state[name].dim() for name, names in axes.items())
    rows = [list(names[0]) for name, names in axes.items() if name.startswith("classes.") and names[0] is not None]
    assert ["fare", "flight"] in rows


def test_the_kernel_of_the_tags_is_that_of_the_model() -> None:
    raw = {"data": {"train": "a", "valid": "a"}, "encoder": {"name": "embedding", "dimension": WIDTH}}
    for kernel, shown in (("torch", "torch"), ("triton", None)):
        config = validate(RunConfig, {**raw, "decoder": {"name": "joint", "tags": {"backend": kernel}}})
        model = build(config, [Document(EXAMPLES[:2])])
        if shown:
            assert model.crf_backend(torch.device("cpu")) == shown
        else:
            with pytest.raises(Exception, match=r"config\.decoder\.tags\.backend: "):
                model.crf_backend(torch.device("cpu"))


def test_a_model_with_other_labels_takes_over_the_rows_of_both_parts() -> None:
    raw = {
        "data": {"train": "a", "valid": "a"},
        "encoder": {"name": "embedding", "dimension": WIDTH},
        "decoder": {"name": "joint", "classes": {"dropout": 0}},
    }
    config = validate(RunConfig, raw)
    trained, new = (build(config, [Document(some)]) for some in (EXAMPLES[:2], EXAMPLES[:3]))
    taken = copy_matching_weights(new, trained)
    assert (taken.labels, taken.new_labels) == (["city", "fare", "flight"], ["meal"])
    assert taken.rows["decoder.classes.output.weight"] == (2, 3)
    old, copied = trained.decoder.state_dict(), new.decoder.state_dict()
    assert torch.equal(copied["classes.output.weight"][:2], old["classes.output.weight"])
    assert not torch.equal(copied["classes.output.weight"][2], old["classes.output.weight"][1])
    assert torch.equal(copied["tags.crf.transitions"], old["tags.crf.transitions"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"tags": "classifier"},
            r"config\.decoder\.tags: expected a decoder that labels words \(crf, softmax\), found",
        ),
        ({"classes": "crf"}, r"config\.decoder\.classes: expected a decoder that labels whole examples \(classifier\)"),
        ({"tags": "joint"}, r"config\.decoder\.tags: expected .* found 'joint'"),
        ({"tags": {"scheme": "boi"}}, r"config\.decoder\.tags\.scheme: "),
        ({"tags": {"dropot": 0.1}}, r"config\.decoder\.tags\.dropot: unknown key; did you mean 'dropout'\?"),
        ({"classes": {"dropot": 0.1}}, r"config\.decoder\.classes\.dropot: unknown key; did you mean 'dropout'\?"),
        ({"weights": {"tags": -1}}, r"config\.decoder\.weights\.tags: "),
        ({"tags": "lstm"}, r"config\.decoder\.tags: no file named 'lstm' in ner/model/decoders; there are: "),
    ],
)
def test_a_part_that_does_not_fit_is_named(options: dict[str, Any], message: str) -> None:
    raw = {"data": {"train": "a", "valid": "a"}, "encoder": "embedding", "decoder": {"name": "joint", **options}}
    with pytest.raises(ConfigError, match=message):
        validate(RunConfig, raw)


def test_parts_keep_their_own_settings_and_defaults_name_themselves() -> None:
    config = parse_component("decoders", {"name": "joint", "tags": {"scheme": "bioes"}, "classes": {"dropout": 0.25}})
    assert (config.tags.name, config.tags.scheme) == ("crf", "bioes")
    assert (config.classes.name, config.classes.dropout) == ("classifier", 0.25)
    assert config.model_dump()["tags"]["scheme"] == "bioes"
