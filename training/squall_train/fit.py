"""Teacher, then student: training on random crops of sequences, scores on sequences of the provider that was left out."""
import json
import math
import pathlib
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from tqdm import tqdm

from . import carry
from .loss import THRESHOLDS, Curve, Scores, chance_loss, rain_loss
from .network import STUDENT, TEACHER, RainUNet

LEADS_A_STEP = 4  # of the twelve: the others cost time and tell little more
CHECKS = 6        # validations in a phase
AVERAGE = 0.99    # a longer mean of the weights lags behind a training this short


class Clock:
    """How far a phase is, by steps or by seconds, whichever is given."""

    def __init__(self, steps, seconds):
        self.steps, self.seconds, self.step, self.start = steps, seconds, 0, time.time()

    def share(self):
        return self.step / self.steps if self.steps else min((time.time() - self.start) / self.seconds, 1.0)


def learning_rate(share, top):
    warm = 0.04
    return top * (share / warm if share < warm else 0.5 * (1.0 + math.cos(math.pi * (share - warm) / (1.0 - warm)))) + 1e-6


def choose_leads(count, device):
    """One of each part of the hour, and always some that quarter-hourly data have."""
    if count <= LEADS_A_STEP:
        return torch.arange(count, device=device)
    parts = np.array_split(np.arange(count), LEADS_A_STEP)
    return torch.tensor([int(np.random.choice(part)) if np.random.rand() < 0.6 else int(part[-1]) for part in parts], device=device)


def sequences(folder, providers=None, without=()):
    """Files of a data set: those of `providers`, or all but `without`."""
    found = []
    for path in sorted(pathlib.Path(folder).glob("*.npz.xz")):
        provider = provider_of(path)
        if provider in providers if providers is not None else provider not in without:
            found.append(path)
    return found


def provider_of(path):
    return path.name.split("-")[0]


@torch.no_grad()
def evaluate(network, store, rows, leads, crop, seed, batch=8):
    """Scores of the network and of the moving rain left as it is (which is extrapolation) on the same crops."""
    generator = torch.Generator(store.device).manual_seed(seed)
    network.eval()
    every = torch.arange(leads, device=store.device)
    result = {name: Scores(leads, store.curve, device=store.device) for name in ("model", "extrapolation")}
    for i in range(0, len(rows), batch):
        x, y, w = store.sample(rows[i:i + batch], every, crop, generator, augment=False)
        f, _ = network.features(x)
        rain, logits = network.heads(x, f, every)
        result["model"].add(rain, y, w, torch.sigmoid(logits))
        result["extrapolation"].add(x[:, :1].expand_as(y), y, w)
    network.train()
    return {name: scores.table() for name, scores in result.items()}


def merit(scores):
    """Mean logarithm of the gain over extrapolation in CSI, FSS and MAE at 15, 30 and 60 minutes. A gain counts for no more than a factor
    of 1.5, so that a score near nothing does not decide alone."""
    gains = []
    for event in scores.values():
        m, e = event["model"], event["extrapolation"]
        for k in (2, 5, 11):
            pairs = [(m[name][t][k], e[name][t][k]) for name in ("csi", "fss") for t in m["csi"]] + [(e["mae"][k], m["mae"][k])] \
                if k < len(m["mae"]) else []
            gains += [float(np.clip(math.log(max(a, 1e-9) / b), -math.log(1.5), math.log(1.5)))
                      for a, b in pairs if np.isfinite(a) and np.isfinite(b) and b > 0]
    return float(np.mean(gains)) if gains else float("-inf")


class Phase:
    """The training of one network."""

    def __init__(self, name, widths, store, checks, recipe, options, teacher=None):
        self.name, self.store, self.checks, self.options, self.teacher = name, store, checks, options, teacher
        self.curve, self.leads = store.curve, len(recipe["outputs"]["leads_s"])
        inputs = store.past + 1
        self.network = RainUNet(inputs, self.leads, THRESHOLDS, widths).to(store.device, memory_format=torch.channels_last)
        if options.get("start") and name == "student":
            state = torch.load(options["start"], map_location=store.device, weights_only=True)
            self.network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
        average = torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGE)
        self.average = torch.optim.swa_utils.AveragedModel(self.network, multi_avg_fn=average, use_buffers=True)
        self.bridge = nn.Conv2d(widths[-1], TEACHER[-1], 1).to(store.device) if teacher is not None else None
        parameters = list(self.network.parameters()) + (list(self.bridge.parameters()) if self.bridge is not None else [])
        self.optimiser = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=2e-2, fused=store.device != "cpu")
        self.history, self.batch_loss = [], float("nan")

    def loss(self, x, y, w, leads):
        with torch.autocast("cuda", torch.bfloat16, enabled=self.store.device != "cpu"):
            f, deepest = self.network.features(x)
            rain, logits = self.network.heads(x, f, leads)
            if self.teacher is None:
                guide = None
            else:
                with torch.no_grad():
                    guide_f, guide_deepest = self.teacher.features(x)
                    guide_rain, guide = self.teacher.heads(x, guide_f, leads)
                    guide_rain, guide = guide_rain.float(), torch.sigmoid(guide.float())
                likeness = F.mse_loss(self.bridge(deepest).float(), guide_deepest.float()) / guide_deepest.float().pow(2).mean().clamp(min=1e-6)
        rain, logits = rain.float(), logits.float()
        value = rain_loss(rain, y, w, self.curve, self.options["shares"])
        value = value + self.options["chance_share"] * chance_loss(logits, y, w, self.curve, guide, self.options["trust"])
        if guide is not None:
            heavy = w * (0.3 + 3.0 * torch.maximum(y, guide_rain))
            value = value + self.options["trust"] * ((rain - guide_rain).abs() * heavy).sum() / heavy.sum().clamp(min=1.0)
            value = value + self.options["feature_share"] * likeness
        return value

    def check(self, step, seconds):
        network = self.average.module if step > 500 else self.network
        scores = {name: evaluate(network, store, rows, self.leads, self.options["test_crop"], 7) for name, (store, rows) in self.checks.items()}
        self.history.append({"phase": self.name, "step": step, "seconds": seconds, "loss": self.batch_loss, "merit": merit(scores), "scores": scores})
        return network

    def run(self, steps, seconds, log):
        clock, generator = Clock(steps, seconds), torch.Generator(self.store.device).manual_seed(self.options["seed"])
        bar, due = tqdm(total=steps, desc=self.name, mininterval=20.0, disable=self.options["quiet"]), 1.0 / CHECKS
        while clock.share() < 1.0:
            for group in self.optimiser.param_groups:
                group["lr"] = learning_rate(clock.share(), self.options["learning_rate"])
            leads = choose_leads(self.leads, self.store.device)
            rows = self.store.draw(self.options["batch"], generator)
            with torch.no_grad():
                x, y, w = self.store.sample(rows, leads, self.options["crop"], generator, self.options["augment"])
            value = self.loss(x.contiguous(memory_format=torch.channels_last), y, w, leads)
            self.optimiser.zero_grad(set_to_none=True)
            value.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimiser.step()
            self.average.update_parameters(self.network)
            clock.step += 1
            bar.update()
            if clock.share() >= due or clock.share() >= 1.0:
                due += 1.0 / CHECKS
                self.batch_loss = value.item()
                self.check(clock.step, time.time() - clock.start)
                log(f"{self.options['name']} {self.name} step {clock.step}, {time.time() - clock.start:.0f} s: loss {self.batch_loss:.4f}, "
                    f"merit {self.history[-1]['merit']:+.4f}")
        return (self.average.module if clock.step > 500 else self.network).eval()


def halves(state):
    """Weights as float16 where nothing is lost by it: the running statistics stay."""
    return {k: v.detach().cpu().half() if v.ndim == 4 else v.detach().cpu() for k, v in state.items()}


def fit(folder, recipe, out, options, log=print):
    """Train a teacher and its student on all providers but those left out; `options` as squall_train.__main__ makes them."""
    torch.manual_seed(options["seed"])
    np.random.seed(options["seed"])
    torch.backends.cudnn.benchmark = True
    curve, device = Curve(recipe), options["device"]
    past_s = [c["time_s"] for c in recipe["inputs"] if c.get("kind", "field") == "field"]
    make = lambda paths: carry.Store(paths, curve, past_s, recipe["outputs"]["leads_s"], recipe["tolerance_s"], device, options["moving"])
    train = make(sequences(folder, without=options["leave_out"]))
    checks = {}
    for provider in options["leave_out"] or sorted({provider_of(p) for p in sequences(folder)}):
        paths = sequences(folder, providers=[provider])
        if paths:
            store = make(paths)
            checks[provider] = (store, store.draw(options["checks"], torch.Generator(device).manual_seed(3)).clone())
    out.mkdir(parents=True, exist_ok=True)
    history, teacher = [], None
    for name, widths in (("teacher", TEACHER), ("student", STUDENT)):
        if name == "teacher" and not options["distil"]:
            continue
        phase = Phase(name, widths, train, checks, recipe, options, teacher)
        network = phase.run(options["steps"], options["seconds"] * (0.95 if name == "teacher" else 1.05), log)
        history += phase.history
        torch.save(halves(network.state_dict()), out / f"{name}.pt")
        (out / "history.json").write_text(json.dumps({"settings": options, "torch": torch.__version__, "history": history}))
        teacher = network.requires_grad_(False) if name == "teacher" else None
