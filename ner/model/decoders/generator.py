"""Answers that are written piece by piece, by the encoder itself (UniLM, Dong et al., 2019).

A question with its passage is one row, ``[CLS] question [SEP] passage [SEP]``, that sees itself alone; the pieces of
the answer and a closing ``[SEP]`` stand behind it, and each sees the row and the pieces before it. A piece is predicted
at a ``[MASK]`` in its place. The row is read once, and what is written is never read twice: a further piece costs the
encoder two positions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ner.config.base import ComponentConfig
from ner.data.notices import Notice
from ner.data.question_answering import ANSWER, ANSWER_TYPES, SPAN, UNKNOWN
from ner.errors import InputError
from ner.model import prefix_attention
from ner.model.decoder import DecoderModule
from ner.model.kernels import crf_torch
from ner.model.prefix_attention import Memory
from ner.types import Annotation, AxisLabels, Document, Example, Loss, Scores, Span

gives = frozenset({"answers"})
IGNORED = -100
"""Target behind the end of an answer."""


class Config(ComponentConfig):
    """Answers that are written piece by piece, by the encoder itself."""

    name: Literal["generator"] = "generator"
    """File of ner/model/decoders."""
    max_source_seq_length: int | None = Field(None, ge=8)
    """Pieces of question and passage, special ones included; by default what windows.max_length and the positions of
    the model leave beside the answer. Of a longer passage the beginning is read, and the rest reported."""
    max_target_seq_length: int = Field(42, ge=2)
    """Pieces of the longest answer, its closing mark included."""
    mask_rate: float | None = Field(None, gt=0, le=1)
    """Share of an answer's pieces that training hides and predicts, as UniLM does (0.7 there); by default every piece
    is predicted, each from all true pieces before it, as when answers are written."""
    copy_pieces: bool = False
    """Predict a piece as a mixture of the vocabulary and of the source's pieces, which a further attention chooses
    (See et al., 2017): names that training never had are then learned from few examples."""
    beam_size: int = Field(4, ge=1)
    """Beginnings of an answer that the search keeps; as many answers are given where probabilities are asked for."""
    length_penalty: float = Field(0.0, ge=0)
    """Answers compete by their log-probability over this power of their length: 0 takes the most probable answer, more
    favours longer ones."""


def attach(config: Config, encoder: Any) -> GeneratorDecoder:
    """For an encoder that it writes with.

    Raises:
        InputError: If the encoder is none of the BERT family, or has no room for source and answer.
    """
    if not hasattr(encoder, "source"):
        kind = type(encoder).__module__.rpartition(".")[2]
        raise InputError(f"config.decoder: generator writes with the encoder itself, so choose transformer, not {kind}")
    prefix_attention.check(encoder.model, encoder.config.model)
    tokenizer = encoder.tokenizer
    if tokenizer.tokenizer.mask_token_id is None or not tokenizer.suffix:
        raise InputError(
            f"config.encoder.model: the tokenizer of {encoder.config.model} has no mask or no mark behind a text, "
            "which the decoder generator needs"
        )
    room = encoder.positions - config.max_target_seq_length
    if room < 8 or (config.max_source_seq_length or 0) > room:
        raise InputError(
            f"config.decoder: max_target_seq_length {config.max_target_seq_length} leaves a source {max(0, room)} of "
            f"the {encoder.positions} positions of {encoder.config.model}, too few for "
            f"{config.max_source_seq_length or 'any'}; lower max_source_seq_length or max_target_seq_length"
        )
    return GeneratorDecoder(config, encoder)


class _Found(NamedTuple):
    """What a search has found of a batch, best first.

    Attributes:
        pieces: ``(S, G, M)`` without the closing mark, ``lengths`` of them count.
        lengths: ``(S, G)`` closing marks included.
        logs: ``(S, G)`` log-probabilities; -inf where fewer were found.
    """

    pieces: Tensor
    lengths: Tensor
    logs: Tensor


class GeneratorDecoder(DecoderModule):
    """See the file.

    ``inputs`` holds ``pieces`` and ``piece_mask (S, T)``, ``words (S, T)``, the word of the passage that each piece
    belongs to, -1 for others, and ``mask (S, W)``. ``Scores``: these three of the source as ``pieces``, ``source`` and
    ``words``, and its keys and values in each layer, ``keys.0``, ``values.0`` ... ``(S, A, T, D)``.
    """

    def __init__(self, config: Config, encoder: Any) -> None:
        super().__init__()
        self.config = config
        self.use(encoder)
        width, vocabulary = encoder.width, encoder.model.get_input_embeddings().num_embeddings
        self.dense, self.norm = nn.Linear(width, width), nn.LayerNorm(width)
        nn.init.normal_(self.dense.weight, std=0.02)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.choice, self.share = (nn.Linear(width, size) if config.copy_pieces else None for size in (width, 1))
        tokens = encoder.tokenizer
        self.hidden_piece: int = tokens.tokenizer.mask_token_id
        self.closing: int = tokens.suffix[-1]
        never = [piece for piece in tokens.tokenizer.all_special_ids if piece != self.closing]
        never += range(len(tokens.tokenizer), vocabulary)  # rows of the table that stand for nothing
        self.register_buffer("never", torch.tensor(never, dtype=torch.long), persistent=False)
        self.never: Tensor
        limit = min(encoder.row_length, encoder.positions - config.max_target_seq_length)
        self.max_source = config.max_source_seq_length or limit

    def use(self, encoder: Any) -> None:
        """Write with this encoder, which is none of the decoder's own modules: its weights are saved once."""
        self._encoder = [encoder]

    @property
    def encoder(self) -> Any:
        """What it writes with."""
        return self._encoder[0]

    def axis_labels(self) -> dict[str, AxisLabels]:
        """Nothing depends on the labels of the data."""
        return {}

    def input_warnings(self, document: Document) -> Counter[str]:
        """What is not read of questions and passages, and not learned of answers."""
        found: Counter[str] = Counter()
        for example in document.examples:
            source = self.encoder.source(example, self.max_source)
            found[Notice.PASSAGE_CUT] += source.unread
            found[Notice.QUESTION_CUT] += source.skipped
            if example.pieces is None:
                found[Notice.NO_PIECES] += sum(not ids for ids in self.encoder.tokenizer.pieces(example.words))
            found[Notice.ANSWER_CUT] += len(self._answer(example)) >= self.config.max_target_seq_length
        return +found

    def plan(self, document: Document, limit: int | None) -> list[tuple[int, int, int]]:
        """Each example by itself; the cost counts pieces of its source."""
        costs = [len(self.encoder.source(example, self.max_source).pieces) for example in document.examples]
        return [(position, position + 1, cost) for position, cost in enumerate(costs)]

    def inputs(
        self, groups: Sequence[Sequence[Example]], generators: Sequence[Generator] | None = None
    ) -> dict[str, Tensor]:
        """See the class."""
        examples = [example for group in groups for example in group]
        randomness: Sequence[Generator | None] = generators or [None] * len(examples)
        rows = [self.encoder.source(e, self.max_source, own) for e, own in zip(examples, randomness, strict=True)]
        pieces = _padded([row.pieces for row in rows], self.encoder.tokenizer.padding)
        lengths = np.array([len(row.pieces) for row in rows], dtype=np.int64)
        sizes = np.array([len(example.words) for example in examples], dtype=np.int64)
        return {
            "pieces": pieces,
            "piece_mask": torch.from_numpy(np.arange(pieces.shape[1]) < lengths[:, None]),
            "words": _padded([row.words for row in rows], -1),
            "mask": torch.from_numpy(np.arange(sizes.max(initial=0)) < sizes[:, None]),
        }

    def targets(self, examples: Sequence[Example]) -> tuple[dict[str, Tensor], dict[str, int]]:
        """``answers (S, R)``: pieces of the first gold answer and the closing mark; summed over all of them."""
        rows = []
        for example in examples:
            found = self._answer(example)[: self.config.max_target_seq_length - 1]
            rows.append([*found, self.closing] if found else [])
        return {"answers": _padded(rows, IGNORED)}, {"pieces": sum(map(len, rows))}

    def _answer(self, example: Example) -> list[int]:
        """Pieces of the first gold answer, or of ``unknown`` where that is known; none where nothing is."""
        words = example.answers[0].split() if example.answers else []
        if not words and example.labels[:1] == [UNKNOWN]:
            words = [UNKNOWN]
        return [piece for ids in self.encoder.tokenizer.pieces(words) for piece in ids]

    def forward(self, inputs: Mapping[str, Tensor]) -> Scores:
        """See the class."""
        pieces, mask = inputs["pieces"], inputs["piece_mask"]
        scores = {"pieces": pieces, "source": mask, "words": inputs["words"]}
        for number, (keys, values) in enumerate(prefix_attention.read(self.encoder.model, pieces, mask)):
            scores |= {f"keys.{number}": keys, f"values.{number}": values}
        return scores

    def loss(self, scores: Scores, targets: Mapping[str, Tensor], mask: Tensor) -> Loss:
        """Cross-entropy of the pieces, summed over all of them.

        With ``mask_rate`` training predicts some of an answer's pieces; their sum is scaled up to all of them.
        """
        gold = targets["answers"]
        known = gold != IGNORED
        if self.training and self.config.mask_rate is not None:
            hidden, predicted, weights = self._masked(scores, gold, self.config.mask_rate)
        else:
            hidden, predicted, weights = self._every(scores, gold), known, known.float()
        logs = self._logs(hidden, scores)[predicted]  # (N, V)
        losses = -logs.gather(1, gold[predicted][:, None]).squeeze(1)
        return {"pieces": (losses * weights[predicted]).sum()}

    def _every(self, scores: Scores, gold: Tensor) -> Tensor:
        """``(S, R, H)``: vectors of the hidden piece in each place, which sees the true pieces before it."""
        size = gold.shape[1]
        before = gold[:, :-1].masked_fill(gold[:, :-1] == IGNORED, self.encoder.tokenizer.padding)
        pieces = torch.cat([before, torch.full_like(gold, self.hidden_piece)], dim=1)
        place = torch.arange(size, device=gold.device)
        true = torch.ones(size, size, dtype=torch.bool, device=gold.device).tril()[:-1, :-1]
        apart = torch.zeros(size - 1, size, dtype=torch.bool, device=gold.device)
        visible = torch.cat(
            [
                torch.cat([true, apart], dim=1),
                torch.cat([place[:, None] > place[None, :-1], place[:, None] == place], dim=1),
            ]
        )  # (2 R - 1, 2 R - 1)
        hidden, _ = self._write(scores, pieces[:, None], torch.cat([place[:-1], place]), visible, [])
        return hidden[:, 0, size - 1 :]

    def _masked(self, scores: Scores, gold: Tensor, rate: float) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors of an answer some of whose pieces are hidden, which pieces these are, and how much each counts."""
        known = gold != IGNORED
        sizes = known.sum(1, keepdim=True)
        wanted = (rate * sizes).round().clamp(min=1)  # (S, 1)
        drawn = torch.rand(gold.shape, device=gold.device).masked_fill(~known, 2.0)
        predicted = known & (drawn.argsort(1).argsort(1) < wanted)
        how = torch.rand(gold.shape, device=gold.device)
        others = torch.randint(len(self.encoder.tokenizer.tokenizer), gold.shape, device=gold.device)
        shown = gold.masked_fill(~known, self.encoder.tokenizer.padding)
        shown = torch.where(predicted & (how < 0.8), self.hidden_piece, shown)
        shown = torch.where(predicted & (how >= 0.9), others, shown)
        place = torch.arange(gold.shape[1], device=gold.device)
        hidden, _ = self._write(scores, shown[:, None], place, place[:, None] >= place, [])
        return hidden[:, 0], predicted, (sizes / wanted).expand_as(gold)

    def _write(
        self, scores: Scores, pieces: Tensor, places: Tensor, visible: Tensor, past: Memory
    ) -> tuple[Tensor, Memory]:
        """See :func:`ner.model.prefix_attention.write`; ``places (R,)`` count from the end of the source."""
        source = scores["source"]
        positions = (source.sum(1)[:, None, None] + places).expand_as(pieces)
        kept = [(scores[f"keys.{n}"], scores[f"values.{n}"]) for n in range(len(self.encoder.model.encoder.layer))]
        return prefix_attention.write(self.encoder.model, pieces, positions, visible, kept, source, past)

    def _logs(self, hidden: Tensor, scores: Scores) -> Tensor:
        """``(S, N, V)`` log-probabilities of each piece of the vocabulary, whose embeddings are the weights."""
        table = self.encoder.model.get_input_embeddings().weight
        logits = F.linear(self.norm(F.gelu(self.dense(hidden))), table, self.bias)
        logs = F.log_softmax(logits.float(), dim=-1)
        if self.choice is None or self.share is None:
            return logs
        keys = scores[f"keys.{len(self.encoder.model.encoder.layer) - 1}"].transpose(1, 2).flatten(2)  # (S, T, H)
        weights = (self.choice(hidden) @ keys.transpose(1, 2)).float() / keys.shape[-1] ** 0.5  # (S, N, T)
        weights = weights.masked_fill(~scores["source"][:, None], torch.finfo(weights.dtype).min).softmax(-1)
        copied = torch.zeros_like(logs).scatter_add(2, scores["pieces"][:, None].expand_as(weights), weights)
        copied = copied.clamp(min=torch.finfo(copied.dtype).tiny).log()
        share = self.share(hidden).float()  # (S, N, 1)
        return torch.logaddexp(logs + F.logsigmoid(-share), copied + F.logsigmoid(share))

    def predict(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> dict[str, Tensor]:
        """What a beam search finds; nothing while the decoder is trained: a search would cost more than the step."""
        if self.training:
            return {}
        found = self.search(scores, every=probabilities)
        return {**found._asdict(), "source_pieces": scores["pieces"], "words": scores["words"]}

    def annotations(
        self, predicted: Mapping[str, Tensor], mask: Tensor, probabilities: bool = False
    ) -> list[Annotation]:
        """The best answer, or as many as the search keeps with their probabilities.

        An answer that stands in the passage is a span of it, and is given as it is written there.
        """
        if "logs" not in predicted:
            return []
        sources = zip(predicted["source_pieces"].tolist(), predicted["words"].tolist(), strict=True)
        annotations = []
        for row, (pieces, words) in enumerate(sources):
            answers: dict[str | Span, float] = {}
            parts = (predicted[name][row].tolist() for name in _Found._fields)
            for ids, size, log in zip(*parts, strict=True):
                if log > -math.inf:
                    answer = self._answered(ids[: size - 1], pieces, words)
                    answers.setdefault(answer, math.exp(log))  # of the likeliest pieces that make it
            annotations.append(_annotation(answers, probabilities))
        return annotations

    @torch.no_grad()
    def search(self, scores: Scores, every: bool = False) -> _Found:
        """The best answers, by log-probability over length to the power of ``length_penalty``.

        Each step adds a piece to ``beam_size`` beginnings, and every one of them may end. It is over when no beginning
        can become better than the best answer, or than all that are kept.

        Args:
            scores: Of a batch.
            every: Whether all answers that are kept are asked for, or the best alone.
        """
        source = scores["source"]
        size, beams, longest = len(source), self.config.beam_size, self.config.max_target_seq_length
        logs = torch.full((size, beams), -torch.inf, device=source.device)
        logs[:, :1] = 0.0
        pieces = torch.zeros((size, beams, 0), dtype=torch.long, device=source.device)
        found = _Found(
            torch.zeros((size, beams, longest), dtype=torch.long, device=source.device),
            torch.ones((size, beams), dtype=torch.long, device=source.device),
            torch.full((size, beams), -torch.inf, device=source.device),
        )
        past: Memory = []
        for place in range(longest):
            following, past = self.step(scores, pieces, past)
            crf_torch.check(following[..., 0].sum(1))
            following[..., self.never] = -torch.inf
            if place:
                found = self._best(found, pieces, logs + following[..., self.closing])
            following[..., self.closing] = -torch.inf
            goal = found.logs / found.lengths**self.config.length_penalty
            bound = logs.amax(1) / longest**self.config.length_penalty
            if place + 1 == longest or bool((goal[:, beams - 1 if every else 0] >= bound).all()):
                break
            logs, chosen = (logs[..., None] + following).flatten(1).topk(beams, dim=1)
            beam, piece = chosen // following.shape[2], chosen % following.shape[2]
            pieces = torch.cat([_take(pieces, beam), piece[..., None]], dim=2)
            past = [(_take(keys, beam), _take(values, beam)) for keys, values in past]
        return found

    def step(self, scores: Scores, pieces: Tensor, past: Memory) -> tuple[Tensor, Memory]:
        """Log-probabilities of the next piece, and what is remembered of those before it.

        Args:
            scores: Of a batch.
            pieces: ``(S, G, P)`` written so far.
            past: Of all of them but the last.

        Returns:
            ``(S, G, V)``, and the memory of all of them.
        """
        hidden_piece = pieces.new_full((*pieces.shape[:2], 1), self.hidden_piece)
        added = torch.cat([pieces[..., -1:], hidden_piece], dim=2)  # the last piece, and the place behind it
        size, new = pieces.shape[2], added.shape[2]
        visible = torch.ones((new, size + 1), dtype=torch.bool, device=pieces.device).tril(size + 1 - new)
        places = torch.arange(size + 1 - new, size + 1, device=pieces.device)
        hidden, whole = self._write(scores, added, places, visible, past)
        return self._logs(hidden[:, :, -1], scores), [
            (keys[..., :-1, :], values[..., :-1, :]) for keys, values in whole
        ]

    def _best(self, found: _Found, pieces: Tensor, logs: Tensor) -> _Found:
        """The best of what was found before and of beginnings that end here."""
        longest, size = found.pieces.shape[2], pieces.shape[2]
        together = _Found(
            torch.cat([found.pieces, F.pad(pieces, (0, longest - size))], dim=1),
            torch.cat([found.lengths, torch.full_like(found.lengths, size + 1)], dim=1),
            torch.cat([found.logs, logs], dim=1),
        )
        order = (together.logs / together.lengths**self.config.length_penalty).topk(logs.shape[1], dim=1).indices
        return _Found(*(_take(part, order) for part in together))

    def _answered(self, ids: list[int], pieces: list[int], words: list[int]) -> str | Span:
        """What was written: a kind of answer, the words of the passage that have these pieces, or a text.

        Args:
            ids: What was written.
            pieces: Of the source.
            words: Of the passage, for each piece of the source; -1 for others.
        """
        text = self.encoder.tokenizer.decode(ids)
        size = len(ids)
        if text not in ANSWER_TYPES:
            for start in range(len(pieces) - size):
                if pieces[start : start + size] == ids:
                    first, last, behind = words[start], words[start + size - 1], words[start + size]
                    if -1 < first != words[start - 1] and -1 < last != behind:
                        return Span(first, last + 1, ANSWER)
        return text


def _annotation(answers: Mapping[str | Span, float], probabilities: bool) -> Annotation:
    """What is said of one example; answers with their probabilities, best first."""
    best = next(iter(answers))
    kind = [SPAN] if isinstance(best, Span) else [best] if best in ANSWER_TYPES else []
    if not probabilities:
        return Annotation(labels=kind, answers=[best], spans=[best] if isinstance(best, Span) else [])
    scored = [replace(answer, score=value) if isinstance(answer, Span) else answer for answer, value in answers.items()]
    spans = [answer for answer in scored[:1] if isinstance(answer, Span)]
    texts = {answer: value for answer, value in answers.items() if isinstance(answer, str)}
    return Annotation(labels=kind, answers=scored, spans=spans, scores=texts)


def _take(tensor: Tensor, chosen: Tensor) -> Tensor:
    """``(S, G, ...)`` from ``(S, N, ...)``, those of each row that ``chosen (S, G)`` names."""
    return tensor[torch.arange(len(tensor), device=tensor.device)[:, None], chosen]


def _padded(rows: Sequence[Sequence[int]], padding: int) -> Tensor:
    """``(S, T)``, T at least 1."""
    found = np.full((len(rows), max([1, *map(len, rows)])), padding, dtype=np.int64)
    for number, row in enumerate(rows):
        found[number, : len(row)] = row
    return torch.from_numpy(found)
