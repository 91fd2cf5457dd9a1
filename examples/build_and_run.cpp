// build_and_run.cpp - the same from C++17: handles that close themselves, failures as exceptions.
//
//     c++ -std=c++17 build_and_run.cpp $(pkg-config --cflags --libs squall) -o build_and_run_cpp
//     ./build_and_run_cpp MODEL.onnx OUT.engine [SIZE...]
#include <cstdint>
#include <iostream>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include <squall/compile.h>
#include <squall/engine.h>

namespace
{

struct CloseEngine {
    void operator()(squall_engine *engine) const
    {
        squall_engine_close(&engine);
    }
};
struct DestroyContext {
    void operator()(squall_context *context) const
    {
        squall_context_destroy(&context);
    }
};
using Engine = std::unique_ptr<squall_engine, CloseEngine>;
using Context = std::unique_ptr<squall_context, DestroyContext>;

void check(squall_status status, const squall_error &err)
{
    if (status != SQUALL_OK) {
        throw std::runtime_error(std::string(err.where) + ": " + err.text + " (" +
                                 squall_status_name(status) + ")");
    }
}

Engine open(const char *path)
{
    squall_engine *engine = nullptr;
    squall_error err;
    check(squall_engine_open(path, nullptr, &engine, nullptr, &err), err);
    return Engine(engine);
}

Context make_context(squall_engine *engine)
{
    squall_context *context = nullptr;
    squall_error err;
    check(squall_context_create(engine, 0, 0, &context, &err), err);
    return Context(context);
}

// Memory of a tensor, aligned as an engine wants it at least: to its elements.
struct Buffer {
    explicit Buffer(squall_tensor wanted) : type(wanted), bytes(squall_tensor_bytes(&wanted))
    {
        type.data = bytes.data();
    }
    squall_tensor type;
    std::vector<unsigned char> bytes;
};

void run(const Engine &engine, const Context &context)
{
    squall_error err;
    const char *name;
    std::vector<std::unique_ptr<Buffer>> buffers;
    std::vector<squall_tensor> in, out;
    for (std::size_t i = 0; i < squall_engine_input_count(engine.get()); i++) {
        squall_tensor type;
        check(squall_engine_input(engine.get(), 0, i, &name, &type, &err), err);
        buffers.push_back(std::make_unique<Buffer>(type));
        in.push_back(buffers.back()->type);
        if (type.dtype == SQUALL_F32) {
            float *at = static_cast<float *>(in.back().data);
            for (std::size_t k = 0; k < squall_tensor_count(&type); k++) {
                at[k] = static_cast<float>(k * 7919 % 1000) / 500.0F - 1.0F;
            }
        }
    }
    for (std::size_t i = 0; i < squall_engine_output_count(engine.get()); i++) {
        squall_tensor type;
        check(squall_engine_output(engine.get(), 0, i, &name, &type, &err), err);
        buffers.push_back(std::make_unique<Buffer>(type));
        out.push_back(buffers.back()->type);
    }
    check(squall_context_run(context.get(), in.data(), in.size(), out.data(), out.size(), &err),
          err);
    double sum = 0;
    for (std::size_t i = 0; i < squall_tensor_count(&out[0]) && out[0].dtype == SQUALL_F32; i++) {
        sum += static_cast<double>(static_cast<const float *>(out[0].data)[i]);
    }
    std::cout << "sum of the first output " << std::fixed << sum << "\n";
}

} // namespace

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 3 + SQUALL_MAX_DIMS) {
        std::cerr << "usage: build_and_run MODEL.onnx OUT.engine [SIZE...]\n";
        return 2;
    }
    try {
        squall_build_options options;
        squall_build_report report;
        squall_error err;
        squall_build_options_init(&options);
        squall_input_shape shape{}; // of the only input, where the model leaves it open
        for (int i = 3; i < argc; i++) {
            shape.dims[shape.rank++] = std::stoll(argv[i]);
        }
        options.shapes = &shape;
        options.shape_count = shape.rank > 0 ? 1 : 0;
        check(squall_build(argv[1], &options, argv[2], &report, nullptr, &err), err);
        const Engine engine = open(argv[2]);
        squall_profile_info info;
        check(squall_engine_profile(engine.get(), 0, &info, &err), err);
        std::cout << report.nodes_in << " nodes became " << info.step_count << " steps on "
                  << info.backend << "\n";
        run(engine, make_context(engine.get()));
    } catch (const std::exception &problem) {
        std::cerr << problem.what() << "\n";
        return 1;
    }
    return 0;
}
