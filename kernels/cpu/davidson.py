"""Block Davidson for the lowest eigenvectors of a product plan, all in one compiled call.

Every new direction is a residual divided by the diagonal of H minus the energy, so it goes where H is small on the
diagonal: strong local interactions cost few products. Source: E. R. Davidson, J. Comput. Phys. 17, 87 (1975).
"""

from contextlib import suppress

import numpy as np
from numba.extending import register_jitable

from tnsim.kernels.cpu.compiled import inner, kernel
from tnsim.kernels.cpu.lanczos import (
    HIDDEN,
    ROUNDING,
    SINGLE,
    begin,
    norm_of,
    pays_in_single,
    project_out,
    rescale,
    subtract,
)
from tnsim.kernels.cpu.lapack import eigh
from tnsim.kernels.cpu.layout import copy_vector
from tnsim.kernels.cpu.products import share_rows
from tnsim.kernels.cpu.symbols import dot
from tnsim.kernels.cpu.team import led
from tnsim.kernels.cpu.vectors import shares_of

# added to differences between diagonal and energy, as a share of the energy (or of the residual)
FLOOR = 1e-4
# elements of a vector that are worked on at once
_PIECE = 1024
# what is left of a direction is made orthogonal again where it is a smaller share
_CANCELLED = 0.1


@inner
def _added(space, count, t, constraints, rounding):
    """Put t behind the vectors that are there, orthonormal to them; whether anything of it was left."""
    ints = np.empty(2, dtype=np.int32)
    first = before = norm_of(t)
    for _ in range(3):
        if constraints is not None:
            project_out(t, constraints)
        for i in range(count):
            subtract(t, dot(space[i, 0], t, ints), space[i, 0])
        after = norm_of(t)
        if after > _CANCELLED * before:
            break
        before = after
    if not after > rounding * first:
        return False
    factor, new = space.dtype.type(1 / after), space[count, 0]
    for e in range(len(t)):
        new[e] = factor * t[e]
    return True


@inner
def _residual(space, coefficients, energy, out):
    """(H - energy) of a Ritz vector, and its norm; piece by piece, so that `out` stays in the nearest cache."""
    number = space.dtype.type
    shift = number(energy)
    for first in range(0, len(out), _PIECE):
        piece = out[first : first + _PIECE]
        last = first + len(piece)
        piece[:] = 0
        for i in range(len(coefficients)):
            c, v, w = number(coefficients[i]), space[i, 0, first:last], space[i, 1, first:last]
            for e in range(len(piece)):
                piece[e] += c * (w[e] - shift * v[e])
    return norm_of(out)


@inner
def _vector(start, space, coefficients, out):
    """A Ritz vector of norm 1; start: the first vector of the space, which may hold it in fewer digits."""
    number = out.dtype.type
    for first in range(0, len(out), _PIECE):
        piece = out[first : first + _PIECE]
        c, v = number(coefficients[0]), start[first : first + len(piece)]
        for e in range(len(piece)):
            piece[e] = c * v[e]
        for i in range(1, len(coefficients)):
            c, w = number(coefficients[i]), space[i, 0, first : first + len(piece)]
            for e in range(len(piece)):
                piece[e] += c * w[e]
    rescale(out, number(1 / norm_of(out)))


@register_jitable(error_model="numpy", no_cfunc_wrapper=True)  # a division that may be vectorised
def _precondition(out, diagonal, energy, floor):
    """out / (|diagonal - energy| + floor)."""
    real = diagonal.real.dtype.type
    shift, least = real(energy), real(floor)
    for e in range(len(out)):
        out[e] /= abs(diagonal[e].real - shift) + least


@inner
def _apply(rows, alphas, space, done, halves, work, starts, order, shift, constraints, board, overlaps):
    """The product of a vector with H less the shift, and its overlaps with all vectors so far; the norm of it."""
    v, image, ints = space[done, 0], space[done, 1], np.empty(2, dtype=np.int32)
    share_rows(rows, alphas, starts, order, (v, image, work, halves[0], halves[1], halves[2], halves[3], work), board)
    if constraints is not None:
        project_out(image, constraints)
    subtract(image, space.dtype.type(shift), v)
    for i in range(done + 1):
        # images of the first vectors, as these may be residuals: small, and so is rounding in what they overlap
        overlaps[done, i] = dot(v, space[i, 1], ints)
        overlaps[i, done] = np.conj(overlaps[done, i])
    return norm_of(image)


@kernel
def lowest(
    rows, alphas, guesses, known, space, overlaps, halves, work, starts, order, diagonal, limits, constraints, board
):  # fmt: skip
    """Lowest Ritz pairs, as many as `guesses` has rows that do not depend on each other.

    known: True with energy, residual and residual norm of the one guess, of norm 1; or False with any. space: room for
    vectors and their products, in pairs, in the dtype of `alphas`, `halves`, `work` and `diagonal`; overlaps: room for
    <vector| H |vector> in double precision, whose size is the most products. limits: (k_min, tolerance, gain, exact,
    rounding): ends after k_min products for every pair where every residual norm fell below `tolerance`, or below
    `gain` times that in the span of the guesses, or to `exact` of the energies; `rounding` is that of the space. The
    rest as in `lanczos.lowest`.
    Returns (vectors of norm 1, energies, first energies, first residuals, their norms, products, residual that
    rounding may hide).
    """
    (is_known, shift, residual, norm), (k_min, tolerance, gain, exact, rounding) = known, limits
    (wanted, size), most = guesses.shape, len(overlaps)
    spare, residuals = np.empty(size, dtype=space.dtype), np.empty((wanted, size), dtype=guesses.dtype)
    first_energies, first_norms = np.full(wanted, shift), np.full(wanted, norm)
    count, scale = 0, abs(shift)
    if is_known:
        copy_vector(space[0, 0], guesses[0])
        copy_vector(space[0, 1], residual)
        copy_vector(residuals[0], residual)
        overlaps[0, 0], count = 0, 1
    done = count
    for row in range(done, wanted):
        copy_vector(spare, guesses[row])
        count += _added(space, count, spare, constraints, rounding)
    pairs = count
    ritz, values = np.conj(overlaps[:0, :0]), np.empty(0)
    while True:
        initial = done == 0
        while done < count:
            image = _apply(rows, alphas, space, done, halves, work, starts, order, shift, constraints, board, overlaps)
            scale = max(scale, image)
            done += 1
        values, ritz = np.empty(done), overlaps[:done, :done].copy()
        eigh(ritz, values)
        ritz = np.conj(ritz)
        for pair in range(pairs):
            norm = _residual(space, ritz[pair], values[pair], spare)
            energy = shift + values[pair]
            if initial:
                copy_vector(residuals[pair], spare)
                first_energies[pair], first_norms[pair] = energy, norm
            enough = exact * max(abs(shift + values[0]), abs(shift + values[-1]))
            if done >= k_min * pairs:
                enough = max(enough, max(tolerance, gain * first_norms[pair]))
            if norm > enough and count < most:
                floor = FLOOR * max(abs(first_energies[0]), first_norms[0])
                _precondition(spare, diagonal, energy, floor)
                count += _added(space, count, spare, constraints, rounding)
        if done == count:
            break
    vectors = np.empty((pairs, size), dtype=guesses.dtype)
    for pair in range(pairs):
        if is_known:
            _vector(guesses[0], space, ritz[pair], vectors[pair])
        else:
            _vector(space[0, 0], space, ritz[pair], vectors[pair])
    hidden = rounding * scale * np.sqrt(max(0.0, 1 - abs(ritz[0, 0]) ** 2)) if pairs > 0 else 0.0
    return (
        vectors, shift + values[:pairs], first_energies[:pairs], residuals[:pairs], first_norms[:pairs], done, hidden,
    )  # fmt: skip


def solve(plan, guesses, diagonal, halves, limits, threads, constraints=None):
    """Lowest Ritz pairs of a product plan from the rows of `guesses`, as many as those span; `limits` are (k_min,
    k_max, tolerance, gain), with products for every pair. Results as in `lanczos.solve`, a row a pair.

    For one pair all products but the first may be done in single precision, as there."""
    dtype, known, kinds = guesses.dtype, (False, 0.0, guesses[0], 0.0), (guesses.dtype,)
    threads, enough = min(threads, len(plan.order)), limits[2]
    if len(guesses) == 1:
        start, energy, residual, norm = led(
            threads, dtype, begin, plan.rows, plan.alphas, plan.starts, plan.order, plan.work or 1, guesses[0],
            shares_of(len(guesses[0])), *halves, constraints,
        )  # fmt: skip
        guesses, known, enough = start.reshape(1, -1), (True, energy, residual, norm), max(enough, limits[3] * norm)
        if pays_in_single(plan, dtype, enough, energy, norm, constraints):
            kinds = SINGLE[dtype.char], dtype
    for kind in kinds:
        *pairs, hidden = _search(plan, guesses, known, diagonal, halves, limits, threads, constraints, kind)
        if hidden < HIDDEN * enough:
            break
    return pairs


def _search(plan, guesses, known, diagonal, halves, limits, threads, constraints, dtype):
    """`lowest` with all that it makes in some dtype."""
    (wanted, size), (k_min, k_max, tolerance, gain) = guesses.shape, limits
    most = min(wanted * k_max, size - (0 if constraints is None else len(constraints)))
    limits = k_min, tolerance, gain, ROUNDING[guesses.dtype.char], ROUNDING[dtype.char]
    room = _room((most + 1) * 2 * size * dtype.itemsize)
    space = room[: (most + 1) * 2 * size * dtype.itemsize].view(dtype).reshape(most + 1, 2, size)
    overlaps = np.zeros((most, most), dtype=np.result_type(dtype, np.float64))
    work, halves = np.empty(max(1, plan.work), dtype=dtype), tuple(half.astype(dtype, copy=False) for half in halves)
    result = led(
        threads, guesses.dtype, lowest, plan.rows, plan.alphas.astype(dtype, copy=False), guesses, known, space,
        overlaps, halves, work, plan.starts, plan.order, diagonal.astype(dtype, copy=False), limits, constraints,
    )  # fmt: skip
    if len(room) <= _LARGEST_ROOM:
        _ROOMS.append(room)
    return result


# Memory that the last call is done with: fresh pages cost as much as a few passes over the vectors. One that is large
# goes back, as it would stay for good.
_ROOMS: list[np.ndarray] = []
_LARGEST_ROOM = 2**27


def _room(size):
    """So many bytes, those of an earlier call where they suffice; of two calls at once each has its own."""
    while _ROOMS:
        with suppress(IndexError):
            room = _ROOMS.pop()
            if len(room) >= size:
                return room
    return np.empty(size + size // 4, dtype=np.uint8)
