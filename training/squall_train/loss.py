"""A loss that cares for heavy rain, and the scores that a report shows.

Values are in the recipe's transform, 0 (dry) to 1; `weight` is 1 where the target is known.
"""
import torch
import torch.nn.functional as F


class Curve:
    """The recipe's log transform: x = (ln(rate + epsilon) - mean) / scale."""

    def __init__(self, recipe):
        t = recipe["transforms"][recipe["outputs"]["transform"]]
        if t["curve"] != "log":
            raise ValueError(f"the loss knows the log curve only, not {t['curve']}")
        self.epsilon, self.mean, self.scale, self.max = t["epsilon"], t["mean"], t["scale"], t["max"]

    def rate(self, x):
        return (torch.exp(x * self.scale + self.mean) - self.epsilon).clamp(0.0, self.max)

    def value(self, rate):
        return (torch.log(torch.as_tensor(rate) + self.epsilon) - self.mean) / self.scale


def loss(y, target, weight, curve, shares, events=(0.5, 1.0, 2.0, 5.0, 10.0), soft=0.04):
    """Weighted L1 + soft critical success index at several thresholds + frequency bias + kept sharpness.

    The weight of a cell grows with the rain that fell or was forecast there: heavy rain is rare, and without it
    the cheapest forecast is a dry one. The soft index counts hits and false alarms with a sigmoid of width `soft`.
    The bias is the logarithm of how many cells are forecast to be above a threshold against how many were.
    Sharpness: the local standard deviation of the forecast should be that of the observation, where it is lower.
    `shares` says how much "event", "bias" and "sharp" count against the L1.
    """
    emphasis = weight * (0.3 + 3.0 * torch.maximum(target, y.detach()))
    l1 = ((y - target).abs() * emphasis).sum() / emphasis.sum().clamp(min=1.0)
    indices, biases = [], []
    for threshold in events:
        at = float(curve.value(threshold))
        p, o = torch.sigmoid((y - at) / soft) * weight, (target >= at).float() * weight
        # Per lead time, over the batch: a crop without the event would leave the index undefined.
        hits = (p * o).sum((0, 2, 3))
        forecast, seen = p.sum((0, 2, 3)), o.sum((0, 2, 3))
        indices.append(1.0 - ((hits + 1.0) / (forecast + seen - hits + 1.0)).mean())
        biases.append(((forecast + 30.0) / (seen + 30.0)).log().abs().mean())

    def spread(v):
        mean = F.avg_pool2d(v, 8)
        return (F.avg_pool2d(v * v, 8) - mean * mean).clamp(min=1e-6).sqrt()

    known = F.avg_pool2d(weight, 8)
    lost = (spread(target * weight) - spread(y * weight)).clamp(min=0.0) * (known > 0.99).float()
    sharp = lost.sum() / (known > 0.99).float().sum().clamp(min=1.0)
    return l1 + shares["event"] * torch.stack(indices).mean() + shares["bias"] * torch.stack(biases).mean() + shares["sharp"] * sharp


class Scores:
    """Contingency counts at several thresholds, absolute errors and FSS sums a lead time, pooled over batches."""

    def __init__(self, leads, curve, thresholds=(0.1, 1.0, 5.0), scale=9, device="cpu"):
        self.curve, self.thresholds, self.scale = curve, thresholds, scale
        zeros = lambda *shape: torch.zeros(*shape, dtype=torch.float64, device=device)
        self.hits, self.misses, self.false = (zeros(len(thresholds), leads) for _ in range(3))
        self.error, self.cells = zeros(leads), zeros(leads)
        self.fss_difference, self.fss_sum = zeros(leads), zeros(leads)

    def add(self, y, target, weight):
        a, b, w = self.curve.rate(y), self.curve.rate(target), weight
        self.error += ((a - b).abs() * w).sum((0, 2, 3)).double()
        self.cells += w.sum((0, 2, 3)).double()
        for i, threshold in enumerate(self.thresholds):
            p, o = (a >= threshold).float() * w, (b >= threshold).float() * w
            self.hits[i] += (p * o).sum((0, 2, 3)).double()
            self.misses[i] += ((1 - p) * o).sum((0, 2, 3)).double()
            self.false[i] += (p * (1 - o) * w).sum((0, 2, 3)).double()
            if threshold == 1.0:
                fp, fo = (F.avg_pool2d(v, self.scale, 1, self.scale // 2) for v in (p, o))
                self.fss_difference += ((fp - fo) ** 2).sum((0, 2, 3)).double()
                self.fss_sum += (fp ** 2 + fo ** 2).sum((0, 2, 3)).double()

    def table(self):
        csi = self.hits / (self.hits + self.misses + self.false)
        return {"csi": {str(t): csi[i].tolist() for i, t in enumerate(self.thresholds)},
                "mae": (self.error / self.cells).tolist(), "fss": (1 - self.fss_difference / self.fss_sum).tolist()}
