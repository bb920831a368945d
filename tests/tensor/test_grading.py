"""Graded tensors: signs of transpositions, contractions and adjoints, against operators on Fock space."""

import numpy as np
import pytest

import tests.strict_device  # noqa: F401
from tnsim.errors import ChargeError
from tnsim.linalg import lq, qr, svd
from tnsim.networks.scaling import scale_columns, scale_rows
from tnsim.symmetry import U1, FermionParity, Group, Leg, Zn
from tnsim.tensor import (
    contract,
    diagonal,
    diagonal_of,
    eye,
    flip_leg,
    fuse,
    inner,
    random_tensor,
    split,
    transpose,
    twist,
)

N = Group(("N",), (0,), fermionic=(0,))
A_LEG = Leg(N, [(-1,), (0,), (1,)], [1, 2, 2])
B_LEG = Leg(N, [(0,), (1,), (2,)], [2, 1, 1])


def tensors(backend="numpy", dtype=np.complex128):
    legs = [
        [A_LEG, B_LEG.dual, A_LEG.dual, B_LEG],
        [B_LEG, A_LEG, A_LEG.dual, B_LEG.dual],
        [A_LEG, B_LEG, A_LEG.dual, A_LEG],
    ]
    return [random_tensor(leg, seed=n, dtype=dtype).to(backend) for n, leg in enumerate(legs)]


def test_the_order_of_contractions_does_not_matter():
    A, B, C = tensors()
    first = contract("a c d e f g, c g h i -> h a i d e f", contract("a b c d, b e f g -> a c d e f g", A, B), C)
    second = contract("a b c d, b c e f h i -> h a i d e f", A, contract("b e f g, c g h i -> b c e f h i", B, C))
    third = contract("b e f g, a g b h i d -> h a i d e f", B, contract("c g h i, a b c d -> a g b h i d", C, A))
    assert (first - second).norm() < 1e-12 * first.norm() and (first - third).norm() < 1e-12 * first.norm()
    at_once = contract("a b c d, b e f g, c g h i -> h a i d e f", A, B, C)
    assert (first - at_once).norm() < 1e-12 * first.norm()


def test_transpositions_compose_and_exchange_odd_legs():
    A, _, _ = tensors()
    moved = transpose(transpose(A, (2, 0, 3, 1)), (1, 3, 0, 2))
    assert (moved - A).norm() == 0
    odd = Leg(N, [(1,)], [1])
    pair = random_tensor([odd, odd.dual], seed=0)
    assert transpose(pair, (1, 0)).data[0] == -pair.data[0]


def test_a_device_takes_the_signs_too():
    A, B, _ = tensors()
    C, D, _ = tensors("strict")
    here = contract("a b c d, b e f g -> g a c d e f", A, B)
    there = contract("a b c d, b e f g -> g a c d e f", C, D)
    assert (here - there.to("numpy")).norm() < 1e-12
    assert (A.conj() - C.conj().to("numpy")).norm() == 0


def test_the_adjoint_of_a_contraction_is_the_contraction_of_adjoints():
    A, B, _ = tensors()
    whole = contract("a b c d, b e f g -> a c d e f g", A, B)
    assert (contract("a b c d, b e f g -> a c d e f g", A.conj(), B.conj()) - whole.conj()).norm() < 1e-12
    assert (whole.conj().conj() - whole).norm() == 0


def test_norms_are_positive_with_a_twist_on_legs_that_flow_out():
    A, _, _ = tensors()
    norm = contract("a b c d, a b c d -> ", twist(A.conj(), (1, 2)), A).item()
    assert abs(norm - inner(A, A)) < 1e-12
    assert abs(contract("a b c d, a b c d -> ", A.conj(), A).item() - norm) > 1e-3


@pytest.mark.parametrize("rows", [(0, 1), (2, 0), (3,)])
def test_factors_give_the_tensor_back(rows):
    A, _, _ = tensors()
    others = tuple(n for n in range(4) if n not in rows)
    order = (*rows, *others)
    names = "abcd"
    left, right = (" ".join(names[n] for n in part) for part in (rows, others))
    whole = transpose(A, order)
    q, r = qr(A, rows)
    assert (contract(f"{left} m, m {right} -> {left} {right}", q, r) - whole).norm() < 1e-12
    low, q = lq(A, rows)
    assert (contract(f"{left} m, m {right} -> {left} {right}", low, q) - whole).norm() < 1e-12
    u, s, v = svd(A, rows)
    for factors in ((scale_columns(u, s), v), (u, scale_rows(v, s))):
        assert (contract(f"{left} m, m {right} -> {left} {right}", *factors) - whole).norm() < 1e-12


def test_fused_legs_split_again():
    A, _, _ = tensors()
    fused = fuse(A, [(2, 0), (3, 1)], [1, -1])
    back = split(split(fused, 1, [A.legs[3], A.legs[1]]), 0, [A.legs[2], A.legs[0]])
    assert (transpose(back, (1, 3, 0, 2)) - A).norm() < 1e-14


@pytest.mark.parametrize("axis", range(4))
def test_identities_and_diagonals_leave_signs_alone(axis):
    A, _, _ = tensors(dtype=np.float64)
    leg, words = A.legs[axis], list("abcd")
    ins, out = words.copy(), words.copy()
    ins[axis], out[axis] = "x", "y"
    for first in (eye(leg.dual), transpose(eye(leg), (1, 0))):
        same = contract(f"{' '.join(ins)}, x y -> {' '.join(out)}", A, first)
        assert (same - A).norm() < 1e-14
    values = np.arange(1.0, leg.dim + 1)
    scaled = contract(f"{' '.join(ins)}, x y -> {' '.join(out)}", A, diagonal(values, leg.dual))
    assert abs(scaled.norm() - np.linalg.norm(np.moveaxis(A.to_dense(), axis, -1) * values)) < 1e-12
    assert np.array_equal(diagonal_of(diagonal(values, leg)), values)


@pytest.mark.parametrize("group", [N, Group(("P",), (2,), fermionic=(0,))])
def test_bonds_flipped_at_both_ends_stay_as_they_are(group):
    leg, other = Leg(group, [(0,), (1,)], [2, 3]), Leg(group, [(0,), (1,)], [1, 2])
    A, B = random_tensor([other, leg.dual, other.dual], seed=0), random_tensor([other, leg, other], seed=1)
    whole = contract("a x b, c x d -> a b c d", A, B)
    flipped = contract("a x b, c x d -> a b c d", flip_leg(A, 1), flip_leg(B, 1))
    assert (whole - flipped).norm() < 1e-12


def test_operators_of_two_levels_anticommute():
    """c1 c2 = -c2 c1 on the space of two levels, each an operator with an odd leg."""
    level = Leg(N, [(0,), (1,)], [1, 1])
    odd = Leg(N, [(1,)], [1])
    # (out, in, charge that leaves)
    lower = random_tensor([level, level.dual, odd], seed=0)
    first = contract("a b x, c d y -> a c b d x y", lower, lower)
    second = contract("c d y, a b x -> a c b d x y", lower, lower)
    assert (first - second).norm() < 1e-14
    assert (transpose(first, (1, 0, 3, 2, 5, 4)) - first).norm() < 1e-14


def test_groups_that_count_fermions():
    both = U1("2Sz") * Group(("N",), (0,), (0,))
    assert both.fermionic == (1,) and both.parity((5, 3)) == 1 and both.parity((3, 2)) == 0
    assert both != U1("2Sz") * U1("N") and "of fermions" in repr(both)
    assert Group(("P",), (2,), (0,)).parity((1,)) == 1 and FermionParity().parity((1,)) == 0
    with pytest.raises(ChargeError, match="even Z_n"):
        Group(("Z",), (3,), (0,))
    assert (Zn(2, "P") * Group(("N",), (0,), (0,))).fermionic == (1,)


@pytest.mark.parametrize("flow", [1, -1])
@pytest.mark.parametrize("flows", [(1, 1, 1), (-1, -1, -1), (1, -1, -1), (-1, 1, 1)])
def test_a_sum_over_a_fused_leg_is_that_over_its_members(flow, flows):
    legs = [leg if way > 0 else leg.dual for leg, way in zip((A_LEG, B_LEG, A_LEG), flows, strict=True)]
    A = random_tensor([B_LEG, *legs, A_LEG.dual], seed=0)
    B = random_tensor([A_LEG, *(leg.dual for leg in legs), B_LEG], (1,), seed=1)
    apart = contract("x a b c y, z a b c w -> x y z w", A, B)
    fused = fuse(A, [(0,), (1, 2, 3), (4,)], [1, flow, -1]), fuse(B, [(0,), (1, 2, 3), (4,)], [1, -flow, 1])
    assert (contract("x m y, z m w -> x y z w", *fused) - apart).norm() < 1e-12 * apart.norm()
    assert (split(fused[0], 1, legs) - A).norm() == 0
    swapped = fuse(B, [(0,), (2, 1, 3), (4,)], [1, -flow, 1]), fuse(A, [(0,), (2, 1, 3), (4,)], [1, flow, -1])
    assert (contract("z m w, x m y -> x y z w", *swapped) - apart).norm() < 1e-12 * apart.norm()
