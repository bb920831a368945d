"""A tensor as a table of its blocks, for people."""

import numpy as np

from tnsim.tensor.tensor import Tensor


def block_table(tensor: Tensor, limit: int = 40) -> str:
    """One line a block: charge on every leg, shape, Frobenius norm; the first `limit` blocks. Reads the device once.

    >>> from tnsim.symmetry import Leg, U1
    >>> from tnsim.tensor import eye
    >>> print(block_table(eye(Leg(U1("Sz"), [-1, 1], [1, 2]))))
    Tensor(3, 3) float64 on numpy: 2 blocks, 5 of 9 numbers
      charges in out   shape   norm
      -1 -1            1 x 1   1
      1 1              2 x 2   1.41421
    """
    table, host = tensor.layout, tensor.backend.to_host(tensor.data)
    flows = " ".join("in" if leg.flow > 0 else "out" for leg in tensor.legs)
    lines = [(f"charges {flows}", "shape", "norm")]
    for number, places in enumerate(table.indices[:limit].tolist()):
        charges = [leg.charges[place] for leg, place in zip(tensor.legs, places, strict=True)]
        words = " ".join(",".join(map(str, charge)) or "-" for charge in charges)
        shape = " x ".join(map(str, table.shapes[number].tolist()))
        norm = np.linalg.norm(host[table.offsets[number] : table.offsets[number + 1]])
        lines.append((words, shape, f"{norm:.6g}"))
    widths = [max(len(line[n]) for line in lines) for n in range(2)]
    text = [repr(tensor)] + [f"  {a:{widths[0]}}   {b:{widths[1]}}   {c}" for a, b, c in lines]
    if len(table.indices) > limit:
        text.append(f"  and {len(table.indices) - limit} more blocks")
    return "\n".join(text)
