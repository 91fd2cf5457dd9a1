/* tests/unit/nn/op/test_op_shape.c - the table of operators, attributes, shapes, windows, work. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "nn/op/op.h"

/* A step with what it stands on, built from the texts of op_shape_cases.inc. */
typedef struct test_step {
    squall_tensor in[SQ_MAX_INPUTS], out[SQ_MAX_OUTPUTS];
    sq_attrs attrs;
    sq_step step;
} test_step;

static squall_dtype dtype_of(const char *name, size_t length)
{
    static const struct {
        const char *name;
        squall_dtype dtype;
    } types[] = {{"f32", SQUALL_F32}, {"f64", SQUALL_F64},  {"f16", SQUALL_F16},
                 {"i64", SQUALL_I64}, {"i32", SQUALL_I32},  {"u8", SQUALL_U8},
                 {"i8", SQUALL_I8},   {"bool", SQUALL_BOOL}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strlen(types[i].name) == length && strncmp(types[i].name, name, length) == 0) {
            return types[i].dtype;
        }
    }
    return SQUALL_DTYPE_NONE;
}

static void set_number(squall_tensor *tensor, size_t index, const char *text)
{
    switch (tensor->dtype) {
    case SQUALL_F32:
        ((float *)tensor->data)[index] = strtof(text, NULL);
        break;
    case SQUALL_F16:
        ((uint16_t *)tensor->data)[index] = sq_float_to_half(strtof(text, NULL));
        break;
    case SQUALL_I64:
        ((int64_t *)tensor->data)[index] = strtoll(text, NULL, 10);
        break;
    case SQUALL_BOOL:
        ((uint8_t *)tensor->data)[index] = text[0] != '0';
        break;
    default:
        fail_msg("no constants of type %s", squall_dtype_name(tensor->dtype));
    }
}

/* "f32[2,3]", "i64[2]=1,2" for a constant, "-" for an absent one. */
static squall_tensor parse_tensor(const char *text)
{
    squall_tensor tensor = {0};
    if (text[0] == '-') {
        return tensor;
    }
    const size_t name = strcspn(text, "[");
    tensor.dtype = dtype_of(text, name);
    assert_int_not_equal(tensor.dtype, SQUALL_DTYPE_NONE);
    for (text += name + 1; *text != ']'; text += *text == ',') {
        char *end;
        tensor.dims[tensor.rank++] = strtoll(text, &end, 10);
        text = end;
    }
    if (text[1] != '=') {
        return tensor;
    }
    const squall_tensor type = tensor;
    assert_true(sq_tensor_make(type.dtype, type.rank, type.dims, &tensor));
    const char *number = text + 2;
    for (size_t i = 0; i < squall_tensor_count(&tensor); i++) {
        set_number(&tensor, i, number);
        number += strcspn(number, ",");
        number += *number == ',';
    }
    return tensor;
}

static void parse_list(sq_attrs *attrs, const char *name, bool floats, const char *text)
{
    int64_t ints[32];
    float numbers[32];
    size_t count = 0;
    while (*text != '\0') {
        ints[count] = strtoll(text, NULL, 10);
        numbers[count++] = strtof(text, NULL);
        text += strcspn(text, ",");
        text += *text == ',';
    }
    assert_true(floats ? sq_attr_set_floats(attrs, name, numbers, count)
                       : sq_attr_set_ints(attrs, name, ints, count));
}

/* "name:kind=value;..." */
static void parse_attributes(sq_attrs *attrs, const char *text)
{
    char copy[512];
    assert_true(strlen(text) < sizeof copy);
    strcpy(copy, text);
    char *rest = copy, *item;
    while ((item = strsep(&rest, ";")) != NULL && *item != '\0') {
        char *kind = strchr(item, ':'), *value = strchr(item, '=');
        *kind++ = '\0';
        *value++ = '\0';
        if (strcmp(kind, "int") == 0) {
            assert_true(sq_attr_set_int(attrs, item, strtoll(value, NULL, 10)));
        } else if (strcmp(kind, "float") == 0) {
            assert_true(sq_attr_set_float(attrs, item, strtof(value, NULL)));
        } else if (strcmp(kind, "string") == 0) {
            assert_true(sq_attr_set_string(attrs, item, value, strlen(value)));
        } else if (strcmp(kind, "tensor") == 0) {
            squall_tensor tensor = parse_tensor(value);
            assert_true(sq_attr_set_tensor(attrs, item, &tensor));
        } else {
            parse_list(attrs, item, strcmp(kind, "floats") == 0, value);
        }
    }
}

static void setup(test_step *bench, const char *op, int opset, const char *attributes,
                  const char *inputs, uint32_t out_count)
{
    memset(bench, 0, sizeof *bench);
    bench->attrs.opset = opset;
    parse_attributes(&bench->attrs, attributes);
    char copy[512];
    assert_true(strlen(inputs) < sizeof copy);
    strcpy(copy, inputs);
    char *rest = copy, *item;
    uint32_t count = 0;
    while (inputs[0] != '\0' && (item = strsep(&rest, " ")) != NULL) {
        bench->in[count++] = parse_tensor(item);
    }
    bench->step = (sq_step){.op = sq_op_find(op),
                            .name = "n",
                            .attrs = &bench->attrs,
                            .in_count = count,
                            .out_count = out_count,
                            .in = bench->in,
                            .out = bench->out};
    assert_int_not_equal(bench->step.op, SQ_OP_NONE);
}

static void teardown(test_step *bench)
{
    for (size_t i = 0; i < SQ_MAX_INPUTS; i++) {
        sq_tensor_free(&bench->in[i]);
    }
    sq_attrs_free(&bench->attrs);
}

static void test_cases(void **state)
{
    (void)state;
    static const struct {
        const char *op;
        int opset;
        const char *attributes, *inputs, *outputs;
    } cases[] = {
#define CASE(op, opset, attributes, inputs, outputs) {op, opset, attributes, inputs, outputs},
#include "op_shape_cases.inc"
#undef CASE
    };
    const size_t count = sizeof cases / sizeof cases[0];
    assert_true(count > 300);
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++) {
        test_step bench;
        squall_error err = {0};
        char outputs[512];
        squall_tensor expected[8];
        uint32_t out_count = 0;
        strcpy(outputs, cases[i].outputs);
        for (char *rest = outputs, *item; (item = strsep(&rest, " ")) != NULL;) {
            expected[out_count++] = parse_tensor(item);
        }
        setup(&bench, cases[i].op, cases[i].opset, cases[i].attributes, cases[i].inputs, out_count);
        const squall_status status = sq_op_infer(&bench.step, &err);
        bool same = status == SQUALL_OK;
        for (uint32_t j = 0; same && j < out_count; j++) {
            same = sq_tensor_same_type(&bench.out[j], &expected[j]);
        }
        if (!same) {
            char text[SQ_TENSOR_TEXT];
            print_error("%s-%d {%s} (%s): %s, expected %s; %s: %s\n", cases[i].op, cases[i].opset,
                        cases[i].attributes, cases[i].inputs, sq_tensor_format(&bench.out[0], text),
                        cases[i].outputs, err.where, err.text);
            wrong++;
        }
        teardown(&bench);
    }
    assert_int_equal(wrong, 0);
}

/* What must be refused, and how. */
static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *op;
        int opset;
        const char *attributes, *inputs;
        squall_status status;
    } cases[] = {
        {"Relu", 13, "", "f32[2] f32[2]", SQUALL_E_SHAPE},
        {"Relu", 13, "", "", SQUALL_E_SHAPE},
        {"Relu", 13, "", "-", SQUALL_E_SHAPE},
        {"Relu", 13, "", "f32[-1]", SQUALL_E_SHAPE},
        {"Relu", 13, "", "f32[4611686018427387904,4]", SQUALL_E_SHAPE},
        {"Relu", 13, "", "f32[1152921504606846976]", SQUALL_E_LIMIT},
        {"Not", 13, "", "f32[2]", SQUALL_E_SHAPE},
        {"And", 13, "", "bool[2]", SQUALL_E_SHAPE},
        {"Add", 13, "", "f32[2] f32[3]", SQUALL_E_SHAPE},
        {"Add", 13, "", "f32[2] i64[2]", SQUALL_E_SHAPE},
        {"Add", 13, "", "f32[8589934592,1] f32[1,8589934592]", SQUALL_E_LIMIT},
        {"IsNaN", 13, "", "i64[2]", SQUALL_E_SHAPE},
        {"Where", 16, "", "f32[2] f32[2] f32[2]", SQUALL_E_SHAPE},
        {"PRelu", 16, "", "f32[2,3] f32[2,1,3]", SQUALL_E_SHAPE},
        {"Clip", 13, "", "f32[2] f32[2]", SQUALL_E_SHAPE},
        {"Cast", 13, "to:int=8", "f32[2]", SQUALL_E_UNSUPPORTED},
        {"Cast", 13, "", "f32[2]", SQUALL_E_UNSUPPORTED},
        {"Dropout", 13, "", "f32[2] f32[]=0.5 bool[]=1", SQUALL_E_UNSUPPORTED},
        {"Conv", 17, "", "f32[1,4,9,9] f32[8,3,3,3]", SQUALL_E_SHAPE},
        {"Conv", 17, "", "f32[1,4,2,2] f32[8,4,3,3]", SQUALL_E_SHAPE},
        {"Conv", 17, "", "f32[1,4,9,9] f32[8,4,3]", SQUALL_E_SHAPE},
        {"Conv", 17, "", "f32[4,9] f32[8,4]", SQUALL_E_SHAPE},
        {"Conv", 17, "", "f32[1,4,2,2,2,2] f32[8,4,1,1,1,1]", SQUALL_E_UNSUPPORTED},
        {"Conv", 17, "strides:ints=0,1", "f32[1,4,9,9] f32[8,4,3,3]", SQUALL_E_SHAPE},
        {"Conv", 17, "strides:ints=1", "f32[1,4,9,9] f32[8,4,3,3]", SQUALL_E_SHAPE},
        {"Conv", 17, "strides:int=1", "f32[1,4,9,9] f32[8,4,3,3]", SQUALL_E_SHAPE},
        {"Conv", 17, "pads:ints=1,1", "f32[1,4,9,9] f32[8,4,3,3]", SQUALL_E_SHAPE},
        {"Conv", 17, "pads:ints=-1,0,0,0", "f32[1,4,9,9] f32[8,4,3,3]", SQUALL_E_UNSUPPORTED},
        {"Conv", 17, "group:int=0", "f32[1,4,9,9] f32[8,4,3,3]", SQUALL_E_SHAPE},
        {"Conv", 17, "group:int=4611686018427387904", "f32[1,4,9,9] f32[8,4,3,3]", SQUALL_E_SHAPE},
        {"Conv", 17, "kernel_shape:ints=3,4", "f32[1,4,9,9] f32[8,4,3,3]", SQUALL_E_SHAPE},
        {"Conv", 17, "auto_pad:string=BOTH", "f32[1,4,9,9] f32[8,4,3,3]", SQUALL_E_SHAPE},
        {"Conv", 17, "", "f32[1,4,9,9] f32[8,4,3,3] f32[7]", SQUALL_E_SHAPE},
        {"Conv", 17, "", "i64[1,4,9,9] i64[8,4,3,3]", SQUALL_E_SHAPE},
        {"Conv", 17, "dilations:ints=9223372036854775807,1", "f32[1,4,9,9] f32[8,4,3,3]",
         SQUALL_E_LIMIT},
        {"Conv", 17, "pads:ints=9223372036854775807,1,1,1", "f32[1,4,9,9] f32[8,4,3,3]",
         SQUALL_E_LIMIT},
        {"ConvTranspose", 17, "", "f32[1,4,9,9] f32[8,4,3,3]", SQUALL_E_SHAPE},
        {"ConvTranspose", 17, "pads:ints=9,9,9,9", "f32[1,4,3,3] f32[4,4,3,3]", SQUALL_E_SHAPE},
        {"ConvTranspose", 17, "strides:ints=9223372036854775807,1", "f32[1,4,9,9] f32[4,4,3,3]",
         SQUALL_E_LIMIT},
        {"ConvTranspose", 17, "output_shape:ints=-1,4", "f32[1,4,9,9] f32[4,4,3,3]",
         SQUALL_E_SHAPE},
        {"ConvTranspose", 17, "output_shape:ints=12;strides:ints=2", "f32[1,4,5] f32[4,4,3]",
         SQUALL_OK},
        {"ConvTranspose", 17, "output_shape:ints=13;strides:ints=2", "f32[1,4,5] f32[4,4,3]",
         SQUALL_E_SHAPE},
        {"MaxPool", 12, "", "f32[1,4,9,9]", SQUALL_E_SHAPE},
        {"GlobalMaxPool", 12, "", "f32[4,9]", SQUALL_E_SHAPE},
        {"BatchNormalization", 15, "training_mode:int=1", "f32[1,2,3] f32[2] f32[2] f32[2] f32[2]",
         SQUALL_E_UNSUPPORTED},
        {"BatchNormalization", 7, "spatial:int=0", "f32[1,2,3] f32[2] f32[2] f32[2] f32[2]",
         SQUALL_E_UNSUPPORTED},
        {"BatchNormalization", 15, "", "f32[1,2,3] f32[2] f32[3] f32[2] f32[2]", SQUALL_E_SHAPE},
        {"GroupNormalization", 21, "num_groups:int=4", "f32[1,6,3] f32[6] f32[6]", SQUALL_E_SHAPE},
        {"LayerNormalization", 17, "axis:int=3", "f32[1,6,3] f32[3]", SQUALL_E_SHAPE},
        {"MatMul", 13, "", "f32[2,3] f32[4,3]", SQUALL_E_SHAPE},
        {"MatMul", 13, "", "f32[] f32[4]", SQUALL_E_SHAPE},
        {"MatMul", 13, "", "f32[2,1,3] f32[3,3,4]", SQUALL_E_SHAPE},
        {"Gemm", 13, "", "f32[2,3] f32[4,3]", SQUALL_E_SHAPE},
        {"Gemm", 13, "", "f32[2,3] f32[3,4] f32[3]", SQUALL_E_SHAPE},
        {"Softmax", 13, "axis:int=2", "f32[2,3]", SQUALL_E_SHAPE},
        {"ReduceSum", 13, "", "f32[2,3] i64[1]", SQUALL_E_UNSUPPORTED},
        {"ReduceSum", 13, "", "f32[2,3] i64[1]=2", SQUALL_E_SHAPE},
        {"ReduceSum", 13, "", "f32[2,3] i64[2]=1,-1", SQUALL_E_SHAPE},
        {"ArgMax", 13, "", "f32[0,3]", SQUALL_E_SHAPE},
        {"CumSum", 14, "", "f32[2] i64[]=1", SQUALL_E_SHAPE},
        {"Reshape", 14, "", "f32[2,3] i64[2]", SQUALL_E_UNSUPPORTED},
        {"Reshape", 14, "", "f32[2,3] i64[2]=-1,-1", SQUALL_E_SHAPE},
        {"Reshape", 14, "", "f32[2,3] i64[2]=4,-1", SQUALL_E_SHAPE},
        {"Reshape", 14, "", "f32[2,3] i64[2]=0,-1", SQUALL_OK},
        {"Reshape", 14, "", "f32[6] i64[2]=6,0", SQUALL_E_SHAPE},
        {"Reshape", 14, "allowzero:int=1", "f32[6] i64[2]=0,-1", SQUALL_E_SHAPE},
        {"Reshape", 14, "", "f32[6] i64[9]=1,1,1,1,1,1,1,1,6", SQUALL_E_SHAPE},
        {"Reshape", 14, "", "f32[6] f32[1]=6", SQUALL_E_SHAPE},
        {"Reshape", 14, "", "f32[6] i64[3]=4611686018427387904,4,-1", SQUALL_E_SHAPE},
        {"Flatten", 13, "axis:int=4", "f32[2,3]", SQUALL_E_SHAPE},
        {"Squeeze", 13, "", "f32[2,3] i64[1]=0", SQUALL_E_SHAPE},
        {"Unsqueeze", 13, "", "f32[2,3]", SQUALL_E_SHAPE},
        {"Unsqueeze", 13, "", "f32[1,1,1,1,1,1,1,1] i64[1]=0", SQUALL_E_LIMIT},
        {"Transpose", 13, "perm:ints=0,0", "f32[2,3]", SQUALL_E_SHAPE},
        {"Transpose", 13, "perm:ints=0,2", "f32[2,3]", SQUALL_E_SHAPE},
        {"Concat", 13, "", "f32[2] f32[2]", SQUALL_E_SHAPE},
        {"Concat", 13, "axis:int=0", "f32[2] -", SQUALL_E_SHAPE},
        {"Concat", 13, "axis:int=0", "f32[2,3] f32[2,4]", SQUALL_E_SHAPE},
        {"Split", 13, "", "f32[6] i64[1]=5", SQUALL_E_SHAPE},
        {"Split", 13, "", "f32[6] i64[2]=3,3", SQUALL_E_SHAPE},
        {"Slice", 13, "", "f32[6] i64[1]=0 i64[1]=6 i64[1]=0 i64[1]=0", SQUALL_E_SHAPE},
        {"Slice", 13, "", "f32[6] i64[1]=0 i64[2]=6,1", SQUALL_E_SHAPE},
        {"Slice", 13, "", "f32[6] i64[1]=0 i64[1]", SQUALL_E_UNSUPPORTED},
        {"Slice", 13, "", "f32[6] i64[2]=0,0 i64[2]=6,1 i64[2]=0,0", SQUALL_E_SHAPE},
        {"Pad", 13, "", "f32[6] i64[2]=-4,-4", SQUALL_E_SHAPE},
        {"Pad", 13, "mode:string=edge", "f32[0] i64[2]=1,1", SQUALL_E_SHAPE},
        {"Pad", 13, "mode:string=mirror", "f32[6] i64[2]=1,1", SQUALL_E_SHAPE},
        {"Pad", 13, "", "f32[6] i64[2]=9223372036854775807,1", SQUALL_E_SHAPE},
        {"Expand", 13, "", "f32[3] i64[1]=2", SQUALL_E_SHAPE},
        {"Expand", 13, "", "f32[1] i64[1]=-2", SQUALL_E_SHAPE},
        {"Tile", 13, "", "f32[3] i64[1]=9223372036854775807", SQUALL_E_SHAPE},
        {"Gather", 13, "", "f32[] i64[1]", SQUALL_E_SHAPE},
        {"Gather", 13, "", "f32[3] f32[1]", SQUALL_E_SHAPE},
        {"GatherElements", 13, "", "f32[3,2] i64[1,3]", SQUALL_E_SHAPE},
        {"GatherND", 13, "", "f32[3,2] i64[3]", SQUALL_E_SHAPE},
        {"GatherND", 13, "batch_dims:int=-1", "f32[3,2] i64[3,1]", SQUALL_E_SHAPE},
        {"GatherND", 13, "batch_dims:int=1", "f32[3,2] i64[2,1]", SQUALL_E_SHAPE},
        {"ScatterND", 13, "", "f32[3,2] i64[1,1] f32[2]", SQUALL_E_SHAPE},
        {"ScatterElements", 13, "", "f32[3] i64[2] f32[1]", SQUALL_E_SHAPE},
        {"OneHot", 11, "", "i64[2] i64[] f32[2]", SQUALL_E_UNSUPPORTED},
        {"OneHot", 11, "", "i64[2] i64[]=-2 f32[2]", SQUALL_E_SHAPE},
        {"ConstantOfShape", 9, "", "i64[1]=-2", SQUALL_E_SHAPE},
        {"ConstantOfShape", 9, "", "i64[2]=4611686018427387904,2", SQUALL_E_LIMIT},
        {"Range", 11, "", "i64[]=0 i64[]=5 i64[]=0", SQUALL_E_SHAPE},
        {"Range", 11, "", "f32[]=0 f32[]=5 f32[]=0", SQUALL_E_SHAPE},
        {"Range", 11, "", "i64[]=9223372036854775807 i64[]=-2 i64[]=-1", SQUALL_E_SHAPE},
        {"Range", 11, "", "i64[]=0 i64[]=-9223372036854775808 i64[]=-1", SQUALL_E_LIMIT},
        {"Range", 11, "", "i64[] i64[]=5 i64[]=1", SQUALL_E_UNSUPPORTED},
        {"Constant", 13, "", "", SQUALL_E_UNSUPPORTED},
        {"EyeLike", 9, "", "f32[2]", SQUALL_E_SHAPE},
        {"DepthToSpace", 13, "blocksize:int=3", "f32[1,4,2,2]", SQUALL_E_SHAPE},
        {"DepthToSpace", 13, "blocksize:int=4294967296", "f32[1,4,2,2]", SQUALL_E_SHAPE},
        {"SpaceToDepth", 13, "blocksize:int=0", "f32[1,4,2,2]", SQUALL_E_SHAPE},
        {"Resize", 13, "", "f32[1,1,2,2]", SQUALL_E_SHAPE},
        {"Resize", 13, "", "f32[1,1,2,2] - f32[4]", SQUALL_E_UNSUPPORTED},
        {"Resize", 13, "", "f32[1,1,2,2] - f32[4]=1,1,0,1", SQUALL_E_SHAPE},
        {"Resize", 13, "", "f32[1,1,2,2] - f32[4]=1,1,nan,1", SQUALL_E_SHAPE},
        {"Resize", 13, "", "f32[1,1,2,2] - f32[4]=1,1,1e30,1", SQUALL_E_SHAPE},
        {"Resize", 13, "", "f32[1,1,2,2] - - i64[4]=1,1,-3,1", SQUALL_E_SHAPE},
        {"Resize", 13, "mode:string=lanczos", "f32[1,1,2,2] - - i64[4]=1,1,3,1",
         SQUALL_E_UNSUPPORTED},
        {"Resize", 13, "coordinate_transformation_mode:string=tf_crop_and_resize",
         "f32[1,1,2,2] - - i64[4]=1,1,3,1", SQUALL_E_SHAPE},
        {"GridSample", 16, "", "f32[1,1,2,2] f32[1,3,3,3]", SQUALL_E_SHAPE},
        {"GridSample", 16, "padding_mode:string=wrap", "f32[1,1,2,2] f32[1,3,3,2]",
         SQUALL_E_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_step bench;
        squall_error err = {0};
        setup(&bench, cases[i].op, cases[i].opset, cases[i].attributes, cases[i].inputs, 1);
        const squall_status status = sq_op_infer(&bench.step, &err);
        if (status != cases[i].status) {
            print_error("%s {%s} (%s): %s, expected %s: %s\n", cases[i].op, cases[i].attributes,
                        cases[i].inputs, squall_status_name(status),
                        squall_status_name(cases[i].status), err.text);
        }
        assert_int_equal(status, cases[i].status);
        assert_true(status == SQUALL_OK || (strstr(err.where, "node 'n' (") && err.text[0]));
        teardown(&bench);
    }
}

static void test_table(void **state)
{
    (void)state;
    size_t count = 0;
#define OP(number, name, rule)                                                        \
    assert_string_equal(sq_op_name(SQ_OP_##name), #name);                             \
    assert_int_equal(sq_op_find(#name), (number) < 1000 ? SQ_OP_##name : SQ_OP_NONE); \
    count++;
#include "nn/op/op_table.inc"
#undef OP
    assert_true(count > 100);
    assert_int_equal(SQ_OP_Conv, 1); /* engine files hold these */
    assert_int_equal(SQ_OP_GridSample, 238);
    assert_int_equal(SQ_OP_SqReorder, 1000);
    assert_int_equal(sq_op_find("conv"), SQ_OP_NONE);
    assert_int_equal(sq_op_find(""), SQ_OP_NONE);
    assert_string_equal(sq_op_name(SQ_OP_NONE), "(none)");
    sq_attrs attrs = {0};
    sq_step step = {.op = (sq_op)999, .attrs = &attrs};
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_UNSUPPORTED);
}

/* Gates that a pass makes: an engine may hold others. */
static void test_gates(void **state)
{
    (void)state;
    static const int64_t order[] = {2, 0, 3, 1}, twice[] = {2, 0, 2, 1}, part[] = {1, 2};
    static const int64_t beyond[] = {2, 2};
    squall_tensor in[3] = {{.dtype = SQUALL_F32, .rank = 3, .dims = {2, 12, 5}},
                           {.dtype = SQUALL_F32, .rank = 3, .dims = {2, 3, 5}},
                           {.dtype = SQUALL_F32, .rank = 3, .dims = {2, 3, 5}}};
    squall_tensor out[2] = {{0}};
    sq_attrs attrs = {.opset = 17};
    sq_step step = {SQ_OP_SqLstmGates, "g", &attrs, 2, 2, in, out};
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE);
    assert_true(sq_attr_set_ints(&attrs, "sq_gates", twice, 4));
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE);
    assert_true(sq_attr_set_ints(&attrs, "sq_gates", order, 4));
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_OK);
    assert_true(sq_tensor_same_type(&out[0], &in[1]) && sq_tensor_same_type(&out[1], &in[1]));
    in[0].dims[1] = 11;
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE);
    in[0].dims[1] = 6;
    step = (sq_step){SQ_OP_SqGruUpdate, "g", &attrs, 3, 1, in, out};
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE); /* of four numbers */
    assert_true(sq_attr_set_ints(&attrs, "sq_gates", beyond, 2));
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE);
    assert_true(sq_attr_set_ints(&attrs, "sq_gates", part, 2));
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_OK);
    in[2].layout = SQUALL_C16; /* a kernel's own: the sizes are the same */
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_OK);
    in[2].dims[2] = 4;
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE);
    step.op = SQ_OP_SqGruReset;
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE); /* of three inputs */
    step.in_count = 2;
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_OK);
    in[1].dtype = SQUALL_F16;
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE);
    sq_attrs_free(&attrs);
}

static void test_memory_gates(void **state)
{
    (void)state;
    static const int64_t right[] = {4, 3, 3, 0, 2, 1, 1, 2}, beyond[] = {4, 3, 3, 0, 2, 3, 1, 2};
    static const float offsets[] = {0, 1, 0};
    squall_tensor in[3] = {{.dtype = SQUALL_F32, .rank = 3, .dims = {2, 12, 5}},
                           {.dtype = SQUALL_F32, .rank = 3, .dims = {2, 9, 5}},
                           {.dtype = SQUALL_F32, .rank = 3, .dims = {2, 3, 5}}};
    squall_tensor out[1] = {{0}};
    sq_attrs attrs = {.opset = 17};
    sq_step step = {SQ_OP_SqMemoryGates, "g", &attrs, 3, 1, in, out};
    assert_true(sq_attr_set_ints(&attrs, "sq_gates", right, 8));
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE); /* without offsets */
    assert_true(sq_attr_set_floats(&attrs, "sq_offsets", offsets, 3));
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_OK);
    assert_true(sq_tensor_same_type(&out[0], &in[2]));
    assert_true(sq_attr_set_ints(&attrs, "sq_gates", beyond, 8));
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE);
    assert_true(sq_attr_set_ints(&attrs, "sq_gates", right, 8));
    in[1].dims[1] = 10;
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE);
    in[1].dims[1] = 9;
    step.in_count = 2;
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE);
    sq_attrs_free(&attrs);
}

/* Operators that are several in one refuse what does not fit, and count the work of all. */
static void test_fused(void **state)
{
    (void)state;
    const int64_t one[] = {1, 1}, both[] = {2, 1}, three[] = {3, 1};
    squall_tensor in[5] = {
        {.dtype = SQUALL_F32, .rank = 4, .dims = {2, 4, 3, 5}},
        {.dtype = SQUALL_F32, .rank = 4, .dims = {7, 6, 3, 3}},
        {.dtype = SQUALL_F32, .rank = 1, .dims = {7}},
        {.dtype = SQUALL_F32, .rank = 4, .dims = {2, 2, 6, 10}},
    };
    squall_tensor out[1] = {{0}};
    sq_attrs attrs = {.opset = 17};
    sq_step step = {SQ_OP_SqConvJoin, "j", &attrs, 4, 1, in, out};
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE); /* no scales */
    assert_true(sq_attr_set_ints(&attrs, "sq_upsample", one, 2));
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE); /* of other sizes */
    assert_true(sq_attr_set_ints(&attrs, "sq_upsample", three, 2));
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE);
    assert_true(sq_attr_set_ints(&attrs, "sq_upsample", both, 2));
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_OK);
    assert_true(out[0].dims[0] == 2 && out[0].dims[1] == 7 && out[0].dims[2] == 4 &&
                out[0].dims[3] == 8);
    assert_true(sq_op_macs(&step) == (uint64_t)2 * 7 * 4 * 8 * 6 * 9);
    in[3].dims[1] = 3;
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE); /* more than the weights take */
    sq_attrs_free(&attrs);

    in[1] = (squall_tensor){.dtype = SQUALL_F32, .rank = 4, .dims = {8, 1, 3, 3}};
    in[2] = (squall_tensor){.dtype = SQUALL_F32, .rank = 1, .dims = {8}};
    in[3] = (squall_tensor){.dtype = SQUALL_F32, .rank = 4, .dims = {5, 8, 1, 1}};
    in[4] = (squall_tensor){.dtype = SQUALL_F32, .rank = 1, .dims = {5}};
    attrs.opset = 17;
    step = (sq_step){SQ_OP_SqConvDepth, "d", &attrs, 5, 1, in, out};
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE); /* of one group */
    assert_true(sq_attr_set_int(&attrs, "group", 4));
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_OK);
    assert_true(out[0].dims[0] == 2 && out[0].dims[1] == 5 && out[0].dims[2] == 1 &&
                out[0].dims[3] == 3);
    assert_true(sq_op_macs(&step) == (uint64_t)2 * 3 * (8 * 9 + 5 * 8));
    in[3].dims[3] = 2;
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE); /* not 1 x 1 */
    sq_attrs_free(&attrs);
}

static void test_reorder(void **state)
{
    (void)state;
    squall_tensor in = {.dtype = SQUALL_F32, .rank = 4, .dims = {1, 5, 2, 3}}, out = {0};
    sq_attrs attrs = {.opset = 17};
    sq_step step = {SQ_OP_SqReorder, "r", &attrs, 1, 1, &in, &out};
    squall_error err;
    assert_int_equal(sq_op_infer(&step, &err), SQUALL_E_SHAPE); /* to which layout? */
    assert_true(sq_attr_set_int(&attrs, "sq_layout", SQUALL_C16));
    assert_int_equal(sq_op_infer(&step, &err), SQUALL_OK);
    assert_int_equal(out.layout, SQUALL_C16);
    assert_int_equal(squall_tensor_bytes(&out), 16 * 6 * 4);
    in.rank = 1;
    assert_int_equal(sq_op_infer(&step, &err), SQUALL_E_SHAPE);
    sq_attrs_free(&attrs);
}

static void check_window(const char *op, const char *attributes, const char *inputs,
                         const int64_t *begin, const int64_t *end, const int64_t *out)
{
    test_step bench;
    sq_window window;
    setup(&bench, op, 17, attributes, inputs, 1);
    assert_int_equal(sq_op_window(&bench.step, &window, NULL), SQUALL_OK);
    assert_int_equal(window.spatial, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(window.pad_begin[i], begin[i]);
        assert_int_equal(window.pad_end[i], end[i]);
        assert_int_equal(window.out[i], out[i]);
    }
    teardown(&bench);
}

/* Worked by hand from the formulas of the ONNX specification of Conv and ConvTranspose. */
static void test_window(void **state)
{
    (void)state;
    check_window("Conv", "pads:ints=0,1,2,3", "f32[1,4,9,9] f32[8,4,3,3]", (int64_t[]){0, 1},
                 (int64_t[]){2, 3}, (int64_t[]){9, 11});
    /* 9 by 2: 5 outputs reach over (5-1)*2+4 = 12, so 3 pads; 10 by 2: 5, over 12, so 2 */
    check_window("Conv", "auto_pad:string=SAME_UPPER;strides:ints=2,2",
                 "f32[1,4,9,10] f32[8,4,4,4]", (int64_t[]){1, 1}, (int64_t[]){2, 1},
                 (int64_t[]){5, 5});
    check_window("Conv", "auto_pad:string=SAME_LOWER;strides:ints=2,2",
                 "f32[1,4,9,10] f32[8,4,4,4]", (int64_t[]){2, 1}, (int64_t[]){1, 1},
                 (int64_t[]){5, 5});
    /* full: (5-1)*2+3 = 11 and (7-1)*2+3 = 15; one to cut away */
    check_window("ConvTranspose", "output_shape:ints=10,14;strides:ints=2,2",
                 "f32[1,6,5,7] f32[6,4,3,3]", (int64_t[]){1, 1}, (int64_t[]){0, 0},
                 (int64_t[]){10, 14});
    check_window("ConvTranspose",
                 "output_shape:ints=10,14;strides:ints=2,2;auto_pad:string=SAME_UPPER",
                 "f32[1,6,5,7] f32[6,4,3,3]", (int64_t[]){0, 0}, (int64_t[]){1, 1},
                 (int64_t[]){10, 14});
    check_window("ConvTranspose", "output_shape:ints=1,4,10,14;strides:ints=2,2",
                 "f32[1,6,5,7] f32[6,4,3,3]", (int64_t[]){1, 1}, (int64_t[]){0, 0},
                 (int64_t[]){10, 14});
    test_step bench;
    sq_window window;
    setup(&bench, "GlobalAveragePool", 17, "", "f32[1,6,5,7]", 1);
    assert_int_equal(sq_op_window(&bench.step, &window, NULL), SQUALL_OK);
    assert_int_equal(window.kernel[0], 5);
    assert_int_equal(window.kernel[1], 7);
    assert_int_equal(window.out[1], 1);
    teardown(&bench);
}

static void test_macs(void **state)
{
    (void)state;
    static const struct {
        const char *op, *attributes, *inputs;
        uint64_t macs;
    } cases[] = {
        {"Conv", "pads:ints=1,1,1,1", "f32[2,4,9,10] f32[8,4,3,3]", 2u * 8 * 90 * 4 * 9},
        {"Conv", "group:int=4", "f32[1,4,9,10] f32[8,1,3,3]", 8u * 56 * 9},
        {"ConvTranspose", "strides:ints=2,2", "f32[1,6,5,7] f32[6,4,3,3]", 6u * 35 * 4 * 9},
        {"MatMul", "", "f32[5,2,3] f32[3,4]", 5u * 2 * 4 * 3},
        {"Gemm", "transA:int=1", "f32[3,2] f32[3,4]", 2u * 4 * 3},
        {"Add", "", "f32[3,2] f32[3,2]", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_step bench;
        setup(&bench, cases[i].op, 17, cases[i].attributes, cases[i].inputs, 1);
        assert_int_equal(sq_op_infer(&bench.step, NULL), SQUALL_OK);
        assert_int_equal(sq_op_macs(&bench.step), cases[i].macs);
        teardown(&bench);
    }
}

static bool make_attributes(sq_attrs *attrs)
{
    squall_tensor tensor = {0};
    const bool made = sq_attr_set_int(attrs, "i", 5) && sq_attr_set_float(attrs, "f", 0.5f) &&
                      sq_attr_set_string(attrs, "s", "ab", 2) &&
                      sq_attr_set_ints(attrs, "l", (int64_t[]){1, -2}, 2) &&
                      sq_attr_set_floats(attrs, "g", (float[]){1.5f}, 1) &&
                      sq_tensor_make(SQUALL_F32, 1, (int64_t[]){3}, &tensor) &&
                      sq_attr_set_tensor(attrs, "t", &tensor);
    sq_tensor_free(&tensor);
    return made;
}

static void test_attributes(void **state)
{
    (void)state;
    sq_attrs attrs = {.opset = 17}, copy;
    size_t count;
    assert_true(make_attributes(&attrs));
    assert_true(sq_attr_set_int(&attrs, "i", 6)); /* replaces */
    assert_int_equal(attrs.count, 6);
    assert_true(sq_attrs_copy(&attrs, &copy));
    sq_attrs_free(&attrs);
    assert_int_equal(copy.opset, 17);
    assert_int_equal(sq_attr_int(&copy, "i", 0), 6);
    assert_int_equal(sq_attr_int(&copy, "f", 9), 9); /* another kind is not an int */
    assert_true(sq_attr_float(&copy, "f", 0) == 0.5f);
    assert_string_equal(sq_attr_string(&copy, "s", ""), "ab");
    assert_string_equal(sq_attr_string(&copy, "none", "x"), "x");
    assert_int_equal(sq_attr_ints(&copy, "l", &count)[1], -2);
    assert_int_equal(count, 2);
    assert_true(sq_attr_floats(&copy, "g", &count)[0] == 1.5f);
    assert_null(sq_attr_ints(&copy, "g", &count));
    assert_int_equal(count, 0);
    assert_int_equal(sq_attr_find(&copy, "t")->tensor.dims[0], 3);
    sq_attr_remove(&copy, "i");
    sq_attr_remove(&copy, "i");
    assert_int_equal(copy.count, 5);
    assert_null(sq_attr_find(&copy, "i"));
    sq_attrs_free(&copy);
}

static void test_no_memory(void **state)
{
    (void)state;
    sq_attrs attrs, copy;
    bool done = false;
    for (long n = 0; !done; n++) {
        attrs = (sq_attrs){0};
        sq_memory_fail_at(n);
        done = make_attributes(&attrs);
        sq_memory_fail_at(-1);
        if (!done) {
            sq_attrs_free(&attrs);
        }
    }
    done = false;
    for (long n = 0; !done; n++) {
        sq_memory_fail_at(n);
        done = sq_attrs_copy(&attrs, &copy);
        sq_memory_fail_at(-1);
    }
    sq_attrs_free(&copy);
    sq_attrs_free(&attrs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_table),        cmocka_unit_test(test_gates),
        cmocka_unit_test(test_memory_gates), cmocka_unit_test(test_fused),
        cmocka_unit_test(test_reorder),      cmocka_unit_test(test_window),
        cmocka_unit_test(test_macs),         cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
