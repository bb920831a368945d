"""The CUDA sources, with the constants of the plan table ahead of them."""

from pathlib import Path

from tnsim.kernels import table

FILES = ("products", "copies")
OPTIONS = ("--std=c++17",)
# threads along one side of a tile on a GPU
SIDE = 16
# a thread owns MICRO x MICRO elements of a tile
MICRO = 2
CHUNK_PER_THREAD = 4

_CONSTANTS = (
    "KIND", "M", "N", "K", "A_BUFFER", "A_OFFSET", "A_STRIDE", "A_TRANSPOSE", "B_BUFFER", "B_OFFSET", "B_STRIDE",
    "B_TRANSPOSE", "C_BUFFER", "C_OFFSET", "C_STRIDE", "B_STEP", "C_STEP", "COLUMNS", "BUFFERS",
    "PRODUCT", "ADD", "ADD_CONJUGATE", "IDENTITY", "CLEAR", "NO_TRANSPOSE", "TRANSPOSE", "ADJOINT",
)  # fmt: skip


def source(name: str, side: int) -> str:
    """The text of `name`.cu for tiles of `side` x `side` threads.

    >>> "#define SIDE 16" in source("products", 16)
    True
    """
    defined = {constant: getattr(table, constant) for constant in _CONSTANTS} | {"SIDE": side, "MICRO": MICRO}
    head = "".join(f"#define {constant} {value}\n" for constant, value in defined.items())
    return head + Path(__file__).with_name(f"{name}.cu").read_text(encoding="utf-8")
