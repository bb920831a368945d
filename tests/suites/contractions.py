"""Contractions, transpositions and traces against dense NumPy, for any backend, dtype and symmetry."""

import numpy as np

from tests.suites.structures import Maker, Structure, assert_same, dense, oracle, tolerance
from tnsim.backend import Backend
from tnsim.tensor import Tensor, contract, inner, scalar, trace, transpose


def check(expression: str, *tensors: Tensor) -> Tensor:
    """`contract` equals NumPy's einsum; the result's charge is the sum of the charges."""
    result = contract(expression, *tensors)
    dtype = np.result_type(*(tensor.dtype for tensor in tensors))
    assert_same(result, oracle(expression, *map(dense, tensors)), dtype)
    if result.legs:
        group, total = result.group, result.group.identity
        for tensor in tensors:
            if tensor.legs:
                (total,) = group.fuse(total, tensor.charge)
        assert result.charge == total
    return result


def check_pairs(backend: Backend, dtype: np.dtype, structure: Structure) -> None:
    """Two tensors in every storage order: bound axes first, last, interleaved, permuted."""
    make = Maker(backend, dtype)
    a, b, c, d = structure.legs
    for charge in (None, structure.charge):
        x, y = make(a, b, c.dual, charge=charge), make(c, d.dual)
        check("a b c, c d -> a b d", x, y)
        check("a b c, c d -> d b a", x, y)
        check("c d, a b c -> b d a", y, x)
        check("a b c, c b d -> a d", x, make(c, b.dual, d))
        check("a b c, b d c -> d a", x, make(b.dual, d, c, charge=charge))
        check("a b c, d a c b e -> e d", x, make(d, a.dual, c, b.dual, d.dual, charge=charge))
        check("c a, a b -> c b", make(c.dual, a), make(a.dual, b, charge=charge))


def check_scalars_and_outer_products(backend: Backend, dtype: np.dtype, structure: Structure) -> None:
    """Results without legs, operands without legs, and nothing summed over."""
    make = Maker(backend, dtype)
    a, b, c, _ = structure.legs
    x, y = make(a, b.dual, c, charge=structure.charge), make(a, b.dual, c, charge=structure.charge)
    check("a b c, a b c ->", x.conj(), y)
    assert abs(inner(x, y) - np.vdot(dense(x), dense(y))) < tolerance(dtype) * 100
    check("a b, c d -> d a c b", make(a, b.dual), make(c, a.dual, charge=structure.charge))
    factor = scalar(2.5, dtype=dtype, backend=backend)
    check("a b, -> b a", make(a, b), factor)
    check(", a b -> a b", factor, make(a, b, charge=structure.charge))
    check(", ->", factor, factor)
    summed = contract("a b c, a b c ->", x.conj(), y)
    check("a b, -> a b", make(a, b), summed)
    assert abs((summed + factor).item() - summed.item() - 2.5) < tolerance(dtype) * 100


def check_many(backend: Backend, dtype: np.dtype, structure: Structure) -> None:
    """More than two tensors, as in an effective Hamiltonian, a closed network, and disconnected pieces."""
    make = Maker(backend, dtype)
    bond, phys, op, other = structure.legs
    left = make(bond.dual, op.dual, bond)
    site = make(op, phys, phys.dual, other.dual, charge=structure.charge)
    ket = make(bond.dual, phys, bond)
    right = make(bond.dual, other, bond)
    check("bl o kl, o s' s p, kl s kr, kr p br -> bl s' br", left, site, ket, right)
    bra, crossed = make(bond.dual, phys.dual, bond), make(op, phys.dual, phys, other.dual)
    check("kl s kr, bl s' kl, o s s' p, x o bl, kr p x ->", ket, bra, crossed, left, right)
    check("a b, c d, b e -> e c a d", make(bond, phys), make(op, bond.dual), make(phys.dual, other))
    check("a b, c, b c, -> a", make(bond, phys), make(op, charge=_charge_of(op)), make(phys.dual, op.dual),
          scalar(-1.5, dtype=dtype, backend=backend))  # fmt: skip


def _charge_of(leg):
    """A charge that the leg alone can carry."""
    return leg.charges[0]


def check_no_blocks(backend: Backend, dtype: np.dtype, structure: Structure) -> None:
    """Charges that cannot meet give a zero of the right shape."""
    if not structure.group.moduli:
        return
    make = Maker(backend, dtype)
    a = structure.legs[0]
    first, last = a.charges[0], a.charges[-1]
    x, y = make(a, charge=first), make(a.dual, charge=structure.group.dual(last))
    assert check("a, a ->", x, y).item() == 0
    z = make(a.dual, a, a)
    result = check("a, a b c -> c b", x, z)
    check("a, b, -> a b", x, make(a, charge=last), contract("a, a ->", x, y))
    far = _unreachable(structure)
    if far is not None:
        empty = make(a, a.dual, charge=far)
        assert empty.size == 0 and empty.norm() == 0
        check("a b, b c -> a c", empty, make(a, a.dual))
        check("a b -> b a", empty)
        check("a b c, c d -> a b d", make(a, a, a.dual, charge=far), result)


def _unreachable(structure: Structure):
    """A charge that no pair of sectors of the first leg can have."""
    group, leg = structure.group, structure.legs[0]
    reachable = {group.total((p, q), (1, -1)) for p in leg.charges for q in leg.charges}
    candidates = [group.charge([n] * len(group.moduli)) for n in range(12)]
    return next((charge for charge in candidates if charge not in reachable), None)


def check_transposes(backend: Backend, dtype: np.dtype, structure: Structure) -> None:
    """Permuted axes, the identity among them, and the way back."""
    a, b, c, d = structure.legs
    tensor = Maker(backend, dtype)(a, b.dual, c, d.dual, charge=structure.charge)
    for order in [(0, 1, 2, 3), (3, 2, 1, 0), (1, 0, 3, 2), (2, 3, 0, 1), (0, 2, 1, 3)]:
        turned = transpose(tensor, order)
        assert_same(turned, dense(tensor).transpose(order), dtype)
        back = transpose(turned, tuple(np.argsort(order)))
        assert back.legs == tensor.legs and (back - tensor).norm() == 0
    check("a b c d -> c a d b", tensor)


def check_traces(backend: Backend, dtype: np.dtype, structure: Structure) -> None:
    """Sums over two axes of one tensor."""
    make = Maker(backend, dtype)
    a, b, c, _ = structure.legs
    assert_same(trace(make(a, a.dual), 0, 1), np.trace(dense(Maker(backend, dtype)(a, a.dual))), dtype)
    tensor = make(b, a, c, a.dual, charge=structure.charge)
    assert_same(trace(tensor, 1, 3), np.trace(dense(tensor), axis1=1, axis2=3), dtype)
    assert_same(trace(tensor, 3, 1), np.trace(dense(tensor), axis1=1, axis2=3), dtype)
