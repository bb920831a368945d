"""The fixed point of corner transfer matrices by eigenvectors: where thousands of steps end near a critical point.

An edge E and a corner C belong together where C E = P C with an isometry P, and P carries E and a site into E again:

C--E--r       P-----r          l--P--m        l
|  |      =   |                |  |  |        |
l  s          s    ,           E--T--e   ~    E--e
                               |  |  |        |
                               k--P--r        r

Source: M. T. Fishman, L. Vanderstraeten, V. Zauner-Stauber, J. Haegeman, F. Verstraete, Phys. Rev. B 98, 235148 (2018),
section V, for lattices with all symmetries of the square.
"""

from dataclasses import replace

import numpy as np

from tnsim.algorithms.plane.corner_environment import CornerEnvironment, corner_of
from tnsim.errors import NumericalError
from tnsim.linalg import eigh
from tnsim.linalg.anderson import Anderson
from tnsim.linalg.polar import polar
from tnsim.networks.effective_plans import LEFT
from tnsim.networks.row_environments import fixed_environment
from tnsim.networks.self_dual import directed
from tnsim.networks.square_network import EAST, FLOWS, NORTH, SOUTH, WEST
from tnsim.networks.transfer import transfer_eigenpairs
from tnsim.tensor import Tensor, contract, flip_leg, transpose

# steps are mixed once they change the edge by less: far away, mixing may lead to another fixed point
_MIX_BELOW = 5e-3
# gauge and edge are found this much more precisely than the edge still changes
_FINER, _COARSE = 1e-5, 1e-6


class CornerFixedPoint:
    """Steps towards the fixed point near an environment; each costs some tens of products O(chi^3 D^2).

    Raises NumericalError where a complex pair of values leads: then only plain steps tell.
    """

    def __init__(self, environment: CornerEnvironment) -> None:
        self.tensor = environment.tensor
        self._row = transpose(directed(self.tensor, FLOWS), (WEST, NORTH, SOUTH, EAST))
        self._edge, self._gauge = environment.edge * (1 / environment.edge.norm()), environment.corner
        self._mixing = Anderson(self._edge.backend)
        self.change = 1.0  # of the edge, norm 1, by the last step

    def advance(self) -> CornerEnvironment:
        """One step: the isometry of the edge, and the edge of the isometry."""
        floor = 100 * float(np.finfo(self.tensor.dtype).eps)
        precise = max(floor, min(_COARSE, _FINER * self.change))
        isometry, gauge = self._isometry(precise)
        image = _mirrored(fixed_environment(LEFT, [isometry], [self._row], self._edge, precise))
        if contract("l p r, l p r -> ", image.conj(), self._edge).item() < 0:
            image = -image
        before, self.change = self.change, (image - self._edge).norm()
        if not np.isfinite(self.change):
            raise NumericalError("the fixed point of the corners holds NaN or Inf.")
        if self.change > _MIX_BELOW or self.change > 3 * before:
            self._mixing.forget()
            mixed = image
        else:
            mixed = _mirrored(Tensor(image.legs, self._mixing.next(self._edge.data, image.data), image.charge))
        self._edge, self._gauge = mixed, gauge
        return self._environment(image, gauge)

    def _isometry(self, precise: float) -> tuple[Tensor, Tensor]:
        """P and C > 0 of norm 1 with C E = P C: C is the dominant eigenvector of E between itself and P."""
        site = flip_leg(self._edge, 1)
        isometry, gauge = _split(self._gauge, site)
        _, (found,) = transfer_eigenpairs([isometry], [site], start=gauge, tolerance=precise)
        if found.dtype == gauge.dtype:  # else a complex pair leads, and more steps tell
            gauge = polar(found, (0,))[1]
        return _split(gauge, site)

    def _environment(self, edge: Tensor, gauge: Tensor) -> CornerEnvironment:
        """Written so that the corner is diagonal."""
        corner = gauge + directed(transpose(gauge, (1, 0)), (1, -1))
        vectors, spectrum = eigh(corner * (1 / corner.norm()))
        edge = contract("a x, a p b -> x p b", vectors.conj(), edge)
        edge = contract("x p b, b y -> x p y", edge, vectors)
        scaled = replace(spectrum, values=spectrum.values / np.abs(spectrum.values).max())
        return CornerEnvironment(corner_of(scaled, edge), edge, scaled, self.tensor)


def _split(gauge: Tensor, site: Tensor) -> tuple[Tensor, Tensor]:
    isometry, gauge = polar(contract("l m, m s r -> l s r", gauge, site), (0, 1))
    return isometry, gauge * (1 / gauge.norm())


def _mirrored(edge: Tensor) -> Tensor:
    """With the reflection that rounding would lose, norm 1."""
    edge = edge + directed(transpose(edge, (2, 1, 0)), (1, -1, -1))
    return edge * (1 / edge.norm())
