"""Three engines behind one interface: a start or prepared state, some steps of one scheme, the magnetisation.

Peers are imported where they are used, so that a process holds one engine only.
"""

import logging
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import tnsim as tn
from tnsim.backend import block_threads
from tnsim.models import XXZ, Heisenberg, TransverseIsing

DELTA = 0.5
SVD_MIN = 1e-8
KRYLOV_TOL = 1e-10

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A quench of L sites at one bond dimension; scheme: "tebd" or "tdvp" (two sites, order 2 by its nature).

    model: "xxz" (Delta = 1/2 from the Neel state, of spins 1/2 or "xxz-3/2") or "tfim" (critical, from all spins up);
    conserve: "Sz" or None; steps: how many are timed, for every order.
    """

    model: str
    L: int
    conserve: str | None
    chi: int
    scheme: str
    steps: dict[int, int]
    dt: float = 0.05

    @property
    def operator(self) -> str:
        return "Z" if self.model == "tfim" else "Sz"

    @property
    def spin(self) -> float:
        return 1.5 if self.model == "xxz-3/2" else 0.5

    @property
    def start(self) -> str:
        return "up" if self.model == "tfim" else "neel"


def tnsim_model(case: Case) -> XXZ | TransverseIsing:
    """The model of a case."""
    if case.model != "tfim":
        return XXZ(L=case.L, S=case.spin, delta=DELTA, conserve=case.conserve)
    return TransverseIsing(L=case.L, conserve=case.conserve)


class Engine(ABC):
    """A state of one engine; `start` or `load` comes first. notes: how it was built, where that matters."""

    notes = ""

    def __init__(self, case: Case, variant: str) -> None:
        self.case, self.variant = case, variant

    @abstractmethod
    def start(self) -> None:
        """The product state."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """The prepared state."""

    @abstractmethod
    def prepare(self, order: int) -> None:
        """Gates or environments, outside the timer."""

    @abstractmethod
    def advance(self, order: int, steps: int) -> None:
        """Steps without anything measured."""

    @abstractmethod
    def magnetization(self) -> np.ndarray:
        """The local operator of the case on every site."""

    @abstractmethod
    def bonds(self) -> list[int]:
        """Bond dimensions."""


class Tnsim(Engine):
    """Variants: "" and, of TDVP, "hybrid" (one site where a bond is full); of TEBD, a way to cut, or "2threads"."""

    def start(self) -> None:
        self.psi = tnsim_model(self.case).product(self.case.start)

    def load(self, folder: Path) -> None:
        self.psi = tn.load(folder / "state.h5")

    def prepare(self, order: int) -> None:
        cut, model = tn.Truncation(chi_max=self.case.chi, svd_min=SVD_MIN), tnsim_model(self.case)
        if self.case.scheme == "tdvp":
            scheme = self.variant or "two-site"
            settings = tn.TDVP(dt=self.case.dt, truncation=cut, scheme=scheme, krylov_tol=KRYLOV_TOL)
            self.propagator = settings.propagator(model.mpo(), self.psi)
        else:
            if self.variant == "2threads":
                tn.set_threads(2)
            split = self.variant if self.variant in ("svd", "qr", "gram") else "auto"
            settings = tn.TEBD(dt=self.case.dt, truncation=cut, order=order, split=split)
            self.propagator = settings.propagator(model.operator_sum(), self.psi)

    def advance(self, order: int, steps: int) -> None:
        with block_threads():  # as `run` does
            self.propagator.advance(0.0, self.case.dt, steps)

    def magnetization(self) -> np.ndarray:
        return np.real(tn.expect(self.propagator.state, self.case.operator))

    def bonds(self) -> list[int]:
        return list(self.propagator.state.bond_dimensions)


class Tenpy(Engine):
    """Variants: "" (SVD, or TDVP to the tolerance that all have), "qr" of TEBD, "defaults" of TDVP."""

    def _model(self):
        from tenpy.models.spins import SpinChain
        from tenpy.models.tf_ising import TFIChain

        common = {"L": self.case.L, "bc_MPS": "finite", "conserve": self.case.conserve}
        if self.case.model != "tfim":
            return SpinChain({"S": self.case.spin, "Jx": 1.0, "Jy": 1.0, "Jz": DELTA, **common})
        return TFIChain({"J": 1.0, "g": 1.0, **common})

    def start(self) -> None:
        from tenpy.networks.mps import MPS

        self.model = self._model()
        names = [("up", "down")[i % 2 if self.case.start == "neel" else 0] for i in range(self.case.L)]
        self.psi = MPS.from_product_state(self.model.lat.mps_sites(), names, bc="finite", dtype=complex)

    def load(self, folder: Path) -> None:
        """Blocks from the zeros of dense tensors; the local basis in the order of the site."""
        from tenpy.networks.mps import MPS

        self.model = self._model()
        sites = self.model.lat.mps_sites()
        order = list(range(sites[0].dim))[:: 1 if sites[0].state_index("up") == 0 else -1]
        arrays = [tensor[:, order].transpose(1, 0, 2) for tensor in _dense(folder)]
        self.psi = MPS.from_Bflat(sites, arrays, bc="finite", form=None, dtype=complex, permute=False)
        self.psi.canonical_form()

    def prepare(self, order: int) -> None:
        from tenpy.algorithms.tdvp import TwoSiteTDVPEngine
        from tenpy.algorithms.tebd import QRBasedTEBDEngine, TEBDEngine
        from tenpy.tools import optimization

        helper = "loaded" if optimization.have_cython_functions else "NOT LOADED"
        self.notes = f"TENPY_OPTIMIZE={optimization.get_level()}, compiled helper {helper}"
        options = {"trunc_params": {"chi_max": self.case.chi, "svd_min": SVD_MIN}, "dt": self.case.dt}
        if self.case.scheme == "tdvp":
            lanczos = {} if self.variant == "defaults" else {"P_tol": KRYLOV_TOL}
            self.engine = TwoSiteTDVPEngine(self.psi, self.model, options | {"lanczos_params": lanczos})
            self.engine.prepare_evolve(self.case.dt)
            return
        options["order"] = "4_opt" if order == 4 else order
        self.engine = (QRBasedTEBDEngine if self.variant == "qr" else TEBDEngine)(self.psi, self.model, options)
        self.engine.calc_U(options["order"], self.case.dt, type_evo="real")

    def advance(self, order: int, steps: int) -> None:
        self.engine.evolve(steps, self.case.dt)

    def magnetization(self) -> np.ndarray:
        return np.real(self.psi.expectation_value("Sigmaz" if self.case.model == "tfim" else "Sz"))

    def bonds(self) -> list[int]:
        return list(self.psi.chi)


class Quimb(Engine):
    """Dense tensors; its order 4 up to version 1.15.0 has coefficients of second order."""

    def start(self) -> None:
        import quimb.tensor as qtn

        up, down = np.eye(2, dtype=complex)
        arrays = [(up, down)[i % 2 if self.case.start == "neel" else 0] for i in range(self.case.L)]
        self.psi = qtn.MPS_product_state(arrays)

    def load(self, folder: Path) -> None:
        import quimb.tensor as qtn

        first, *middle, last = _dense(folder)
        self.psi = qtn.MatrixProductState([first[0], *middle, last[:, :, 0]], shape="lpr")

    def prepare(self, order: int) -> None:
        import quimb.tensor as qtn

        terms = qtn.SpinHam1D(S=1 / 2)  # spin operators: X = 2 Sx, Z = 2 Sz
        if self.case.model == "xxz":
            terms += 0.5, "+", "-"
            terms += 0.5, "-", "+"
            terms += DELTA, "Z", "Z"
        else:
            terms += -4.0, "X", "X"
            terms += -2.0, "Z"
        options = {"max_bond": self.case.chi, "cutoff": SVD_MIN, "cutoff_mode": "rel"}
        self.engine = qtn.TEBD(
            self.psi, terms.build_local_ham(self.case.L), dt=self.case.dt, split_opts=options, progbar=False
        )

    def advance(self, order: int, steps: int) -> None:
        """Layers at the ends of steps join, as in `update_to`, whose last step drains the queue."""
        for number in range(steps):
            self.engine.step(order=order, queue=number < steps - 1)

    def magnetization(self) -> np.ndarray:
        psi = self.engine.pt
        psi.permute_arrays("lpr")
        arrays = [np.asarray(tensor.data) for tensor in psi]
        first, last = arrays[0], arrays[-1]
        return local_z([first[None], *arrays[1:-1], last[:, :, None]]) * (0.5 if self.case.operator == "Sz" else 1.0)

    def bonds(self) -> list[int]:
        return list(self.engine.pt.bond_sizes())


ENGINES: dict[str, type[Engine]] = {"tnsim": Tnsim, "tenpy": Tenpy, "quimb": Quimb}


def _dense(folder: Path) -> list[np.ndarray]:
    """Site tensors of the prepared state (left, states from up to down, right)."""
    with np.load(folder / "state.npz") as content:
        return [content[str(i)] for i in range(len(content.files))]


def local_z(arrays: list[np.ndarray]) -> np.ndarray:
    """<Z_i> over <1> of site tensors (left, up or down, right); cost O(L chi^3)."""
    rights = [np.eye(1)]
    for array in arrays[:0:-1]:
        rights.append(np.einsum("lsr,msr->lm", np.tensordot(array, rights[-1], 1), array.conj(), optimize=True))
    left, found = np.eye(1), []
    for array, right in zip(arrays, rights[::-1], strict=True):
        moved = np.tensordot(left, array, (0, 0))  # (bra left, s, right)
        both = [moved[:, s].T @ array[:, s].conj() for s in (0, 1)]  # (right, bra right)
        up, down = (np.sum(part * right) for part in both)
        found.append(((up - down) / (up + down)).real)
        left = both[0] + both[1]
    return np.array(found)


def infinite_tnsim(chi: int, stages: tuple[tuple[float, int], ...]):
    """iTEBD of the Heisenberg chain: what is timed, and the energy per site after it."""
    model = Heisenberg(L=2)
    settings = tn.TEBD(dt=stages[0][0], truncation=tn.Truncation(chi_max=chi, svd_min=SVD_MIN), order=2, imaginary=True)
    run = settings.propagator(model.infinite_sum(), model.infinite_product("neel"))

    def work() -> None:
        with block_threads():  # as `run` does
            for tau, steps in stages:
                run.advance(0.0, tau, steps)

    return work, lambda: (run.energy(0.0), max(run.state.bond_dimensions))


def infinite_tenpy(chi: int, stages: tuple[tuple[float, int], ...]):
    """As `infinite_tnsim`."""
    from tenpy.algorithms.tebd import TEBDEngine
    from tenpy.models.spins import SpinChain
    from tenpy.networks.mps import MPS

    model = SpinChain({"S": 0.5, "L": 2, "Jx": 1.0, "Jy": 1.0, "Jz": 1.0, "bc_MPS": "infinite", "conserve": "Sz"})
    psi = MPS.from_product_state(model.lat.mps_sites(), ["up", "down"], bc="infinite")
    options = {"trunc_params": {"chi_max": chi, "svd_min": SVD_MIN}, "order": 2}
    engine = TEBDEngine(psi, model, options)

    def work() -> None:
        for tau, steps in stages:
            engine.calc_U(2, tau, type_evo="imag")
            engine.evolve(steps, tau)

    def result() -> tuple[float, int]:
        psi.canonical_form()
        return float(np.mean(model.bond_energies(psi))), int(max(psi.chi))

    return work, result


INFINITE = {"tnsim": infinite_tnsim, "tenpy": infinite_tenpy}
