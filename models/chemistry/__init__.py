"""Electrons in orbitals: integrals, the files they come in, and the order of the orbitals on a chain."""

from tnsim.models.chemistry.fcidump import read_fcidump, write_fcidump
from tnsim.models.chemistry.hydrogen import hydrogen_chain
from tnsim.models.chemistry.integrals import Integrals

__all__ = ["Integrals", "hydrogen_chain", "read_fcidump", "write_fcidump"]
