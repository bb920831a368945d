"""Making states smaller: by singular values, and by variational fitting."""

import numpy as np

from tnsim.errors import SettingsError, ShapeError
from tnsim.linalg import Truncation, lq, qr, svd
from tnsim.networks.canonical import canonicalize
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.scaling import scale_columns
from tnsim.tensor import Tensor, contract, from_dense


def compress(psi: MPS, truncation: Truncation) -> tuple[MPS, float]:
    """Truncate every bond by its Schmidt values; returns the state (centre 0) and the summed discarded weight.

    The norm is that of what is kept. Cost O(L d chi^3); error at most sqrt(2 * discarded weight) times the norm.
    """
    if not isinstance(truncation, Truncation):
        raise SettingsError(f"compress takes a Truncation, such as Truncation(chi_max=64), found {truncation!r}.")
    psi = canonicalize(psi, psi.L - 1)
    tensors, weight = psi.tensors.copy(), 0.0
    for i in range(psi.L - 1, 0, -1):
        u, s, tensors[i] = svd(tensors[i], (0,), truncation)
        weight += s.discarded_weight
        tensors[i - 1] = contract("l s m, m n -> l s n", tensors[i - 1], scale_columns(u, s))
    return MPS(tensors, psi.sites, 0), weight


def compress_variational(
    psi: MPS, truncation: Truncation, *, max_sweeps: int = 10, tol: float = 1e-12
) -> tuple[MPS, float]:
    """The nearest state with the bond dimensions of the truncated one; returns it and the squared distance.

    Starts from `compress` and improves one site at a time until the norm of the result, which grows to its
    overlap with the goal, changes by less than tol of it. Squared distance relative to the squared norm. Cost
    O(L d chi chi' (chi + chi')) a sweep.
    """
    start, _ = compress(psi, truncation)
    return fit(start, psi, None, max_sweeps=max_sweeps, tol=tol)


def fit(
    guess: MPS, target: MPS, operator: MPO | None = None, *, max_sweeps: int = 10, tol: float = 1e-12
) -> tuple[MPS, float]:
    """Bring `guess` as near as possible to `target` (or operator target), its bond dimensions fixed.

    Returns the state and the squared distance over the squared norm of the goal. Source: F. Verstraete,
    J. I. Cirac, cond-mat/0407066; Schollwoeck 2011, section 4.5.2.
    """
    if guess.L != target.L or guess.charge != target.charge:
        raise ShapeError(
            f"cannot fit a state of {guess.L} sites, charge {guess.charge} to {target.L}, {target.charge}."
        )
    fitter = _Fitter(canonicalize(guess, 0), target, operator)
    goal, before = fitter.goal_norm(), np.inf
    tol = max(tol, float(np.finfo(fitter.tensors[0].dtype).eps))
    for _ in range(max_sweeps):
        norm = fitter.sweep()
        if abs(norm - before) <= tol * max(goal, 1e-300):
            break
        before = norm
    state = fitter.state()
    distance = max(0.0, 1 - (state.norm() / goal) ** 2) if goal > 0 else 0.0
    return state, distance


class _Fitter:
    """Environments <guess|operator|target> and one-site updates."""

    def __init__(self, guess: MPS, target: MPS, operator: MPO | None) -> None:
        dtype = np.result_type(guess.dtype, target.dtype, *([operator.dtype] if operator else []))
        self.sites = guess.sites
        self.tensors = [tensor.astype(dtype) for tensor in guess.tensors]
        self.target = [tensor.astype(dtype) for tensor in target.tensors]
        operator = operator or MPO.identity(target.sites).to(target.backend)
        self.operator = [tensor.astype(dtype) for tensor in operator.tensors]
        length = len(self.tensors)
        # halves of <guess|operator|target>, legs (bra, op, ket): left of a site and right of it
        self.left, self.right = {0: self._end(0, 0)}, {length - 1: self._end(length - 1, -1)}
        for i in range(length - 1, 0, -1):
            self._grow_right(i)

    def _end(self, site: int, axis: int) -> Tensor:
        legs = [self.tensors[site].legs[axis], self.operator[site].legs[axis].dual, self.target[site].legs[axis].dual]
        return from_dense(np.ones((1, 1, 1), dtype=self.tensors[0].dtype), legs).to(self.tensors[0].backend)

    def goal_norm(self) -> float:
        """Norm of operator target."""
        env = None
        for w, a in zip(self.operator, self.target, strict=True):
            half = contract("a t s b, l s r -> a l t b r", w, a)
            if env is None:
                env = contract("a l t b r, a l t c u -> b r c u", half, half.conj())
            else:
                env = contract("x y z w, x y t b r, z w t c u -> b r c u", env, half, half.conj())
        assert env is not None
        return float(np.sqrt(max(0.0, np.real(env.backend.read(env.data[0])))))

    def _local(self, i: int) -> Tensor:
        """The best tensor at site i: its environment contracted with the goal.

            t
        x   |   y
        L--[W]--R
        l--[A]--r
        """
        w, a = self.operator[i], self.target[i]
        return contract("x a l, a t s b, l s r, y b r -> x t y", self.left[i], w, a, self.right[i])

    def _grow_left(self, i: int) -> None:
        bra, w, a = self.tensors[i].conj(), self.operator[i], self.target[i]
        self.left[i + 1] = contract("x a l, x t y, a t s b, l s r -> y b r", self.left[i], bra, w, a)

    def _grow_right(self, i: int) -> None:
        bra, w, a = self.tensors[i].conj(), self.operator[i], self.target[i]
        self.right[i - 1] = contract("y b r, x t y, a t s b, l s r -> x a l", self.right[i], bra, w, a)

    def sweep(self) -> float:
        """Right and back; returns the norm of the centre, which grows to the overlap with the goal."""
        last = len(self.tensors) - 1
        for i in range(last):
            self.tensors[i], _ = qr(self._local(i), (0, 1))
            self._grow_left(i)
        for i in range(last, 0, -1):
            _, self.tensors[i] = lq(self._local(i), (0,))
            self._grow_right(i)
        self.tensors[0] = self._local(0)
        return self.tensors[0].norm()

    def state(self) -> MPS:
        return MPS(self.tensors, self.sites, 0)
