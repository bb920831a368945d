"""Anderson mixing: fixed points of any map of vectors, from what its last steps changed."""

import numpy as np

from tnsim.backend import Array, Backend

# combinations of differences that are this much shorter than the longest one are left alone
_CUT = 1e-10


class Anderson:
    """Proposes the next point of x -> f(x) from so many of the last ones.

    Source: D. G. Anderson, J. ACM 12, 547 (1965); H. F. Walker, P. Ni, SIAM J. Numer. Anal. 49, 1715 (2011). Memory:
    2 `depth` vectors; device reads: those of a matrix of `depth`^2 numbers.

    >>> from tnsim.backend import get_backend
    >>> mixing, x = Anderson(get_backend("numpy"), depth=2), np.array([1.0, 0.0])
    >>> for _ in range(5):
    ...     x = mixing.next(x, np.array([0.9 * x[0] + 0.1, -0.5 * x[1] + 1.5]))
    >>> x.round(12).tolist()
    [1.0, 1.0]
    """

    def __init__(self, backend: Backend, depth: int = 6) -> None:
        self.backend, self.depth = backend, depth
        self.forget()

    def forget(self) -> None:
        """Start anew: the next proposal is the image itself."""
        self._images: list[Array] = []
        self._residuals: list[Array] = []

    def next(self, x: Array, image: Array) -> Array:
        """The point of the last images' affine span whose residual is least, to linear order."""
        self._images.append(image)
        self._residuals.append(image - x)
        self._images, self._residuals = self._images[-self.depth - 1 :], self._residuals[-self.depth - 1 :]
        for weight, older in zip(self._weights(), self._images, strict=False):
            image = image + (older - self._images[-1]) * weight
        return image

    def _weights(self) -> list[float | complex]:
        """Of the older images, so that the residual is least: by normal equations."""
        last, read, vdot = self._residuals[-1], self.backend.read, self.backend.vdot
        differences = [residual - last for residual in self._residuals[:-1]]
        if not differences:
            return []
        gram = np.array([[read(vdot(a, b)) for b in differences] for a in differences])
        right = -np.array([read(vdot(a, last)) for a in differences])
        scale = 1 / np.sqrt(np.maximum(np.diag(gram).real, 1e-300))
        inverse = np.linalg.pinv(gram * np.outer(scale, scale), rcond=_CUT, hermitian=True)
        return (scale * (inverse @ (scale * right))).tolist()
