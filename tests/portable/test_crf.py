from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ner.data.tags import TagSet
from ner.model.kernels import crf as kernels
from ner.model.kernels.chain import Chain
from ner.model.kernels.span_probabilities import span_probabilities
from ner.portable import crf
from ner.portable.crf import Potentials
from tests.builders import random_chain, random_mask


def potentials(chain: Chain) -> Potentials:
    return Potentials(*(table.double().numpy() for table in chain.tables()))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("backend", ["torch", "auto"])
def test_the_kernels_compute_the_same_paths_and_marginals(seed: int, backend: kernels.Backend) -> None:
    torch.manual_seed(seed)
    chain = random_chain(5, constrained=seed % 2 == 1, scale=10.0 ** (seed % 3 - 1))
    lengths = [7, 1, 0, 4]
    mask, emissions = random_mask(lengths), torch.randn(4, 7, 5) * 10.0 ** (2 * (seed % 4) - 1)
    path, _ = kernels.best_path(emissions, mask, chain, backend)
    sizes = np.array(lengths)
    assert crf.best_paths(emissions.numpy(), sizes, potentials(chain)).tolist() == path.tolist()
    unary = crf.forward_backward(emissions.numpy(), sizes, potentials(chain)).tag_marginals
    expected = kernels.token_marginals(emissions, mask, chain, backend)
    assert unary == pytest.approx(expected.numpy(), abs=1e-9)


@pytest.mark.parametrize("scale", [1, 1000])  # sums of exponentials underflow with large scores
@pytest.mark.parametrize("scheme", ["bio", "bioes", "io"])
def test_probabilities_of_spans_are_those_of_the_kernels(scheme: str, scale: float) -> None:
    torch.manual_seed(1)
    tags = TagSet(["LOC", "PER"], scheme)
    allowed = tuple(torch.tensor(np.array(table)) for table in tags.allowed())
    chain = Chain(*random_chain(len(tags))[:3], *allowed)
    emissions, mask = scale * torch.randn(2, 6, len(tags)), random_mask([6, 3])
    spans = [
        (row, s, e, n)
        for row, size in ((0, 6), (1, 3))
        for s in range(size)
        for e in range(s + 1, size + 1)
        for n in (0, 1)
    ]
    masks = tags.span_masks()
    expected = span_probabilities(emissions, mask, chain, spans, *map(torch.tensor, masks))
    found = crf.span_probabilities(emissions.numpy(), np.array([6, 3]), potentials(chain), spans, *masks)
    assert found == pytest.approx(expected.tolist(), abs=1e-12)
    assert max(found) > 0.01


@pytest.mark.parametrize("seed", range(12))
def test_the_kernels_compute_the_same_alternatives(seed: int) -> None:
    torch.manual_seed(seed)
    chain = random_chain(4, constrained=seed % 2 == 1, scale=10.0 ** (seed % 3 - 1))
    lengths = np.array([6, 1, 0, 3])
    mask, emissions = random_mask(lengths.tolist()), torch.randn(4, 6, 4)
    paths, scores = crf.k_best_paths(emissions.numpy(), lengths, potentials(chain), 7)
    expected_paths, expected = kernels.k_best(emissions.double(), mask, chain, 7)
    assert scores == pytest.approx(expected.numpy(), abs=1e-9)
    exists = np.isfinite(scores)
    assert exists.sum(1).tolist()[2] == 1
    assert exists.any(1).all()
    assert (paths == expected_paths.numpy())[exists].all()
    for rank in range(7):
        found = crf.path_scores(emissions.numpy(), lengths, potentials(chain), paths[:, rank])
        assert found[exists[:, rank]] == pytest.approx(scores[:, rank][exists[:, rank]], abs=1e-9)


@pytest.mark.parametrize("limit", [1, 9, 30, 1 << 15])  # blocks of 1, 1, 3 and all sentences
def test_paths_do_not_depend_on_the_size_of_a_block(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    chain, emissions = random_chain(3), torch.randn(7, 5, 3)
    lengths = np.array([5, 0, 3, 1, 0, 2, 5])
    mask = torch.arange(5) < torch.from_numpy(lengths).unsqueeze(1)
    expected, _ = kernels.best_path(emissions, mask, chain)
    monkeypatch.setattr(crf, "MAX_TRANSITIONS", limit)
    assert crf.best_paths(emissions.numpy(), lengths, potentials(chain)).tolist() == expected.tolist()


@pytest.mark.parametrize("narrow", [1, 2, 8, 100])  # from few to all tags
@pytest.mark.parametrize("scheme", ["bio", "bioes", "io"])
def test_paths_do_not_depend_on_the_division_of_tags(scheme: Any, narrow: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    tags = TagSet(["A", "B", "C", "D", "E"], scheme)
    allowed = tuple(torch.tensor(np.array(table)) for table in tags.allowed())
    chain = Chain(*random_chain(len(tags))[:3], *allowed)
    lengths = np.array([9, 0, 1, 6])
    emissions = torch.randn(4, 9, len(tags))
    expected, _ = kernels.best_path(emissions, torch.arange(9) < torch.from_numpy(lengths).unsqueeze(1), chain)
    monkeypatch.setattr(crf, "NARROW", narrow)
    assert crf.best_paths(emissions.numpy(), lengths, potentials(chain)).tolist() == expected.tolist()
