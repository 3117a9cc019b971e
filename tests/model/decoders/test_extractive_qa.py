from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ner.contracts import IGNORED
from ner.data.question_answering import ANSWER, EVIDENCE
from ner.model.decoders.extractive_qa import Config, ExtractiveQADecoder
from ner.model.kernels.chain import BadExampleError
from ner.types import Encoding, Example, Span

WIDTH = 6


def decoder(**options: object) -> ExtractiveQADecoder:
    torch.manual_seed(1)
    return ExtractiveQADecoder(Config(**options), WIDTH).eval()


def encoding(lengths: list[int], queries: list[int]) -> Encoding:
    words = torch.arange(max(lengths, default=0))
    mask = words < torch.tensor(lengths)[:, None]
    query = words < torch.tensor(queries)[:, None]
    return Encoding(torch.randn(*mask.shape, WIDTH) * mask[..., None], mask, question_mask=query)


def enumerated(starts: list[float], ends: list[float], words: range, longest: int) -> dict[object, float]:
    """Answer -> probability, one by one: the exponent of what begins and ends it, divided by the sum of all."""
    found: dict[object, float] = {kind: starts[n] + ends[n] for n, kind in enumerate(("yes", "no", "unknown"))}
    for first in words:
        for last in words:
            if first <= last < first + longest:
                found[first, last + 1] = starts[3 + first] + ends[3 + last]
    total = sum(math.exp(value) for value in found.values())
    return {answer: math.exp(value) / total for answer, value in found.items()}


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=3), st.integers(1, 6))
def test_answers_are_those_of_enumeration(shapes: list[tuple[int, int]], longest: int) -> None:
    part = decoder(max_answer_length=longest, n_best_size=4)
    given_ = encoding([query + passage for query, passage in shapes], [query for query, _ in shapes])
    scores = part(given_)
    found = part.decode(scores, given_.mask, probabilities=True)
    plain = part.decode(scores, given_.mask)
    for row, (query, passage) in enumerate(shapes):
        starts, ends = scores["starts"][row].tolist(), scores["ends"][row].tolist()
        expected = enumerated(starts, ends, range(query, query + passage), longest)
        best = sorted(expected, key=lambda answer: -expected[answer])[:4]
        shown = [(a.start, a.end) if isinstance(a, Span) else a for a in found[row].answers]
        assert shown == best
        for answer in found[row].answers:
            value = answer.score if isinstance(answer, Span) else found[row].scores[answer]
            key = (answer.start, answer.end) if isinstance(answer, Span) else answer
            assert value == pytest.approx(expected[key], rel=1e-4)
        assert sum(found[row].scores.values()) == pytest.approx(1, rel=1e-4)
        assert plain[row].answers == found[row].answers[:1]
        assert plain[row].labels == found[row].labels == ["span" if isinstance(best[0], tuple) else best[0]]


def test_no_answer_begins_or_ends_in_the_question_or_the_padding() -> None:
    part = decoder()
    given_ = encoding([7, 4], [3, 2])
    scores = part(given_)
    for name in ("starts", "ends"):
        assert scores[name].shape == (2, 10)
        allowed = scores[name][:, 3:] > -1e30
        assert allowed.tolist() == [[False] * 3 + [True] * 4, [False] * 2 + [True] * 2 + [False] * 3]


def test_padding_changes_nothing() -> None:
    part = decoder()
    whole = encoding([7, 4], [3, 2])
    alone = Encoding(whole.words[1:, :4], whole.mask[1:, :4], question_mask=whole.question_mask[1:, :4])
    assert (
        part.decode(part(whole), whole.mask, True)[1].answers == part.decode(part(alone), alone.mask, True)[0].answers
    )
    torch.testing.assert_close(part(alone)["starts"][0], part(whole)["starts"][1, :7])


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        (Example(["q", "a", "b"], spans=[Span(1, 3, ANSWER)], labels=["span"], query_length=1), (4, 5)),
        (Example(["q", "a"], spans=[Span(1, 2, ANSWER)], query_length=1), (4, 4)),
        (Example(["q", "a"], labels=["yes"], query_length=1), (0, 0)),
        (Example(["q", "a"], labels=["no"], query_length=1), (1, 1)),
        (Example(["q", "a"], labels=["unknown"], query_length=1), (2, 2)),
        (Example(["q", "a"], spans=[Span(1, 2, ANSWER)], labels=["yes"], query_length=1), (0, 0)),  # with its evidence
        (Example(["q", "a"], query_length=1), (IGNORED, IGNORED)),
        (Example(["q", "a"], labels=["other"], query_length=1), (IGNORED, IGNORED)),
    ],
)
def test_what_is_learned(example: Example, expected: tuple[int, int]) -> None:
    targets, counts = decoder().targets([example])
    assert (targets["starts"].item(), targets["ends"].item()) == expected
    assert counts == {"answers": int(expected[0] != IGNORED), "evidence": 0}


def test_the_loss_is_the_mean_of_both_cross_entropies_and_leaves_out_what_is_not_known() -> None:
    part = decoder()
    given_ = encoding([5, 5], [2, 2])
    scores = part(given_)
    examples = [Example(["w"] * 5, spans=[Span(3, 5, ANSWER)], labels=["span"], query_length=2), Example(["w"] * 5)]
    targets, _ = part.targets(examples)
    found = part.loss(scores, targets, given_.mask)["answers"]
    starts, ends = (scores[name][0].log_softmax(0) for name in ("starts", "ends"))
    assert found.item() == pytest.approx(-(starts[6] + ends[7]).item() / 2)


def test_the_attention_learns_to_look_at_the_evidence() -> None:
    part = decoder()
    given_ = encoding([6, 6, 4], [2, 2, 1])
    found = Span(3, 5, EVIDENCE)
    examples = [
        Example(["w"] * 6, spans=[Span(4, 5, ANSWER), found], labels=["span"], query_length=2),
        Example(["w"] * 6, spans=[found], labels=["yes"], query_length=2),
        Example(["w"] * 4, labels=["unknown"], query_length=1),
    ]
    targets, counts = part.targets(examples)
    assert counts == {"answers": 3, "evidence": 2}
    assert (targets["starts"].tolist(), targets["ends"].tolist()) == ([7, 0, 2], [7, 0, 2])
    scores = part(given_)
    weights = scores["attention"].exp()
    assert weights.masked_fill(~given_.mask, 0).sum(1).tolist() == pytest.approx([1, 1, 1])
    expected = -sum(weights[row, 3:5].sum().log().item() for row in (0, 1))
    assert part.loss(scores, targets, given_.mask)["evidence"].item() == pytest.approx(expected, rel=1e-5)
    half = decoder(evidence_weight=0.5).loss(scores, targets, given_.mask)["evidence"].item()
    assert half == pytest.approx(expected / 2, rel=1e-5)


def test_a_threshold_decides_when_the_answer_is_unknown() -> None:
    scores = {name: torch.tensor([[-9.0, -9.0, 1.0, 0.5, -9.0]]) for name in ("starts", "ends")}
    mask = torch.ones(1, 2, dtype=torch.bool)
    assert decoder().decode(scores, mask)[0].labels == ["unknown"]
    assert decoder(null_threshold=2.0).decode(scores, mask)[0].labels == ["span"]
    scores["starts"][0, 2] = scores["ends"][0, 2] = 0.2
    assert decoder().decode(scores, mask)[0].labels == ["span"]
    assert decoder(null_threshold=-2.0).decode(scores, mask)[0].answers == ["unknown"]


def test_four_heads_of_two_layers_with_six_outputs() -> None:
    part = ExtractiveQADecoder(Config(), 768)
    assert sum(parameter.numel() for parameter in part.parameters()) == 4 * (768 * 768 + 768) + 6 * (768 + 1)


def test_a_text_is_the_answer_when_an_example_is_answered() -> None:
    from ner.data.question_answering import question_example
    from ner.types import Annotation

    example = question_example(["Where?"], "In  Rome, I think.", "punctuation")
    span = Span(3, 4, ANSWER, 0.5)
    assert example.words[3] == "Rome"
    answered = example.with_prediction(
        Annotation(answers=[span, "yes", Span(2, 4, ANSWER, 0.25)], scores={"yes": 0.125})
    )
    assert answered.answers == ["Rome", "yes", "In  Rome"]
    assert answered.scores == {"Rome": 0.5, "yes": 0.125, "In  Rome": 0.25}


def test_scores_that_are_not_finite_are_refused_by_the_example() -> None:
    scores = {name: torch.zeros(2, 5) for name in ("starts", "ends")}
    scores["ends"][1, 4] = math.nan
    with pytest.raises(BadExampleError) as caught:
        decoder().decode(scores, torch.ones(2, 2, dtype=torch.bool))
    assert caught.value.position == 1
