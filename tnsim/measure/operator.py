"""Expectation values of whole operators (MPO), through the same environments as DMRG."""

from collections.abc import Sequence

import numpy as np

from tnsim.errors import ShapeError
from tnsim.measure.local import norm_squared
from tnsim.networks.acting import check_acts_on
from tnsim.networks.canonical import canonicalize
from tnsim.networks.effective import absorb_site
from tnsim.networks.effective_plans import RIGHT
from tnsim.networks.environments import boundary_environment
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.site_operator import SiteOperator
from tnsim.tensor import from_dense


def expect_mpo(H: MPO, psi: MPS) -> complex:
    """<psi|H|psi> / <psi|psi>; cost O(L chi^3 d w) over the terms there are, exact.

    Raises OperatorError, ShapeError, LegError or BackendError where H does not act on psi.
    """
    check_acts_on(H, psi)
    psi = canonicalize(psi, 0)
    dtype = np.result_type(H.dtype, psi.dtype)
    tensors = [tensor.astype(dtype) for tensor in psi.tensors]
    # normalised first: identity channels are taken as isometric, the centre included
    tensors[0] = tensors[0] / norm_squared(psi) ** 0.5
    return _absorb_all(tensors, H.site_operators)


def _absorb_all(tensors: Sequence, operators: Sequence[SiteOperator]) -> complex:
    environment = boundary_environment(RIGHT, tensors[-1].legs[2], operators[-1].right, tensors[-1])
    for tensor, operator in zip(reversed(tensors), reversed(operators), strict=True):
        environment = absorb_site(RIGHT, environment, tensor, operator)
    value = environment.backend.read(environment.data[0]) if environment.size else 0.0
    return complex(value) if environment.dtype.kind == "c" else float(value)


def shifted(H: MPO, energy: float) -> MPO:
    """H - energy, in the bond dimension of H where it has channels for what has not started and what is finished.

    Every site gives up its own constant first and an equal share of the rest, so that sums over parts of the
    chain stay small too.
    """
    operators = H.site_operators
    places = _shift_places(operators)
    if not places:
        if H.sites is None:
            raise ShapeError("an MPO without sites and without identity channels cannot be shifted.")
        return H - MPO.identity(H.sites, dtype=H.dtype).to(H.backend) * energy
    entries = [H.tensors[i].backend.to_host(H.tensors[i].to_dense()).copy() for i in places]
    corners = [entry[operators[i].unit_left[0], :, :, operators[i].unit_right[1]] for i, entry in zip(places, entries)]
    constants = [corner.trace() / len(corner) for corner in corners]
    rest = (energy - sum(constants)) / len(places)
    tensors = list(H.tensors)
    for i, entry, corner, constant in zip(places, entries, corners, constants, strict=True):
        corner -= (constant + rest) * np.eye(len(corner))
        tensors[i] = from_dense(entry, tensors[i].legs).to(H.backend)
    return MPO(tensors, H.sites, is_hermitian=H.is_hermitian)


def _shift_places(operators: Sequence[SiteOperator]) -> list[int]:
    """Sites that can carry a share of a shift: from "not started" to "finished".

    Where one channel is both, as in the identity operator, shares would multiply: one site carries all.
    """
    able = [i for i, op in enumerate(operators) if op.unit_left[0] >= 0 and op.unit_right[1] >= 0]
    apart = [
        i
        for i in able
        if operators[i].unit_left[0] != operators[i].unit_right[0]
        and operators[i].unit_left[1] != operators[i].unit_right[1]
    ]
    return apart or able[:1]
