"""Random plans of block products, and a plain evaluation of them row by row."""

from dataclasses import dataclass

import numpy as np

from tnsim.kernels import table as t

INPUT, OUTPUT, WORK, OTHER = range(4)
# elements of the inputs, and of every task's window of the output and the work buffer
INPUTS = {INPUT: 60, OTHER: 50}
WINDOWS = {OUTPUT: 100, WORK: 75}


@dataclass
class Plan:
    """Rows in tasks, coefficients, and the buffers they run on (host arrays)."""

    rows: np.ndarray
    alphas: np.ndarray
    starts: np.ndarray
    weights: np.ndarray
    buffers: list[np.ndarray]


def numbers(rng: np.random.Generator, size: int, dtype: np.dtype) -> np.ndarray:
    values = rng.standard_normal(size)
    return (values + 1j * rng.standard_normal(size) if dtype.kind == "c" else values).astype(dtype)


def random_plan(seed: int, dtype: np.dtype, tasks: int = 4, rows_per_task: int = 9) -> Plan:
    """Rows of every kind; each task owns a window of the output and of the work buffer and may read what it wrote."""
    rng = np.random.default_rng(seed)
    rows, starts = [], [0]
    for task in range(tasks):
        for _ in range(int(rng.integers(1, rows_per_task + 1))):
            rows.append(_random_row(rng, task))
        starts.append(len(rows))
    table = np.array(rows, dtype=np.int64)
    sizes = INPUTS | {buffer: size * tasks for buffer, size in WINDOWS.items()}
    buffers = [numbers(rng, sizes[buffer], dtype) for buffer in range(4)]
    weights = np.ones(tasks)
    return Plan(table, numbers(rng, len(table), dtype), np.array(starts), weights, buffers)


def _random_row(rng: np.random.Generator, task: int) -> np.ndarray:
    row = np.zeros(t.COLUMNS, dtype=np.int64)
    kind = rng.choice([t.PRODUCT, t.PRODUCT, t.PRODUCT, t.ADD, t.ADD_CONJUGATE, t.IDENTITY, t.CLEAR])
    m, n, k = (int(x) for x in rng.integers(1, 6, size=3))
    row[[t.KIND, t.TASK, t.M, t.N, t.K]] = kind, task, m, n, k
    target = int(rng.choice([OUTPUT, WORK]))
    stepped = kind in (t.ADD, t.ADD_CONJUGATE)
    step = int(rng.integers(1, 3)) if stepped else 1
    # few distinct strides and offsets, so that targets coincide and interleave
    stride = (
        1 + int(rng.integers(0, 2)) if kind == t.IDENTITY else int(rng.choice([10, 12] if step > 1 else [6, 10, 12]))
    )
    extent = (m - 1) * stride + (n - 1) * step + 1
    slack = WINDOWS[target] - extent
    offset = task * WINDOWS[target] + int(rng.integers(0, min(slack, 12) + 1))
    row[[t.C_BUFFER, t.C_OFFSET, t.C_STRIDE]] = target, offset, stride
    if kind == t.PRODUCT:
        _operand(rng, row, (t.A_BUFFER, t.A_OFFSET, t.A_STRIDE, t.A_TRANSPOSE), (m, k), task, target)
        _operand(rng, row, (t.B_BUFFER, t.B_OFFSET, t.B_STRIDE, t.B_TRANSPOSE), (k, n), task, target)
    elif stepped:
        columns = (t.B_BUFFER, t.B_OFFSET, t.B_STRIDE, t.B_TRANSPOSE)
        _operand(rng, row, columns, (m, n), task, target)
        row[t.B_TRANSPOSE] = 0
        row[t.B_STRIDE], row[t.B_STEP], row[t.C_STEP] = 5, 1, step
    return row


def _operand(
    rng: np.random.Generator, row: np.ndarray, columns: tuple[int, ...], shape: tuple[int, int], task: int, target: int
) -> None:
    """An input, or what this task has written into the buffer that this row does not write."""
    written = WORK if target == OUTPUT else OUTPUT
    buffer = int(rng.choice([INPUT, OTHER, written]))
    base, room = (0, INPUTS[buffer]) if buffer in INPUTS else (task * WINDOWS[buffer], WINDOWS[buffer])
    transpose = int(rng.choice([t.NO_TRANSPOSE, t.TRANSPOSE, t.ADJOINT]))
    height, width = shape if transpose == t.NO_TRANSPOSE else shape[::-1]
    stride = max(width, 5)
    slack = room - ((height - 1) * stride + max(width, 5))
    row[list(columns)] = buffer, base + int(rng.integers(0, min(slack, 20) + 1)), stride, transpose


def run_plainly(plan: Plan) -> list[np.ndarray]:
    """The buffers after all rows, by element loops that share nothing with the kernels."""
    buffers = [buffer.copy() for buffer in plan.buffers]
    for row, alpha in zip(plan.rows.tolist(), plan.alphas, strict=True):
        c, kind = buffers[row[t.C_BUFFER]], row[t.KIND]
        if kind == t.IDENTITY:
            for i in range(row[t.M]):
                c[row[t.C_OFFSET] + i * row[t.C_STRIDE]] += alpha
            continue
        step = row[t.C_STEP] if kind in (t.ADD, t.ADD_CONJUGATE) else 1
        for i in range(row[t.M]):
            for j in range(row[t.N]):
                place = row[t.C_OFFSET] + i * row[t.C_STRIDE] + j * step
                c[place] = 0 if kind == t.CLEAR else c[place] + alpha * _value(buffers, row, i, j)
    return buffers


def _value(buffers: list[np.ndarray], row: list[int], i: int, j: int) -> complex:
    if row[t.KIND] != t.PRODUCT:
        b = buffers[row[t.B_BUFFER]][row[t.B_OFFSET] + i * row[t.B_STRIDE] + j * row[t.B_STEP]]
        return np.conj(b) if row[t.KIND] == t.ADD_CONJUGATE else b
    total = 0
    for d in range(row[t.K]):
        a = _element(buffers[row[t.A_BUFFER]], row[t.A_OFFSET], row[t.A_STRIDE], row[t.A_TRANSPOSE], i, d)
        b = _element(buffers[row[t.B_BUFFER]], row[t.B_OFFSET], row[t.B_STRIDE], row[t.B_TRANSPOSE], d, j)
        total += a * b
    return total


def _element(buffer: np.ndarray, offset: int, stride: int, transpose: int, i: int, j: int) -> complex:
    if transpose == t.NO_TRANSPOSE:
        return buffer[offset + i * stride + j]
    value = buffer[offset + j * stride + i]
    return np.conj(value) if transpose == t.ADJOINT else value
