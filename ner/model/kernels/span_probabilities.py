"""Probabilities of spans under a CRF, over all tag sequences; computed in torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ner.model.kernels.chain import Chain
from ner.model.kernels.left_alignment import LeftAlignment
from ner.model.kernels.markov import markov_chain

MAX_STEPS = 1 << 21
"""Transitions between tags that are held at once for the probabilities of spans: 16 MiB."""


@torch.no_grad()
def span_probabilities(
    emissions: Tensor,
    mask: Tensor,
    chain: Chain,
    spans: Sequence[tuple[int, int, int, int]],
    begins: Tensor,
    continues: Tensor,
) -> Tensor:
    """Return the probability of spans: the mass of all tag sequences that contain exactly them.

    The distribution of tags is a Markov chain. The mass of a span therefore follows from the marginals at the word
    before it, a constrained forward pass over its words, and one step out of it.

    Args:
        emissions: ``(S, W, K)``.
        mask: ``(S, W)`` true on words.
        chain: Scores and constraints.
        spans: Example, first word, end (exclusive, in words of the mask) and label of each span.
        begins: ``(N, K + 1, K)`` true where a tag after another (row ``K``: at the first word) begins a span.
        continues: ``(N, K, K)`` true where a tag after another continues a span of a label.

    Returns:
        ``(len(spans),)`` float64 on the CPU. In the comments, M counts spans, N labels, and C the tags of a label.

    Raises:
        BadExampleError: As :func:`~ner.model.kernels.crf.log_likelihood`.
    """
    alignment = LeftAlignment(mask, emissions)
    if not spans:
        return torch.zeros(0, dtype=torch.float64)
    distribution = markov_chain(alignment.move(emissions), alignment.mask, chain)
    is_label_tag, lengths = begins.any(1) | continues.any(1), mask.sum(1)  # (N, K): the tags within spans of a label
    width = int(is_label_tag.sum(1).max())
    tags_of_label = is_label_tag.long().argsort(dim=1, descending=True, stable=True)[:, :width]  # (N, C)
    all_tags = torch.arange(is_label_tag.shape[1], device=mask.device)
    chunk_size = max(1, MAX_STEPS // (is_label_tag.shape[1] * width))
    probabilities = []
    for chunk_start in range(0, len(spans), chunk_size):
        example, start, end, label = torch.tensor(
            list(spans[chunk_start : chunk_start + chunk_size]), device=mask.device
        ).T
        label_tags, previous_tags = tags_of_label[label], all_tags.expand(len(label), -1)  # (M, C), (M, K)
        labels, next_tags = label[:, None, None], label_tags.unsqueeze(1)
        begin_mass = (
            distribution.step(example, start, previous_tags, label_tags)
            * begins[labels, previous_tags.unsqueeze(2), next_tags]
        )
        begin_mass = (distribution.tag_marginals[example, (start - 1).clamp(min=0)].unsqueeze(1) @ begin_mass).squeeze(
            1
        )
        first_word_mass = (
            distribution.tag_marginals[example, 0].gather(1, label_tags) * begins[label.unsqueeze(1), -1, label_tags]
        )
        mass = torch.where((start == 0).unsqueeze(1), first_word_mass, begin_mass)  # (M, C)
        continued = continues[labels, label_tags.unsqueeze(2), next_tags]
        for offset in range(1, int((end - start).max())):
            word = start + offset
            extended_mass = (
                mass.unsqueeze(1) @ (distribution.step(example, word, label_tags, label_tags) * continued)
            ).squeeze(1)
            mass = torch.where((word < end).unsqueeze(1), extended_mass, mass)
        leave_probability = 1 - (distribution.step(example, end, label_tags, label_tags) * continued).sum(-1)  # (M, C)
        ends_sentence = (end >= lengths[example]).unsqueeze(1)
        probabilities.append((mass * torch.where(ends_sentence, 1.0, leave_probability)).sum(1))
    return torch.cat(probabilities).cpu().double()


@torch.no_grad()
def run_probabilities(
    emissions: Tensor, mask: Tensor, chain: Chain, ranges: Sequence[tuple[int, int, int]], tag: int
) -> Tensor:
    """Return the probability that all words of a range have one tag.

    Args:
        emissions: ``(S, W, K)``.
        mask: ``(S, W)`` true on words.
        chain: Scores and constraints.
        ranges: Example, first word and end (exclusive, in words of the mask) of each range.
        tag: The tag.

    Returns:
        ``(len(ranges),)`` float64 on the CPU.

    Raises:
        BadExampleError: As :func:`~ner.model.kernels.crf.log_likelihood`.
    """
    alignment = LeftAlignment(mask, emissions)
    if not ranges:
        return torch.zeros(0, dtype=torch.float64)
    distribution = markov_chain(alignment.move(emissions), alignment.mask, chain)
    example, start, end = torch.tensor(list(ranges), device=mask.device).T
    mass, only_tag = distribution.tag_marginals[example, start, tag], torch.full_like(example, tag).unsqueeze(1)
    for offset in range(1, int((end - start).max())):
        word = start + offset
        mass = torch.where(word < end, mass * distribution.step(example, word, only_tag, only_tag)[:, 0, 0], mass)
    return mass.cpu().double()
