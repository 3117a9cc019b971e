"""Checks of every component file against its interface in ner.contracts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ner.config.parts import component_names, load_component, parse_component, validate
from ner.config.schema import RunConfig, WindowsConfig
from ner.contracts import Decoder
from ner.data import tasks
from ner.data.question_answering import UNKNOWN
from ner.data.vocab import Vocabs
from ner.types import Annotation, Document, Encoding, Example, Span
from tests.builders import build, settings_of

WIDTH = 8
GENERATIVE = [name for name in component_names("decoders") if load_component("decoders", name).Config.runs_encoder]
DECODERS = [name for name in component_names("decoders") if name not in GENERATIVE]
SENTENCES = [
    ["Berlin"],
    ["Washington", "lives", "in", "Berlin", "."],
    ["the", "\u200b", "中", "x-y", "\u3000", "In"],
    [],
    ["in"] * 70,
]


def document() -> Document:
    examples = []
    for words in SENTENCES:
        spans = [Span(0, 1, "PER")] if words else []
        tags = ["B-PER", *["O"] * (len(words) - 1)] if words else []
        answers = words[:1]
        examples.append(Example(list(words), spans, tags, labels=["a"], answers=answers, text=" ".join(words)))
    return Document(examples)


def configured(folder: str, name: str, bert: str) -> Any:
    return parse_component(folder, {"name": name, **settings_of(folder, name, bert)})


def vocabs() -> Vocabs:
    return Vocabs.from_examples(document().examples, "bio")


@pytest.fixture(params=component_names("encoders"))
def encoder(request: pytest.FixtureRequest, tiny_bert: str) -> Any:
    config = configured("encoders", request.param, tiny_bert)
    built = load_component("encoders", request.param).build(config, vocabs(), WindowsConfig(max_length=24))
    return built.eval()


def uses_pieces(encoder: Any) -> bool:
    """Whether words are cut into pieces by a tokenizer that this encoder must take along."""
    return any("tokenizer" in name for name in encoder.asset_files())


@pytest.mark.parametrize(
    ("folder", "name"),
    [(folder, name) for folder in ("encoders", "context", "decoders", "formats") for name in component_names(folder)],
)
def test_a_part_is_called_like_its_file_and_every_key_has_a_sentence(folder: str, name: str, tiny_bert: str) -> None:
    config = configured(folder, name, tiny_bert)
    assert config.name == name
    assert (type(config).__doc__ or "").strip()
    assert all((field.description or "").endswith(".") for field in type(config).model_fields.values())
    assert parse_component(folder, config.model_dump()) == config


def single_groups(examples: list[Example]) -> list[list[Example]]:
    return [[example] for example in examples]


def test_an_encoder_gives_one_vector_per_word_and_zeros_elsewhere(encoder: Any) -> None:
    examples = document().examples
    encoding = encoder(encoder.inputs(single_groups(examples)))
    assert encoding.words.shape == (len(examples), 70, encoder.width)
    assert encoding.mask.sum(1).tolist() == [len(words) for words in SENTENCES]
    assert encoding.mask.dtype == torch.bool
    assert (encoding.words[~encoding.mask] == 0).all()
    assert encoding.words[encoding.mask].abs().sum(-1).min() > 0
    assert encoding.pooled is None or encoding.pooled.shape == (len(examples), encoder.width)


def test_an_encoder_plans_every_example_once_and_in_order(encoder: Any) -> None:
    groups = encoder.plan(document(), None)
    assert [p for start, stop, _ in groups for p in range(start, stop)] == list(range(len(SENTENCES)))
    assert all(isinstance(number, int) for group in groups for number in group)
    assert encoder.plan(Document([]), None) == []
    assert all(stop - start <= 2 for start, stop, _ in encoder.plan(document(), 2))


def test_an_encoder_accepts_any_groups_and_none(encoder: Any) -> None:
    examples = document().examples
    encoding = encoder(encoder.inputs([examples[:3], examples[3:]]))
    assert encoding.words.shape[:2] == (5, 70)
    for empty in ([], [[Example([])]]):
        assert encoder(encoder.inputs(empty)).words.shape == (len(empty), 0, encoder.width)


def test_a_vector_depends_on_neither_batch_nor_order_nor_padding(encoder: Any) -> None:
    examples = document().examples
    together = encoder(encoder.inputs(single_groups(examples[::-1]))).words.flip(0)
    for position, example in enumerate(examples):
        alone = encoder(encoder.inputs([[example]])).words
        torch.testing.assert_close(alone[0], together[position, : len(example.words)], rtol=1e-5, atol=1e-5)


def test_an_encoder_is_built_again_from_its_files(encoder: Any, request: pytest.FixtureRequest, tiny_bert: str) -> None:
    name = type(encoder).__module__.rpartition(".")[2]
    config = configured("encoders", name, tiny_bert)
    again = (
        load_component("encoders", name)
        .build(config, Vocabs(), WindowsConfig(max_length=24), encoder.asset_files())
        .eval()
    )
    again.load_state_dict(encoder.state_dict())
    groups = single_groups(document().examples)
    torch.testing.assert_close(again(again.inputs(groups)).words, encoder(encoder.inputs(groups)).words)
    assert all(isinstance(data, bytes) for data in encoder.asset_files().values())


def test_an_encoder_says_what_it_reads_in_an_unusual_way(encoder: Any) -> None:
    long = "x" * 90
    plain, odd = Document([Example(["in", "the"])]), Document([Example(["in", "\u200b", long]), Example([long])])
    assert encoder.input_warnings(Document([])) == encoder.input_warnings(plain) == {}
    found = encoder.input_warnings(odd)
    assert all(isinstance(reason, str) and reason and type(count) is int for reason, count in found.items())
    if uses_pieces(encoder):
        assert sorted(found.values()) == [1, 2]  # a word without a piece, a long one twice
    else:
        assert not found
    both = Document([*plain.examples, *odd.examples, *odd.examples])
    assert encoder.input_warnings(both) == {reason: 2 * count for reason, count in found.items()}


def test_an_encoder_passes_gradients_to_all_its_layers(encoder: Any) -> None:
    encoder.train()
    generators = [np.random.default_rng(position) for position in range(len(SENTENCES))]
    encoding = encoder(encoder.inputs(single_groups(document().examples), generators))
    (encoding.words.square().sum() + (0 if encoding.pooled is None else encoding.pooled.sum())).backward()
    layers = encoder.layers()
    assert layers
    for layer in layers:
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())
    assert [name for name, p in encoder.named_parameters() if p.requires_grad and p.grad is None] == []


KINDS = {"tags", "labels", "answers"}


def test_outputs_have_the_same_names_in_decoders_formats_and_metrics() -> None:
    assert {*tasks.OUTPUTS} == KINDS
    for folder, attribute in (("decoders", "OUTPUTS"), ("formats", "STORES"), ("metrics", "REQUIRES")):
        for name in component_names(folder):
            found = getattr(load_component(folder, name), attribute)
            assert isinstance(found, frozenset)
            assert found
            assert found <= KINDS


@pytest.mark.parametrize("name", component_names("decoders"))
def test_a_decoder_predicts_its_outputs_and_a_format_and_a_metric_support_them(name: str, tiny_bert: str) -> None:
    module = load_component("decoders", name)
    assert any(module.OUTPUTS <= load_component("formats", form).STORES for form in component_names("formats"))
    assert all(
        any(kind in load_component("metrics", metric).REQUIRES for metric in component_names("metrics"))
        for kind in module.OUTPUTS
    )
    if name in DECODERS:
        decoder = module.build(configured("decoders", name, tiny_bert), WIDTH, vocabs()).eval()
        encoding = encoding_of([3])
        (said,) = decoder.decode(decoder(encoding), encoding.mask)
        if "answers" not in module.OUTPUTS:  # an answer is told with its kind as label and its place as span
            assert ("tags" in module.OUTPUTS) == (said.tags is not None)
            assert ("labels" in module.OUTPUTS) == bool(said.labels)
        assert ("answers" in module.OUTPUTS) == bool(said.answers)
        if "labels" in module.OUTPUTS:
            assert any(isinstance(part, Decoder) and part.single_label for part in decoder.modules())


def encoding_of(lengths: list[int]) -> Encoding:
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return Encoding(torch.randn(*mask.shape, WIDTH) * mask[..., None], mask)


@pytest.mark.parametrize("name", component_names("context"))
def test_a_context_keeps_words_apart_from_padding_and_examples_apart(name: str, tiny_bert: str) -> None:
    layer = load_component("context", name).build(configured("context", name, tiny_bert), WIDTH).eval()
    encoding = encoding_of([3, 0, 5])
    found = layer(encoding)
    assert found.words.shape == (3, 5, layer.width)
    assert found.mask is encoding.mask
    assert (found.words[~found.mask] == 0).all()
    alone = layer(Encoding(encoding.words[:1, :3], encoding.mask[:1, :3]))
    torch.testing.assert_close(found.words[0, :3], alone.words[0], rtol=1e-5, atol=1e-5)
    for shape in ((0, 0), (2, 0)):
        empty = Encoding(torch.zeros(*shape, WIDTH), torch.zeros(shape, dtype=torch.bool))
        assert layer(empty).words.shape == (*shape, layer.width)
    layer.train()
    layer(encoding).words.sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_learns_counts_and_answers_every_example(name: str, tiny_bert: str) -> None:
    decoder = load_component("decoders", name).build(configured("decoders", name, tiny_bert), WIDTH, vocabs())
    examples = document().examples[:4]
    encoding = encoding_of([len(example.words) for example in examples])
    targets, counts = decoder.targets(examples)
    scores = decoder(encoding)
    loss = decoder.loss(scores, targets, encoding.mask)
    assert loss.keys() == counts.keys()
    assert all(isinstance(count, int) for count in counts.values())
    assert all(total.shape == () and torch.isfinite(total) for total in loss.values())
    sum(loss.values()).backward()
    assert all(parameter.grad is not None for parameter in decoder.parameters())
    annotations = decoder.decode({key: tensor.detach() for key, tensor in scores.items()}, encoding.mask)
    assert len(annotations) == len(examples)
    for example, annotation in zip(examples, annotations, strict=True):
        assert annotation.tags is None or len(annotation.tags) == len(example.words)
        assert all(0 <= span.start < span.end <= len(example.words) for span in annotation.spans)


@pytest.mark.parametrize("name", DECODERS)
def test_what_a_decoder_loses_and_answers_adds_up_over_examples(name: str, tiny_bert: str) -> None:
    decoder = load_component("decoders", name).build(configured("decoders", name, tiny_bert), WIDTH, vocabs()).eval()
    examples = document().examples[:3]
    encoding = encoding_of([len(example.words) for example in examples])
    scores = decoder(encoding)
    targets, _counts = decoder.targets(examples)
    whole = decoder.loss(scores, targets, encoding.mask)
    parts: dict[str, float] = {}
    for row, example in enumerate(examples):
        own = {key: tensor[row : row + 1] for key, tensor in scores.items()}
        padded, _ = decoder.targets([example, examples[-1]])
        gold = {key: tensor[:1] for key, tensor in padded.items()}
        for key, total in decoder.loss(own, gold, encoding.mask[row : row + 1]).items():
            parts[key] = parts.get(key, 0.0) + float(total.detach())
    for key, total in whole.items():
        assert float(total.detach()) == pytest.approx(parts[key], rel=1e-4)


@pytest.mark.parametrize("name", GENERATIVE)
def test_a_decoder_that_runs_the_encoder_reads_plans_and_learns_as_the_two_together(name: str, tiny_bert: str) -> None:
    source = document()
    for number, example in enumerate(source.examples):
        example.answers = ["in Berlin"] if number else []
    raw = {
        "data": {"train": "a", "valid": "a"},
        "encoder": configured("encoders", "transformer", tiny_bert),
        "decoder": configured("decoders", name, tiny_bert),
        "windows": {"max_length": 24},
    }
    model = build(validate(RunConfig, raw), [source])
    assert model.input_maker is model.decoder
    assert not [key for key in model.state_dict() if key.startswith("decoder.") and "encoder" in key]
    groups = model.input_maker.plan(source, None)
    assert [p for start, stop, _ in groups for p in range(start, stop)] == list(range(len(SENTENCES)))
    assert all(isinstance(number, int) for group in groups for number in group)
    assert all(count > 0 for count in model.input_maker.input_warnings(source).values())
    batch = model.batch([source.examples[start:stop] for start, stop, _ in groups])
    assert batch.inputs["mask"].sum(1).tolist() == [len(words) for words in SENTENCES]
    losses, scores = model.train()(batch)
    assert losses.keys() == batch.counts.keys()
    assert all(isinstance(count, int) for count in batch.counts.values())
    assert all(len(tensor) == len(SENTENCES) for tensor in scores.values())
    sum(losses.values()).backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    detached = {key: tensor.detach() for key, tensor in scores.items()}
    assert model.decoder.decode(detached, batch.inputs["mask"]) == []
    with torch.inference_mode():
        whole, scores = model.eval()(batch)
        together = model.decoder.decode(scores, batch.inputs["mask"])
        parts = dict.fromkeys(whole, 0.0)
        for example, annotation in zip(source.examples, together, strict=True):
            alone = model.batch([[example]])
            own, scores = model(alone)
            assert model.decoder.decode(scores, alone.inputs["mask"]) == [annotation]
            assert annotation.answers
            parts = {key: parts[key] + float(own[key]) for key in parts}
        for key, total in whole.items():
            assert float(total) == pytest.approx(parts[key], rel=1e-4)
        empty = model.batch([])
        assert model.decoder.decode(model(empty)[1], empty.inputs["mask"]) == []


@pytest.mark.parametrize("name", component_names("formats"))
def test_a_format_reads_what_it_writes(name: str, tmp_path: Any) -> None:
    form, path = load_component("formats", name), tmp_path / "file"
    config = form.Config()
    spans, tags = [Span(0, 1, "LOC")], ["B-LOC", "O"]
    example = Example(["Berlin", "wins"], spans=spans, tags=tags, labels=["claim"], text="Berlin wins")
    example.offsets = [(0, 6), (7, 11)]
    form.write(str(path), [Document([example])], config)
    written = list(path.iterdir()) if path.is_dir() else [path]
    assert written
    if name != "arrow":  # binary
        assert all(file.read_text(encoding="utf-8").endswith("\n") for file in written)
    assert isinstance(form.extension, str)
    assert isinstance(form.probabilities, bool)
    if name not in ("text", "squad", "coqa"):  # predictions have another form there: JSON Lines, answers by question
        (found,) = form.read(str(path), config, "space", for_rewriting=True)
        assert found.examples[0].words == example.words
        assert found.source == str(path)
        source = Path(found.examples[0].source)
        if name == "arrow":  # rows of a folder
            assert (source, found.examples[0].line) == (path, 1)
            return
        assert source in written
        assert "Berlin" in source.read_text(encoding="utf-8").splitlines()[found.examples[0].line - 1]


@pytest.mark.parametrize("name", component_names("metrics"))
def test_a_metric_is_integers_that_divide_last(name: str) -> None:
    metric = load_component("metrics", name)
    examples = document().examples
    for example in examples:
        example.answers = ["in Berlin"]
    wrong = [Example(example.words, tags=["O"] * len(example.words)) for example in examples]
    counts = metric.count(examples, examples)
    assert counts
    assert all(type(count) is int and count > 0 for count in counts.values())
    assert metric.count(examples, wrong) != counts
    assert metric.scores(metric.count(examples, wrong)) != metric.scores(counts)

    def numbers(value: Any) -> list[float]:
        return [n for below in value.values() for n in numbers(below)] if isinstance(value, dict) else [value]

    assert max(numbers(metric.scores(counts))) > 0
    for scored in (metric.scores(counts), metric.scores(type(counts)())):
        assert all(np.isfinite(number) for number in numbers(scored))
        assert all(isinstance(line, str) for line in metric.lines(scored))


@pytest.mark.parametrize("unit", ["sentence", "document"])
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("context", [None, *component_names("context")])
@pytest.mark.parametrize("encoder", component_names("encoders"))
def test_a_whole_model_answers_alike_alone_in_batches_and_shuffled(
    encoder: str, context: str | None, decoder: str, unit: str, tiny_bert: str
) -> None:
    source = document()
    raw = {
        "data": {"train": "a", "valid": "a"},
        "encoder": configured("encoders", encoder, tiny_bert),
        "context": context and configured("context", context, tiny_bert),
        "decoder": decoder,
        "windows": {"scope": unit, "max_length": 24},
    }
    if "answers" in load_component("decoders", decoder).OUTPUTS:
        source.examples[0].labels = [UNKNOWN]
    model = build(validate(RunConfig, raw), [source]).eval()
    groups = [source.examples[start:stop] for start, stop, _ in model.encoder.plan(source, None)]

    def answers(batches: list[list[list[Example]]]) -> dict[int, tuple[Annotation, dict[str, torch.Tensor]]]:
        found = {}
        for batch in batches:
            tensors = model.batch(batch)
            _, scores = model(tensors)
            mask = tensors.inputs["mask"]
            assert scores
            assert all(len(tensor) == len(mask) for tensor in scores.values())
            annotations = model.decoder.decode(scores, mask)
            for row, (example, annotation) in enumerate(zip(tensors.examples, annotations, strict=True)):
                beyond = mask.shape[1] - len(example.words)  # of the places for words, those of padding come last
                own = {
                    name: tensor[row, : tensor.shape[1] - (beyond if name in per_word else 0)]
                    for name, tensor in scores.items()
                }
                found[id(example)] = annotation, own
        return found

    with torch.inference_mode():
        wide, narrow = (model(model.batch(batch, targets=False))[1] for batch in (groups, [[Example([])]]))
        growth = {name: wide[name].shape[1] - narrow[name].shape[1] for name in wide}
        assert set(growth.values()) <= {0, 70}
        per_word = {name for name, words in growth.items() if words}
        together = answers([groups])
        for others in ([[group] for group in groups], [groups[::-1]], [groups[::2], groups[1::2]]):
            for key, (annotation, scores) in answers(others).items():
                assert scores.keys() == together[key][1].keys()
                for name, tensor in scores.items():
                    torch.testing.assert_close(tensor, together[key][1][name], rtol=1e-5, atol=1e-5)
                assert annotation == together[key][0]
