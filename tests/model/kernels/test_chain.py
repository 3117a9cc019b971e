from __future__ import annotations

import pytest
import torch

from ner.model.kernels.chain import BadExampleError, check_finite, check_paths

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_the_first_example_that_is_not_finite_is_named_with_its_values(value: float) -> None:
    check_finite(torch.tensor([1.0, 2.0]))
    with pytest.raises(BadExampleError, match="log-probabilities of example 1 are not finite") as caught:
        check_finite(torch.tensor([1.0, value, value]), "log-probabilities")
    assert caught.value.position == 1


@pytest.mark.parametrize(("value", "cause"), [(NAN, "emissions"), (-INF, "constraints"), (INF, "2 words")])
def test_paths_without_a_score_show_emissions_or_constraints(value: float, cause: str) -> None:
    mask = torch.tensor([[True, True, True], [True, True, False]])
    check_paths(torch.tensor([0.0, 1.0]), mask)
    with pytest.raises(BadExampleError, match=cause) as caught:
        check_paths(torch.tensor([0.0, value]), mask)
    assert caught.value.position == 1
