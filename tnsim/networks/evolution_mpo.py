"""exp(z H) as MPOs, for any H that is one: W-I and W-II, brought to higher order by complex steps.

Source: M. P. Zaletel, R. S. K. Mong, C. Karrasch, J. E. Moore, F. Pollmann, Phys. Rev. B 91, 165112 (2015).
"""

from collections.abc import Sequence

import numpy as np

from tnsim.errors import OperatorError, SettingsError, suggest
from tnsim.networks.jordan_form import JordanSite, jordan_sites
from tnsim.networks.mpo import MPO
from tnsim.networks.precision import matching_dtype
from tnsim.symmetry import Charge, Leg
from tnsim.tensor import Tensor, from_dense

METHODS = ("W-I", "W-II")
ORDERS = (1, 2, 3, 4)


def evolution_mpos(H: MPO, factor: complex, *, order: int = 2, method: str = "W-II") -> tuple[MPO, ...]:
    """MPOs whose product is exp(factor H) up to O(factor^(order + 1)); the first acts first.

    W-II holds all products of terms of which no two cross the same bond, W-I those of which no two share a site. Both
    have bond dimension w - 1, terms of any range, and an error per site that does not grow with the chain. An order
    takes 2^(order - 1) MPOs, at complex steps (`complex_steps`). In real time factor = -1j dt, in imaginary time -dt.
    Cost O(L w^2 d^3). Raises SettingsError for an order or a method that there is not, OperatorError for what is no
    MPO between equal legs.

    >>> from tnsim.networks.operator_sum import OperatorSum
    >>> from tnsim.networks.sites import spin_sites
    >>> H = OperatorSum().add(1.0, "Sz", 0, "Sz", 1).mpo(spin_sites(2))
    >>> evolution_mpos(H, -0.1j)[1]
    MPO on 2 sites, bond dimensions 1 2 1, complex128 on numpy
    """
    if not isinstance(H, MPO):
        raise OperatorError(f"an evolution needs an MPO, found {type(H).__name__}: a sum becomes one by H.mpo(sites).")
    if method not in METHODS:
        raise SettingsError(f"unknown evolution MPO {method!r}. {suggest(method, METHODS)}")
    factor = complex(factor)
    if not np.isfinite(factor) or factor == 0:
        raise SettingsError(f"the factor of H in an exponential is finite and not zero, found {factor}.")
    sites = jordan_sites(H)
    return tuple(_one_step(H, sites, factor * part, method) for part in complex_steps(order))


def complex_steps(order: int) -> tuple[complex, ...]:
    """Parts of a step, adding up to 1, that turn a method of first order into one of this order.

    Two steps c and c* with c + c* = 1 and c^(p+1) + c*^(p+1) = 0 raise any method of order p by one, since the
    leading error of both is the same but for that power.

    >>> np.round(complex_steps(2), 12).tolist()
    [(0.5-0.5j), (0.5+0.5j)]
    """
    if order not in ORDERS:
        raise SettingsError(f"evolution MPOs come in the orders {ORDERS}, found {order!r}.")
    steps: tuple[complex, ...] = (1.0,)
    for p in range(1, order):
        shift = 0.5j * np.tan(np.pi / (2 * (p + 1)))
        steps = tuple(part * half for half in (0.5 - shift, 0.5 + shift) for part in steps)
    return steps


def _one_step(H: MPO, sites: Sequence[JordanSite], z: complex, method: str) -> MPO:
    """The MPO of first order."""
    z = z.real if z.imag == 0 else z
    dtype = matching_dtype(H.dtype, np.asarray(z))
    neutral = H.tensors[0].group.identity
    tensors = []
    for site, tensor in zip(sites, H.tensors, strict=True):
        dense = (_first if method == "W-I" else _second)(site, z)
        left, right = _order(neutral, site.left), _order(neutral, site.right)
        legs = (_leg(tensor, neutral, site.left), *tensor.legs[1:3], _leg(tensor, neutral, site.right).dual)
        rounding = 1e-13 * float(np.abs(dense).max())
        tensors.append(from_dense(dense[left][..., right].astype(dtype), legs, tolerance=rounding).to(H.backend))
    return MPO(tensors, H.sites)


def _order(neutral: Charge, charges: tuple[Charge, ...]) -> list[int]:
    """Channels (the joint end first) in the order of their charges."""
    every = (neutral, *charges)
    return sorted(range(len(every)), key=lambda c: every[c])


def _leg(tensor: Tensor, neutral: Charge, charges: tuple[Charge, ...]) -> Leg:
    every = (neutral, *charges)
    sectors = sorted(set(every))
    return Leg(tensor.group, sectors, [every.count(charge) for charge in sectors])


def _joined(A: np.ndarray, B: np.ndarray, C: np.ndarray, D: np.ndarray) -> np.ndarray:
    """One site tensor; channel 0 is start and end in one."""
    count, dim, _, width = A.shape
    dense = np.zeros((count + 1, dim, dim, width + 1), dtype=np.result_type(A, B, C, D))
    dense[0, :, :, 0], dense[1:, :, :, 0] = D, B
    dense[0, :, :, 1:], dense[1:, :, :, 1:] = np.moveaxis(C, 0, 2), A
    return dense


def _roots(z: complex) -> tuple[complex, complex]:
    """Factors of what starts and what ends a term, with product z; real where z is."""
    size = abs(z) ** 0.5
    return size, z / size


def _first(site: JordanSite, z: complex) -> np.ndarray:
    """W-I: 1 + z D, and the rest as in H; equation (7) of the source."""
    start, end = _roots(z)
    return _joined(site.A, end * site.B, start * site.C, np.eye(site.D.shape[0]) + z * site.D)


def _second(site: JordanSite, z: complex) -> np.ndarray:
    """W-II: every element from one exponential of (D, B, C, A) beside two hard-core bosons; equations (11) to (13).

    The bosons count whether the channel on the left and that on the right are taken; rows and columns of the
    exponential are their states 00, 01, 10, 11, and its first column holds all that is needed.
    """
    start, end = _roots(z)
    A, B, C = site.A, end * site.B, start * site.C
    dim, width = site.D.shape[0], A.shape[3]
    # a channel without anything keeps the shapes where there is none
    B_full = B if len(B) else np.zeros((1, dim, dim), dtype=B.dtype)
    C_full = C if width else np.zeros((1, dim, dim), dtype=C.dtype)
    dtype = np.result_type(A, B, C, z * site.D)
    new_A, new_B = np.zeros(A.shape, dtype=dtype), np.zeros(B.shape, dtype=dtype)
    for a, b_block in enumerate(B_full):
        small = np.zeros((len(C_full), 4, dim, 4, dim), dtype=dtype)
        for k in range(4):
            small[:, k, :, k] = z * site.D
        small[:, 1, :, 0] = small[:, 3, :, 2] = C_full
        small[:, 2, :, 0] = small[:, 3, :, 1] = b_block
        if len(B) and width:
            small[:, 3, :, 0] = np.moveaxis(A[a], 2, 0)
        column = _exponentials(small.reshape(len(C_full), 4 * dim, 4 * dim))[:, :, :dim].reshape(-1, 4, dim, dim)
        if len(B):
            new_B[a], new_A[a] = column[0, 2], np.moveaxis(column[:width, 3], 0, 2)
    return _joined(new_A, new_B, column[:width, 1], column[0, 0])


def _exponentials(matrices: np.ndarray) -> np.ndarray:
    """exp of a stack of small matrices, by Taylor series and squaring; error eps."""
    norm = float(np.abs(matrices).sum(axis=-1).max())
    squarings = max(0, int(np.ceil(np.log2(max(norm, 1e-300) / 0.5))))
    scaled = matrices / 2**squarings
    total = np.eye(matrices.shape[-1]) + scaled
    power = scaled
    for k in range(2, 17):
        power = power @ scaled / k
        total = total + power
    for _ in range(squarings):
        total = total @ total
    return total
