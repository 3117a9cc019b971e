from __future__ import annotations

import pytest
import torch

from ner.config.parts import ConfigError, parse_component
from ner.config.schema import WindowsConfig
from ner.data.notices import Notice
from ner.data.vocab import Vocabs
from ner.model.encoders.concat import ConcatEncoder, build
from ner.types import Batch, Document, Example

EXAMPLES = [Example(["Berlin", "lives"]), Example(["in"])]


def test_vectors_stand_side_by_side_and_parameters_have_the_members_names(tiny_bert: str) -> None:
    config = parse_component(
        "encoders", {"name": "concat", "transformer": {"model": tiny_bert}, "embedding": {"dimension": 4}}
    )
    encoder = build(config, Vocabs.from_examples(EXAMPLES, "bio"), WindowsConfig()).eval()
    assert encoder.width == 16 + 4
    inputs = encoder.inputs([[example] for example in EXAMPLES])
    words = encoder(inputs).words
    for name, slice_ in (("transformer", slice(0, 16)), ("embedding", slice(16, 20))):
        member = getattr(encoder, name)
        torch.testing.assert_close(words[..., slice_], member(member.inputs([[e] for e in EXAMPLES])).words)
    assert {name.split(".")[0] for name, _ in encoder.named_parameters()} == {"transformer", "embedding"}


def test_a_wrong_key_of_a_member_is_named_with_its_path() -> None:
    with pytest.raises(ConfigError, match="embedding.dimensoin: unknown key; did you mean 'dimension'"):
        parse_component("encoders", {"name": "concat", "embedding": {"dimensoin": 4}})


def test_concat_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one encoder"):
        parse_component("encoders", {"name": "concat"})


def concat(bert: str, **members: dict[str, object]) -> ConcatEncoder:
    config = parse_component("encoders", {"name": "concat", **members})
    return build(config, Vocabs.from_examples(EXAMPLES, "bio"), WindowsConfig(scope="document", max_length=16)).eval()


def test_the_member_with_windows_plans_wherever_it_stands_and_its_rows_serve_the_others(tiny_bert: str) -> None:
    document = Document(EXAMPLES * 3)
    ahead = concat(tiny_bert, transformer={"model": tiny_bert}, embedding={"dimension": 4})
    assert [group[:2] for group in ahead.plan(document, None)] == [(0, 6)]
    alone = concat(tiny_bert, embedding={"dimension": 4}, transformer={"model": tiny_bert})
    assert [group[:2] for group in alone.plan(document, None)] == [(0, 6)]
    inputs = alone.inputs([document.examples])
    assert alone(inputs).words.shape == (6, 2, 20)
    masks = Batch(inputs, {}, {}, document.examples).piece_masks
    assert [len(mask) for mask in masks] == [len(inputs["transformer/pieces"])]


def test_a_file_may_stand_twice_under_names_of_its_own(tiny_bert: str) -> None:
    letters = {"name": "embedding", "dimension": 0, "characters": {"kind": "lstm", "width": 4}}
    both = concat(tiny_bert, words={"name": "embedding", "dimension": 3}, letters=letters)
    assert both.width == 7
    assert sorted(both.asset_files()) == ["letters/characters.json", "words/words.json"]


def test_there_is_a_summary_only_where_every_member_has_one(tiny_bert: str) -> None:
    inputs = [[example] for example in EXAMPLES]
    twice = {"name": "transformer", "model": tiny_bert}
    both, mixed = concat(tiny_bert, a=twice, b=twice), concat(tiny_bert, a=twice, embedding={"dimension": 4})
    assert both(both.inputs(inputs)).pooled.shape == (2, 32)
    assert mixed(mixed.inputs(inputs)).pooled is None


def test_layers_are_those_of_the_first_member_above_the_others(tiny_bert: str) -> None:
    encoder = concat(tiny_bert, transformer={"model": tiny_bert}, embedding={"dimension": 4})
    assert encoder.layers() == [encoder.embedding, *encoder.transformer.layers()]


def test_coverage_is_that_of_all_members(tiny_bert: str) -> None:
    encoder = concat(tiny_bert, embedding={"dimension": 4}, transformer={"model": tiny_bert})
    assert encoder.input_warnings(Document([Example(["\u200b", "in"])])) == {Notice.NO_PIECES: 1}
