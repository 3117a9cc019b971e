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


def test_tables_of_the_default_division_are_the_smallest() -> None:
    mask = mask_of([70, 3, 12, 12, 1, 44, 0, 8])
    sizes = [
        sum(context_arrays(mask, number)[f"{name}_sentences"].size for name in ("short", "long")) for number in range(8)
    ]
    chosen = sum(context_arrays(mask)[f"{name}_sentences"].size for name in ("short", "long"))
    assert chosen == min(sizes) < mask.size
