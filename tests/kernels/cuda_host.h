// Just enough of CUDA C++ to run the kernels' own sources on the host: the threads of one block meet at barriers,
// blocks run one after the other.
//
// Under ThreadSanitizer they are real threads. Else they take turns on one, each up to its next barrier, which is many
// times faster than waking threads at every one; a kernel whose threads meet different barriers is stopped.
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(count)

struct Index {
    unsigned x;
};
static thread_local Index threadIdx, blockIdx;

#ifdef __SANITIZE_THREAD__
#include <barrier>
#include <thread>

static std::barrier<> *meeting;
#define __syncthreads() meeting->arrive_and_wait()

template <typename Body> static void launch(long blocks, int threads, Body body)
{
    std::barrier<> barrier(threads);
    meeting = &barrier;
    std::vector<std::thread> team;
    for (int number = 0; number < threads; number++)
        team.emplace_back([&, number] {
            threadIdx.x = number;
            for (long block = 0; block < blocks; block++) {
                blockIdx.x = block;
                body();
                barrier.arrive_and_wait();
            }
        });
    for (std::thread &thread : team) thread.join();
}
#else
#include <functional>
#include <ucontext.h>

static constexpr std::size_t STACK = 1 << 16;
static thread_local std::function<void()> work;
static thread_local ucontext_t turns, *running;
static thread_local bool at_barrier;

static void meet()
{
    at_barrier = true;
    swapcontext(running, &turns);
}
#define __syncthreads() meet()

static void take_turn() { work(); }

template <typename Body> static void launch(long blocks, int threads, Body body)
{
    static thread_local std::vector<char> stacks;
    stacks.resize(threads * STACK);
    std::vector<ucontext_t> contexts(threads);
    work = body;
    for (long block = 0; block < blocks; block++) {
        blockIdx.x = block;
        for (int number = 0; number < threads; number++) {
            getcontext(&contexts[number]);
            contexts[number].uc_stack.ss_sp = &stacks[number * STACK];
            contexts[number].uc_stack.ss_size = STACK;
            contexts[number].uc_link = &turns;
            makecontext(&contexts[number], take_turn, 0);
        }
        for (int waiting = threads; waiting > 0;) {
            waiting = 0;
            for (int number = 0; number < threads; number++) {
                threadIdx.x = number;
                running = &contexts[number];
                at_barrier = false;
                swapcontext(&turns, running);
                waiting += at_barrier;
            }
            if (waiting != 0 && waiting != threads) {
                std::fprintf(stderr, "%d of %d threads of a block wait at a barrier\n", waiting, threads);
                std::abort();
            }
        }
    }
}
#endif

// launch_NAME(blocks, arguments): the arguments as 64-bit words, addresses or integers.
template <typename... Parameters, std::size_t... N>
static void launch_words(
    void (*kernel)(Parameters...), long blocks, int threads, const long long *words, std::index_sequence<N...>)
{
    launch(blocks, threads, [&] { kernel((Parameters)words[N]...); });
}

template <typename... Parameters>
static void launch_kernel(void (*kernel)(Parameters...), long blocks, int threads, const long long *words)
{
    launch_words(kernel, blocks, threads, words, std::index_sequence_for<Parameters...>());
}

#define HOST_LAUNCH(NAME)                                                                                         \
    extern "C" void launch_##NAME(long blocks, const long long *words)                                             \
    {                                                                                                              \
        launch_kernel(NAME, blocks, THREADS, words);                                                               \
    }
#define HOST_LAUNCH_ALL(NAME) HOST_LAUNCH(NAME##_f) HOST_LAUNCH(NAME##_d) HOST_LAUNCH(NAME##_F) HOST_LAUNCH(NAME##_D)
