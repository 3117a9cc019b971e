from __future__ import annotations

import pytest
import torch

from ner.config import ConfigError, WindowsConfig, part
from ner.encoders.concat import build
from ner.types import Example
from ner.vocab import Vocabs

EXAMPLES = [Example(["Berlin", "lives"]), Example(["in"])]


def test_vectors_stand_side_by_side_and_parameters_have_the_members_names(tiny_bert: str) -> None:
    config = part("encoders", {"name": "concat", "transformer": {"model": tiny_bert}, "embedding": {"dimension": 4}})
    encoder = build(config, Vocabs.learn(EXAMPLES, "bio"), WindowsConfig()).eval()
    assert encoder.width == 16 + 4
    inputs = encoder.inputs([[example] for example in EXAMPLES])
    words = encoder(inputs).words
    for name, slice_ in (("transformer", slice(0, 16)), ("embedding", slice(16, 20))):
        member = getattr(encoder, name)
        torch.testing.assert_close(words[..., slice_], member(member.inputs([[e] for e in EXAMPLES])).words)
    assert {name.split(".")[0] for name, _ in encoder.named_parameters()} == {"transformer", "embedding"}


def test_a_wrong_key_of_a_member_is_named_with_its_path() -> None:
    with pytest.raises(ConfigError, match="embedding.dimensoin: unknown key; did you mean 'dimension'"):
        part("encoders", {"name": "concat", "embedding": {"dimensoin": 4}})


def test_concat_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one encoder"):
        part("encoders", {"name": "concat"})
