"""Prints what PyTorch's optimizers do, as tests/optimize/optimizer_test.cpp has it in kPeerRuns.

Twenty steps in float64 on f(x) = sum(a (x - b)^2 / 2 + 1 - cos x).
"""

import torch

curvature = torch.tensor([0.5, 2.0, 0.01], dtype=torch.float64)
centre = torch.tensor([1.0, -0.75, 3.0], dtype=torch.float64)


def run(make):
    theta = torch.tensor([0.25, 1.5, -2.0], dtype=torch.float64, requires_grad=True)
    optimizer = make([theta])
    for _ in range(20):
        optimizer.zero_grad()
        (curvature * (theta - centre) ** 2 / 2 + 1 - theta.cos()).sum().backward()
        optimizer.step()
    return theta.tolist()


OPTIM = torch.optim
for decay in (0, 0.125):
    for name, make in {
        "sgd": lambda p: OPTIM.SGD(p, lr=0.05, weight_decay=decay),
        "momentum": lambda p: OPTIM.SGD(p, lr=0.05, momentum=0.8, weight_decay=decay),
        "nesterov": lambda p: OPTIM.SGD(p, lr=0.05, momentum=0.8, nesterov=True, weight_decay=decay),
        "adam": lambda p: OPTIM.Adam(p, lr=0.05, betas=(0.8, 0.95), eps=1e-4, weight_decay=decay),
        "adamw": lambda p: OPTIM.AdamW(p, lr=0.05, betas=(0.8, 0.95), eps=1e-4, weight_decay=decay),
    }.items():
        print(f'    {{"{name}", {decay}, {{{", ".join(repr(x) for x in run(make))}}}}},')
