"""Scores in C against other people's on fixed cases: pysteps for CSI, FSS, reliability, ROC, ranks, SAL's amplitude,
spectra; scoringrules for the CRPS (pysteps' drops ties) and the Brier score; SciPy's objects for the rest
of SAL. The cases are random rain with ties and dry cells, from fixed seeds. Packages go into $SQUALL_BUILD/venv-peers;
without PyPI the exit code is 77, "skipped".
"""
import ctypes as c
import os
import pathlib
import subprocess
import sys

PACKAGES = ["pysteps==1.21.5", "scoringrules==0.10.0", "scipy"]
SOURCE = pathlib.Path(os.environ["SQUALL_SOURCE"])
VENV = pathlib.Path(os.environ["SQUALL_BUILD"]).resolve() / "venv-peers"


def enter_environment():
    python = VENV / "bin/python"
    if pathlib.Path(sys.prefix) == VENV:
        return
    if not (VENV / "complete").exists():
        made = subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True)
        got = made.returncode == 0 and subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "20", *PACKAGES], capture_output=True).returncode == 0
        if not got:
            print("SKIPPED: scores were not held against pysteps and scoringrules: PyPI gave no packages")
            sys.exit(77)
        (VENV / "complete").touch()
    os.execv(python, [str(python), *sys.argv])


enter_environment()
import numpy as np
import scoringrules
from scipy import ndimage

sys.path.insert(0, str(SOURCE / "bench"))
sys.stdout, keep = open(os.devnull, "w"), sys.stdout
from nowcast import Error, Field, Grid
from pysteps.utils.spectral import rapsd
from pysteps.verification import detcatscores, ensscores, probscores, salscores, spatialscores
sys.stdout = keep

lib = c.CDLL(str(SOURCE / "build/release/src/libsquall.so"))
WIDTH, HEIGHT, BINS = 120, 96, 101


class Crps(c.Structure):
    _fields_ = [("cells", c.c_uint64), ("sum", c.c_double)]


class Counts(c.Structure):
    _fields_ = [(n, c.c_uint64) for n in ("hits", "misses", "false_alarms", "correct_negatives")]


class Fractions(c.Structure):
    _fields_ = [(n, c.c_double) for n in ("difference", "forecast", "observation")]


class Reliability(c.Structure):
    _fields_ = [("cells", c.c_uint64 * BINS), ("events", c.c_uint64 * BINS), ("sum_probability", c.c_double * BINS), ("sum_sq", c.c_double)]


class Parts(c.Structure):
    _fields_ = [(n, c.c_double) for n in ("brier", "reliability", "resolution", "uncertainty", "skill")]


class Sal(c.Structure):
    _fields_ = [(n, c.c_double) for n in ("structure", "amplitude", "location")]


class Spectrum(c.Structure):
    _fields_ = [("side", c.c_size_t), ("bins", c.c_size_t), ("power", c.POINTER(c.c_double))]


for name in ("squall_crps", "squall_csi", "squall_fss", "squall_roc_area"):
    getattr(lib, name).restype = c.c_double
lib.squall_brier.restype = Parts


def ok(name, *args):
    error = Error()
    if getattr(lib, name)(*args, c.byref(error)) != 0:
        sys.exit(f"FAILED: {name}: {error.where.decode()}: {error.text.decode()}")


def field(values):
    grid = Grid(values.shape[1], values.shape[0], 0, 0, 1, 1, b"+proj=longlat")
    made = c.POINTER(Field)()
    ok("squall_field_create", c.byref(grid), c.byref(made))
    np.ctypeslib.as_array(made.contents.values, values.shape)[:] = values
    np.ctypeslib.as_array(made.contents.mask, values.shape)[:] = np.where(values > 0, 2, 1)
    return made


def rain(seed, shape=(HEIGHT, WIDTH), smooth=3.0, dry=0.3, step=0.0):
    """Smooth random rain, dry below; in steps where ties are wanted."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), smooth)
    rate = np.maximum(np.exp(2 * noise / noise.std()) - np.quantile(np.exp(2 * noise / noise.std()), dry), 0)
    return (np.round(rate / step) * step if step else rate).astype(np.float32)


failed = []


def equal(what, ours, theirs, tolerance=1e-6):
    worst = float(np.max(np.abs(np.asarray(ours, float) - np.asarray(theirs, float)) / (1e-12 + np.maximum(np.abs(theirs), 1e-3))))
    if not worst <= tolerance:
        failed.append(f"{what}: {ours} is not {theirs}")


def deterministic(seed):
    f, o = rain(seed), rain(seed + 1)
    a, b = field(f), field(o)
    for threshold in (0.5, 2.0):
        counts = Counts()
        ok("squall_contingency_add", c.byref(counts), a, b, None, c.c_double(threshold), c.c_int(1), c.c_double(0))
        equal("CSI", lib.squall_csi(c.byref(counts)), detcatscores.det_cat_fct(f, o, threshold, "CSI")["CSI"])
        for scale in (1, 5, 20):
            sums = Fractions()
            ok("squall_fractions_add", c.byref(sums), a, b, None, c.c_double(threshold), c.c_size_t(scale), c.c_double(0))
            equal("FSS", lib.squall_fss(c.byref(sums)), spatialscores.fss(f, o, threshold, scale), 1e-5)


def ensembles(seed, count, step):
    members = np.stack([rain(seed + k, step=step) for k in range(count)])
    o = rain(seed + count, step=step)
    if step:
        o[:20] = members[0][:20]
    list_of = (c.POINTER(Field) * count)(*[field(m) for m in members])
    seen = field(o)
    sums = Crps()
    ok("squall_crps_add", c.byref(sums), list_of, c.c_size_t(count), seen, None, c.c_double(0))
    equal("CRPS", lib.squall_crps(c.byref(sums)), scoringrules.crps_ensemble(o, np.moveaxis(members, 0, -1), estimator="nrg").mean(), 1e-5)
    for threshold in (0.5, 2.0):
        table = Reliability()
        ok("squall_reliability_add_members", c.byref(table), list_of, c.c_size_t(count), seen, None, c.c_double(threshold), c.c_int(0))
        p, y = (members >= threshold).mean(axis=0), (o >= threshold).astype(float)
        parts = lib.squall_brier(c.byref(table))
        equal("Brier score", parts.brier, scoringrules.brier_score(y, p).mean(), 1e-5)
        base = y.mean()
        groups = [(y[p == q].mean(), q, (p == q).mean()) for q in np.unique(p)]
        equal("reliability", parts.reliability, sum(w * (q - s) ** 2 for s, q, w in groups), 1e-5)
        equal("resolution", parts.resolution, sum(w * (s - base) ** 2 for s, q, w in groups), 1e-5)
        equal("the parts' sum", parts.reliability - parts.resolution + parts.uncertainty, parts.brier, 1e-5)
        # Thresholds halfway too: at k / n pysteps' own may be an ulp above the probability.
        curve = probscores.ROC_curve_init(threshold, n_prob_thrs=2 * count + 1)
        probscores.ROC_curve_accum(curve, p, o)
        equal("ROC area", lib.squall_roc_area(c.byref(table)), probscores.ROC_curve_compute(curve, compute_area=True)[2], 1e-5)
        diagram = probscores.reldiag_init(threshold, n_bins=count + 1, min_count=0)
        probscores.reldiag_accum(diagram, p, o)
        equal("events", sum(table.events), sum(diagram["Y_sum"]))
        equal("cells", sum(table.cells), sum(diagram["num_idx"]))
    if not step:
        wet_everywhere = members + np.float32(0.2), o + np.float32(0.2)
        for k in range(count):
            list_of[k] = field(wet_everywhere[0][k] + np.random.default_rng(k).random(o.shape).astype(np.float32) * 0.01)
        now = np.stack([np.ctypeslib.as_array(list_of[k].contents.values, o.shape) for k in range(count)])
        ranks = (c.c_double * (count + 1))()
        ok("squall_ranks_add", ranks, list_of, c.c_size_t(count), field(wet_everywhere[1]), None, c.c_double(0.1))
        histogram = ensscores.rankhist_init(count, 0.1)
        ensscores.rankhist_accum(histogram, now, wet_everywhere[1])
        equal("rank histogram", np.array(ranks) / sum(ranks), ensscores.rankhist_compute(histogram, normalize=True), 0.02)


def scipy_sal(f, o):
    """S and L by SciPy's labels, A as it is defined."""
    def one(r):
        wet = r[r >= 0.1]
        labels, n = ndimage.label(r >= np.float32(np.quantile(wet.astype(float), 0.95) / 15), structure=np.ones((3, 3)))
        index = range(1, n + 1)
        amount = np.asarray(ndimage.sum(r.astype(float), labels, index))
        centres = np.array(ndimage.center_of_mass(r.astype(float), labels, index))
        centre = np.array(ndimage.center_of_mass(r.astype(float)))
        apart = np.hypot(*(centres - centre).T)
        top = np.asarray(ndimage.maximum(r, labels, index), float)
        return (amount * amount / top).sum() / amount.sum(), (amount * apart).sum() / amount.sum(), centre
    (v1, r1, x1), (v2, r2, x2) = one(f), one(o)
    across = np.hypot(f.shape[0] - 1, f.shape[1] - 1)
    return 2 * (v1 - v2) / (v1 + v2), (np.hypot(*(x1 - x2)) + 2 * abs(r1 - r2)) / across


def structure(seed):
    f, o = rain(seed, dry=0.7), rain(seed + 9, smooth=5, dry=0.6)
    sal = Sal()
    ok("squall_sal_find", field(f), field(o), None, c.c_double(0), c.byref(sal))
    s, l = scipy_sal(f, o)
    equal("S", sal.structure, s, 1e-4)
    equal("L", sal.location, l, 1e-4)
    equal("A", sal.amplitude, salscores.sal_amplitude(f.astype(float), o.astype(float)), 1e-4)


def spectra(seed):
    for side in (96, 120, 125):
        r = rain(seed, shape=(side, side))
        found = Spectrum()
        ok("squall_spectrum_find", field(r), None, c.byref(found))
        side_taken = found.side
        first = (side - side_taken) // 2
        cut = r[first:first + side_taken, first:first + side_taken].astype(float)
        db = np.where(cut >= np.float32(0.1), 10 * np.log10(np.maximum(cut, 0.1) / 0.1), -5.0)
        theirs = rapsd(db, fft_method=np.fft)
        ours = np.array(found.power[:found.bins])[:len(theirs)]
        # In single precision: against the largest of the spectrum beside the mean.
        if not np.allclose(ours, theirs, rtol=1e-3, atol=1e-7 * theirs[1:].max()):
            failed.append(f"spectrum of {side}: {ours[:5]} is not {theirs[:5]}")
        lib.squall_spectrum_free(c.byref(found))


for seed in range(0, 300, 100):
    deterministic(seed)
    structure(seed)
    spectra(seed)
    for count, step in ((5, 0.0), (20, 0.0), (20, 0.5), (10, 1.0)):
        ensembles(seed, count, step)
for line in failed[:20]:
    print("FAILED:", line)
sys.exit(1 if failed else 0)
