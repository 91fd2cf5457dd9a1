/* nn/cuda/kernels/cuda_map.cuh - one number in, one out, over any strides: included once for each pair of types, with
 * NAME(x), IN, OUT and the functions that load and store them set. */

SQ_KERNEL NAME(sq_map)(sq_cuda_map_args args)
{
    SQ_BEGIN;
    const long long at = SQ_THREAD;
    if (at >= args.count) {
        return;
    }
    long long a = 0, b = 0, out = 0;
    unsigned int rest = (unsigned int)at;
    int inner = 0;
    for (int i = 0; i < args.rank; i++) {
        const unsigned int size = i == 0 ? (unsigned int)(args.size[0] / args.lanes) : (unsigned int)args.size[i];
        const int place = (int)(rest % size) * (i == 0 ? args.lanes : 1);
        rest /= size;
        inner = i == 0 ? place : inner;
        a += place * args.stride_a[i];
        b += place * args.stride_b[i];
        out += place * args.stride_out[i];
    }
    const IN *pa = (const IN *)args.a + a, *pb = (const IN *)args.b + b;
    OUT *po = (OUT *)args.out + out;
    if (args.lanes == 8) {
        float x[8], y[8];
        if (args.stride_a[0] == 1) {
            LOAD8(pa, x);
        } else {
            x[0] = LOAD(pa);
            for (int i = 1; i < 8; i++) x[i] = x[0];
        }
        if (args.b && args.stride_b[0] == 1) {
            LOAD8(pb, y);
        } else {
            y[0] = args.b ? LOAD(pb) : 0.0f;
            for (int i = 1; i < 8; i++) y[i] = y[0];
        }
        for (int i = 0; i < 8; i++) x[i] = sq_act(sq_map_op(args.op, x[i], y[i]), args.act);
        STORE8(po, x);
    } else if (inner >= args.channels) {
        STORE(po, 0.0f);
    } else {
        STORE(po, sq_act(sq_map_op(args.op, LOAD(pa), args.b ? LOAD(pb) : 0.0f), args.act));
    }
}
