from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ner.config.training import AdversarialConfig
from ner.training import regularization


class Tiny(nn.Module):
    """A table, positions that are not to be moved, and a frozen table."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(5, 3)
        self.position_embeddings = nn.Embedding(5, 3)
        self.token_type_embeddings = nn.Embedding(2, 3)
        self.still = nn.Embedding(2, 3).requires_grad_(False)
        self.head = nn.Linear(3, 2)

    def loss(self) -> torch.Tensor:
        """Of three words."""
        ids = torch.tensor([0, 1, 2])
        return F.cross_entropy(self.head(self.words(ids) + self.position_embeddings(ids)), torch.tensor([0, 1, 1]))


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_words_and_characters_are_moved_positions_are_not() -> None:
    model = Tiny()
    assert [id(table) for table in regularization.embeddings(model)] == [id(model.words.weight)]


@pytest.mark.parametrize("kind", ["fgm", "pgd"])
def test_the_gradient_at_moved_embeddings_is_added(kind: str) -> None:
    model = Tiny()
    model.loss().backward()
    clean, before = gradients(model), model.words.weight.detach().clone()
    config = AdversarialConfig(kind=kind, epsilon=0.5, steps=2, step_size=0.4)  # type: ignore[arg-type]
    tables = regularization.embeddings(model)
    regularization.adversarial(list(model.parameters()), tables, config, lambda: model.loss().backward())
    found = gradients(model)
    assert torch.equal(model.words.weight, before)
    # the same by hand
    move = torch.zeros_like(before)
    gradient = clean["words.weight"]
    for _ in range(1 if kind == "fgm" else 2):
        move = move + gradient / gradient.norm() * (0.5 if kind == "fgm" else 0.4)
        move = move * min(1.0, 0.5 / float(move.norm()))
        with torch.no_grad():
            model.words.weight.copy_(before + move)
        model.zero_grad()
        model.loss().backward()
        gradient = gradients(model)["words.weight"]
    moved = gradients(model)
    for name in clean:
        torch.testing.assert_close(found[name], clean[name] + moved[name], rtol=1e-5, atol=1e-6)


def test_two_passes_that_agree_cost_nothing_and_two_that_do_not_cost_their_divergence() -> None:
    scores, other = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    shares = {"emissions": ("tags", 1.0)}
    same = regularization.disagreement({"emissions": scores}, {"emissions": scores.clone()}, mask, shares)
    assert float(same["tags"]) == pytest.approx(0, abs=1e-6)
    sides = [{"emissions": tensor, "more": mask} for tensor in (scores, other)]
    found = regularization.disagreement(*sides, mask, shares)["tags"]
    ours, theirs = scores.softmax(-1)[mask], other.softmax(-1)[mask]
    expected = ((ours * (ours / theirs).log()).sum() + (theirs * (theirs / ours).log()).sum()) / 2
    torch.testing.assert_close(found, expected)
    halves = {"emissions": ("tags", 0.5), "ends": ("tags", 2.0)}
    sides = [{"emissions": tensor, "ends": tensor[:, 0]} for tensor in (scores, other)]
    (ours, theirs) = (side["ends"].softmax(-1) for side in sides)
    ends = ((ours - theirs) * (ours / theirs).log()).sum() / 2
    torch.testing.assert_close(regularization.disagreement(*sides, mask, halves)["tags"], expected / 2 + 2 * ends)
