#!/usr/bin/env python3
"""Contexts at work side by side for a while: memory must stay flat, outputs the same bits, and rest must be rest.

    bench/soak.py --library build/release/src/libsquall.so --engine FILE [--contexts 4] [--threads 2] [--seconds 600]
                  [--growth 1.0]

Each context is one thread of this process and runs the same input over and over; now and then one is destroyed and
made again. The resident memory is looked at each second: the median of the last quarter may be --growth percent above
that of the second quarter, not more. At the end the process waits for two seconds with all contexts open and must not
use 2 % of a processor. Prints one line of JSON; the exit code is 1 where one of these does not hold.
"""
import argparse
import ctypes as c
import hashlib
import json
import os
import pathlib
import random
import resource
import statistics
import sys
import threading
import time


class Tensor(c.Structure):
    _fields_ = [("dtype", c.c_int), ("layout", c.c_int), ("rank", c.c_uint32), ("dims", c.c_int64 * 8),
                ("data", c.c_void_p)]


class Error(c.Structure):
    _fields_ = [("code", c.c_int), ("where", c.c_char * 128), ("text", c.c_char * 384)]


def resident_mb():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def processor_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Worker(threading.Thread):
    """One context, its tensors, and runs until told to stop."""

    def __init__(self, lib, engine, threads, stop):
        super().__init__(daemon=True)
        self.lib, self.engine, self.threads, self.stop = lib, engine, threads, stop
        self.context = c.c_void_p()
        self.runs, self.made, self.digests, self.problem = 0, 0, set(), None
        self.times_ms = []

    def check(self, err, status):
        if status != 0:
            raise RuntimeError(f"{err.where.decode()}: {err.text.decode()}")

    def make(self, err):
        self.lib.squall_context_destroy(c.byref(self.context))
        self.check(err, self.lib.squall_context_create(self.engine, c.c_size_t(0), self.threads, c.byref(self.context),
                                                       c.byref(err)))
        self.made += 1

    def tensor(self, err, number, output):
        tensor = Tensor()
        get = self.lib.squall_context_output if output else self.lib.squall_context_input
        self.check(err, get(self.context, c.c_size_t(number), c.byref(tensor), c.byref(err)))
        size = self.lib.squall_tensor_bytes(c.byref(tensor))
        keep = (c.c_char * (size + 64))()
        tensor.data = (c.addressof(keep) + 63) // 64 * 64
        if not output:
            numbers = random.Random(number)
            filled = (c.c_float * (size // 4))(*[numbers.random() for _ in range(size // 4)])
            c.memmove(tensor.data, filled, size)
        return tensor, keep, size

    def run(self):
        err = Error()
        try:
            self.make(err)
            ins = [self.tensor(err, i, False) for i in range(self.lib.squall_engine_input_count(self.engine))]
            outs = [self.tensor(err, i, True) for i in range(self.lib.squall_engine_output_count(self.engine))]
            given = (Tensor * len(ins))(*[t for t, _, _ in ins])
            taken = (Tensor * len(outs))(*[t for t, _, _ in outs])
            while not self.stop.is_set():
                start = time.perf_counter()
                self.check(err, self.lib.squall_context_run(self.context, given, c.c_size_t(len(ins)), taken,
                                                            c.c_size_t(len(outs)), c.byref(err)))
                self.times_ms.append((time.perf_counter() - start) * 1e3)
                self.runs += 1
                if self.runs % 50 == 1:
                    self.digests.add(b"".join(hashlib.sha256(c.string_at(t.data, size)).digest() for t, _, size in outs))
                    del self.times_ms[:-2000]
                if self.runs % 200 == 0:
                    self.make(err)
        except RuntimeError as problem:
            self.problem = str(problem)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", required=True)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--contexts", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--growth", type=float, default=1.0)
    args = parser.parse_args()
    lib = c.CDLL(os.path.abspath(args.library))
    lib.squall_tensor_bytes.restype = c.c_size_t
    lib.squall_engine_input_count.restype = lib.squall_engine_output_count.restype = c.c_size_t
    engine, err = c.c_void_p(), Error()
    if lib.squall_engine_open(args.engine.encode(), None, c.byref(engine), None, c.byref(err)) != 0:
        sys.exit(f"soak: {err.where.decode()}: {err.text.decode()}")
    stop = threading.Event()
    workers = [Worker(lib, engine, args.threads, stop) for _ in range(args.contexts)]
    for worker in workers:
        worker.start()
    resident, end = [], time.monotonic() + args.seconds
    while time.monotonic() < end and all(w.is_alive() for w in workers):
        time.sleep(min(1.0, args.seconds / 20))
        resident.append(resident_mb())
    stop.set()
    for worker in workers:
        worker.join()
    time.sleep(0.2)
    before = processor_s()
    time.sleep(2)
    idle = (processor_s() - before) / 2
    quarter = max(len(resident) // 4, 1)
    early, late = statistics.median(resident[quarter:2 * quarter]), statistics.median(resident[-quarter:])
    runs = [w.runs for w in workers]
    report = {"seconds": args.seconds, "contexts": args.contexts, "threads": args.threads, "runs": runs,
              "contexts_made": sum(w.made for w in workers), "resident_mb_early": round(early, 1),
              "resident_mb_late": round(late, 1), "growth_percent": round((late / early - 1) * 100, 3),
              "median_ms": [round(statistics.median(w.times_ms or [0]), 2) for w in workers],
              "different_outputs": len(set().union(*(w.digests for w in workers))), "idle_share": round(idle, 4),
              "problems": [w.problem for w in workers if w.problem]}
    print(json.dumps(report))
    good = (not report["problems"] and min(runs) > 0 and report["different_outputs"] == 1
            and report["growth_percent"] <= args.growth and idle < 0.02)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
