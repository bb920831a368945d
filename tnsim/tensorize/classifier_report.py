"""What an MPS classifier has learned, bond by bond and pixel by pixel: spectra, entropies, and what can be dropped."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from tnsim.errors import ShapeError
from tnsim.linalg import Truncation, svd
from tnsim.measure.entanglement import entropy_of_weights
from tnsim.networks.canonical import canonicalize, center_tensors, schmidt_values
from tnsim.networks.mps import MPS
from tnsim.networks.scaling import scale_columns
from tnsim.tensor import contract
from tnsim.tensorize.mps_classifier import MPSClassifier


@dataclass(frozen=True, kw_only=True)
class BondReport:
    """A bond between two neighbouring sites. pixels: those of the two; entropy: in nats; values: singular values of
    the weights across it, descending, squares adding up to 1 (labels count to the side of the centre)."""

    bond: int
    pixels: tuple[int, int]
    entropy: float
    values: np.ndarray = field(repr=False)

    @property
    def dim(self) -> int:
        return len(self.values)

    def __str__(self) -> str:
        return (
            f"bond {self.bond} (pixels {self.pixels[0]}, {self.pixels[1]}): {self.dim} states, entropy "
            f"{self.entropy:.3f}, smallest value {self.values[-1]:.1e}"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassifierReport:
    """Bonds in their order, and the entropy (nats) between every pixel and all the rest, labels included.

    image: the shape of the pixels, or None. Entropies take the two numbers of a pixel for orthogonal directions.
    """

    bonds: tuple[BondReport, ...] = field(repr=False)
    pixel_entropies: np.ndarray = field(repr=False)
    image: tuple[int, int] | None

    @property
    def ranking(self) -> tuple[BondReport, ...]:
        """Bonds by what goes through them, the most entangled first: the last ones are those to drop."""
        return tuple(sorted(self.bonds, key=lambda bond: -bond.entropy))

    @property
    def heatmap(self) -> np.ndarray:
        """Entropies of the pixels as an image. Raises ShapeError where the pixels are no image."""
        if self.image is None:
            raise ShapeError(
                "these pixels are no image: make the classifier with MPSClassifier.new((rows, columns), ...)."
            )
        return self.pixel_entropies.reshape(self.image)

    def plot(self, path: Any = None) -> Any:
        """Heat map and spectra; saved where a path is given. Returns the matplotlib figure."""
        return import_module("tnsim.plotting").plot_classifier(self, path=path)


def classifier_report(classifier: MPSClassifier) -> ClassifierReport:
    """Spectra of all bonds and entropies of all pixels; cost O(L chi^3)."""
    state, spectra = classifier.state, schmidt_values(classifier.state)
    bonds = []
    for k in range(len(classifier.order) - 1):
        values = np.sort(spectra[_bond_of_state(classifier, k)].values)[::-1]
        pixels = classifier.order[k], classifier.order[k + 1]
        bonds.append(BondReport(bond=k, pixels=pixels, entropy=entropy_of_weights(values**2), values=values))
    places = [k if k <= classifier.center else k + 1 for k in range(len(classifier.order))]
    entropies = np.empty(len(places))
    entropies[list(classifier.order)] = [_site_entropy(tensor) for tensor in center_tensors(state, places)]
    return ClassifierReport(bonds=tuple(bonds), pixel_entropies=entropies, image=classifier.image)


def drop_bonds(classifier: MPSClassifier, bonds: Iterable[int]) -> MPSClassifier:
    """Only the largest singular value left on some bonds: their two sides no longer know of each other."""
    state = classifier.state
    for bond in bonds:
        if not 0 <= bond < len(classifier.order) - 1:
            raise ShapeError(f"this classifier has bonds 0 to {len(classifier.order) - 2}, found {bond}.")
        place = _bond_of_state(classifier, bond)
        state = canonicalize(state, place)
        tensors = list(state.tensors)
        u, s, v = svd(tensors[place], (0, 1), Truncation(chi_max=1))
        tensors[place] = scale_columns(u, s)
        tensors[place + 1] = contract("l m, m s r -> l s r", v, tensors[place + 1])
        state = MPS(tensors, state.sites, place)
    return classifier.with_state(state)


def _bond_of_state(classifier: MPSClassifier, bond: int) -> int:
    """A bond between pixels as one of the state, which has a site of labels behind the centre."""
    return bond if bond < classifier.center else bond + 1


def _site_entropy(center: Any) -> float:
    rho = contract("l s r, l t r -> s t", center, center.conj())
    return entropy_of_weights(np.clip(np.linalg.eigvalsh(rho.backend.to_host(rho.array)), 0, None))
