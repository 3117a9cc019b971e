"""The distribution of a CRF over tag sequences as a Markov chain, for probabilities of spans and the entropy."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ner.model.kernels import crf_torch
from ner.model.kernels.chain import Chain, check_paths

UNDERFLOW = 1e-200
"""If a sum of exponentials in float64 is below this value, the batch is recomputed in log space."""
UNDERFLOW_SINGLE = 1e-25
"""The same limit for float32."""


class MarkovChain(NamedTuple):
    """Distribution of tags in which each word depends only on the one before.

    Attributes:
        transitions: ``(K, K)`` scores from previous tag to next tag, -inf where forbidden.
        tag_marginals: ``(S, W, K)`` marginal probability of each tag.
        backward_scores: ``(S, W, K)`` log-sum over all paths from each tag of a word to the end, with the emission of
            the word (emission plus log beta), up to a constant for each word.
        log_normalizers: ``(S, W, K)`` log-sum of transition and ``backward_scores`` over the tags of a word, given the
            tag of the word before: log beta of the word before, and the denominator of its transition probabilities; 0
            at the first word.
    """

    transitions: Tensor
    tag_marginals: Tensor
    backward_scores: Tensor
    log_normalizers: Tensor

    def step(self, example: Tensor, word: Tensor, previous_tags: Tensor, next_tags: Tensor) -> Tensor:
        """Return the probabilities ``(M, B, C)`` of tags given the tags of the words before.

        Args:
            example: ``(M,)``.
            word: ``(M,)`` positions, at least 1; positions after the last one stand for the last one.
            previous_tags: ``(M, B)`` tags of the words before.
            next_tags: ``(M, C)`` tags of the words.
        """
        examples, word = example.unsqueeze(1), word.clamp(max=self.backward_scores.shape[1] - 1).unsqueeze(1)
        scores = self.transitions[previous_tags.unsqueeze(2), next_tags.unsqueeze(1)] + self.backward_scores[
            examples, word, next_tags
        ].unsqueeze(1)
        return (scores - _finite(self.log_normalizers[examples, word, previous_tags]).unsqueeze(2)).exp()

    def steps(self, example: Tensor, word: Tensor) -> Tensor:
        """Return the probabilities ``(M, K, K)`` of all tags given all tags of the words before, see :meth:`step`."""
        scores = self.transitions + self.backward_scores[example, word].unsqueeze(1)
        return (scores - _finite(self.log_normalizers[example, word]).unsqueeze(2)).exp()


def markov_chain(emissions: Tensor, mask: Tensor, chain: Chain) -> MarkovChain:
    """Return the distribution of the tags; arguments as for a backend, see :mod:`ner.model.kernels.chain`.

    Raises:
        BadExampleError: If an emission is not finite or no path is allowed.
    """
    scores = crf_torch.clean(emissions, mask)
    log_partition, *tables, min_sum = _by_products(scores, mask, chain)
    if not bool(min_sum > (UNDERFLOW if scores.dtype == torch.float64 else UNDERFLOW_SINGLE)):
        log_partition, tag_marginals, _, backward_scores, log_normalizers = crf_torch.log_space(scores, mask, chain)
        tables = [tag_marginals, backward_scores, log_normalizers]
    check_paths(log_partition.masked_fill(crf_torch.not_finite(scores), torch.nan), mask)
    return MarkovChain(chain.tables()[1].to(scores), *tables)


def _by_products(scores: Tensor, mask: Tensor, chain: Chain) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return log-partitions, the tables of a :class:`MarkovChain`, and the lowest sum of exponentials.

    The sums are matrix products, which are about ten times as fast as ``logsumexp`` for 100 tags.
    """
    first, transitions, last = (table.to(scores) for table in chain.tables())
    has_next = torch.isfinite(transitions).any(1)
    max_transition = transitions.amax().clamp(min=torch.finfo(scores.dtype).min)
    weights = (transitions - max_transition).exp()
    backward_scores, log_normalizers, sums = torch.empty_like(scores), torch.zeros_like(scores), torch.ones_like(scores)
    log_beta, log_partition = last.expand(len(scores), -1), scores.new_zeros(len(scores))
    for word in reversed(range(scores.shape[1])):
        score = scores[:, word] + log_beta
        peak = score.amax(-1, keepdim=True).clamp(min=torch.finfo(score.dtype).min)  # no NaN if all are -inf
        backward_scores[:, word] = score - peak
        log_partition += torch.where(mask[:, word], peak.squeeze(-1), 0)
        if word:
            sums[:, word] = torch.where(has_next, backward_scores[:, word].exp() @ weights.T, 1)
            log_normalizers[:, word] = torch.where(has_next, sums[:, word].log() + max_transition, -torch.inf)
            log_beta = torch.where(mask[:, word, None], log_normalizers[:, word], last)
    first_scores = first + backward_scores[:, 0]
    log_partition = torch.where(mask[:, 0], log_partition + first_scores.logsumexp(-1), 0)
    tag_marginals = torch.zeros_like(scores)
    tag_marginals[:, 0] = first_scores.softmax(-1).nan_to_num(0) * mask[:, :1]
    for word in range(1, scores.shape[1]):
        probabilities = (tag_marginals[:, word - 1] / sums[:, word]) @ weights * backward_scores[:, word].exp()
        tag_marginals[:, word] = probabilities * mask[:, word, None]
    return log_partition, tag_marginals, backward_scores, log_normalizers, sums.amin()


def _finite(normalizer: Tensor) -> Tensor:
    """Return normalizers with 0 in place of -inf, for tags that nothing may follow."""
    return normalizer.masked_fill(normalizer.isinf(), 0)
