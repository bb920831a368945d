"""Local Hilbert spaces: spins, fermions, bosons, Kondo sites, and own ones."""

from tnsim.networks.sites.boson import boson_site
from tnsim.networks.sites.fermion import electron_site, fermion_site, tj_site
from tnsim.networks.sites.kondo import kondo_site
from tnsim.networks.sites.site import Site, check_chain, custom_site, multiply
from tnsim.networks.sites.spin import spin_site, spin_sites

__all__ = [
    "Site", "boson_site", "check_chain", "custom_site", "electron_site", "fermion_site", "kondo_site", "multiply",
    "spin_site", "spin_sites", "tj_site",
]  # fmt: skip
