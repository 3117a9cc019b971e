from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch.nn import functional as F

from ner.config.parts import ConfigError, load_component, parse_component, validate
from ner.config.schema import RunConfig, WindowsConfig
from ner.config.training import BatchConfig
from ner.data.notices import Notice
from ner.data.question_answering import question_example
from ner.data.vocab import Vocabs
from ner.errors import InputError
from ner.inference.annotate import annotate
from ner.inference.tagger import Tagger
from ner.model import saving
from ner.model.beam_search import Cache
from ner.model.decoders.unilm import Config, UniLMDecoder, build_on
from ner.model.encoders import transformer
from ner.model.kernels.chain import BadExampleError
from ner.model.tokenizer import WordTokenizer
from ner.runtime.device import set_seed
from ner.runtime.distributed import ProcessGroup
from ner.training import checkpoint, loader, loop
from ner.training.state import State, initial_state
from ner.types import Document, Example, Scores, Span
from tests.builders import ABOUT, build, digest, make_bert, make_unigram

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    """With weights that are large enough for pieces to make a difference to each other."""
    torch.manual_seed(5)
    return make_bert(tmp_path_factory.mktemp("bert"), initializer_range=0.3)


def generator(bert: str, windows: WindowsConfig | None = None, **options: Any) -> UniLMDecoder:
    torch.manual_seed(1)
    encoder = transformer.build(transformer.Config(model=bert), Vocabs(), windows or WindowsConfig())
    made = build_on(Config(**options), encoder.eval()).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)  # otherwise all pieces are about equally probable
    return made


def question(asked: str = "who ?", passage: str = "Ann lives in Berlin .", answer: str | None = None) -> Example:
    example = question_example([asked], passage, "punctuation")
    example.answers = [answer] if answer is not None else []
    return example


EXAMPLES = [
    question("in ?", "the Washington", "Washington in"),
    question("who ?", "Ann lives in Berlin , Bob in the 北京 .", "Bob"),
    question("a b c", "x", "x"),
]


def scores_of(part: UniLMDecoder, examples: list[Example]) -> Scores:
    return part(part.inputs([[example] for example in examples]))


def slow_vectors(part: UniLMDecoder, source: list[int], pieces: list[int], visible: torch.Tensor) -> torch.Tensor:
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


def slow_logs(part: UniLMDecoder, source: list[int], pieces: list[int]) -> torch.Tensor:
    """``(V,)`` of the piece behind ``pieces``, everything computed anew."""
    new = len(pieces) + 1
    hidden = slow_vectors(part, source, [*pieces, part.mask_id], torch.ones(new, new, dtype=torch.bool).tril())[-1]
    table = part.encoder.model.get_input_embeddings().weight
    return F.log_softmax(part.norm(F.gelu(part.dense(hidden))) @ table.T + part.bias, dim=0)


class Recomputing(UniLMDecoder):
    """Reads everything again for each piece."""

    def step(self, scores: Scores, pieces: torch.Tensor, past: Cache) -> tuple[torch.Tensor, Cache]:
        logs = torch.stack(
            [
                torch.stack([slow_logs(self, source[mask].tolist(), written) for written in own.tolist()])
                for source, mask, own in zip(scores["pieces"], scores["source"], pieces, strict=True)
            ]
        )
        return logs, []


@torch.no_grad()
def test_a_piece_behind_kept_ones_is_predicted_as_if_everything_were_read_again(bert: str) -> None:
    made = generator(bert)
    scores = scores_of(made, EXAMPLES)
    pieces = torch.randint(5, 60, (3, 2, 5))
    past: Cache = []
    for size in range(6):
        found, past = made.step(scores, pieces[..., :size], past)
        for row, beam in itertools.product(range(3), range(2)):
            source = scores["pieces"][row][scores["source"][row]].tolist()
            expected = slow_logs(made, source, pieces[row, beam, :size].tolist())
            torch.testing.assert_close(found[row, beam], expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_kept_beams_are_those_of_a_search_that_reads_everything_again(bert: str, penalty: float) -> None:
    made = generator(bert, beam_size=3, max_target_seq_length=6, length_penalty=penalty)
    made.bias.data[[7, 8, 9, made.end_id]] += 6.0  # few pieces that are likely, so that longer answers are found too
    slow = Recomputing(made.config, made.encoder).eval()
    slow.load_state_dict(made.state_dict())
    scores = scores_of(made, EXAMPLES)
    found, expected = made.search(scores, all_beams=True), slow.search(scores, all_beams=True)
    torch.testing.assert_close(found.logs, expected.logs, rtol=1e-4, atol=1e-4)
    assert torch.equal(found.pieces, expected.pieces)
    assert torch.equal(found.lengths, expected.lengths)
    assert len(set(found.lengths.flatten().tolist())) > 1  # answers of several lengths


FAMILIES = {"Roberta": {"pad_token_id": 0}, "Electra": {"embedding_size": 16}, "XLMRoberta": {"pad_token_id": 0}}


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_relatives_with_the_layers_of_bert_write_as_well(bert: str, family: str) -> None:
    shape = {"vocab_size": 200, "max_position_embeddings": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = getattr(transformers, f"{family}Config")(**shape, hidden_size=16, intermediate_size=32, **FAMILIES[family])
    network = getattr(transformers, f"{family}Model")(config)
    encoder = transformer.TransformerEncoder(
        transformer.Config(model=family), network, WordTokenizer.load(bert), WindowsConfig()
    )
    made = build_on(Config(), encoder.eval()).eval()
    scores = scores_of(made, EXAMPLES[:1])
    pieces = torch.tensor([[[7, 8]]])
    found, _ = made.step(scores, pieces, made.step(scores, pieces[..., :1], [])[1])
    expected = slow_logs(made, scores["pieces"][0].tolist(), [7, 8])
    torch.testing.assert_close(found[0, 0], expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("copying", [False, True])
def test_the_loss_is_that_of_writing_the_gold_answer_piece_by_piece(bert: str, copying: bool) -> None:
    made = generator(bert, copy_mechanism=copying)
    targets, counts = made.targets(EXAMPLES)
    assert counts == {"pieces": int((targets["answers"] >= 0).sum())} == {"pieces": 5 + 4 + 2}
    expected = 0.0
    for row, example in enumerate(EXAMPLES):
        scores = scores_of(made, [example])
        gold = [piece for piece in targets["answers"][row].tolist() if piece >= 0]
        assert gold[-1] == made.end_id
        past: Cache = []
        for size, piece in enumerate(gold):
            logs, past = made.step(scores, torch.tensor([[gold[:size]]], dtype=torch.long), past)
            expected -= float(logs[0, 0, piece])
    found = made.loss(scores_of(made, EXAMPLES), targets, torch.empty(0))["pieces"]
    assert float(found) == pytest.approx(expected, rel=1e-4)


@torch.no_grad()
def test_with_copying_probabilities_still_add_up_to_one_and_only_pieces_of_the_source_gain(bert: str) -> None:
    made = generator(bert, copy_mechanism=True)
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
def test_a_later_piece_changes_no_earlier_prediction_and_the_passage_changes_all(bert: str, rate: float | None) -> None:
    made = generator(bert, mask_probability=rate)
    gold = torch.tensor([[10, 11, 12, 13, made.end_id]])
    changed = gold.clone()
    changed[0, 2] = 20

    def predicted(example: Example, answer: torch.Tensor) -> torch.Tensor:
        if rate is None:
            return made._teacher_forced(scores_of(made, [example]), answer)[0]
        torch.manual_seed(3)  # the same pieces are hidden
        hidden, which, _ = made._masked_lm(scores_of(made, [example]), answer, rate)
        assert which.tolist() == [[False, True, True, False, False]] or not which[0, 2]
        return hidden[0]

    before, after = predicted(EXAMPLES[0], gold), predicted(EXAMPLES[0], changed)
    first = 3 if rate is None else 2  # a piece that is not hidden sees itself
    assert torch.equal(before[:first], after[:first])
    assert not torch.allclose(before[first:], after[first:], atol=1e-3)
    other = predicted(question("in ?", "the Washingten", "Washington in"), gold)
    assert ((before - other).abs().amax(1) > 1e-4).all()


@torch.no_grad()
def test_the_source_sees_no_answer_and_its_question_sees_its_passage(bert: str) -> None:
    made = generator(bert)
    inputs = [made.inputs([[question(answer=answer)]]) for answer in ("Ann", "Berlin Berlin")]
    assert all(torch.equal(inputs[0][name], inputs[1][name]) for name in inputs[0])
    other = scores_of(made, [question(passage="Ann lives in Paris .")])
    own = scores_of(made, [question()])
    assert torch.equal(own["keys.0"][:, :, :5], other["keys.0"][:, :, :5])
    assert not torch.allclose(own["keys.1"][:, :, :5], other["keys.1"][:, :, :5], atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("penalty", [0.0, 0.7, 2.0])
def test_a_wide_beam_finds_what_enumeration_finds(bert: str, penalty: float) -> None:
    made = generator(bert, beam_size=27, max_target_seq_length=4, length_penalty=penalty)
    allowed = [7, 8, 9]
    made.forbidden_ids = torch.tensor([n for n in range(len(made.bias)) if n not in (*allowed, made.end_id)])
    made.bias.data[made.end_id] += 1.5
    scores = scores_of(made, EXAMPLES)
    found = made.search(scores, all_beams=True)
    for row in range(len(EXAMPLES)):
        source = scores["pieces"][row][scores["source"][row]].tolist()
        expected = {}
        for size in (1, 2, 3):
            for pieces in itertools.product(allowed, repeat=size):
                whole = [*pieces, made.end_id]
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
def test_a_search_stops_as_soon_as_nothing_can_become_better(bert: str) -> None:
    made = generator(bert, beam_size=2, max_target_seq_length=40)
    made.bias.data[made.end_id] += 100
    steps = []
    step = made.step
    made.step = lambda *given: steps.append(1) or step(*given)  # type: ignore[method-assign]
    found = made.search(scores_of(made, EXAMPLES))
    assert len(steps) == 2
    assert found.lengths[:, 0].tolist() == [2, 2, 2]  # an answer has a piece


@torch.no_grad()
def test_answers_depend_on_neither_batch_nor_padding(bert: str) -> None:
    made = generator(bert, beam_size=3, max_target_seq_length=8)
    together = scores_of(made, EXAMPLES)
    found = made.search(together, all_beams=True)
    for row, example in enumerate(EXAMPLES):
        alone = made.search(scores_of(made, [example]), all_beams=True)
        assert torch.equal(alone.pieces[0], found.pieces[row])
        torch.testing.assert_close(alone.logs[0], found.logs[row], rtol=1e-4, atol=1e-4)


NAMES = "ABDEGHJK"


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


def toy_bert(folder: Path) -> str:
    """Weights large enough to learn in seconds."""
    return make_bert(folder, hidden_size=32, hidden_dropout_prob=0.0, initializer_range=0.2)


def toy_config(bert: str, **decoder: Any) -> RunConfig:
    raw = {
        "data": {"train": "a", "valid": "b"},
        "encoder": {"name": "transformer", "model": bert, "attention_dropout": 0},
        "decoder": {"name": "unilm", "max_target_seq_length": 6, "beam_size": 2, **decoder},
        "batch": {"size": 16, "micro_size": 8, "prefetch": 0},
        "training": {"epochs": 8, "learning_rate": 0.004, "monitor": "answer.f1"},
        "metrics": ["answer"],
    }
    config: RunConfig = validate(RunConfig, raw)
    return config


def learner(config: RunConfig, count: int) -> tuple[State, loader.TrainLoader]:
    set_seed(1)
    made = build(config, toy(4, 1))
    data = loader.TrainLoader(made, toy(count, 1), config.batch, 1)
    return initial_state(made, config.training, config.batch, config.metrics, CPU), data


@pytest.mark.parametrize(
    "decoder",
    [
        {},
        pytest.param({"mask_probability": 0.7}, marks=pytest.mark.thorough),
        pytest.param({"copy_mechanism": True}, marks=pytest.mark.thorough),
    ],
    ids=["every", "masked", "copying"],
)
def test_it_learns_to_copy_what_is_asked_for_and_is_saved_with_what_it_learned(
    tmp_path: Path, decoder: dict[str, Any]
) -> None:
    config = toy_config(toy_bert(tmp_path), **decoder)
    state, data = learner(config, 600)
    *_, last = loop.train(state, data, toy(50, 2), config.metrics, CPU)
    assert last.epoch_record is not None
    assert last.epoch_record.evaluations["valid"].scores["answer"]["exact"] >= 0.9
    assert last.epoch_record.evaluations["train"].scores == {}  # while it learns it writes nothing
    made = state.model.eval()
    assert not any("encoder" in name for name in made.state_dict() if not name.startswith("encoder."))
    saving.save(made, config, tmp_path / "run")
    again, _ = saving.load(tmp_path / "run")
    (chunk,), (same,) = (annotate(one, toy(20, 3), config.batch, CPU, probabilities=True) for one in (made, again))
    assert same.predicted == chunk.predicted
    assert same.losses == chunk.losses


@pytest.mark.parametrize("decoder", [{"mask_probability": 0.7}, {"copy_mechanism": True}], ids=["masked", "copying"])
def test_a_training_interrupted_at_any_step_ends_in_the_same_bits(tmp_path: Path, decoder: dict[str, Any]) -> None:
    config = toy_config(make_bert(tmp_path), **decoder)
    config = config.model_copy(update={"training": config.training.model_copy(update={"epochs": 2})})
    state, data = learner(config, 48)
    paths = []
    for _ in loop.train(state, data, toy(4, 2), config.metrics, CPU):
        paths.append(checkpoint.save(state, tmp_path / str(len(paths)), ABOUT, ProcessGroup()))
    expected = digest(state)
    assert len(paths) == 3 * 2 + 2
    for path in paths:
        assert path is not None
        state, data = learner(config, 48)
        torch.manual_seed(12345)
        assert checkpoint.load(path, state, ABOUT, config.metrics, ProcessGroup()) == []
        list(loop.train(state, data, toy(4, 2), config.metrics, CPU))
        assert digest(state) == expected, path.name


@torch.no_grad()
def test_training_hides_a_fixed_share_of_each_answer_and_counts_all_of_it(bert: str) -> None:
    made = generator(bert, mask_probability=0.5).train()
    gold = torch.full((200, 8), -100)
    for row in range(200):
        gold[row, : 1 + row % 8] = 20
    scores = scores_of(made, EXAMPLES[:1] * 200)
    shown: list[torch.Tensor] = []
    write = made._write
    made._write = lambda *given: shown.append(given[1][:, 0]) or write(*given)  # type: ignore[method-assign]
    _, predicted, weights = made._masked_lm(scores, gold, 0.5)
    sizes = (gold >= 0).sum(1)
    assert predicted.sum(1).tolist() == [max(1, round(int(size) * 0.5)) for size in sizes]
    assert not predicted[gold < 0].any()
    torch.testing.assert_close((weights * predicted).sum(1), sizes.float())
    (pieces,) = shown
    assert (pieces[(gold >= 0) & ~predicted] == 20).all()
    hidden, kept = ((pieces[predicted] == piece).float().mean() for piece in (made.mask_id, 20))
    assert 0.74 < hidden < 0.86
    assert 0.06 < kept < 0.15
    made.eval()
    losses = {float(made.loss(scores, {"answers": gold}, torch.empty(0))["pieces"]) for _ in range(3)}
    assert len(losses) == 1  # without randomness, so that epochs can be compared


def test_nothing_is_learned_from_a_question_without_an_answer(bert: str) -> None:
    made = generator(bert, mask_probability=0.5)
    for mode in (True, False):
        targets, counts = made.train(mode).targets([question(), question(answer="")])
        assert counts == {"pieces": 0}
        loss = made.loss(scores_of(made, [question()] * 2), targets, torch.empty(0))["pieces"]
        assert loss.item() == 0.0
        loss.backward()


def test_of_a_long_passage_the_beginning_is_read_and_the_rest_is_counted(bert: str) -> None:
    made = generator(bert, max_source_seq_length=12, max_target_seq_length=4)
    long = question("a b c d e f g", "x y z " * 5, "Berlin in the a b")
    inputs = made.inputs([[long]])
    strings = made.encoder.tokenizer.to_tokens(inputs["pieces"][0].tolist())
    assert strings == ["[CLS]", "d", "e", "f", "g", "[SEP]", "x", "y", "z", "x", "y", "[SEP]"]
    assert inputs["words"][0].tolist() == [-1] * 6 + [7, 8, 9, 10, 11] + [-1]
    assert inputs["mask"].sum() == 22
    found = made.input_warnings(Document([long, question("a", "b", "Berlin")]))
    assert found == {Notice.PASSAGE_CUT: 10, Notice.ANSWER_CUT: 1, Notice.QUESTION_CUT: 3}
    targets, _ = made.targets([long])
    assert made.encoder.tokenizer.to_tokens(targets["answers"][0].tolist()) == ["Berlin", "in", "the", "[SEP]"]


def test_the_source_leaves_room_for_the_longest_answer(bert: str) -> None:
    made = generator(bert, max_target_seq_length=42)
    assert made.max_source == 64 - 42
    assert generator(bert, WindowsConfig(max_length=16), max_target_seq_length=42).max_source == 16
    made.bias.data[made.end_id] -= 1000  # never likely, so the search goes on to the last position
    sizes = []
    step = made.step
    made.step = lambda scores, pieces, past: sizes.append(pieces.shape[2]) or step(scores, pieces, past)  # type: ignore[method-assign]
    found = made.search(scores_of(made, [question(passage="x " * 60)]))
    assert sizes == list(range(42))
    assert torch.isfinite(found.logs).all()


@torch.no_grad()
def test_an_answer_that_stands_in_the_passage_is_given_as_it_is_written_there(tmp_path: Path) -> None:
    made = generator(make_bert(tmp_path, cased=False), max_target_seq_length=8)
    example = question_example(["Washing?"], "Ann-Berlin lives  in Washington, not Washing .", "punctuation")
    scores = scores_of(made, [example])
    pieces, words = (scores[name][0].tolist() for name in ("pieces", "words"))

    def answered(text: str) -> str:
        ids = [piece for own in made.encoder.tokenizer.pieces(text.split()) for piece in own]
        found = made._answer_of(ids, pieces, words)
        return found if isinstance(found, str) else f"<{example.text_of(found)}>"

    assert answered("berlin lives in") == "<Berlin lives  in>"
    assert answered("washing") == "<Washing>"  # not the beginning of a longer word, and not that of the question
    assert made._answer_of(made.encoder.tokenizer.pieces(["washing"])[0], pieces, words) == Span(10, 11, "answer")
    assert answered("in berlin") == "in berlin"
    assert answered("unknown") == "unknown"
    assert answered("not") == "<not>"
    assert made._answer_of(made.encoder.tokenizer.pieces(["北京"])[0] * 2, pieces, words) == "北京北京"


def test_yes_no_and_unknown_are_kinds_even_where_the_passage_has_the_word(bert: str) -> None:
    made = generator(bert, beam_size=1, max_target_seq_length=4)
    example = question(passage="no , Ann")
    ids = [piece for own in made.encoder.tokenizer.pieces(["no"]) for piece in own]
    script = iter([*ids, made.end_id, made.end_id, made.end_id])

    def step(scores: Scores, pieces: torch.Tensor, past: Cache) -> tuple[torch.Tensor, Cache]:
        logs = torch.full((1, 1, len(made.bias)), -20.0)
        logs[..., next(script)] = -0.1
        return logs, []

    made.step = step  # type: ignore[method-assign]
    (found,) = made.decode(scores_of(made, [example]), torch.empty(1, 4))
    assert (found.answers, found.labels, found.spans) == (["no"], ["no"], [])


@torch.no_grad()
def test_probabilities_are_those_of_the_answers_that_were_kept(bert: str) -> None:
    made = generator(bert, beam_size=4, max_target_seq_length=5)
    scores = scores_of(made, EXAMPLES)
    found = made.search(scores, all_beams=True)
    annotations = made.decode(scores, torch.empty(3, 9), probabilities=True)
    plain = made.decode(scores, torch.empty(3, 9))
    for row, (annotation, single) in enumerate(zip(annotations, plain, strict=True)):
        assert 1 <= len(annotation.answers) <= 4
        total = sum(annotation.scores[a] if isinstance(a, str) else (a.score or 0.0) for a in annotation.answers)
        assert total == pytest.approx(float(found.logs[row].exp().sum()), rel=1e-4)
        assert single.answers == annotation.answers[:1]


def test_scores_that_are_not_finite_are_refused_by_the_example(bert: str) -> None:
    made = generator(bert)
    scores = scores_of(made, EXAMPLES)
    scores["values.0"] = scores["values.0"].clone()
    scores["values.0"][1, 0, 0, 0] = math.nan
    with pytest.raises(BadExampleError) as caught:
        made.decode(scores, torch.empty(3, 9))
    assert caught.value.position == 1


def test_in_eight_bits_it_writes_with_the_rounded_encoder(tmp_path: Path) -> None:
    config = toy_config(make_bert(tmp_path))
    tagger = Tagger(build(config, toy(4, 1)).eval(), config, "cpu", "int8")
    assert tagger.model.decoder.encoder is tagger.model.encoder
    assert tagger.answer("in", "A lives in B").answers


BERT = {"name": "transformer", "model": "x"}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"context": {"name": "bilstm"}}, r"unilm runs the encoder itself and excludes context"),
        ({"processes": {"fsdp": True}}, r"excludes processes.fsdp"),
    ],
)
def test_what_cannot_go_with_it_is_refused(more: dict[str, Any], message: str) -> None:
    raw = {"data": {"train": "a", "valid": "b"}, "encoder": BERT, "decoder": "unilm", "metrics": ["answer"]}
    raw = {"training": {"monitor": "answer.f1"}, **raw}
    validate(RunConfig, raw)
    with pytest.raises(ConfigError, match=message):
        validate(RunConfig, {**raw, **more})


@pytest.mark.parametrize("name", ["embedding", "concat"])
def test_an_encoder_that_cannot_go_on_is_refused(bert: str, name: str) -> None:
    config = parse_component(
        "encoders", {"name": name, **({"transformer": {"model": bert}} if name == "concat" else {})}
    )
    encoder = load_component("encoders", name).build(config, Vocabs(), WindowsConfig())
    with pytest.raises(InputError, match=f"config.decoder: .* choose the encoder transformer, not {name}"):
        build_on(Config(), encoder)


def test_models_with_other_layers_marks_or_too_few_positions_are_refused(bert: str, tmp_path: Path) -> None:
    shape = transformers.DistilBertConfig(
        vocab_size=200, max_position_embeddings=64, dim=16, n_layers=1, n_heads=2, hidden_dim=16
    )
    tokens = WordTokenizer.load(bert)
    options = transformer.Config(model="distil")
    other = transformer.TransformerEncoder(options, transformers.DistilBertModel(shape), tokens, WindowsConfig())
    with pytest.raises(InputError, match=r"distil has the model type distilbert; .* the layers of BERT \(bert,"):
        build_on(Config(), other)
    with pytest.raises(InputError, match=r"has no \[MASK\] or no special piece after a text"):
        generator(make_unigram(tmp_path))
    with pytest.raises(
        InputError, match="length 60 leaves 4 of the 64 positions of .* to the source, which needs 8; lower"
    ):
        generator(bert, max_target_seq_length=60)
    with pytest.raises(
        InputError, match="length 42 leaves 22 of the 64 positions of .* to the source, which needs 23; lower"
    ):
        generator(bert, max_source_seq_length=23)


@pytest.mark.parametrize(
    "options",
    [
        {"mask_probability": 0.0},
        {"beam_size": 0},
        {"max_target_seq_length": 1},
        {"length_penalty": -1},
        {"mask_probability": 1.5},
    ],
)
def test_values_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        parse_component("decoders", {"name": "unilm", **options})


def test_a_batch_changes_no_answer_of_a_document(tmp_path: Path) -> None:
    config = toy_config(toy_bert(tmp_path))
    made = build(config, toy(4, 1)).eval()
    documents = [Document([*EXAMPLES, *(d.examples[0] for d in toy(3, 5))]), *toy(3, 4)]
    found = [
        list(annotate(made, documents, BatchConfig(size=size, measure=unit), CPU))
        for size, unit in ((1, "sentences"), (40, "words"))
    ]
    assert found[0][0].predicted == found[1][0].predicted
    assert found[0][0].counts == found[1][0].counts


def test_that_nothing_is_known_is_learned_where_it_is_known(bert: str) -> None:
    made = generator(bert)
    unknown = question(answer="")
    unknown.answers, unknown.labels = [], ["unknown"]
    targets, counts = made.targets([unknown])
    written = "".join(made.encoder.tokenizer.to_tokens(targets["answers"][0].tolist()))
    assert written.replace("##", "") == "unknown[SEP]"
    assert counts["pieces"] == targets["answers"].shape[1]
