#!/usr/bin/env python3
"""Write tests/data/networks: small networks of the kinds that nowcasting uses, exported by PyTorch.

Of each network NAME there are NAME.script.onnx (torch.onnx.export with dynamo=False),
NAME.dynamo.onnx (dynamo=True) and NAME.io, which holds inputs and PyTorch's own outputs:

    "SQIO", uint32 inputs, uint32 outputs, then each tensor: uint32 ONNX type, uint32 rank,
    int64 sizes, numbers; all little-endian

    python3 -m venv v && v/bin/pip install torch==2.15.0 onnx==1.23.2 onnxscript==0.7.2
    v/bin/python tests/expected/make_networks.py [NAME...]
"""
import io
import pathlib
import struct
import sys
import warnings

import onnx
import torch
import torch.nn.functional as F
from onnx import helper
from torch import nn

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/data/networks"
OPSET = 18
OPSETS = {"warp": 20}  # affine_grid is an operator since then
MOST_BYTES = 200000  # of one model


def conv(i, o, k=3, **more):
    return nn.Conv2d(i, o, k, padding=k // 2, **more)


def conv_bn(i, o):
    return nn.Sequential(conv(i, o, bias=False), nn.BatchNorm2d(o), nn.ReLU())


class UNet(nn.Module):
    """As RainNet: convolutions in pairs, max-pooling, nearest upsampling, concatenation."""

    def __init__(self, c=6):
        super().__init__()
        self.down1 = nn.Sequential(conv_bn(4, c), conv_bn(c, c))
        self.down2 = nn.Sequential(conv_bn(c, 2 * c), conv_bn(2 * c, 2 * c))
        self.middle = nn.Sequential(conv_bn(2 * c, 3 * c), nn.Dropout2d(0.5))
        self.up2 = conv_bn(5 * c, 2 * c)
        self.up1 = conv_bn(3 * c, c)
        self.head = conv(c, 1, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        m = self.middle(F.max_pool2d(b, 2))
        b = self.up2(torch.cat([F.interpolate(m, scale_factor=2), b], 1))
        a = self.up1(torch.cat([F.interpolate(b, scale_factor=2), a], 1))
        return self.head(a)


class UNetTransposed(nn.Module):
    """Transposed convolutions, group normalisation, SiLU, a residual and strided convolutions."""

    def __init__(self, c=8):
        super().__init__()
        self.stem = conv(2, c)
        self.norm = nn.GroupNorm(2, c)
        self.down = conv(c, 2 * c, stride=2)
        self.norm2 = nn.GroupNorm(4, 2 * c)
        self.up = nn.ConvTranspose2d(2 * c, c, 4, stride=2, padding=1)
        self.head = conv(2 * c, 2)

    def forward(self, x):
        a = F.silu(self.norm(self.stem(x)))
        b = F.silu(self.norm2(self.down(a)))
        return self.head(torch.cat([F.elu(self.up(b)), a], 1)) + x


class Separable(nn.Module):
    def __init__(self, i, o, per=2):
        super().__init__()
        self.depth = conv(i, i * per, groups=i)
        self.point = conv(i * per, o, 1)
        self.norm = nn.BatchNorm2d(o)

    def forward(self, x):
        return F.relu(self.norm(self.point(self.depth(x))))


class CBAM(nn.Module):
    """Attention over channels, then over places."""

    def __init__(self, c, ratio=4):
        super().__init__()
        self.mlp = nn.Sequential(nn.Flatten(), nn.Linear(c, c // ratio), nn.ReLU(),
                                 nn.Linear(c // ratio, c))
        self.place = conv(2, 1, 7, bias=False)

    def forward(self, x):
        weights = self.mlp(F.adaptive_avg_pool2d(x, 1)) + self.mlp(F.adaptive_max_pool2d(x, 1))
        x = x * torch.sigmoid(weights)[:, :, None, None]
        places = torch.cat([x.max(1, keepdim=True)[0], x.mean(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.place(places))


class SmaAtUNet(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.first = Separable(4, c)
        self.cbam1 = CBAM(c)
        self.second = Separable(c, c)
        self.cbam2 = CBAM(c)
        self.up = Separable(2 * c, c)
        self.head = conv(c, 1, 1)
        self.bigger = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)

    def forward(self, x):
        a = self.first(x)
        b = self.cbam2(self.second(F.max_pool2d(a, 2)))
        b = self.bigger(b)
        dy, dx = a.size(2) - b.size(2), a.size(3) - b.size(3)
        b = F.pad(b, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.head(self.up(torch.cat([self.cbam1(a), b], 1)))


class ConvLSTM(nn.Module):
    def __init__(self, c=6, steps=3):
        super().__init__()
        self.c, self.steps = c, steps
        self.gates = conv(1 + c, 4 * c)
        self.head = conv(c, 1, 1)

    def forward(self, x):  # [batch, time, 1, h, w]
        h = x.new_zeros(x.size(0), self.c, x.size(3), x.size(4))
        cell = torch.zeros_like(h)
        out = []
        frame = x[:, 0]
        for t in range(x.size(1) + self.steps - 1):
            frame = x[:, t] if t < x.size(1) else out[-1]
            i, f, o, g = torch.chunk(self.gates(torch.cat([frame, h], 1)), 4, dim=1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(cell)
            if t >= x.size(1) - 1:
                out.append(self.head(h))
        return torch.stack(out, 1)


class ConvGRU(nn.Module):
    def __init__(self, c=6):
        super().__init__()
        self.c = c
        self.rz = conv(2 + c, 2 * c, 5)
        self.new = conv(2 + c, c)
        self.head = conv(c, 1)

    def forward(self, x):
        h = torch.zeros(x.shape[0], self.c, x.shape[3], x.shape[4])
        for frame in x.unbind(1):
            r, z = self.rz(torch.cat([frame, h], 1)).sigmoid().split(self.c, 1)
            h = (1 - z) * h + z * F.leaky_relu(self.new(torch.cat([frame, r * h], 1)), 0.2)
        return self.head(h)


class PredRNNCell(nn.Module):
    def __init__(self, i, c):
        super().__init__()
        self.c = c
        self.x, self.h = conv(i, 7 * c), conv(c, 4 * c)
        self.m, self.o = conv(c, 3 * c), conv(2 * c, c)
        self.last = conv(2 * c, c, 1)
        self.norm = nn.LayerNorm([7 * c, 8, 8])

    def forward(self, x, h, cell, m):
        xi, xf, xg, yi, yf, yg, xo = torch.split(self.norm(self.x(x)), self.c, 1)
        hi, hf, hg, ho = torch.split(self.h(h), self.c, 1)
        mi, mf, mg = torch.split(self.m(m), self.c, 1)
        cell = torch.sigmoid(xf + hf + 1) * cell + torch.sigmoid(xi + hi) * torch.tanh(xg + hg)
        m = torch.sigmoid(yf + mf + 1) * m + torch.sigmoid(yi + mi) * torch.tanh(yg + mg)
        both = torch.cat([cell, m], 1)
        return torch.sigmoid(xo + ho + self.o(both)) * torch.tanh(self.last(both)), cell, m


class PredRNN(nn.Module):
    """Two layers; the memory m goes up through them and on to the next frame. Frames of 16 x 16 are
    folded into 8 x 8 patches."""

    def __init__(self, c=4):
        super().__init__()
        self.c = c
        self.cells = nn.ModuleList([PredRNNCell(4, c), PredRNNCell(c, c)])
        self.head = conv(c, 4, 1)

    def forward(self, x):
        b, t, c, height, width = x.shape
        x = x.reshape(b, t, c, height // 2, 2, width // 2, 2).permute(0, 1, 4, 6, 2, 3, 5)
        x = x.reshape(b, t, 4 * c, height // 2, width // 2)
        zero = torch.zeros(b, self.c, height // 2, width // 2)
        h, cell, m = [zero, zero], [zero, zero], zero
        for i in range(t):
            frame = x[:, i]
            for k, one in enumerate(self.cells):
                h[k], cell[k], m = one(frame, h[k], cell[k], m)
                frame = h[k]
        return F.pixel_shuffle(self.head(frame), 2)


class SimVP(nn.Module):
    """Frames are encoded one by one, mixed over time by kernels of several sizes, and decoded."""

    def __init__(self, t=3, c=4):
        super().__init__()
        self.enc1 = nn.Sequential(conv(1, c), nn.GroupNorm(2, c), nn.LeakyReLU(0.2))
        self.enc2 = nn.Sequential(conv(c, c, stride=2), nn.GroupNorm(2, c), nn.LeakyReLU(0.2))
        self.mix = nn.ModuleList(conv(t * c, t * c, k, groups=t) for k in (3, 5, 7))
        self.up = nn.Sequential(conv(c, 4 * c), nn.PixelShuffle(2), nn.GroupNorm(2, c), nn.SiLU())
        self.head = conv(2 * c, 1, 1)

    def forward(self, x):
        b, t, c, height, width = x.shape
        skip = self.enc1(x.view(b * t, c, height, width))
        z = self.enc2(skip)
        _, d, h, w = z.shape
        z = z.view(b, t * d, h, w)
        z = z + sum(branch(z) for branch in self.mix)
        y = self.up(z.reshape(b * t, d, h, w))
        return self.head(torch.cat([y, skip], 1)).reshape(b, t, 1, height, width)


class DGMR(nn.Module):
    """A generator: context by space-to-depth, noise, ConvGRUs, blocks that upsample."""

    def __init__(self, c=8, lead=2):
        super().__init__()
        self.c, self.lead = c, lead
        self.context = nn.utils.parametrizations.spectral_norm(conv(12, c))
        nn.utils.parametrize.remove_parametrizations(self.context, "weight")  # as for inference
        self.noise = conv(2, c)
        self.rz, self.new = conv(2 * c, 2 * c), conv(2 * c, c)
        self.first, self.skip = conv(c, c), conv(c, c, 1)
        self.norm = nn.BatchNorm2d(c)
        self.head = conv(c, 4, 1)

    def block(self, x):
        wide = F.interpolate(F.relu(self.norm(x)), scale_factor=2, mode="nearest")
        return self.first(wide) + F.interpolate(self.skip(x), scale_factor=2, mode="nearest")

    def forward(self, frames, noise):
        x = F.pixel_unshuffle(frames, 2)
        h = F.avg_pool2d(F.relu(self.context(x)), 2)
        out = []
        for _ in range(self.lead):
            u = self.noise(noise)
            r, z = torch.sigmoid(self.rz(torch.cat([u, h], 1))).chunk(2, 1)
            h = z * h + (1 - z) * torch.tanh(self.new(torch.cat([u, r * h], 1)))
            out.append(F.pixel_shuffle(self.head(self.block(h)), 2))
        return torch.stack(out, 2).clamp(min=0)


class Block(nn.Module):
    """A transformer's block."""

    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))

    def attend(self, x, bias=None):
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        if bias is None:
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            score = q @ k.transpose(-2, -1) * (d // self.heads) ** -0.5 + bias
            y = score.softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(b, n, d))

    def forward(self, x):
        x = x + self.attend(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    def __init__(self, d=16):
        super().__init__()
        self.patch = nn.Conv2d(2, d, 4, stride=4)
        self.place = nn.Parameter(0.1 * torch.randn(1, 17, d))
        self.cls = nn.Parameter(0.1 * torch.randn(1, 1, d))
        self.blocks = nn.Sequential(Block(d, 4), Block(d, 2))
        self.head = nn.Linear(d, 32)

    def forward(self, x):
        b = x.shape[0]
        t = self.patch(x).flatten(2).transpose(1, 2)
        t = self.blocks(torch.cat([self.cls.expand(b, -1, -1), t], 1) + self.place)
        y = self.head(t[:, 1:]).reshape(b, 4, 4, 2, 4, 4)
        return torch.einsum("bhwcij->bchiwj", y).reshape(b, 2, 16, 16), t[:, 0].softmax(-1)


class Encoder(nn.Module):
    """PyTorch's own transformer and attention modules."""

    def __init__(self, d=16):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(d, 2, 32, batch_first=True, activation="gelu")
        self.cross = nn.MultiheadAttention(d, 4, batch_first=True)

    def forward(self, x, memory):
        y = self.layer(x)
        return y + self.cross(y, memory, memory)[0]


class Swin(nn.Module):
    """Windows, shifted by half of their size, with a bias by relative place and a mask."""

    def __init__(self, d=12, window=4, size=8):
        super().__init__()
        self.window = window
        self.embed = nn.Conv2d(3, d, 2, stride=2)
        self.norm = nn.LayerNorm(d)
        self.blocks = nn.ModuleList([Block(d, 3), Block(d, 3)])
        self.table = nn.Parameter(0.1 * torch.randn((2 * window - 1) ** 2, 3))
        self.merge = nn.Linear(4 * d, 2 * d, bias=False)
        at = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij"))
        at = at.flatten(1)
        apart = at[:, :, None] - at[:, None, :] + window - 1
        self.register_buffer("index", apart[0] * (2 * window - 1) + apart[1])
        region = torch.zeros(size, size)
        for i, rows in enumerate((slice(0, -4), slice(-4, -2), slice(-2, None))):
            for j, columns in enumerate((slice(0, -4), slice(-4, -2), slice(-2, None))):
                region[rows, columns] = 3 * i + j
        region = self.part(region[None, :, :, None]).squeeze(-1)
        mask = (region[:, None] != region[:, :, None]).float() * -100
        self.register_buffer("mask", mask[:, None])

    def part(self, x):
        b, h, w, d = x.shape
        n = self.window
        x = x.view(b, h // n, n, w // n, n, d).permute(0, 1, 3, 2, 4, 5)
        return x.reshape(-1, n * n, d)

    def join(self, x, b, h, w):
        n = self.window
        x = x.view(b, h // n, w // n, n, n, -1).permute(0, 1, 3, 2, 4, 5)
        return x.reshape(b, h, w, -1)

    def forward(self, image):
        x = self.embed(image).permute(0, 2, 3, 1)
        b, h, w, _ = x.shape
        bias = self.table[self.index.view(-1)].view(16, 16, 3).permute(2, 0, 1)[None]
        for i, block in enumerate(self.blocks):
            y = torch.roll(x, (-2, -2), (1, 2)) if i else x
            here = bias + self.mask.repeat(b, 1, 1, 1) if i else bias
            y = self.join(block.attend(block.norm1(self.part(y)), here), b, h, w)
            x = x + (torch.roll(y, (2, 2), (1, 2)) if i else y)
            x = x + block.mlp(block.norm2(x))
        quarter = [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        return self.merge(torch.cat(quarter, -1)), self.norm(x)


class Pangu(nn.Module):
    """Attention within windows of a volume, with a bias of each latitude's own."""

    def __init__(self, d=8):
        super().__init__()
        self.embed = nn.Conv3d(2, d, (2, 4, 4), stride=(2, 4, 4))
        self.surface = nn.Conv2d(3, d, 4, stride=4)
        self.block = Block(d, 2)
        self.bias = nn.Parameter(0.1 * torch.randn(1, 2, 2, 8, 8))  # rows of windows, heads
        self.back = nn.ConvTranspose3d(d, 2, (2, 4, 4), stride=(2, 4, 4))
        self.flat = nn.ConvTranspose2d(d, 3, 4, stride=4)

    def forward(self, upper, surface):
        x = torch.cat([self.surface(surface).unsqueeze(2), self.embed(F.pad(upper, (0, 0, 0, 0, 1, 0)))],
                      2)  # [b, d, 3, 4, 4]
        x = F.pad(x, (0, 0, 0, 0, 0, 1))  # levels to 4
        b, d, z, h, w = x.shape
        t = x.permute(0, 2, 3, 4, 1).reshape(b, z // 2, 2, h // 2, 2, w // 2, 2, d)
        t = t.permute(0, 1, 5, 3, 2, 4, 6, 7).reshape(-1, h // 2, 8, d)
        n = t.shape[0]
        y = self.block.norm1(t)
        q, k, v = self.block.qkv(y).reshape(n, h // 2, 8, 3, 2, d // 2).permute(3, 0, 1, 4, 2, 5)
        score = (q @ k.transpose(-1, -2)) * (d // 2) ** -0.5 + self.bias
        y = (score.softmax(-1) @ v).transpose(2, 3).reshape(n, h // 2, 8, d)
        t = t + self.block.out(y)
        t = t + self.block.mlp(self.block.norm2(t))
        t = t.reshape(b, z // 2, w // 2, h // 2, 2, 2, 2, d).permute(0, 7, 1, 4, 3, 5, 2, 6)
        x = t.reshape(b, d, z, h, w)
        return self.back(x[:, :, 1:3])[:, :, 1:], self.flat(x[:, :, 0])


class RAFT(nn.Module):
    """Flow from all pairs of features, looked up with GridSample, by a few steps of a GRU."""

    def __init__(self, c=8, steps=2, radius=1):
        super().__init__()
        self.c, self.steps, self.radius = c, steps, radius
        self.features = nn.Sequential(conv(1, c, stride=2), nn.InstanceNorm2d(c, affine=True),
                                      nn.ReLU(), conv(c, c, stride=2))
        self.motion = conv(9 * 2 + 2, c)
        self.rz, self.new = conv(2 * c, 2 * c), conv(2 * c, c)
        self.flow, self.mask = conv(c, 2), conv(c, 9 * 16)

    def sample(self, volume, at):
        h, w = volume.shape[-2:]
        x = 2 * at[..., 0] / (w - 1) - 1
        y = 2 * at[..., 1] / (h - 1) - 1
        return F.grid_sample(volume, torch.stack([x, y], -1), align_corners=True)

    def forward(self, first, second):
        a, b = self.features(first), self.features(second)
        n, c, h, w = a.shape
        pairs = torch.matmul(a.flatten(2).transpose(1, 2), b.flatten(2)) / c ** 0.5
        levels = [pairs.reshape(n * h * w, 1, h, w)]
        levels.append(F.avg_pool2d(levels[0], 2, stride=2))
        y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        base = torch.stack([x, y], 0).float()[None].repeat(n, 1, 1, 1)
        near = torch.arange(-self.radius, self.radius + 1).float()
        around = torch.stack(torch.meshgrid(near, near, indexing="ij"), -1).flip(-1)
        flow, state = torch.zeros_like(base), torch.tanh(a)
        for _ in range(self.steps):
            at = (base + flow).permute(0, 2, 3, 1).reshape(n * h * w, 1, 1, 2)
            seen = [self.sample(v, at / 2 ** i + around[None]).view(n, h, w, -1)
                    for i, v in enumerate(levels)]
            seen = torch.cat(seen + [flow.permute(0, 2, 3, 1)], -1).permute(0, 3, 1, 2)
            m = F.relu(self.motion(seen))
            r, z = torch.sigmoid(self.rz(torch.cat([state, m], 1))).chunk(2, 1)
            new = torch.tanh(self.new(torch.cat([r * state, m], 1)))
            state = (1 - z) * state + z * new
            flow = flow + self.flow(state)
        mask = self.mask(state).view(n, 1, 9, 4, 4, h, w).softmax(2)
        up = F.unfold(4 * flow, [3, 3], padding=1).view(n, 2, 9, 1, 1, h, w)
        up = torch.sum(mask * up, 2).permute(0, 1, 4, 2, 5, 3)
        return up.reshape(n, 2, 4 * h, 4 * w)


class Warp(nn.Module):
    """Frames carried along a motion field, as a network learns to."""

    def __init__(self):
        super().__init__()
        self.motion = conv(2, 2)

    def forward(self, x):
        n, _, h, w = x.shape
        motion = torch.tanh(self.motion(x))
        theta = torch.eye(2, 3)[None].repeat(n, 1, 1)
        grid = F.affine_grid(theta, [n, 1, h, w], align_corners=False)
        grid = grid + motion.permute(0, 2, 3, 1)
        outside = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
        return torch.where(outside > 0, outside, F.grid_sample(x, grid, mode="nearest",
                                                               padding_mode="reflection",
                                                               align_corners=False))


class MobileNet(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.stem = nn.Sequential(conv(3, c, stride=2), nn.BatchNorm2d(c), nn.Hardswish())
        self.wide = nn.Sequential(conv(c, 3 * c, 1), nn.BatchNorm2d(3 * c), nn.ReLU6())
        self.depth = nn.Sequential(conv(3 * c, 3 * c, 5, groups=3 * c), nn.BatchNorm2d(3 * c),
                                   nn.ReLU6())
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3 * c, c, 1), nn.ReLU(),
                                     nn.Conv2d(c, 3 * c, 1), nn.Hardsigmoid())
        self.narrow = nn.Sequential(conv(3 * c, c, 1), nn.BatchNorm2d(c))
        self.head = nn.Linear(c, 10)

    def forward(self, x):
        x = self.stem(x)
        y = self.depth(self.wide(x))
        x = x + self.narrow(y * self.squeeze(y))
        return F.log_softmax(self.head(x.mean([2, 3])), 1)


class ResNet(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, c, 7, 2, 3, bias=False), nn.BatchNorm2d(c), nn.ReLU(),
                                  nn.MaxPool2d(3, 2, 1))
        self.one = nn.Sequential(conv_bn(c, c), conv(c, c, bias=False), nn.BatchNorm2d(c))
        self.two = nn.Sequential(nn.Conv2d(c, 2 * c, 3, 2, 1), nn.BatchNorm2d(2 * c), nn.ReLU(),
                                 conv(2 * c, 2 * c), nn.BatchNorm2d(2 * c))
        self.short = nn.Sequential(nn.Conv2d(c, 2 * c, 1, 2), nn.BatchNorm2d(2 * c))
        self.head = nn.Linear(2 * c, 5)

    def forward(self, x):
        x = self.stem(x)
        x = F.relu(x + self.one(x))
        x = F.relu(self.short(x) + self.two(x))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class ConvNeXt(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.stem = nn.Conv2d(3, c, 4, stride=4)
        self.depth = conv(c, c, 7, groups=c)
        self.norm = nn.LayerNorm(c, eps=1e-6)
        self.wide, self.narrow = nn.Linear(c, 4 * c), nn.Linear(4 * c, c)
        self.scale = nn.Parameter(torch.full((c,), 0.5))
        self.down = nn.Conv2d(c, 2 * c, 2, stride=2)

    def forward(self, x):
        x = self.stem(x)
        y = self.norm(self.depth(x).permute(0, 2, 3, 1))
        y = self.scale * self.narrow(F.gelu(self.wide(y), approximate="tanh"))
        return self.down(x + y.permute(0, 3, 1, 2))


class Sequences(nn.Module):
    """PyTorch's own LSTM and GRU."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(5, 6, num_layers=2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(12, 4, batch_first=True)

    def forward(self, x):
        y, (h, _) = self.lstm(x)
        z, last = self.gru(y)
        return z, h, last


class Volumes(nn.Module):
    """Convolution, pooling and upsampling in three dimensions."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv3d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm3d(4)
        self.up = nn.ConvTranspose3d(4, 2, 2, stride=2)

    def forward(self, x):
        y = F.max_pool3d(F.relu(self.norm(self.down(x))), 2)
        wide = F.interpolate(y, scale_factor=2, mode="trilinear", align_corners=False)
        return self.up(y) + F.avg_pool3d(wide[:, :2], 3, stride=1, padding=1)


class Temporal(nn.Module):
    """Causal, dilated convolution in one dimension; weights normalised."""

    def __init__(self, c=6):
        super().__init__()
        self.one = nn.utils.parametrizations.weight_norm(nn.Conv1d(3, c, 3, dilation=2))
        self.two = nn.Conv1d(c, c, 3, dilation=4, groups=2)
        self.act = nn.PReLU(c)

    def forward(self, x):
        y = self.act(self.one(F.pad(x, (4, 0))))
        y = self.act(self.two(F.pad(y, (8, 0), mode="replicate")))
        return F.glu(y, 1) + y.cumsum(-1).amax(1, keepdim=True)


class Resizes(nn.Module):
    """Every way to change the size of an image, and every border."""

    def forward(self, x):
        a = F.interpolate(x, size=(9, 12), mode="bicubic", align_corners=False)
        b = F.interpolate(x, scale_factor=1.5, mode="bilinear", align_corners=False)
        c = F.pad(F.interpolate(x, size=(3, 6), mode="nearest"), (1, 2, 3, 0), mode="constant",
                  value=0.5)
        d = F.pad(x, (1, 2, 2, 1), mode="reflect") + F.pad(x, (3, 0, 1, 2), mode="circular")
        return a + b[:, :, :9, :12], F.adaptive_avg_pool2d(x, (3, 4)), c, d


def frames(*shape):
    return torch.rand(*shape)


torch.manual_seed(20261125)
# name: (module, inputs, symbolic sizes of each input or None)
BATCH_HW = {0: "batch", 2: "height", 3: "width"}
NETWORKS = {
    "unet": (UNet, [frames(1, 4, 16, 24)], [BATCH_HW]),
    "unet_transposed": (UNetTransposed, [frames(2, 2, 12, 16)], None),
    "smaat_unet": (SmaAtUNet, [frames(1, 4, 14, 18)], [BATCH_HW]),
    "convlstm": (ConvLSTM, [frames(1, 3, 1, 10, 12)], [{0: "batch", 3: "height", 4: "width"}]),
    "convgru": (ConvGRU, [frames(2, 3, 2, 8, 8)], None),
    "predrnn": (PredRNN, [frames(1, 2, 1, 16, 16)], None),
    "simvp": (SimVP, [frames(2, 3, 1, 12, 12)], None),
    "dgmr": (DGMR, [frames(1, 3, 16, 16), torch.randn(1, 2, 4, 4)], None),
    "vit": (ViT, [frames(2, 2, 16, 16)], None),
    "encoder": (Encoder, [torch.randn(2, 7, 16), torch.randn(2, 5, 16)], None),
    "swin": (Swin, [frames(2, 3, 16, 16)], None),
    "pangu": (Pangu, [frames(1, 2, 3, 16, 16), frames(1, 3, 16, 16)], None),
    "raft": (RAFT, [frames(1, 1, 24, 24), frames(1, 1, 24, 24)], None),
    "warp": (Warp, [frames(2, 2, 9, 11)], None),
    "mobilenet": (MobileNet, [frames(2, 3, 16, 16)], [{0: "batch"}]),
    "resnet": (ResNet, [frames(1, 3, 32, 32)], [{0: "batch"}]),
    "convnext": (ConvNeXt, [frames(1, 3, 32, 32)], None),
    "sequences": (Sequences, [torch.randn(2, 6, 5)], None),
    "volumes": (Volumes, [frames(1, 1, 4, 6, 8)], None),
    "temporal": (Temporal, [torch.randn(2, 3, 20)], None),
    "resizes": (Resizes, [frames(1, 2, 6, 8)], None),
}


def settle(module):
    """Statistics that are not 0 and 1, as a trained network has them."""
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm2d, nn.BatchNorm3d)):
            part.running_mean.uniform_(-0.3, 0.3)
            part.running_var.uniform_(0.5, 1.5)
            part.weight.data.uniform_(0.5, 1.5)
            part.bias.data.uniform_(-0.3, 0.3)
        elif isinstance(part, (nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm2d)):
            part.weight.data.uniform_(0.5, 1.5)
            part.bias.data.uniform_(-0.3, 0.3)
    return module.eval()


def strip(model):
    """Nothing of the machine it was made on, and no texts for readers."""
    del model.metadata_props[:]
    model.doc_string = ""
    for graph in [model.graph] + [f for f in model.functions]:
        for item in list(graph.node) + list(getattr(graph, "value_info", [])):
            item.doc_string = ""
            del item.metadata_props[:]
    for item in list(model.graph.input) + list(model.graph.output) + list(model.graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    return model


def export(module, inputs, symbols, opset, dynamo):
    names = ["x%d" % i for i in range(len(inputs))]
    more = {}
    if symbols and dynamo:
        more["dynamic_shapes"] = tuple({axis: torch.export.Dim.DYNAMIC for axis in axes}
                                       for axes in symbols)
    elif symbols:
        more["dynamic_axes"] = {name: axes for name, axes in zip(names, symbols)}
    file = io.BytesIO()
    if dynamo:
        program = torch.onnx.export(module, tuple(inputs), dynamo=True, input_names=names,
                                    opset_version=opset, verbose=False, **more)
        program.save(file)
    else:
        torch.onnx.export(module, tuple(inputs), file, dynamo=False, input_names=names,
                          opset_version=opset, **more)
    return strip(onnx.load_from_string(file.getvalue()))


def write_io(path, inputs, outputs):
    with open(path, "wb") as out:
        out.write(b"SQIO" + struct.pack("<II", len(inputs), len(outputs)))
        for tensor in list(inputs) + list(outputs):
            array = tensor.detach().contiguous().numpy()
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            out.write(struct.pack("<II%dq" % array.ndim, kind, array.ndim, *array.shape))
            out.write(array.tobytes())


def main():
    warnings.simplefilter("ignore")
    OUT.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or NETWORKS:
        make, inputs, symbols = NETWORKS[name]
        torch.manual_seed(len(name))
        with torch.no_grad():
            module = settle(make())
            outputs = module(*inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        write_io(OUT / (name + ".io"), inputs, outputs)
        for kind in ("script", "dynamo"):
            model = export(module, inputs, symbols, OPSETS.get(name, OPSET), kind == "dynamo")
            data = model.SerializeToString(deterministic=True)
            assert len(data) < MOST_BYTES, (name, kind, len(data))
            (OUT / ("%s.%s.onnx" % (name, kind))).write_bytes(data)
            ops = sorted({node.op_type for node in model.graph.node})
            print("%-16s %-7s %4d nodes %6d bytes" % (name, kind, len(model.graph.node), len(data)),
                  " ".join(ops), " functions:%d" % len(model.functions) if model.functions else "")


if __name__ == "__main__":
    main()
