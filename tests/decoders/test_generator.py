from __future__ import annotations

import itertools
import math
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch.nn import functional as F

from ner import checkpoint, loader, model, runtime, training
from ner.config import ConfigError, RunConfig, WindowsConfig, component, part, validate
from ner.decoders.generator import UNLEARNED, UNREAD, Config, GeneratorDecoder, attach
from ner.distributed import World
from ner.encoders import transformer
from ner.kernels.chain import BadExample
from ner.memory import Memory
from ner.predict import Tagger, annotate
from ner.pretrained import WordTokenizer
from ner.questions import ask
from ner.training_config import BatchConfig
from ner.types import Document, Example, InputError, Scores, Span
from ner.vocab import Vocabs
from tests.small import make_bert, make_unigram
from tests.test_checkpoint import ABOUT, digest

CPU = torch.device("cpu")


def generator(bert: str, windows: WindowsConfig | None = None, **options: Any) -> GeneratorDecoder:
    torch.manual_seed(1)
    encoder = transformer.build(transformer.Config(model=bert), Vocabs(), windows or WindowsConfig())
    made = attach(Config(**options), encoder.eval()).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)  # otherwise all pieces are about equally probable
    return made


def question(asked: str = "who ?", passage: str = "Ann lives in Berlin .", answer: str | None = None) -> Example:
    example = ask([asked], passage, "punctuation")
    example.answers = [answer] if answer is not None else []
    return example


EXAMPLES = [
    question("in ?", "the Washington", "Washington in"),
    question("who ?", "Ann lives in Berlin , Bob in the 北京 .", "Bob"),
    question("a b c", "x", "x"),
]


def scores_of(part: GeneratorDecoder, examples: list[Example]) -> Scores:
    return part(part.inputs([[example] for example in examples]))


def slow_vectors(part: GeneratorDecoder, source: list[int], pieces: list[int], visible: torch.Tensor) -> torch.Tensor:
    """``(R, H)``: what transformers' own model makes of source and pieces in one row, by a mask of who sees whom."""
    bert = part.encoder.model
    size, new = len(source), len(pieces)
    allowed = torch.zeros(size + new, size + new, dtype=torch.bool)
    allowed[:, :size] = True
    allowed[:size, size:] = False
    allowed[size:, size:] = visible[:, :new]
    types = torch.tensor([[0] * size + [min(1, bert.config.type_vocab_size - 1)] * new])
    bias = torch.zeros(allowed.shape).masked_fill(~allowed, torch.finfo(torch.float).min)
    found = bert(
        input_ids=torch.tensor([[*source, *pieces]]), token_type_ids=types, attention_mask=bias[None, None]
    ).last_hidden_state
    return found[0, size:]


def slow_logs(part: GeneratorDecoder, source: list[int], pieces: list[int]) -> torch.Tensor:
    """``(V,)`` of the piece behind ``pieces``, everything computed anew."""
    new = len(pieces) + 1
    hidden = slow_vectors(part, source, [*pieces, part.hidden_piece], torch.ones(new, new, dtype=torch.bool).tril())[-1]
    table = part.encoder.model.get_input_embeddings().weight
    return F.log_softmax(part.norm(F.gelu(part.dense(hidden))) @ table.T + part.bias, dim=0)


class Recomputing(GeneratorDecoder):
    """Reads everything again for each piece."""

    def step(self, scores: Scores, pieces: torch.Tensor, past: Memory) -> tuple[torch.Tensor, Memory]:
        logs = torch.stack(
            [
                torch.stack([slow_logs(self, source[mask].tolist(), written) for written in own.tolist()])
                for source, mask, own in zip(scores["pieces"], scores["source"], pieces, strict=True)
            ]
        )
        return logs, []


@torch.no_grad()
def test_a_piece_behind_kept_ones_is_predicted_as_if_everything_were_read_again(tiny_bert: str) -> None:
    made = generator(tiny_bert)
    scores = scores_of(made, EXAMPLES)
    pieces = torch.randint(5, 60, (3, 2, 5))
    past: Memory = []
    for size in range(6):
        found, past = made.step(scores, pieces[..., :size], past)
        for row, beam in itertools.product(range(3), range(2)):
            source = scores["pieces"][row][scores["source"][row]].tolist()
            expected = slow_logs(made, source, pieces[row, beam, :size].tolist())
            torch.testing.assert_close(found[row, beam], expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_kept_beams_are_those_of_a_search_that_reads_everything_again(tiny_bert: str, penalty: float) -> None:
    made = generator(tiny_bert, beam_size=3, max_target_seq_length=6, length_penalty=penalty)
    slow = Recomputing(made.config, made.encoder).eval()
    slow.load_state_dict(made.state_dict())
    scores = scores_of(made, EXAMPLES)
    found, expected = made.search(scores, every=True), slow.search(scores, every=True)
    torch.testing.assert_close(found.logs, expected.logs, rtol=1e-4, atol=1e-4)
    assert torch.equal(found.pieces, expected.pieces)
    assert torch.equal(found.lengths, expected.lengths)
    assert len(set(found.lengths.flatten().tolist())) > 1  # not all are of one length


FAMILIES = {"Roberta": {"pad_token_id": 0}, "Electra": {"embedding_size": 16}, "XLMRoberta": {"pad_token_id": 0}}


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_relatives_with_the_layers_of_bert_write_as_well(tiny_bert: str, family: str) -> None:
    shape = {"vocab_size": 200, "max_position_embeddings": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = getattr(transformers, f"{family}Config")(
        **shape, hidden_size=16, intermediate_size=32, **FAMILIES[family]
    )
    bert = getattr(transformers, f"{family}Model")(config)
    encoder = transformer.TransformerEncoder(
        transformer.Config(model=family), bert, WordTokenizer.load(tiny_bert), WindowsConfig()
    )
    made = attach(Config(), encoder.eval()).eval()
    scores = scores_of(made, EXAMPLES[:1])
    pieces = torch.tensor([[[7, 8]]])
    found, _ = made.step(scores, pieces, made.step(scores, pieces[..., :1], [])[1])
    expected = slow_logs(made, scores["pieces"][0].tolist(), [7, 8])
    torch.testing.assert_close(found[0, 0], expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("copying", [False, True])
def test_the_loss_is_that_of_writing_the_gold_answer_piece_by_piece(tiny_bert: str, copying: bool) -> None:
    made = generator(tiny_bert, copy_pieces=copying)
    targets, counts = made.targets(EXAMPLES)
    assert counts == {"pieces": int((targets["answers"] >= 0).sum())} == {"pieces": 5 + 4 + 2}
    expected = 0.0
    for row, example in enumerate(EXAMPLES):
        scores = scores_of(made, [example])
        gold = [piece for piece in targets["answers"][row].tolist() if piece >= 0]
        assert gold[-1] == made.closing
        past: Memory = []
        for size, piece in enumerate(gold):
            logs, past = made.step(scores, torch.tensor([[gold[:size]]], dtype=torch.long), past)
            expected -= float(logs[0, 0, piece])
    found = made.loss(scores_of(made, EXAMPLES), targets, torch.empty(0))["pieces"]
    assert float(found) == pytest.approx(expected, rel=1e-4)


@torch.no_grad()
def test_with_copying_probabilities_still_add_up_to_one_and_only_pieces_of_the_source_gain(tiny_bert: str) -> None:
    made = generator(tiny_bert, copy_pieces=True)
    scores = scores_of(made, EXAMPLES)
    logs, _ = made.step(scores, torch.zeros(3, 1, 0, dtype=torch.long), [])
    torch.testing.assert_close(logs.exp().sum(-1), torch.ones(3, 1))
    assert made.share is not None
    torch.nn.init.constant_(made.share.bias, 30.0)
    torch.nn.init.zeros_(made.share.weight)
    logs, _ = made.step(scores, torch.zeros(3, 1, 0, dtype=torch.long), [])
    for row in range(3):
        own = set(scores["pieces"][row][scores["source"][row]].tolist())
        assert {piece for piece, p in enumerate(logs[row, 0].exp().tolist()) if p > 1e-6} <= own


@torch.no_grad()
@pytest.mark.parametrize("rate", [None, 0.5])
def test_a_later_piece_changes_no_earlier_prediction_and_the_passage_changes_all(
    tiny_bert: str, rate: float | None
) -> None:
    made = generator(tiny_bert, mask_rate=rate)
    gold = torch.tensor([[10, 11, 12, 13, made.closing]])
    changed = gold.clone()
    changed[0, 2] = 20

    def predicted(example: Example, answer: torch.Tensor) -> torch.Tensor:
        if rate is None:
            return made._every(scores_of(made, [example]), answer)[0]
        torch.manual_seed(3)  # the same pieces are hidden
        hidden, which, _ = made._masked(scores_of(made, [example]), answer, rate)
        assert which.tolist() == [[False, True, True, False, False]] or not which[0, 2]
        return hidden[0]

    before, after = predicted(EXAMPLES[0], gold), predicted(EXAMPLES[0], changed)
    first = 3 if rate is None else 2  # a piece that is not hidden sees itself
    assert torch.equal(before[:first], after[:first])
    assert not torch.allclose(before[first:], after[first:], atol=1e-3)
    other = predicted(question("in ?", "the Washingten", "Washington in"), gold)
    assert ((before - other).abs().amax(1) > 1e-4).all()


@torch.no_grad()
def test_the_source_sees_no_answer_and_its_question_sees_its_passage(tiny_bert: str) -> None:
    made = generator(tiny_bert)
    inputs = [made.inputs([[question(answer=answer)]]) for answer in ("Ann", "Berlin Berlin")]
    assert all(torch.equal(inputs[0][name], inputs[1][name]) for name in inputs[0])
    other = scores_of(made, [question(passage="Ann lives in Paris .")])
    own = scores_of(made, [question()])
    assert torch.equal(own["keys.0"][:, :, :5], other["keys.0"][:, :, :5])
    assert not torch.allclose(own["keys.1"][:, :, :5], other["keys.1"][:, :, :5], atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("penalty", [0.0, 0.7, 2.0])
def test_a_wide_beam_finds_what_enumeration_finds(tiny_bert: str, penalty: float) -> None:
    made = generator(tiny_bert, beam_size=27, max_target_seq_length=4, length_penalty=penalty)
    allowed = [7, 8, 9]
    made.never = torch.tensor([n for n in range(len(made.bias)) if n not in (*allowed, made.closing)])
    made.bias.data[made.closing] += 1.5
    scores = scores_of(made, EXAMPLES)
    found = made.search(scores, every=True)
    for row in range(len(EXAMPLES)):
        source = scores["pieces"][row][scores["source"][row]].tolist()
        expected = {}
        for size in (1, 2, 3):
            for pieces in itertools.product(allowed, repeat=size):
                whole = [*pieces, made.closing]
                logs = sum(float(slow_logs(made, source, whole[:n])[whole[n]]) for n in range(len(whole)))
                expected[pieces] = logs, logs / len(whole) ** penalty
        best = sorted(expected, key=lambda pieces: -expected[pieces][1])[:27]
        lengths = found.lengths[row].tolist()
        assert [tuple(p[: n - 1]) for p, n in zip(found.pieces[row].tolist(), lengths, strict=True)] == best
        for pieces, log in zip(best, found.logs[row].tolist(), strict=True):
            assert log == pytest.approx(expected[pieces][0], abs=1e-3)
        alone = made.search(scores)
        assert alone.pieces[row, 0, : alone.lengths[row, 0] - 1].tolist() == list(best[0])


@torch.no_grad()
def test_a_search_stops_as_soon_as_nothing_can_become_better(tiny_bert: str) -> None:
    made = generator(tiny_bert, beam_size=2, max_target_seq_length=40)
    made.bias.data[made.closing] += 100
    steps = []
    step = made.step
    made.step = lambda *given: steps.append(1) or step(*given)  # type: ignore[method-assign]
    found = made.search(scores_of(made, EXAMPLES))
    assert len(steps) == 2
    assert found.lengths[:, 0].tolist() == [2, 2, 2]  # an answer has a piece


@torch.no_grad()
def test_answers_depend_on_neither_batch_nor_padding(tiny_bert: str) -> None:
    made = generator(tiny_bert, beam_size=3, max_target_seq_length=8)
    together = scores_of(made, EXAMPLES)
    found = made.search(together, every=True)
    for row, example in enumerate(EXAMPLES):
        alone = made.search(scores_of(made, [example]), every=True)
        assert torch.equal(alone.pieces[0], found.pieces[row])
        torch.testing.assert_close(alone.logs[0], found.logs[row], rtol=1e-4, atol=1e-4)


NAMES = "ABDEGHJKLMNPRSTV"


def toy(count: int, seed: int) -> list[Document]:
    """Who lives where: the answer is a letter of the passage that the question chooses."""
    randomness = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(count):
        first, second = (NAMES[n] for n in torch.randperm(len(NAMES), generator=randomness)[:2].tolist())
        asked = bool(torch.randint(2, (), generator=randomness))
        example = question("lives" if asked else "in", f"{first} lives in {second}", first if asked else second)
        found.append(Document([example]))
    return found


def toy_config(bert: str, **decoder: Any) -> RunConfig:
    raw = {
        "data": {"train": "a", "valid": "b"},
        "encoder": {"name": "transformer", "model": bert, "attention_dropout": 0},
        "decoder": {"name": "generator", "max_target_seq_length": 6, "beam_size": 2, **decoder},
        "batch": {"size": 16, "at_once": 8, "ahead": 0},
        "training": {"epochs": 6, "learning_rate": 0.01, "monitor": "answer.f1"},
        "metrics": ["answer"],
    }
    config: RunConfig = validate(RunConfig, raw)
    return config


@pytest.mark.parametrize("decoder", [{}, {"mask_rate": 0.7}, {"copy_pieces": True}], ids=["every", "masked", "copying"])
def test_it_learns_to_copy_what_is_asked_for(tmp_path: Path, decoder: dict[str, Any]) -> None:
    bert = make_bert(tmp_path, hidden_size=32, hidden_dropout_prob=0.0)
    config = toy_config(bert, **decoder)
    runtime.set_seed(1)
    made = model.build(config, toy(4, 1))
    data = loader.Data(made, toy(600, 1), config.batch, 1)
    state = training.begin(made, config.training, config.batch, config.metrics, CPU)
    started = time.monotonic()
    *_, last = training.train(state, data, toy(50, 2), config.metrics, CPU)
    assert last.row is not None
    print(decoder, time.monotonic() - started, last.row.evaluations["valid"].scores["answer"]["exact"])
    assert last.row.evaluations["valid"].scores["answer"]["exact"] >= 0.9
    assert last.row.evaluations["train"].scores["answer"]["turns"] == 0  # while it learns it writes nothing
