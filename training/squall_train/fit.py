"""The training itself: batches from shards held on the device, augmentation, validation by event."""
import math
import time

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from . import dataset
from .loss import Curve, Scores, loss
from .network import RainUNet


def on_device(shards, device):
    return [(name, torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)) for name, x, y in shards]


def unpack(x, y):
    weight = (y != dataset.UNKNOWN).float()
    return x.float() / dataset.STEPS, y.float() / dataset.STEPS * weight, weight


def augment(x, y, w, curve, generator, crop):
    """Random crop, flips, quarter turns, zoom, and a factor on the rain. Never time reversal: rain does not decay backwards."""
    device = x.device
    flip = lambda t, dims: torch.flip(t, dims)
    if torch.rand((), generator=generator) < 0.5:
        x, y, w = (flip(t, (3,)) for t in (x, y, w))
    turn = int(torch.randint(4, (), generator=generator))
    x, y, w = (torch.rot90(t, turn, (2, 3)) for t in (x, y, w))
    height, width = x.shape[2:]
    if min(height, width) > crop:
        zoom = 2.0 ** float(torch.empty(()).uniform_(-0.6, 0.35, generator=generator))
        side = int(min(min(height, width), crop / zoom))
        top = int(torch.randint(height - side + 1, (), generator=generator))
        left = int(torch.randint(width - side + 1, (), generator=generator))
        x, y, w = (t[:, :, top:top + side, left:left + side] for t in (x, y, w))
        if side != crop:
            x, y = (F.interpolate(t, size=(crop, crop), mode="bilinear", align_corners=False) for t in (x, y))
            w = F.interpolate(w, size=(crop, crop), mode="nearest")
    factor = torch.exp(torch.empty((x.shape[0], 1, 1, 1), device="cpu").uniform_(-0.5, 0.5, generator=generator)).to(device)
    scaled = lambda t: curve.value(curve.rate(t) * factor).clamp(0.0, 1.0)
    # Only rain channels carry a rate; the last input is the coverage.
    x = torch.cat([scaled(x[:, :-1]), x[:, -1:]], 1)
    return x.contiguous(), scaled(y), w


def batches(shards, size, steps, curve, generator, crop):
    weights = torch.tensor([math.sqrt(len(x)) * (x.shape[2] / 256.0) for _, x, _ in shards])
    for _ in range(steps):
        _, x, y = shards[int(torch.multinomial(weights, 1, generator=generator))]
        pick = torch.randint(len(x), (size,), generator=generator).to(x.device)
        yield augment(*unpack(x[pick], y[pick]), curve, generator, crop)


@torch.no_grad()
def evaluate(network, shards, curve, leads, device, batch=16):
    """Scores a shard, of the network and of the moving rain left as it is (which is extrapolation)."""
    network.eval()
    result = {}
    for name, xs, ys in shards:
        both = {"model": Scores(leads, curve, device=device), "extrapolation": Scores(leads, curve, device=device)}
        for i in range(0, len(xs), batch):
            x, y, w = unpack(xs[i:i + batch], ys[i:i + batch])
            pad = [0, -x.shape[3] % 16, 0, -x.shape[2] % 16]
            out = network(F.pad(x, pad))[:, :, :x.shape[2], :x.shape[3]].float()
            both["model"].add(out, y, w)
            both["extrapolation"].add(x[:, :1].expand_as(y), y, w)
        result[name] = {k: s.table() for k, s in both.items()}
    network.train()
    return result


def merit(scores):
    """One figure to choose an epoch by: mean logarithm of the gain over extrapolation in CSI and FSS at 1 mm/h and in MAE, at 15, 30
    and 60 minutes. A gain counts for no more than a factor of 1.5, so that an event with hardly any rain does not decide alone."""
    gains = []
    for event in scores.values():
        m, e = event["model"], event["extrapolation"]
        for k in (2, 5, 11):
            for a, b in ((m["csi"]["1.0"][k], e["csi"]["1.0"][k]), (m["fss"][k], e["fss"][k]), (e["mae"][k], m["mae"][k])):
                if np.isfinite(a) and np.isfinite(b) and b > 0:
                    gains.append(float(np.clip(math.log(max(a, 1e-9) / b), -math.log(1.5), math.log(1.5))))
    return float(np.mean(gains)) if gains else float("-inf")


def fit(folder, recipe, steps, batch, crop, device, seed, every, learning_rate, shares, keep):
    """Train. After each validation `keep(state, history)` gets the best weights so far, so that a run cut short is not lost."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    curve = Curve(recipe)
    leads = len(recipe["outputs"]["leads_s"])
    train, validation = (on_device(dataset.load(folder, role), device) for role in ("train", "validation"))
    if not train:
        raise FileNotFoundError(f"{folder}: no train-*.npz; make the data set first")
    inputs = train[0][1].shape[1]
    network = RainUNet(inputs, leads).to(device)
    average = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.999), use_buffers=True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=max(steps, 2), pct_start=0.1)
    history, best, best_merit, start = [], None, float("-inf"), time.time()
    mixed = device != "cpu"
    bar = tqdm(batches(train, batch, steps, curve, generator, crop), total=steps, desc="training", mininterval=5.0)
    for step, (x, y, w) in enumerate(bar, 1):
        with torch.autocast("cuda", torch.bfloat16, enabled=mixed):
            out = network(x)
        value = loss(out.float(), y, w, curve, shares)
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(network)
        if step % every == 0 or step == steps:
            candidate = average.module if step >= 2000 else network
            scores = evaluate(candidate, validation or train, curve, leads, device)
            history.append({"step": step, "loss": value.item(), "merit": merit(scores), "scores": scores, "seconds": time.time() - start})
            bar.set_postfix(loss=f"{value.item():.4f}", merit=f"{history[-1]['merit']:.4f}")
            if best is None or history[-1]["merit"] > best_merit:
                best_merit = history[-1]["merit"]
                best = {k: v.detach().cpu().clone() for k, v in candidate.state_dict().items()}
            keep(best, history)
