/* nn/cuda/kernels/cuda_hopper.cuh - instructions of sm_90a: barriers of shared memory, the copy engine, wgmma. */

SQ_DEVICE void sq_bar_init(unsigned int bar, unsigned int count)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(bar), "r"(count));
}
SQ_DEVICE void sq_bar_made() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
SQ_DEVICE void sq_bar_expect(unsigned int bar, unsigned int bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(bar), "r"(bytes) : "memory");
}
SQ_DEVICE void sq_bar_arrive(unsigned int bar)
{
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(bar) : "memory");
}
/* Returns once the phase of that parity is complete. */
SQ_DEVICE void sq_bar_wait(unsigned int bar, unsigned int parity)
{
    asm volatile("{\n.reg .pred p;\nAGAIN:\nmbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n"
                 "@p bra.uni DONE;\nbra.uni AGAIN;\nDONE:\n}" ::"r"(bar), "r"(parity) : "memory");
}
/* What ordinary stores wrote to shared memory is seen by the copy engine. */
SQ_DEVICE void sq_async_fence() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
SQ_DEVICE void sq_group_sync(int id) { asm volatile("bar.sync %0, 128;" ::"r"(id) : "memory"); }

/* A box of a tensor with channels last; what lies outside becomes zeros. */
SQ_DEVICE void sq_load_box(unsigned int to, const sq_cuda_view *view, unsigned int bar, int c, int x, int y, int n)
{
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], [%2];"
                 ::"r"(to), "l"(view), "r"(bar), "r"(c), "r"(x), "r"(y), "r"(n) : "memory");
}
/* The way back; what lies outside, behind the end, is dropped. */
SQ_DEVICE void sq_store_box(const sq_cuda_view *view, unsigned int from, int c, int x, int y, int n)
{
    asm volatile("cp.async.bulk.tensor.4d.global.shared::cta.tile.bulk_group [%0, {%2, %3, %4, %5}], [%1];"
                 ::"l"(view), "r"(from), "r"(c), "r"(x), "r"(y), "r"(n) : "memory");
}
SQ_DEVICE void sq_load_bytes(unsigned int to, const void *from, unsigned int bytes, unsigned int bar)
{
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
                 ::"r"(to), "l"(from), "r"(bytes), "r"(bar) : "memory");
}
SQ_DEVICE void sq_store_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
/* All but one of the stores have been read from shared memory; all are done. */
SQ_DEVICE void sq_store_read() { asm volatile("cp.async.bulk.wait_group.read 1;" ::: "memory"); }
SQ_DEVICE void sq_store_done() { asm volatile("cp.async.bulk.wait_group 0;" ::: "memory"); }

SQ_DEVICE void sq_wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
SQ_DEVICE void sq_wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int N> SQ_DEVICE void sq_wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory"); }

/* An operand of rows of ROW bytes, swizzled as the copy engine does: by bits of the address itself, so that it may begin
 * at any row. `group`: bytes from 8 rows to the next 8. */
template <int ROW> SQ_DEVICE unsigned long long sq_operand(unsigned int at, unsigned int group)
{
    return (unsigned long long)((at & 0x3ffff) >> 4) | 1ull << 16 | (unsigned long long)(group >> 4) << 32 | (ROW == 64 ? 2ull : 1ull) << 62;
}

/* Four 8 x 8 blocks of halves, each transposed. */
SQ_DEVICE void sq_stmatrix4t(unsigned int to, unsigned int a, unsigned int b, unsigned int c, unsigned int d)
{
    asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared::cta.b16 [%0], {%1, %2, %3, %4};"
                 ::"r"(to), "r"(a), "r"(b), "r"(c), "r"(d) : "memory");
}
SQ_DEVICE unsigned int sq_pair(float lo, float hi)
{
    unsigned int r;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
    return r;
}
SQ_DEVICE unsigned int sq_pair_relu(float lo, float hi)
{
    unsigned int r;
    asm("cvt.rn.relu.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
    return r;
}

/* The nearest integer, held to 32 bits, of a product. */
SQ_DEVICE int sq_scaled(int sum, float multiplier)
{
    int r;
    asm("cvt.rni.s32.f32 %0, %1;" : "=r"(r) : "f"(__fmul_rn((float)sum, multiplier)));
    return r;
}
/* Four numbers held to 0..255, the first lowest. */
SQ_DEVICE unsigned int sq_bytes4(int a, int b, int c, int d)
{
    unsigned int r;
    asm("cvt.pack.sat.u8.s32.b32 %0, %1, %2, %3;" : "=r"(r) : "r"(d), "r"(c), "r"(0));
    asm("cvt.pack.sat.u8.s32.b32 %0, %1, %2, %3;" : "=r"(r) : "r"(b), "r"(a), "r"(r));
    return r;
}

/* sum[64][N] (+)= a[64][16] * b[N][16], both in shared memory; `more` is 0 to begin from zero. Of bytes, 32 of them. */
template <int N, typename SUM> struct sq_wgmma;
#define SQ_P10(t) "%" t "0,%" t "1,%" t "2,%" t "3,%" t "4,%" t "5,%" t "6,%" t "7,%" t "8,%" t "9"
#define SQ_P30    SQ_P10("") "," SQ_P10("1") "," SQ_P10("2")
#define SQ_P60    SQ_P30 "," SQ_P10("3") "," SQ_P10("4") "," SQ_P10("5")
#define SQ_P100   SQ_P60 "," SQ_P10("6") "," SQ_P10("7") "," SQ_P10("8") "," SQ_P10("9")
#define SQ_R4(t, i)  t(d[i]), t(d[(i) + 1]), t(d[(i) + 2]), t(d[(i) + 3])
#define SQ_R16(t, i) SQ_R4(t, i), SQ_R4(t, (i) + 4), SQ_R4(t, (i) + 8), SQ_R4(t, (i) + 12)
#define SQ_R32(t, i) SQ_R16(t, i), SQ_R16(t, (i) + 16)
#define SQ_R64(t, i) SQ_R32(t, i), SQ_R32(t, (i) + 32)
#define SQ_WGMMA_OF(N, T, K, TYPES, MODES, places, A, B, MORE, ...)                                                        \
    template <> struct sq_wgmma<N, T> {                                                                                    \
        static __device__ __forceinline__ void go(T (&d)[N / 2], unsigned long long a, unsigned long long b, int more)     \
        {                                                                                                                 \
            asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " MORE ", 0;\n"                                                \
                         "wgmma.mma_async.sync.aligned.m64n" #N K TYPES " {" places "}, " A ", " B ", p" MODES ";\n}"     \
                         : __VA_ARGS__                                                                                    \
                         : "l"(a), "l"(b), "r"(more));                                                                    \
        }                                                                                                                 \
    };
#define SQ_WGMMA(N, ...)  SQ_WGMMA_OF(N, float, "k16", ".f32.f16.f16", ", 1, 1, 0, 0", __VA_ARGS__)
#define SQ_WGMMA8(N, ...) SQ_WGMMA_OF(N, int, "k32", ".s32.s8.u8", "", __VA_ARGS__)
SQ_WGMMA(64, SQ_P30 ",%30,%31", "%32", "%33", "%34", SQ_R32("+f", 0))
SQ_WGMMA(128, SQ_P60 ",%60,%61,%62,%63", "%64", "%65", "%66", SQ_R64("+f", 0))
SQ_WGMMA(208, SQ_P100 ",%100,%101,%102,%103", "%104", "%105", "%106", SQ_R64("+f", 0), SQ_R32("+f", 64), SQ_R4("+f", 96), SQ_R4("+f", 100))
SQ_WGMMA(232, SQ_P100 "," SQ_P10("10") ",%110,%111,%112,%113,%114,%115", "%116", "%117", "%118", SQ_R64("+f", 0), SQ_R32("+f", 64), SQ_R16("+f", 96), SQ_R4("+f", 112))
SQ_WGMMA(256, SQ_P100 "," SQ_P10("10") "," SQ_P10("11") ",%120,%121,%122,%123,%124,%125,%126,%127", "%128", "%129", "%130", SQ_R64("+f", 0), SQ_R64("+f", 64))
SQ_WGMMA8(64, SQ_P30 ",%30,%31", "%32", "%33", "%34", SQ_R32("+r", 0))
SQ_WGMMA8(128, SQ_P60 ",%60,%61,%62,%63", "%64", "%65", "%66", SQ_R64("+r", 0))
SQ_WGMMA8(208, SQ_P100 ",%100,%101,%102,%103", "%104", "%105", "%106", SQ_R64("+r", 0), SQ_R32("+r", 64), SQ_R4("+r", 96), SQ_R4("+r", 100))
SQ_WGMMA8(240, SQ_P100 "," SQ_P10("10") "," SQ_P10("11"), "%120", "%121", "%122", SQ_R64("+r", 0), SQ_R32("+r", 64), SQ_R16("+r", 96), SQ_R4("+r", 112), SQ_R4("+r", 116))
SQ_WGMMA8(256, SQ_P100 "," SQ_P10("10") "," SQ_P10("11") ",%120,%121,%122,%123,%124,%125,%126,%127", "%128", "%129", "%130", SQ_R64("+r", 0), SQ_R64("+r", 64))
