"""Finds the coefficients of the exact GELU's tail, with mpmath, which the project itself never needs.

Run once, in an environment of its own: `pip install mpmath==1.3.0`, then `python fit_normal_tail.py`: it prints p and q
with Φ(−u) ≈ e^{−u²/2}·p(u)/q(u) and the largest relative error on 0 ≤ u ≤ 6, for float64 and for float32.

The ratio is fitted by linearised least squares, solved again and again: each time the rows are divided by the last q,
and weighted by how large the last errors were (Lawson 1961), so that the largest error becomes nearly as small as any.
"""

import sys

from mpmath import cos, erfc, exp, matrix, mp, mpf, pi, qr_solve, sqrt

mp.dps = 40
FARTHEST, POINTS, ROUNDS = mpf(6), 160, 20


def tail(u: mpf) -> mpf:
    """Φ(−u)·e^{u²/2}."""
    return exp(u * u / 2) * erfc(u / sqrt(2)) / 2


def value(coefficients: list[mpf], u: mpf) -> mpf:
    return sum(each * u**power for power, each in enumerate(coefficients))


def fit(degree: int) -> tuple[mpf, list[mpf], list[mpf]]:
    """The largest relative error, p of this degree and q of one more, q(0) being 1."""
    points = [FARTHEST * ((1 - cos(pi * (k + mpf(1) / 2) / POINTS)) / 2) ** 2 for k in range(POINTS)]
    exact = [tail(u) for u in points]
    weights, divisors = [mpf(1)] * POINTS, [mpf(1)] * POINTS
    found = []
    for _ in range(ROUNDS):
        system, right = matrix(POINTS, 2 * degree + 2), matrix(POINTS, 1)
        for row, (u, f, weight, divisor) in enumerate(zip(points, exact, weights, divisors, strict=True)):
            factor = sqrt(weight) / (f * divisor)
            for power in range(degree + 1):
                system[row, power] = factor * u**power
                system[row, degree + 1 + power] = -factor * f * u ** (power + 1)
            right[row] = factor * f
        solved, _ = qr_solve(system, right)
        p, q = [solved[k] for k in range(degree + 1)], [mpf(1), *(solved[degree + 1 + k] for k in range(degree + 1))]
        divisors = [value(q, u) for u in points]
        errors = [abs(value(p, u) / d / f - 1) for u, d, f in zip(points, divisors, exact, strict=True)]
        found.append((max(errors), p, q))
        weights = [weight * (error / max(errors) + mpf("1e-3")) for weight, error in zip(weights, errors, strict=True)]
        mean = sum(weights) / POINTS
        weights = [weight / mean for weight in weights]
    return min(found, key=lambda each: each[0])


if __name__ == "__main__":
    for name, degree in (("float64", 7), ("float32", 3)):
        error, p, q = fit(degree)
        lines = (name, float(error), [float(each) for each in p], [float(each) for each in q])
        sys.stdout.writelines(f"{line}\n" for line in lines)
