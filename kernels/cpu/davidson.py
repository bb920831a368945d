"""Block Davidson for the lowest eigenvectors of a product plan, all in one compiled call.

Every new direction is a residual divided by the diagonal of H minus the energy, so it goes where H is small on the
diagonal: strong local interactions cost few products. Source: E. R. Davidson, J. Comput. Phys. 17, 87 (1975).
"""

from contextlib import suppress

import numpy as np

from tnsim.kernels.cpu.compiled import inner, kernel
from tnsim.kernels.cpu.lanczos import (
    HIDDEN,
    ROUNDING,
    SINGLE,
    begin,
    pays_in_single,
    project_out,
)
from tnsim.kernels.cpu.lapack import eigh
from tnsim.kernels.cpu.layout import copy_vector
from tnsim.kernels.cpu.products import share_rows
from tnsim.kernels.cpu.shares import shares_of
from tnsim.kernels.cpu.space import (
    MEASURE,
    PLACE,
    PRECONDITION,
    REMOVE,
    RESIDUAL,
    SHIFT,
    overlaps_of,
    work_on_space,
)
from tnsim.kernels.cpu.team import led
from tnsim.kernels.cpu.vectors import combine, copy_all, in_dtype

# added to differences between diagonal and energy, as a share of the energy (or of the residual)
FLOOR = 1e-4
# what is left of a direction is made orthogonal again where it is a smaller share
_CANCELLED = 0.1


@inner
def _added(space, count, t, norm, diagonal, constraints, rounding, scratch, board):
    """Put t, which was measured (`norm`, and its overlaps in the scratch), behind the vectors that are there,
    orthonormal to them; whether anything of it was left."""
    flat, (factors, sums, shares) = space.reshape(space.size), scratch
    before = after = norm
    for _ in range(3):
        if constraints is not None:
            project_out(t, constraints)
            work_on_space(MEASURE, count, flat, t, diagonal, factors, sums, shares, board)
        overlaps_of(sums, count, factors)
        after = work_on_space(REMOVE, count, flat, t, diagonal, factors, sums, shares, board)
        if after > _CANCELLED * before:
            break
        before = after
    if not after > rounding * norm:
        return False
    factors[0] = 1 / after
    work_on_space(PLACE, count, flat, t, diagonal, factors, sums, shares, board)
    return True


@inner
def _apply(
    rows, alphas, space, done, halves, work, starts, order, shift, diagonal, constraints, scratch, board, overlaps
):  # fmt: skip
    """The product of a vector with H less the shift, and its overlaps with all vectors so far; the norm of it."""
    v, image, (factors, sums, shares) = space[done, 0], space[done, 1], scratch
    share_rows(rows, alphas, starts, order, (v, image, work, halves[0], halves[1], halves[2], halves[3], work), board)
    if constraints is not None:
        project_out(image, constraints)
    factors[0] = shift
    # images of the first vectors, as these may be residuals: small, and so is rounding in what they overlap
    norm = work_on_space(SHIFT, done + 1, space.reshape(space.size), image, diagonal, factors, sums, shares, board)
    overlaps_of(sums, done + 1, overlaps[done])
    for i in range(done + 1):
        overlaps[i, done] = np.conj(overlaps[done, i])
    return norm


@inner
def _residual(flat, coefficients, energy, out, diagonal, scratch, board):
    """(H - energy) of a Ritz vector, and its norm."""
    (factors, sums, shares), count, number = scratch, len(coefficients), out.dtype.type
    for i in range(count):
        factors[i] = number(coefficients[i])
    factors[count] = number(energy)
    return work_on_space(RESIDUAL, count, flat, out, diagonal, factors, sums, shares, board)


@kernel
def lowest(
    rows, alphas, guesses, known, space, overlaps, halves, work, starts, order, diagonal, limits, shares, constraints,
    board,
):  # fmt: skip
    """Lowest Ritz pairs, as many as `guesses` has rows that do not depend on each other.

    known: True with energy, residual and residual norm of the one guess, of norm 1, which stands in the space with its
    residual; or False with any. space: room for vectors and their products, in pairs, in the dtype of `alphas`,
    `halves`, `work` and `diagonal`; overlaps: room for <vector| H |vector> in double precision, whose size is the most
    products. limits: (k_min, tolerance, gain, exact, rounding): ends after k_min products for every pair where every
    residual norm fell below `tolerance`, or below `gain` times that in the span of the guesses, or to `exact` of the
    energies; `rounding` is that of the space. The rest as in `lanczos.lowest`.
    Returns (vectors of norm 1, energies, first energies, first residuals, their norms, products, residual that
    rounding may hide).
    """
    (is_known, shift, residual, norm), (k_min, tolerance, gain, exact, rounding) = known, limits
    (wanted, size), most = guesses.shape, len(overlaps)
    spare, residuals, start = np.empty(size, dtype=space.dtype), residual.reshape(1, size), guesses[0]
    first_energies, first_norms = np.full(wanted, shift), np.full(wanted, norm)
    factors, sums = np.zeros(len(space), dtype=space.dtype), np.empty(shares * (2 * len(space) + 1))
    flat, scratch, count, scale = space.reshape(space.size), (factors, sums, shares), 0, abs(shift)
    if is_known:
        overlaps[0, 0], count = 0, 1
    else:
        residuals = np.empty((wanted, size), dtype=guesses.dtype)
    done = count
    for row in range(done, wanted):
        copy_vector(spare, guesses[row])
        norm = work_on_space(MEASURE, count, flat, spare, diagonal, factors, sums, shares, board)
        count += _added(space, count, spare, norm, diagonal, constraints, rounding, scratch, board)
    pairs = count
    ritz, values = np.conj(overlaps[:0, :0]), np.empty(0)
    while True:
        initial = done == 0
        while done < count:
            image = _apply(
                rows, alphas, space, done, halves, work, starts, order, shift, diagonal, constraints, scratch, board,
                overlaps,
            )  # fmt: skip
            scale = max(scale, image)
            done += 1
        values, ritz = np.empty(done), overlaps[:done, :done].copy()
        eigh(ritz, values)
        ritz = np.conj(ritz)
        for pair in range(pairs):
            norm = _residual(flat, ritz[pair], values[pair], spare, diagonal, scratch, board)
            energy = shift + values[pair]
            if initial:
                copy_vector(residuals[pair], spare)
                first_energies[pair], first_norms[pair] = energy, norm
            enough = exact * max(abs(shift + values[0]), abs(shift + values[-1]))
            if done >= k_min * pairs:
                enough = max(enough, max(tolerance, gain * first_norms[pair]))
            if norm > enough and count < most:
                factors[0], factors[1] = energy, FLOOR * max(abs(first_energies[0]), first_norms[0])
                norm = work_on_space(PRECONDITION, count, flat, spare, diagonal, factors, sums, shares, board)
                count += _added(space, count, spare, norm, diagonal, constraints, rounding, scratch, board)
        if done == count:
            break
    vectors = np.empty((pairs, size), dtype=guesses.dtype)
    if not is_known:  # of one that is, the space may hold half of the digits
        start = np.empty_like(vectors[0])
        copy_vector(start, space[0, 0])
    for pair in range(pairs):
        combine(start, flat, 2 * size, ritz[pair], vectors[pair], sums, shares, board)
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
    overlaps, shares = np.zeros((most, most), dtype=np.result_type(dtype, np.float64)), shares_of(size)
    work, (*halves, diagonal) = np.empty(max(1, plan.work), dtype=dtype), in_dtype((*halves, diagonal), dtype, threads)
    if known[0]:
        led(threads, guesses.dtype, copy_all, (guesses[0], known[2]), (space[0, 0], space[0, 1]))
    result = led(
        threads, guesses.dtype, lowest, plan.rows, plan.alphas.astype(dtype, copy=False), guesses, known, space,
        overlaps, tuple(halves), work, plan.starts, plan.order, diagonal, limits, shares, constraints,
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
