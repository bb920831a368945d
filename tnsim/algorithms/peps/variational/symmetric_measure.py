"""What a state of one symmetric tensor is like on a site."""

import numpy as np

from tnsim.algorithms.peps.variational.environments import EnvironmentSettings
from tnsim.algorithms.peps.variational.minimization import MinimizedState
from tnsim.algorithms.peps.variational.symmetric_energy import mean_of, nearest_density
from tnsim.algorithms.peps.variational.symmetric_environment import SymmetricEnvironment
from tnsim.algorithms.peps.variational.symmetric_problem import converged
from tnsim.errors import ShapeError


def symmetric_mean(found: MinimizedState, name: str, environment: EnvironmentSettings) -> float:
    """The mean of an operator of a site, on the first sublattice: of a result of SymmetricVariationalPEPS.

    Begins at the environment that the minimisation ended with; its error is that of the environment. Cost
    O(chi^3 D^4 + chi^2 D^6) a step. Raises ShapeError for a result of another kind, OperatorError for an operator that
    the site does not have.

    >>> from tnsim.algorithms.peps.variational.symmetric_variational import SymmetricVariationalPEPS
    >>> from tnsim.models import Lattice, TransverseIsing
    >>> model = TransverseIsing(lattice=Lattice("square", 2, 2), conserve=None, h=3.5)
    >>> wide = EnvironmentSettings(chi_max=12)
    >>> found = SymmetricVariationalPEPS(D=2, environment=wide, antiferromagnetic=False).solve(model)
    >>> round(2 * symmetric_mean(found, "Sz", wide), 4), round(abs(symmetric_mean(found, "Sx", wide)), 3)
    (0.9443, 0.0)
    """
    tensor, site = found.state.tensors[0], found.state.kinds[0]
    around = getattr(found.environment, "environment", None)
    if not isinstance(around, SymmetricEnvironment):
        raise ShapeError(f"this is the mean of a state of one symmetric tensor, found {found.state!r}.")
    near = converged(tensor, around, environment).environment
    matrix = np.kron(site.op(name), np.eye(site.dim))
    return float(mean_of(nearest_density(near, tensor), matrix, tensor).item())
