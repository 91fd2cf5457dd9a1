"""The default network: a U-Net that adds growth and decay to rain that already moves.

Input  N x channels x H x W: rain of the past, carried to the issue time, and the coverage (see the recipe).
Output N x leads x H x W: rain at each lead time, in the frame that moves with it, in the same transform (0 is dry).
H and W are multiples of 16.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

WIDTHS = (16, 32, 64, 128, 192)


def block(inputs, outputs):
    layers = []
    for a, b in ((inputs, outputs), (outputs, outputs)):
        layers += [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class RainUNet(nn.Module):
    def __init__(self, inputs, leads, widths=WIDTHS):
        super().__init__()
        self.down = nn.ModuleList(block(a, b) for a, b in zip((inputs,) + tuple(widths), widths))
        self.up = nn.ModuleList(block(widths[i] + widths[i - 1], widths[i - 1])
                                for i in range(len(widths) - 1, 0, -1))
        self.head = nn.Conv2d(widths[0], leads, 1)
        # What is there now stays, to begin with: the network learns the change.
        self.stay = nn.Conv2d(inputs, leads, 1, bias=False)
        with torch.no_grad():
            self.stay.weight.zero_()
            self.stay.weight[:, 0] = 1.0
            self.head.weight.mul_(0.1)
            self.head.bias.zero_()

    def forward(self, x):
        skips, f = [], x
        for level, down in enumerate(self.down):
            f = down(F.max_pool2d(f, 2) if level else f)
            skips.append(f)
        for up, skip in zip(self.up, reversed(skips[:-1])):
            f = up(torch.cat([F.interpolate(f, scale_factor=2.0, mode="nearest"), skip], 1))
        return F.relu(self.head(f) + self.stay(x))
