from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ner.kernels.crf import compress, viterbi


def random_scores(k: int, constrained: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    scores = [torch.randn(k), torch.randn(k, k), torch.randn(k)]
    if constrained:
        scores = [s.masked_fill(torch.rand_like(s) < 0.3, -torch.inf) for s in scores]
        for s in scores:  # the tag 0 is always possible, so there is always a path
            s[..., 0] = 0.5
    return scores[0], scores[1], scores[2]


def path_score(emissions, path, first, transitions, last) -> float:
    score = first[path[0]] + last[path[-1]] + sum(emissions[i, tag] for i, tag in enumerate(path))
    return float(score + sum(transitions[a, b] for a, b in itertools.pairwise(path)))


@given(st.integers(0, 10_000), st.integers(1, 4), st.lists(st.integers(0, 5), min_size=1, max_size=4), st.booleans())
def test_the_best_path_is_that_of_enumeration(seed: int, k: int, lengths: list[int], constrained: bool) -> None:
    torch.manual_seed(seed)
    width = max(lengths)
    emissions = torch.randn(len(lengths), width, k)
    mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    first, transitions, last = random_scores(k, constrained)
    paths, scores = viterbi(emissions, mask, first, transitions, last)
    assert paths.shape == mask.shape
    assert scores.shape == (len(lengths),)
    for row, length in enumerate(lengths):
        assert (paths[row, length:] == 0).all()
        if not length:
            assert scores[row] == 0
            continue
        best = max(
            path_score(emissions[row], path, first, transitions, last)
            for path in itertools.product(range(k), repeat=length)
        )
        assert float(scores[row]) == pytest.approx(best, abs=1e-4)
        assert path_score(emissions[row], paths[row, :length].tolist(), first, transitions, last) == pytest.approx(
            best, abs=1e-4
        )


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_emissions_that_are_not_finite_are_refused_with_the_example(bad: float) -> None:
    emissions = torch.zeros(3, 2, 2)
    emissions[1, 1, 0] = bad
    zeros = torch.zeros(2)
    with pytest.raises(ValueError, match="example 1 are not finite"):
        viterbi(emissions, torch.ones(3, 2, dtype=torch.bool), zeros, torch.zeros(2, 2), zeros)


def test_padding_may_hold_anything() -> None:
    emissions = torch.zeros(1, 2, 2)
    emissions[0, 1] = float("nan")
    zeros = torch.zeros(2)
    paths, _ = viterbi(emissions, torch.tensor([[True, False]]), zeros, torch.zeros(2, 2), zeros)
    assert paths.tolist() == [[0, 0]]


@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=4))
def test_compress_moves_words_to_the_front_in_order(rows: list[list[bool]]) -> None:
    order, packed = compress(torch.tensor(rows))
    for row, index, after in zip(rows, order.tolist(), packed.tolist(), strict=True):
        marked = [position for position, flag in enumerate(row) if flag]
        assert index[: len(marked)] == marked
        assert after == [True] * len(marked) + [False] * (5 - len(marked))
        assert sorted(index) == list(range(5))
