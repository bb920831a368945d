"""A row of an infinite network between a boundary MPS and its adjoint: environments, and what they make of a site.

b--conj(AL)--c        the row as sites of an operator (west, north, south, east)
|     |
L--o--W---p--         L_cpm = sum L_bok conj(AL)_bs'c W_os'sp AL_ksm
|     |
k---- AL-----m
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tnsim.backend import Array
from tnsim.errors import NumericalError
from tnsim.linalg.arnoldi import dominant
from tnsim.networks.effective_plans import LEFT, RIGHT, environment_legs
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.tensor import Tensor, contract, random_tensor

# an update of a site needs no more products: the next one goes on from its result
_KRYLOV, _RESTARTS = 20, 20


@dataclass(frozen=True, eq=False)
class RowEnvironments:
    """lefts[i]: all that lies left of site i, rights[i]: right of site i, legs (bra, op, ket); norm 1 at the cell's
    ends. value: by what a cell multiplies the left one."""

    lefts: tuple[Tensor, ...]
    rights: tuple[Tensor, ...]
    value: complex


def absorb(side: str, x: Tensor, bra: Tensor, site: Tensor, ket: Tensor) -> Tensor:
    """An environment with one site more; cost O(chi^3 d D + chi^2 d^2 D^2)."""
    if side == LEFT:
        x = contract("b o k, k s m -> b o s m", x, ket)
        x = contract("b o s m, o t s p -> b t p m", x, site)
        return contract("b t p m, b t c -> c p m", x, bra.conj())
    x = contract("c p m, k s m -> c p k s", x, ket)
    x = contract("c p k s, o t s p -> c t o k", x, site)
    return contract("c t o k, b t c -> b o k", x, bra.conj())


def row_environments(
    psi: InfiniteMPS, row: Sequence[Tensor], before: RowEnvironments | None = None, *, tolerance: float = 1e-12
) -> RowEnvironments:
    """Dominant eigenvectors from both sides; `before`: those of a state nearby.

    Cost O(n chi^3 d D) a product. Raises NumericalError where a pair of complex values leads.
    """
    lefts = [fixed_environment(LEFT, psi.AL, row, before.lefts[0] if before else None, tolerance)]
    rights = [fixed_environment(RIGHT, psi.AR, row, before.rights[-1] if before else None, tolerance)]
    for i in range(psi.L):
        lefts.append(absorb(LEFT, lefts[-1], psi.AL[i], row[i], psi.AL[i]))
    for i in range(psi.L - 1, 0, -1):
        rights.insert(0, absorb(RIGHT, rights[0], psi.AR[i], row[i], psi.AR[i]))
    value = contract("b o k, b o k -> ", lefts[0].conj(), lefts[-1]).item()
    return RowEnvironments(tuple(lefts), tuple(rights), value)


def fixed_environment(
    side: str, tensors: Sequence[Tensor], row: Sequence[Tensor], start: Tensor | None = None, tolerance: float = 1e-12
) -> Tensor:
    """The dominant eigenvector of a cell of isometries on one side, norm 1; NumericalError for a complex pair."""
    steps = list(zip(tensors, row, strict=True))
    bond, op = (tensors[0].legs[0], row[0].legs[0]) if side == LEFT else (tensors[-1].legs[2], row[-1].legs[3])
    legs, backend = environment_legs(side, bond, op), row[0].backend
    if start is None or start.legs != legs:
        start = random_tensor(legs, dtype=np.result_type(*(t.dtype for t in (*tensors, *row))), seed=0, backend=backend)

    def matvec(flat: Array) -> Array:
        x = Tensor(legs, flat)
        for tensor, site in steps if side == LEFT else reversed(steps):
            x = absorb(side, x, tensor, site, tensor)
        return x.data

    pairs = dominant(matvec, start.data, backend, tolerance=tolerance, krylov_max=20)
    vector = pairs.vectors[0]
    if vector.dtype != start.dtype:
        raise NumericalError(
            "two complex eigenvalues of equal size lead in a row of this network: there is no single boundary; take a "
            "larger cell, or write the network in another basis."
        )
    return Tensor(legs, vector)


def on_site(env: RowEnvironments, row: Sequence[Tensor], i: int, center: Tensor) -> Tensor:
    """What the row makes of the centre on site i; cost O(chi^3 d D)."""
    x = contract("b o k, k s m -> b o s m", env.lefts[i], center)
    x = contract("b o s m, o t s p -> b t p m", x, row[i])
    return contract("b t p m, c p m -> b t c", x, env.rights[i])


def on_bond(env: RowEnvironments, i: int, center: Tensor) -> Tensor:
    """What the row makes of the centre on the bond right of site i."""
    x = contract("b o k, k m -> b o m", env.lefts[i + 1], center)
    return contract("b o m, c o m -> b c", x, env.rights[i])


def gradient(env: RowEnvironments, row: Sequence[Tensor], psi: InfiniteMPS) -> float:
    """The largest part of a site's image outside of the space of AL, over the image: 0 at a fixed point."""
    worst = 0.0
    for i in range(psi.L):
        image, AL = on_site(env, row, i, psi.AC(i)), psi.AL[i]
        inside = contract("l s m, m r -> l s r", AL, contract("l s m, l s r -> m r", AL.conj(), image))
        worst = max(worst, (image - inside).norm() / (image.norm() or 1.0))
    return worst


def updated_centers(env: RowEnvironments, row: Sequence[Tensor], psi: InfiniteMPS, tolerance: float) -> list:
    """(site, bond) tensors of every site near the dominant eigenvectors of their images."""
    found = []
    for i in range(psi.L):
        site = _leading(lambda x, i=i: on_site(env, row, i, x), psi.AC(i), tolerance)
        found.append((site, _leading(lambda x, i=i: on_bond(env, i, x), psi.C[i], tolerance)))
    return found


def _leading(image, start: Tensor, tolerance: float) -> Tensor:
    pairs = dominant(
        lambda flat: image(Tensor(start.legs, flat, start.charge)).data, start.data, start.backend,
        tolerance=tolerance, krylov_max=_KRYLOV, restarts=_RESTARTS,
    )  # fmt: skip
    vector = pairs.vectors[0]
    if vector.dtype != start.dtype:
        return start
    overlap = start.backend.read(start.backend.vdot(vector, start.data))
    # the phase of the start, so that nothing turns from step to step
    phase = overlap / abs(overlap) if abs(overlap) > 0 else 1.0
    return Tensor(start.legs, vector * (phase if np.iscomplexobj(vector) else float(np.real(phase))), start.charge)
