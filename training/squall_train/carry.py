"""Crops of sequences in the frame that moves with the rain: cut, carried, turned and scaled in one interpolation on the GPU.

The way of the air follows src/wx/motion/motion_advect.c: steps against (inputs) or along (targets) the motion of the issue time, each with
the motion halfway; here on every 8th cell, between which it is smooth. Rates are interpolated as mm/h, as there.
"""
import math

import torch
import torch.nn.functional as F

from . import dataset

PAST, AHEAD, BLOCK = 6, 12, 32  # steps of five minutes; side of the blocks that crops are chosen by


def bilinear(image, x, y):
    """`image` [N, H, W] at places [N, ...] in cells, that of the rim beyond it."""
    height, width = image.shape[-2:]
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    left, top = x.floor().clamp(max=max(width - 2, 0)), y.floor().clamp(max=max(height - 2, 0))
    fx, fy = x - left, y - top
    east, south = min(1, width - 1), min(1, height - 1) * width
    at = (top * width + left).long()
    flat = image.reshape(len(image), -1)
    take = lambda offset: torch.gather(flat, 1, (at + offset).reshape(len(image), -1)).reshape(at.shape)
    return (take(0) * (1 - fx) + take(east) * fx) * (1 - fy) + (take(south) * (1 - fx) + take(south + east) * fx) * fy


def ways(motion):
    """[T, 2, h, w], cells in five minutes -> [T, PAST + AHEAD, 2, h, w]: where the air of a cell was (k = 0: five minutes ago, ...), then
    where it will be, as a displacement in cells."""
    count, _, height, width = motion.shape
    half = dataset.COARSE / 2
    base_y, base_x = torch.meshgrid(torch.arange(height, device=motion.device) * dataset.COARSE + half,
                                    torch.arange(width, device=motion.device) * dataset.COARSE + half, indexing="ij")
    out = motion.new_empty(count, PAST + AHEAD, 2, height, width)
    for sign, first, steps in ((-1.0, 0, PAST), (1.0, PAST, AHEAD)):
        x, y = base_x.expand(count, -1, -1).float(), base_y.expand(count, -1, -1).float()
        u, v = motion[:, 0], motion[:, 1]
        for k in range(steps):
            middle_x, middle_y = x + 0.5 * sign * u, y + 0.5 * sign * v
            at = (middle_x - half) / dataset.COARSE, (middle_y - half) / dataset.COARSE
            u, v = bilinear(motion[:, 0], *at), bilinear(motion[:, 1], *at)
            x, y = x + sign * u, y + sign * v
            out[:, first + k, 0], out[:, first + k, 1] = x - base_x, y - base_y
    return out


def nearest(times, time):
    """As squall finds a frame: a tie goes to the older one."""
    return min(range(len(times)), key=lambda i: (abs(times[i] - time), times[i]))


class Store:
    """All sequences on the device, end to end, and a table of what can be drawn from them."""

    def __init__(self, paths, curve, past_s, leads_s, tolerance_s, device, moving=True, weights=None):
        self.curve, self.device, self.leads, self.tolerance_s = curve, device, len(leads_s), tolerance_s
        self.table = curve.rate(torch.arange(256, device=device) / dataset.STEPS)
        codes, maps, rows, chances, names = [], [], [], [], []
        code_at = map_at = 0
        for path in paths:
            s = dataset.load(path)
            names.append(str(s["provider"]))
            rate, times = torch.from_numpy(s["rate"]), [int(t) for t in s["time"]]
            way = ways(torch.from_numpy(s["motion"]).float().to(device)) * (1.0 if moving else 0.0)
            count, height, width = rate.shape
            wet = F.avg_pool2d(((rate > 24) & (rate != dataset.UNKNOWN)).float()[:, None], BLOCK, BLOCK, ceil_mode=True)[:, 0]
            known = F.avg_pool2d((rate != dataset.UNKNOWN).float()[:, None], BLOCK, BLOCK, ceil_mode=True)[:, 0]
            mine, mine_chances = [], []
            for i, time in enumerate(times):
                if time - times[0] < 600 or times[-1] - time < 1200:
                    continue
                row = [code_at, height, width, map_at + i * way[0].numel(), way.shape[3], way.shape[4]]
                for offset in past_s:
                    j = nearest(times, time + offset)
                    row += [j, times[j] - time]
                for lead in leads_s:
                    j = nearest(times, time + lead)
                    row += [j, times[j] - time if abs(times[j] - time - lead) <= tolerance_s and j != i else 0]
                blocks = torch.nonzero(known[i] > 0.3)
                for top, left in blocks.tolist():
                    mine.append(row + [int(left * BLOCK + BLOCK // 2), int(top * BLOCK + BLOCK // 2)])
                mine_chances.append(wet[i][known[i] > 0.3].sqrt() + 0.03)
            if not mine:
                continue
            mine_chances = torch.cat(mine_chances)
            share = (weights or {}).get(names[-1], 1.0) * math.sqrt(float((mine_chances ** 2).sum()))
            rows += mine
            chances.append(mine_chances / mine_chances.sum() * share)
            codes.append(rate.reshape(-1))
            maps.append(way.reshape(-1))
            code_at += rate.numel()
            map_at += way.numel()
        self.codes, self.maps = torch.cat(codes).to(device), torch.cat(maps)
        self.rows, self.chances = torch.tensor(rows, dtype=torch.int64, device=device), torch.cat(chances).to(device)
        self.past, self.names = len(past_s), names
        self.drawn = None

    def draw(self, count, generator):
        if self.drawn is None or len(self.drawn) < count:
            self.drawn = torch.multinomial(self.chances, max(8192, count), replacement=True, generator=generator)
        pick, self.drawn = self.drawn[:count], self.drawn[count:]
        return self.rows[pick]

    def sample(self, rows, leads, crop, generator, augment=True):
        """Inputs [N, past + 1, crop, crop] and targets [N, len(leads), crop, crop] in the transform, and the targets' weights.
        `leads`: which lead times, by number."""
        n, device = len(rows), self.device
        uniform = lambda low, high: torch.rand(n, 1, 1, device=device, generator=generator) * (high - low) + low
        zoom, turn, flip, gain = (torch.ones(n, 1, 1, device=device) for _ in range(4))
        turn = turn * 0.0
        jitter_x = jitter_y = torch.zeros(n, 1, 1, device=device)
        if augment:
            plain = uniform(0, 1) < 0.35  # these stay on their cells
            zoom = torch.where(plain, 1.0, torch.exp2(uniform(-0.45, 0.7)))
            turn = torch.where(plain, torch.floor(uniform(0, 4)) * (math.pi / 2), uniform(0, 2 * math.pi))
            flip = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
            gain = torch.exp(uniform(-0.5, 0.5))
            jitter_x, jitter_y = torch.round(uniform(-40, 40)), torch.round(uniform(-40, 40))
        line = torch.arange(crop, device=device, dtype=torch.float32) - crop // 2
        row, column = torch.meshgrid(line, line, indexing="ij")
        cosine, sine = torch.cos(turn) * zoom, torch.sin(turn) * zoom
        x = rows[:, -2, None, None] + jitter_x + cosine * column * flip - sine * row
        y = rows[:, -1, None, None] + jitter_y + sine * column * flip + cosine * row
        if augment:
            x, y = torch.where(plain, torch.round(x), x), torch.where(plain, torch.round(y), y)
        first = 6
        frames = torch.cat([rows[:, first:first + 2 * self.past].reshape(n, self.past, 2),
                            rows[:, first + 2 * self.past:-2].reshape(n, self.leads, 2)[:, leads]], 1)
        index, offset = frames[..., 0], frames[..., 1]
        if augment:  # now and then an older frame is missing, and the next newer one stands in for it
            gone = torch.rand(n, self.past, device=device, generator=generator) < 0.08
            for k in range(1, self.past):
                index[:, k] = torch.where(gone[:, k], index[:, k - 1], index[:, k])
                offset[:, k] = torch.where(gone[:, k], offset[:, k - 1], offset[:, k])
        rate, covered = self.carried(rows, index, offset, x, y)
        newest = covered[:, :1]
        if augment:
            newest = newest * self.holes(n, crop, generator)
        seen = newest * covered[:, :self.past]
        rates = rate * gain[:, None]
        value = self.curve.value(rates.clamp(max=self.curve.max)).clamp(0.0, 1.0)
        past = torch.cat([value[:, :self.past] * (seen if augment else covered[:, :self.past]), newest], 1)
        weight = covered[:, self.past:] * newest * (offset[:, self.past:] != 0)[..., None, None]
        return past, value[:, self.past:], weight

    def holes(self, n, crop, generator):
        """1, but 0 beyond a line through a tenth of the crops and in a disc in another tenth: coverage ends anywhere."""
        rand = lambda: torch.rand(n, 1, 1, 1, device=self.device, generator=generator)
        line = torch.arange(crop, device=self.device, dtype=torch.float32) / crop - 0.5
        row, column = torch.meshgrid(line, line, indexing="ij")
        angle, kind = rand() * 2 * math.pi, rand()
        beyond = torch.cos(angle) * row + torch.sin(angle) * column > rand() * 0.5
        disc = (row - rand() + 0.5) ** 2 + (column - rand() + 0.5) ** 2 < (0.1 + 0.2 * rand()) ** 2
        return 1.0 - ((kind < 0.1) & beyond | (kind > 0.9) & disc).float()

    def carried(self, rows, index, offset, x, y):
        """Frames [N, F] at the places x, y [N, S, S] of the issue time: rates and coverage [N, F, S, S]."""
        n, count = index.shape
        column = lambda i: rows[:, i, None, None, None]
        base, height, width, map_base, map_height, map_width = (column(i) for i in range(6))
        # Displacements are smooth: every eighth place will do.
        side = x.shape[-1]
        coarse = max(side // 8, 2)
        small = lambda v: F.interpolate(v[:, None], size=(coarse, coarse), mode="bilinear", align_corners=True)
        steps = offset.abs() / dataset.STEP_S
        k = torch.ceil(steps).long().clamp(1, AHEAD)
        k = torch.where(offset > 0, PAST + k - 1, k.clamp(max=PAST) - 1)
        whole = torch.where(offset > 0, k - PAST + 1, k + 1)
        scale = (steps / whole)[..., None, None]
        half = dataset.COARSE / 2
        mx = ((small(x) - half) / dataset.COARSE).clamp(min=0).minimum(map_width - 1)
        my = ((small(y) - half) / dataset.COARSE).clamp(min=0).minimum(map_height - 1)
        left = mx.floor().minimum((map_width - 2).clamp(min=0))
        top = my.floor().minimum((map_height - 2).clamp(min=0))
        fx, fy = mx - left, my - top
        east, south = (map_width > 1).long(), (map_height > 1).long() * map_width
        plane = map_height * map_width
        at = map_base + 2 * k[..., None, None] * plane + (top * map_width + left).long()

        def moved(at):
            m = self.maps
            return (m[at] * (1 - fx) + m[at + east] * fx) * (1 - fy) + (m[at + south] * (1 - fx) + m[at + south + east] * fx) * fy

        grow = lambda v: F.interpolate(v, size=(side, side), mode="bilinear", align_corners=True)
        px = x[:, None] + grow(moved(at) * scale)
        py = y[:, None] + grow(moved(at + plane) * scale)
        inside = (px >= -0.5) & (py >= -0.5) & (px < width - 0.5) & (py < height - 0.5)
        px, py = px.clamp(min=0).minimum(width - 1.0), py.clamp(min=0).minimum(height - 1.0)
        left, top = px.floor().minimum(width - 2.0), py.floor().minimum(height - 2.0)
        fx, fy = px - left, py - top
        at = base + index[..., None, None] * height * width + (top * width + left).long()
        total, known = 0.0, 0.0
        near = (fx >= 0.5).long() + (fy >= 0.5).long() * width
        for shift, share in ((0, (1 - fx) * (1 - fy)), (1, fx * (1 - fy)), (width, (1 - fx) * fy), (width + 1, fx * fy)):
            code = self.codes[at + shift].long()
            there = (code != dataset.UNKNOWN).float()
            total = total + share * there * self.table[code]
            known = known + share * there
        covered = inside & (self.codes[at + near] != dataset.UNKNOWN)
        return total / known.clamp(min=1e-6) * covered, covered.float()
