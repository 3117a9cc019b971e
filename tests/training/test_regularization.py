from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ner.training import regularization
from ner.training.lookup import Lookup


class Tiny(nn.Module):
    """Word embeddings, position and segment embeddings, and a frozen table."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(5, 3)
        self.position_embeddings = nn.Embedding(5, 3)
        self.token_type_embeddings = nn.Embedding(2, 3)
        self.still = nn.Embedding(2, 3).requires_grad_(False)
        self.head = nn.Linear(3, 2)

    def loss(self) -> torch.Tensor:
        """Return the loss of three words."""
        ids = torch.tensor([0, 1, 2])
        return F.cross_entropy(self.head(self.words(ids) + self.position_embeddings(ids)), torch.tensor([0, 1, 1]))


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_words_and_characters_are_moved_positions_are_not() -> None:
    model = Tiny()
    assert [id(table) for table in regularization.adversarial_embeddings(model)] == [id(model.words.weight)]


@pytest.mark.parametrize("whole_tables", [False, True])
@pytest.mark.parametrize("synchronizes", [False, True])
def test_the_gradient_at_moved_embeddings_is_added(
    synchronizes: bool, whole_tables: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regularization, "is_sharded", lambda table: whole_tables)
    model = Tiny()
    model.loss().backward()
    clean, before = gradients(model), model.words.weight.detach().clone()
    tables = regularization.adversarial_embeddings(model)
    with regularization.perturbed(model, tables, 0.5, synchronizes):
        assert float((model.words.weight - before).detach().norm()) == pytest.approx(0.5)
        assert torch.equal(model.words.weight[3:], before[3:])
        model.loss().backward()
        if synchronizes:
            alone = gradients(model)
    found = gradients(model)
    assert torch.equal(model.words.weight, before)
    # the same by hand
    gradient = clean["words.weight"]
    with torch.no_grad():
        model.words.weight.copy_(before + gradient / gradient.norm() * 0.5)
    model.zero_grad()
    model.loss().backward()
    moved = gradients(model)
    for name in clean:
        torch.testing.assert_close(found[name], clean[name] + moved[name], rtol=1e-5, atol=1e-6)
        if synchronizes:  # what the processes exchange is the gradient of the block
            torch.testing.assert_close(alone[name], moved[name], rtol=1e-5, atol=1e-6)


def test_a_lookup_has_the_gradients_of_an_embedding() -> None:
    found = []
    for wrap in (lambda table: table, Lookup):
        torch.manual_seed(0)
        model = Tiny()
        model.words = wrap(model.words)
        for _ in range(2):
            model.zero_grad()
            model.loss().backward()
            with regularization.perturbed(model, [model.words.weight], 0.5):
                model.loss().backward()
        found.append(gradients(model))
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient)


def test_embeddings_are_restored_when_the_block_fails() -> None:
    model = Tiny()
    model.loss().backward()
    before = model.words.weight.detach().clone()
    tables = regularization.adversarial_embeddings(model)
    with pytest.raises(ValueError, match="failed"), regularization.perturbed(model, tables, 0.5):
        raise ValueError("failed")
    assert torch.equal(model.words.weight, before)
