"""Models of every kind that people have in PyTorch, small."""

import math

import torch
from torch import nn
from torch.nn import functional as F


class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        self.skip = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.skip = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return F.relu(self.body(x) + self.skip(x))


def resnet20():
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    inputs = 16
    for outputs, stride in [(16, 1), (32, 2), (64, 2)]:
        for i in range(3):
            layers.append(ResidualBlock(inputs, outputs, stride if i == 0 else 1))
            inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class InvertedResidual(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(8, 48, 1, bias=False), nn.BatchNorm2d(48), nn.ReLU6(),
            nn.Conv2d(48, 48, 3, 1, 1, groups=48, bias=False), nn.BatchNorm2d(48), nn.ReLU6(),
            nn.Conv2d(48, 8, 1, bias=False), nn.BatchNorm2d(8))
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        return self.head((x + self.body(x)).mean(dim=(2, 3)))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.LSTM(6, 9, batch_first=True)
        self.head = nn.Linear(9, 4)

    def forward(self, x):
        states, _ = self.cell(x)
        return self.head(states[:, -1])


class Encoder(nn.Module):
    """As BERT: embeddings, post-norm layers of torch's own attention, a classifier on the first token."""

    def __init__(self):
        super().__init__()
        self.words, self.positions = nn.Embedding(50, 16), nn.Embedding(12, 16)
        self.norm = nn.LayerNorm(16)
        self.layers = nn.ModuleList(
            [nn.TransformerEncoderLayer(16, 4, 32, 0.0, activation="gelu", batch_first=True) for _ in range(2)])
        self.head = nn.Linear(16, 3)

    def forward(self, tokens):
        x = self.norm(self.words(tokens) + self.positions(torch.arange(tokens.shape[1])))
        for layer in self.layers:
            x = layer(x)
        return self.head(x[:, 0])


class Decoder(nn.Module):
    """As GPT-2: fused query, key, value, a causal mask, pre-norm, weights tied to the embedding."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(40, 16)
        self.positions = nn.Parameter(torch.randn(1, 10, 16) * 0.1)
        self.norms = nn.ModuleList([nn.LayerNorm(16) for _ in range(3)])
        self.attention, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.up, self.down = nn.Linear(16, 64), nn.Linear(64, 16)
        self.register_buffer("mask", torch.tril(torch.ones(10, 10)).bool())

    def forward(self, tokens):
        batch, length = tokens.shape
        x = self.words(tokens) + self.positions
        q, k, v = self.attention(self.norms[0](x)).split(16, dim=2)
        q, k, v = (t.view(batch, length, 4, 4).transpose(1, 2) for t in (q, k, v))
        scores = (q @ k.transpose(-2, -1)) / math.sqrt(4)
        scores = scores.masked_fill(~self.mask, float("-inf"))
        mixed = (F.softmax(scores, dim=-1) @ v).transpose(1, 2).reshape(batch, length, 16)
        x = x + self.out(mixed)
        h = self.up(self.norms[1](x))
        h = 0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
        x = x + self.down(h)
        return self.norms[2](x) @ self.words.weight.t()


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.LeakyReLU(0.1))
        self.deep = nn.Sequential(nn.Conv2d(6, 12, 3, padding=1), nn.SiLU())
        self.up = nn.ConvTranspose2d(12, 6, 2, stride=2)
        self.out = nn.Conv2d(12, 3, 1)

    def forward(self, x):
        first = self.down(x)
        deep = self.deep(F.max_pool2d(first, 2))
        y = self.out(torch.cat([first, self.up(deep)], dim=1))
        return y.permute(0, 2, 3, 1)


def mlp():
    return nn.Sequential(nn.Linear(20, 30), nn.Tanh(), nn.LayerNorm(30), nn.Linear(30, 30), nn.ELU(), nn.Linear(30, 6))


MODELS = {
    "mlp": (mlp, lambda: torch.randn(5, 20)),
    "resnet20": (resnet20, lambda: torch.randn(2, 3, 16, 16)),
    "mobilenet": (InvertedResidual, lambda: torch.randn(3, 8, 9, 9)),
    "lstm": (Recurrent, lambda: torch.randn(3, 7, 6)),
    "bert": (Encoder, lambda: torch.randint(0, 50, (3, 12))),
    "gpt": (Decoder, lambda: torch.randint(0, 40, (2, 10))),
    "unet": (UNet, lambda: torch.randn(2, 2, 8, 8)),
}


def as_after_training(model):
    """Gives norms and biases numbers of their own, as untrained ones are equal, and running statistics as well."""
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
        if isinstance(module, nn.MultiheadAttention):
            nn.init.normal_(module.in_proj_bias, 0, 0.2)
            nn.init.normal_(module.out_proj.bias, 0, 0.2)
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
