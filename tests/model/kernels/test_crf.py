"""Every backend against enumeration, against float64 in log space, against pytorch-crf, and against the others."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchcrf import CRF

from ner.data.tags import TagSet
from ner.model.kernels import crf, crf_torch
from ner.model.kernels.chain import BadExampleError, Chain
from ner.model.kernels.span_probabilities import run_probabilities, span_probabilities
from tests.builders import random_chain, random_mask

BACKENDS = ["torch"]
try:
    import numba  # noqa: F401

    BACKENDS.append("numba")
except ImportError:
    pass

backends = pytest.mark.parametrize("backend", BACKENDS)
DOUBLE = torch.float64


def path_score(emissions: Tensor, path: tuple[int, ...], chain: Chain) -> float:
    """By hand; -inf where a step is forbidden."""
    score = float(chain.first[path[0]] + chain.last[path[-1]])
    score += sum(float(emissions[word, tag]) for word, tag in enumerate(path))
    score += sum(float(chain.transitions[a, b]) for a, b in itertools.pairwise(path))
    if chain.allowed is not None:
        assert chain.allowed_first is not None
        assert chain.allowed_last is not None
        fine = chain.allowed_first[path[0]] and chain.allowed_last[path[-1]]
        fine = fine and all(chain.allowed[a, b] for a, b in itertools.pairwise(path))
        return score if fine else -math.inf
    return score


def paths(emissions: Tensor, chain: Chain) -> Iterator[tuple[tuple[int, ...], float]]:
    for path in itertools.product(range(emissions.shape[1]), repeat=len(emissions)):
        yield path, path_score(emissions, path, chain)


cases = given(
    st.integers(0, 10_000),
    st.integers(1, 4),
    st.lists(st.integers(0, 5), min_size=1, max_size=4),
    st.booleans(),
    st.booleans(),
)


@pytest.mark.slow
@backends
@cases
@settings(max_examples=100)
def test_enumeration(
    backend: crf.Backend, seed: int, k: int, lengths: list[int], constrained: bool, holes: bool
) -> None:
    torch.manual_seed(seed)
    emissions = torch.randn(len(lengths), max(lengths), k, dtype=DOUBLE)
    mask = random_mask(lengths, holes)
    chain = random_chain(k, constrained, dtype=DOUBLE)
    best, score = crf.best_path(emissions, mask, chain, backend)
    marginals = crf.token_marginals(emissions, mask, chain, backend)
    entropy = crf.entropy(emissions, mask, chain)
    likelihood = crf.log_likelihood(emissions, best, mask, chain, backend)
    kbest, scores = crf.k_best(emissions, mask, chain, 3)
    assert best.shape == mask.shape
    assert marginals.shape == emissions.shape
    assert (best[~mask] == 0).all()
    assert (marginals[~mask] == 0).all()
    for row in range(len(lengths)):
        words = emissions[row, mask[row]]
        if not len(words):
            assert score[row] == entropy[row] == likelihood[row] == 0
            continue
        found = sorted(paths(words, chain), key=lambda item: -item[1])
        weights = torch.tensor([s for _, s in found], dtype=DOUBLE).softmax(0)
        expected = torch.zeros(len(words), k, dtype=DOUBLE)
        for (path, _), weight in zip(found, weights, strict=True):
            expected[range(len(path)), path] += weight
        torch.testing.assert_close(marginals[row, mask[row]].double(), expected)
        assert float(score[row]) == pytest.approx(found[0][1])
        assert path_score(words, tuple(best[row, mask[row]].tolist()), chain) == pytest.approx(found[0][1])
        positive = weights[weights > 0]
        assert float(entropy[row]) == pytest.approx(float(-(positive * positive.log()).sum()), abs=1e-9)
        assert float(likelihood[row]) == pytest.approx(float(weights[0].log()))
        for rank in range(3):
            wanted = found[rank][1] if rank < len(found) else -math.inf
            assert float(scores[row, rank]) == pytest.approx(wanted)
            if wanted > -math.inf:
                own = tuple(kbest[row, rank][mask[row]].tolist())
                assert path_score(words, own, chain) == pytest.approx(wanted)


@pytest.mark.slow
@backends
@given(st.integers(0, 1000), st.booleans())
@settings(max_examples=30)
def test_the_gradient_is_that_of_finite_differences(backend: crf.Backend, seed: int, constrained: bool) -> None:
    torch.manual_seed(seed)
    chain = random_chain(3, constrained, dtype=DOUBLE)
    mask = torch.tensor([[True, True, False, True], [True, False, False, False], [False, False, False, False]])
    emissions = torch.randn(3, 4, 3, dtype=DOUBLE, requires_grad=True)
    tags, _ = crf.best_path(emissions, mask, chain, backend)
    scores = [score.requires_grad_() for score in chain[:3]]

    def function(emissions: Tensor, *scores: Tensor) -> Tensor:
        return crf.log_likelihood(emissions, tags, mask, Chain(*scores, *chain[3:]), backend)

    assert torch.autograd.gradcheck(function, (emissions, *scores))


def pytorch_crf(chain: Chain) -> CRF:
    theirs = CRF(len(chain.first), batch_first=True)
    for name, score in zip(("start_transitions", "transitions", "end_transitions"), chain[:3], strict=True):
        getattr(theirs, name).data.copy_(score)
    return theirs


@backends
@pytest.mark.filterwarnings("ignore:where received a uint8")
def test_the_loss_and_its_gradient_are_those_of_pytorch_crf(backend: crf.Backend) -> None:
    torch.manual_seed(1)
    for k, length in ((2, 1), (9, 30), (17, 100)):
        chain = random_chain(k)
        theirs = pytorch_crf(chain)
        emissions = torch.randn(12, length, k, requires_grad=True)
        tags, mask = torch.randint(0, k, (12, length)), random_mask([length, *torch.randint(1, length + 1, (11,))])
        expected = theirs(emissions, tags, mask=mask, reduction="none")
        parameters = [theirs.start_transitions, theirs.transitions, theirs.end_transitions]
        wanted = torch.autograd.grad(
            expected.sum(), [emissions, *parameters], materialize_grads=True, allow_unused=True
        )
        ours = Chain(*(p.detach().clone().requires_grad_() for p in parameters))
        found = crf.log_likelihood(emissions, tags, mask, ours, backend)
        assert found.shape == (12,)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        gradients = torch.autograd.grad(found.sum(), [emissions, *ours[:3]])
        for mine, other in zip(gradients, wanted, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-3)  # theirs are the less exact ones


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:where received a uint8")
@pytest.mark.parametrize("batches", [2_000, pytest.param(10_000, marks=pytest.mark.thorough)])
def test_tags_are_those_of_pytorch_crf_on_many_batches(batches: int) -> None:
    torch.manual_seed(2)
    sentences = 0
    for number in range(batches):
        k, length = 1 + number % 5, 1 + number % 7
        chain = random_chain(k)
        emissions = torch.randn(3, length, k)
        mask = random_mask([length, *torch.randint(1, length + 1, (2,))])
        expected = pytorch_crf(chain).decode(emissions, mask=mask)
        found, scores = crf.best_path(emissions, mask, chain)
        for row, tags in enumerate(expected):
            sentences += 1
            mine = found[row, mask[row]].tolist()
            if mine != tags:  # then theirs is as good but for rounding
                other = path_score(emissions[row, mask[row]].double(), tuple(tags), chain)
                assert float(scores[row]) == pytest.approx(other, rel=1e-6)
    assert sentences == 3 * batches


@pytest.mark.slow
@backends
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_marginals_of_a_long_text_are_exact(backend: crf.Backend, scale: float) -> None:
    torch.manual_seed(3)
    emissions, chain = torch.randn(2, 4096, 9) * scale, random_chain(9)
    mask = random_mask([4096, 4000])
    found = crf.token_marginals(emissions, mask, chain, backend)
    expected = log_space_marginals(emissions.double(), mask, chain)
    assert float((found.double() - expected).abs().max()) < 2e-5
    torch.testing.assert_close(found.double().sum(-1), mask.double())


def log_space_marginals(emissions: Tensor, mask: Tensor, chain: Chain) -> Tensor:
    """The textbook's recursion in float64, word by word, by autograd."""
    emissions = emissions.clone().requires_grad_()
    first, transitions, last = (score.double() for score in chain[:3])
    alpha = first + emissions[:, 0]
    for word in range(1, emissions.shape[1]):
        following = (alpha.unsqueeze(2) + transitions).logsumexp(1) + emissions[:, word]
        alpha = torch.where(mask[:, word, None], following, alpha)
    (alpha + last).logsumexp(1).sum().backward()
    assert emissions.grad is not None
    return emissions.grad


@backends
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_emissions(backend: crf.Backend, dtype: torch.dtype) -> None:
    torch.manual_seed(4)
    chain = random_chain(5)
    half = (torch.randn(3, 40, 5) * 5).to(dtype).requires_grad_()
    single = half.detach().float().requires_grad_()
    mask, tags = random_mask([40, 3, 17]), torch.randint(0, 5, (3, 40))
    found, expected = (crf.log_likelihood(e, tags, mask, chain, backend) for e in (half, single))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    expected.sum().backward()
    assert half.grad is not None
    assert half.grad.dtype == dtype
    torch.testing.assert_close(half.grad, single.grad.to(dtype))  # type: ignore[union-attr]


@pytest.mark.slow
@backends
@given(st.integers(0, 10_000), st.sampled_from([50.0, 1e3, 1e4]), st.booleans())
@example(265, 1e3, True)
@settings(max_examples=40)
def test_emissions_of_any_size_under_any_constraints(
    backend: crf.Backend, seed: int, scale: float, constrained: bool
) -> None:
    torch.manual_seed(seed)
    chain = random_chain(3, constrained, scale=math.sqrt(scale))
    emissions = (torch.randn(9, 6, 3) * scale).clamp(-1e4, 1e4).requires_grad_()
    mask = random_mask([6, 1, 4, 0, 5, 6, 2, 3, 6], holes=True)
    tags, _ = crf.best_path(emissions, mask, chain, backend)
    scores = [score.clone().requires_grad_() for score in chain[:3]]
    found = crf.log_likelihood(emissions, tags, mask, Chain(*scores, *chain[3:]), backend)
    gradients = torch.autograd.grad(found.sum(), [emissions, *scores])
    assert torch.isfinite(found).all()
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    marginals = crf.token_marginals(emissions, mask, chain, backend)
    for row in range(9):
        words = emissions[row, mask[row]].detach().double()
        if len(words):
            weights = torch.tensor([score for _, score in paths(words, chain)], dtype=DOUBLE).softmax(0)
            expected = torch.zeros(len(words), 3, dtype=DOUBLE)
            for (path, _), weight in zip(paths(words, chain), weights, strict=True):
                expected[range(len(path)), path] += weight
            torch.testing.assert_close(marginals[row, mask[row]].double(), expected, rtol=1e-5, atol=1e-6)


@backends
def test_a_path_that_is_all_but_lost_comes_back(backend: crf.Backend) -> None:
    """Two tags that never meet: the first word speaks for one by 900, the hundred that follow for the other by 10."""
    allowed = torch.eye(2, dtype=torch.bool)
    every = torch.ones(2, dtype=torch.bool)
    chain = Chain(torch.zeros(2), torch.zeros(2, 2), torch.zeros(2), every, allowed, every)
    emissions = torch.zeros(1, 101, 2)
    emissions[0, 0, 0], emissions[0, 1:, 1] = 900.0, 10.0
    mask = torch.ones(1, 101, dtype=torch.bool)
    assert crf.best_path(emissions, mask, chain, backend)[0].unique().tolist() == [1]
    marginals = crf.token_marginals(emissions, mask, chain, backend)
    torch.testing.assert_close(marginals[0, :, 1].double(), torch.ones(101, dtype=DOUBLE))
    reverse = crf.token_marginals(emissions.flip(1), mask, chain, backend)
    torch.testing.assert_close(reverse[0, :, 1].double(), torch.ones(101, dtype=DOUBLE))


@backends
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_emissions_that_are_not_finite_are_refused_with_the_example(backend: crf.Backend, bad: float) -> None:
    emissions = torch.zeros(3, 2, 2)
    emissions[1, 1, 0] = bad
    mask, tags, chain = torch.ones(3, 2, dtype=torch.bool), torch.zeros(3, 2, dtype=torch.long), random_chain(2, True)
    for function in (crf.best_path, crf.token_marginals):
        with pytest.raises(ValueError, match="emissions of example 1 are not finite"):
            function(emissions, mask, chain, backend)
    with pytest.raises(ValueError, match="emissions of example 1 are not finite"):
        crf.entropy(emissions, mask, chain)
    with pytest.raises(ValueError, match="emissions of example 1 are not finite"):
        crf.log_likelihood(emissions, tags, mask, chain, backend)
    with pytest.raises(ValueError, match="emissions of example 1 are not finite"):
        crf.k_best(emissions, mask, chain, 2)


@backends
def test_constraints_that_leave_no_path_are_refused_with_the_example(backend: crf.Backend) -> None:
    every, nothing = torch.ones(2, dtype=torch.bool), torch.zeros(2, 2, dtype=torch.bool)
    chain = Chain(torch.zeros(2), torch.zeros(2, 2), torch.zeros(2), every, nothing, every)
    mask, tags = random_mask([1, 3]), torch.zeros(2, 3, dtype=torch.long)
    for function in (crf.best_path, crf.token_marginals):
        with pytest.raises(ValueError, match="no sequence of tags of example 1 .3 words. satisfies"):
            function(torch.zeros(2, 3, 2), mask, chain, backend)
    with pytest.raises(ValueError, match="no sequence of tags of example 1 .3 words. satisfies"):
        crf.entropy(torch.zeros(2, 3, 2), mask, chain)
    with pytest.raises(ValueError, match="no sequence of tags of example 1 .3 words. satisfies"):
        crf.log_likelihood(torch.zeros(2, 3, 2), tags, mask, chain, backend)


@backends
def test_tags_that_the_constraints_forbid_are_refused_with_the_example(backend: crf.Backend) -> None:
    every, allowed = torch.ones(2, dtype=torch.bool), torch.eye(2, dtype=torch.bool)
    chain = Chain(torch.zeros(2), torch.zeros(2, 2), torch.zeros(2), every, allowed, every)
    tags, mask = torch.tensor([[0, 0], [1, 1], [0, 1]]), torch.ones(3, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match="forbid the tags of example 2"):
        crf.log_likelihood(torch.zeros(3, 2, 2), tags, mask, chain, backend)


@backends
def test_padding_may_hold_anything(backend: crf.Backend) -> None:
    torch.manual_seed(5)
    chain = random_chain(3)
    emissions = torch.randn(2, 4, 3)
    tags = torch.tensor([[0, 1, 2, 0], [1, 1, -100, -100]])
    mask = random_mask([4, 2])
    dirty = emissions.clone()
    dirty[1, 2:] = math.nan
    for values in (emissions, dirty):
        values.requires_grad_()
    clean, found = (crf.log_likelihood(e, tags, mask, chain, backend) for e in (emissions, dirty))
    torch.testing.assert_close(found, clean)
    found.sum().backward()
    assert dirty.grad is not None
    assert torch.isfinite(dirty.grad).all()
    assert (dirty.grad[1, 2:] == 0).all()
    assert crf.best_path(dirty, mask, chain, backend)[0].equal(crf.best_path(emissions, mask, chain, backend)[0])


@backends
@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 0, 2), (0, 0, 1)])
def test_nothing_at_all(backend: crf.Backend, shape: tuple[int, int, int]) -> None:
    emissions = torch.zeros(shape, requires_grad=True)
    mask, tags = torch.ones(shape[:2], dtype=torch.bool), torch.zeros(shape[:2], dtype=torch.long)
    chain = random_chain(shape[2], constrained=True)
    found = crf.log_likelihood(emissions, tags, mask, chain, backend)
    assert found.tolist() == [0.0] * shape[0]
    found.sum().backward()
    assert crf.best_path(emissions, mask, chain, backend)[0].shape == shape[:2]
    assert crf.token_marginals(emissions, mask, chain, backend).shape == shape
    assert crf.k_best(emissions, mask, chain, 2)[0].shape == (shape[0], 2, shape[1])


def test_small_batches_decoded_in_numpy_as_in_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(100):
        torch.manual_seed(seed)
        lengths = torch.randint(0, 9, (4,)).tolist()
        mask = random_mask(lengths) if max(lengths) else torch.zeros(4, 2, dtype=torch.bool)
        chain = random_chain(1 + seed % 6, constrained=seed % 2 == 0)
        emissions = torch.randn(*mask.shape, len(chain.first))
        if seed % 5 == 0:
            emissions[1, 0, 0] = math.nan
        results = []
        for cells in (0, 10**6):
            monkeypatch.setattr(crf_torch, "MAX_CELLS_IN_NUMPY", cells)
            results.append(crf_torch.viterbi(emissions, mask, chain))
        (tags, score), (numpy_tags, numpy_score) = results
        finite = score.isfinite()
        assert numpy_tags[finite].equal(tags[finite])
        torch.testing.assert_close(numpy_score, score, equal_nan=True)


@pytest.mark.slow
@pytest.mark.skipif("numba" not in BACKENDS, reason="needs the extra compiled")
@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=50)
def test_the_kernels_agree(seed: int, constrained: bool) -> None:
    torch.manual_seed(seed)
    k, size = int(torch.randint(1, 12, ())), int(torch.randint(1, 20, ()))
    lengths = torch.randint(0, 30, (size,)).tolist()
    chain, emissions, mask = random_chain(k, constrained), torch.randn(size, max(lengths), k) * 3, random_mask(lengths)
    tags, _ = crf.best_path(emissions, mask, chain, "torch")
    assert crf.best_path(emissions, mask, chain, "numba")[0].equal(tags)
    found = []
    for backend in BACKENDS:
        scores = [s.clone().requires_grad_() for s in chain[:3]]
        values = emissions.clone().requires_grad_()
        likelihood = crf.log_likelihood(values, tags, mask, Chain(*scores, *chain[3:]), backend)  # type: ignore[arg-type]
        found.append([likelihood, *torch.autograd.grad(likelihood.sum(), [values, *scores])])
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-6)


@backends
def test_runs_are_reproducible_bit_by_bit(backend: crf.Backend) -> None:
    torch.manual_seed(6)
    chain, emissions = random_chain(9), torch.randn(13, 50, 9, requires_grad=True)
    mask, tags = random_mask(torch.randint(1, 51, (13,)).tolist() or [50]), torch.randint(0, 9, (13, 50))
    emissions = emissions[:, : mask.shape[1]].detach().requires_grad_()
    tags = tags[:, : mask.shape[1]]
    runs = []
    for _ in range(3):
        found = crf.log_likelihood(emissions, tags, mask, chain, backend)
        runs.append((found, torch.autograd.grad(found.sum(), emissions)[0]))
    assert all(a.equal(b) for run in runs[1:] for a, b in zip(run, runs[0], strict=True))


@backends
def test_the_gradient_may_be_asked_for_twice(backend: crf.Backend) -> None:
    torch.manual_seed(7)
    chain, emissions = random_chain(4), torch.randn(3, 6, 4, requires_grad=True)
    mask, tags = random_mask([6, 2, 5]), torch.randint(0, 4, (3, 6))
    found = crf.log_likelihood(emissions, tags, mask, chain, backend)
    once, twice = (torch.autograd.grad(found.sum(), emissions, retain_graph=True)[0] for _ in range(2))
    torch.testing.assert_close(once, twice, rtol=0, atol=0)


def nodes(tensor: Tensor) -> int:
    seen, waiting = set(), [tensor.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [following for following, _ in node.next_functions]
    return len(seen)


@backends
def test_the_number_of_autograd_nodes_does_not_grow_with_the_length(backend: crf.Backend) -> None:
    chain = random_chain(3)
    counts = set()
    for length in (1, 7, 200):
        emissions = torch.randn(2, length, 3, requires_grad=True)
        tags, mask = torch.zeros(2, length, dtype=torch.long), torch.ones(2, length, dtype=torch.bool)
        counts.add(nodes(crf.log_likelihood(emissions, tags, mask, chain, backend).sum()))
    assert len(counts) == 1


@pytest.mark.slow
@backends
def test_decoding_never_asks_for_a_single_number_word_by_word(backend: crf.Backend) -> None:
    def items(length: int) -> int:
        emissions, mask = torch.randn(4, length, 5), torch.ones(4, length, dtype=torch.bool)
        chain = random_chain(5)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            crf.best_path(emissions, mask, chain, backend)
        return sum(
            event.count for event in profile.key_averages() if event.key in ("aten::item", "aten::_local_scalar_dense")
        )

    assert items(10) == items(100) <= 4  # two checks of the input, each one value


def test_a_kernel_that_cannot_run_says_so() -> None:
    with pytest.raises(ValueError, match="triton does not run on cpu"):
        crf.choose("triton", torch.device("cpu"))
    with pytest.raises(ValueError, match="expected a backend"):
        crf.choose("fast", torch.device("cpu"))  # type: ignore[arg-type]
    assert crf.choose("auto", torch.device("cpu")) == BACKENDS[-1]
    assert crf.choose("auto", torch.device("meta")) == "torch"


@pytest.mark.slow
@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=15)
def test_the_probability_of_a_span_is_that_of_enumeration(seed: int, constrained: bool) -> None:
    """Tags O, B, I of one label: the mass of all sequences in which exactly the span stands."""
    torch.manual_seed(seed)
    begins = torch.tensor([[[False, True, True], [False, True, False], [False, True, False], [False, True, True]]])
    continues = torch.tensor([[[False, False, False], [False, False, True], [False, False, True]]])
    allowed = torch.tensor([[True, True, False], [True, True, True], [True, True, True]])
    chain = random_chain(3, dtype=DOUBLE)
    if constrained:
        chain = Chain(*chain[:3], torch.tensor([True, True, False]), allowed, torch.ones(3, dtype=torch.bool))
    emissions = torch.randn(2, 5, 3, dtype=DOUBLE) * 2
    mask = torch.tensor([[True] * 5, [True, False, True, True, False]])
    spans = [(row, s, e, 0) for row, n in ((0, 5), (1, 3)) for s in range(n) for e in range(s + 1, n + 1)]
    found = span_probabilities(emissions, mask, chain, spans, begins, continues)
    for (row, start, end, _), probability in zip(spans, found.tolist(), strict=True):
        total = inside = 0.0
        for path, score in paths(emissions[row, mask[row]], chain):
            weight = math.exp(score)
            total += weight
            before = path[start - 1] if start else 3
            holds = bool(begins[0, before, path[start]])
            holds = holds and all(continues[0, a, b] for a, b in itertools.pairwise(path[start:end]))
            holds = holds and (end == len(path) or not continues[0, path[end - 1], path[end]])
            inside += weight * holds
        assert probability == pytest.approx(inside / total, abs=1e-9)
    assert span_probabilities(emissions, mask, chain, [], begins, continues).tolist() == []
    ranges = [(row, start, end) for row, start, end, _ in spans]
    for (row, start, end), probability in zip(
        ranges, run_probabilities(emissions, mask, chain, ranges, 0).tolist(), strict=True
    ):
        weights = [(path, math.exp(score)) for path, score in paths(emissions[row, mask[row]], chain)]
        inside = sum(weight for path, weight in weights if not any(path[start:end]))
        assert probability == pytest.approx(inside / sum(weight for _, weight in weights), abs=1e-9)
    assert run_probabilities(emissions, mask, chain, [], 0).tolist() == []


@pytest.mark.parametrize("steps", [1, 9, 20, 100])
def test_spans_that_are_computed_in_blocks_have_the_same_probability(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = TagSet(["X", "Y"], "bio")
    begins, continues = map(torch.from_numpy, tags.span_masks())
    emissions, mask = torch.randn(2, 6, 5, dtype=DOUBLE), random_mask([6, 4])
    spans = [(0, 0, 2, 0), (0, 2, 3, 1), (0, 3, 6, 0), (1, 0, 1, 1), (1, 1, 4, 0)]
    arguments = emissions, mask, random_chain(5, dtype=DOUBLE), spans, begins, continues
    expected = span_probabilities(*arguments)
    monkeypatch.setattr("ner.model.kernels.span_probabilities.MAX_STEPS", steps)  # 1, 1, 1 and 4 spans at once
    torch.testing.assert_close(span_probabilities(*arguments), expected)


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_what_is_wrong_is_named_while_all_scores_are_trained(backend: crf.Backend) -> None:
    emissions = torch.randn(3, 4, 5, requires_grad=True)
    chain = Chain(*(torch.randn(*shape, requires_grad=True) for shape in ((5,), (5, 5), (5,))))
    tags, mask = torch.zeros(3, 4, dtype=torch.long), torch.ones(3, 4, dtype=torch.bool)
    bad = emissions.detach().clone()
    bad[1, 2, 3] = math.nan
    with pytest.raises(BadExampleError, match="emissions of example 1 are not finite"):
        crf.log_likelihood(bad.requires_grad_(), tags, mask, chain, backend)
    every = torch.ones(5, dtype=torch.bool)
    forbidden = Chain(*chain[:3], ~torch.eye(5, dtype=torch.bool)[0], torch.ones(5, 5, dtype=torch.bool), every)
    with pytest.raises(BadExampleError, match="the constraints forbid the tags of example 0"):
        crf.log_likelihood(emissions, tags, mask, forbidden, backend)


@pytest.mark.parametrize("backend", ["torch", "numba"])
@pytest.mark.parametrize("wrong", [-100, -1, 5])
def test_a_tag_that_is_none_is_refused_where_a_word_is(backend: crf.Backend, wrong: int) -> None:
    emissions, mask = torch.randn(3, 4, 5), torch.ones(3, 4, dtype=torch.bool)
    chain = Chain(torch.randn(5), torch.randn(5, 5), torch.randn(5))
    tags = torch.zeros(3, 4, dtype=torch.long)
    tags[2, 1] = wrong
    with pytest.raises(BadExampleError, match="example 2 has a tag id outside 0 to 4") as caught:
        crf.log_likelihood(emissions, tags, mask, chain, backend)
    assert caught.value.position == 2
    mask[2, 1] = False
    assert torch.isfinite(crf.log_likelihood(emissions, tags, mask, chain, backend)).all()
