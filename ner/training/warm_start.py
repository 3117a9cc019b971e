"""A warm start: a new model takes over what it can from a trained one, whatever labels and words either knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ner.errors import InputError
from ner.model.model import Model
from ner.types import AxisLabels


@dataclass
class WarmStartReport:
    """What was taken over.

    Attributes:
        whole: Tensors that were copied as they are.
        rows: Of tensors with named rows: how many names both models know, and how many the new one has.
        fresh: Tensors that begin anew.
        labels: Labels and classes that both know; ``new_labels`` only the new one.
    """

    whole: list[str] = field(default_factory=list)
    rows: dict[str, tuple[int, int]] = field(default_factory=dict)
    fresh: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    new_labels: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For the log."""
        known, new = (", ".join(labels) or "none" for labels in (self.labels, self.new_labels))
        found = [f"{len(self.whole)} tensors taken over; labels known: {known}; new: {new}"]
        found += [f"{name}: {known} of {total} rows taken over" for name, (known, total) in self.rows.items()]
        if self.fresh:
            found.append(f"begins anew: {', '.join(self.fresh)}")
        return found


def copy_matching_weights(model: Model, trained: Model) -> WarmStartReport:
    """Copy into a model what a trained one has for it: tensors of the same name and shape, and rows of the same name.

    Raises:
        InputError: If there is nothing to take over.
    """
    taken = WarmStartReport()
    old, axes, old_axes = trained.state_dict(), _axes(model), _axes(trained)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name in axes and name in old_axes and axes[name] != old_axes[name]:
                known = _copy_rows(tensor, old[name], axes[name], old_axes[name])
                taken.rows[name] = (known, len(axes[name][0] or ()))
            elif name in old and old[name].shape == tensor.shape:
                tensor.copy_(old[name])
                taken.whole.append(name)
            else:
                taken.fresh.append(name)
    if not taken.whole and not any(known for known, _ in taken.rows.values()):
        raise InputError("--init: the two models have nothing in common; train without it")
    labels, known_labels = (
        [*(m.vocabs.tags if m.vocabs.plain else m.vocabs.labels), *m.vocabs.classes] for m in (model, trained)
    )
    taken.labels = sorted(set(labels) & set(known_labels))
    taken.new_labels = sorted(set(labels) - set(known_labels))
    return taken


def _axes(model: Model) -> Mapping[str, AxisLabels]:
    parts = {"encoder": model.encoder, "decoder": model.decoder}
    return {f"{part}.{name}": axes for part, module in parts.items() for name, axes in module.axis_labels().items()}


def _copy_rows(tensor: Tensor, old: Tensor, axes: AxisLabels, old_axes: AxisLabels) -> int:
    """Copy what stands under the same names along all dimensions; gives the number of names along the first."""
    here: list[Tensor] = []
    there: list[Tensor] = []
    for size, old_size, names, old_names in zip(tensor.shape, old.shape, axes, old_axes, strict=True):
        if names is None or old_names is None:
            if size != old_size:
                return 0
            here.append(torch.arange(size))
            there.append(torch.arange(size))
            continue
        places = {name: position for position, name in enumerate(old_names)}
        pairs = [(position, places[name]) for position, name in enumerate(names) if name in places]
        here.append(torch.tensor([left for left, _ in pairs], dtype=torch.long))
        there.append(torch.tensor([right for _, right in pairs], dtype=torch.long))
    if all(len(positions) for positions in here):
        device = tensor.device
        tensor[torch.meshgrid(*(positions.to(device) for positions in here), indexing="ij")] = old[
            torch.meshgrid(*there, indexing="ij")
        ].to(device)
    return len(here[0])
