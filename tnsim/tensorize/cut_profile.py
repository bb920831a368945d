"""Entropies of the cuts of a matrix beside those of noise: whether there is structure that a chain can use."""

from dataclasses import dataclass, field
from math import prod

import numpy as np

from tnsim.measure import gaussian_entropy, gaussian_spectrum
from tnsim.measure.entanglement import entropy_of_weights
from tnsim.networks.mpo import MPO
from tnsim.networks.mpo_gauge import operator_schmidt_values


@dataclass(frozen=True, kw_only=True, eq=False)
class CutProfile:
    """One cut of a chain. Entropies in nats; values, noise_values: singular values, descending, squares adding to 1."""

    cut: int
    shape: tuple[int, int]
    rank: int
    entropy: float
    noise_entropy: float
    values: np.ndarray = field(repr=False)
    noise_values: np.ndarray = field(repr=False)

    @property
    def gap(self) -> float:
        """Entropy that noise of this shape has more: nothing to gain at 0."""
        return self.noise_entropy - self.entropy

    def __str__(self) -> str:
        rows, columns = self.shape
        return (
            f"cut {self.cut} ({rows} x {columns}): rank {self.rank}, entropy {self.entropy:.3f}, noise "
            f"{self.noise_entropy:.3f}, gap {self.gap:.3f}"
        )


def cut_profile(mpo: MPO) -> list[CutProfile]:
    """Every cut of a chain, with a Gaussian matrix of the shape of its unfolding; cost O(L d^2 w^3).

    Make the chain with full ranks (`MPO.from_matrix(W, outs, ins)`) to judge the matrix itself.

    >>> print(cut_profile(MPO.from_matrix(np.eye(16), (4, 4), (4, 4)))[0])
    cut 0 (16 x 16): rank 1, entropy 0.000, noise 2.247, gap 2.247
    """
    sizes = [tensor.shape[1] * tensor.shape[2] for tensor in mpo.tensors]
    profiles = []
    for cut, spectrum in enumerate(operator_schmidt_values(mpo)):
        shape = prod(sizes[: cut + 1]), prod(sizes[cut + 1 :])
        profiles.append(
            CutProfile(
                cut=cut,
                shape=shape,
                rank=mpo.bond_dimensions[cut + 1],
                entropy=entropy_of_weights(spectrum.values**2),
                noise_entropy=gaussian_entropy(*shape, is_complex=mpo.dtype.kind == "c"),
                values=np.sort(spectrum.values)[::-1],
                noise_values=gaussian_spectrum(*shape),
            )
        )
    return profiles
