/* nn/ref/ref_recurrent.c - RNN, GRU and LSTM: networks that run along a sequence. */
#include "nn/ref/ref_ops.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#define MOST_GATES       4
#define MOST_ACTIVATIONS 3

typedef enum gate_kind {
    GATE_RELU,
    GATE_TANH,
    GATE_SIGMOID,
    GATE_AFFINE,
    GATE_LEAKY_RELU,
    GATE_THRESHOLDED_RELU,
    GATE_SCALED_TANH,
    GATE_HARD_SIGMOID,
    GATE_ELU,
    GATE_SOFTSIGN,
    GATE_SOFTPLUS,
    GATE_KINDS
} gate_kind;

/* Names, and the parameters where none are given; `params` of them are taken off the lists. */
static const struct {
    const char *name;
    double alpha, beta;
    bool has_alpha, has_beta;
} gate_kinds[GATE_KINDS] = {
    [GATE_RELU] = {"Relu", 0, 0, false, false},
    [GATE_TANH] = {"Tanh", 0, 0, false, false},
    [GATE_SIGMOID] = {"Sigmoid", 0, 0, false, false},
    [GATE_AFFINE] = {"Affine", 1, 0, true, true},
    [GATE_LEAKY_RELU] = {"LeakyRelu", 0.01, 0, true, false},
    [GATE_THRESHOLDED_RELU] = {"ThresholdedRelu", 1, 0, true, false},
    [GATE_SCALED_TANH] = {"ScaledTanh", 1, 1, true, true},
    [GATE_HARD_SIGMOID] = {"HardSigmoid", 0.2, 0.5, true, true},
    [GATE_ELU] = {"Elu", 1, 0, true, false},
    [GATE_SOFTSIGN] = {"Softsign", 0, 0, false, false},
    [GATE_SOFTPLUS] = {"Softplus", 0, 0, false, false},
};

typedef struct gate {
    gate_kind kind;
    double a, b;
} gate;

typedef struct recurrent_job {
    const sq_step *step;
    sq_recurrence n;
    gate gates[2][MOST_ACTIVATIONS]; /* of each direction */
    double clip;                     /* 0: none */
    bool joined;                     /* LSTM: the forget gate is what the input gate leaves */
    bool linear_before;              /* GRU: the reset gate comes behind the product */
    double *x, *h, *c, *next, *sums; /* [input]; [hidden]; [hidden]; [hidden]; [gates * hidden] */
    double *reset;                   /* [hidden], GRU */
} recurrent_job;

static double apply(const gate *g, double x)
{
    switch (g->kind) {
    case GATE_RELU:
        return x < 0 ? 0 : x;
    case GATE_TANH:
        return tanh(x);
    case GATE_SIGMOID:
        return 1 / (1 + exp(-x));
    case GATE_AFFINE:
        return g->a * x + g->b;
    case GATE_LEAKY_RELU:
        return x < 0 ? g->a * x : x;
    case GATE_THRESHOLDED_RELU:
        return x > g->a ? x : 0;
    case GATE_SCALED_TANH:
        return g->a * tanh(g->b * x);
    case GATE_HARD_SIGMOID:
        return fmin(fmax(g->a * x + g->b, 0), 1);
    case GATE_ELU:
        return x < 0 ? g->a * expm1(x) : x;
    case GATE_SOFTSIGN:
        return x / (1 + fabs(x));
    case GATE_SOFTPLUS:
        return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
    case GATE_KINDS:
        break;
    }
    return x;
}

static double held(const recurrent_job *job, double x)
{
    return job->clip > 0 ? fmin(fmax(x, -job->clip), job->clip) : x;
}

static double activated(const recurrent_job *job, const gate *g, double x)
{
    return apply(g, held(job, x));
}

/* The next name of the list "Sigmoid,Tanh", whatever its letters' case; GATE_KINDS if it is not
 * known. */
static gate_kind next_kind(const char **at)
{
    const size_t length = strcspn(*at, ",");
    gate_kind found = GATE_KINDS;
    for (int kind = 0; kind < GATE_KINDS; kind++) {
        const char *name = gate_kinds[kind].name;
        if (strlen(name) == length && strncasecmp(name, *at, length) == 0) {
            found = (gate_kind)kind;
        }
    }
    *at += length + ((*at)[length] == ',');
    return found;
}

static squall_status read_gates(recurrent_job *job, squall_error *err)
{
    const sq_step *step = job->step;
    const int each = step->op == SQ_OP_LSTM ? 3 : step->op == SQ_OP_GRU ? 2 : 1;
    const gate_kind usual[3] = {step->op == SQ_OP_RNN ? GATE_TANH : GATE_SIGMOID, GATE_TANH,
                                GATE_TANH};
    size_t alphas, betas, alpha = 0, beta = 0;
    const float *alpha_list = sq_attr_floats(step->attrs, "activation_alpha", &alphas);
    const float *beta_list = sq_attr_floats(step->attrs, "activation_beta", &betas);
    const char *names = sq_attr_string(step->attrs, "activations", "");
    const bool given = names[0] != '\0';
    for (int i = 0; i < each * (int)job->n.directions; i++) {
        const gate_kind kind = given ? next_kind(&names) : usual[i % each];
        if (kind == GATE_KINDS) {
            return sq_fail(err, SQUALL_E_UNSUPPORTED, step->name,
                           "its activations are too few or not known");
        }
        gate *g = &job->gates[i / each][i % each];
        *g = (gate){.kind = kind, .a = gate_kinds[kind].alpha, .b = gate_kinds[kind].beta};
        if (gate_kinds[kind].has_alpha && alpha < alphas) {
            g->a = alpha_list[alpha++];
        }
        if (gate_kinds[kind].has_beta && beta < betas) {
            g->b = beta_list[beta++];
        }
    }
    return SQUALL_OK;
}

/* sum += row `row` of weights [directions][gates * hidden][length] times `x` */
static double dot(const squall_tensor *weights, size_t row, const double *x, size_t length)
{
    double values[SQ_REF_RUN], sum = 0;
    for (size_t first = 0; first < length; first += SQ_REF_RUN) {
        const size_t count = length - first < SQ_REF_RUN ? length - first : SQ_REF_RUN;
        sq_ref_load(weights, row * length + first, 1, count, values);
        for (size_t i = 0; i < count; i++) {
            sum += values[i] * x[first + i];
        }
    }
    return sum;
}

/* Bias `which` (0: of the input, 1: of the state) of row `row` of the gates. */
static double bias_at(const recurrent_job *job, size_t direction, size_t which, size_t row)
{
    if (!sq_ref_has_input(job->step, 3)) {
        return 0;
    }
    const size_t rows = (size_t)(job->n.gates * job->n.hidden);
    return sq_tensor_get_double(&job->step->in[3], (2 * direction + which) * rows + row);
}

/* The sums of all gates, from the input and the state; of the last of a GRU from the input alone.
 */
static void sum_gates(const recurrent_job *job, size_t direction)
{
    const size_t hidden = (size_t)job->n.hidden, rows = (size_t)job->n.gates * hidden;
    const size_t with_state = job->step->op == SQ_OP_GRU ? 2 * hidden : rows;
    for (size_t row = 0; row < rows; row++) {
        double sum = dot(&job->step->in[1], direction * rows + row, job->x, (size_t)job->n.input) +
                     bias_at(job, direction, 0, row);
        if (row < with_state) {
            sum += dot(&job->step->in[2], direction * rows + row, job->h, hidden) +
                   bias_at(job, direction, 1, row);
        }
        job->sums[row] = sum;
    }
}

static void step_rnn(const recurrent_job *job, size_t direction)
{
    for (int64_t i = 0; i < job->n.hidden; i++) {
        job->next[i] = activated(job, &job->gates[direction][0], job->sums[i]);
    }
}

/* Gates z (update), r (reset), h (new). */
static void step_gru(const recurrent_job *job, size_t direction)
{
    const size_t hidden = (size_t)job->n.hidden, rows = 3 * hidden;
    const gate *f = &job->gates[direction][0], *g = &job->gates[direction][1];
    const squall_tensor *r = &job->step->in[2];
    for (size_t i = 0; i < hidden; i++) {
        const double reset = activated(job, f, job->sums[hidden + i]);
        job->reset[i] = job->linear_before ? reset : reset * job->h[i];
    }
    for (size_t i = 0; i < hidden; i++) {
        const size_t row = 2 * hidden + i;
        const double *from = job->linear_before ? job->h : job->reset;
        double state =
            dot(r, direction * rows + row, from, hidden) + bias_at(job, direction, 1, row);
        state *= job->linear_before ? job->reset[i] : 1;
        const double update = activated(job, f, job->sums[i]);
        const double fresh = activated(job, g, job->sums[row] + state);
        job->next[i] = (1 - update) * fresh + update * job->h[i];
    }
}

/* Peephole `which` (0: input, 1: output, 2: forget) of cell i. */
static double peephole(const recurrent_job *job, size_t direction, size_t which, size_t i)
{
    const size_t hidden = (size_t)job->n.hidden;
    return sq_ref_has_input(job->step, 7)
               ? sq_tensor_get_double(&job->step->in[7], (direction * 3 + which) * hidden + i)
               : 0;
}

/* Gates i, o, f, c. */
static void step_lstm(const recurrent_job *job, size_t direction)
{
    const size_t hidden = (size_t)job->n.hidden;
    const gate *f = &job->gates[direction][0], *g = &job->gates[direction][1];
    const gate *h = &job->gates[direction][2];
    for (size_t i = 0; i < hidden; i++) {
        const double before = job->c[i];
        const double input =
            activated(job, f, job->sums[i] + peephole(job, direction, 0, i) * before);
        const double forget =
            job->joined
                ? 1 - input
                : activated(job, f,
                            job->sums[2 * hidden + i] + peephole(job, direction, 2, i) * before);
        const double cell = forget * before + input * activated(job, g, job->sums[3 * hidden + i]);
        const double output =
            activated(job, f, job->sums[hidden + i] + peephole(job, direction, 1, i) * cell);
        job->c[i] = cell;
        job->next[i] = output * apply(h, held(job, cell));
    }
}

/* Where [length][direction][batch] (`at` >= 0) or [direction][batch] begins, times hidden. */
static size_t place_of(const recurrent_job *job, int64_t at, int64_t direction, int64_t batch)
{
    const sq_recurrence *n = &job->n;
    int64_t row;
    if (n->batch_first) {
        row = at < 0 ? batch * n->directions + direction
                     : (batch * n->length + at) * n->directions + direction;
    } else {
        row = (at < 0 ? direction : at * n->directions + direction) * n->batch + batch;
    }
    return (size_t)(row * n->hidden);
}

static void load_state(const recurrent_job *job, uint32_t input, size_t at, double *state)
{
    for (int64_t i = 0; i < job->n.hidden; i++) {
        state[i] = 0;
    }
    if (sq_ref_has_input(job->step, input)) {
        sq_ref_load(&job->step->in[input], at, 1, (size_t)job->n.hidden, state);
    }
}

static void store_state(const recurrent_job *job, uint32_t output, size_t at, const double *state)
{
    if (sq_ref_has_output(job->step, output)) {
        sq_ref_store(&job->step->out[output], at, (size_t)job->n.hidden, state);
    }
}

/* One sequence in one direction; behind its end the outputs are 0. */
static void run_sequence(const recurrent_job *job, int64_t direction, int64_t batch)
{
    const sq_recurrence *n = &job->n;
    const sq_op op = job->step->op;
    const size_t hidden = (size_t)n->hidden, input = (size_t)n->input;
    const bool backwards = n->reverse || direction == 1;
    int64_t length = n->length;
    if (sq_ref_has_input(job->step, 4)) {
        const int64_t given = sq_tensor_get_int(&job->step->in[4], (size_t)batch);
        length = given < 0 ? 0 : given < length ? given : length;
    }
    load_state(job, 5, place_of(job, -1, direction, batch), job->h);
    load_state(job, 6, place_of(job, -1, direction, batch), job->c);
    for (int64_t i = 0; i < length; i++) {
        const int64_t at = backwards ? length - 1 - i : i;
        const int64_t row = n->batch_first ? batch * n->length + at : at * n->batch + batch;
        sq_ref_load(&job->step->in[0], (size_t)row * input, 1, input, job->x);
        sum_gates(job, (size_t)direction);
        if (op == SQ_OP_LSTM) {
            step_lstm(job, (size_t)direction);
        } else if (op == SQ_OP_GRU) {
            step_gru(job, (size_t)direction);
        } else {
            step_rnn(job, (size_t)direction);
        }
        memcpy(job->h, job->next, hidden * sizeof *job->h);
        store_state(job, 0, place_of(job, at, direction, batch), job->h);
    }
    store_state(job, 1, place_of(job, -1, direction, batch), job->h);
    store_state(job, 2, place_of(job, -1, direction, batch), job->c);
    for (size_t i = 0; i < hidden; i++) {
        job->next[i] = 0;
    }
    for (int64_t at = length; at < n->length; at++) {
        store_state(job, 0, place_of(job, at, direction, batch), job->next);
    }
}

size_t sq_ref_scratch_recurrent(const sq_step *step, int threads)
{
    (void)threads;
    sq_recurrence n;
    size_t doubles;
    if (step->in_count < 3 || sq_op_recurrence(step, &n, NULL) != SQUALL_OK ||
        !sq_mul_size((size_t)n.hidden, 4 + MOST_GATES, &doubles)) {
        return SIZE_MAX;
    }
    return sq_add_size(doubles, (size_t)n.input, &doubles) ? sq_ref_rows_bytes(doubles, 1)
                                                           : SIZE_MAX;
}

squall_status sq_ref_recurrent(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    recurrent_job job = {.step = step,
                         .clip = sq_attr_float(step->attrs, "clip", 0),
                         .joined = sq_attr_int(step->attrs, "input_forget", 0) != 0,
                         .linear_before = sq_attr_int(step->attrs, "linear_before_reset", 0) != 0};
    SQ_TRY(sq_op_recurrence(step, &job.n, err));
    SQ_TRY(read_gates(&job, err));
    job.h = call->scratch;
    job.c = job.h + job.n.hidden;
    job.next = job.c + job.n.hidden;
    job.reset = job.next + job.n.hidden;
    job.sums = job.reset + job.n.hidden;
    job.x = job.sums + MOST_GATES * job.n.hidden;
    for (int64_t direction = 0; direction < job.n.directions; direction++) {
        for (int64_t batch = 0; batch < job.n.batch; batch++) {
            run_sequence(&job, direction, batch);
        }
    }
    return SQUALL_OK;
}
