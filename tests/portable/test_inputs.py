"""Tests of the arrays that an exported graph reads."""

import numpy as np
import pytest

from ner.portable.inputs import context_arrays


def mask_of(lengths: list[int]) -> np.ndarray:
    return np.arange(max(1, *lengths)) < np.array(lengths)[:, None]


@pytest.mark.parametrize("lengths", [[3, 1, 0, 9, 2, 2], [5], [0], [1, 1, 1], [4, 0], [70, *range(1, 20)]])
def test_states_of_short_and_long_sentences_return_to_their_words(lengths: list[int]) -> None:
    mask = mask_of(lengths)
    words = np.random.default_rng(0).normal(size=mask.shape)
    arrays = context_arrays(mask)

    groups = [arrays["short_sentences"], arrays["long_sentences"]]
    states = np.concatenate([(2 * words.ravel()[group]).ravel() for group in groups])[arrays["state_positions"]]

    assert (states[mask] == 2 * words[mask]).all()
    for group in groups:  # padding of a group is padding of the batch, and follows the words
        group_mask = mask.ravel()[group]
        assert (np.sort(~group_mask, axis=1) == ~group_mask).all()


@pytest.mark.parametrize(
    ("lengths", "short"), [([10, 12], 0), ([7], 0), ([60, *[8] * 20], 20), ([5] * 30, 0), ([100, 0, 100, 2] * 4, 8)]
)
def test_sentences_are_divided_where_padding_costs_more_than_a_call(lengths: list[int], short: int) -> None:
    arrays = context_arrays(mask_of(lengths))
    assert len(arrays["long_sentences"]) == len(lengths) - short
    assert arrays["short_sentences"].shape == ((short, sorted(lengths)[short - 1]) if short else (1, 1))
