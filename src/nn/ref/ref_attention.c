/* nn/ref/ref_attention.c - attention, the turning of what goes into it, and its linear kin. */
#include "nn/ref/ref_ops.h"

#include <math.h>
#include <string.h>

typedef struct attention_job {
    const sq_call *call;
    const sq_step *step;
    sq_attention n;
    double scale, softcap;
    bool causal;
    int64_t left, right; /* of the window about a query; -1: no end */
    int64_t mode;        /* which stage of the scores is wanted */
} attention_job;

/* Where number `e` of head `head`, place `at` of query, key or value lies. */
static size_t head_element(const squall_tensor *in, int64_t heads, int64_t b, int64_t head,
                           int64_t at, int64_t size)
{
    if (in->rank == 4) {
        return (size_t)(((b * heads + head) * in->dims[2] + at) * size);
    }
    return (size_t)(((b * in->dims[1] + at) * heads + head) * size);
}

/* The tensor and the first element of key (`value`: value) `at` of a key-value head: the past comes
 * first. */
static size_t kv_element(const attention_job *job, bool value, int64_t b, int64_t head, int64_t at,
                         const squall_tensor **from)
{
    const sq_attention *n = &job->n;
    const int64_t size = value ? n->v_size : n->size;
    if (at < n->past_length) {
        *from = &job->step->in[value ? 5 : 4];
        return head_element(*from, n->kv_heads, b, head, at, size);
    }
    *from = &job->step->in[value ? 2 : 1];
    return head_element(*from, n->kv_heads, b, head, at - n->past_length, size);
}

/* What the mask, a tensor that broadcasts to the scores, adds to one of them. */
static double mask_at(const attention_job *job, int64_t b, int64_t head, int64_t i, int64_t j)
{
    if (!sq_ref_has_input(job->step, 3)) {
        return 0;
    }
    const squall_tensor *mask = &job->step->in[3];
    const int64_t at[4] = {b, head, i, j};
    if (j >= mask->dims[mask->rank - 1] && mask->dims[mask->rank - 1] != 1) {
        return -INFINITY; /* it ends early: nobody looks there */
    }
    size_t index = 0;
    for (uint32_t k = 0; k < mask->rank; k++) {
        const int64_t size = mask->dims[k];
        index = index * (size_t)size + (size_t)(size == 1 ? 0 : at[4 - mask->rank + k]);
    }
    if (mask->dtype == SQUALL_BOOL) {
        return sq_tensor_get_int(mask, index) ? 0 : -INFINITY;
    }
    return sq_tensor_get_double(mask, index);
}

/* How many keys there are before the block of queries. */
static int64_t query_offset(const attention_job *job, int64_t b)
{
    if (job->n.past_length == 0 && sq_ref_has_input(job->step, 6) &&
        !sq_ref_has_input(job->step, 4)) {
        const int64_t valid = sq_tensor_get_int(&job->step->in[6], (size_t)b);
        const int64_t held = valid < 0 ? 0 : valid > job->n.kv_length ? job->n.kv_length : valid;
        return held - job->n.q_length;
    }
    return job->n.past_length;
}

/* What is added to the score of query i and key j: 0, the mask, or -inf where it may not look. */
static double bias_at(const attention_job *job, int64_t b, int64_t head, int64_t i, int64_t j)
{
    const int64_t place = i + query_offset(job, b);
    const bool seen = (!job->causal || j <= place) && (job->left < 0 || place - j <= job->left) &&
                      (job->right < 0 || j - place <= job->right);
    const bool valid =
        !sq_ref_has_input(job->step, 6) || j < sq_tensor_get_int(&job->step->in[6], (size_t)b);
    const double mask = mask_at(job, b, head, i, j);
    return seen && valid ? mask : mask - INFINITY;
}

/* Softmax in place; without a score above -inf all are 0. */
static void softmax(double *scores, int64_t count)
{
    double most = -INFINITY, sum = 0;
    for (int64_t j = 0; j < count; j++) {
        most = scores[j] > most || isnan(scores[j]) ? scores[j] : most;
    }
    for (int64_t j = 0; j < count; j++) {
        scores[j] = most == -INFINITY ? 0 : exp(scores[j] - most);
        sum += scores[j];
    }
    for (int64_t j = 0; j < count; j++) {
        scores[j] /= sum == 0 ? 1 : sum;
    }
}

static void expose(const attention_job *job, int64_t mode, size_t row, const double *scores)
{
    if (job->mode == mode && sq_ref_has_output(job->step, 3)) {
        const size_t length = (size_t)job->n.kv_length;
        sq_ref_store(&job->step->out[3], row * length, length, scores);
    }
}

/* The scores of one query, up to the weights of the values. */
static void score_query(const attention_job *job, int64_t b, int64_t head, int64_t i, size_t row,
                        double *scores, double *biases)
{
    const sq_attention *n = &job->n;
    const int64_t kv_head = head / (n->q_heads / n->kv_heads);
    const squall_tensor *query = &job->step->in[0], *key;
    const size_t q_at = head_element(query, n->q_heads, b, head, i, n->size);
    double most = -INFINITY;
    for (int64_t j = 0; j < n->kv_length; j++) {
        const size_t k_at = kv_element(job, false, b, kv_head, j, &key);
        double sum = 0;
        for (int64_t e = 0; e < n->size; e++) {
            sum += sq_tensor_get_double(query, q_at + (size_t)e) *
                   sq_tensor_get_double(key, k_at + (size_t)e);
        }
        sum *= job->scale;
        scores[j] = job->softcap > 0 ? tanh(sum / job->softcap) * job->softcap : sum;
        biases[j] = bias_at(job, b, head, i, j);
        most = biases[j] > most || isnan(biases[j]) ? biases[j] : most;
    }
    expose(job, 0, row, scores);
    expose(job, 1, row, scores);
    for (int64_t j = 0; j < n->kv_length; j++) {
        scores[j] += biases[j];
    }
    expose(job, 2, row, scores);
    softmax(scores, n->kv_length);
    for (int64_t j = 0; j < n->kv_length && most == -INFINITY; j++) {
        scores[j] = 0; /* it may look at nothing, whatever the scores are */
    }
    expose(job, 3, row, scores);
}

/* A piece of work is one query of one head. */
static void attention_run(void *arg, size_t row, int thread)
{
    const attention_job *job = arg;
    const sq_attention *n = &job->n;
    const size_t length = (size_t)n->kv_length, width = (size_t)n->v_size;
    double *scores = sq_ref_rows(job->call, 2 * length + width, thread);
    double *sums = scores + 2 * length;
    const int64_t i = (int64_t)(row % (size_t)n->q_length);
    const int64_t head = (int64_t)(row / (size_t)n->q_length % (size_t)n->q_heads);
    const int64_t b = (int64_t)(row / (size_t)n->q_length / (size_t)n->q_heads);
    const int64_t kv_head = head / (n->q_heads / n->kv_heads);
    score_query(job, b, head, i, row, scores, scores + length);
    for (size_t e = 0; e < width; e++) {
        sums[e] = 0;
    }
    for (int64_t j = 0; j < n->kv_length; j++) {
        const squall_tensor *value;
        const size_t v_at = kv_element(job, true, b, kv_head, j, &value);
        for (size_t e = 0; e < width; e++) {
            sums[e] += scores[j] * sq_tensor_get_double(value, v_at + e);
        }
    }
    const squall_tensor *out = &job->step->out[0];
    sq_ref_store(out, head_element(out, n->q_heads, b, head, i, n->v_size), width, sums);
}

/* Past and present, one behind the other. */
static void join_cache(const attention_job *job, bool value, const squall_tensor *out)
{
    const sq_attention *n = &job->n;
    const size_t size = (size_t)(value ? n->v_size : n->size);
    const size_t bytes = size * squall_dtype_size(out->dtype);
    char *to = out->data;
    for (int64_t row = 0; bytes > 0 && row < n->batch * n->kv_heads * n->kv_length; row++) {
        const squall_tensor *from;
        const int64_t head = row / n->kv_length;
        const size_t at = kv_element(job, value, head / n->kv_heads, head % n->kv_heads,
                                     row % n->kv_length, &from);
        memcpy(to, (const char *)from->data + at * squall_dtype_size(out->dtype), bytes);
        to += bytes;
    }
}

size_t sq_ref_scratch_attention(const sq_step *step, int threads)
{
    sq_attention n;
    size_t doubles;
    if (step->in_count < 3 || sq_op_attention_sizes(step, &n, NULL) != SQUALL_OK ||
        !sq_mul_size((size_t)n.kv_length, 2, &doubles) ||
        !sq_add_size(doubles, (size_t)n.v_size, &doubles)) {
        return SIZE_MAX;
    }
    return sq_ref_rows_bytes(doubles, threads);
}

squall_status sq_ref_attention(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    attention_job job = {.call = call, .step = step};
    SQ_TRY(sq_op_attention_sizes(step, &job.n, err));
    const double usual = job.n.size > 0 ? 1 / sqrt((double)job.n.size) : 1;
    job.scale = sq_attr_find(step->attrs, "scale") ? sq_attr_float(step->attrs, "scale", 1) : usual;
    job.softcap = sq_attr_float(step->attrs, "softcap", 0);
    job.causal = sq_attr_int(step->attrs, "is_causal", 0) != 0;
    job.left = sq_attr_int(step->attrs, "left_window_size", -1);
    job.right = sq_attr_int(step->attrs, "right_window_size", -1);
    job.mode = sq_attr_int(step->attrs, "qk_matmul_output_mode", 0);
    sq_pool_run(call->pool, attention_run, &job,
                (size_t)(job.n.batch * job.n.q_heads * job.n.q_length));
    for (uint32_t i = 1; i < 3; i++) {
        if (sq_ref_has_output(step, i)) {
            join_cache(&job, i == 2, &step->out[i]);
        }
    }
    return SQUALL_OK;
}

/* Which row of angles place `at` of sequence `b` has. */
static squall_status angle_row(const sq_step *step, int64_t b, int64_t at, int64_t *out,
                               squall_error *err)
{
    const int64_t length = step->in[0].rank == 4 ? step->in[0].dims[2] : step->in[0].dims[1];
    *out = b * length + at;
    if (sq_ref_has_input(step, 3)) {
        const int64_t row = sq_tensor_get_int(&step->in[3], (size_t)*out);
        if (row < 0 || row >= step->in[1].dims[0]) {
            return sq_fail(err, SQUALL_E_SHAPE, step->name, "position %lld of %lld angles",
                           (long long)row, (long long)step->in[1].dims[0]);
        }
        *out = row;
    }
    return SQUALL_OK;
}

/* Pairs of numbers are turned by the angle of their place. */
squall_status sq_ref_rotary(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0];
    const bool interleaved = sq_attr_int(step->attrs, "interleaved", 0) != 0;
    const int64_t heads = x->rank == 4 ? x->dims[1] : sq_attr_int(step->attrs, "num_heads", 1);
    const int64_t length = x->rank == 4 ? x->dims[2] : x->dims[1];
    const int64_t size = x->rank == 4 ? x->dims[3] : x->dims[2] / heads;
    const int64_t asked = sq_attr_int(step->attrs, "rotary_embedding_dim", 0);
    const int64_t half = (asked == 0 ? size : asked) / 2;
    sq_ref_copy(&step->out[0], x);
    for (int64_t row = 0; row < x->dims[0] * heads * length; row++) {
        const int64_t b = row / (heads * length), head = row / length % heads, at = row % length;
        int64_t angles;
        SQ_TRY(angle_row(step, b, at, &angles, err));
        const size_t first = head_element(x, heads, b, head, at, size);
        for (int64_t i = 0; i < half; i++) {
            const size_t one = first + (size_t)(interleaved ? 2 * i : i);
            const size_t two = first + (size_t)(interleaved ? 2 * i + 1 : half + i);
            const double c = sq_tensor_get_double(&step->in[1], (size_t)(angles * half + i));
            const double s = sq_tensor_get_double(&step->in[2], (size_t)(angles * half + i));
            const double a = sq_tensor_get_double(x, one), d = sq_tensor_get_double(x, two);
            const double real = c * a - s * d, imaginary = s * a + c * d;
            sq_ref_store(&step->out[0], one, 1, &real);
            sq_ref_store(&step->out[0], two, 1, &imaginary);
        }
    }
    return SQUALL_OK;
}

/* The state of one head, and what is left of the value after what it holds already. */
size_t sq_ref_scratch_linear_attention(const sq_step *step, int threads)
{
    (void)threads;
    size_t doubles;
    const int64_t heads = sq_attr_int(step->attrs, "kv_num_heads", 1);
    if (step->in_count < 3 || step->in[1].rank != 3 || step->in[2].rank != 3 || heads < 1) {
        return SIZE_MAX;
    }
    const size_t key = (size_t)(step->in[1].dims[2] / heads);
    const size_t value = (size_t)(step->in[2].dims[2] / heads);
    if (!sq_mul_size(key + 1, value, &doubles)) {
        return SIZE_MAX;
    }
    return sq_ref_rows_bytes(doubles, 1);
}

/* One sequence of one key-value head. */
typedef struct linear_job {
    const sq_step *step;
    int64_t q_heads, kv_heads, length, size, v_size;
    double scale;
    double *state, *value; /* [size][v_size]; [v_size] */
} linear_job;

/* state = exp(decay) * state + key x (beta * (value - state * key)) */
static void update_state(const linear_job *job, int64_t b, int64_t head, int64_t at)
{
    const squall_tensor *in = job->step->in;
    const size_t k_at = head_element(&in[1], job->kv_heads, b, head, at, job->size);
    const size_t v_at = head_element(&in[2], job->kv_heads, b, head, at, job->v_size);
    if (sq_ref_has_input(job->step, 4)) {
        const bool each = in[4].dims[2] != job->kv_heads;
        for (int64_t i = 0; i < job->size; i++) {
            const size_t from =
                head_element(&in[4], job->kv_heads, b, head, at, each ? job->size : 1);
            const double kept = exp(sq_tensor_get_double(&in[4], from + (size_t)(each ? i : 0)));
            for (int64_t m = 0; m < job->v_size; m++) {
                job->state[i * job->v_size + m] *= kept;
            }
        }
    }
    for (int64_t m = 0; m < job->v_size; m++) {
        job->value[m] = sq_tensor_get_double(&in[2], v_at + (size_t)m);
        if (sq_ref_has_input(job->step, 5)) {
            const bool one = in[5].dims[2] == 1;
            const size_t from =
                head_element(&in[5], one ? 1 : job->kv_heads, b, one ? 0 : head, at, 1);
            double held = 0;
            for (int64_t i = 0; i < job->size; i++) {
                held += job->state[i * job->v_size + m] *
                        sq_tensor_get_double(&in[1], k_at + (size_t)i);
            }
            job->value[m] = sq_tensor_get_double(&in[5], from) * (job->value[m] - held);
        }
    }
    for (int64_t i = 0; i < job->size; i++) {
        const double key = sq_tensor_get_double(&in[1], k_at + (size_t)i);
        for (int64_t m = 0; m < job->v_size; m++) {
            job->state[i * job->v_size + m] += key * job->value[m];
        }
    }
}

/* The heads of the query that share this state read it. */
static void read_state(const linear_job *job, int64_t b, int64_t kv_head, int64_t at)
{
    const int64_t shared = job->q_heads / job->kv_heads;
    const squall_tensor *query = &job->step->in[0], *out = &job->step->out[0];
    for (int64_t head = kv_head * shared; head < (kv_head + 1) * shared; head++) {
        const size_t q_at = head_element(query, job->q_heads, b, head, at, job->size);
        const size_t to = head_element(out, job->q_heads, b, head, at, job->v_size);
        for (int64_t m = 0; m < job->v_size; m++) {
            double sum = 0;
            for (int64_t i = 0; i < job->size; i++) {
                sum +=
                    sq_tensor_get_double(query, q_at + (size_t)i) * job->state[i * job->v_size + m];
            }
            sum *= job->scale;
            sq_ref_store(out, to + (size_t)m, 1, &sum);
        }
    }
}

squall_status sq_ref_linear_attention(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    linear_job job = {.step = step,
                      .q_heads = sq_attr_int(step->attrs, "q_num_heads", 1),
                      .kv_heads = sq_attr_int(step->attrs, "kv_num_heads", 1),
                      .length = step->in[0].dims[1],
                      .state = call->scratch};
    job.size = step->in[1].dims[2] / job.kv_heads;
    job.v_size = step->in[2].dims[2] / job.kv_heads;
    job.value = job.state + job.size * job.v_size;
    const double asked = sq_attr_float(step->attrs, "scale", 0);
    job.scale = asked != 0 ? asked : 1 / sqrt((double)(job.size > 0 ? job.size : 1));
    const size_t whole = (size_t)(job.size * job.v_size);
    for (int64_t row = 0; row < step->in[0].dims[0] * job.kv_heads; row++) {
        const int64_t b = row / job.kv_heads, head = row % job.kv_heads;
        for (size_t i = 0; i < whole; i++) {
            job.state[i] = 0;
        }
        if (sq_ref_has_input(step, 3)) {
            sq_ref_load(&step->in[3], (size_t)row * whole, 1, whole, job.state);
        }
        for (int64_t at = 0; at < job.length; at++) {
            update_state(&job, b, head, at);
            read_state(&job, b, head, at);
        }
        if (sq_ref_has_output(step, 1)) {
            sq_ref_store(&step->out[1], (size_t)row * whole, whole, job.state);
        }
    }
    return SQUALL_OK;
}
