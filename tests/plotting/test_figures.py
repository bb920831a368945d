"""What the figures show: the data of their curves, and labels that name it."""

import numpy as np
import pytest

import tnsim as tn
from tnsim.errors import SettingsError
from tnsim.io import Job, RunOptions, RunRecord, load_run, save_run
from tnsim.models import Heisenberg, MajumdarGhosh

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def solved() -> tn.Solution:
    model = MajumdarGhosh(L=8)
    dmrg = tn.DMRG(truncation=tn.Truncation(chi_max=12), max_sweeps=6)
    return dmrg.solve(model.mpo(), model.product())


def curve(line) -> tuple[list[float], list[float]]:
    return list(line.get_xdata()), list(line.get_ydata())


@pytest.mark.parametrize("exact", [None, -3.0])
def test_convergence(solved, exact):
    (axis,) = tn.plot_convergence(solved.history, exact=exact).axes
    errors, weights, gradients = axis.get_lines()
    assert (axis.get_xlabel(), axis.get_title(), axis.get_yscale()) == ("sweep", "convergence", "log")
    names = [
        "energy error (exact known)" if exact else "energy change",
        "largest discarded weight",
        "projected gradient",
    ]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == names
    for line, values in (
        (errors, [abs(r.energy - exact if exact else r.energy_change) for r in solved.history]),
        (weights, [r.max_trunc_err for r in solved.history]),
        (gradients, [r.gradient for r in solved.history]),
    ):
        # a logarithmic axis shows neither zero nor NaN
        shown = [(r.sweep + 1, y) for r, y in zip(solved.history, values, strict=True) if np.isfinite(y) and y > 0]
        assert list(zip(*curve(line), strict=True)) == shown
    assert len(gradients.get_xdata()) > 0


@pytest.mark.parametrize("order", [1, 2, 3])
def test_lattice(order, tmp_path):
    lattice = tn.Lattice("triangular", 4, 3 if order == 1 else 6, bc_y="periodic", order="snake")
    picture = tmp_path / "lattice.png"
    (axis,) = lattice.plot(order=order, path=picture).axes
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and axis.get_title() == repr(lattice)
    for text, place in zip(axis.texts, lattice.positions, strict=True):
        assert text.get_position() == pytest.approx(place)
    assert [text.get_text() for text in axis.texts] == [str(i) for i in range(len(lattice))]
    # one line for every bond, two halves over the boundary, and one for every step of the path
    pairs = [pair for n in range(1, order + 1) for pair in lattice.pairs(n)]
    lines = axis.get_lines()
    assert len(lines) == len(pairs) + sum(bool(pair.turns) for pair in pairs) + len(lattice) - 1
    steps = [np.array(curve(line))[:, [0, -1]].T for line in lines[1 - len(lattice) :]]
    np.testing.assert_allclose(steps, [*zip(lattice.positions, lattice.positions[1:], strict=False)], atol=1e-12)


def test_what_is_no_lattice_is_not_drawn():
    for lattice, order in (("square", 1), (tn.Lattice("chain", 3), 0), (tn.Lattice("chain", 3), 1.5)):
        with pytest.raises(SettingsError, match="a Lattice is drawn, .* 'square'|counted 1 .nearest., 2, 3"):
            tn.plot_lattice(lattice, order=order)


def test_entropy_of_singlets_and_of_given_numbers(solved):
    (axis,) = tn.plot_entropy(solved.state).axes
    assert axis.get_xlabel() == "bond (sites to its left)"
    assert axis.get_ylabel() == "entropy (natural log)"
    x, y = curve(axis.get_lines()[0])
    assert x == [1, 2, 3, 4, 5, 6, 7]
    assert y == pytest.approx([np.log(2), 0, np.log(2), 0, np.log(2), 0, np.log(2)], abs=1e-5)
    (axis,) = tn.plot_entropy([0.1, 0.7, 0.2]).axes
    assert curve(axis.get_lines()[0]) == ([1, 2, 3], [0.1, 0.7, 0.2])


def test_correlation(solved):
    matrix = tn.correlation(solved.state, "Sz", "Sz")
    axis, bar = tn.plot_correlation(matrix, label="<Sz Sz>").axes
    (image,) = axis.get_images()
    np.testing.assert_array_equal(image.get_array(), matrix)
    assert image.get_clim() == pytest.approx((-0.25, 0.25))
    assert (axis.get_xlabel(), axis.get_ylabel(), bar.get_ylabel()) == ("site j", "site i", "<Sz Sz>")
    assert image.get_array()[0, 1] == pytest.approx(-0.25, abs=1e-6)


def test_correlations_that_vanish_are_drawn():
    axis, _ = tn.plot_correlation(np.zeros((3, 3))).axes
    assert axis.get_images()[0].get_clim() == (-1.0, 1.0)


def test_spectrum_of_a_singlet_and_of_a_chain(solved):
    (axis,) = tn.plot_spectrum(tn.schmidt_values(solved.state)[0]).axes
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("charge", r"entanglement energy  $-2\,\ln s$")
    assert [text.get_text() for text in axis.get_xticklabels()] == ["-1", "1"]
    for place, line in enumerate(axis.get_lines()):
        assert curve(line) == ([place], pytest.approx([np.log(2)], abs=1e-5))
    model = Heisenberg(L=8)
    psi = tn.MPS.random(model.sites, chi=16, charge=0, seed=3)
    spectrum = tn.schmidt_values(psi)[3]
    (axis,) = tn.plot_spectrum(spectrum, levels=2).axes
    for line, values in zip(axis.get_lines(), spectrum.by_charge().values(), strict=True):
        assert curve(line)[1] == pytest.approx(-2 * np.log(values[:2]))


def test_a_spectrum_draws_itself(solved, tmp_path):
    path = tmp_path / "spectrum.svg"
    spectrum = tn.schmidt_values(solved.state)[0]
    (axis,), (expected,) = spectrum.plot(path).axes, tn.plot_spectrum(spectrum).axes
    assert [curve(line) for line in axis.get_lines()] == [curve(line) for line in expected.get_lines()]
    assert "<svg" in path.read_text()


def test_levels_by_charge(tmp_path):
    gaps, charges = np.array([0.0, 0.5, 0.5, 1.25]), ((0,), (0,), (2,), (0,))
    (axis,) = tn.plot_levels(gaps, charges, path=tmp_path / "levels.svg").axes
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("charge", "energy above the ground state")
    assert [text.get_text() for text in axis.get_xticklabels()] == ["0", "2"]
    assert [curve(line) for line in axis.get_lines()] == [([0, 0, 0], [0.0, 0.5, 1.25]), ([1], [0.5])]
    model = Heisenberg(L=6)
    levels = tn.DMRG(truncation=tn.Truncation(chi_max=8)).excited(model.mpo(), model.product(), n=2)
    assert curve(levels.plot().axes[0].get_lines()[0])[1] == levels.gaps.tolist()


def test_an_extrapolation_draws_its_points_line_and_error(tmp_path):
    found = tn.extrapolate([(1e-4, -0.99), (3e-4, -0.97), (2e-4, -0.98)])
    (axis,) = found.plot(tmp_path / "line.svg").axes
    line, points = axis.get_lines()[:2]
    assert curve(line) == ([0.0, 3e-4], pytest.approx([0.0, 0.03]))
    assert curve(points) == ([3e-4, 2e-4, 1e-4], pytest.approx([0.03, 0.02, 0.01]))
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("summed discarded weight", "energy - (-1)")
    assert axis.containers[0].get_label().startswith("_")


def test_a_solution_draws_itself(solved, tmp_path):
    path = tmp_path / "run.svg"
    left, right = solved.plot(path).axes
    assert (left.get_title(), right.get_title()) == ("convergence", "entanglement profile")
    assert curve(right.get_lines()[0])[1] == pytest.approx(tn.entropy(solved.state).tolist())
    assert "<svg" in path.read_text()


def test_a_run_from_its_file_draws_itself(solved, tmp_path):
    model = MajumdarGhosh(L=8)
    job = Job(model, tn.DMRG(truncation=tn.Truncation(chi_max=12)), RunOptions(out=str(tmp_path / "run.h5")))
    save_run(job.run.out, RunRecord(job, solved.state, solved.progress))
    left, right = load_run(job.run.out).plot().axes
    assert left.get_legend().get_texts()[0].get_text() == "energy error (exact known)"
    assert curve(right.get_lines()[0])[1] == pytest.approx(tn.entropy(solved.state).tolist())


def test_errors_and_scans(tmp_path):
    figure = tn.plot_errors({"TRG": {16: 4.6e-6, 8: 3e-5}, "BTRG": {8: 1.1e-5}}, published={"TRG": {24: 2e-6}})
    (axis,) = figure.axes
    trg, published, btrg = axis.get_lines()
    assert curve(trg) == ([8, 16], [3e-5, 4.6e-6]) and curve(published) == ([24], [2e-6])
    assert curve(btrg) == ([8], [1.1e-5]) and (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["TRG", "TRG, published", "BTRG"]
    figure = tn.plot_scan([0.5, 0.4], {"chi 8": [0.9, 0.0]}, exact=([0.4, 0.5], [0, 0.91]), path=tmp_path / "m.svg")
    exact, found = figure.axes[0].get_lines()
    assert curve(found) == ([0.4, 0.5], [0.0, 0.9]) and curve(exact) == ([0.4, 0.5], [0, 0.91])
    assert "<svg" in (tmp_path / "m.svg").read_text()
    with pytest.raises(SettingsError, match="1 values for 2"):
        tn.plot_scan([0.5, 0.4], {"chi 8": [0.9]})
    with pytest.raises(SettingsError, match="no error above zero"):
        tn.plot_errors({"TRG": {8: 0.0}})
