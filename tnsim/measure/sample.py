"""Perfect sampling of measurement outcomes, and the product states that measurements leave."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tnsim.backend import Array, Backend, Seed, generator
from tnsim.errors import ChargeError, OperatorError, ShapeError
from tnsim.measure.local import Operator, checked_site, is_hermitian, norm_squared
from tnsim.networks.canonical import canonicalize
from tnsim.networks.mps import MPS
from tnsim.networks.precision import matching_dtype
from tnsim.networks.sites import Site
from tnsim.tensor import Tensor, contract, from_dense

Basis = str | Mapping[int, Operator] | None

# how many shots go through the chain side by side: bounds the memory
_TOGETHER = 4096
# entries of a unit vector below this are rounding
_ROUNDING = 1e-7


def sample(psi: MPS, shots: int, *, seed: Seed = None, basis: Basis = None) -> np.ndarray:
    """Independent outcomes of measuring every site: integers of shape (shots, L).

    Without `basis` an outcome is the number of a state in `site.states`. A name such as "Sx" measures that
    operator (outcomes count its eigenvalues in ascending order); a mapping gives single sites an operator's
    name or a unitary matrix, whose rows are the conjugated outcome states. Bases that break the charge are
    allowed, those that mix the fermion parity are not (OperatorError). The same seed gives the same outcomes,
    and fewer shots the first of them. Cost O(shots L d chi^2), one read a site and 4096 shots. Source: A. J.
    Ferris, G. Vidal, Phys. Rev. B 85, 165146 (2012).

    >>> from tnsim.networks.sites import spin_sites
    >>> sample(MPS.product(spin_sites(3), ["up", "down", "up"]), 2, seed=0).tolist()
    [[1, 0, 1], [1, 0, 1]]
    """
    if shots < 1:
        raise ShapeError(f"sampling needs at least one shot, found {shots}.")
    rotations = _rotations(psi, basis)
    psi = canonicalize(psi.astype(matching_dtype(psi.dtype, *rotations.values())), 0)
    norm = float(np.sqrt(norm_squared(psi)))
    tensors = [_rotated(tensor, rotations.get(i)) for i, tensor in enumerate(psi.without_symmetry().tensors)]
    rng = generator(seed)
    outcomes = np.empty((shots, psi.L), dtype=np.int64)
    for start in range(0, shots, _TOGETHER):
        points = rng.random((min(_TOGETHER, shots - start), psi.L))
        outcomes[start : start + _TOGETHER] = _through_the_chain(tensors, points, 1 / norm)
    return outcomes


def collapse(psi: MPS, *, seed: Seed = None, basis: Basis = None) -> MPS:
    """The product state that one measurement of every site leaves; arguments as in `sample`.

    The outcomes have one charge each, so that the total charge stays. Raises ChargeError for a basis that mixes
    charges: conserve less.

    >>> from tnsim.networks.sites import spin_sites
    >>> collapse(MPS.product(spin_sites(2), ["up", "down"]), seed=0)
    MPS on 2 sites, bond dimensions 1 1 1, charge (0,), float64 on numpy
    """
    rotations = _rotations(psi, basis)
    _check_charges(psi, rotations)
    outcomes = sample(psi, 1, seed=seed, basis=rotations or None)[0]
    vectors = []
    for i, (site, k) in enumerate(zip(psi.sites, outcomes.tolist(), strict=True)):
        vector = rotations[i][k].conj() if i in rotations else np.eye(site.dim)[k]
        vectors.append(np.where(np.abs(vector) > _ROUNDING, vector, 0))
    dtype = matching_dtype(psi.dtype, *rotations.values())
    return MPS.product(psi.sites, vectors, dtype=dtype, backend=psi.backend)


def _check_charges(psi: MPS, rotations: Mapping[int, np.ndarray]) -> None:
    """ChargeError for an outcome of several charges."""
    for i, rotation in rotations.items():
        charges = psi.sites[i].charges
        for row in rotation:
            found = {charges[k] for k in np.flatnonzero(np.abs(row) > _ROUNDING).tolist()}
            if len(found) > 1:
                raise ChargeError(
                    f"a state of the basis of site {i} mixes the charges {sorted(found)}, which are conserved: "
                    "collapse in a basis that keeps them, such as the sites' own states, or conserve less."
                )


def _through_the_chain(tensors: Sequence[Tensor], points: np.ndarray, scale: float) -> np.ndarray:
    """One outcome a shot and site, chosen by a number in [0, 1); the state left of a site is conditioned on them.

    state--[A]--      amplitudes of the outcomes s, for every shot
            s
    """
    backend, dtype = tensors[0].backend, tensors[0].dtype
    shots = len(points)
    outcomes = np.empty(points.shape, dtype=np.int64)
    states = backend.asarray(np.full((shots, 1), scale, dtype=dtype))
    for i, tensor in enumerate(tensors):
        left, dim, right = tensor.shape
        amplitudes = (states @ tensor.array.reshape((left, dim * right))).reshape((shots, dim, right))
        chances = _row_weights(amplitudes.reshape((shots * dim, right)), backend).reshape(shots, dim)
        outcomes[:, i] = _draw(chances, points[:, i])
        states = _conditioned(amplitudes, chances, outcomes[:, i], backend)
    return outcomes


def _row_weights(rows: Array, backend: Backend) -> np.ndarray:
    """Squared norm of every row, on the host."""
    sizes = backend.absolute(rows)
    ones = backend.asarray(np.ones((rows.shape[1], 1), dtype=sizes.dtype))
    return backend.to_host((sizes * sizes) @ ones)


def _draw(chances: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Outcomes from (shots, d) weights and numbers in [0, 1)."""
    cumulative = np.cumsum(chances.astype(np.float64), axis=1)
    reached = points[:, None] * cumulative[:, -1:] >= cumulative
    return np.minimum(reached.sum(axis=1), chances.shape[1] - 1)


def _conditioned(amplitudes: Array, chances: np.ndarray, chosen: np.ndarray, backend: Backend) -> Array:
    """The normalised states (shots, right) behind the chosen outcomes."""
    shots, dim, _ = amplitudes.shape
    factors = np.zeros((dim, shots, 1), dtype=chances.dtype)
    every = np.arange(shots)
    factors[chosen, every, 0] = 1 / np.sqrt(chances[every, chosen])
    states: Any = None
    for k in range(dim):
        part = amplitudes[:, k, :] * backend.asarray(factors[k])
        states = part if states is None else states + part
    return states


def _rotations(psi: MPS, basis: Basis) -> dict[int, np.ndarray]:
    """The unitaries whose rows are the outcomes, for the sites that are not measured in their own states."""
    if basis is None:
        return {}
    asked = dict.fromkeys(range(psi.L), basis) if isinstance(basis, str) else basis
    return {checked_site(psi, i): _rotation(psi.sites[i], asked[i], i) for i in asked}


def _rotation(site: Site, basis: Operator, place: int) -> np.ndarray:
    if isinstance(basis, str):
        matrix = site.op(basis)
        if not is_hermitian(matrix):
            raise OperatorError(f"operator {basis!r} at site {place} is not Hermitian: it cannot be measured.")
        if any(parity for parity, _ in site.by_parity(matrix)):
            raise OperatorError(
                f"operator {basis!r} at site {place} changes the fermion parity: it cannot be measured."
            )
        return np.linalg.eigh(matrix)[1].conj().T
    rotation = np.asarray(basis)
    expected = (site.dim, site.dim)
    if rotation.shape != expected or not np.allclose(rotation @ rotation.conj().T, np.eye(site.dim), atol=1e-6):
        raise ShapeError(
            f"the basis of site {place} must be a unitary matrix of shape {expected}, found shape {rotation.shape}"
            f"{'' if rotation.shape != expected else ', not unitary'}."
        )
    odd = np.abs(rotation) @ np.array(site.parities)
    if site.is_fermionic and (np.minimum(odd, np.abs(rotation).sum(axis=1) - odd) > 1e-6).any():
        raise OperatorError(f"a row of the basis of site {place} mixes even and odd numbers of fermions.")
    return rotation


def _rotated(tensor: Tensor, rotation: np.ndarray | None) -> Tensor:
    """Amplitudes of the outcomes: row k of the rotation is <k|."""
    if rotation is None:
        return tensor
    phys = tensor.legs[1]
    turn = from_dense(rotation.astype(tensor.dtype), (phys, phys.dual)).to(tensor.backend)
    return contract("t s, l s r -> l t r", turn, tensor)
