from __future__ import annotations

import itertools
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchcrf import CRF

from ner.contracts import IGNORED
from ner.data.vocab import Vocabs
from ner.model.decoders.crf import Config, CRFDecoder, build
from ner.types import Encoding, Example, Span

VOCABS = Vocabs(labels=Counter({"PER": 2, "LOC": 1}))


def decoder(width: int = 4, scale: float = 1.0, **options: str) -> CRFDecoder:
    built = build(Config(**options), width, VOCABS)
    for parameter in built.crf.parameters():
        torch.nn.init.normal_(parameter, std=scale)
    return built


@torch.no_grad()
def path_score(crf: CRF, emissions: torch.Tensor, path: tuple[int, ...] | list[int]) -> torch.Tensor:
    score = crf.start_transitions[path[0]] + crf.end_transitions[path[-1]]
    for position, tag in enumerate(path):
        score = score + emissions[position, tag]
    for a, b in itertools.pairwise(path):
        score = score + crf.transitions[a, b]
    return score


def is_allowed(part: CRFDecoder, path: tuple[int, ...]) -> bool:
    first, follow, last = part.allowed
    return bool(first[path[0]] and last[path[-1]] and all(follow[a, b] for a, b in itertools.pairwise(path)))


@torch.no_grad()
def enumerated_loss(part: CRFDecoder, emissions: torch.Tensor, gold: list[int], valid_only: bool) -> float:
    paths = itertools.product(range(len(part.tags)), repeat=len(gold))
    scores = [path_score(part.crf, emissions, path) for path in paths if not valid_only or is_allowed(part, path)]
    return float(torch.logsumexp(torch.stack(scores), 0) - path_score(part.crf, emissions, gold))


@pytest.mark.parametrize("constraints", ["decoding", "training_and_decoding", "none"])
@pytest.mark.parametrize("scheme", ["bio", "bioes"])
def test_the_loss_is_that_of_enumeration(constraints: str, scheme: str) -> None:
    part = decoder(scheme=scheme, constraints=constraints)
    example = Example(["a", "b", "c"], spans=[Span(0, 1, "LOC"), Span(1, 3, "PER")], tags=["B-LOC", "B-PER", "I-PER"])
    targets, counts = part.targets([example])
    emissions = torch.randn(1, 3, len(part.tags))
    loss = part.loss({"emissions": emissions}, targets, torch.ones(1, 3, dtype=torch.bool))
    expected = enumerated_loss(part, emissions[0], targets["tags"][0].tolist(), constraints == "training_and_decoding")
    assert counts == {"tags": 3}
    assert float(loss["tags"].detach()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scheme", ["bio", "bioes"])
def test_a_forbidden_path_counts_nothing_however_strongly_it_is_wanted(scheme: str) -> None:
    part = decoder(scheme=scheme, constraints="training_and_decoding")
    emissions = torch.randn(1, 3, len(part.tags))
    emissions[..., part.tags.ids["I-PER"]] += 1e4
    emissions.requires_grad_()
    targets, _ = part.targets([Example(["a", "b", "c"], spans=[Span(0, 1, "LOC")], tags=["B-LOC", "O", "O"])])
    loss = part.loss({"emissions": emissions}, targets, torch.ones(1, 3, dtype=torch.bool))["tags"]
    loss.backward()
    expected = enumerated_loss(part, emissions[0], targets["tags"][0].tolist(), valid_only=True)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-4)
    assert emissions.grad is not None
    assert torch.isfinite(emissions.grad).all()
    assert float(emissions.grad[0, 0, part.tags.ids["I-PER"]]) == 0  # no valid path begins with it


def test_loss_and_path_are_those_of_pytorch_crf_and_its_state_fits_both_ways() -> None:
    part = decoder(constraints="none")
    theirs = CRF(len(part.tags), batch_first=True)
    theirs.load_state_dict(part.crf.state_dict())
    part.crf.load_state_dict(theirs.state_dict())
    lengths = torch.tensor([5, 1, 3])
    mask = torch.arange(5) < lengths[:, None]
    emissions, tags = torch.randn(3, 5, len(part.tags)), torch.randint(len(part.tags), (3, 5))
    loss = part.loss({"emissions": emissions}, {"tags": tags}, mask)["tags"]
    torch.testing.assert_close(loss, -theirs(emissions, tags, mask=mask, reduction="sum"))
    expected = [[part.tags.names[tag] for tag in row] for row in theirs.decode(emissions, mask=mask)]
    assert [annotation.tags for annotation in part.decode({"emissions": emissions}, mask)] == expected


def test_words_between_holes_are_neighbours_and_unknown_tags_carry_no_loss() -> None:
    part = decoder()
    emissions = torch.randn(1, 6, len(part.tags))
    tags = torch.tensor([[0, 3, IGNORED, 0, 1, 2]])
    mask = torch.tensor([[True, False, True, True, True, False]])
    keep = [0, 3, 4]
    loss = part.loss({"emissions": emissions}, {"tags": tags}, mask)["tags"]
    alone = part.loss({"emissions": emissions[:, keep]}, {"tags": tags[:, keep]}, torch.ones(1, 3, dtype=torch.bool))[
        "tags"
    ]
    torch.testing.assert_close(loss, alone)
    (annotation,) = part.decode({"emissions": emissions}, mask)
    (expected,) = part.decode({"emissions": emissions[:, [0, 2, 3, 4]]}, torch.ones(1, 4, dtype=torch.bool))
    assert annotation.tags == expected.tags


def test_examples_without_words_or_without_known_tags_are_safe() -> None:
    part = decoder()
    emissions = torch.randn(3, 2, len(part.tags), requires_grad=True)
    mask = torch.tensor([[False, False], [True, False], [True, True]])
    tags = torch.tensor([[IGNORED, IGNORED], [IGNORED, IGNORED], [0, IGNORED]])
    loss = part.loss({"emissions": emissions}, {"tags": tags}, mask)["tags"]
    loss.backward()
    assert torch.isfinite(emissions.grad).all()
    assert [len(annotation.tags) for annotation in part.decode({"emissions": emissions.detach()}, mask)] == [0, 1, 2]
    nothing = part.loss({"emissions": emissions}, {"tags": torch.full((3, 2), IGNORED)}, mask)["tags"]
    assert float(nothing.detach()) == 0
    assert (
        part.decode({"emissions": torch.zeros(2, 0, len(part.tags))}, torch.zeros(2, 0, dtype=torch.bool))[1].tags == []
    )


def test_an_unknown_label_is_ignored_in_the_targets() -> None:
    targets, counts = decoder().targets([Example(["a", "b"], spans=[Span(0, 1, "EVENT")], tags=["B-EVENT", "O"])])
    assert targets["tags"].tolist() == [[IGNORED, 0]]
    assert counts == {"tags": 1}


@pytest.mark.slow
@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from(["bio", "bioes", "bmes", "bilou"]), st.integers(1, 4))
def test_a_constrained_path_is_the_best_valid_one(seed: int, scheme: str, length: int) -> None:
    torch.manual_seed(seed)
    part = build(Config(scheme=scheme), 4, Vocabs(labels=Counter({"X": 1})))
    emissions = torch.randn(1, length, len(part.tags)) * 3
    path = part.best(emissions, torch.ones(1, length, dtype=torch.bool))[0][0].tolist()
    valid = [p for p in itertools.product(range(len(part.tags)), repeat=length) if is_allowed(part, p)]
    best = max(float(path_score(part.crf, emissions[0], p).detach()) for p in valid)
    assert is_allowed(part, tuple(path))
    assert float(path_score(part.crf, emissions[0], path).detach()) == pytest.approx(best, abs=1e-4)


@pytest.mark.parametrize("constraints", ["decoding", "training_and_decoding"])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_gradients_stay_finite_with_large_scores(constraints: str, scale: float) -> None:
    part = decoder(constraints=constraints)
    example = Example(["a"] * 40, spans=[Span(3, 9, "PER")], tags=["O"] * 40)
    targets, _ = part.targets([example])
    emissions = (torch.randn(1, 40, len(part.tags)) * scale).requires_grad_()
    part.loss({"emissions": emissions}, targets, torch.ones(1, 40, dtype=torch.bool))["tags"].backward()
    assert torch.isfinite(emissions.grad).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in part.crf.parameters())


def test_arithmetic_stays_in_float32_under_autocast() -> None:
    part = decoder()
    encoding = Encoding(torch.randn(2, 30, 4), torch.ones(2, 30, dtype=torch.bool))
    tags = {"tags": torch.zeros(2, 30, dtype=torch.long)}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = part(encoding)
        loss = part.loss(scores, tags, encoding.mask)["tags"]
        annotations = part.decode(scores, encoding.mask)
    assert scores["emissions"].dtype == torch.bfloat16
    assert loss.dtype == torch.float32
    exact = part.loss({"emissions": scores["emissions"].float()}, tags, encoding.mask)["tags"]
    torch.testing.assert_close(loss, exact)
    assert annotations == part.decode({"emissions": scores["emissions"].float()}, encoding.mask)


def test_plain_tags_stay_as_they_are() -> None:
    part = build(Config(), 4, Vocabs(tags=Counter({"NN": 3, "VB": 1}), scheme="none"))
    assert part.tags.names == ["NN", "VB"]
    (annotation,) = part.decode(
        part(Encoding(torch.randn(1, 3, 4), torch.ones(1, 3, dtype=torch.bool))), torch.ones(1, 3, dtype=torch.bool)
    )
    assert set(annotation.tags) <= {"NN", "VB"}
    assert annotation.spans == []


def test_an_example_whose_known_tags_are_no_sequence_is_left_out_of_a_constrained_loss() -> None:
    gap = Example(["a", "b", "c"], spans=[Span(0, 3, "PER")], tags=["B-PER", "I-PER", "I-PER"])
    known = decoder(constraints="training_and_decoding").targets([gap])
    assert known[1] == {"tags": 3}
    part = decoder(constraints="training_and_decoding")
    part.tags.ids.pop("B-PER")  # as if the model did not know it: what is left begins with I-PER
    targets, counts = part.targets([gap])
    assert targets["tags"].tolist() == [[IGNORED] * 3]
    assert counts == {"tags": 0}
    free = decoder(constraints="decoding")
    free.tags.ids.pop("B-PER")
    assert free.targets([gap])[1] == {"tags": 2}


@pytest.mark.slow
@pytest.mark.parametrize("constraints", ["decoding", "none"])
@pytest.mark.parametrize("scheme", ["bio", "bioes", "io"])
def test_the_probability_of_a_span_is_the_mass_of_the_sequences_that_hold_it(constraints: str, scheme: str) -> None:
    torch.manual_seed(3)
    part = build(Config(scheme=scheme, constraints=constraints), 4, Vocabs(labels=Counter({"X": 1, "Y": 1})))
    emissions = torch.randn(4, 4, len(part.tags)) * 2
    mask = torch.arange(4) < torch.tensor([[4], [4], [1], [3]])
    annotations = part.decode({"emissions": emissions}, mask, probabilities=True)
    assert sum(len(annotation.spans) for annotation in annotations) >= 3
    for row, annotation in enumerate(annotations):
        length = int(mask[row].sum())
        held: Counter[Span] = Counter()
        total = 0.0
        for path in itertools.product(range(len(part.tags)), repeat=length):
            if constraints == "decoding" and not is_allowed(part, path):
                continue
            mass = float(path_score(part.crf, emissions[row], path).exp())
            total += mass
            for span in part.tags.decode_ids(path)[1]:
                held[span] += mass  # type: ignore[assignment]
        for span in annotation.spans:
            assert span.score == pytest.approx(held[span] / total, rel=1e-5)
    assert part.decode({"emissions": emissions}, mask) == annotations  # the score takes no part in comparison
    assert part.decode({"emissions": emissions}, mask)[0].spans[0].score is None
