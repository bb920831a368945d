"""The one format of a plan: a table of block products, one row each, with run-time buffers named by number.

A row reads `C += alpha * op(A) @ op(B)` (PRODUCT), `C += alpha * B` (ADD) or `C += alpha * 1` (IDENTITY) on
strided sub-matrices of flat buffers. Rows that belong to one task run in order; tasks do not touch each
other's targets, so they may run side by side. Targets of a task are cleared first where CLEAR says so.
A non-abelian plan has the same rows and differs in its coefficients only.
"""

# columns of a row
KIND, TASK, M, N, K = 0, 1, 2, 3, 4
A_BUFFER, A_OFFSET, A_STRIDE, A_TRANSPOSE = 5, 6, 7, 8
B_BUFFER, B_OFFSET, B_STRIDE, B_TRANSPOSE = 9, 10, 11, 12
C_BUFFER, C_OFFSET, C_STRIDE = 13, 14, 15
# an ADD moves single elements: its column strides stand where a PRODUCT has its first operand
B_STEP, C_STEP = A_STRIDE, A_OFFSET
COLUMNS = 16

# the most run-time arrays that a plan names
BUFFERS = 8

# kinds
PRODUCT, ADD, ADD_CONJUGATE, IDENTITY, CLEAR = 0, 1, 2, 3, 4

# transposes
NO_TRANSPOSE, TRANSPOSE, ADJOINT = 0, 1, 2

# the largest size or leading dimension that a 32-bit BLAS takes
MAX_SIZE = 2**31 - 1
