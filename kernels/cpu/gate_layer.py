"""A layer of unitary gates on the bonds of a chain in one compiled call: all bonds side by side, no centre that moves.

theta = C B1 B2 under the gate gives V, the leading right vectors; the new tensors are B2' = V and B1' = M V^dagger with
M = B1 B2 under the gate, so that nothing is divided by Schmidt values; C' is a factor of the density matrix. What a cut
drops bends the form of its neighbours by as much; `chain.restore` mends it.
Source: M. B. Hastings, J. Math. Phys. 50, 095207 (2009), section V.

V comes from a pivoted Cholesky factor (`leading`), or, where a gate changes little and the bond is full, from the left
vectors before the gate: V spans (C^dagger C B1)^dagger M, one half step of subspace iteration from a start that is off
by O(dt). Source of that idea: J. Unfried, J. Hauschild, F. Pollmann, Phys. Rev. B 107, 155133 (2023), section II.
From the old vectors alone, directions that they do not hold (other sectors, other values of symmetries that the tensors
do not know of) would never grow. So B1 gets some columns of noise, probes of what lies outside, and all compete by
weight for the states of the bond; where all probes of a sector win, the bond is cut anew.
"""

import numpy as np

from tnsim.kernels.cpu.chain import (
    PLAIN,
    TURNED,
    bond_of,
    cores_of,
    fill_core,
    fresh_product,
    pair_panels,
    phys_of,
    running_sums,
    site_blocks,
    squares,
    weigh,
)
from tnsim.kernels.cpu.compiled import inlined, inner, kernel
from tnsim.kernels.cpu.gram_schmidt import orthonormal_rows
from tnsim.kernels.cpu.layout import copy_vector, find, stable_order
from tnsim.kernels.cpu.leading import lead_leading
from tnsim.kernels.cpu.split import choose
from tnsim.kernels.cpu.symbols import square
from tnsim.kernels.cpu.team import next_claim

# candidates for the kept states: this many more, and one more in this many
_SPARE = 8
# cuts from a warm start until a bond is cut anew in any case
MOST_WARM = 15
# probes of a sector: so many, and one more in so many states
_PROBES, _SHARE = 4, 16
# what a gate reports: weight that was cut, whether from a warm start, whether it failed
CUT, WARM, FAILED, REPORTED = 0, 1, 2, 3


@inner
def _stacked(chain, i, center, left, right):
    """B1 (rows x bond) and B2 (bond x columns) as matrices for every centre sector, and the bond's dimensions."""
    store, starts, (bond, bond_dims) = chain[0], chain[1], bond_of(chain, i + 1)
    inner_dims = np.zeros(len(center), dtype=np.int64)
    for x in range(len(bond)):
        q = find(center, bond[x])
        if q >= 0:
            inner_dims[q] = bond_dims[x]
    at_first, at_second = running_sums(left[2] * inner_dims), running_sums(right[2] * inner_dims)
    first, second = np.empty(at_first[-1], dtype=store.dtype), np.empty(at_second[-1], dtype=store.dtype)
    (_, dims), (_, phys), (_, ends) = bond_of(chain, i), phys_of(chain, i), bond_of(chain, i + 2)
    sector, places, _ = site_blocks(chain, i)
    for y in range(len(dims)):
        for s in range(len(phys)):
            q = left[0][y, s]
            if q >= 0 and sector[y, s] >= 0:
                size, begin = dims[y] * phys[s] * inner_dims[q], starts[i] + places[y, s]
                a = at_first[q] + left[1][y, s] * inner_dims[q]
                copy_vector(first[a : a + size], store[begin : begin + size])
    phys = phys_of(chain, i + 1)[1]
    sector, places, _ = site_blocks(chain, i + 1)
    for x in range(len(bond)):
        q = find(center, bond[x])
        for t in range(len(phys)):
            z = sector[x, t]
            if q >= 0 and z >= 0:
                width, begin, across = phys[t] * ends[z], starts[i + 1] + places[x, t], right[2][q]
                a = at_second[q] + right[1][z, t]
                for k in range(bond_dims[x]):
                    place = begin + k * width
                    copy_vector(second[a + k * across : a + k * across + width], store[place : place + width])
    return first, second, inner_dims


@inner
def _by_sector(turn_a, turn_b, m, k, n, a, b):
    """op(A) op(B) of matrices that lie one after the other, m x k and k x n (as op(A) and op(B)) in every sector."""
    at_a, at_b, at_c = running_sums(m * k), running_sums(k * n), running_sums(m * n)
    out = np.empty(at_c[-1], dtype=a.dtype)
    for q in range(len(m)):
        if k[q] == 0:
            out[at_c[q] : at_c[q + 1]] = 0
        elif m[q] > 0 and n[q] > 0:
            fresh_product(
                turn_a, turn_b, m[q], n[q], k[q], a[at_a[q] : at_a[q + 1]], k[q] if turn_a == PLAIN else m[q],
                b[at_b[q] : at_b[q + 1]], n[q] if turn_b == PLAIN else k[q], out[at_c[q] : at_c[q + 1]],
            )  # fmt: skip
    return out


@inner
def _state(dims, state):
    """Sector of a state of a site, its place there and the sector's dimension."""
    sector = 0
    while state >= dims[sector]:
        state -= dims[sector]
        sector += 1
    return sector, state, dims[sector]


@inner
def _gated(chain, i, left, right, entries, values, theta):
    """The gate on a two-site tensor in centre blocks; entries: (out, out, in, in) of its elements."""
    (_, dims), (_, ends) = bond_of(chain, i), bond_of(chain, i + 2)
    (_, first), (_, second) = phys_of(chain, i), phys_of(chain, i + 1)
    places, out = running_sums(left[2] * right[2]), np.zeros_like(theta)
    for e in range(len(values)):
        into, to, many_to = _state(first, entries[e, 0])
        source, origin, many = _state(first, entries[e, 2])
        into_right, to_right, _ = _state(second, entries[e, 1])
        source_right, origin_right, _ = _state(second, entries[e, 3])
        for y in range(len(dims)):
            q, p = left[0][y, into], left[0][y, source]
            for z in range(len(ends)):
                if q < 0 or p < 0 or right[0][z, into_right] != q or right[0][z, source_right] != p:
                    continue
                wide, wide_from, width = right[2][q], right[2][p], ends[z]
                a = places[q] + (left[1][y, into] + to) * wide + right[1][z, into_right] + to_right * width
                b = places[p] + (left[1][y, source] + origin) * wide_from
                b += right[1][z, source_right] + origin_right * width
                for row in range(dims[y]):
                    x = out[a + row * many_to * wide : a + row * many_to * wide + width]
                    w = theta[b + row * many * wide_from : b + row * many * wide_from + width]
                    for k in range(width):
                        x[k] += values[e] * w[k]
    return out


@inlined
def _cold(chain, i, left, right, moved, limits):
    """V from a pivoted Cholesky factor: (V, rows in every sector, weight that was cut, whether it failed)."""
    chi_max, chi_min, svd_min, trunc_err, degeneracy = limits
    theta, number = weigh(chain, i, left, right[2], moved, cores_of(chain, i)[0]), len(left[2])
    blocks, places = np.empty((number, 3), dtype=np.int64), running_sums(left[2] * right[2])
    for q in range(number):
        blocks[q, 0], blocks[q, 1], blocks[q, 2] = places[q], left[2][q], right[2][q]
    count, nobody = chi_max + chi_max // _SPARE + _SPARE, np.empty(0, dtype=np.int64)
    basis, weights, ranks, lost, failed = lead_leading(theta, blocks, False, theta[:0], 0.0, count, nobody)
    dims, _, cut, _ = choose(weights, ranks, lost, chi_max, chi_min, svd_min, trunc_err, degeneracy)
    first, into = squares(right[2]), running_sums(dims * right[2])
    vectors = np.empty(into[-1], dtype=theta.dtype)
    for q in range(number):
        size = dims[q] * right[2][q]
        copy_vector(vectors[into[q] : into[q + 1]], basis[first[q] : first[q] + size])
    return vectors, dims, cut, failed >= 0 or np.isnan(cut)


@inner
def _with_probes(left, dims, probes, first, seed):
    """B1 with some columns of noise, the same ones for the same seed, in every sector."""
    wide = dims + probes
    at, into = running_sums(left[2] * dims), running_sums(left[2] * wide)
    out, state = np.empty(into[-1], dtype=first.dtype), np.int64(seed)
    for q in range(len(dims)):
        for row in range(left[2][q]):
            a, b = at[q] + row * dims[q], into[q] + row * wide[q]
            copy_vector(out[b : b + dims[q]], first[a : a + dims[q]])
            for k in range(dims[q], wide[q]):
                state = (state * 1103515245 + 12345) & 0x7FFFFFFF
                out[b + k] = (state >> 8) / 2.0**22 - 1.0
    return out


@inner
def _probes(left, right, dims):
    """How many directions beside those from before compete for the states of a bond, in every sector."""
    probes = np.empty_like(dims)
    for q in range(len(dims)):
        probes[q] = min(min(left[2][q], right[2][q]) - dims[q], _PROBES + dims[q] // _SHARE)
    return probes


@inlined
def _warm(chain, i, left, right, first, dims, moved):
    """V from the columns of `first`, as many in every sector; and whether it failed."""
    weighed = weigh(chain, i, left, dims, first, cores_of(chain, i)[1])
    vectors, failed = _by_sector(TURNED, PLAIN, dims, left[2], right[2], weighed, moved), False
    places = running_sums(dims * right[2])
    for q in range(len(dims)):
        if dims[q] > 0:
            rows = vectors[places[q] : places[q + 1]].reshape(dims[q], right[2][q])
            failed = orthonormal_rows(rows) != 0 or failed
    return vectors, failed


@inner
def _rho(chain, i, left, dims, first):
    """The density matrix of the left half in the new basis, a square matrix for every sector."""
    weighed, one = weigh(chain, i, left, dims, first, cores_of(chain, i)[0]), np.ones(1)
    places, into = running_sums(left[2] * dims), squares(dims)
    rho = np.zeros(into[-1], dtype=first.dtype)
    for q in range(len(dims)):
        if dims[q] > 0:
            square(weighed[places[q] :], left[2][q], dims[q], False, one, rho[into[q] : into[q + 1]])
    return rho


@inner
def _kept(rho, dims, chi_max, svd_min):
    """Rows of every sector that are kept, in the order of falling weight: (dims, rows)."""
    into, starts = squares(dims), running_sums(dims)
    weights, rows = np.empty(starts[-1]), np.empty(starts[-1], dtype=np.int64)
    for q in range(len(dims)):
        found = np.empty(dims[q])
        for k in range(dims[q]):
            found[k] = max(rho[into[q] + k * (dims[q] + 1)].real, 0.0)
        for number, k in enumerate(stable_order(-found)):
            weights[starts[q] + number], rows[starts[q] + number] = found[k], k
    kept, _, _, _ = choose(weights, dims, 0.0, chi_max, 1, svd_min, 0.0, 0.0)
    count = 0
    for q in range(len(dims)):
        for k in range(kept[q]):
            rows[count] = rows[starts[q] + k]
            count += 1
    return kept, rows[:count]


@inner
def _exhausted(dims, probes, kept, rows, most):
    """Whether all probes of a sector are kept although there are more directions than probes."""
    place = 0
    for q in range(len(dims)):
        found = 0
        for row in rows[place : place + kept[q]]:
            found += row >= dims[q]
        place += kept[q]
        if found == probes[q] and probes[q] > 0 and dims[q] + probes[q] < most[q]:
            return True
    return False


@inner
def _write(chain, i, center, left, right, tensors, dims, rows, kept):
    """The kept part of both tensors and of the core into the chain; `dims` are those of the tensors."""
    store, starts, keys, bond_dims, counts = chain[0], chain[1], chain[4], chain[5], chain[6]
    (first, second, rho), count = tensors, 0
    (_, left_dims), (_, ends) = bond_of(chain, i), bond_of(chain, i + 2)
    (_, phys), (_, phys_right) = phys_of(chain, i), phys_of(chain, i + 1)
    at_first, at_second = running_sums(left[2] * dims), running_sums(right[2] * dims)
    chosen, place = running_sums(kept), starts[i]
    for y in range(len(left_dims)):
        for s in range(len(phys)):
            q = left[0][y, s]
            if q < 0 or kept[q] == 0:
                continue
            a = at_first[q] + left[1][y, s] * dims[q]
            for row in range(left_dims[y] * phys[s]):
                for k in range(kept[q]):
                    store[place + k] = first[a + row * dims[q] + rows[chosen[q] + k]]
                place += kept[q]
    place = starts[i + 1]
    for q in range(len(dims)):
        if kept[q] == 0:
            continue
        keys[i + 1, count], bond_dims[i + 1, count] = center[q], kept[q]
        count += 1
        for t in range(len(phys_right)):
            for z in range(len(ends)):
                if right[0][z, t] != q:
                    continue
                for k in range(kept[q]):
                    a, width = (
                        at_second[q] + rows[chosen[q] + k] * right[2][q] + right[1][z, t],
                        phys_right[t] * ends[z],
                    )
                    copy_vector(store[place : place + width], second[a : a + width])
                    place += width
    counts[i + 1] = count
    _write_cores(chain, i + 1, rho, dims, rows, kept)


@inner
def _write_cores(chain, i, rho, dims, rows, kept):
    """The kept part of density matrices (`dims`), with trace 1, and the cores of a bond whose sectors are in place."""
    at_rho, chosen, found, trace, z = squares(dims), running_sums(kept), bond_of(chain, i)[1], 0.0, 0
    for q in range(len(dims)):
        for k in range(kept[q]):
            trace += rho[at_rho[q] + rows[chosen[q] + k] * (dims[q] + 1)].real
    for q in range(len(dims)):
        if kept[q] == 0:
            continue
        part = np.empty(kept[q] ** 2, dtype=rho.dtype)
        for k in range(kept[q]):
            for j in range(kept[q]):
                place = at_rho[q] + rows[chosen[q] + k] * dims[q] + rows[chosen[q] + j]
                part[k * kept[q] + j] = rho[place] / trace
        fill_core(chain, i, found, z, part)
        z += 1


@inlined
def _from_before(chain, i, sides, first, dims, moved, limits, seed):
    """The new tensors from a warm start: (B1', V, rho, their bond, kept, rows, success)."""
    left, right = sides
    probes = _probes(left, right, dims)
    wide = dims + probes
    vectors, failed = _warm(chain, i, left, right, _with_probes(left, dims, probes, first, seed), wide, moved)
    new = _by_sector(PLAIN, TURNED, left[2], right[2], wide, moved, vectors)
    rho = _rho(chain, i, left, wide, new)
    kept, rows = _kept(rho, wide, limits[0], limits[2])
    fine = not failed and kept.sum() > 0 and not _exhausted(dims, probes, kept, rows, np.minimum(left[2], right[2]))
    return new, vectors, rho, wide, kept, rows, fine


@inlined
def _update(chain, i, entries, values, limits, small, since, report):
    """One gate on sites i and i + 1. small: whether it changes little; since: warm cuts of a bond since a cold one."""
    center, left, right = pair_panels(chain, i)
    first, second, dims = _stacked(chain, i, center, left, right)
    joined = _by_sector(PLAIN, PLAIN, left[2], dims, right[2], first, second)
    moved = _gated(chain, i, left, right, entries, values, joined)
    full, fits = dims.sum() == limits[0], (dims <= np.minimum(left[2], right[2])).all()
    if small and full and fits and limits[3] == 0 and limits[4] == 0 and since[i] < MOST_WARM:
        seed = i + 7919 * since[i]
        new, vectors, rho, wide, kept, rows, fine = _from_before(
            chain, i, (left, right), first, dims, moved, limits, seed
        )
        if fine:
            since[i] += 1
            report[WARM] = True
            _write(chain, i, center, left, right, (new, vectors, rho), wide, rows, kept)
            return
    vectors, dims, report[CUT], report[FAILED] = _cold(chain, i, left, right, moved, limits)
    since[i] = 0
    if report[FAILED]:
        return
    new = _by_sector(PLAIN, TURNED, left[2], right[2], dims, moved, vectors)
    rho = _rho(chain, i, left, dims, new)
    kept, rows = _kept(rho, dims, limits[0], 0.0)
    _write(chain, i, center, left, right, (new, vectors, rho), dims, rows, kept)


@kernel
def apply_layer(chain, bonds, numbers, entries, values, ends, limits, small, since, reports, claims):
    """Gates on some bonds that do not overlap; several threads that share `claims` share the layer.

    numbers: which gate acts on each bond (the one on sites bonds[k] and bonds[k] + 1); gate g has the elements
    ends[g] to ends[g + 1] of `entries` and `values`; limits: (chi_max, chi_min, svd_min, trunc_err, degeneracy_tol);
    small: for every gate; since: for every bond; reports: a row a bond, see CUT.
    """
    while True:
        k = next_claim(claims)
        if k >= len(bonds):
            return
        a, b = ends[numbers[k]], ends[numbers[k] + 1]
        _update(chain, bonds[k], entries[a:b], values[a:b], limits, small[numbers[k]], since, reports[k])


@kernel
def room(chain, bonds, chi_max):
    """The most that a layer may need: numbers of every site and core on its bonds, and sectors of a bond."""
    sites, cores, sectors = np.zeros(len(chain[1]), dtype=np.int64), np.zeros(len(chain[3]), dtype=np.int64), 1
    for i in bonds:
        center, left, right = pair_panels(chain, i)
        sectors = max(sectors, len(center))
        for q in range(len(center)):
            most = min(left[2][q], right[2][q], chi_max)
            sites[i] += left[2][q] * most
            sites[i + 1] += right[2][q] * most
            cores[i + 1] += 2 * most**2
    return sites, cores, sectors
