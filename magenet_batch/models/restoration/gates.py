"""Gates, by which a stage leaves an image exactly as it is."""

from __future__ import annotations

import torch


def gate(logits: torch.Tensor) -> torch.Tensor:
    """A gate in 0..1 that can reach both ends (compare Louizos et al., ICLR 2018).

    Its gradients are those of the plain sigmoid (Bengio et al., 2013), so that a closed gate can
    open.
    """
    soft = torch.sigmoid(logits)
    wide = (1.2 * soft - 0.1).clamp(0, 1)
    return soft + (wide - soft).detach() if torch.is_grad_enabled() else wide
