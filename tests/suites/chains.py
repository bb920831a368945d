"""Chains of every symmetry, random states on them, and their dense vectors."""

from dataclasses import dataclass

import numpy as np
import pytest

from tnsim.backend import Backend
from tnsim.networks.mps import MPS
from tnsim.networks.sites import Site, electron_site, spin_sites
from tnsim.symmetry import U1, Zn


@dataclass(frozen=True)
class Chain:
    """Sites, a charge that is not the identity where there is one, and operator names with and without charge."""

    name: str
    sites: tuple[Site, ...]
    charge: tuple[int, ...]
    neutral: tuple[str, str]
    ladder: tuple[str, str]


def spinful_site() -> Site:
    """Four states with two conserved numbers (2 Sz, and the number of particles modulo 2), one sector of two."""
    raising, pair, number = np.zeros((4, 4)), np.zeros((4, 4)), np.diag([1.0, 0.0, 2.0, 1.0])
    raising[3, 0] = pair[2, 1] = 1.0
    operators = {
        "Id": np.eye(4), "Sz": np.diag([-0.5, 0.0, 0.0, 0.5]), "S+": raising, "S-": raising.T.copy(), "N": number,
        "Pair": pair, "Turn": 1j * (pair - pair.T),
    }  # fmt: skip
    charges = ((-1, 1), (0, 0), (0, 0), (1, 1))
    return Site("spinful", ("down", "empty", "full", "up"), U1("2Sz") * Zn(2, "N"), charges, operators)


CHAINS = [
    Chain("trivial", spin_sites(6, conserve=None), (), ("Sz", "Sx"), ("S+", "Sy")),
    Chain("U1", spin_sites(6), (2,), ("Sz", "Id"), ("S+", "S-")),
    Chain("Z2", spin_sites(6, conserve="parity"), (1,), ("Sz", "Id"), ("S+", "Sx")),
    Chain("spin-1", spin_sites(4, S=1), (-2,), ("Sz", "Sz Sz"), ("S+", "S-")),
    Chain("spin-1-Z2", spin_sites(4, S=1, conserve="parity"), (1,), ("Sz", "Sz Sz"), ("Sx", "Sy")),
    Chain("U1xZ2", (spinful_site(),) * 4, (1, 1), ("N", "Turn"), ("S+", "S-")),
    Chain("electrons", (electron_site(),) * 4, (3, 1), ("N_up", "Sz"), ("Cdag_down", "C_down")),
    Chain("mixed", (*spin_sites(2), *spin_sites(2, S=1), *spin_sites(1)), (3,), ("Sz", "Id"), ("S-", "S+")),
]

# one chain a kind of symmetry, for what runs on every device
FEW_CHAINS = [CHAINS[0], CHAINS[1], CHAINS[5], CHAINS[6]]

# every dtype on the host and on a GPU, single and double, real and complex on the make-believe devices
PLACES = [
    *[pytest.param("numpy", np.dtype(char), id=f"numpy-{np.dtype(char)}") for char in "fdFD"],
    *[pytest.param("strict", np.dtype(char), id=f"strict-{np.dtype(char)}") for char in "dF"],
    *[pytest.param("cuda-host", np.dtype(char), id=f"cuda-host-{np.dtype(char)}") for char in "fD"],
    *[pytest.param("cupy", np.dtype(char), id=f"cupy-{np.dtype(char)}", marks=pytest.mark.gpu) for char in "fdFD"],
]


def random_state(chain: Chain, dtype: np.dtype, *, chi: int = 8, seed: int = 1, norm: float = 1.3) -> MPS:
    """A random state of the chain's charge, on the host; its norm is not 1 and it has no centre at hand."""
    psi = MPS.random(chain.sites, chi=chi, charge=chain.charge, seed=seed, dtype=dtype, backend="numpy") * norm
    return MPS(psi.tensors, psi.sites, None)


def vector(psi: MPS) -> np.ndarray:
    """All amplitudes on the host."""
    return psi.backend.to_host(psi.to_dense())


def relative(psi: MPS) -> np.ndarray:
    """The normalised amplitudes on the host, in double precision."""
    amplitudes = vector(psi)
    amplitudes = amplitudes.astype(np.complex128 if amplitudes.dtype.kind == "c" else np.float64)
    return amplitudes / np.linalg.norm(amplitudes)


def tolerance(dtype: np.dtype) -> float:
    """What holds for numbers of order one after a sweep through a short chain."""
    return 3e-5 if np.dtype(dtype).char in "fF" else 1e-12


def all_on(psi: MPS, backend: Backend) -> bool:
    return all(tensor.backend is backend for tensor in psi.tensors)
