"""The package on the small networks of tests/data, against what ONNX Runtime gave for them and against itself."""
import concurrent.futures
import gc
import os
import pathlib
import re
import tempfile
import unittest

import numpy as np

import squall

SOURCE = pathlib.Path(os.environ["SQUALL_SOURCE"])
DATA = SOURCE / "tests/data/compile"
UNET, TWO = DATA / "small_unet.onnx", DATA / "two_inputs.onnx"


def pattern(*shape, number=0):
    """Input number k of tests/expected/make_compile.py: ((7919 i + 31 k) mod 1000) / 500 - 1."""
    i = np.arange(np.prod(shape))
    return (((7919 * i + 31 * number) % 1000) / 500 - 1).astype(np.float32).reshape(shape)


def expected(name):
    """An output of ONNX Runtime in compile_expected.h."""
    text = (SOURCE / "tests/unit/nn/compile/compile_expected.h").read_text()
    shape, numbers = re.search(rf"{name}\[\] = \{{ /\* \[([0-9, ]+)\] \*/(.*?)\}};", text, re.S).groups()
    values = [float(v.rstrip("f")) for v in re.findall(r"[-+0-9.e]+f", numbers)]
    return np.array(values, np.float32).reshape([int(size) for size in shape.split(",")])


class WithFolder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.engine = pathlib.Path(self.folder.name) / "unet.sqe"

    def build(self, **options):
        options.setdefault("shapes", {"x": [(1, 3, 6, 4), (2, 3, 8, 2)]})
        return squall.build(UNET, self.engine, **options)

    def fails(self, code, function, *arguments, **named):
        with self.assertRaises(squall.Error) as raised:
            function(*arguments, **named)
        self.assertEqual(raised.exception.code, code)
        self.assertIn(code, str(raised.exception))
        return raised.exception


class Building(WithFolder):
    def test_report(self):
        report = self.build(threads=2, recipe='{"a": 1}')
        self.assertEqual(report.nodes_in, 9)
        self.assertEqual(report.profile_count, 2)
        self.assertEqual(report.file_bytes, self.engine.stat().st_size)
        self.assertEqual(report.arena_bytes, report.arena_bound_bytes)
        self.assertGreater(report.seconds, 0)
        with squall.Engine(self.engine) as engine:
            self.assertEqual(engine.recipe, {"a": 1})
            self.assertEqual(engine.about("model"), "small_unet")
            self.assertEqual(engine.about("squall_version"), squall.library_version())
            self.assertIsNone(engine.about("no such key"))
            steps = engine.profiles[0].steps
            self.assertGreaterEqual(sum(step.backend != "view" for step in steps), report.steps_out)
            self.assertEqual(sum(step.op == "Conv" for step in steps), 3)
            self.assertIn(engine.outputs[0].shape, [step.shape for step in steps])

    def test_same_bytes(self):
        self.build()
        first = self.engine.read_bytes()
        self.build()
        self.assertEqual(first, self.engine.read_bytes())

    def test_batches_and_buckets(self):
        report = squall.build(UNET, self.engine, batches={"x": (1, 2, 4)}, buckets=[(8, 8), (16, 8)], threads=2)
        self.assertEqual(report.profile_count, 2)
        with squall.Engine(self.engine) as engine:
            self.assertEqual(engine.inputs[0].batches, (1, 4))
            for shape in ((1, 3, 8, 8), (3, 3, 16, 8), (4, 3, 8, 8)):
                self.assertEqual(engine.run(pattern(*shape))[0].shape, (shape[0], 2, *shape[2:]))
            error = self.fails("SQUALL_E_SHAPE", engine.run, pattern(5, 3, 8, 8))
            self.assertIn("1..4", error.text)

    def test_refused(self):
        self.fails("SQUALL_E_IO", squall.build, "no_such.onnx", self.engine)
        self.fails("SQUALL_E_SHAPE", squall.build, UNET, self.engine)
        error = self.fails("SQUALL_E_UNSUPPORTED", squall.build, DATA / "unsupported.onnx", self.engine)
        self.assertEqual(len(error.notes), 2)
        self.assertIn("RainMaker", error.notes[0])
        self.fails("SQUALL_E_ARGUMENT", squall.build, UNET, self.engine, device="abacus")
        self.fails("SQUALL_E_LIMIT", self.build, memory_limit=1)
        with self.assertRaises(ValueError):
            squall.build(UNET, self.engine, shapes={"x": (1,) * 9})
        self.assertFalse(self.engine.exists())

    def test_tactics_and_refit(self):
        times = self.engine.with_name("times.json")
        self.assertGreater(self.build(tune_seconds=60, tactics=times).tactics_measured, 0)
        tuned = self.engine.read_bytes()
        self.build(tactics=times, tactics_strict=True)
        self.assertEqual(tuned, self.engine.read_bytes())
        out = self.engine.with_name("other.sqe")
        squall.refit(self.engine, UNET, out)
        self.assertEqual(tuned, out.read_bytes())
        with self.assertRaises(squall.Error):
            squall.refit(self.engine, TWO)


class Running(WithFolder):
    def test_against_onnx_runtime(self):
        for options in ({}, {"device": "ref"}):
            self.build(**options)
            for portable in (False, True):
                with squall.Engine(self.engine, portable=portable, threads=2) as engine:
                    for shape, name in (((1, 3, 6, 4), "small_unet_6x4_y"), ((2, 3, 8, 2), "small_unet_2x8x2_y")):
                        y, = engine.run(pattern(*shape))
                        np.testing.assert_allclose(y, expected(name), atol=1e-5)

    def test_ways_to_pass_inputs(self):
        squall.build(TWO, self.engine, threads=1)
        with squall.Engine(self.engine) as engine:
            names = [port.name for port in engine.inputs]
            arrays = [pattern(*port.shape, number=k).astype(port.dtype) for k, port in enumerate(engine.inputs)]
            by_order = engine.run(*arrays)
            by_name = engine.run(**dict(zip(names, arrays)))
            by_mapping = engine.run(dict(zip(names, arrays)))
            strided = engine.run(*(np.repeat(a, 2, axis=-1)[..., ::2] for a in arrays))
            self.assertEqual(len(by_order), len(engine.outputs))
            for other in (by_name, by_mapping, strided):
                for a, b in zip(by_order, other):
                    np.testing.assert_array_equal(a, b)
            for array, port in zip(by_order, engine.outputs):
                self.assertEqual((array.shape, array.dtype), (port.shape, port.dtype))
            with self.assertRaises(TypeError):
                engine.run(arrays[0])
            with self.assertRaises(TypeError):
                engine.run(**{names[0]: arrays[0], "wrong": arrays[1]})
            with self.assertRaises(TypeError):
                engine.run(arrays[0].astype(np.float64), arrays[1])

    def test_threads_share_an_engine(self):
        self.build(threads=1)
        with squall.Engine(self.engine, threads=1) as engine:
            inputs = [pattern(1, 3, 6, 4, number=k) for k in range(32)]
            alone = [engine.run(x)[0] for x in inputs]
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                together = list(pool.map(lambda x: engine.run(x)[0], inputs))
        for a, b in zip(alone, together):
            np.testing.assert_array_equal(a, b)

    def test_closed(self):
        self.build()
        engine = squall.Engine(self.engine)
        self.assertIn("small_unet", repr(engine))
        engine.run(pattern(1, 3, 6, 4))
        engine.close()
        engine.close()
        self.assertIn("closed", repr(engine))
        for use in (lambda: engine.run(pattern(1, 3, 6, 4)), lambda: engine.recipe, lambda: engine.about("model")):
            with self.assertRaises(ValueError):
                use()
        squall.Engine(self.engine)  # one that nobody closes
        gc.collect()

    def test_refused(self):
        self.engine.write_bytes(b"rain")
        self.fails("SQUALL_E_FORMAT", squall.Engine, self.engine)
        self.fails("SQUALL_E_IO", squall.Engine, "no_such.sqe")


class Trust(WithFolder):
    def test_signatures(self):
        self.build()
        name = self.engine.with_name("key")
        key = squall.keygen(name, "for a test")
        other = squall.keygen(self.engine.with_name("other"))
        self.fails("SQUALL_E_SIGNATURE", squall.verify, self.engine, f"{name}.pub")
        self.fails("SQUALL_E_SIGNATURE", squall.Engine, self.engine, trusted_keys=f"{name}.pub")
        self.assertEqual(squall.sign(self.engine, f"{name}.key"), key)
        self.assertEqual(squall.verify(self.engine, f"{name}.pub"), key)
        with squall.Engine(self.engine, trusted_keys=f"{name}.pub") as engine:
            engine.run(pattern(1, 3, 6, 4))
        self.assertNotEqual(key, other)
        self.fails("SQUALL_E_SIGNATURE", squall.Engine, self.engine, trusted_keys=self.engine.with_name("other.pub"))


class Comparing(WithFolder):
    def test_close(self):
        self.build()
        samples = [pattern(1, 3, 6, 4, number=k) for k in range(3)]
        found = squall.compare(UNET, self.engine, samples)
        self.assertGreater(found.psnr_db, 100)
        self.assertEqual(found.outputs[0].name, "y")
        self.assertEqual(found.worst_layer, max(found.layers, key=lambda layer: layer.loss_db))
        self.assertEqual(found.to_reference, ())

    def test_reference(self):
        self.build()
        with squall.Engine(self.engine) as engine:
            right = expected("small_unet_6x4_y")
            found = squall.compare(UNET, engine, [pattern(1, 3, 6, 4)], [right])
            self.assertGreater(found.to_reference[0].psnr_db, 80)
            found = squall.compare(UNET, engine, [pattern(1, 3, 6, 4)], [right + np.float32(0.25)])
            self.assertAlmostEqual(found.to_reference[0].max_abs, 0.25, places=4)
            self.fails("SQUALL_E_SHAPE", squall.compare, UNET, engine, [pattern(1, 3, 6, 4)], [right[:, :1]])

    def test_refused(self):
        self.build()
        self.fails("SQUALL_E_MISMATCH", squall.compare, TWO, self.engine, [pattern(1, 3, 6, 4)])
        with self.assertRaises(ValueError):
            squall.compare(UNET, self.engine, [])


if __name__ == "__main__":
    unittest.main()
