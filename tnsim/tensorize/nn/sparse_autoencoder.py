"""A sparse autoencoder whose encoder and decoder are chains: features at every bond, beside those it puts out."""

import copy
from collections.abc import Sequence
from math import inf, isfinite
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import nn

from tnsim.errors import NumericalError, SettingsError, ShapeError
from tnsim.networks.stack import bond_features
from tnsim.tensorize.nn.arrays import array_of
from tnsim.tensorize.nn.new_chain import Factors
from tnsim.tensorize.nn.tt_linear import TTLinear


class SparseAutoencoder(nn.Module):
    """x -> the `active` largest of relu(E x + b) -> D code + c. chi: the rank of both chains; None: dense matrices.

    A dense decoder starts as the transposed encoder; two chains start apart, which finds more. factors: (of the
    features, of the inputs). Source: A. Makhzani, B. Frey, arXiv:1312.5663 (k-sparse autoencoders); L. Gao et al.,
    arXiv:2406.04093.

    >>> _ = torch.manual_seed(0)
    >>> sae = SparseAutoencoder(64, 64, active=4, chi=8, factors=((8, 8), (8, 8)))
    >>> sae.code(torch.ones(2, 64)).count_nonzero(dim=1).tolist(), sae.numbers
    ([4, 4], 2048)
    """

    def __init__(
        self, inputs: int, features: int, *, active: int, chi: int | None = None, factors: Factors | None = None
    ) -> None:
        super().__init__()
        if not 1 <= active <= features:
            raise SettingsError(f"between 1 and {features} features can be active, found {active}.")
        self.inputs, self.features, self.active = inputs, features, active
        self.encoder: Any
        self.decoder: Any
        if chi is None:
            self.encoder, self.decoder = nn.Linear(inputs, features), nn.Linear(features, inputs)
            with torch.no_grad():
                nn.init.normal_(self.encoder.weight, std=inputs**-0.5)
                self.decoder.weight.copy_(self.encoder.weight.T)
        else:
            self.encoder = TTLinear(inputs, features, chi=chi, factors=factors)
            self.decoder = TTLinear(features, inputs, chi=chi, factors=None if factors is None else factors[::-1])
        with torch.no_grad():
            self.encoder.bias.zero_()
            self.decoder.bias.zero_()

    @property
    def numbers(self) -> int:
        """In encoder and decoder, without biases."""
        layers = self.encoder, self.decoder
        return sum(layer.numbers if isinstance(layer, TTLinear) else layer.weight.numel() for layer in layers)

    def code(self, x: torch.Tensor) -> torch.Tensor:
        """The features of each vector, all but the largest at zero."""
        hidden = torch.relu(self.encoder(x))
        values, places = hidden.topk(self.active, dim=-1)
        return torch.zeros_like(hidden).scatter(-1, places, values)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the code stands for."""
        return self.decoder(self.code(x))

    def dictionary(self) -> torch.Tensor:
        """What every feature stands for: columns (inputs, features) of norm 1."""
        weight = self.decoder.weight.detach()
        return weight / weight.norm(dim=0, keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny)

    def bond_features(self, x: torch.Tensor) -> Sequence[np.ndarray]:
        """What vectors (one a row) become on every bond of the encoder: arrays (row, bond, rest), on the host.

        Between the inputs and the features: bond states that have taken in the later sites of the input. Raises
        ShapeError for dense matrices, which have no bonds.
        """
        if not isinstance(self.encoder, TTLinear):
            raise ShapeError("dense matrices have no bonds: make the autoencoder with chi.")
        found = bond_features(self.encoder.to_mpo(), array_of(x))
        return [np.moveaxis(np.asarray(part), 2, 1).reshape(len(part), part.shape[2], -1) for part in found]

    def train_(
        self, x: torch.Tensor, *, steps: int = 1500, rate: float = 3e-3, batch: int = 256, seed: int = 0
    ) -> list[float]:
        """Adam on the squared error, in place, the rate falling to zero; the relative losses of all steps.

        Raises NumericalError where a loss is not finite; the weights are then those of the best stretch until there
        (a fiftieth of the steps each), and finite.
        """
        if tuple(x.shape[1:]) != (self.inputs,):
            raise ShapeError(f"samples of {self.inputs} numbers are needed, found shape {tuple(x.shape)}.")
        if not len(x) or not x.any():
            raise ShapeError(f"samples that are not all zero are needed, found {len(x)} of zeros alone.")
        chooser = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.Adam(self.parameters(), lr=rate)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
        whole = x.square().sum(dim=1).mean().item()
        losses: list[float] = []
        stretch, least, best = max(1, steps // 50), inf, copy.deepcopy(self.state_dict())
        for number in range(steps):
            if number and number % stretch == 0 and fmean(losses[-stretch:]) < least:
                least, best = fmean(losses[-stretch:]), copy.deepcopy(self.state_dict())
            rows = x[torch.randint(len(x), (batch,), generator=chooser)]
            loss = (self(rows) - rows).square().sum(dim=1).mean() / whole
            losses.append(loss.item())
            if not isfinite(losses[-1]):
                self.load_state_dict(best)
                raise NumericalError(
                    f"the loss of the autoencoder became {losses[-1]} in step {number}: lower rate = {rate:g}, check "
                    f"the samples. The weights are put back to their best (mean loss {least:.3g})."
                )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        return losses
