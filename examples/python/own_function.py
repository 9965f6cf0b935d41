"""Fits a simulator that is ordinary Python, by its values alone, and says how far each gradient can be trusted."""

import numpy as np

import slopewise as sw


def simulate(parameters):
    """The angle of a damped pendulum every 0.1 s for 5 s, for many parameters at once: (m, 4) to (m, 50)."""
    stiffness, damping, angle, speed = np.array(parameters, float).T
    seen = []
    for step in range(1, 251):
        speed = speed - 0.02 * (stiffness * np.sin(angle) + damping * speed)
        angle = angle + 0.02 * speed
        if step % 5 == 0:
            seen.append(angle)
    return np.stack(seen, axis=1)


truth = np.array([4.0, 0.3, 1.2, -0.5])
observed = simulate(truth[np.newaxis])


def misfit(points):
    return ((simulate(points) - observed) ** 2).mean(axis=1)


def report(result):
    if result.nit % 100 == 0:
        print(f"{result.nit:4} {result.fun:10.3g}   {result.norm}")


print("step     misfit   length of the gradient, 95 %")
found = sw.minimize(misfit, [3.0, 0.6, 0.8, 0.0], vectorised=True, tangents=4, rate=0.05, steps=600, callback=report)
print(found)
assert np.allclose(found.x, truth, atol=0.05)
