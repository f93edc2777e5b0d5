"""Principal components of many components' windows at once, by subspace iteration.

Halko, Martinsson & Tropp, "Finding Structure with Randomness" (SIAM Review 2011): a few products
with a random block find the leading directions, as exactly as a start for training needs.
"""

from __future__ import annotations

import torch

# Directions beyond those asked for, and products: more change the explained share by less than 0.003.
OVERSAMPLING, ITERATIONS = 4, 3
# Of so many windows per number in one, half are enough, since they overlap; they come shuffled.
_PLENTY = 4
# Added to a Gram matrix's diagonal, in shares of its trace, so that it has a Cholesky factor.
_RIDGE = 1e-6


def leading_directions(windows: torch.Tensor, weight: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Orthonormal directions of most power about the level, and the share of it that each explains.

    Args:
        windows: shape (C, N, D).
        weight: of each window, shape (C, N), 0 where it is left out.
        count: how many, at most D.

    Returns:
        Shapes (C, D, count), and (C, count) in falling order; shares are 0 where there is no power.
    """
    size = windows.shape[2]
    if windows.shape[1] >= _PLENTY * size:
        half = windows.shape[1] // 2
        windows, weight = windows[:, :half], weight[:, :half]
    gram = torch.bmm(windows.transpose(1, 2), windows * weight[:, :, None])
    power = gram.diagonal(dim1=1, dim2=2).sum(dim=1)
    gram = gram / power.clamp_min(torch.finfo(gram.dtype).tiny)[:, None, None]
    block = min(count + OVERSAMPLING, size)
    # The same start for all: what a component gets must not depend on its place among others.
    start = torch.randn(size, block, generator=torch.Generator().manual_seed(0)).to(gram)
    basis = torch.bmm(gram, start.expand(len(gram), size, block))
    for _ in range(ITERATIONS):
        basis = torch.bmm(gram, _orthonormal(basis))
    basis = _orthonormal(_orthonormal(basis))
    small = torch.bmm(basis.transpose(1, 2), torch.bmm(gram, basis))
    share, turn = torch.linalg.eigh(0.5 * (small + small.transpose(1, 2)))
    share, turn = share.flip(1)[:, :count], turn.flip(2)[:, :, :count]
    return torch.bmm(basis, turn.contiguous()), share.clamp_min(0)


def _orthonormal(block: torch.Tensor) -> torch.Tensor:
    """About orthonormal columns of the same span, by Cholesky factors: a second time makes them exact."""
    gram = torch.bmm(block.transpose(1, 2), block)
    trace = gram.diagonal(dim1=1, dim2=2).sum(dim=1)
    ridge = (_RIDGE * trace + 1e-30)[:, None, None] * torch.eye(gram.shape[1]).to(gram)
    factor = torch.linalg.cholesky(gram + ridge)
    out: torch.Tensor = torch.linalg.solve_triangular(factor.transpose(1, 2), block, upper=True, left=False)
    return out
