"""A loss that cares for heavy rain, and the scores that a report shows.

Values are in the recipe's transform, 0 (dry) to 1; `weight` is 1 where the target is known.
"""
import torch
import torch.nn.functional as F

EVENTS = (0.5, 1.0, 2.0, 5.0, 10.0)
THRESHOLDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)  # of the probabilities, mm/h
CHANCE_WEIGHTS = (1.0, 1.0, 1.0, 1.5, 2.0, 3.0, 4.0)
FSS_SIDE = 11


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


def rain_loss(y, target, weight, curve, shares, soft=0.04):
    """Weighted L1 + soft critical success index, fractions skill score and frequency bias at several thresholds + mean error + sharpness.

    The weight of a cell grows with the rain that fell or was forecast there: heavy rain is rare, and without it the cheapest forecast is
    a dry one. The soft scores count with a sigmoid of width `soft`, a lead time at a time over the batch: a crop without the event would
    leave them undefined. The bias is the logarithm of how many cells are forecast to be above a threshold against how many were, and of
    the mean rain. Sharpness: the local standard deviation of the forecast should be that of the observation, where it is lower.
    `shares` says how much each counts against the L1.
    """
    emphasis = weight * (0.3 + 3.0 * torch.maximum(target, y.detach()))
    l1 = ((y - target).abs() * emphasis).sum() / emphasis.sum().clamp(min=1.0)
    indices, biases, fractions = [], [], []
    for threshold in EVENTS:
        at = float(curve.value(threshold))
        p, o = torch.sigmoid((y - at) / soft) * weight, (target >= at).float() * weight
        hits = (p * o).sum((0, 2, 3))
        forecast, seen = p.sum((0, 2, 3)), o.sum((0, 2, 3))
        indices.append(1.0 - ((hits + 10.0) / (forecast + seen - hits + 10.0)).mean())
        biases.append(((forecast + 100.0) / (seen + 100.0)).log().abs().mean())
        if threshold in (0.5, 1.0, 5.0):
            fp, fo = (F.avg_pool2d(v, FSS_SIDE, 3, FSS_SIDE // 2) for v in (p, o))
            fractions.append((((fp - fo) ** 2).sum((0, 2, 3)) + 1.0).div((fp ** 2 + fo ** 2).sum((0, 2, 3)) + 1.0).mean())
    rate, true = curve.rate(y.clamp(max=1.0)) * weight, curve.rate(target) * weight
    true_sum = true.sum((0, 2, 3)) + 100.0
    error = ((rate - true).abs().sum((0, 2, 3)) / true_sum).mean()
    biases.append(((rate.sum((0, 2, 3)) + 100.0) / true_sum).log().abs().mean())

    def spread(v):
        mean = F.avg_pool2d(v, 8)
        return (F.avg_pool2d(v * v, 8) - mean * mean).clamp(min=1e-6).sqrt()

    known = (F.avg_pool2d(weight, 8) > 0.99).float()
    lost = (spread(target * weight) - spread(y * weight)).clamp(min=0.0) * known
    sharp = lost.sum() / known.sum().clamp(min=1.0)
    mean = lambda terms: torch.stack(terms).mean()
    return (l1 + shares["event"] * mean(indices) + shares["bias"] * mean(biases) + shares["fraction"] * mean(fractions)
            + shares["error"] * error + shares["sharp"] * sharp)


def chance_loss(logits, target, weight, curve, teacher=None, trust=0.5):
    """Cross entropy of the probabilities [N, thresholds, leads, H, W], the rarer ones weighted; with a teacher's probabilities, between
    what it says and what came."""
    at = torch.tensor([float(curve.value(t)) for t in THRESHOLDS], device=logits.device)[:, None, None, None]
    came = (target[:, None] > at).float()
    if teacher is not None:
        came = (1.0 - trust) * came + trust * teacher
    parts = F.binary_cross_entropy_with_logits(logits, came, reduction="none") * weight[:, None]
    each = parts.sum((0, 2, 3, 4)) / weight.sum().clamp(min=1.0)
    return (each * torch.tensor(CHANCE_WEIGHTS, device=logits.device)).mean()


class Scores:
    """Counts at several thresholds, absolute errors, sums of rain and FSS sums a lead time, and Brier sums, pooled over batches."""

    def __init__(self, leads, curve, thresholds=(0.5, 1.0, 5.0), device="cpu"):
        self.curve, self.thresholds = curve, thresholds
        zeros = lambda *shape: torch.zeros(*shape, dtype=torch.float64, device=device)
        self.hits, self.seen, self.forecast, self.difference, self.squares = (zeros(len(thresholds), leads) for _ in range(5))
        self.error, self.cells, self.rain, self.true = (zeros(leads) for _ in range(4))
        self.brier = zeros(len(THRESHOLDS), leads)

    def add(self, y, target, weight, chances=None):
        a, b, w = self.curve.rate(y), self.curve.rate(target), weight
        total = lambda v: v.sum((0, 2, 3)).double()
        self.error += total((a - b).abs() * w)
        self.cells += total(w)
        self.rain += total(a * w)
        self.true += total(b * w)
        for i, threshold in enumerate(self.thresholds):
            p, o = (a >= threshold).float() * w, (b >= threshold).float() * w
            self.hits[i] += total(p * o)
            self.seen[i] += total(o)
            self.forecast[i] += total(p)
            fp, fo = (F.avg_pool2d(v, FSS_SIDE, 1, FSS_SIDE // 2) for v in (p, o))
            self.difference[i] += total((fp - fo) ** 2)
            self.squares[i] += total(fp ** 2 + fo ** 2)
        for i, threshold in enumerate(THRESHOLDS):
            p = chances[:, i] if chances is not None else (a > threshold).float()
            self.brier[i] += total((p - (b > threshold).float()) ** 2 * w)

    def table(self):
        name = lambda rows: {str(t): row.tolist() for t, row in zip(self.thresholds, rows)}
        return {"csi": name(self.hits / (self.seen + self.forecast - self.hits)), "fss": name(1 - self.difference / self.squares),
                "frequency_bias": name(self.forecast / self.seen), "mae": (self.error / self.cells).tolist(),
                "bias": (self.rain / self.true).tolist(),
                "brier": {str(t): row.tolist() for t, row in zip(THRESHOLDS, self.brier / self.cells)}}
