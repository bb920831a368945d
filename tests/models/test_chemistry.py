"""Electrons in orbitals: integrals against published energies and full CI, FCIDUMP files, what is refused."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

import tnsim as tn
from tests.exact import dense
from tests.exact.full_ci import determinants, full_ci, full_matrix, hartree_fock
from tnsim.errors import FileError, SettingsError, ShapeError
from tnsim.measure.operator import expect_mpo
from tnsim.models import Integrals, QuantumChemistry, hydrogen_chain, read_fcidump, write_fcidump
from tnsim.models.chemistry.determinants import irrep_of
from tnsim.models.chemistry.hydrogen import BOHR, atomic_integrals, rotated
from tnsim.models.chemistry.orbital_order import fiedler_order
from tnsim.models.chemistry.orbital_site import irrep_charge


def symmetric(rng, K, axes=((1, 0, 2, 3), (0, 1, 3, 2), (2, 3, 0, 1))):
    """Random (pq|rs) that the axes leave unchanged."""
    array = rng.standard_normal((K,) * 4)
    for order in axes:
        array = (array + array.transpose(order)) / 2
    return array


def random_integrals(K, seed=0, core_energy=0.7):
    rng = np.random.default_rng(seed)
    h = rng.standard_normal((K, K))
    return Integrals.from_arrays(h + h.T, symmetric(rng, K), core_energy)


def unrestricted_integrals(K, seed=0):
    rng = np.random.default_rng(seed)
    h = [a + a.T for a in rng.standard_normal((2, K, K))]
    eri = (symmetric(rng, K), symmetric(rng, K, ((1, 0, 2, 3), (0, 1, 3, 2))), symmetric(rng, K))
    return Integrals.from_arrays(tuple(h), eri, -0.4)


def canonical(atoms, spacing):
    """A hydrogen chain in the orbitals of Hartree-Fock, and the energy of Hartree-Fock."""
    S, h, eri = atomic_integrals(np.arange(atoms) * spacing / BOHR)
    energy, orbitals = hartree_fock(S, h, eri, atoms // 2)
    core = hydrogen_chain(atoms, spacing).core_energy
    return rotated(h, eri, orbitals, core, electrons=atoms), energy + core


def model_of(integrals, electrons=None, **settings):
    electrons = integrals.electrons if electrons is None else electrons
    return QuantumChemistry(
        one_body=integrals.one_body, two_body=integrals.two_body, core_energy=integrals.core_energy,
        electrons=electrons, **settings,
    )  # fmt: skip


def ground_energy(model, chi=300):
    truncation = tn.Truncation(chi_max=chi, svd_min=1e-10)
    dmrg = tn.DMRG(truncation=truncation, energy_tol=1e-11, max_sweeps=30, variance_tol=1e-8)
    result = dmrg.solve(model.mpo(), model.product())
    assert result.status.converged and result.variance < 1e-9
    assert result.state.charge[:2] == (model.electrons, model.twice_spin)
    return result.energy


# -- integrals ---------------------------------------------------------------------------------------------


def test_hydrogen_molecule_of_the_textbook():
    """Szabo, Ostlund, Modern Quantum Chemistry: R = 1.4 Bohr, table 3.5 and sections 3.5.2 and 4.1."""
    integrals, energy = canonical(2, 1.4 * BOHR)
    assert energy == pytest.approx(-1.1167, abs=5e-5)
    expected = {(0, 0, 0, 0): 0.6746, (1, 1, 1, 1): 0.6975, (0, 0, 1, 1): 0.6636, (0, 1, 0, 1): 0.1813}
    assert {key: integrals.two_body[0][key] for key in expected} == pytest.approx(expected, abs=5e-5)
    np.testing.assert_allclose(integrals.one_body[0], np.diag([-1.2528, -0.4756]), atol=5e-5)
    assert full_ci(integrals, 2)[0] == pytest.approx(-1.1373, abs=5e-5)


@pytest.mark.parametrize(
    ("atoms", "spacing", "energy"),
    [(4, 1.5, -1.9961503255188), (6, 1.8, -2.88756937438597), (6, 2.2, -2.82434165111152)],
)
def test_published_full_ci_of_hydrogen_chains(atoms, spacing, energy):
    """H6: H. R. Grimsley et al., J. Chem. Theory Comput. 16, 1 (2020); H4: PNNL NWQ-Sim, vqe/example_hamiltonians.

    The length of a Bohr differs in its ninth digit from program to program.
    """
    integrals = hydrogen_chain(atoms, spacing)
    exact = full_ci(integrals, atoms)[0]
    assert exact == pytest.approx(energy, abs=1e-8)
    assert ground_energy(model_of(integrals)) == pytest.approx(exact, abs=1e-10)


def test_atomic_integrals_by_quadrature():
    """Overlap, kinetic and nuclear attraction of two contracted functions on a grid in cylinder coordinates."""
    places = np.array([0.0, 1.1])
    S, h, eri = atomic_integrals(places)
    z, r = np.meshgrid(np.linspace(-12, 13.1, 2511), np.linspace(0, 12, 1201) + 0.005, indexing="ij")
    weight = 2 * np.pi * r * 0.01 * 0.01
    exponents, weights = [3.425250914, 0.6239137298, 0.1688554040], [0.1543289673, 0.5353281423, 0.4446345422]
    functions, slopes = [], []
    for place in places:
        square = (z - place) ** 2 + r**2
        parts = [c * (2 * a / np.pi) ** 0.75 * np.exp(-a * square) for a, c in zip(exponents, weights, strict=True)]
        functions.append(sum(parts))
        pull = sum(-2 * a * part for a, part in zip(exponents, parts, strict=True))
        slopes.append((pull * (z - place), pull * r))
    attraction = sum(-1 / np.sqrt((z - place) ** 2 + r**2) for place in places)
    for i in range(2):
        for j in range(2):
            assert (weight * functions[i] * functions[j]).sum() == pytest.approx(S[i, j], abs=2e-4)
            kinetic = sum((weight * a * b).sum() for a, b in zip(slopes[i], slopes[j], strict=True)) / 2
            nuclear = (weight * attraction * functions[i] * functions[j]).sum()
            assert kinetic + nuclear == pytest.approx(h[i, j], abs=3e-3)
    # far apart, two charges of one electron each; on one atom, (11|11) of the textbook (table 3.10)
    far = atomic_integrals(np.array([0.0, 30.0]))[2]
    assert far[0, 0, 1, 1] == pytest.approx(1 / 30, abs=1e-9) and eri[0, 0, 0, 0] == pytest.approx(0.7746, abs=5e-5)


def test_determinants():
    """Energies of determinants are diagonal elements of the Hamiltonian; the start cannot be lowered by a move."""
    for integrals in (random_integrals(4, 1), unrestricted_integrals(4, 2)):
        H = dense.hamiltonian(model_of(integrals, 4).operator_sum(), (tn.electron_site(),) * 4)
        model = model_of(integrals, 4)
        names = model.product_states
        place = 0
        for site, name in zip(model.sites, names, strict=True):
            place = 4 * place + site.state(name)
        assert model.facts["energy of the start"].value == pytest.approx(H[place, place].real, abs=1e-12)
        up, down = model.determinant
        start = integrals.determinant_energy(up, down)
        for k in range(2):
            for i in (up, down)[k]:
                for a in set(range(4)) - set((up, down)[k]):
                    moved = [list(up), list(down)]
                    moved[k] = [a if x == i else x for x in moved[k]]
                    assert integrals.determinant_energy(*moved) >= start - 1e-9


@pytest.mark.parametrize("atoms", [4, 6])
def test_the_start_is_the_hartree_fock_determinant_in_any_order(atoms):
    integrals, energy = canonical(atoms, 1.0)
    order = np.random.default_rng(0).permutation(atoms)
    for one in (integrals, integrals.permuted(order)):
        model = model_of(one, atoms)
        assert model.facts["energy of the start"].value == pytest.approx(energy, abs=1e-10)
        assert tn.expect(model.product(), "N").sum() == atoms
    assert model_of(integrals).product_states == ["full"] * (atoms // 2) + ["empty"] * (atoms // 2)


# -- Hamiltonian -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("conserve", ["N,Sz", "N", None])
def test_every_order_of_the_terms_gives_the_same_hamiltonian(conserve):
    """The matrix against a sum over all p q r s, the four operators of each term in an order of its own."""
    integrals, rng = unrestricted_integrals(3, 3), np.random.default_rng(4)
    model = model_of(integrals, 3, conserve=conserve)
    H, orders = tn.OperatorSum(), list(permutations(range(4)))
    H += integrals.core_energy, "Id", 1
    upup, updown, downdown = integrals.two_body
    blocks = {("up", "up"): upup, ("up", "down"): updown, ("down", "down"): downdown}
    blocks["down", "up"] = updown.transpose(2, 3, 0, 1)
    for spin, h in zip(("up", "down"), integrals.one_body, strict=True):
        for p, q in np.ndindex(3, 3):
            H += h[p, q], f"Cdag_{spin}", p, f"C_{spin}", q
    for (s, t), eri in blocks.items():
        for p, q, r, u in np.ndindex(3, 3, 3, 3):
            written = [(f"Cdag_{s}", p), (f"Cdag_{t}", r), (f"C_{t}", u), (f"C_{s}", q)]
            # exchanged operators anticommute where none of them is the adjoint of the other
            order = orders[rng.integers(24)] if len({(s, p), (s, q), (t, r), (t, u)}) == 4 else (0, 1, 2, 3)
            sign = np.linalg.det(np.eye(4)[list(order)])
            H += eri[p, q, r, u] / 2 * round(sign), *(part for k in order for part in written[k])
    np.testing.assert_allclose(
        dense.hamiltonian(model.operator_sum(), model.sites), dense.hamiltonian(H, model.sites), atol=1e-12
    )
    np.testing.assert_allclose(model.mpo().to_dense(), dense.hamiltonian(H, model.sites), atol=1e-11)
    assert model.mpo().is_hermitian


def test_the_spectrum_is_that_of_full_ci():
    """Every sector of three orbitals, all eigenvalues, with the oracle's own Jordan-Wigner matrices."""
    for integrals in (random_integrals(3, 5), unrestricted_integrals(3, 6)):
        model = model_of(integrals, 3)
        charges = dense.charges(model.sites)
        H = dense.hamiltonian(model.operator_sum(), model.sites)
        for electrons in range(7):
            most = min(electrons, 6 - electrons)
            for twice_spin in range(-most, most + 1, 2):
                kept = (charges == np.array([electrons, twice_spin])).all(axis=1)
                found = np.linalg.eigvalsh(H[np.ix_(kept, kept)])
                expected = full_ci(integrals, electrons, twice_spin, 100)
                np.testing.assert_allclose(found, expected, atol=1e-10)


def channels(K, m):
    """Channels of a bond with m orbitals on one side: the pairs of operators on the smaller side (8 a^2 - 2 a), whose
    complementary operators stand on the other; single operators of both sides (4 K); the two ends."""
    a = min(m, K - m)
    return 8 * a**2 - 2 * a + 4 * K + 2


@pytest.mark.parametrize("K", [4, 5, 6, 7, 8])
def test_the_bond_dimension_is_that_of_complementary_operators(K):
    """Counted from the partition of G. K.-L. Chan, A. Keselman, N. Nakatani, Z. Li, S. R. White, J. Chem. Phys. 145,
    014102 (2016). block2 0.5.4 takes 178 channels (FastBipartite) or 226 (Conventional) for 8 orbitals, here 154."""
    dims = model_of(random_integrals(K), 2).mpo().bond_dimensions
    assert dims[2:-2] == tuple(channels(K, m) for m in range(2, K - 1))
    assert dims[1] == dims[-2] == 16  # all operators of one orbital
    if K % 2 == 0:
        assert max(dims) == 2 * K**2 + 3 * K + 2


def test_the_operator_is_sparse():
    """Channels times operators that are there: a few per term of the sum, not 16 times the squared bond dimension."""
    model = model_of(random_integrals(10), 4)
    W = model.mpo()
    full = max(tensor.shape[0] * tensor.shape[3] * 16 for tensor in W.tensors)
    assert max(len(site.values) for site in W.site_operators) < full / 20
    assert sum(len(site.values) for site in W.site_operators) < 6 * len(model.operator_sum())


@pytest.mark.parametrize(
    ("integrals", "electrons", "twice_spin"),
    [
        (random_integrals(4, 7), 4, 0),
        (random_integrals(4, 8), 5, 1),
        (random_integrals(5, 9), 4, 2),
        (random_integrals(5, 10), 3, -3),
        (random_integrals(6, 11), 6, 0),
        (unrestricted_integrals(4, 12), 4, 0),
        (unrestricted_integrals(5, 13), 5, -1),
        (canonical(6, 1.0)[0], 6, 0),
        (hydrogen_chain(6, 1.0), 5, 1),
    ],
    ids=lambda value: "" if isinstance(value, Integrals) else str(value),
)
def test_dmrg_finds_full_ci(integrals, electrons, twice_spin):
    exact = full_ci(integrals, electrons, twice_spin)[0]
    for order in ("given", "fiedler"):
        model = model_of(integrals, electrons, twice_spin=twice_spin, order=order)
        assert ground_energy(model) == pytest.approx(exact, abs=1e-9)


def test_the_fiedler_order_brings_neighbours_together():
    """A chain of atoms that was mixed up is a chain again; groups without exchange stay apart."""
    integrals = hydrogen_chain(8, 1.2)
    mixed = np.random.default_rng(1).permutation(8)
    order = [int(mixed[i]) for i in fiedler_order(integrals.permuted(mixed))]
    assert order in (list(range(8)), list(range(8))[::-1])
    model = model_of(integrals.permuted(mixed), order="fiedler")
    assert [int(mixed[i]) for i in model.orbital_order] == order
    eri = np.zeros((4,) * 4)
    for i, j in ((0, 2), (1, 3)):
        eri[i, j, j, i] = eri[j, i, i, j] = eri[i, j, i, j] = eri[j, i, j, i] = 0.1
    assert fiedler_order(Integrals.from_arrays(np.zeros((4, 4)), eri)) == [0, 2, 1, 3]


# -- irreps ------------------------------------------------------------------------------------------------


def with_irreps(K, seed):
    """Random integrals in which only what the irreps allow is not zero."""
    rng = np.random.default_rng(seed)
    irreps = tuple(int(i) for i in rng.integers(1, 9, K))
    made = random_integrals(K, seed)
    symmetric_ones = replace(made, irreps=irreps).symmetric()
    return Integrals.from_arrays(symmetric_ones.one_body, symmetric_ones.two_body, made.core_energy, irreps)


def levels_of(integrals, up, down, irrep):
    """Eigenvalues of full CI among determinants of an irrep."""
    _, occupations = determinants(integrals.orbitals, up, down)
    labels = np.where(occupations, np.tile(np.array(integrals.irreps) - 1, 2), 0)
    mine = np.bitwise_xor.reduce(labels, axis=1) == irrep - 1
    H = full_matrix(integrals, up, down)
    assert np.abs(H[np.ix_(mine, ~mine)]).max(initial=0.0) < 1e-13
    return np.linalg.eigvalsh(H[np.ix_(mine, mine)])


def irrep_model(integrals, electrons, **settings):
    return model_of(integrals, electrons, conserve="N,Sz,irrep", irreps=integrals.irreps, **settings)


@pytest.mark.parametrize(("K", "electrons", "twice_spin", "seed"), [(4, 4, 0, 0), (5, 4, 0, 1), (5, 5, 1, 2)])
def test_the_lowest_state_of_every_irrep(K, electrons, twice_spin, seed):
    integrals = with_irreps(K, seed)
    up, down = (electrons + twice_spin) // 2, (electrons - twice_spin) // 2
    tried = 0
    for irrep in range(1, 9):
        levels = levels_of(integrals, up, down, irrep)
        if len(levels) == 0:
            with pytest.raises(SettingsError, match=f"has irrep {irrep}"):
                irrep_model(integrals, electrons, irrep=irrep).product()
            continue
        model = irrep_model(integrals, electrons, twice_spin=twice_spin, irrep=irrep, order="fiedler")
        assert irrep_of(integrals, *model.determinant) == irrep
        assert model.product().charge == (electrons, twice_spin, *irrep_charge(irrep))
        # a local minimum 4e-4 above the ground state has a variance of 2e-3 in one of these: a second start leaves it
        dmrg = tn.DMRG(truncation=tn.Truncation(chi_max=100, svd_min=1e-10), energy_tol=1e-11, variance_tol=1e-8)
        assert dmrg.solve(model.mpo(), model.product()).energy == pytest.approx(levels[0], abs=1e-9)
        tried += 1
    assert tried > 1


def test_a_chain_has_even_and_odd_states():
    """Reflection of H6, as a subgroup of D2h: sigma_g and sigma_u alternate (Ag and B1u, 1 and 5)."""
    plain, energy = canonical(6, 1.2)
    integrals = replace(plain, irreps=(1, 5) * 3)
    assert integrals.forbidden() == ""
    ground, excited = (irrep_model(integrals.symmetric(), 6, irrep=irrep) for irrep in (None, 5))
    assert ground.facts["energy of the start"].value == pytest.approx(energy, abs=1e-10)
    exact = [levels_of(integrals, 3, 3, irrep)[0] for irrep in (1, 5)]
    assert ground_energy(replace(ground, irrep=1)) == pytest.approx(exact[0], abs=1e-9)
    found = tn.DMRG(truncation=tn.Truncation(chi_max=300, svd_min=1e-10)).solve(excited.mpo(), excited.product())
    assert found.energy == pytest.approx(exact[1], abs=1e-8) and exact[1] > exact[0] + 0.1


def test_irreps_from_a_file(tmp_path):
    path = tmp_path / "h4.fcidump"
    plain, _ = canonical(4, 1.2)
    write_fcidump(path, replace(plain, irreps=(1, 5, 1, 5)))
    model = QuantumChemistry.from_fcidump(path, conserve="N,Sz,irrep", irrep=1)
    assert model.mpo().tensors[0].legs[1].group.names[-1] == "irrep 1"
    assert ground_energy(model) == pytest.approx(full_ci(plain, 4)[0], abs=1e-9)


# -- files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "integrals", [random_integrals(4), unrestricted_integrals(4), hydrogen_chain(4, 1.5)], ids=["rhf", "uhf", "h4"]
)
def test_files_keep_every_digit(integrals, tmp_path):
    path = tmp_path / "a.fcidump"
    write_fcidump(path, integrals, electrons=4)
    back = read_fcidump(path)
    assert back.core_energy == integrals.core_energy and back.is_restricted == integrals.is_restricted
    for a, b in zip(back.one_body + back.two_body, integrals.one_body + integrals.two_body, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-15)
    assert (back.electrons, back.twice_spin, back.irreps) == (4, 0, (1,) * 4)
    model = QuantumChemistry.from_fcidump(path)
    assert model.mpo().bond_dimensions == model_of(integrals, 4).mpo().bond_dimensions


# two orbitals as other programs write them: any order of indices, orbital energies, Fortran numbers
TEXT = """ &FCI NORB=  2,NELEC= 2,MS2= 0,
  ORBSYM=1,5,
  ISYM=1
 &END
  0.6746D+00   1   1   1   1
  0.6636D+00   2   2   1   1
  0.1813D+00   1   2   2   1
  0.6975D+00   2   2   2   2
 -1.2528D+00   1   1   0   0
 -0.4756D+00   2   2   0   0
 -0.5782D+00   1   0   0   0
  0.7143D+00   0   0   0   0
"""


def test_files_of_other_programs(tmp_path):
    path = tmp_path / "h2.fcidump"
    path.write_text(TEXT)
    integrals = read_fcidump(path)
    assert integrals.irreps == (1, 5) and integrals.core_energy == 0.7143
    assert integrals.two_body[0][0, 1, 0, 1] == integrals.two_body[0][1, 0, 0, 1] == 0.1813
    # textbook: -1.8516 electronic, -1.1373 in all, to the digits given
    assert full_ci(integrals, 2)[0] == pytest.approx(-1.1373, abs=2e-4)
    model = QuantumChemistry.from_fcidump(path)
    assert model.product_states == ["full", "empty"]
    assert model.facts["energy of the start"].value == pytest.approx(-2 * 1.2528 + 0.6746 + 0.7143)
    for header in ("&FCI NORB=2,NELEC=2,ORBSYM=2*1 /", "$fci norb=2 nelec=2 ms2=0 orbsym=1,1, uhf=.false. $end"):
        path.write_text(header + TEXT[TEXT.index("&END") + 4 :])
        np.testing.assert_array_equal(read_fcidump(path).two_body[0], integrals.two_body[0])


@pytest.mark.parametrize("before", ["\n \n", "\ufeff", "\ufeff\n"], ids=["blank lines", "byte order mark", "both"])
def test_files_of_other_editors(before, tmp_path):
    path = tmp_path / "h2.fcidump"
    path.write_text(before + TEXT.replace("ISYM=1", "UHF=.FALSE."), encoding="utf-8")
    assert read_fcidump(path).determinant_energy([0], [0]) == pytest.approx(-1.1167, abs=2e-4)


def edited(old, new):
    return TEXT.replace(old, new)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: an FCIDUMP file begins with &FCI, found ''"),
        ("1.0 1 1 1 1\n", "line 1: an FCIDUMP file begins with &FCI"),
        (edited(" &END", ""), "the header that begins with &FCI is not closed"),
        (edited("NORB=  2,", ""), r"the header \(lines 1 to 4\) has no NORB"),
        (edited("NELEC= 2,", ""), "has no NELEC: add NELEC="),
        (edited("NORB=  2", "NORB= x"), "line 1: NORB takes whole numbers, found 'x'"),
        (edited("NORB=  2", "NORB= 0"), "line 1: NORB must be a number of orbitals, at least 1, found 0"),
        (edited("NELEC= 2", "NELEC= 5"), "NELEC must be 0 to 4 electrons, two for each of 2 orbitals, found 5"),
        (edited("MS2= 0", "MS2= 1"), "MS2 must be 2 Sz of the electrons, -2 to 2 in steps of 2, found 1"),
        (edited("MS2= 0", "MS2= 4"), "MS2 must be .* found 4"),
        (edited("=1,5", "=1,5,1"), "line 2: ORBSYM must be one irrep for each of the 2 orbitals, found 3 numbers"),
        (edited("ISYM=1", "IUHF=2"), "line 3: IUHF must be 0 or 1, found 2"),
        (edited("2   2   1   1", "2   3   1   1"), "line 6: index 3 is out of range, orbitals are 1 to NORB = 2"),
        (edited("2   2   1   1", "2   2   1   0"), "line 6: the indices 2 2 1 0 name no integral"),
        (edited("2   2   1   1", "2   2   1"), "line 6: an element is a real number and four indices"),
        (edited("2   2   1   1", "2   2   1  -1"), "line 6: index -1 is out of range"),
        (edited("2   2   1   1", "2   2   1  1.5"), "line 6: an element is a real number and four indices"),
        (edited("0.6636D+00", "NaN"), "line 6: the integral is NaN: it must be finite"),
        (edited("0.6636D+00", "0.66x"), "line 6: '0.66x' is no number"),
        (edited("0.6636D+00", "(0.6636,0.0)"), "line 6: .* is no number: complex integrals are not read"),
        (
            TEXT + " 0.9 1 1 2 2\n",
            r"line 13: 0.9 for 1 1 2 2 contradicts line 6, 0.6636 for 2 2 1 1: with real orbitals a Hermitian",
        ),
        (
            edited(" -0.4756D+00   2   2   0   0", " 0.1 1 2 0 0\n 0.2 2 1 0 0\n 1 2 2 0 0"),
            "line 11: .* contradicts line 10",
        ),
        (TEXT + " 0.9 0 0 0 0\n", "line 13: a second core energy 0.9, after 0.7143 in line 12 .*needs IUHF=1"),
        (edited("  0.7143D+00   0   0   0   0\n", ""), "no line for the core energy .* cut short"),
        (edited("NORB=  2", "NORB=  3").replace("=1,5", "=1,5,1"), "orbital 3 is in no integral, though NORB = 3"),
        (TEXT + " 0.3 1 2 0 0\n", "the integral 1 2 = 0.3 vanishes by symmetry, irreps 1 5 .ORBSYM.: correct"),
        (edited("ISYM=1", "UHF=.TRUE."), "line 3: UHF must be .FALSE.: files of spin orbitals are not read; .* IUHF=1"),
        ("\n\n1.0 1 1 1 1\n", "line 3: an FCIDUMP file begins with &FCI"),
        ("\n" + edited("2   2   1   1", "2   3   1   1"), "line 7: index 3 is out of range"),
        (edited("ISYM=1", "ISYM=1,IUHF=1"), "six lines with indices 0 0 0 0, found 1"),
    ],
)
def test_bad_files(text, message, tmp_path):
    path = tmp_path / "bad.fcidump"
    path.write_text(text)
    with pytest.raises(FileError, match=f"bad.fcidump.*{message}"):
        read_fcidump(path)


def test_bad_unrestricted_files(tmp_path):
    path = tmp_path / "bad.fcidump"
    write_fcidump(path, unrestricted_integrals(2), electrons=2)
    lines = path.read_text().splitlines()
    first_end = next(n for n, line in enumerate(lines) if line.split()[1:] == ["0"] * 4)
    path.write_text("\n".join(lines[:-1]))
    with pytest.raises(FileError, match="six lines with indices 0 0 0 0, found 5"):
        read_fcidump(path)
    path.write_text("\n".join([*lines[:first_end], " 0.5 0 0 0 0", *lines[first_end + 1 :]]))
    with pytest.raises(FileError, match=f"line {first_end + 1}: the end of a block is a line of zeros, found 0.5"):
        read_fcidump(path)
    path.write_text("\n".join([*lines[:first_end], " 0.5 1 1 0 0", *lines[first_end:]]))
    with pytest.raises(FileError, match="0.5 for 1 1 0 0 does not belong in the block of up-up"):
        read_fcidump(path)
    with pytest.raises(FileError, match="cannot be read"):
        read_fcidump(tmp_path)
    with pytest.raises(FileError, match="cannot be written"):
        write_fcidump(tmp_path, hydrogen_chain(2, 1.0))
    with pytest.raises(FileError, match="needs a number of electrons"):
        write_fcidump(path, random_integrals(2))


# -- settings ----------------------------------------------------------------------------------------------


def test_a_model_knows_its_file_again(tmp_path, monkeypatch):
    path = tmp_path / "h4.fcidump"
    write_fcidump(path, hydrogen_chain(4, 1.5))
    monkeypatch.chdir(tmp_path)
    model = QuantumChemistry(fcidump="h4.fcidump")
    assert model.fcidump == str(path) and model.L == model.electrons == 4 and model.twice_spin == 0
    again = replace(model, order="fiedler", conserve="N")
    assert again.mpo().bond_dimensions == model.mpo().bond_dimensions
    # found under its name in the current folder, read only when needed
    moved = replace(model, fcidump="/nowhere/h4.fcidump")
    assert moved.facts["energy of the start"].value == model.facts["energy of the start"].value
    path.write_text(path.read_text().replace("NELEC=4", "NELEC=2"))
    changed = replace(model)
    assert len(changed.facts) == 0 and changed.product is not None
    with pytest.raises(FileError, match="is not the file that this run was made from: its SHA-256"):
        changed.mpo()
    path.unlink()
    with pytest.raises(FileError, match="no FCIDUMP file .*h4.fcidump, nor in the current folder"):
        replace(model).mpo()


def test_rounded_integrals_are_made_symmetric():
    integrals, rng = unrestricted_integrals(3, 16), np.random.default_rng(17)
    noisy = [array + 1e-10 * rng.standard_normal(array.shape) for array in integrals.one_body + integrals.two_body]
    made = Integrals.from_arrays(noisy[:2], noisy[2:])
    assert model_of(made, 3).mpo().is_hermitian
    for a, b in zip(made.one_body + made.two_body, integrals.one_body + integrals.two_body, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)
    one = hydrogen_chain(3, 1.0)
    again = Integrals.from_arrays(one.one_body, one.two_body)
    assert again.is_restricted and not made.is_restricted


def test_arrays_and_sectors():
    integrals = hydrogen_chain(4, 1.0)
    model = model_of(integrals, 3)
    assert (model.L, model.electrons, model.twice_spin) == (4, 3, 1)
    assert model == model_of(integrals, 3) != model_of(hydrogen_chain(4, 1.1), 3)
    assert replace(model, electrons=2, twice_spin=2).product().charge == (2, 2)
    assert "checksum" not in repr(model)
    for electrons in range(9):
        most = min(electrons, 8 - electrons)
        for twice_spin in range(-most, most + 1, 2):
            assert model_of(integrals, electrons, twice_spin=twice_spin).product().charge == (electrons, twice_spin)


BAD = random_integrals(3)
LOPSIDED = np.arange(9.0).reshape(3, 3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: QuantumChemistry(), SettingsError, "needs integrals: fcidump="),
        (lambda: QuantumChemistry(fcidump="/nowhere"), FileError, "there is no FCIDUMP file /nowhere"),
        (lambda: QuantumChemistry(fcidump="a", one_body=np.eye(2)), SettingsError, "found both"),
        (lambda: model_of(BAD), SettingsError, "needs the number of electrons"),
        (lambda: model_of(BAD, 7), SettingsError, "N = 7 electrons do not fit: there is room for 0 to 6"),
        (lambda: model_of(BAD, -1), SettingsError, "room for 0 to 6"),
        (lambda: model_of(BAD, 3, twice_spin=0), SettingsError, "cannot have 2 Sz = 0, but -3 to 3 in steps of 2"),
        (lambda: model_of(BAD, 5, twice_spin=3), SettingsError, "5 electrons in 3 orbitals cannot have 2 Sz = 3"),
        (lambda: model_of(BAD, 3, L=4), SettingsError, "L = 4, but there are integrals for 3 orbitals"),
        (lambda: model_of(BAD, 3, order="fidler"), SettingsError, 'Did you mean "fiedler"'),
        (lambda: model_of(BAD, 3, irrep=1), SettingsError, "irrep = 1 with conserve = 'N,Sz'"),
        (lambda: model_of(BAD, 3, irrep=9, conserve="N,Sz,irrep"), SettingsError, "a number from 1 to 8"),
        (lambda: model_of(BAD, 3, conserve="N,irrep").mpo(), SettingsError, "every orbital has one"),
        (lambda: model_of(BAD, 3, irreps=(1, 2, 0)), SettingsError, "irreps are numbers from 1 to 8"),
        (lambda: model_of(BAD, 3, irreps=(1, 2)), SettingsError, "3 orbitals need as many irreps, found 2"),
        (lambda: model_of(BAD, 3, irreps=(1, 1, 2)), SettingsError, "vanishes by symmetry, irreps 1 2: correct"),
        (lambda: model_of(BAD, 3).infinite_mpo(), SettingsError, "do not repeat"),
        (lambda: model_of(BAD, 3).infinite_sum(), SettingsError, "do not repeat"),
        (lambda: Integrals.from_arrays(LOPSIDED, BAD.two_body[0]), SettingsError, r"h_pq and h_qp differ, \[0, 2\]"),
        (
            lambda: Integrals.from_arrays(np.eye(3), symmetric(np.random.default_rng(0), 3).transpose(0, 2, 1, 3)),
            SettingsError,
            r"look like physicists' integrals <pr\|qs>: give two_body.transpose",
        ),
        (lambda: Integrals.from_arrays(np.eye(3) * 1j, BAD.two_body[0]), SettingsError, "only integrals of real"),
        (lambda: Integrals.from_arrays(np.eye(3), np.full((3,) * 4, np.nan)), SettingsError, r"two_body\[0, 0, 0, 0\]"),
        (lambda: Integrals.from_arrays(np.eye(3), np.zeros((2,) * 4)), ShapeError, r"needs shape \(3, 3, 3, 3\)"),
        (lambda: Integrals.from_arrays(np.eye(3), np.zeros((3, 3))), ShapeError, "4 axes, or 3 for .up-up"),
        (lambda: Integrals.from_arrays(np.eye(3), BAD.two_body[0], np.nan), SettingsError, "core_energy must be"),
        (lambda: Integrals.from_arrays(np.eye(3), BAD.two_body[0], "x"), SettingsError, "core_energy must be .* 'x'"),
        (lambda: model_of(replace(BAD, core_energy="x"), 2), SettingsError, "core_energy must be a finite real number"),
        (lambda: model_of(replace(BAD, core_energy=1j), 2), SettingsError, "core_energy must be"),
        (lambda: model_of(BAD, "2"), SettingsError, "electrons must be of type int . None, found '2'"),
        (lambda: model_of(BAD, float("nan")), SettingsError, "electrons must be of type int . None, found nan"),
        (lambda: model_of(BAD, 2, L="3"), SettingsError, "L must be of type int"),
        (lambda: model_of(BAD, 2, irreps="abc"), SettingsError, "irreps are whole numbers from 1 to 8.*'abc'"),
        (lambda: model_of(BAD, 2, irreps=3), SettingsError, "irreps are whole numbers from 1 to 8.*found 3"),
        (lambda: QuantumChemistry(fcidump=3), SettingsError, "fcidump must be of type str, found 3"),
        (lambda: Integrals.from_arrays([["a"]], np.zeros((1,) * 4)), SettingsError, "one_body holds numbers, found"),
        (lambda: Integrals.from_arrays([[1.0, 2.0], [3.0]], BAD.two_body), ShapeError, "rows of one length"),
        (lambda: Integrals.from_arrays(([[1.0, 2.0], [3.0]],) * 2, BAD.two_body), ShapeError, "rows of one length"),
        (lambda: write_fcidump("x", BAD, electrons=-2), SettingsError, "N = -2 electrons do not fit"),
        (lambda: write_fcidump("x", BAD, electrons="2"), SettingsError, "N = 2 electrons do not fit"),
        (lambda: write_fcidump("x", BAD, electrons=2, twice_spin=1), SettingsError, "cannot have 2 Sz = 1"),
        (lambda: hydrogen_chain(1, 1.0), SettingsError, "at least 2 atoms"),
        (lambda: hydrogen_chain(2.5, 1.0), SettingsError, "a whole number of atoms, .* found 2.5 and 1.0"),
        (lambda: hydrogen_chain(2, "1"), SettingsError, "spacing must be a finite real number"),
    ],
)  # fmt: skip
def test_bad_settings(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("integrals", [random_integrals(10, 14), hydrogen_chain(12, 1.0)], ids=["random", "h12"])
def test_large_operators_keep_their_digits(integrals):
    """Determinants, and states that two determinants share, whose energy holds one element in between."""
    K, rng = integrals.orbitals, np.random.default_rng(15)
    model = model_of(integrals, K)
    W, names = model.mpo(), {(0, 0): "empty", (1, 0): "up", (0, 1): "down", (1, 1): "full"}
    for _ in range(4):
        up, down = (np.sort(rng.permutation(K)[: K // 2]) for _ in range(2))
        filled = [(int(i in up), int(i in down)) for i in range(K)]
        first = model.product([names[pair] for pair in filled])
        exact = integrals.determinant_energy(up, down)
        assert expect_mpo(W, first) == pytest.approx(exact, abs=1e-10)
        i, a = rng.choice(up), rng.choice(np.setdiff1d(np.arange(K), up))
        moved = np.sort(np.append(np.setdiff1d(up, [i]), a))
        filled = [(int(k in moved), pair[1]) for k, pair in enumerate(filled)]
        second = model.product([names[pair] for pair in filled])
        # Slater and Condon: the sign is that of moving one electron past those between
        eri, eri_mixed = integrals.two_body[0], integrals.two_body[1]
        others = np.setdiff1d(up, [i])
        element = integrals.one_body[0][a, i] + eri_mixed[a, i, down, down].sum()
        element += (eri[a, i, others, others] - eri[a, others, others, i]).sum()
        low, high = min(a, i), max(a, i)
        between = np.count_nonzero((up > low) & (up < high)) + np.count_nonzero((down >= low) & (down < high))
        energies = [integrals.determinant_energy(u, down) for u in (up, moved)]
        expected = sum(energies) / 2 + (-1) ** between * element
        assert expect_mpo(W, first + second) == pytest.approx(expected, abs=1e-10)
