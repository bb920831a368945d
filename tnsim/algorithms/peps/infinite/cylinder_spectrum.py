"""Edge spectra: an infinite PEPS wound to an infinite cylinder, cut around, with exact boundaries.

    w0--A--e0      a column around the cylinder, ket and bra: the south bond of the last row is the north bond of the
        |          first; what lies west of it is an operator on the bonds w, rows ket and columns bra
    w1--A--e1
        |

Source: J. I. Cirac, D. Poilblanc, N. Schuch, F. Verstraete, Phys. Rev. B 83, 245134 (2011).
"""

from collections.abc import Sequence

import numpy as np

from tnsim.algorithms.peps.finite.entanglement_cut import MAX_SPACE, CutSpectrum, spectrum_of
from tnsim.algorithms.plane.site_layers import joined_layers
from tnsim.errors import NumericalError, SettingsError, ShapeError
from tnsim.networks.peps import InfinitePEPS
from tnsim.networks.square_network import EAST, NORTH, SOUTH, WEST
from tnsim.networks.unsymmetric import unsymmetric
from tnsim.tensor import Tensor, bra, contract, fuse, transpose

_TOL, _STEPS = 1e-13, 2000


def cylinder_spectrum(psi: InfinitePEPS, circumference: int) -> CutSpectrum:
    """Schmidt weights of the two halves of an infinite cylinder, `circumference` rows around; the cut is west of the
    first column of the cell.

    Both halves end in maximally mixed bonds far away, so that states which topological order or a broken symmetry
    leaves equal are all there. Fermions have periodic boundary conditions. Exact; cost O(L D^(2 L + 5) d) a column for
    L rows. Raises SettingsError where the cell does not fit around, ShapeError where the bonds span more than 4096
    states, NumericalError where the boundaries do not settle.

    >>> from tnsim.networks.sites import spin_site
    >>> neel = InfinitePEPS.product([spin_site()] * 2, ["up", "down"], [[0, 1], [1, 0]])
    >>> cylinder_spectrum(neel, 4).weights
    array([1.])
    """
    if circumference < 2 or circumference % psi.shape[0]:
        raise SettingsError(f"{circumference} rows around are no whole number of cells of {psi.shape[0]}, or one row.")
    columns = [[_plain(psi.tensor(i, j)) for i in range(circumference)] for j in range(psi.shape[1])]
    space = int(np.prod([tensor.shape[WEST] for tensor in columns[0]]))
    if space > MAX_SPACE:
        raise ShapeError(f"the bonds around span {space} states, at most {MAX_SPACE}: take fewer rows or a smaller D.")
    mirrored = [[transpose(tensor, (NORTH, WEST, SOUTH, EAST, 4)) for tensor in column] for column in columns[::-1]]
    return spectrum_of(_fixed(columns), _fixed(mirrored))


def _plain(tensor: Tensor) -> Tensor:
    """One block, which is quicker than many small ones; fermions need their sectors."""
    return tensor if tensor.group.fermionic else unsymmetric(tensor)


def _fixed(columns: Sequence[Sequence[Tensor]]) -> Tensor:
    """What many cells in the west make of the bonds, kets and bras as one leg each."""
    operator, rows = _mixed(columns[0]), range(len(columns[0]))
    for _ in range(_STEPS):
        last = operator
        for column in columns:
            operator = _around(operator, column)
        operator = operator / operator.norm()
        if (operator - last).norm() < _TOL * len(rows):
            break
    else:
        raise NumericalError(f"the boundary of the cylinder does not settle in {_STEPS} cells: its gap is too small.")
    kets, bras = rows, range(len(rows), 2 * len(rows))
    return fuse(operator, [tuple(kets), tuple(bras)])


def _mixed(column: Sequence[Tensor]) -> Tensor:
    """The maximally mixed state of the bonds west of a column: legs (kets, bras), norm 1."""
    total, words = None, [f"k{i} b{i}" for i in range(len(column))]
    for i, tensor in enumerate(column):
        bond = joined_layers(tensor, WEST)
        bond = bond / bond.norm()
        before = " ".join(words[:i])
        total = bond if total is None else contract(f"{before}, {words[i]} -> {before} {words[i]}", total, bond)
    assert total is not None
    return transpose(total, (*range(0, total.ndim, 2), *range(1, total.ndim, 2)))


def _around(operator: Tensor, column: Sequence[Tensor]) -> Tensor:
    """The operator with one more column; the bonds that close the ring (t, T) stay open up to the last row."""
    rows = range(len(column))
    words = [f"w{i}" for i in rows] + [f"W{i}" for i in rows]
    for i, ket in enumerate(column):
        north, south = f"s{i - 1}" if i else "t", f"s{i}" if i < rows[-1] else "t"
        for tensor, own in (
            (ket, [north, f"e{i}", south, f"w{i}", "p"]),
            (bra(ket), [north.upper(), f"E{i}", south.upper(), f"W{i}", "p"]),
        ):
            out = [w for w in words if w not in own] + [w for w in own if w not in words]
            operator = contract(f"{' '.join(words)}, {' '.join(own)} -> {' '.join(out)}", operator, tensor)
            words = out
    order = [f"e{i}" for i in rows] + [f"E{i}" for i in rows]
    return contract(f"{' '.join(words)} -> {' '.join(order)}", operator)
