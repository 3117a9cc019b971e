from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from ner.training import lookup
from ner.training.lookup import Lookup, replace_embeddings
from ner.training.regularization import perturbed


class Network(nn.Module):
    """A table and a layer; a tied table is also the output layer."""

    def __init__(self, tied: bool) -> None:
        super().__init__()
        self.tied = tied
        self.table = nn.Embedding(50, 4, padding_idx=0)
        self.layer = nn.Linear(4, 4)

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.layer(self.table(ids))
        return (hidden @ self.table.weight.t() if self.tied else hidden).pow(2).mean()


def pair(monkeypatch: pytest.MonkeyPatch, tied: bool = False) -> tuple[Network, Network]:
    """Return a network with torch's embedding, and a copy with the replaced one."""
    monkeypatch.setattr(lookup, "MIN_ELEMENTS", 1)
    torch.manual_seed(0)
    plain = Network(tied)
    replaced = copy.deepcopy(plain)
    replace_embeddings(replaced)
    assert type(replaced.table) is Lookup
    assert [*replaced.state_dict()] == [*plain.state_dict()]
    return plain, replaced


@pytest.mark.parametrize("tied", [False, True])
def test_same_gradients_and_weights_as_torch(tied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = pair(monkeypatch, tied)
    optimizers = [torch.optim.AdamW(network.parameters(), lr=0.1) for network in networks]
    for step in range(6):
        ids = torch.randint(0, 50, (3, 5))
        ids[0, 0] = 0  # padding
        for network, optimizer in zip(networks, optimizers, strict=True):
            optimizer.zero_grad(set_to_none=step != 3)
            network(ids).backward()
            network(ids.flip(1)[:2]).backward()  # a second micro-batch
        plain, replaced = (network.table.weight.grad for network in networks)
        assert plain is not None
        assert replaced is not None
        torch.testing.assert_close(replaced, plain)
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(networks[1].table.weight, networks[0].table.weight)


def test_gradient_reuses_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    _, network = pair(monkeypatch)
    places = []
    for ids in ([[1, 2]], [[3]]):
        network.zero_grad()
        network(torch.tensor(ids)).backward()
        assert network.table.weight.grad is not None
        places.append(network.table.weight.grad.data_ptr())
    assert places[0] == places[1]
    assert network.table.weight.grad.abs().sum(1).nonzero().flatten().tolist() == [3]


def test_a_foreign_gradient_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    _, network = pair(monkeypatch)
    network.table.weight.grad = torch.ones(50, 4)
    network(torch.tensor([[7]])).backward()
    gradient = network.table.weight.grad
    assert torch.equal(gradient[6], torch.ones(4))
    assert not torch.equal(gradient[7], torch.ones(4))


def test_ids_may_be_int32(monkeypatch: pytest.MonkeyPatch) -> None:
    _, network = pair(monkeypatch)
    for _ in range(2):
        network.zero_grad()
        network(torch.tensor([[1, 2]], dtype=torch.int32)).backward()


def test_tables_with_shared_weights_or_options_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "MIN_ELEMENTS", 1)
    tables = nn.ModuleList([nn.Embedding(9, 2), nn.Embedding(9, 2), nn.Embedding(9, 2, scale_grad_by_freq=True)])
    tables[1].weight = tables[0].weight
    replace_embeddings(tables)
    assert {type(table) for table in tables} == {nn.Embedding}


def test_a_copy_notices_dense_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, network = pair(monkeypatch, tied=True)
    copied = copy.deepcopy(network)
    for ids in ([[1, 2]], [[3]]):
        for module in (plain, copied):
            module.zero_grad()
            module(torch.tensor(ids)).backward()
    torch.testing.assert_close(copied.table.weight.grad, plain.table.weight.grad)
    assert network.table.weight.grad is None


def test_perturbed_gradients_are_those_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = pair(monkeypatch)
    for step in range(3):
        for network in networks:
            network.zero_grad()
            network(torch.tensor([[1 + step, 2]])).backward()
            with perturbed(network, [network.table.weight], 1.0):
                network(torch.tensor([[5 + step]])).backward()
        torch.testing.assert_close(networks[1].table.weight.grad, networks[0].table.weight.grad)


def test_frozen_and_small_tables_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    small = nn.Sequential(nn.Embedding(50, 4))
    replace_embeddings(small)
    assert type(small[0]) is nn.Embedding
    monkeypatch.setattr(lookup, "MIN_ELEMENTS", 1)
    small[0].weight.requires_grad_(False)
    replace_embeddings(small)
    assert not small[0](torch.tensor([1])).requires_grad
