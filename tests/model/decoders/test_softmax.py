from __future__ import annotations

from collections import Counter
from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ner.contracts import IGNORED
from ner.data import tags
from ner.data.vocab import Vocabs
from ner.model.decoders.softmax import Config, build
from ner.types import Encoding

VOCABS = Vocabs(labels=Counter({"PER": 2, "LOC": 1}))


@pytest.mark.slow
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
    free = build(Config(scheme=scheme, constraints="none"), 4, VOCABS)
    held = build(Config(scheme=scheme), 4, VOCABS)
    scores = {"emissions": emissions[..., : len(free.tags)]}
    _, follow, _ = held.tags.allowed()
    for row, (annotation, example_mask) in enumerate(zip(free.decode(scores, mask), mask, strict=True)):
        best = [free.tags.names[i] for i in scores["emissions"][row].argmax(-1)[example_mask].tolist()]
        assert annotation.spans == tags.decode(best)
    paths = held.best(scores["emissions"], mask)[0]
    for path, length in zip(paths.tolist(), mask.sum(1).tolist(), strict=True):
        assert all(follow[a][b] for a, b in pairwise(path[:length]))


def test_a_mask_with_holes_is_read_over() -> None:
    part = build(Config(), 4, VOCABS)
    emissions = torch.randn(1, 4, len(part.tags))
    mask = torch.tensor([[True, False, True, True]])
    (found,) = part.decode({"emissions": emissions}, mask)
    (expected,) = part.decode({"emissions": emissions[:, [0, 2, 3]]}, torch.ones(1, 3, dtype=torch.bool))
    assert found == expected


def test_loss_and_path_are_those_of_float32_under_autocast() -> None:
    part = build(Config(), 4, VOCABS)
    encoding = Encoding(torch.randn(2, 30, 4), torch.ones(2, 30, dtype=torch.bool))
    gold = {"tags": torch.zeros(2, 30, dtype=torch.long)}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = part(encoding)
        loss = part.loss(scores, gold, encoding.mask)["tags"]
        annotations = part.decode(scores, encoding.mask)
    exact = {"emissions": scores["emissions"].float()}
    assert scores["emissions"].dtype == torch.bfloat16
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, part.loss(exact, gold, encoding.mask)["tags"])
    assert annotations == part.decode(exact, encoding.mask)


def test_without_a_known_tag_there_is_neither_loss_nor_gradient() -> None:
    part = build(Config(), 4, VOCABS)
    emissions = torch.randn(2, 2, len(part.tags), requires_grad=True)
    mask = torch.tensor([[True, True], [False, False]])
    loss = part.loss({"emissions": emissions}, {"tags": torch.full((2, 2), IGNORED)}, mask)["tags"]
    loss.backward()
    assert float(loss.detach()) == 0
    assert emissions.grad is not None
    assert (emissions.grad == 0).all()


@pytest.mark.parametrize("shape", [(0, 0), (2, 0)])
def test_no_word_gets_no_tag(shape: tuple[int, int]) -> None:
    for constraints in ("decoding", "none"):
        part = build(Config(constraints=constraints), 4, VOCABS)
        found = part.decode({"emissions": torch.zeros(*shape, len(part.tags))}, torch.zeros(shape, dtype=torch.bool))
        assert [annotation.tags for annotation in found] == [[]] * shape[0]


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from(["bio", "bioes", "bmes", "bilou", "io"]), st.integers(1, 4))
def test_a_constrained_path_is_the_best_valid_one(seed: int, scheme: str, length: int) -> None:
    torch.manual_seed(seed)
    part = build(Config(scheme=scheme), 4, Vocabs(labels=Counter({"X": 1})))
    emissions = torch.randn(1, length, len(part.tags)) * 3
    first, follow, last = part.tags.allowed()
    scores = {
        path: sum(float(emissions[0, word, tag]) for word, tag in enumerate(path))
        for path in product(range(len(part.tags)), repeat=length)
        if first[path[0]] and last[path[-1]] and all(follow[a][b] for a, b in pairwise(path))
    }
    path = tuple(part.best(emissions, torch.ones(1, length, dtype=torch.bool))[0][0].tolist())
    assert scores[path] == pytest.approx(max(scores.values()), abs=1e-4)


def test_smoothing_spreads_a_share_of_the_gold_probability_in_training_only() -> None:
    part = build(Config(label_smoothing=0.2), 4, VOCABS)
    emissions, gold = torch.randn(1, 2, len(part.tags)), torch.tensor([[1, IGNORED]])
    mask = torch.ones(1, 2, dtype=torch.bool)
    logs = emissions[0, 0].log_softmax(0)
    smooth = -(0.8 * logs[1] + 0.2 * logs.mean())
    torch.testing.assert_close(part.loss({"emissions": emissions}, {"tags": gold}, mask)["tags"], smooth)
    part.eval()
    torch.testing.assert_close(part.loss({"emissions": emissions}, {"tags": gold}, mask)["tags"], -logs[1])
