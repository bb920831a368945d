"""Orthogonal gates across the cut of a chain that take entanglement away before it is cut, as a layer of MERA does."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from tnsim.errors import SettingsError, ShapeError, check_fields
from tnsim.networks.mpo import MPO
from tnsim.networks.rank_rule import RankRule


@dataclass(frozen=True, kw_only=True, eq=False)
class DisentangledChain:
    """G_out M G_in with M a chain of two sites and gates that are the identity but on the `span` states of each site
    next to the cut; gates None: they do not pay, and M is the plain chain.

    numbers: of chain and gates; errors in the Frobenius norm, relative; plain_error: of a chain of as many numbers.
    """

    mpo: MPO
    gate_out: np.ndarray | None = field(repr=False)
    gate_in: np.ndarray | None = field(repr=False)
    span: int
    error: float
    plain_error: float

    @property
    def numbers(self) -> int:
        gates = sum(gate.size for gate in (self.gate_out, self.gate_in) if gate is not None)
        return gates + sum(tensor.size for tensor in self.mpo.tensors)

    def to_matrix(self) -> np.ndarray:
        """The whole matrix."""
        matrix = np.asarray(self.mpo.to_matrix())
        outs, ins = ([t.shape[axis] for t in self.mpo.tensors] for axis in (1, 2))
        if self.gate_out is not None:
            matrix = _apply(self.gate_out, matrix, outs, self.span)
        if self.gate_in is not None:
            matrix = _apply(self.gate_in.T, matrix.T, ins, self.span).T
        return matrix

    def gates(self) -> list[tuple[str, tuple[int, int], np.ndarray]]:
        """(side, the two legs of span states it acts on, orthogonal matrix), as a list for circuits: out gates act
        after the chain, in gates before it."""
        found = (("out", self.gate_out), ("in", self.gate_in))
        return [(side, (1, 2), gate) for side, gate in found if gate is not None]


@dataclass(frozen=True, kw_only=True)
class Disentangler:
    """Alternates between the best chain for given gates (SVD) and the best gate for a given chain (Procrustes)."""

    span: int = field(default=2, metadata={"help": "states of each site that a gate acts on; it has span^4 numbers"})
    sweeps: int = field(default=30, metadata={"help": "alternations at most"})
    tol: float = field(default=1e-5, metadata={"help": "converged: the error changes by less in a sweep"})

    def __post_init__(self) -> None:
        check_fields(self)
        if self.span < 2 or self.sweeps < 1 or self.tol < 0:
            raise SettingsError(f"span >= 2, sweeps >= 1 and tol >= 0 are needed, found {self}.")

    def solve(
        self, matrix: np.ndarray, out_factors: Sequence[int], in_factors: Sequence[int], params: int
    ) -> DisentangledChain:
        """Chain and gates of at most `params` numbers together: never worse than the plain chain of as many.

        Every step lowers the error. Cost a sweep of one SVD of the matrix. Source: G. Evenbly, G. Vidal, Phys. Rev. B
        79, 144108 (2009), section IV for gates from environments.

        >>> rng = np.random.default_rng(0)
        >>> found = Disentangler().solve(rng.standard_normal((16, 16)), (4, 4), (4, 4), 160)
        >>> bool(found.error <= found.plain_error), found.numbers <= 160
        (True, True)
        """
        if len(out_factors) != 2 or len(in_factors) != 2 or any(f % self.span for f in (*out_factors, *in_factors)):
            raise ShapeError(
                f"gates act across the cut of two sites whose factors are multiples of span = {self.span}, found "
                f"{tuple(out_factors)} and {tuple(in_factors)}."
            )
        whole = float(np.linalg.norm(matrix))
        plain = MPO.from_matrix(matrix, out_factors, in_factors, RankRule(params=params))
        plain_error = float(np.linalg.norm(matrix - plain.to_matrix())) / whole
        best = DisentangledChain(
            mpo=plain, gate_out=None, gate_in=None, span=self.span, error=plain_error, plain_error=plain_error
        )
        left = params - 2 * self.span**4
        if left < sum(o * i for o, i in zip(out_factors, in_factors, strict=True)):
            return best
        found = self._alternate(matrix, out_factors, in_factors, RankRule(params=left))
        mpo, u, v, error = *found[:3], found[3] / whole
        if error > 0.999 * plain_error - 1e-14:  # no gain beyond rounding
            return best
        return DisentangledChain(mpo=mpo, gate_out=u, gate_in=v, span=self.span, error=error, plain_error=plain_error)

    def _alternate(
        self, matrix: np.ndarray, outs: Sequence[int], ins: Sequence[int], rule: RankRule
    ) -> tuple[MPO, np.ndarray, np.ndarray, float]:
        u, v, before = np.eye(self.span**2), np.eye(self.span**2), np.inf
        for _ in range(self.sweeps):
            inner = _apply(v, _apply(u.T, matrix, outs, self.span).T, ins, self.span).T
            mpo = MPO.from_matrix(inner, outs, ins, rule)
            chain = np.asarray(mpo.to_matrix())
            error = float(np.linalg.norm(inner - chain))
            if before - error <= self.tol * error:
                break
            before, kept = error, (mpo, u, v, error)
            u = _procrustes(matrix, _apply(v.T, chain.T, ins, self.span).T, outs, self.span)
            v = _procrustes(_apply(u.T, matrix, outs, self.span).T, chain.T, ins, self.span).T
        return kept


def _split(matrix: np.ndarray, dims: Sequence[int], span: int) -> np.ndarray:
    """Rows as (before, span^2 states at the cut, behind), columns as they are."""
    return matrix.reshape(dims[0] // span, span * span, dims[1] // span, -1)


def _apply(gate: np.ndarray, matrix: np.ndarray, dims: Sequence[int], span: int) -> np.ndarray:
    """A gate on the rows of a matrix."""
    return np.einsum("pq,aqbc->apbc", gate, _split(matrix, dims, span)).reshape(prod(dims), -1)


def _procrustes(wanted: np.ndarray, given: np.ndarray, dims: Sequence[int], span: int) -> np.ndarray:
    """The orthogonal gate that brings `given` nearest to `wanted`."""
    environment = np.einsum("apbc,aqbc->pq", _split(wanted, dims, span), _split(given, dims, span))
    left, _, right = np.linalg.svd(environment)
    return left @ right
