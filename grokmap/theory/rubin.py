"""Grokking as a first-order transition of Bayesian networks.

Rubin, Seroussi and Ringel, arXiv 2310.03789: networks at equilibrium under a Gaussian
prior and noise of variance sigma^2. Actions of order parameters that are 0 in the
Gaussian feature learning phase (GFL); where a well at finite values is as deep as the
one at 0, mixed Gaussians take over (GMFL).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize, minimize_scalar

from grokmap.arrays import Floats


def modular_action(phi: float, psi: float, coupling: float, gamma: float) -> float:
    """S/P = (phi + psi)/2 - g phi psi + (gamma/6)(phi^3 + psi^3), g = u a^2.

    phi, psi >= 0: fluctuations of the two layers at one frequency. a: residual of the
    target, -1 where nothing is learned; gamma > 0.
    """
    cubic = gamma / 6 * (phi**3 + psi**3)
    return (phi + psi) / 2 - coupling * phi * psi + cubic


def modular_well(coupling: float, gamma: float) -> tuple[Floats, float]:
    """((phi, psi), S/P) of the well at finite values, by descent of the action.

    It exists for coupling > sqrt(gamma), at phi = psi = (g + sqrt(g^2 - gamma))/gamma;
    without it, (0, 0) and 0.
    """
    unit = 1 / np.sqrt(gamma)  # of phi and of S

    def scaled(z: Floats) -> float:
        return modular_action(z[0] * unit, z[1] * unit, coupling, gamma) / unit

    start = 2 * coupling * unit * np.array([1.0, 0.98])  # just beyond the well
    done = minimize(scaled, start, bounds=[(0, None)] * 2, tol=1e-14)
    return np.asarray(done.x) * unit, float(done.fun * unit)


def modular_transition(gamma: float) -> float:
    """Coupling g = u a^2 at which both wells of the action are as deep, numerically.

    Searched between the end of the well, sqrt(gamma), and 2 sqrt(gamma).
    """
    least, most = np.sqrt(gamma) * np.array([1.01, 2.0])
    return float(brentq(lambda g: modular_well(g, gamma)[1], least, most, rtol=1e-8))


def modular_transition_formula(gamma: float) -> float:
    """The same: (u a^2)^2 = 4 gamma / 3, on phi = psi (own derivation)."""
    return float(np.sqrt(4 * gamma / 3))


def modular_noise(
    coupling: float, residual: float, p: int, width: int, readout_variance: float
) -> float:
    """sigma^2 at which u a^2 is coupling: u = 2 sigma_a^2 P^2 / (N sigma^4).

    readout_variance: sigma_a^2, the paper's 0.002/N with its 1/N.
    """
    u = coupling / residual**2
    return float(np.sqrt(2 * readout_variance * p**2 / (width * u)))


class Teacher(NamedTuple):
    """Teacher of one direction: residual linear b and cubic c amplitudes, prior
    variance sigma_w^2 of the student's weights."""

    b: float
    c: float
    variance: float


def teacher_action(phi: float, u: float, teacher: Teacher) -> float:
    """S/d = phi^2/(2 sigma_w^2) - (2u/pi) (phi^2/q) (b - 2 c phi^2/q)^2.

    phi: overlap w.w* of student and teacher; q = 1 + 2 (sigma_w^2 + phi^2); u >= 0.
    """
    q = 1 + 2 * (teacher.variance + phi**2)
    share = phi**2 / q
    gain = (teacher.b - 2 * teacher.c * share) ** 2
    return phi**2 / (2 * teacher.variance) - 2 * u / np.pi * share * gain


def teacher_well(
    u: float, teacher: Teacher, largest: float = 3.0
) -> tuple[float, float]:
    """(phi, S/d) of the deepest point in (0, largest], by grid and refinement."""
    grid = np.linspace(0, largest, 3001)[1:]
    k = int(np.argmin([teacher_action(phi, u, teacher) for phi in grid]))
    low, high = grid[max(k - 1, 0)], grid[min(k + 1, len(grid) - 1)]
    done = minimize_scalar(
        lambda phi: teacher_action(phi, u, teacher), bounds=(low, high),
        method="bounded", options={"xatol": 1e-10},
    )  # fmt: skip
    return float(done.x), float(done.fun)


def teacher_spinodal(teacher: Teacher) -> float:
    """u at which the curvature at phi = 0 changes sign: pi (1 + 2 s)/(4 s b^2),
    s = sigma_w^2. b must not be 0."""
    s = teacher.variance
    return float(np.pi * (1 + 2 * s) / (4 * s * teacher.b**2))


def teacher_transition(teacher: Teacher) -> tuple[float, float]:
    """(u, phi) at which a well at finite phi is as deep as the one at 0.

    S <= 0 somewhere iff u >= (pi / 4 s) min over phi of q / (b - 2 c phi^2/q)^2. Of
    first order if that minimum lies at phi > 0 (searched up to 3); else phi = 0 and u
    is the spinodal.
    """

    def needed(z: float) -> float:
        q = 1 + 2 * (teacher.variance + z)
        gain = (teacher.b - 2 * teacher.c * z / q) ** 2
        return float(np.pi / (4 * teacher.variance) * q / gain) if gain else np.inf

    grid = np.linspace(0, 9, 9001)
    k = int(np.argmin([needed(z) for z in grid]))
    if k == 0:
        return teacher_spinodal(teacher), 0.0
    ends = (grid[k - 1], grid[min(k + 1, len(grid) - 1)])
    done = minimize_scalar(needed, bounds=ends, method="bounded")
    return float(done.fun), float(np.sqrt(done.x))
