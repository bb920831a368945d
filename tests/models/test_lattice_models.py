"""Models on lattices against exact diagonalisation and published clusters; couplings that vary; what is refused."""

import pickle
from itertools import combinations

import numpy as np
import pytest

import tnsim as tn
from tests.exact import dense, sparse
from tests.models.test_models import check_model
from tnsim.errors import SettingsError, StateError
from tnsim.models import (
    AKLT,
    J1J2,
    J1J2J3,
    MODELS,
    XX,
    XXZ,
    XYZ,
    HaldaneShastry,
    Heisenberg,
    Lattice,
    LatticeModel,
    MajumdarGhosh,
    TransverseIsing,
)  # fmt: skip
from tnsim.models.unit_cells import UNIT_CELLS
from tnsim.networks.sites import spin_site


def cluster(kind: str, **options) -> Lattice:
    """Six to eight sites."""
    sizes = {"chain": (7,), "honeycomb": (2, 2), "kagome": (2, 1)}
    return Lattice(kind, *sizes.get(kind, (3, 2)), **options)


def matrix_of(model) -> np.ndarray:
    return dense.hamiltonian(model.operator_sum(), model.sites)


def by_distance(lattice: Lattice, strengths: dict[float, float]) -> np.ndarray:
    """sum J(d) S_i . S_j from the positions alone, by Kronecker products."""
    sites = [spin_site()] * len(lattice)
    H = np.zeros((2 ** len(lattice),) * 2, complex)
    for i, j in combinations(range(len(lattice)), 2):
        for distance, J in strengths.items():
            if abs(np.linalg.norm(lattice.positions[i] - lattice.positions[j]) - distance) < 1e-9:
                H += J * sum(dense.place(sites, [(a, i), (a, j)]) for a in ("Sx", "Sy", "Sz"))
    return H


def solve(model, chi=120, **options) -> tn.Solution:
    options = {"max_sweeps": 20, "chi_ramp": (chi // 4, chi // 2), "energy_tol": 1e-11} | options
    return tn.DMRG(truncation=tn.Truncation(chi_max=chi, svd_min=1e-10), **options).solve(model.mpo(), model.product())


# -- spins -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", UNIT_CELLS)
@pytest.mark.parametrize("name", [name for name, cls in MODELS.items() if issubclass(cls, LatticeModel)])
def test_every_model_on_every_lattice(name, kind):
    """The MPO against Kronecker sums, and energies where they are known, on strips and cylinders of few sites."""
    cls = MODELS[name]
    if cls.kinds and kind not in cls.kinds:
        return
    few = cls(L=2).sites[0].dim > 2
    sizes = {
        "chain": (4,) if few else (6,),
        "honeycomb": (1, 2) if few else (3, 1),
        "kagome": (1, 1) if few else (2, 1),
    }
    strip = Lattice(
        kind, *sizes.get(kind, (2, 2) if few else (3, 2)), bc_x="periodic" if cls is HaldaneShastry else "open"
    )
    if name != "kondo-lattice" or len(strip) < 4:
        check_model(cls(lattice=strip))
    if kind not in ("chain", "kagome", "honeycomb") and name not in ("j1j2", "j1j2j3", "majumdar-ghosh"):
        check_model(cls(lattice=Lattice(kind, 1, 3, bc_y="periodic")))


@pytest.mark.parametrize("order", ["columns", "snake"])
@pytest.mark.parametrize("kind", UNIT_CELLS)
def test_three_neighbours_on_every_lattice(kind, order):
    lattice = cluster(kind, order=order)
    model = J1J2J3(lattice=lattice, J1=1.0, J2=0.4, J3=-0.3)
    second = {"chain": 2.0, "ladder": np.sqrt(2), "square": np.sqrt(2)}.get(kind, np.sqrt(3))
    exact = by_distance(lattice, {1.0: 1.0, second: 0.4, 3.0 if kind == "chain" else 2.0: -0.3})
    np.testing.assert_allclose(matrix_of(model), exact, atol=1e-13)
    check_model(model)


@pytest.mark.parametrize("order", ["columns", "folded"])
@pytest.mark.parametrize("kind", ["square", "triangular", "honeycomb", "kagome"])
def test_clusters_by_dmrg(kind, order):
    """Small cylinders against exact diagonalisation."""
    lattice = Lattice(kind, *{"kagome": (1, 3), "honeycomb": (2, 2)}.get(kind, (3, 3)), bc_y="periodic", order=order)
    model = XXZ(lattice=lattice, delta=0.7, D=0.2, field=0.1, flux=0.3)
    (energy,) = sparse.ground_energies(model.operator_sum(), model.sites, model.product().charge)
    assert solve(model).energy == pytest.approx(energy, abs=1e-9)


@pytest.mark.parametrize(
    ("model", "energy"),
    [
        (Heisenberg(lattice=Lattice("square", 4, 4, "periodic", "periodic")), -0.7017802),  # Schulz et al. 1996
        (J1J2(lattice=Lattice("square", 4, 4, "periodic", "periodic"), J2=0.5), -0.528620),  # Schulz et al. 1996
        (Heisenberg(lattice=Lattice("kagome", 2, 2, "periodic", "periodic")), -0.453740),  # Leung, Elser 1993
    ],
    ids=repr,
)
def test_published_clusters(model, energy):
    (found,) = sparse.ground_energies(model.operator_sum(), model.sites, (0,))
    assert found / model.L == pytest.approx(energy, abs=1e-6)
    for fact in model.facts:
        if fact.name == "energy of the torus":
            assert found == pytest.approx(fact.value, abs=1e-5)


@pytest.mark.parametrize("L", [4, 6, 8])
@pytest.mark.parametrize(
    "model",
    [Heisenberg(L=4), XX(L=4), XXZ(L=4, J=0.7), TransverseIsing(L=4, h=0.6), TransverseIsing(L=4, J=-1.0, h=-1.3),
     MajumdarGhosh(L=4, J1=1.4), AKLT(L=4)],
    ids=repr,
)  # fmt: skip
def test_rings(model, L):
    if (L > 4 or not isinstance(model, MajumdarGhosh)) and (L <= 6 or not isinstance(model, AKLT)):
        ring = type(model)(
            **{"L": L, "periodic": True} | {k: getattr(model, k) for k in ("J", "h", "J1") if hasattr(model, k)}
        )
        assert check_model(ring) is not None


def test_xyz_from_spin_matrices():
    """All terms on three sites of a triangle, D along the direction of every pair."""
    lattice = Lattice("triangular", 2, 2)
    names = ("Jx", "Jy", "Jz", "Dx", "Dy", "Dz", "hx", "hy", "hz")
    values = dict(zip(names, np.random.default_rng(0).normal(size=9), strict=True))
    model = XYZ(lattice=lattice, **values)
    S = {a: [dense.embedded(model.sites, f"S{a}", i) for i in range(4)] for a in "xyz"}
    H = sum(-values[f"h{a}"] * matrix for a in "xyz" for matrix in S[a])
    for pair in lattice.pairs():
        for a, b, c in ("xyz", "yzx", "zxy"):
            H = H + values[f"J{a}"] * S[a][pair.i] @ S[a][pair.j]
            H = H + values[f"D{a}"] * (S[b][pair.i] @ S[c][pair.j] - S[c][pair.i] @ S[b][pair.j])
    np.testing.assert_allclose(matrix_of(model), H, atol=1e-13)
    check_model(model)
    xxz = XXZ(lattice=lattice, J=1.0, delta=0.3, D=0.5, field=0.2)
    np.testing.assert_allclose(matrix_of(xxz), matrix_of(XYZ(lattice=lattice, Jz=0.3, Dz=0.5, hz=0.2)), atol=1e-14)


def test_xy_chain_of_free_fermions():
    model = XYZ(L=7, Jx=lambda pair: 1.0 - 0.1 * pair.i, Jy=0.4, Jz=0.0, hz=[0.3, -0.2, 0.1, 0.8, 0.7, 0.5, 0.4])
    energies = np.linalg.eigvalsh(matrix_of(model))
    assert model.facts.energy == pytest.approx(energies[0], abs=1e-12)
    assert check_model(XYZ(L=6, Jy=0.3, Jz=0.0)) is not None


def test_flux_is_a_twist():
    """Through a cylinder 2 pi is a gauge, and pi differs; DM exchange along a ring is a flux spread over its bonds."""
    lattice = Lattice("triangular", 2, 3, bc_y="periodic")
    spectra = [np.linalg.eigvalsh(matrix_of(Heisenberg(lattice=lattice, flux=f))) for f in (0.0, 2 * np.pi, np.pi)]
    np.testing.assert_allclose(spectra[0], spectra[1], atol=1e-12)
    assert abs(spectra[0] - spectra[2]).max() > 0.1
    angle = 0.3
    ring = XXZ(L=6, J=np.cos(angle), delta=0.5 / np.cos(angle), D=np.sin(angle), periodic=True)
    # S-_i S+_j gets J - iD from J (Sx Sx + Sy Sy) + D (S_i x S_j)_z
    twisted = XXZ(L=6, J=1.0, delta=0.5, periodic=True, flux=-6 * angle)
    np.testing.assert_allclose(np.linalg.eigvalsh(matrix_of(ring)), np.linalg.eigvalsh(matrix_of(twisted)), atol=1e-12)


def test_couplings_that_vary():
    lattice = Lattice("ladder", 3, 2)
    rungs = Heisenberg(lattice=lattice, J=lambda pair: 2.0 if pair.vector[0] == 0 else 0.5)
    assert [J for _, J in rungs.on_pairs("J")] == [2.0 if p.vector[0] == 0 else 0.5 for p in lattice.pairs()]
    assert rungs == Heisenberg(lattice=lattice, J=list(rungs.J)) and hash(rungs) is not None
    staggered = Heisenberg(lattice=lattice, field=lambda vertex: (-1.0) ** sum(vertex.cell))
    assert staggered.field == (1.0, -1.0, -1.0, 1.0, 1.0, -1.0)
    assert staggered.facts.energy is None is rungs.facts.energy
    two_spins = Heisenberg(L=4, J=np.array([1.0, 0.0, 1.0]))
    assert np.linalg.eigvalsh(matrix_of(two_spins))[0] == pytest.approx(-1.5)


def test_product_states_on_lattices():
    def places(model, pattern=None):
        return (2 * tn.expect(model.product(pattern), "Sz")).astype(int).tolist()

    square = Heisenberg(lattice=Lattice("square", 2, 2), field=[0.1, 0.2, 0.3, 0.4])
    assert places(square) == [1, -1, -1, 1] == places(square, "neel")
    assert places(square, "stripes") == [1, 1, -1, -1] and places(square, "alternating") == [1, -1, 1, -1]
    triangle = Heisenberg(lattice=Lattice("triangular", 2, 2))
    assert places(triangle) == [1, -1, 1, -1]
    odd = Heisenberg(lattice=Lattice("square", 4, 3, bc_y="periodic"))
    assert odd.product().charge == (0,)
    for model in (triangle, odd, Heisenberg(L=5, periodic=True)):
        with pytest.raises(StateError, match="no two sublattices .* even length around"):
            model.product("neel")


@pytest.mark.parametrize("conserve", ["Sz", "parity"])
def test_the_start_of_an_odd_ring_of_long_spins_lies_in_the_sector_of_the_ground_state(conserve):
    ring = AKLT(L=5, periodic=True, conserve=conserve)
    ground = tn.DMRG(truncation=tn.Truncation(chi_max=40)).solve(ring.mpo(), ring.product())
    assert ground.energy == pytest.approx(ring.facts.energy, abs=1e-9)
    assert Heisenberg(L=5, S=1.5, periodic=True).product().charge == (1,)
    assert Heisenberg(L=5, S=1).product().charge == (2,)  # two sublattices of different size: Lieb and Mattis 1962


def test_infinite_cylinders_repeat():
    model = J1J2(lattice=Lattice("square", 1, 4, bc_y="periodic"), J2=0.5, flux=0.4)
    H = model.infinite_mpo()
    exact = J1J2(lattice=Lattice("square", 2, 4, bc_y="periodic"), J2=0.5, flux=0.4)
    np.testing.assert_allclose(H.open_chain(2).to_dense(), exact.mpo().to_dense(), atol=1e-12)
    assert Heisenberg(lattice=Lattice("square", 2, 4, bc_y="periodic")).infinite_product().L == 8
    with pytest.raises(StateError, match="'neel' of 8 sites does not repeat in a cell of 4"):
        model.infinite_product()
    closed = Lattice("square", 3, 4, bc_x="periodic", bc_y="periodic"), Lattice("chain", 4, bc_x="periodic")
    for model in (*(Heisenberg(lattice=lattice) for lattice in closed), Heisenberg(L=4, periodic=True, flux=0.3)):
        with pytest.raises(SettingsError, match="is closed along x, where an infinite chain has no ends"):
            model.infinite_mpo()
    with pytest.raises(SettingsError, match="no whole columns"):
        Heisenberg(lattice=Lattice("square", 2, 4)).infinite_mpo(cell=1)


def test_couplings_that_vary_inside_of_an_infinite_cell():
    """Functions are asked for bonds between cells too; numbers for every site repeat; lists for pairs say nothing."""

    def strength(pair):
        return 1.0 if pair.i % 2 else 0.4

    model = Heisenberg(L=2, J=strength, field=[0.3, -0.1])
    exact = Heisenberg(L=6, J=strength, field=[0.3, -0.1] * 3)
    np.testing.assert_allclose(model.infinite_mpo().open_chain(3).to_dense(), exact.mpo().to_dense(), atol=1e-13)
    rungs = {"J": lambda pair: 2.0 if pair.vector[0] == 0 else 0.5}
    ladder, longer = (Heisenberg(lattice=Lattice("ladder", n, 2), **rungs) for n in (1, 3))
    np.testing.assert_allclose(ladder.infinite_mpo().open_chain(3).to_dense(), longer.mpo().to_dense(), atol=1e-13)
    with pytest.raises(SettingsError, match="J is a list for the pairs .* give a function of the Pair"):
        Heisenberg(L=4, J=[1.0, 0.4, 1.0]).infinite_mpo()
    with pytest.raises(SettingsError, match="does not repeat every 2 sites"):
        Heisenberg(L=2, J=lambda pair: 1.0 + pair.i).infinite_mpo()
    assert pickle.loads(pickle.dumps(model)) == model == Heisenberg(L=2, J=[0.4], field=[0.3, -0.1])


def test_infinite_ladder_by_vumps():
    model = Heisenberg(lattice=Lattice("ladder", 2, 2))
    settings = tn.VUMPS(truncation=tn.Truncation(chi_max=32), gradient_tol=1e-5)
    energy = settings.solve(model.infinite_mpo(), model.infinite_product()).energy
    assert energy == pytest.approx(model.facts["bulk energy per site"].value, abs=3e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Heisenberg(), "needs L, .* or a Lattice, found None"),
        (lambda: Heisenberg(L=5, lattice=Lattice("square", 2, 2)), "L = 5, but .* has 4 sites: give one of the two"),
        (lambda: Heisenberg(lattice="square"), "or a Lattice, found 'square'"),
        (lambda: Heisenberg(lattice=Lattice("square", 3, 3), periodic=True), "the boundary bc_x or bc_y instead"),
        (lambda: Heisenberg(L=4, flux=0.1), "has none: close one"),
        (lambda: Heisenberg(L=4, J=[1.0, 2.0]), r"J needs one number for each of the 3 pairs .*, found 2"),
        (lambda: Heisenberg(L=4, J=lambda i, j: 1.0), r"J is a function of \(i, j\), but .* one argument, the place"),
        (lambda: Heisenberg(L=4, field=[1.0, 2.0]), r"field needs one number for each of the 4 sites"),
        (lambda: Heisenberg(L=4, J="strong"), "a number, one number for each"),
        (lambda: Heisenberg(L=4, J=lambda pair: np.nan), "finite real number, found nan"),
        (lambda: MajumdarGhosh(L=4, J1=[1.0, 1.0, 1.0]), "J1 must be of type float"),
        (lambda: J1J2(lattice=Lattice("square", 3, 2, bc_y="periodic")), "too narrow for nearest"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(SettingsError, match=message):
        make()


def test_models_do_not_take_what_they_fix():
    for cls, name in ((XX, "delta"), (AKLT, "biquadratic"), (MajumdarGhosh, "J2"), (TransverseIsing, "S")):
        with pytest.raises(TypeError, match=name):
            cls(L=4, **{name: 0.3})
    assert MajumdarGhosh(L=4, J1=3.0).J2 == 1.5 and AKLT(L=4, bilinear=3.0).biquadratic == 1.0
