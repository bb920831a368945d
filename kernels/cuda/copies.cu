// Blocks copied with permuted axes, many in one launch; the target is written in C order.
//
// A row of the table, `width` integers: (source offset, target offset, rank, shape..., source strides...).
// items: (row, first element) of every thread block, which copies CHUNK elements. SIDE is defined ahead.

#define THREADS (SIDE * SIDE)
#define CHUNK (4 * THREADS)

typedef long long integer;

template <typename R> struct Complex {
    R re, im;
};

template <typename R> __device__ R conjugate(R x) { return x; }
template <typename R> __device__ Complex<R> conjugate(Complex<R> x) { return {x.re, -x.im}; }

template <typename T>
__device__ void copy_item(
    const T *source, T *target, const integer *table, const integer *items, integer width, integer conjugated)
{
    const integer *item = items + 2 * blockIdx.x, *row = table + width * item[0];
    const integer rank = row[2], *shape = row + 3, *strides = shape + rank;
    integer size = 1;
    for (integer n = 0; n < rank; n++) size *= shape[n];
    for (int e = threadIdx.x; e < CHUNK; e += THREADS) {
        const integer place = item[1] + e;
        if (place >= size) return;
        integer rest = place, from = row[0];
        for (integer n = rank - 1; n >= 0; n--) {
            from += rest % shape[n] * strides[n];
            rest /= shape[n];
        }
        target[row[1] + place] = conjugated ? conjugate(source[from]) : source[from];
    }
}

#define COPY_BLOCKS(LETTER, T)                                                                                    \
    extern "C" __global__ void __launch_bounds__(THREADS) copy_blocks_##LETTER(                                    \
        const T *source, T *target, const integer *table, const integer *items, integer width, integer conjugated) \
    {                                                                                                              \
        copy_item<T>(source, target, table, items, width, conjugated);                                             \
    }

COPY_BLOCKS(f, float)
COPY_BLOCKS(d, double)
COPY_BLOCKS(F, Complex<float>)
COPY_BLOCKS(D, Complex<double>)
