"""The networks: a U-Net that adds growth and decay to rain that already moves.

Input  N x channels x H x W: rain of the past, carried to the issue time, and the coverage (see the recipe).
Output N x (leads + thresholds * leads) x H x W, in the frame that moves with the rain: the rain at each lead time, in the recipe's
transform (0 is dry); then, threshold by threshold, the probability of more than it at each lead time.
H and W are multiples of 16. Student and teacher differ in their widths.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

STUDENT, TEACHER = (16, 32, 64, 128, 192), (32, 64, 128, 256, 384)


def block(inputs, outputs):
    layers = []
    for a, b in ((inputs, outputs), (outputs, outputs)):
        layers += [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class RainUNet(nn.Module):
    def __init__(self, inputs, leads, thresholds=(), widths=STUDENT, probabilities=True):
        super().__init__()
        self.leads, self.thresholds, self.probabilities = leads, tuple(thresholds), probabilities
        self.down = nn.ModuleList(block(a, b) for a, b in zip((inputs,) + tuple(widths), widths))
        self.up = nn.ModuleList(block(widths[i] + widths[i - 1], widths[i - 1]) for i in range(len(widths) - 1, 0, -1))
        self.head = nn.Conv2d(widths[0], leads, 1)
        # What is there now stays, to begin with: the network learns the change.
        self.stay = nn.Conv2d(inputs, leads, 1, bias=False)
        self.chance = nn.Conv2d(widths[0], leads * len(thresholds), 1) if thresholds else None
        with torch.no_grad():
            self.stay.weight.zero_()
            self.stay.weight[:, 0] = 1.0
            self.head.weight.mul_(0.1)
            self.head.bias.zero_()
            if thresholds:
                self.chance.bias.fill_(-3.0)

    def features(self, x):
        """The last feature map and the coarsest."""
        skips, f = [], x
        for level, down in enumerate(self.down):
            f = down(F.max_pool2d(f, 2) if level else f)
            skips.append(f)
        deepest = f
        for up, skip in zip(self.up, reversed(skips[:-1])):
            f = up(torch.cat([F.interpolate(f, scale_factor=2.0, mode="nearest"), skip], 1))
        return f, deepest

    def heads(self, x, f, leads):
        """Rain [N, len(leads), H, W] and logits [N, thresholds, len(leads), H, W] of some lead times."""
        rain = F.relu(F.conv2d(f, self.head.weight[leads], self.head.bias[leads]) + F.conv2d(x, self.stay.weight[leads]))
        rows = torch.cat([leads + t * self.leads for t in range(len(self.thresholds))])
        logits = F.conv2d(f, self.chance.weight[rows], self.chance.bias[rows])
        return rain, logits.unflatten(1, (len(self.thresholds), len(leads)))

    def forward(self, x):
        f, _ = self.features(x)
        rain = F.relu(self.head(f) + self.stay(x))
        if self.chance is None or not self.probabilities:
            return rain
        return torch.cat([rain, torch.sigmoid(self.chance(f))], 1)
