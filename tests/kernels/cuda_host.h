// Just enough of CUDA C++ to run the kernels' own sources on the host: the threads of one block are real
// threads that meet at a barrier, blocks run one after the other.
#include <barrier>
#include <thread>
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
