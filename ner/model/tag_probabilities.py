"""Probabilities of tag sequences, of the tags of single words, and of alternatives."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ner.model.kernels import crf
from ner.model.kernels.chain import Chain
from ner.model.tag_decoder import TagDecoder
from ner.types import Alternative, Example, Scores, TagProbabilities, TagQuery


@torch.no_grad()
def tag_probabilities(
    decoder: TagDecoder, scores: Scores, mask: Tensor, options: TagQuery, examples: Sequence[Example]
) -> list[TagProbabilities]:
    """Return the probability of the predicted tags of each example, and what the options request.

    Args:
        decoder: Decoder with its temperature.
        scores: Result of its ``forward``.
        mask: ``(S, W)`` true on words.
        options: Requested values.
        examples: The examples; their spans are used for ``options.gold``.
    """
    with torch.autocast(mask.device.type, enabled=False):
        path, _ = decoder.best(scores["emissions"], mask)
        emissions, chain = decoder.tempered(scores["emissions"])
        results = [
            TagProbabilities(v) for v in crf.log_likelihood(emissions, path, mask, chain, decoder.backend).tolist()
        ]
        if options.tokens:
            with torch.inference_mode(False):  # marginals are computed by autograd
                cloned_chain = Chain(*(None if table is None else table.clone() for table in chain))  # type: ignore[arg-type]
                marginals = crf.token_marginals(emissions.clone(), mask.clone(), cloned_chain, decoder.backend)
            token_probabilities = iter(marginals.gather(2, path.unsqueeze(-1)).squeeze(-1)[mask].tolist())
            for result, length in zip(results, mask.sum(1).tolist(), strict=True):
                result.tokens = [next(token_probabilities) for _ in range(length)]
        if options.uncertainty:
            for result, value in zip(results, crf.entropy(emissions, mask, chain).tolist(), strict=True):
                result.entropy = value
        if options.n_best or options.uncertainty:
            _set_alternatives(decoder, results, emissions, mask, chain, options.n_best)
    if options.gold:
        values = iter(decoder.span_probabilities(scores["emissions"], mask, [example.spans for example in examples]))
        for result, example in zip(results, examples, strict=True):
            result.gold = [next(values) for _ in example.spans]
        predicted = [decoder.tags.decode_ids(ids[is_word].tolist())[1] for ids, is_word in zip(path, mask, strict=True)]
        values = iter(decoder.outside_probabilities(scores["emissions"], mask, predicted))
        for result, spans in zip(results, predicted, strict=True):
            result.outside = [next(values) for _ in spans]
    return results


def _set_alternatives(
    decoder: TagDecoder, results: Sequence[TagProbabilities], emissions: Tensor, mask: Tensor, chain: Chain, n_best: int
) -> None:
    """Set the ``n_best`` sequences, and the margin between the first two."""
    paths, scores = crf.k_best(emissions, mask, chain, max(2, n_best))  # (S, k, W), (S, k)
    k = paths.shape[1]
    repeated = (table.repeat_interleave(k, 0) for table in (emissions, mask))
    exists = scores.isfinite()
    paths = torch.where(exists.unsqueeze(-1), paths, paths[:, :1])  # where there are fewer sequences
    log_probabilities = crf.log_likelihood(next(repeated), paths.flatten(0, 1), next(repeated), chain, decoder.backend)
    values = log_probabilities.view(-1, k).exp().masked_fill(~exists, 0)
    for row, probabilities in enumerate(results):
        probabilities.margin = float(values[row, 0] - values[row, 1])
        for rank in range(min(n_best, int(exists[row].sum()))):
            tags, spans, _ = decoder.tags.decode_ids(paths[row, rank][mask[row]].tolist())
            probabilities.n_best.append(Alternative(tags, spans, min(1.0, float(values[row, rank]))))
