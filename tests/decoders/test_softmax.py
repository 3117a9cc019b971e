from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from ner import tags
from ner.decoders.softmax import Config, build
from ner.tagging import IGNORED
from ner.vocab import Vocabs

VOCABS = Vocabs(labels=Counter({"PER": 2, "LOC": 1}))


def test_the_loss_is_the_sum_over_words_with_a_known_tag() -> None:
    part = build(Config(), 4, VOCABS)
    emissions = torch.randn(2, 3, len(part.tags))
    gold = torch.tensor([[0, IGNORED, 2], [1, 4, 0]])
    mask = torch.tensor([[True, True, True], [True, False, False]])
    loss = part.loss({"emissions": emissions}, {"tags": gold}, mask)["tags"]
    kept = [(0, 0, 0), (0, 2, 2), (1, 0, 1)]
    expected = sum(F.cross_entropy(emissions[s, w][None], torch.tensor([tag])) for s, w, tag in kept)
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("scheme", ["bio", "bioes"])
def test_decoding_is_valid_when_constrained_and_the_best_tags_otherwise(scheme: str) -> None:
    emissions = torch.randn(20, 7, 17) * 3
    mask = torch.arange(7) < torch.randint(0, 8, (20, 1))
    free = build(Config(scheme=scheme, constrain="none"), 4, VOCABS)
    held = build(Config(scheme=scheme), 4, VOCABS)
    scores = {"emissions": emissions[..., : len(free.tags)]}
    _, follow, _ = held.tags.allowed()
    for row, (annotation, example_mask) in enumerate(zip(free.decode(scores, mask), mask, strict=True)):
        best = [free.tags.names[i] for i in scores["emissions"][row].argmax(-1)[example_mask].tolist()]
        assert annotation.spans == tags.decode(best)
    paths = held.best(scores["emissions"], mask)
    for path, length in zip(paths.tolist(), mask.sum(1).tolist(), strict=True):
        assert all(follow[a][b] for a, b in pairwise(path[:length]))


def test_a_mask_with_holes_is_read_over() -> None:
    part = build(Config(), 4, VOCABS)
    emissions = torch.randn(1, 4, len(part.tags))
    mask = torch.tensor([[True, False, True, True]])
    (found,) = part.decode({"emissions": emissions}, mask)
    (expected,) = part.decode({"emissions": emissions[:, [0, 2, 3]]}, torch.ones(1, 3, dtype=torch.bool))
    assert found == expected
