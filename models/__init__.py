"""Hamiltonians, one file each, with the exact facts known about them, and the lattices they live on."""

if __name__ != "tnsim.models":
    raise ImportError(
        f"the models were imported as {__name__!r}, which would load a second copy: use 'import tnsim.models'."
    )

from tnsim.errors import SettingsError, suggest
from tnsim.models.bilinear_biquadratic import AKLT, BilinearBiquadratic
from tnsim.models.bose_hubbard import BoseHubbard
from tnsim.models.chemistry import Integrals, hydrogen_chain, read_fcidump, write_fcidump
from tnsim.models.haldane_shastry import HaldaneShastry
from tnsim.models.heisenberg import Heisenberg
from tnsim.models.hubbard import Hubbard
from tnsim.models.j1j2 import J1J2, J1J2J3, MajumdarGhosh
from tnsim.models.kitaev_chain import KitaevChain
from tnsim.models.kitaev_honeycomb import KitaevHoneycomb
from tnsim.models.kondo import KondoLattice
from tnsim.models.lattice import Lattice, Pair, Vertex
from tnsim.models.lattice_model import LatticeModel
from tnsim.models.model import Fact, Facts, Model
from tnsim.models.power_law import LongRangeIsing, PowerLawHeisenberg
from tnsim.models.quantum_chemistry import QuantumChemistry
from tnsim.models.random_field import RandomFieldHeisenberg
from tnsim.models.spinless import SpinlessFermions
from tnsim.models.ssh import SSH
from tnsim.models.tj import TJ
from tnsim.models.transverse_ising import TransverseIsing
from tnsim.models.xxz import XX, XXZ
from tnsim.models.xyz import XYZ

MODELS: dict[str, type[Model]] = {
    "heisenberg": Heisenberg,
    "xxz": XXZ,
    "xx": XX,
    "xyz": XYZ,
    "tfim": TransverseIsing,
    "j1j2": J1J2,
    "j1j2j3": J1J2J3,
    "majumdar-ghosh": MajumdarGhosh,
    "bilinear-biquadratic": BilinearBiquadratic,
    "aklt": AKLT,
    "kitaev-honeycomb": KitaevHoneycomb,
    "long-range-ising": LongRangeIsing,
    "power-law-heisenberg": PowerLawHeisenberg,
    "haldane-shastry": HaldaneShastry,
    "random-field-heisenberg": RandomFieldHeisenberg,
    "hubbard": Hubbard,
    "t-v": SpinlessFermions,
    "t-j": TJ,
    "bose-hubbard": BoseHubbard,
    "kondo-lattice": KondoLattice,
    "ssh": SSH,
    "kitaev-chain": KitaevChain,
    "chemistry": QuantumChemistry,
}


def find_model(name: str) -> type[Model]:
    """The model class of a command-line name; SettingsError names the nearest one.

    >>> find_model("tfim").__name__
    'TransverseIsing'
    """
    if name not in MODELS:
        raise SettingsError(f"unknown model {name!r}. {suggest(name, MODELS)}")
    return MODELS[name]


__all__ = [
    "AKLT", "BilinearBiquadratic", "BoseHubbard", "Fact", "Facts", "HaldaneShastry", "Heisenberg", "Hubbard",
    "Integrals", "J1J2", "J1J2J3", "KitaevChain", "KitaevHoneycomb", "KondoLattice", "Lattice", "LatticeModel",
    "LongRangeIsing", "MODELS", "MajumdarGhosh", "Model", "Pair", "PowerLawHeisenberg", "QuantumChemistry",
    "RandomFieldHeisenberg", "SSH", "SpinlessFermions", "TJ", "TransverseIsing", "Vertex", "XX", "XXZ", "XYZ",
    "find_model", "hydrogen_chain", "read_fcidump", "write_fcidump",
]  # fmt: skip
