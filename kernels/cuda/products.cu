// Block products on the device: C += alpha op(A) op(B) and its simpler kin on strided pieces of flat buffers.
//
// A thread block owns one TILE x TILE tile of one target region and runs all rows of that target in order,
// keeping the tile in registers; it is written once. Rows that depend on each other through memory lie in
// different launches (see schedule.py), so nothing inside one launch reads what another block writes.
// The columns of a row, its kinds and its transposes are defined from kernels/table.py ahead of this text,
// as are SIDE (threads along one side of a tile) and MICRO (elements a thread owns along one side).

#define TILE (SIDE * MICRO)
#define THREADS (SIDE * SIDE)

typedef long long integer;

template <typename R> struct Complex {
    R re, im;
};

template <typename R> __device__ R conjugate(R x) { return x; }
template <typename R> __device__ Complex<R> conjugate(Complex<R> x) { return {x.re, -x.im}; }

// sum += a b
template <typename R> __device__ void add_product(R &sum, R a, R b) { sum += a * b; }
template <typename R> __device__ void add_product(Complex<R> &sum, Complex<R> a, Complex<R> b)
{
    sum.re += a.re * b.re - a.im * b.im;
    sum.im += a.re * b.im + a.im * b.re;
}

template <typename R> __device__ void add(R &sum, R a) { sum += a; }
template <typename R> __device__ void add(Complex<R> &sum, Complex<R> a)
{
    sum.re += a.re;
    sum.im += a.im;
}

// Element (i, j) of op(X), or zero outside rows x cols.
template <typename T>
__device__ T element(const T *x, integer stride, integer transpose, integer i, integer j, integer rows, integer cols)
{
    if (i >= rows || j >= cols) return T();
    if (transpose == NO_TRANSPOSE) return x[i * stride + j];
    T value = x[j * stride + i];
    return transpose == ADJOINT ? conjugate(value) : value;
}

// tile += alpha op(A) op(B), through shared memory, SIDE columns of A at a time.
template <typename T>
__device__ void run_product(const integer *row, T alpha, T *const *buffers, integer top, integer left, T tile[MICRO][MICRO])
{
    __shared__ T a_part[TILE][SIDE + 1], b_part[SIDE][TILE + 1];
    const T *a = buffers[row[A_BUFFER]] + row[A_OFFSET], *b = buffers[row[B_BUFFER]] + row[B_OFFSET];
    const int thread = threadIdx.x, y = thread / SIDE, x = thread % SIDE;
    T sum[MICRO][MICRO] = {};
    for (integer depth = 0; depth < row[K]; depth += SIDE) {
        for (int e = thread; e < TILE * SIDE; e += THREADS) {
            // consecutive threads read consecutive addresses
            int i = row[A_TRANSPOSE] == NO_TRANSPOSE ? e / SIDE : e % TILE;
            int j = row[A_TRANSPOSE] == NO_TRANSPOSE ? e % SIDE : e / TILE;
            a_part[i][j] = element(a, row[A_STRIDE], row[A_TRANSPOSE], top + i, depth + j, row[M], row[K]);
            i = row[B_TRANSPOSE] == NO_TRANSPOSE ? e / TILE : e % SIDE;
            j = row[B_TRANSPOSE] == NO_TRANSPOSE ? e % TILE : e / SIDE;
            b_part[i][j] = element(b, row[B_STRIDE], row[B_TRANSPOSE], depth + i, left + j, row[K], row[N]);
        }
        __syncthreads();
        for (int d = 0; d < SIDE; d++)
            for (int i = 0; i < MICRO; i++)
                for (int j = 0; j < MICRO; j++)
                    add_product(sum[i][j], a_part[y + i * SIDE][d], b_part[d][x + j * SIDE]);
        __syncthreads();
    }
    for (int i = 0; i < MICRO; i++)
        for (int j = 0; j < MICRO; j++) add_product(tile[i][j], alpha, sum[i][j]);
}

// One row that is no product, on one element of the target.
template <typename T>
__device__ void run_element(const integer *row, T alpha, T *const *buffers, integer i, integer j, T &value)
{
    if (row[KIND] == CLEAR) {
        value = T();
    } else if (row[KIND] == IDENTITY) {
        add(value, alpha);
    } else {
        T b = buffers[row[B_BUFFER]][row[B_OFFSET] + i * row[B_STRIDE] + j * row[B_STEP]];
        add_product(value, alpha, row[KIND] == ADD_CONJUGATE ? conjugate(b) : b);
    }
}

// items: (first row, past the last row, top, left) of every thread block.
template <typename T>
__device__ void run_item(const integer *rows, const T *alphas, const integer *items, T *const *buffers)
{
    const integer *item = items + 4 * blockIdx.x, *target = rows + COLUMNS * item[0];
    const integer top = item[2], left = item[3];
    const bool stepped = target[KIND] == ADD || target[KIND] == ADD_CONJUGATE;
    const integer m = target[M], n = target[KIND] == IDENTITY ? 1 : target[N], step = stepped ? target[C_STEP] : 1;
    const int y = threadIdx.x / SIDE, x = threadIdx.x % SIDE;
    T *c = buffers[target[C_BUFFER]] + target[C_OFFSET];
    T tile[MICRO][MICRO] = {};
    for (int i = 0; i < MICRO; i++)
        for (int j = 0; j < MICRO; j++) {
            integer at_row = top + y + i * SIDE, at_col = left + x + j * SIDE;
            if (at_row < m && at_col < n) tile[i][j] = c[at_row * target[C_STRIDE] + at_col * step];
        }
    for (integer r = item[0]; r < item[1]; r++) {
        const integer *row = rows + COLUMNS * r;
        if (row[KIND] == PRODUCT) {
            run_product(row, alphas[r], buffers, top, left, tile);
            continue;
        }
        for (int i = 0; i < MICRO; i++)
            for (int j = 0; j < MICRO; j++) {
                integer at_row = top + y + i * SIDE, at_col = left + x + j * SIDE;
                if (at_row < m && at_col < n) run_element(row, alphas[r], buffers, at_row, at_col, tile[i][j]);
            }
    }
    for (int i = 0; i < MICRO; i++)
        for (int j = 0; j < MICRO; j++) {
            integer at_row = top + y + i * SIDE, at_col = left + x + j * SIDE;
            if (at_row < m && at_col < n) c[at_row * target[C_STRIDE] + at_col * step] = tile[i][j];
        }
}

#define RUN_PRODUCTS(LETTER, T)                                                                                   \
    extern "C" __global__ void __launch_bounds__(THREADS) run_products_##LETTER(                                   \
        const integer *rows, const T *alphas, const integer *items, T *b0, T *b1, T *b2, T *b3, T *b4, T *b5,      \
        T *b6, T *b7)                                                                                              \
    {                                                                                                              \
        T *const buffers[BUFFERS] = {b0, b1, b2, b3, b4, b5, b6, b7};                                          \
        run_item<T>(rows, alphas, items, buffers);                                                                 \
    }

RUN_PRODUCTS(f, float)
RUN_PRODUCTS(d, double)
RUN_PRODUCTS(F, Complex<float>)
RUN_PRODUCTS(D, Complex<double>)
