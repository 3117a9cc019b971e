"""Answers generated piece by piece by the encoder itself (UniLM, Dong et al., 2019).

A question with its passage is one row, ``[CLS] question [SEP] passage [SEP]``, that attends to itself only. The pieces
of the answer and a final ``[SEP]`` follow; each attends to the row and to the pieces before it. A piece is predicted at
a ``[MASK]`` in its position. The row is encoded once and generated pieces are cached, so a further piece costs the
encoder two positions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.random import Generator
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ner.config.base import DecoderConfig
from ner.contracts import IGNORED, Encoder, GenerativeDecoder
from ner.data.notices import Notice
from ner.data.question_answering import ANSWER, ANSWER_TYPES, SPAN, UNKNOWN, answer_type
from ner.errors import InputError
from ner.model import prefix_attention
from ner.model.beam_search import Cache, Hypotheses, beam_search
from ner.model.encoders.transformer import TransformerEncoder
from ner.model.kernels.chain import check_finite
from ner.model.padding import padded
from ner.model.source_row import SourceRow, source_row
from ner.types import Annotation, Document, Example, Loss, Scores, Span

OUTPUTS = frozenset({"answers"})


class Config(DecoderConfig):
    """Abstractive question answering by the encoder itself (UniLM)."""

    runs_encoder: ClassVar[bool] = True

    name: Literal["unilm"] = "unilm"
    """Name of the file in ner/model/decoders."""
    max_source_seq_length: int | None = Field(None, ge=8)
    """Maximum number of pieces of question and passage, including special tokens. null for the rest of
    windows.max_length and of the model's positions. A longer passage loses its end, which is reported."""
    max_target_seq_length: int = Field(42, ge=2)
    """Maximum number of pieces of an answer, including the end token."""
    mask_probability: float | None = Field(None, gt=0, le=1)
    """Probability that training masks and predicts a piece of the answer (0.7 in UniLM). null predicts every piece from
    all previous ones (teacher forcing)."""
    copy_mechanism: bool = False
    """Copy mechanism: mix the vocabulary distribution with attention over the source pieces (See et al., 2017). Few
    examples then suffice for names that are not in the training data."""
    beam_size: int = Field(4, ge=1)
    """Beam width, and the number of answers if probabilities are requested."""
    length_penalty: float = Field(0.0, ge=0)
    """Exponent of the length by which the log-probability of an answer is divided. 0 ignores the length, larger values
    favor longer answers."""


class UniLMDecoder(GenerativeDecoder):
    """Generative decoder, see the module.

    The tensors of :meth:`inputs` are ``pieces (S, T)``, ``piece_mask (S, T)``, ``mask (S, W)`` and ``words (S, T)``,
    the passage word of each piece, or -1. ``Scores`` are ``pieces``, ``source`` (the piece mask), ``words``, and the
    keys and values of each layer, ``keys.0``, ``values.0`` ... ``(S, A, T, D)``.

    Further letters of shapes are ``R`` pieces of an answer, or new ones, ``P`` pieces of a continuation so far, ``G``
    beams, ``M`` maximum length of an answer, ``V`` pieces of the vocabulary, ``A`` heads of a layer and ``D`` width of
    a head.

    Raises:
        InputError: If the encoder is not of the BERT family, or has too few positions for source and answer.
    """

    def __init__(self, config: Config, encoder: Encoder) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, TransformerEncoder):
            kind = type(encoder).__module__.rpartition(".")[2]
            raise InputError(
                f"config.decoder: unilm runs the encoder itself; choose the encoder transformer, not {kind}"
            )
        name, tokens = encoder.config.model, encoder.tokenizer
        prefix_attention.check(encoder.model, name)
        if tokens.tokenizer.mask_token_id is None or not tokens.suffix:
            raise InputError(
                f"config.encoder.model: the tokenizer of {name} has no [MASK] or no special piece after a text, which "
                "the decoder unilm requires"
            )
        available = encoder.positions - config.max_target_seq_length
        if available < max(8, config.max_source_seq_length or 0):
            raise InputError(
                f"config.decoder: max_target_seq_length {config.max_target_seq_length} leaves {max(0, available)} of "
                f"the {encoder.positions} positions of {name} to the source, which needs "
                f"{config.max_source_seq_length or 8}; lower max_source_seq_length or max_target_seq_length"
            )
        self.config = config
        width, vocabulary = encoder.width, encoder.model.get_input_embeddings().num_embeddings
        self.dense, self.norm = nn.Linear(width, width), nn.LayerNorm(width)
        nn.init.normal_(self.dense.weight, std=0.02)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        # copy attention and copy gate; state dicts of saved runs hold these names
        self.choice, self.share = (nn.Linear(width, size) if config.copy_mechanism else None for size in (width, 1))
        self.mask_id: int = tokens.tokenizer.mask_token_id
        self.end_id: int = tokens.suffix[-1]
        forbidden = [piece for piece in tokens.tokenizer.all_special_ids if piece != self.end_id]
        forbidden += range(len(tokens.tokenizer), vocabulary)  # unused rows of the embedding table
        self.register_buffer("forbidden_ids", torch.tensor(forbidden, dtype=torch.long), persistent=False)
        self.forbidden_ids: Tensor
        self.max_source = config.max_source_seq_length or min(encoder.row_length, available)

    def input_warnings(self, document: Document) -> Counter[str]:
        """Return how many words of sources are not read, and how many answers are not learned whole."""
        counts: Counter[str] = Counter()
        for example in document.examples:
            source = self._source(example)
            counts[Notice.PASSAGE_CUT] += source.unread
            counts[Notice.QUESTION_CUT] += source.skipped
            if example.pieces is None:
                counts[Notice.NO_PIECES] += sum(not ids for ids in self.encoder.tokenizer.pieces(example.words))
            counts[Notice.ANSWER_CUT] += len(self._answer(example)) >= self.config.max_target_seq_length
        return +counts

    def plan(self, document: Document, limit: int | None) -> list[tuple[int, int, int]]:
        """Return every example as a group of its own; the cost counts pieces of its source."""
        costs = [len(self._source(example).pieces) for example in document.examples]
        return [(position, position + 1, cost) for position, cost in enumerate(costs)]

    def inputs(
        self, groups: Sequence[Sequence[Example]], generators: Sequence[Generator] | None = None
    ) -> dict[str, Tensor]:
        """Return the tensors of a batch, see the class."""
        examples = [example for group in groups for example in group]
        randomness: Sequence[Generator | None] = generators or [None] * len(examples)
        rows = [self._source(e, generator) for e, generator in zip(examples, randomness, strict=True)]
        pieces, piece_mask = padded([row.pieces for row in rows], self.encoder.tokenizer.padding, min_length=1)
        words, _ = padded([row.words for row in rows], -1, min_length=1)
        sizes = np.array([len(example.words) for example in examples], dtype=np.int64)
        mask = np.arange(sizes.max(initial=0)) < sizes[:, None]
        arrays = {"pieces": pieces, "piece_mask": piece_mask, "words": words, "mask": mask}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def targets(self, examples: Sequence[Example]) -> tuple[dict[str, Tensor], dict[str, int]]:
        """Return ``answers (S, R)``, the pieces of the first gold answer with its end, and their number."""
        rows = []
        for example in examples:
            answer_pieces = self._answer(example)[: self.config.max_target_seq_length - 1]
            rows.append([*answer_pieces, self.end_id] if answer_pieces else [])
        return {"answers": torch.from_numpy(padded(rows, IGNORED, min_length=1)[0])}, {"pieces": sum(map(len, rows))}

    def _source(self, example: Example, generator: Generator | None = None) -> SourceRow:
        return source_row(self.encoder.input_maker, example, self.max_source, generator)

    def _answer(self, example: Example) -> list[int]:
        """Return the pieces of the first gold answer, or of ``unknown`` if it is the label; otherwise none."""
        words = example.answers[0].split() if example.answers else []
        if not words and answer_type(example) == UNKNOWN:
            words = [UNKNOWN]
        return [piece for ids in self.encoder.tokenizer.pieces(words) for piece in ids]

    def forward(self, inputs: Mapping[str, Tensor]) -> Scores:
        """Encode the source; return the scores, see the class."""
        pieces, mask = inputs["pieces"], inputs["piece_mask"]
        scores = {"pieces": pieces, "source": mask, "words": inputs["words"]}
        for number, (keys, values) in enumerate(prefix_attention.read(self.encoder.model, pieces, mask)):
            scores |= {f"keys.{number}": keys, f"values.{number}": values}
        return scores

    def loss(self, scores: Scores, targets: Mapping[str, Tensor], mask: Tensor) -> Loss:
        """Return the cross-entropy summed over all pieces.

        With ``mask_probability`` training predicts a sample of the pieces, and the sum is scaled to all of them.
        """
        gold = targets["answers"]
        is_piece = gold != IGNORED
        if self.training and self.config.mask_probability is not None:
            hidden, predicted, weights = self._masked_lm(scores, gold, self.config.mask_probability)
        else:
            hidden, predicted, weights = self._teacher_forced(scores, gold), is_piece, is_piece.float()
        logs = self._log_probabilities(hidden, scores)[predicted]  # (N, V)
        losses = -logs.gather(1, gold[predicted][:, None]).squeeze(1)
        return {"pieces": (losses * weights[predicted]).sum()}

    def _teacher_forced(self, scores: Scores, gold: Tensor) -> Tensor:
        """Return the ``(S, R, H)`` vectors of a mask in each position that attends to the gold pieces before it."""
        size = gold.shape[1]
        previous_pieces = gold[:, :-1].masked_fill(gold[:, :-1] == IGNORED, self.encoder.tokenizer.padding)
        pieces = torch.cat([previous_pieces, torch.full_like(gold, self.mask_id)], dim=1)
        positions = torch.arange(size, device=gold.device)
        causal = torch.ones(size, size, dtype=torch.bool, device=gold.device).tril()[:-1, :-1]
        masks_hidden = torch.zeros(size - 1, size, dtype=torch.bool, device=gold.device)
        visible = torch.cat(
            [
                torch.cat([causal, masks_hidden], dim=1),
                torch.cat([positions[:, None] > positions[None, :-1], positions[:, None] == positions], dim=1),
            ]
        )  # (2 R - 1, 2 R - 1)
        hidden, _ = self._write(scores, pieces[:, None], torch.cat([positions[:-1], positions]), visible, [])
        return hidden[:, 0, size - 1 :]

    def _masked_lm(self, scores: Scores, gold: Tensor, rate: float) -> tuple[Tensor, Tensor, Tensor]:
        """Return the vectors of an answer with masked pieces, the masked positions, and their weights in the loss."""
        is_piece = gold != IGNORED
        sizes = is_piece.sum(1, keepdim=True)
        num_masked = (rate * sizes).round().clamp(min=1)  # (S, 1)
        noise = torch.rand(gold.shape, device=gold.device).masked_fill(~is_piece, 2.0)
        predicted = is_piece & (noise.argsort(1).argsort(1) < num_masked)
        replacement_noise = torch.rand(gold.shape, device=gold.device)
        random_pieces = torch.randint(len(self.encoder.tokenizer.tokenizer), gold.shape, device=gold.device)
        corrupted = gold.masked_fill(~is_piece, self.encoder.tokenizer.padding)
        corrupted = torch.where(predicted & (replacement_noise < 0.8), self.mask_id, corrupted)
        corrupted = torch.where(predicted & (replacement_noise >= 0.9), random_pieces, corrupted)
        positions = torch.arange(gold.shape[1], device=gold.device)
        hidden, _ = self._write(scores, corrupted[:, None], positions, positions[:, None] >= positions, [])
        return hidden[:, 0], predicted, (sizes / num_masked).expand_as(gold)

    def _write(
        self, scores: Scores, pieces: Tensor, offsets: Tensor, visible: Tensor, past: Cache
    ) -> tuple[Tensor, Cache]:
        """See :func:`ner.model.prefix_attention.write`; ``offsets (R,)`` are counted from the end of the source."""
        source = scores["source"]
        positions = (source.sum(1)[:, None, None] + offsets).expand_as(pieces)
        source_cache = [
            (scores[f"keys.{n}"], scores[f"values.{n}"]) for n in range(len(self.encoder.model.encoder.layer))
        ]
        return prefix_attention.write(self.encoder.model, pieces, positions, visible, source_cache, source, past)

    def _log_probabilities(self, hidden: Tensor, scores: Scores) -> Tensor:
        """Return the ``(S, N, V)`` log-probabilities of pieces; the weights are tied to the embeddings."""
        embeddings = self.encoder.model.get_input_embeddings().weight
        logits = F.linear(self.norm(F.gelu(self.dense(hidden))), embeddings, self.bias)
        logs = F.log_softmax(logits.float(), dim=-1)
        if self.choice is None or self.share is None:
            return logs
        keys = scores[f"keys.{len(self.encoder.model.encoder.layer) - 1}"].transpose(1, 2).flatten(2)  # (S, T, H)
        weights = (self.choice(hidden) @ keys.transpose(1, 2)).float() / keys.shape[-1] ** 0.5  # (S, N, T)
        weights = weights.masked_fill(~scores["source"][:, None], torch.finfo(weights.dtype).min).softmax(-1)
        copied = torch.zeros_like(logs).scatter_add(2, scores["pieces"][:, None].expand_as(weights), weights)
        copied = copied.clamp(min=torch.finfo(copied.dtype).tiny).log()
        copy_gate = self.share(hidden).float()  # (S, N, 1)
        return torch.logaddexp(logs + F.logsigmoid(-copy_gate), copied + F.logsigmoid(copy_gate))

    def predict(self, scores: Scores, mask: Tensor, probabilities: bool = False) -> dict[str, Tensor]:
        """Return the result of a beam search; during training nothing, as a search costs more than the step."""
        if self.training:
            return {}
        hypotheses = self.search(scores, all_beams=probabilities)
        return {**hypotheses._asdict(), "source_pieces": scores["pieces"], "words": scores["words"]}

    def annotations(
        self, predicted: Mapping[str, Tensor], mask: Tensor, probabilities: bool = False
    ) -> list[Annotation]:
        """Return the best answer of each example, or all beams with their probabilities.

        An answer that occurs in the passage becomes a span of it.
        """
        if "logs" not in predicted:
            return []
        sources = zip(predicted["source_pieces"].tolist(), predicted["words"].tolist(), strict=True)
        annotations = []
        for row, (pieces, words) in enumerate(sources):
            answers: dict[str | Span, float] = {}
            beams = (predicted[name][row].tolist() for name in Hypotheses._fields)
            for ids, size, log_probability in zip(*beams, strict=True):
                if log_probability > -math.inf:
                    answer = self._answer_of(ids[: size - 1], pieces, words)
                    # the likeliest of several pieces with the same text
                    answers.setdefault(answer, math.exp(log_probability))
            best = next(iter(answers))
            labels = [SPAN] if isinstance(best, Span) else [best] if best in ANSWER_TYPES else []
            scored_answers = [
                replace(answer, score=value) if probabilities and isinstance(answer, Span) else answer
                for answer, value in (answers.items() if probabilities else [(best, None)])
            ]
            spans = [answer for answer in scored_answers[:1] if isinstance(answer, Span)]
            text_scores = {
                answer: value for answer, value in answers.items() if probabilities and isinstance(answer, str)
            }
            annotations.append(Annotation(labels=labels, answers=scored_answers, spans=spans, scores=text_scores))
        return annotations

    def search(self, scores: Scores, all_beams: bool = False) -> Hypotheses:
        """Return the best answers of a batch; all beams are final if ``all_beams`` is true, otherwise the best one.

        Raises:
            BadExampleError: If log-probabilities are not finite.
        """

        def step(pieces: Tensor, past: Cache) -> tuple[Tensor, Cache]:
            logs, past = self.step(scores, pieces, past)
            check_finite(logs[..., 0].sum(1), "log-probabilities")
            return logs, past

        return beam_search(
            step,
            len(scores["source"]),
            beams=self.config.beam_size,
            max_length=self.config.max_target_seq_length,
            end=self.end_id,
            forbidden=self.forbidden_ids,
            length_penalty=self.config.length_penalty,
            all_beams=all_beams,
        )

    @torch.no_grad()
    def step(self, scores: Scores, pieces: Tensor, past: Cache) -> tuple[Tensor, Cache]:
        """Return ``(S, G, V)`` log-probabilities of the next piece, and the keys and values of all pieces so far.

        ``pieces`` are ``(S, G, P)``, ``past`` the keys and values of all but the last.
        """
        mask = pieces.new_full((*pieces.shape[:2], 1), self.mask_id)
        new_pieces = torch.cat([pieces[..., -1:], mask], dim=2)  # the last piece, and the position after it
        size, num_new = pieces.shape[2], new_pieces.shape[2]
        visible = torch.ones((num_new, size + 1), dtype=torch.bool, device=pieces.device).tril(size + 1 - num_new)
        offsets = torch.arange(size + 1 - num_new, size + 1, device=pieces.device)
        hidden, present = self._write(scores, new_pieces, offsets, visible, past)
        past = [(keys[..., :-1, :], values[..., :-1, :]) for keys, values in present]
        return self._log_probabilities(hidden[:, :, -1], scores), past

    def _answer_of(self, ids: list[int], pieces: list[int], words: list[int]) -> str | Span:
        """Return generated pieces as yes, no or unknown, as a span of the passage with these pieces, or as text.

        ``pieces`` and ``words`` are the pieces of the source and the passage word of each, or -1.
        """
        text = self.encoder.tokenizer.decode(ids)
        size = len(ids)
        if text not in ANSWER_TYPES:
            for start in range(len(pieces) - size):
                if pieces[start : start + size] == ids:
                    first, last, next_word = words[start], words[start + size - 1], words[start + size]
                    # the pieces are whole words of the passage: those before and after are of other words
                    if -1 < first != words[start - 1] and -1 < last != next_word:
                        return Span(first, last + 1, ANSWER)
        return text


build_on = UniLMDecoder
